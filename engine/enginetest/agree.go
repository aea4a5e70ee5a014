package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Runner is a backend with its options.
type Runner struct {
	engine.Backend
	Options engine.Options
}

// Alike is how far values may differ in float32, relative to the largest
// magnitude of each value: two correct orders of summation through some fifty
// layers come to less than 1e-5.
const Alike = 1e-4

// Agree runs m on two backends, as it is and once more with intermediates as
// further outputs: floats differ by at most within of the value's largest
// magnitude, all else not at all. At most most intermediates are looked at, evenly
// spread; 0 looks at all. It returns how many values were compared.
func Agree(t testing.TB, a, b Runner, m *onnx.Model, in []*tensor.Tensor, within float64, most int) int {
	t.Helper()
	shapes := map[string][]int64{}
	given := 0
	ix := m.Graph.Index()
	for _, v := range m.Graph.Inputs {
		if ix.Const[v.Name] == nil && given < len(in) {
			shapes[v.Name] = sizes(in[given])
			given++
		}
	}
	compared := agree(t, a, b, m, in, within)
	facts, err := m.Infer(shapes)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, v := range m.Graph.Outputs {
		own[v.Name] = true
	}
	var between []string
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Outputs {
			if f := facts[name]; name != "" && !own[name] && ix.Const[name] == nil && f.DType.IsFloat() && f.Const == nil {
				between = append(between, name)
			}
		}
	}
	probed := m.Clone()
	step := 1.0
	if most > 0 && len(between) > most {
		step = float64(len(between)) / float64(most)
	}
	for i := 0.0; int(i) < len(between); i += step {
		name := between[int(i)]
		probed.Graph.Outputs = append(probed.Graph.Outputs, onnx.NewValue(name, facts[name].DType, nil))
	}
	return compared + agree(t, a, b, probed, in, within)
}

func agree(t testing.TB, a, b Runner, m *onnx.Model, in []*tensor.Tensor, within float64) int {
	t.Helper()
	var outs [2][]*tensor.Tensor
	for i, r := range []Runner{a, b} {
		s, err := r.Prepare(context.Background(), m, r.Options)
		if err != nil {
			t.Fatalf("%s: %v", r.Name(), err)
		}
		outs[i] = run(t, s, in...)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(outs[0]) != len(outs[1]) || len(outs[0]) != len(m.Graph.Outputs) {
		t.Fatalf("%s gives %d outputs, %s %d; the model has %d", a.Name(), len(outs[0]), b.Name(), len(outs[1]), len(m.Graph.Outputs))
	}
	var off []string
	for i, v := range m.Graph.Outputs {
		if err := Close(outs[0][i], outs[1][i], within); err != nil {
			off = append(off, fmt.Sprintf("value %q of %s: %v", v.Name, maker(m, v.Name), err))
		}
	}
	if off != nil {
		t.Errorf("%s and %s disagree on %d of "+
			"%d values, the first of them:\n%s", a.Name(), b.Name(), len(off), len(outs[0]), strings.Join(off[:min(len(off), 5)], "\n"))
	}
	return len(outs[0])
}

func maker(m *onnx.Model, value string) string {
	if n := m.Graph.Index().Maker[value]; n != nil {
		return n.String()
	}
	return "the model's inputs"
}

// Close says how got differs from want: in type, in shape, or by more than within
// times the largest magnitude in want. What is not a float must be equal.
func Close(got, want *tensor.Tensor, within float64) error {
	if !want.DType.IsFloat() {
		return Equal([]*tensor.Tensor{got}, []*tensor.Tensor{want}, 0)
	}
	if got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return fmt.Errorf("got %s %v, want %s %v", got.DType, got.Shape, want.DType, want.Shape)
	}
	return apart(got.Float64s(), want.Float64s(), within)
}
