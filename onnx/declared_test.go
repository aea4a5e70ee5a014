package onnx

import (
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// What an operator unknown to Infer makes is taken from the declaration, with the
// symbols bound, unless an input departs from its own.
func TestInferFallsBackOnDeclarations(t *testing.T) {
	n := Dim{Size: -1, Param: "n"}
	g := &Graph{Name: "g",
		Inputs:  []*Value{NewValue("x", tensor.Float32, []Dim{n, {Size: 3}})},
		Outputs: []*Value{NewValue("z", tensor.Float32, nil)},
		Values:  []*Value{NewValue("y", tensor.Float32, []Dim{n, {Size: 5}, {Size: -1, Param: "other"}})},
		Nodes: []*Node{{Name: "a", Op: "Einsum", Inputs: []string{"x"}, Outputs: []string{"y"}},
			{Name: "b", Op: "Relu", Inputs: []string{"y"}, Outputs: []string{"z"}}}}
	m := &Model{IR: 8, Opsets: []Opset{{Version: 17}}, Graph: g}
	for _, c := range []struct {
		x, want []int64
	}{
		{[]int64{7, 3}, []int64{7, 5, -1}},
		{[]int64{7, 4}, nil}, // not the declared 3
	} {
		facts, err := m.Infer(map[string][]int64{"x": c.x})
		if err != nil {
			t.Fatal(err)
		}
		if got := facts["z"].Shape; !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("x %v: shape %v, want %v", c.x, got, c.want)
		}
	}
}
