package rewrite_test

import (
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const conformance = "../../../shared/data/onnx-conformance/"

// frozen is the model with all inputs but the first keep as initializers, which
// most exporters make of them; the conformance cases make everything an input.
func frozen(m *onnx.Model, in []*tensor.Tensor, keep int) (*onnx.Model, []*tensor.Tensor) {
	m = m.Clone()
	for i, v := range m.Graph.Inputs[keep:] {
		m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(v.Name, in[keep+i]))
	}
	m.Graph.Inputs = m.Graph.Inputs[:keep]
	return m, in[:keep]
}

// ONNX's own cases for each operator, of several ages: what ONNX Runtime computes
// rightly it still does when lowered, and what is not lowered says so.
func TestLowerConformance(t *testing.T) {
	text, err := os.ReadFile(conformance + "ort-web-1.30.0-not-passing.tsv")
	if err != nil {
		t.Skip(err)
	}
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for suite, least := range map[string]int{"node-opset-latest-2026-08": 620, "node-v1.9.0-opset14": 365, "node-v1.5.0-opset10": 220, "pytorch-converted": 41, "pytorch-operator": 24} {
		skip := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if c := strings.Split(line, "\t"); c[0] == suite {
				skip[c[1]] = true
			}
		}
		lowered, leftover := 0, map[string]int{}
		paths, _ := filepath.Glob(conformance + suite + "/test_*/model.onnx")
		for _, path := range paths {
			name := filepath.Base(filepath.Dir(path))
			data := filepath.Join(filepath.Dir(path), "test_data_set_0")
			m, err := onnx.Load(path)
			if err != nil {
				continue
			}
			own := m.Graph.Index().Const // weights are inputs too in old models
			m.IR = max(m.IR, 4)
			m.Graph.Inputs = slices.DeleteFunc(m.Graph.Inputs, func(v *onnx.Value) bool { return own[v.Name] != nil })
			in, err := enginetest.ReadTensors(filepath.Join(data, "input_%d.pb"))
			want, err2 := enginetest.ReadTensors(filepath.Join(data, "output_%d.pb"))
			if errors.Join(err, err2) != nil || len(in) != len(m.Graph.Inputs) {
				continue
			}
			t.Run(suite+"/"+name, func(t *testing.T) {
				done := false
				for keep := range len(in) + 1 {
					fm, fin := frozen(m, in, keep)
					shapes := map[string][]int64{}
					for i, v := range fm.Graph.Inputs {
						shapes[v.Name] = []int64{}
						for _, d := range fin[i].Shape {
							shapes[v.Name] = append(shapes[v.Name], int64(d))
						}
					}
					low, facts, err := rewrite.Lower(fm, shapes)
					if err != nil {
						t.Fatalf("%d inputs: %v", keep, err)
					}
					if err := speaks(low, facts); err != nil {
						if !strings.Contains(err.Error(), "left: ") {
							t.Errorf("%d inputs: %v", keep, err)
						}
						if keep == 1 {
							leftover[m.Graph.Nodes[0].Op]++
							t.Log(err)
						}
						continue
					}
					got, err := run(low, fin)
					if err == nil {
						err = enginetest.Equal(got, want, within(want))
					}
					if err != nil {
						was, err2 := run(fm, fin)
						if err2 == nil {
							err2 = enginetest.Equal(was, want, within(want))
						}
						// ONNX Runtime cannot run it as it was either, or has no kernel
						// for the type of an operator that it is lowered to.
						if !skip[name] && err2 == nil && !strings.Contains(err.Error(), "Could not find an implementation") {
							t.Errorf("%d inputs: %v", keep, err)
						}
						continue
					}
					done = true
				}
				if done {
					lowered++
				}
			})
		}
		if lowered < least {
			t.Errorf("%s: only %d cases were lowered, want %d", suite, lowered, least)
		}
		t.Logf("%s: %d of %d cases lowered and right; operators left: %v", suite, lowered, len(paths), slices.Sorted(maps.Keys(leftover)))
	}
}

// within is enginetest.Conformance's tolerance: the specification leaves the order of
// sums and the last bits of the transcendental functions open; half precision rounds
// every step.
func within(want []*tensor.Tensor) float64 {
	d := 1e-5
	for _, w := range want {
		for _, v := range w.Float64s() {
			if w.DType.IsFloat() && math.Abs(v) < 1e30 {
				d = max(d, math.Abs(v)*1e-4)
			}
		}
		if w.DType == tensor.Float16 || w.DType == tensor.BFloat16 {
			d = max(d, 2e-2)
		}
	}
	return d
}
