package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// full is standard output on a disk that has room for some bytes.
type full struct{ room int }

var errFull = errors.New("no room is left")

func (f *full) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	if f.room -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}

// Text that does not reach standard output to its end is a failure in every verb, a file
// that was written before stays, and wrong usage is still that.
func TestStandardOutputThatIsFull(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	codes := filepath.Join(dir, "codes.parquet")
	stdoutOf(t, pictures("codes", resnet, digits, "--sketch", "64", "-o", codes)...)
	boxes := boxed(t, 4)
	hashed := filepath.Join(dir, "job")
	stdoutOf(t, pictures("hash", resnet, digits, "-o", hashed)...)
	for _, args := range [][]string{
		{}, {"--help"}, {"--version"}, {"help", "codes"}, {"hash", "--help"}, {"completion", "bash"}, {"list", "presets"}, {"runtime", "list"},
		{"inspect", resnet}, {"inspect", resnet, "--json"}, {"run", resnet, "--random", "2"}, {"codes", resnet, "--random", "2", "-o", "-"},
		{"complexity", resnet, "--random", "2", "-o", "-"}, {"affine", mlp, "--random", "1"}, {"affine", mlp, "--random", "1", "--json"},
		{"attach", resnet, "-o", "$T/probed.onnx"}, {"compare", resnet, "--random", "2"}, {"compare", resnet, "--random", "2", "--json"},
		{"search", codes, "--all"}, {"search", codes, "--all", "--json"}, {"dedup", codes, "--distance", "20"}, {"dedup", codes, "--json"},
		{"evaluate", codes}, {"evaluate", codes, "--json"}, {"hash", "status", hashed}, {"hash", "plan", "--help"}, {"demo", "--dir", "$T/demo"},
		{"regions", digits, "--regions", boxes}, {"regions", digits, "--regions", boxes, "-o", "-", "--output-format", "csv"},
		{"codes", resnet, "--random", "2", "-o", "$T/c.npy", "--json"}, {"bench", mlp, "--seconds", "0.01"},
	} {
		args = strings.Split(strings.ReplaceAll(strings.Join(args, "\x00"), "$T", dir), "\x00")
		if args[0] == "" {
			args = []string{}
		}
		var messages bytes.Buffer
		if code := run(args, strings.NewReader(""), &full{}, &messages); code != exitFailed || strings.Count(messages.String(), "onnxprobe: writing to standard output: no room is left\n") != 1 {
			t.Errorf("%q: exit code %d, want 1 and a line that says why:\n%s", args, code, messages.String())
		}
		messages.Reset()
		if code := run(args, strings.NewReader(""), &full{room: 1}, &messages); code == exitDone {
			t.Errorf("%q: exit code 0 after one byte", args)
		}
	}
	for _, name := range []string{"probed.onnx", "c.npy", "c.npy.manifest.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("the result itself does not stay: %v", err)
		}
	}
	var messages bytes.Buffer
	if code := run([]string{"inspect", "--nope"}, strings.NewReader(""), &full{}, &messages); code != exitUsage {
		t.Errorf("wrong usage: exit code %d, want 2", code)
	}
}

// The device that is always full says so as the system does.
func TestFullDevice(t *testing.T) {
	w, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer w.Close()
	var messages bytes.Buffer
	if code := run([]string{"list", "presets"}, strings.NewReader(""), w, &messages); code != exitFailed || messages.String() != "onnxprobe: writing to standard output: no space left on device\n" {
		t.Errorf("exit code %d, want 1:\n%s", code, messages.String())
	}
}

// A run of whose items none could be used has failed: it leaves no array, which would be
// zeros, and the rows that say why where a format has room for them.
func TestNoItemUsed(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	for _, name := range []string{"a.png", "b.png"} {
		spill(t, filepath.Join(dir, "in", name), []byte("none"))
	}
	in := filepath.Join(dir, "in")
	boxes := spill(t, filepath.Join(dir, "boxes.csv"), []byte("path,x0,y0,x1,y1,label,id\na.png,0,0,8,8,whole,x\nb.png,0,0,8,8,whole,y\n"))
	for name, c := range map[string]struct {
		args   []string
		counts string
		files  []string // that are left
	}{
		"codes.npy":          {pictures("codes", resnet, in, "-o", "$T/r.npy"), "2 items", nil},
		"codes.parquet":      {pictures("codes", resnet, in, "-o", "$T/r.parquet"), "2 items", []string{"r.parquet", "r.parquet.manifest.json"}},
		"codes.jsonl":        {pictures("codes", resnet, in, "-o", "$T/r.jsonl", "--json"), "2 items", []string{"r.jsonl", "r.jsonl.manifest.json"}},
		"codes":              {pictures("codes", resnet, in, "-o", "-"), "2 items", nil},
		"complexity.npy":     {pictures("complexity", resnet, in, "-o", "$T/r.npy"), "2 items", nil},
		"complexity.parquet": {pictures("complexity", resnet, in, "-o", "$T/r.parquet"), "2 items", []string{"r.parquet", "r.parquet.manifest.json"}},
		"run":                {pictures("run", resnet, in), "2 items", nil},
		"run.npy":            {pictures("run", resnet, in, "-o", "$T/r.npy"), "2 items", nil},
		"compare":            {pictures("compare", resnet, in, "-o", "$T/r.parquet"), "2 items", nil},
		"regions.npy":        {pictures("codes", resnet, in, "--regions", boxes, "--channels", "-o", "$T/r.npy"), "2 regions", nil},
		"regions.jsonl":      {pictures("codes", resnet, in, "--regions", boxes, "--channels", "-o", "$T/r.jsonl"), "2 regions", []string{"r.jsonl", "r.jsonl.manifest.json"}},
		"regions":            {[]string{"regions", in, "--regions", boxes}, "2 pictures", nil},
		"regions.json":       {[]string{"regions", in, "--regions", boxes, "-o", "$T/r.json"}, "2 pictures", nil},
		"regions yolo":       {[]string{"regions", in, "--regions", boxes, "--output-format", "yolo", "-o", "$T/r"}, "2 pictures", nil},
	} {
		to := t.TempDir()
		args := strings.Split(strings.ReplaceAll(strings.Join(c.args, "\x00"), "$T", to), "\x00")
		r := do(args...)
		if r.code != exitFailed || !strings.Contains(r.messages, "none of "+c.counts+" could be used; the first: ") {
			t.Errorf("%s: exit code %d, want 1 and a line that says why:\n%s", name, r.code, r.messages)
		}
		if left := list(t, to); strings.Join(left, " ") != strings.Join(c.files, " ") {
			t.Errorf("%s: it left %q, want %q", name, left, c.files)
		}
	}
	// What is asked of such a result is nothing to answer from.
	codes := filepath.Join(dir, "none.parquet")
	do(pictures("codes", resnet, in, "-o", codes)...)
	for _, args := range [][]string{{"search", codes, "--all"}, {"dedup", codes}, {"evaluate", codes}, {"report", codes, "-o", filepath.Join(dir, "r.html")}} {
		if r := do(args...); r.code != exitFailed || r.stdout != "" {
			t.Errorf("%q: exit code %d, want 1, and printed %q\n%s", args, r.code, r.stdout, r.messages)
		}
	}
	// One that is good makes it a result of which some failed.
	duplicate(t, digits+"/3/0213.png", filepath.Join(in, "c.png"))
	if r := do(pictures("codes", resnet, in, "-o", filepath.Join(dir, "some.npy"))...); r.code != exitSomeFailed {
		t.Errorf("one of three: exit code %d, want 3\n%s", r.code, r.messages)
	}
}

// thrown is a stream over which a verb panics.
type thrown struct{}

func (thrown) Write([]byte) (int, error) { panic("thrown\nover two lines") }
func (thrown) Read([]byte) (int, error)  { panic("thrown\nover two lines") }

// A panic is a failure with a message, in a verb and in what works for it on another
// goroutine: the runtime's own exit code for it means wrong usage here.
func TestPanicIsAFailure(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args  []string
		where string // in the stack
	}{
		"the verb":    {[]string{"codes", resnet, "-", "--preprocess", "mnist-01", "-o", filepath.Join(dir, "x.npy")}, "thrown.Read"},
		"the printer": {[]string{"list", "presets"}, "thrown.Write"},
		"a goroutine": {[]string{"codes", resnet, "--random", "4", "-o", "-"}, "thrown.Write"},
	} {
		var messages bytes.Buffer
		code := run(c.args, thrown{}, thrown{}, &messages)
		said := messages.String()
		if code != exitFailed || !strings.Contains(said, "onnxprobe: internal error: thrown over two lines; please report it with the command line and the model\ngoroutine ") || !strings.Contains(said, c.where) {
			t.Errorf("%s: exit code %d, want 1 and a message with the stack:\n%s", name, code, said)
		}
	}
	if left := list(t, dir); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
}

// An interrupted run says that nothing was written only where that is so.
func TestInterruptedAfterAResult(t *testing.T) {
	const none, some = "interrupted; no result was written", "interrupted; what was complete before stays"
	defer kept.Store(kept.Load())
	kept.Store(nil)
	if err := keeping(errFull); err != errFull || interrupted() != none {
		t.Errorf("%v, %q", err, interrupted())
	}
	if err := keeping(nil); err != nil || interrupted() != some {
		t.Errorf("%v, %q", err, interrupted())
	}
}

// A study of which no network could be measured has failed.
func TestNoNetworkMeasured(t *testing.T) {
	bad := []studyFailure{{"a.onnx", "a.onnx: torn"}, {"b.onnx", "b.onnx: torn too"}}
	for networks, want := range map[int]int{2: exitFailed, 3: exitSomeFailed} {
		s := studySummary{Networks: networks, Failed: bad}
		err := s.show(newRoot(nil, &full{}, &full{room: 1000}), false, func(io.Writer) {})
		var messages bytes.Buffer
		if code := end(err, &stdout{}, &messages); code != want || !strings.Contains(messages.String(), "a.onnx: torn") {
			t.Errorf("2 of %d failed: exit code %d, want %d\n%s", networks, code, want, messages.String())
		}
	}
}
