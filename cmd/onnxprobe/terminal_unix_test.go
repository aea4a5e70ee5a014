//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Whatever files, folders and nodes are called, no verb writes what a terminal obeys.
func TestNamesDoNothingToATerminal(t *testing.T) {
	const evil = "\x1b[31m\x07\nonnxprobe: done"
	dir := t.TempDir()
	folder := func(name string) string { return filepath.Join(dir, name) }
	pictures, err := filepath.Glob(digits + "/*/*.png")
	if err != nil || len(pictures) < 20 {
		t.Fatal(len(pictures), err)
	}
	for i, p := range pictures[:20] {
		class := filepath.Join(dir, "data", fmt.Sprint("class ", i%2, evil))
		if err := os.MkdirAll(class, 0o700); err != nil {
			t.Fatal(err)
		}
		duplicate(t, p, filepath.Join(class, fmt.Sprintf("%d%s.png", i, evil)))
	}
	spill(t, filepath.Join(dir, "data", "class 0"+evil, "bad"+evil+".png"), []byte("no picture"))
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: out + evil, Op: op, Inputs: []string{in}, Outputs: []string{out}}
	}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
		Nodes:   []*onnx.Node{node("Relu", "x", "h"), node("GlobalAveragePool", "h", "p"), node("Flatten", "p", "y")},
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Param: "N"}, {Size: 1}, {Size: 8}, {Size: 8}})},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}}}
	model := folder("m" + evil + ".onnx")
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	data, codes := []string{model, folder("data"), "--preprocess", "mnist-01"}, folder("c.parquet")
	lines := [][]string{
		with([]string{"codes"}, append(data, "-o", codes)...), with([]string{"run"}, data...), with([]string{"compare"}, data...),
		with([]string{"complexity"}, append(data, "-o", folder("l.parquet"))...), {"inspect", model, "--engines"}, {"attach", model, "-o", folder("p.onnx")},
		{"search", codes, "--all", "-k", "2"}, {"dedup", codes}, {"evaluate", codes, "--by-site"}, with([]string{"affine"}, append(data, "--index", "1")...),
		with([]string{"hash"}, append(data, "-o", folder("job"))...), {"hash", "status", folder("job")}, {"hash", "verify", folder("job")},
		{"report", codes, "-o", folder("r.html")}, {"bench", model, "--seconds", "0.1"},
	}
	var all error
	for _, args := range lines {
		r := do(args...)
		if r.code == exitUsage {
			all = errors.Join(all, fmt.Errorf("%q: %s", args, r.messages))
		}
		for name, said := range map[string]string{"output": r.stdout, "messages": r.messages} {
			if strings.ContainsAny(said, "\x1b\x07") || strings.Contains(said, "\nonnxprobe: done") {
				t.Errorf("%s: its %s: %q", args[0], name, said)
			}
		}
	}
	if all != nil {
		t.Error(all)
	}
}
