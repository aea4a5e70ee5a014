package encoding

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// manifest is what a run on a network of two sites of 20 and 12 bits writes.
func manifest(sketch int, seed uint64) map[string]any {
	return map[string]any{
		"model": "m.onnx", "sha256": map[string]string{"m.onnx": "abcdef0123456789"}, "code_bytes": 5,
		"sites":    []map[string]any{{"name": "relu1", "units": 20, "planes": 1}, {"name": "relu2", "units": 6, "planes": 2}},
		"settings": map[string]any{"sketch": sketch, "seed": seed},
	}
}

type made struct {
	ids             []string
	codes, sketches [][]byte // nil where the item has none
}

// resultOf is n items, of which every fifth from item 3 on could not be read.
func resultOf(n int) (r made) {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		r.ids = append(r.ids, fmt.Sprintf("dir/é %d.png", i))
		if i%5 == 3 {
			r.codes, r.sketches = append(r.codes, nil), append(r.sketches, nil)
			continue
		}
		r.codes, r.sketches = append(r.codes, random(rng, 1, 5, false)[0]), append(r.sketches, random(rng, 1, 2, false)[0])
	}
	return r
}

func (r made) columns(lo, hi int, perSite bool) []result.Column {
	n := hi - lo
	null := make([]bool, n)
	ids, paths, status, errs, digests, labels := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	good := make([]bool, n)
	code, sketch := make([]byte, 5*n), make([]byte, 2*n)
	for i := range n {
		ids[i], paths[i], labels[i] = r.ids[lo+i], "/data/"+r.ids[lo+i], int64(lo+i)
		c := r.codes[lo+i]
		null[i], good[i] = c == nil, c != nil
		if status[i] = "ok"; c == nil {
			status[i], errs[i] = "error", "no picture"
			continue
		}
		digests[i] = probes.DigestOf(c).String()
		copy(code[5*i:], c)
		copy(sketch[2*i:], r.sketches[lo+i])
	}
	whole := result.Column{Name: "code", Values: code, Width: 5, Null: null}
	if perSite {
		whole.Parts = []result.Part{{Name: "relu1", Width: 3}, {Name: "relu2", Width: 2}}
	}
	return []result.Column{
		{Name: "id", Values: ids}, {Name: "path", Values: paths}, {Name: "label", Values: labels, Null: null},
		{Name: "status", Values: status}, {Name: "error", Values: errs, Null: good}, {Name: "digest", Values: digests, Null: null},
		{Name: "sketch", Values: sketch, Width: 2, Null: null}, whole,
	}
}

func save(t testing.TB, path string, o result.Options, m any, batches ...[]result.Column) string {
	t.Helper()
	s, err := result.Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(m); err != nil {
		t.Fatal(err)
	}
	return path
}

// check says whether c is what r holds.
func (r made) check(t *testing.T, c *Codes, on string, described bool) {
	t.Helper()
	row := 0
	for i, id := range r.ids {
		want := r.codes[i]
		switch {
		case want == nil:
			if why, ok := c.FailedWhy(id); described && (!ok || why != "no picture") {
				t.Errorf("item %q failed by %q", id, why)
			}
			continue
		case on == Sketch:
			want = r.sketches[i]
		case on == Digest:
			d := probes.DigestOf(want)
			want = d[:]
		}
		if row >= c.Len() {
			t.Fatalf("%d codes; item %d is one more", c.Len(), i)
		}
		got := make([]byte, c.Width())
		c.At(got, row)
		if !bytes.Equal(got, want) || c.ID(row) != id || !slices.Equal(c.Rows(id), []int{row}) {
			t.Fatalf("row %d is %q with %x, want %q with %x", row, c.ID(row), got, id, want)
		}
		if label, ok := c.Label(row); described && (c.Path(row) != "/data/"+id || label != numbered(int64(i)) || !ok) {
			t.Fatalf("row %d: path %q, label %v", row, c.Path(row), label)
		}
		row++
	}
	if c.Len() != row || c.Len()+c.Failed != len(r.ids) || c.On != on {
		t.Errorf("%d codes (%s), %d failed; want %d of %d", c.Len(), c.On, c.Failed, row, len(r.ids))
	}
}

func TestOpenFormats(t *testing.T) {
	dir := t.TempDir()
	r := resultOf(33)
	m := manifest(16, 7)
	one := [][]result.Column{r.columns(0, 20, false), r.columns(20, 33, false)}
	parts := [][]result.Column{r.columns(0, 20, true), r.columns(20, 33, true)}
	without := func(name string) [][]result.Column {
		cols := r.columns(0, 33, false)
		return [][]result.Column{slices.DeleteFunc(cols, func(c result.Column) bool { return c.Name == name })}
	}
	files := map[string][]string{ // what each has, the default first
		save(t, filepath.Join(dir, "a.parquet"), result.Options{}, m, one...):                             {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "parts.parquet"), result.Options{}, m, parts...):                       {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "a.jsonl"), result.Options{}, m, one...):                               {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "parts.jsonl"), result.Options{}, m, parts...):                         {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "a.npy"), result.Options{Array: "code"}, m, one...):                    {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "sketch.npy"), result.Options{Array: "sketch"}, m, without("code")...): {Sketch, Digest},
		save(t, filepath.Join(dir, "both.npy"), result.Options{Array: "sketch"}, m, one...):               {Sketch, Code, Digest},
		save(t, filepath.Join(dir, "code.parquet"), result.Options{}, m, without("sketch")...):            {Code, Digest},
	}
	for path, kinds := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, on := range append([]string{""}, kinds...) {
				c, err := Open(path, OpenOptions{On: on})
				if err != nil {
					t.Fatal(err)
				}
				if on == "" {
					on = kinds[0]
				}
				r.check(t, c, on, true)
				if full, want := c.FullBits, map[string]int{Sketch: 32}[on]; full != want || c.Bits != map[string]int{Sketch: 16, Code: 32, Digest: 128}[on] {
					t.Errorf("%s: %d bits of %d", on, c.Bits, full)
				}
				few, err := Open(path, OpenOptions{On: on, Names: true})
				if err != nil {
					t.Fatal(err)
				}
				r.check(t, few, on, false)
			}
			for _, on := range []string{Sketch, Code} {
				if !slices.Contains(kinds, on) {
					if _, err := Open(path, OpenOptions{On: on}); err == nil || !strings.Contains(err.Error(), "no "+on) {
						t.Errorf("asked for its %s: %v", on, err)
					}
				}
			}
			if _, err := Open(path, OpenOptions{On: kinds[0], MaxBytes: 100}); err == nil || !strings.Contains(err.Error(), "more than") {
				t.Errorf("in 100 bytes of memory: %v", err)
			}
		})
	}
	if _, err := Open(filepath.Join(dir, "a.jsonl"), OpenOptions{On: "x"}); err == nil {
		t.Error("a kind of codes that there is not")
	}
}

// A batch job's folder: shards by number, with one manifest, or the plan's.
func TestOpenFolders(t *testing.T) {
	r := resultOf(50)
	for _, format := range []string{"parquet", "npy", "jsonl"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 5 {
				cols := r.columns(10*i, 10*i+10, false)
				if format == "npy" {
					cols = cols[:len(cols)-1] // no codes: the array is the sketches
				}
				save(t, filepath.Join(dir, fmt.Sprintf("%05d.%s", i, format)), result.Options{Array: "sketch"}, nil, cols)
				os.Remove(filepath.Join(dir, fmt.Sprintf("%05d.%s.manifest.json", i, format)))
			}
			for _, junk := range []string{"notes.jsonl", ".00009.parquet.x.tmp", "00000_stats.json"} {
				os.WriteFile(filepath.Join(dir, junk), []byte("{}"), 0o666)
			}
			m := manifest(0, 0)
			text, _ := json.Marshal(map[string]any{"manifest": m, "settings": map[string]any{"sketch": 16, "seed": 9}})
			os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o666)
			c, err := Open(dir, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r.check(t, c, Sketch, true)
			if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "not finished") || c.Origin == nil || c.Origin.Settings.Seed != 9 {
				t.Errorf("notes %q, origin %+v", c.Notes, c.Origin)
			}
			os.WriteFile(filepath.Join(dir, "_SUCCESS"), nil, 0o666)
			if c, err = Open(dir, OpenOptions{}); err != nil || c.Notes != nil || c.Origin.Settings.Seed != 9 {
				t.Errorf("finished: %v, notes %q", err, c.Notes)
			}
		})
	}
	dir := t.TempDir()
	if _, err := Open(dir, OpenOptions{}); err == nil || !strings.Contains(err.Error(), "no .parquet") {
		t.Errorf("an empty folder: %v", err)
	}
	save(t, filepath.Join(dir, "a.parquet"), result.Options{}, manifest(16, 7), r.columns(0, 9, false))
	save(t, filepath.Join(dir, "b.parquet"), result.Options{}, manifest(16, 8), r.columns(0, 9, false))
	if _, err := Open(dir, OpenOptions{}); err == nil || !strings.Contains(err.Error(), "b.parquet") || !strings.Contains(err.Error(), "seed") {
		t.Errorf("files of two seeds: %v", err)
	}
}

func TestOpenWithoutItems(t *testing.T) {
	dir := t.TempDir()
	none := resultOf(0)
	for _, name := range []string{"a.parquet", "a.npy", "a.jsonl"} {
		path := save(t, filepath.Join(dir, name), result.Options{Array: "code"}, manifest(16, 7), none.columns(0, 0, false))
		if c, err := Open(path, OpenOptions{}); err != nil || c.Len() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All items failed.
	r := resultOf(4)
	path := save(t, filepath.Join(dir, "failed.parquet"), result.Options{}, manifest(16, 7), r.columns(3, 4, false))
	if c, err := Open(path, OpenOptions{}); err != nil || c.Len() != 0 || c.Failed != 1 {
		t.Errorf("%v", err)
	}
	// An array alone: rows are their own names.
	path = save(t, filepath.Join(dir, "alone.npy"), result.Options{Array: "code"}, nil, r.columns(0, 3, false))
	os.Remove(result.ItemsPath(path))
	if c, err := Open(path, OpenOptions{}); err != nil || c.Len() != 3 || c.ID(2) != "2" || c.On != Code || c.Path(1) != "" {
		t.Errorf("%v", err)
	} else if _, ok := c.Label(0); ok {
		t.Error("it has labels")
	}
}

func TestFaissRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, width := range []int{1, 5, 32} {
		rows := random(r, 37, width, false)
		c := codesOf(t, width, rows...)
		path := filepath.Join(t.TempDir(), "x.bin")
		var b bytes.Buffer
		if err := c.WriteFaiss(&b); err != nil {
			t.Fatal(err)
		}
		if b.Len() != len(result.FaissHeader(width, 37))+37*width {
			t.Errorf("%d bytes", b.Len())
		}
		os.WriteFile(path, b.Bytes(), 0o666)
		for _, on := range []string{"", Code, Sketch} {
			got, err := Open(path, OpenOptions{On: on})
			if err != nil {
				t.Fatal(err)
			}
			code := make([]byte, width)
			for i, want := range rows {
				if got.At(code, i); !bytes.Equal(code, want) {
					t.Fatalf("row %d: %x, want %x", i, code, want)
				}
			}
			if got.Len() != 37 || got.ID(36) != "36" {
				t.Errorf("%d codes", got.Len())
			}
		}
		if _, err := Open(path, OpenOptions{On: Digest}); err == nil {
			t.Error("it has digests")
		}
		if _, err := Open(path, OpenOptions{MaxBytes: 10}); err == nil {
			t.Error("read into 10 bytes")
		}
	}
	seq := codesOf(t, 2, []byte{1, 2}, []byte{3, 4})
	for n, want := range map[int]string{1: "more than", 3: "2 codes"} {
		if err := result.WriteFaiss(&bytes.Buffer{}, 2, n, seq.All()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d codes said, 2 given: %v", n, err)
		}
	}
	if err := result.WriteFaiss(&bytes.Buffer{}, 3, 2, seq.All()); err == nil {
		t.Error("codes of 2 bytes in an index of 3")
	}
	if err := result.WriteFaiss(&bytes.Buffer{}, 0, 0, seq.All()); err == nil {
		t.Error("an index of codes of 0 bytes")
	}
}

// The bytes that faiss 1.15.1's write_index_binary made of two codes, 0102 and
// fffe, added to an IndexBinaryFlat(16).
const ofFaiss = "4942784610000000020000000200000000000000010100000004000000000000000102fffe"

func TestFaissBytes(t *testing.T) {
	want, err := hex.DecodeString(ofFaiss)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := codesOf(t, 2, []byte{1, 2}, []byte{0xff, 0xfe}).WriteFaiss(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%x (%v), FAISS writes %x", got.Bytes(), err, want)
	}
}

// FAISS itself reads what WriteFaiss writes, and finds the same distances.
func TestFaissAgrees(t *testing.T) {
	python := os.Getenv("ONNXPROBE_FAISS_PYTHON")
	if python == "" {
		t.Skip("set ONNXPROBE_FAISS_PYTHON to a Python that has faiss-cpu")
	}
	r := rand.New(rand.NewPCG(3, 3))
	dir := t.TempDir()
	base, queries := randomCodes(t, r, 5000, 32), randomCodes(t, r, 20, 32)
	for name, c := range map[string]*Codes{"base": base, "queries": queries} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.WriteFaiss(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	out, err := exec.Command(python, "-c", `
import faiss, json, sys
b, q = (faiss.read_index_binary(sys.argv[1] + "/" + n) for n in ("base", "queries"))
x = faiss.vector_to_array(q.xb).reshape(q.ntotal, -1)
print(json.dumps(b.search(x, 10)[0].tolist()))`, dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want [][]int32
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	got, err := Search(t.Context(), queries, base, 10, SearchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, ns := range got {
		for j, n := range ns {
			if n.Distance != want[i][j] {
				t.Errorf("query %d, neighbor %d: %d, FAISS has %d", i, j, n.Distance, want[i][j])
			}
		}
	}
}

// Damaged files are errors, never panics, and never other codes in silence where
// the format can tell.
func TestHostileFiles(t *testing.T) {
	dir := t.TempDir()
	r := resultOf(30)
	for _, name := range []string{"a.parquet", "a.npy", "a.jsonl", "a.faiss"} {
		path := filepath.Join(dir, name)
		if name == "a.faiss" {
			f, _ := os.Create(path)
			if err := codesOf(t, 2, r.sketches[0], r.sketches[1]).WriteFaiss(f); err != nil {
				t.Fatal(err)
			}
			f.Close()
		} else {
			save(t, path, result.Options{Array: "code"}, manifest(16, 7), r.columns(0, 30, false))
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		step := max(len(good)/150, 1)
		for cut := 0; cut < len(good); cut += step {
			os.WriteFile(path, good[:cut], 0o666)
			if _, err := Open(path, OpenOptions{}); err == nil && name != "a.jsonl" {
				t.Errorf("%s cut to %d of %d bytes is read", name, cut, len(good))
			}
		}
		for at := 0; at < len(good); at += step {
			for _, flip := range []byte{0xff, 1, 0x80} {
				bad := bytes.Clone(good)
				bad[at] ^= flip
				os.WriteFile(path, bad, 0o666)
				for _, on := range []string{"", Code, Digest} {
					_, _ = Open(path, OpenOptions{On: on, MaxBytes: 1 << 30})
				}
			}
		}
		os.WriteFile(path, append(bytes.Clone(good), 0), 0o666)
		if _, err := Open(path, OpenOptions{}); err == nil {
			t.Errorf("%s with a byte too many is read", name)
		}
	}
	items := result.ItemsPath(filepath.Join(dir, "b.npy"))
	save(t, filepath.Join(dir, "b.npy"), result.Options{Array: "code"}, nil, r.columns(0, 30, false))
	text, _ := os.ReadFile(items)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, content := range map[string][]byte{"short": bytes.Join(lines[:29], nil), "long": append(bytes.Clone(text), lines[0]...)} {
		os.WriteFile(items, content, 0o666)
		if _, err := Open(filepath.Join(dir, "b.npy"), OpenOptions{}); err == nil || !strings.Contains(err.Error(), "30 rows") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"no hex": `{"id":"a","code":"xy"}`, "a number": `{"id":"a","code":5}`, "odd": `{"id":"a","code":"abc"}`, "not one width": "{\"code\":\"ab\"}\n{\"code\":\"abcd\"}",
		"nothing of ours": `{"a":1}`, "a digest too short": `{"digest":"abcd"}`, "no digest": `{"digest":"` + strings.Repeat("x", 32) + `"}`,
		"a number for a part": `{"code":{"relu":5}}`, "a list": `{"code":["ab"]}`, "a part that is no hex": `{"code":{"relu":"zz"}}`, "a list of rows": `[{"code":"ab"}]`,
	} {
		path := filepath.Join(dir, "x.jsonl")
		os.WriteFile(path, []byte(text), 0o666)
		if _, err := Open(path, OpenOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "missing.parquet"), os.DevNull} {
		if _, err := Open(path, OpenOptions{}); err == nil {
			t.Errorf("%s is read", path)
		}
	}
	os.WriteFile(filepath.Join(dir, "x.csv"), []byte("id,code\n"), 0o666)
	if _, err := Open(filepath.Join(dir, "x.csv"), OpenOptions{}); err == nil || !strings.Contains(err.Error(), ".csv") {
		t.Errorf("a .csv file: %v", err)
	}
}

func TestComparable(t *testing.T) {
	dir := t.TempDir()
	r := resultOf(10)
	open := func(name string, m any, on string) *Codes {
		c, err := Open(save(t, filepath.Join(dir, name), result.Options{Force: true}, m, r.columns(0, 10, false)), OpenOptions{On: on})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := open("a.parquet", manifest(16, 7), Sketch)
	model, sites, code := manifest(16, 7), manifest(16, 7), manifest(16, 8)
	model["sha256"] = map[string]string{"m.onnx": "ffff"}
	sites["sites"] = []map[string]any{{"name": "relu1", "units": 20, "planes": 1}, {"name": "relu3", "units": 6, "planes": 2}}
	for _, x := range []struct {
		name string
		with *Codes
		want []string
	}{
		{"the same", open("b.jsonl", manifest(16, 7), Sketch), nil},
		{"no manifest", open("c.jsonl", map[string]any{}, Sketch), nil},
		{"seed", open("d.jsonl", manifest(16, 8), Sketch), []string{"seed", "7 and 8"}},
		{"size", open("e.jsonl", manifest(15, 8), Sketch), []string{"seed", "16 and 15 bits"}},
		{"model", open("f.jsonl", model, Sketch), []string{"the model", "ffff"}},
		{"sites", open("g.jsonl", sites, Sketch), []string{"the sites", `"relu2"`, `"relu3"`}},
		{"kind", open("h.jsonl", code, Code), []string{"sketch", "code"}},
		{"width", codesOf(t, 3, []byte{1, 2, 3}), []string{"2 and 3 bytes"}},
	} {
		err := Comparable(a, x.with)
		if (err == nil) != (x.want == nil) {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		for _, w := range x.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", x.name, err, w)
			}
		}
	}
	// Whole codes do not depend on the sketch.
	if err := Comparable(open("i.jsonl", manifest(16, 7), Code), open("j.jsonl", code, Code)); err != nil {
		t.Error(err)
	}
}

func TestPick(t *testing.T) {
	r := resultOf(20)
	c, err := Open(save(t, filepath.Join(t.TempDir(), "a.parquet"), result.Options{}, manifest(16, 7), r.columns(0, 20, false)), OpenOptions{On: Code})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pick([]int{5, 0, 5})
	a, b := make([]byte, 5), make([]byte, 5)
	for i, row := range []int{5, 0, 5} {
		c.At(a, row)
		p.At(b, i)
		if !bytes.Equal(a, b) || p.ID(i) != c.ID(row) || p.Path(i) != c.Path(row) || p.Bits != 32 || p.Origin == nil {
			t.Errorf("row %d is not row %d", i, row)
		}
	}
	if p.Len() != 3 {
		t.Errorf("%d rows", p.Len())
	}
}

func FuzzFaiss(f *testing.F) {
	b, _ := hex.DecodeString(ofFaiss)
	f.Add(b)
	f.Add(b[:20])
	f.Add([]byte("IBxF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.faiss")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := result.Open(path)
		if err != nil {
			return
		}
		file.Close()
		c, err := Open(path, OpenOptions{MaxBytes: 1 << 24})
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := c.WriteFaiss(&again); err != nil {
			t.Fatal(err)
		}
		// What is not read is whether the index is trained, and its metric.
		if got := again.Bytes(); len(got) != len(b) || !bytes.Equal(got[:20], b[:20]) || !bytes.Equal(got[25:], b[25:]) {
			t.Errorf("read and written again, %x became %x", b, got)
		}
	})
}
