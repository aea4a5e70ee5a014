package rewrite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
)

// No model makes inlining, lowering or widening panic or ask for all memory.
func FuzzLower(f *testing.F) {
	for i, c := range rowCases() {
		if b, err := c.model().Marshal(); err == nil && i%3 == 0 {
			f.Add(b)
		}
	}
	for _, m := range inlineCases() {
		if b, err := m.Marshal(); err == nil {
			f.Add(b)
		}
	}
	for _, name := range []string{"mlp_torchscript", "cnn_dynamo", "acts_torchscript"} {
		if m, err := onnx.Load(filepath.Join("../../testdata/models", name+".onnx")); err == nil {
			if b, err := m.Marshal(); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Load(path)
		if err != nil {
			return
		}
		if flat, err := rewrite.Inline(m); err == nil {
			if err := flat.Check(); err != nil {
				t.Errorf("the inlined model is broken: %v", err)
			}
		}
		shapes := map[string][]int64{}
		for _, v := range m.Graph.Inputs {
			shapes[v.Name] = []int64{}
			for _, d := range v.Shape {
				if d.Size < 0 || d.Param != "" {
					d.Size = 2
				}
				shapes[v.Name] = append(shapes[v.Name], d.Size)
			}
		}
		low, _, err := rewrite.Lower(m, shapes)
		if err == nil {
			if err := low.Check(); err != nil {
				t.Errorf("the lowered model is broken: %v", err)
			}
		}
		if wide, err := rewrite.Widen(m); err == nil {
			if err := wide.Check(); err != nil {
				t.Errorf("the widened model is broken: %v", err)
			}
		}
	})
}
