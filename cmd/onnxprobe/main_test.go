package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

const (
	data   = "../../testdata/"
	resnet = data + "models/resnet_basic_dynamo.onnx"
	cnn    = data + "models/cnn_dynamo.onnx"
	mlp    = data + "models/mlp_dynamo.onnx"
	vit    = data + "models/vit_dynamo.onnx"
	digits = data + "images/digits"
)

func needORT(t testing.TB) {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
}

// outcome is what a command line came to.
type outcome struct {
	code             int
	stdout, messages string
}

func feed(stdin string, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &err)
	return outcome{code, out.String(), err.String()}
}

func do(args ...string) outcome { return feed("", args...) }

// stdoutOf runs a command line that has to succeed and returns its standard output.
func stdoutOf(t testing.TB, args ...string) string {
	t.Helper()
	r := do(args...)
	if r.code != exitDone {
		t.Fatalf("%q: exit code %d, want 0\n%s", args, r.code, r.messages)
	}
	return r.stdout
}

// rows reads JSON Lines.
func rows(t testing.TB, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, row)
	}
	return out
}

func slurp(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func spill(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func duplicate(t testing.TB, from, to string) string {
	t.Helper()
	return spill(t, to, []byte(slurp(t, from)))
}

// list is the names in a folder, hidden ones too.
func list(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func readArray(t testing.TB, path string) *tensor.Tensor {
	t.Helper()
	a, err := tensor.ReadNpyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func saveArray(t testing.TB, path string, a *tensor.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := tensor.WriteNpy(&b, a); err != nil {
		t.Fatal(err)
	}
	return spill(t, path, b.Bytes())
}

// golden is PyTorch's numbers for a network, and the pictures they are of.
type golden struct {
	Images []string
	arrays map[string]*tensor.Tensor
}

func readGolden(t testing.TB, name string) golden {
	t.Helper()
	var g golden
	if err := json.Unmarshal([]byte(slurp(t, data+"golden/"+name+".json")), &g); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.arrays, err = tensor.ReadNpzFile(data + "golden/" + name + ".npz"); err != nil {
		t.Fatal(err)
	}
	if len(g.Images) == 0 {
		t.Fatalf("golden %s lists no images", name)
	}
	return g
}

// paths are the golden's pictures as arguments.
func (g golden) paths() []string {
	var p []string
	for _, i := range g.Images {
		p = append(p, data+i)
	}
	return p
}

// with joins arguments.
func with(first []string, more ...string) []string {
	return append(append([]string{}, first...), more...)
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 sites": text.Count(0, "site"), "1 site": text.Count(1, "site"), "2,048 sites": text.Count(int64(2048), "site"),
		"1 query": text.Count(1, "query"), "3 queries": text.Count(3, "query"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
