package onnx

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// readTensors reads input_0.pb and so on of a conformance case.
func readTensors(t *testing.T, pattern string) (ts []*Tensor) {
	t.Helper()
	paths, _ := filepath.Glob(pattern)
	for i := range paths {
		b, err := os.ReadFile(strings.Replace(pattern, "?", fmt.Sprint(i), 1))
		if err != nil {
			return nil
		}
		w, err := (&decoder{}).tensor(b)
		if err != nil || w.check() != nil {
			return nil
		}
		ts = append(ts, w)
	}
	return ts
}

// ONNX's own cases for each operator, whose expected outputs have the shapes, types and
// elements that are inferred, from shapes alone and with every input a constant.
func TestInferConformance(t *testing.T) {
	root := filepath.Join(shared(t), "onnx-conformance")
	tested, known := map[string]bool{}, map[string]bool{}
	for _, path := range onnxFiles(t, root) {
		if filepath.Base(path) != "model.onnx" {
			continue
		}
		name, _ := filepath.Rel(root, filepath.Dir(path))
		data := filepath.Join(filepath.Dir(path), "test_data_set_0")
		in, want := readTensors(t, filepath.Join(data, "input_?.pb")), readTensors(t, filepath.Join(data, "output_?.pb"))
		for _, constant := range []bool{false, true} {
			m, err := Load(path)
			if err != nil || len(in) != len(m.Graph.Inputs) || len(want) != len(m.Graph.Outputs) {
				continue
			}
			m.Graph.Values = nil
			shapes := map[string][]int64{}
			for i, v := range m.Graph.Inputs {
				if v.DType == tensor.Undefined {
					continue
				}
				if constant {
					m.Graph.Initializers = append(m.Graph.Initializers, in[i].Renamed(v.Name))
				} else {
					shapes[v.Name] = append([]int64{}, in[i].Dims...)
				}
			}
			if constant {
				m.Graph.Inputs = nil
			}
			facts, err := m.Infer(shapes)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			single := len(m.Graph.Nodes) == 1
			for i, v := range m.Graph.Outputs {
				f := facts[v.Name]
				if op := m.Graph.Nodes[0].Op; single {
					tested[op] = true
					known[op] = known[op] || f.Known()
				}
				if err := expect(m, f, want[i]); err != nil {
					t.Errorf("%s, constant %v: output %d: %v", name, constant, i, err)
				}
			}
		}
	}
	for _, op := range slices.Sorted(maps.Keys(tested)) {
		if open := slices.Contains([]string{"Compress", "NonMaxSuppression", "Unique"}, op); inference[op] != nil && known[op] == open {
			t.Errorf("%s: the shape of an output of some case is known: %v", op, known[op])
		}
	}
	if len(tested) < 140 {
		t.Errorf("only %d operators were tested", len(tested))
	}
}

// expect is an error where a fact is not that of a tensor.
func expect(m *Model, f Fact, w *Tensor) error {
	if f.DType != 0 && f.DType != w.DType {
		return fmt.Errorf("inferred %s, is %s", f.DType, w.DType)
	}
	if f.Shape != nil && !slices.EqualFunc(f.Shape, w.Dims, func(a, b int64) bool { return a == -1 || a == b }) {
		return fmt.Errorf("inferred %v, is %v", f.Shape, w.Dims)
	}
	v, err := m.Values(w)
	if f.Const == nil || err != nil {
		return err
	}
	for i, x := range v.Float64s() {
		// The cases are computed by numpy, in other precisions.
		if got := f.Const[i]; got != x && !(math.Abs(got-x) <= 1e-6*math.Abs(x)) && !(math.IsNaN(got) && math.IsNaN(x)) {
			return fmt.Errorf("inferred element %d to be %g, is %g", i, got, x)
		}
	}
	return nil
}
