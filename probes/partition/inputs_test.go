package partition

import (
	"context"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// beside is relu(x + 2 b - 1) of two inputs, x before b in the graph or behind it.
func beside(t *testing.T, first bool) *onnx.Model {
	t.Helper()
	vector := func(name string) *onnx.Value {
		return onnx.NewValue(name, tensor.Float64, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 2}})
	}
	in := []*onnx.Value{vector("x"), vector("b")}
	if !first { // a sample enters by the first of equals
		in = []*onnx.Value{vector("b"), vector("x")}
	}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test", Inputs: in}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		b := gemm(e, "b", []float64{2, 0, 0, 2}, []float64{-1, -1})
		e.Output(relu(e, e.Op("Add", nil, "x", b)), tensor.Float64, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The map by one input, the other held: at x = (1, 2) and b = (3, 0.25) both units are
// on, x + 2 b - 1 = (6, 1.5). Row 0 grows along its own element alone; behind, its unit
// turns off after 6 by x and after 3 by b.
func TestMapsByEachOfTwoInputs(t *testing.T) {
	x, b := []float64{1, 2}, []float64{3, 0.25}
	held := map[string]*tensor.Tensor{"x": tensor.Of(x, 1, 2), "b": tensor.Of(b, 1, 2)}
	for _, e := range engines {
		if e.Name() == "textbook" {
			continue // it has one input
		}
		for _, first := range []bool{true, false} {
			for _, c := range []struct {
				by                   string
				at                   []float64
				weight, bias, behind float64
			}{{"x", x, 1, 5, 6}, {"b", b, 2, 0, 3}} {
				mp := open(t, beside(t, first), e, Options{Input: c.by})
				a := at(t, mp, c.at, Query{Rows: []int{0}, Held: held})
				if !allNear(a.Weight, []float64{c.weight, 0}) || !near(a.Bias[0], c.bias) || a.Ahead != nil || a.Behind == nil || !near(a.Behind.Distance, c.behind) {
					t.Errorf("%s by %s: weight %v, bias %v, behind %+v", e.Name(), c.by, a.Weight, a.Bias, a.Behind)
				}
				if a.Check == nil || !a.Check.Exact || a.Check.Error > 1e-15 {
					t.Errorf("%s by %s: check %+v", e.Name(), c.by, a.Check)
				}
			}
		}
	}
	mp := open(t, beside(t, true), gorgonia.Backend{}, Options{})
	if _, err := mp.At(t.Context(), x, Query{}); err == nil {
		t.Error("a map without what goes into the other input")
	}
	if _, err := Open(context.Background(), beside(t, true), gorgonia.Backend{}, engine.Options{}, Options{Input: "y"}); err == nil {
		t.Error("a map by an input that is not there")
	}
}
