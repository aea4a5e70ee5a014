package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	pngs "image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	jobs "github.com/onnxprobe/onnxprobe/probes/job"
)

// job20 is a job of 20 shards over the 100 pictures, with columns of every kind.
func job20(dir string, more ...string) []string {
	return with([]string{"hash", resnet, digits, "--preprocess", "mnist-01", "--shard-size", "5", "--complexity", "--directions", "6",
		"--channels", "--logits", "--code-sites", "layer1*", "--faiss", "-o", dir}, more...)
}

// planOf makes of a job's command line that of its plan.
func planOf(args []string) []string { return append([]string{"hash", "plan"}, args[1:]...) }

var commandOf = regexp.MustCompile(`"command": \[[^]]*\],`)

// tree is what a job's folder holds that has to be the same however it was made:
// all of it but times, in plan and records.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range list(t, dir) {
		switch {
		case name == "plan.json" || strings.HasSuffix(name, "_stats.json"):
			files[name] = ""
		case name == "manifest.json": // which has the command line, with the folder in it
			files[name] = commandOf.ReplaceAllString(slurp(t, filepath.Join(dir, name)), "")
		default:
			files[name] = slurp(t, filepath.Join(dir, name))
		}
	}
	return files
}

// sameTree reports how two jobs' folders differ.
func sameTree(t testing.TB, got, want string) {
	t.Helper()
	a, b := tree(t, got), tree(t, want)
	for name, content := range b {
		if other, ok := a[name]; !ok || other != content {
			t.Errorf("%s: there %v, and of %d bytes; want %d bytes, the same", name, ok, len(other), len(content))
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			t.Errorf("%s is left over", name)
		}
	}
}

// whole is the job done without a stop.
func whole(t testing.TB, args func(string, ...string) []string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "whole")
	stdoutOf(t, args(dir)...)
	return dir
}

// A row for every item of every shard, in order; what the columns hold is what codes,
// complexity and run say.
func TestHashColumns(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	args := func(out string, more ...string) []string {
		return with(job20(out, "--output-format", "jsonl"), more...)
	}
	stdoutOf(t, args(dir)...)
	var got []map[string]any
	for i := range 20 {
		got = append(got, rows(t, slurp(t, filepath.Join(dir, fmt.Sprintf("%05d.jsonl", i))))...)
	}
	codes := rows(t, stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--by-site", "--sketch", "256", "-o", "-"))
	lc := rows(t, stdoutOf(t, "complexity", resnet, digits, "--preprocess", "mnist-01", "--directions", "6", "-o", "-"))
	path := filepath.Join(t.TempDir(), "logits.jsonl")
	stdoutOf(t, "run", resnet, digits, "--preprocess", "mnist-01", "-o", path)
	logits := rows(t, slurp(t, path))
	if len(got) != 100 {
		t.Fatalf("%d rows, want 100", len(got))
	}
	for i, r := range got {
		for _, key := range []string{"id", "path", "label", "class", "status", "error", "digest", "sketch"} {
			if r[key] != codes[i][key] {
				t.Errorf("row %d: %s is %v, codes says %v", i, key, r[key], codes[i][key])
			}
		}
		chosen := r["code"].(map[string]any)
		if len(chosen) != 4 {
			t.Errorf("row %d has codes of %d sites, want the 4 of layer1", i, len(chosen))
		}
		all := codes[i]["code"].(map[string]any)
		for site, code := range chosen {
			if code != all[site] {
				t.Errorf("row %d: the code of %s is not what codes says", i, site)
			}
		}
		if fmt.Sprint(r["complexity"], r["count"], r["fraction"]) != fmt.Sprint(lc[i]["complexity"], lc[i]["count"], lc[i]["fraction"]) {
			t.Errorf("row %d: complexity %v %v, the verb says %v %v", i, r["complexity"], r["count"], lc[i]["complexity"], lc[i]["count"])
		}
		out := logits[i]["logits"]
		if out == nil {
			for k, v := range logits[i] {
				if list, ok := v.([]any); ok && len(list) == 10 && k != "top" && k != "score" {
					out = v
				}
			}
		}
		if fmt.Sprint(r["logits"]) != fmt.Sprint(out) {
			t.Errorf("row %d: logits %v, run says %v", i, r["logits"], out)
		}
		for site, c := range r["channels"].(map[string]any) {
			if want := channelsOf(t, all[site].(string), site); c != want {
				t.Errorf("row %d: channels of %s are %v, want %s", i, site, c, want)
			}
		}
	}
	// The index: its header, and the sketches in the rows' order.
	index := slurp(t, filepath.Join(dir, "sketches.faiss"))
	want := append([]byte("IBxF"), binary.LittleEndian.AppendUint32(nil, 256)...)
	want = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(want, 32), 100)
	want = binary.LittleEndian.AppendUint64(append(want, 1, 1, 0, 0, 0), 3200)
	for _, r := range got {
		want = fmt.Appendf(want, "%s", unhex(t, r["sketch"].(string)))
	}
	if index != string(want) {
		t.Errorf("sketches.faiss has %d bytes, want %d, or they differ", len(index), len(want))
	}

	// An array, with the other columns beside it.
	stdoutOf(t, "hash", resnet, digits, "--preprocess", "mnist-01", "--shard-size", "60", "--output-format", "npy", "-o", filepath.Join(dir, "npy"))
	a := readArray(t, filepath.Join(dir, "npy/00001.npy"))
	if !slices.Equal(a.Shape, []int{40, 32}) || !bytes.Equal(tensor.Data[uint8](a)[:32], unhex(t, got[60]["sketch"].(string))) {
		t.Errorf("the second array is of shape %v, or does not begin with item 60's sketch", a.Shape)
	}
	if beside := rows(t, slurp(t, filepath.Join(dir, "npy/00001.npy.items.jsonl"))); len(beside) != 40 || beside[0]["digest"] != got[60]["digest"] {
		t.Errorf("%d rows beside the array", len(beside))
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// channelsOf is a channel code in hex, bit by bit from the code in hex. The network
// has 8 channels at 8x8, then as many more as fit.
func channelsOf(t testing.TB, code, site string) string {
	t.Helper()
	shapes := siteShapes(t)
	shape := shapes[site]
	per := tensor.Count(shape[1:])
	bits := unhex(t, code)
	out := make([]byte, (shape[0]+7)/8)
	for u := range shape[0] * per {
		if bits[u/8]>>(7-u%8)&1 == 1 {
			out[u/per/8] |= 128 >> (u / per % 8)
		}
	}
	return fmt.Sprintf("%x", out)
}

var shapesOf map[string][]int

func siteShapes(t testing.TB) map[string][]int {
	t.Helper()
	if shapesOf == nil {
		var found struct {
			Sites []struct {
				Name  string
				Shape []int
			}
		}
		if err := json.Unmarshal([]byte(stdoutOf(t, "inspect", resnet, "--json")), &found); err != nil {
			t.Fatal(err)
		}
		shapesOf = map[string][]int{}
		for _, s := range found.Sites {
			shapesOf[s.Name] = s.Shape
		}
	}
	return shapesOf
}

// However the shards are spread, the result is the same to the byte.
func TestHashSlices(t *testing.T) {
	needORT(t)
	want := whole(t, job20)
	dir := filepath.Join(t.TempDir(), "sliced")
	stdoutOf(t, planOf(job20(dir))...)
	for i := range 4 {
		if r := do("hash", "finish", dir); r.code != exitFailed || !strings.Contains(r.messages, " not done: [") {
			t.Errorf("finish before slice %d: exit code %d\n%s", i, r.code, r.messages)
		}
		stdoutOf(t, "hash", "run", dir, "--shard", fmt.Sprintf("%d/4", i))
	}
	var s jobs.Status
	if err := json.Unmarshal([]byte(stdoutOf(t, "hash", "status", dir, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Done != 20 || s.Finished != 100 || s.Failed != 0 || len(s.Missing)+len(s.Aside)+len(s.Running) > 0 || s.Success || s.ItemsPerSecond <= 0 {
		t.Errorf("status %+v", s)
	}
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, want)
	if out := stdoutOf(t, "hash", "status", dir); !strings.Contains(out, "shards done             20 of 20") || !strings.Contains(out, "finished                yes") {
		t.Errorf("status:\n%s", out)
	}
	if got := stdoutOf(t, "hash", "run", dir, "--json"); strings.Count(got, `"skipped":true`) != 20 {
		t.Errorf("a run of a job that is done:\n%s", got)
	}

	// The same by numbers on standard input, in no order and some twice.
	dir = filepath.Join(t.TempDir(), "listed")
	stdoutOf(t, planOf(job20(dir))...)
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, "%d\n", (i*7+3)%20)
	}
	lines.WriteString("\n3\n")
	r := feed(lines.String(), "hash", "run", dir, "--stdin")
	if got := rows(t, r.stdout); r.code != exitDone || len(got) != 21 || got[0]["shard"] != 3.0 || got[0]["items"] != 5.0 || got[20]["skipped"] != true {
		t.Errorf("exit code %d, and %d lines:\n%s%s", r.code, len(got), r.stdout, r.messages)
	}
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, want)
	r = feed("x\n20\n", "hash", "run", dir, "--stdin")
	if got := rows(t, r.stdout); r.code != exitFailed || len(got) != 2 || !strings.Contains(r.stdout, `\"x\" is not the number of a shard`) || !strings.Contains(r.stdout, "there is no shard 20; the plan has 20") {
		t.Errorf("numbers that are none: exit code %d\n%s%s", r.code, r.stdout, r.messages)
	}
}

// The index comes from each scheduler's variable, the number of slices from the
// command line.
func TestHashSliceOfScheduler(t *testing.T) {
	for _, v := range jobs.IndexVariables {
		t.Run(v, func(t *testing.T) {
			for _, other := range jobs.IndexVariables {
				t.Setenv(other, "")
			}
			t.Setenv(v, "2")
			if i, n, err := jobs.ParseSlice("auto/3", os.Getenv); i != 2 || n != 3 || err != nil {
				t.Errorf("slice %d of %d, %v; want 2 of 3", i, n, err)
			}
			if _, _, err := jobs.ParseSlice("auto/2", os.Getenv); err == nil || !strings.Contains(err.Error(), "2 from "+v+" is not within 0 to 1; indices count from 0, as in an array of jobs 0-1") {
				t.Errorf("an index past the end: %v", err)
			}
			t.Setenv(v, "a")
			if _, _, err := jobs.ParseSlice("auto/2", os.Getenv); err == nil || !strings.Contains(err.Error(), `"a" from `+v) {
				t.Errorf("an index that is no number: %v", err)
			}
		})
	}
}

func TestHashUsage(t *testing.T) {
	needORT(t)
	for _, v := range jobs.IndexVariables {
		t.Setenv(v, "")
	}
	dir := t.TempDir()
	done := filepath.Join(dir, "done")
	small := with([]string{"hash", resnet, digits, "--preprocess", "mnist-01", "-o", done})
	stdoutOf(t, small...)
	file := spill(t, filepath.Join(dir, "file"), nil)
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", []string{"hash"}, 2, "hash takes a model and data"},
		{"no data", []string{"hash", resnet, "-o", dir + "/a"}, 2, "say what to run the model on"},
		{"no folder", []string{"hash", resnet, digits, "--preprocess", "mnist-01"}, 2, "-o DIR"},
		{"a file for a folder", with(small, "-o", file), 2, "it is a file"},
		{"no preprocessing", []string{"hash", resnet, digits, "-o", dir + "/a"}, 2, "--preprocess mnist"},
		{"unknown mode", with(small, "--mode", "nope"), 2, "incremental and extend; --force begins anew"},
		{"two modes", with(small, "--mode", "extend", "--force"), 2, "give one"},
		{"unknown format", with(small, "--output-format", "csv"), 2, "parquet, npy, jsonl"},
		{"empty shards", with(small, "--shard-size", "0"), 2, "1 or more"},
		{"sketch longer than the code", with(small, "--sketch", "3201"), 2, "3200"},
		{"index of no sketches", with(small, "--sketch", "0", "--faiss"), 2, "--faiss a multiple of 8"},
		{"array of nothing", with(small, "--output-format", "npy", "--sketch", "0"), 2, "codes or the sketches"},
		{"no such site", with(small, "--sites", "nope"), 2, "this model has 9"},
		{"no such site for codes", with(small, "--code-sites", "nope"), 2, "no site matches"},
		{"radius without complexity", with(small, "--radius", "1"), 2, "goes with --complexity"},
		{"radius of nothing", with(small, "--complexity", "--radius", "0"), 2, "positive"},
		{"limit and extend", with(small, "--mode", "extend", "--limit", "1"), 2, "--limit"},
		{"another batch", with(small, "--batch", "8"), 2, "batch (64 there, 8 asked for)"},
		{"another seed", with(small, "--seed", "1"), 2, "seed (0 there, 1 asked for)"},
		{"other shards", with(small, "--shard-size", "50"), 2, "shards (7 there, 2 asked for)"},
		{"fewer items", with(small, "--limit", "99"), 2, "inputs (100 items there, 99 asked for"},
		{"another model", []string{"hash", data + "models/resnet_basic_torchscript.onnx", digits, "--preprocess", "mnist-01", "-o", done}, 2, "model ("},
		{"extend what is otherwise", with(small, "--mode", "extend", "--seed", "1"), 2, "seed (0 there"},
		{"run of no job", []string{"hash", "run", dir}, 1, "onnxprobe hash plan makes one"},
		{"finish of no job", []string{"hash", "finish", dir}, 1, "holds no job"},
		{"status of no job", []string{"hash", "status", dir + "/nope"}, 1, "holds no job"},
		{"slice of nothing", []string{"hash", "run", done, "--shard", "1"}, 2, "write i/n"},
		{"slice past the end", []string{"hash", "run", done, "--shard", "4/4"}, 2, "not within 0 to 3"},
		{"slice below 0", []string{"hash", "run", done, "--shard", "-1/4"}, 2, "not within"},
		{"slices that are none", []string{"hash", "run", done, "--shard", "0/0"}, 2, "write i/n"},
		{"no scheduler", []string{"hash", "run", done, "--shard", "auto/4"}, 2, "SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX"},
		{"slice and list", []string{"hash", "run", done, "--shard", "0/4", "--stdin"}, 2, "--shard or --stdin"},
		{"negative tries", []string{"hash", "run", done, "--max-tries", "-1"}, 2, "0 or more"},
		{"unknown engine", []string{"hash", "run", done, "--backend", "nope"}, 2, "the choices are"},
		{"no GPU", []string{"hash", "run", done, "--device", "gpu"}, 2, "did you mean cuda?"},
		{"unknown step", []string{"hash", "nope"}, 2, "-o DIR"},
	} {
		r := do(c.args...)
		if r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%s: %q: exit code %d, want %d, with a message of %q:\n%s", c.name, c.args, r.code, c.code, c.want, r.messages)
		}
	}
	// Nothing of it touched the job.
	stdoutOf(t, small...)
	stdoutOf(t, "hash", "verify", done)
}

// Every kind of bad picture is a row that says why, and the good ones beside it are
// what they are alone.
func TestHashBadPictures(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	good, bad := oddPictures(t, in)
	out := filepath.Join(dir, "out")
	r := do("hash", resnet, in, "--preprocess", "mnist-01", "--shard-size", "4", "--output-format", "jsonl", "--faiss", "-o", out)
	if r.code != exitSomeFailed || !strings.Contains(r.messages, fmt.Sprintf("%d of %d items could not be used", len(bad), len(good)+len(bad))) {
		t.Errorf("exit code %d, want 3:\n%s", r.code, r.messages)
	}
	got := map[string]map[string]any{}
	shards := 0
	for ; ; shards++ {
		path := filepath.Join(out, fmt.Sprintf("%05d.jsonl", shards))
		if _, err := os.Stat(path); err != nil {
			break
		}
		for _, row := range rows(t, slurp(t, path)) {
			got[row["id"].(string)] = row
		}
	}
	for _, name := range good {
		if row := got[name]; row == nil || row["status"] != "ok" || row["error"] != nil || row["digest"] == nil {
			t.Errorf("%s: %v", name, row)
		}
	}
	for name, why := range bad {
		if row := got[name]; row == nil || row["status"] != "error" || row["digest"] != nil || row["sketch"] != nil || !strings.Contains(fmt.Sprint(row["error"]), why) {
			t.Errorf("%s: want an error of %q: %v", name, why, row)
		}
	}
	if len(got) != len(good)+len(bad) {
		t.Errorf("%d rows, want %d", len(got), len(good)+len(bad))
	}
	// A slice is done with them: to run it again is no use.
	stdoutOf(t, "hash", "run", out)
	if _, err := os.Stat(filepath.Join(out, "_SUCCESS")); err != nil {
		t.Error(err)
	}
}

// oddPictures writes pictures of 8 x 8 of every kind, good and bad, and says which
// are which, and why.
func oddPictures(t *testing.T, dir string) (good []string, bad map[string]string) {
	t.Helper()
	square := image.Rect(0, 0, 8, 8)
	encode := func(enc func(*bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := enc(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	grey, deep := image.NewGray(square), image.NewGray16(square)
	colours, palette := image.NewRGBA(square), image.NewPaletted(square, color.Palette{color.Black, color.White, color.Gray{90}})
	for i := range 64 {
		x, y := i%8, i/8
		grey.SetGray(x, y, color.Gray{uint8(i * 4)})
		deep.SetGray16(x, y, color.Gray16{uint16(i * 1000)})
		colours.Set(x, y, color.RGBA{uint8(i), uint8(255 - i), 7, 255})
		palette.SetColorIndex(x, y, uint8(i%3))
	}
	flat := image.NewGray(square)
	for i := range flat.Pix {
		flat.Pix[i] = 128
	}
	toPNG := func(m image.Image) []byte { return encode(func(b *bytes.Buffer) error { return pngs.Encode(b, m) }) }
	toJPEG := func(m image.Image) []byte {
		return encode(func(b *bytes.Buffer) error { return jpeg.Encode(b, m, nil) })
	}
	files := map[string][]byte{
		"16-bit.png": toPNG(deep), "grey.png": toPNG(grey), "grey.jpg": toJPEG(grey), "colour.jpg": toJPEG(colours), "palette.png": toPNG(palette),
		"animated.gif": encode(func(b *bytes.Buffer) error {
			return gif.EncodeAll(b, &gif.GIF{Image: []*image.Paletted{palette, palette}, Delay: []int{1, 1}})
		}),
		"cmyk.jpg": cmyk(t, toJPEG(flat)),
	}
	for name := range files {
		good = append(good, name)
	}
	huge := toPNG(grey)
	binary.BigEndian.PutUint32(huge[16:], 65535)
	binary.BigEndian.PutUint32(huge[20:], 65535)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	files["huge.png"] = huge
	files["empty.jpg"] = nil
	files["page.jpg"] = []byte("<html><body>404</body></html>")
	files["truncated.png"] = toPNG(colours)[:60]
	files["truncated.jpg"] = toJPEG(colours)[:300]
	files["larger.png"] = toPNG(image.NewGray(image.Rect(0, 0, 9, 8)))
	bad = map[string]string{"huge.png": "65535 x 65535", "empty.jpg": "empty", "page.jpg": "<html>", "truncated.png": "decoding PNG", "truncated.jpg": "decoding JPEG", "larger.png": "8 x 8"}
	for name, b := range files {
		spill(t, filepath.Join(dir, name), b)
	}
	return good, bad
}

// cmyk makes of a flat grey JPEG of one block one of four components. A flat block is
// six bits in the standard tables, 00 for no difference and 1010 for nothing else, so
// four blocks are three bytes.
func cmyk(t *testing.T, grey []byte) []byte {
	t.Helper()
	out := append([]byte(nil), grey[:2]...)
	out = append(out, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...) // no transform: CMYK
	for at := 2; ; {
		n := 2 + int(binary.BigEndian.Uint16(grey[at+2:]))
		seg := grey[at : at+n]
		switch seg[1] {
		case 0xc0: // the frame
			seg = append([]byte{0xff, 0xc0, 0, 8 + 3*4}, seg[4:9]...)
			seg = append(seg, 4)
			for c := range byte(4) {
				seg = append(seg, c+1, 0x11, 0)
			}
		case 0xda: // the scan
			out = append(out, 0xff, 0xda, 0, 6+2*4, 4)
			for c := range byte(4) {
				out = append(out, c+1, 0)
			}
			out = append(out, 0, 63, 0, 0b00101000, 0b10100010, 0b10001010, 0xff, 0xd9)
			m, err := jpeg.Decode(bytes.NewReader(out))
			if _, ok := m.(*image.CMYK); err != nil || !ok {
				t.Fatalf("the test's CMYK picture is a %T: %v", m, err)
			}
			return out
		}
		out = append(out, seg...)
		at += n
	}
}

// A flipped byte is found, and its shard alone made anew.
func TestHashVerify(t *testing.T) {
	needORT(t)
	want := whole(t, job20)
	dir := whole(t, job20)
	path := filepath.Join(dir, "00007.parquet")
	b := []byte(slurp(t, path))
	b[len(b)/2] ^= 1
	spill(t, path, b)
	r := do("hash", "verify", dir)
	if r.code != exitFailed || !strings.Contains(r.messages, "shard 7: 00007.parquet: it has") {
		t.Errorf("verify: exit code %d\n%s", r.code, r.messages)
	}
	for _, gone := range []string{"_SUCCESS", "manifest.json", "00007_stats.json"} {
		if slices.Contains(list(t, dir), gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	if got := stdoutOf(t, "hash", "run", dir, "--json"); strings.Count(got, `"skipped":true`) != 19 {
		t.Errorf("the next run:\n%s", got)
	}
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, want)

	// finish looks too; a file of another length, and a record of another plan, are not
	// done at all.
	spill(t, filepath.Join(dir, "00003.faiss"), []byte(strings.Replace(slurp(t, filepath.Join(dir, "00003.faiss")), "IBxF", "IBxG", 1)))
	if r := do("hash", "finish", dir); r.code != exitFailed || !strings.Contains(r.messages, "shard 3: 00003.faiss") {
		t.Errorf("finish: exit code %d\n%s", r.code, r.messages)
	}
	if err := os.Truncate(filepath.Join(dir, "00004.parquet"), 10); err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(dir, "00005_stats.json")
	spill(t, record, []byte(strings.Replace(slurp(t, record), `"fingerprint": "`, `"fingerprint": "0`, 1)))
	spill(t, filepath.Join(dir, "00006_stats.json"), []byte("{"))
	if r := do("hash", "finish", dir); r.code != exitFailed || !strings.Contains(r.messages, "4 shards are not done: [3 4 5 6]") {
		t.Errorf("finish: exit code %d\n%s", r.code, r.messages)
	}
	stdoutOf(t, job20(dir)...)
	sameTree(t, dir, want)
}

// A picture that has come into a folder of the job is added by its name, beside the folder
// or without it.
func TestHashExtendNamesWhatIsNew(t *testing.T) {
	needORT(t)
	for _, beside := range []bool{true, false} {
		dir := t.TempDir()
		photos := filepath.Join(dir, "photos")
		job := func(mode string, data ...string) []string {
			return with(append([]string{"hash", resnet}, data...), "--preprocess", "mnist-01", "--output-format", "jsonl", "--mode", mode, "-o", filepath.Join(dir, "job"))
		}
		duplicate(t, digits+"/3/0213.png", filepath.Join(photos, "a.png"))
		stdoutOf(t, job("incremental", photos)...)
		late := duplicate(t, digits+"/0/0276.png", filepath.Join(photos, "b.png"))
		if r := do(job("extend", photos)...); r.code != exitFailed || !strings.Contains(r.messages, "the first "+late) {
			t.Errorf("the folder alone: exit code %d\n%s", r.code, r.messages)
		}
		data := []string{late}
		if beside {
			data = []string{photos, late}
		}
		stdoutOf(t, job("extend", data...)...)
		if got := rows(t, slurp(t, filepath.Join(dir, "job/00001.jsonl"))); len(got) != 1 || got[0]["path"] != late {
			t.Errorf("the new shard: %v", got)
		}
	}
}

// New inputs become new shards behind the old, which stay as they are.
func TestHashExtend(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	job := func(mode string, data ...string) []string {
		return with(append([]string{"hash", resnet}, data...), "--preprocess", "mnist-01", "--shard-size", "6", "--output-format", "jsonl", "--faiss", "--mode", mode, "-o", filepath.Join(dir, "job"))
	}
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for i, names := range [][]string{{"3/0213.png", "0/0276.png"}, {"9/1176.png", "3/0213.png"}} {
		for _, name := range names {
			duplicate(t, digits+"/"+name, filepath.Join([]string{a, b}[i], name))
		}
	}
	stdoutOf(t, job("incremental", a)...)
	first := slurp(t, filepath.Join(dir, "job/00000.jsonl"))
	if r := do(job("incremental", a, b)...); r.code != exitUsage || !strings.Contains(r.messages, "extending the job adds new ones, files by their names). Give another folder, or overwrite it to begin anew (--force, --mode extend)") {
		t.Errorf("more inputs: exit code %d\n%s", r.code, r.messages)
	}
	stdoutOf(t, job("extend", a, b)...)
	if slurp(t, filepath.Join(dir, "job/00000.jsonl")) != first {
		t.Error("the old shard has changed")
	}
	got := rows(t, slurp(t, filepath.Join(dir, "job/00001.jsonl")))
	if len(got) != 2 || got[0]["id"] != b+"/3/0213.png" || got[0]["class"] != "3" || got[0]["label"] != 1.0 || got[1]["class"] != "9" || got[1]["label"] != 2.0 {
		t.Errorf("the new shard: %v", got)
	}
	if n := len(slurp(t, filepath.Join(dir, "job/sketches.faiss"))); n != 33+4*32 {
		t.Errorf("the index has %d bytes, want 4 vectors", n)
	}
	before := tree(t, filepath.Join(dir, "job"))
	stdoutOf(t, job("extend", a, b)...)
	stdoutOf(t, job("extend", b)...)
	// A picture that has come into a folder since has to be named.
	late := duplicate(t, digits+"/0/0276.png", filepath.Join(b, "0/0276.png"))
	if r := do(job("extend", a, b)...); r.code != exitFailed || !strings.Contains(r.messages, "new items: 1, the first "+late) {
		t.Errorf("a new picture in a folder of the job: exit code %d\n%s", r.code, r.messages)
	}
	if err := os.RemoveAll(filepath.Join(b, "0")); err != nil {
		t.Fatal(err)
	}
	for name, content := range tree(t, filepath.Join(dir, "job")) {
		if before[name] != content {
			t.Errorf("extending by nothing changed %s", name)
		}
	}
	// A plan of another beginning is another job; overwriting it leaves nothing of it.
	spill(t, filepath.Join(dir, "job/mine.txt"), nil)
	stdoutOf(t, job("overwrite", b)...)
	names := slices.DeleteFunc(list(t, filepath.Join(dir, "job")), func(name string) bool { return strings.HasSuffix(name, ".names") })
	if !slices.Equal(names, []string{"00000.faiss", "00000.jsonl", "00000_stats.json", "_SUCCESS", "manifest.json", "mine.txt", "plan.json", "sketches.faiss"}) {
		t.Errorf("overwritten, the folder holds %q", names)
	}
}

// Inputs that change or vanish are an error that names them, not rows of errors; what
// was done stays done, and a run after they are back ends as it should.
func TestHashInputsChange(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	var files []string
	for _, name := range []string{"0/0276.png", "3/0213.png", "9/1176.png"} {
		files = append(files, duplicate(t, digits+"/"+name, filepath.Join(in, filepath.Base(name))))
	}
	args := func(dir string) []string {
		return with([]string{"hash"}, append([]string{resnet}, append(files, "--preprocess", "mnist-01", "--shard-size", "1", "-o", dir)...)...)
	}
	stdoutOf(t, args(filepath.Join(dir, "want"))...)
	stdoutOf(t, planOf(args(out))...)
	away := filepath.Join(dir, "away")
	if err := os.Rename(files[1], away); err != nil {
		t.Fatal(err)
	}
	r := do("hash", "run", out)
	if r.code != exitFailed || !strings.Contains(r.messages, "1 shard is not done: shard 1: its inputs are not what they were when the job was planned: ") || !strings.Contains(r.messages, files[1]+": no such file or directory; put it back") {
		t.Errorf("a file that is gone: exit code %d\n%s", r.code, r.messages)
	}
	if names := list(t, out); slices.Contains(names, "00001.parquet") || slices.Contains(names, "00001_tries") || !slices.Contains(names, "00002_stats.json") {
		t.Errorf("the folder holds %q", names)
	}
	if err := os.Rename(away, files[1]); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	st, err := os.Stat(files[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(files[1], later, later); err != nil {
		t.Fatal(err)
	}
	if r := do("hash", "run", out); r.code != exitFailed || !strings.Contains(r.messages, files[1]+" was changed at ") {
		t.Errorf("a file that was touched: exit code %d\n%s", r.code, r.messages)
	}
	if err := os.Chtimes(files[1], st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	stdoutOf(t, "hash", "run", out)
	stdoutOf(t, "hash", "finish", out)
	sameTree(t, out, filepath.Join(dir, "want"))
}

// A folder that loses a picture stops the shard that it is in, by name, and no other;
// one that gains a picture stops none. A list of paths is no different.
func TestHashFolderChanges(t *testing.T) {
	needORT(t)
	for _, kind := range []string{"folder", "classes", "paths"} {
		dir := t.TempDir()
		in, out, whole := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "want")
		names := []string{"0/0276.png", "3/0213.png", "9/1176.png"}
		var listed []byte
		for _, name := range names {
			to := name
			if kind == "folder" {
				to = filepath.Base(name)
			}
			listed = append(listed, duplicate(t, digits+"/"+name, filepath.Join(in, to))+"\n"...)
		}
		from := in
		if kind == "paths" {
			from = spill(t, filepath.Join(dir, "list.txt"), listed)
		}
		args := func(out string) []string {
			return []string{"hash", resnet, from, "--preprocess", "mnist-01", "--shard-size", "1", "-o", out}
		}
		stdoutOf(t, args(whole)...)
		stdoutOf(t, planOf(args(out))...)
		gone := strings.Fields(string(listed))[1]
		if kind == "folder" { // by name, 0213 is the first
			gone = filepath.Join(in, "0276.png")
		}
		if err := os.Rename(gone, filepath.Join(dir, "away")); err != nil {
			t.Fatal(err)
		}
		duplicate(t, digits+"/0/0276.png", filepath.Join(in, "0/new.png"))
		r := do("hash", "run", out)
		want := "shard 1: its inputs are not what they were when the job was planned: " + gone + ": no such file or directory; put it back and run it again, or plan anew"
		if r.code != exitFailed || !strings.Contains(r.messages, want) || !strings.Contains(r.messages, "1 shard is not done") {
			t.Errorf("%s, a file that is gone: exit code %d, want 1 with %q\n%s", kind, r.code, want, r.messages)
		}
		if err := os.Rename(filepath.Join(dir, "away"), gone); err != nil {
			t.Fatal(err)
		}
		stdoutOf(t, "hash", "run", out)
		stdoutOf(t, "hash", "finish", out)
		sameTree(t, out, whole)
	}
}

// A plan that was changed by hand, or that is of another version, is refused.
func TestHashPlanRefused(t *testing.T) {
	needORT(t)
	dir := whole(t, job20)
	path := filepath.Join(dir, "plan.json")
	plan := slurp(t, path)
	for name, c := range map[string]struct{ from, to, want string }{
		"changed":         {`"seed": 0`, `"seed": 1`, "its fingerprint does not fit it"},
		"another version": {`"layout": 1`, `"layout": 2`, "it is of version 2, this program's is 1"},
		"cut off":         {plan[len(plan)/2:], "", "unexpected end of JSON"},
		"no such source":  {`"source": 0`, `"source": 7`, "source 7"},
	} {
		spill(t, path, []byte(strings.Replace(plan, c.from, c.to, 1)))
		if r := do("hash", "run", dir); r.code != exitFailed || !strings.Contains(r.messages, c.want) {
			t.Errorf("%s: exit code %d, want 1 with %q\n%s", name, r.code, c.want, r.messages)
		}
	}
	// The model of the plan must be the one that is found.
	model := duplicate(t, resnet, filepath.Join(t.TempDir(), "m.onnx"))
	dir = filepath.Join(t.TempDir(), "job")
	stdoutOf(t, "hash", "plan", model, digits, "--preprocess", "mnist-01", "-o", dir)
	duplicate(t, data+"models/resnet_basic_torchscript.onnx", model)
	if r := do("hash", "run", dir); r.code != exitFailed || !strings.Contains(r.messages, "its SHA-256 is another") {
		t.Errorf("another model: exit code %d\n%s", r.code, r.messages)
	}
	// A strict job takes one engine.
	dir = filepath.Join(t.TempDir(), "strict")
	stdoutOf(t, "hash", "plan", resnet, digits, "--preprocess", "mnist-01", "--limit", "4", "--strict", "--backend", "ort", "-o", dir)
	if r := do("hash", "run", dir, "--backend", "gorgonia"); r.code != exitFailed || !strings.Contains(r.messages, "strict about its engine") {
		t.Errorf("another engine: exit code %d\n%s", r.code, r.messages)
	}
	stdoutOf(t, "hash", "run", dir, "--backend", "ort")
}

// A job whose shards come from unlike engines says so, and its codes are the same.
func TestHashOnTwoEngines(t *testing.T) {
	needORT(t)
	dir := filepath.Join(t.TempDir(), "mixed")
	stdoutOf(t, "hash", "plan", mlp, digits, "--preprocess", "mnist-01", "--shard-size", "50", "-o", dir)
	stdoutOf(t, "hash", "run", dir, "--shard", "0/2", "--backend", "ort")
	stdoutOf(t, "hash", "run", dir, "--shard", "1/2", "--backend", "gorgonia")
	stdoutOf(t, "hash", "finish", dir)
	var m struct{ Engines []jobs.Engine }
	if err := json.Unmarshal([]byte(slurp(t, filepath.Join(dir, "manifest.json"))), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Engines) != 2 || m.Engines[0].Backend != "ort" || m.Engines[1].Backend != "gorgonia" {
		t.Errorf("engines %v", m.Engines)
	}
}

// Shards of tar files are made of whole files, and a worker opens no others.
func TestHashTars(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	pictures, err := filepath.Glob(digits + "/*/*.png")
	if err != nil || len(pictures) != 100 {
		t.Fatalf("%d pictures, %v", len(pictures), err)
	}
	for k := range 5 {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		add := func(name string, content []byte) {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range pictures[k*7 : k*7+7] {
			key := strings.TrimSuffix(filepath.Base(p), ".png")
			add(key+".png", []byte(slurp(t, p)))
			add(key+".cls", []byte(filepath.Base(filepath.Dir(p))))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		spill(t, filepath.Join(dir, fmt.Sprintf("in/%05d.tar", k)), b.Bytes())
	}
	out := filepath.Join(dir, "job")
	args := []string{"hash", resnet, filepath.Join(dir, "in/{00000..00004}.tar"), "--preprocess", "mnist-01", "--shard-size", "15", "--output-format", "jsonl", "-o", out}
	stdoutOf(t, planOf(args)...)
	p, err := jobs.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, s := range p.Shards {
		sizes = append(sizes, s.Items)
		for _, c := range s.Pieces {
			if c.From != 0 || c.To != 7 {
				t.Errorf("a piece of a tar file: %+v", c)
			}
		}
	}
	if !slices.Equal(sizes, []int{14, 14, 7}) {
		t.Errorf("shards of %v items, want 14, 14 and 7", sizes)
	}
	last := filepath.Join(dir, "in/00004.tar")
	if err := os.Rename(last, last+".away"); err != nil {
		t.Fatal(err)
	}
	stdoutOf(t, "hash", "run", out, "--shard", "0/3")
	if r := do("hash", "run", out, "--shard", "2/3"); r.code != exitFailed || !strings.Contains(r.messages, "00004.tar") {
		t.Errorf("a tar file that is gone: exit code %d\n%s", r.code, r.messages)
	}
	if err := os.Rename(last+".away", last); err != nil {
		t.Fatal(err)
	}
	stdoutOf(t, args...)
	want := rows(t, stdoutOf(t, with([]string{"codes", resnet}, append(pictures[:35:35], "--preprocess", "mnist-01", "-o", "-")...)...))
	var got []map[string]any
	for i := range 3 {
		got = append(got, rows(t, slurp(t, filepath.Join(out, fmt.Sprintf("%05d.jsonl", i))))...)
	}
	if len(got) != 35 {
		t.Fatalf("%d rows, want 35", len(got))
	}
	for i, r := range got {
		if r["digest"] != want[i]["digest"] || !strings.HasPrefix(r["id"].(string), filepath.Join(dir, fmt.Sprintf("in/%05d.tar/", i/7))) ||
			fmt.Sprint(r["label"]) != filepath.Base(filepath.Dir(pictures[i])) {
			t.Errorf("row %d is %v, the picture alone %v", i, r, want[i])
		}
	}
	// More of them, by the same pattern, go behind.
	duplicate(t, filepath.Join(dir, "in/00000.tar"), filepath.Join(dir, "in/00005.tar"))
	args[2] = strings.Replace(args[2], "00004}", "00005}", 1)
	stdoutOf(t, with(args, "--mode", "extend")...)
	if more := rows(t, slurp(t, filepath.Join(out, "00003.jsonl"))); len(more) != 7 || more[0]["digest"] != got[0]["digest"] || more[0]["id"] != strings.Replace(got[0]["id"].(string), "00000.tar", "00005.tar", 1) {
		t.Errorf("the new shard has %d rows: %v", len(more), more)
	}
}

// What search reads of a job is what the job wrote, in every format.
func TestHashThenSearch(t *testing.T) {
	needORT(t)
	for _, form := range []string{"parquet", "npy", "jsonl"} {
		dir := filepath.Join(t.TempDir(), form)
		stdoutOf(t, "hash", resnet, digits, "--preprocess", "mnist-01", "--shard-size", "40", "--output-format", form, "--faiss", "-o", dir)
		for _, from := range []string{dir, filepath.Join(dir, "sketches.faiss")} {
			c, err := encoding.Open(from, encoding.OpenOptions{On: encoding.Sketch})
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			sketch := make([]byte, 32)
			if c.At(sketch, 99); c.Len() != 100 || c.Width() != 32 {
				t.Errorf("%s: %s has %d codes of %d bytes, want 100 of 32", form, from, c.Len(), c.Width())
			}
			rows := rows(t, stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--sketch", "256", "--code=false", "-o", "-"))
			if !bytes.Equal(sketch, unhex(t, rows[99]["sketch"].(string))) {
				t.Errorf("%s: the last sketch in %s is another", form, from)
			}
		}
	}
}

// A job that is interrupted while the model is prepared has lost nothing, and says so.
func TestHashInterruptedBeforeItRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, "hash", "plan", resnet, digits, "--preprocess", "mnist-01", "--backend", "gorgonia", "--shard-size", "40", "-o", dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var messages bytes.Buffer
	err := perform(ctx, []string{"hash", "run", dir, "--backend", "gorgonia"}, strings.NewReader(""), io.Discard, &messages)
	if want := "interrupted with 0 shards done; the same command goes on from there"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	stdoutOf(t, "hash", "run", dir, "--backend", "gorgonia")
}
