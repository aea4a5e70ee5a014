package site_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// A row of the table says how to find an activation. This one finds Sign, which jumps
// at 0; the graph tells who makes a value, who reads it, and what is constant.
func ExampleActivation() {
	sign := site.Activation{
		Name: "Sign", Doc: "-1, 0 or 1: jumps at 0",
		Find: func(n *onnx.Node, g *site.Graph) (site.Bend, bool) {
			if !n.IsOp("Sign") || g.Maker[n.Input(0)] == nil {
				return site.Bend{}, false
			}
			at := []float64{0}
			return site.Bend{Pre: n.Input(0), Knots: at, Tap: n.Outputs[0], TapKnots: at}, true
		},
	}
	m := &onnx.Model{Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 4}})},
		Nodes: []*onnx.Node{
			{Op: "Neg", Inputs: []string{"x"}, Outputs: []string{"y"}},
			{Op: "Sign", Inputs: []string{"y"}, Outputs: []string{"z"}},
		},
	}}
	g := site.NewGraph(m)
	for _, n := range m.Graph.Nodes {
		if b, ok := sign.Find(n, g); ok {
			fmt.Println(n.Op, "bends at", b.Knots, "of", b.Pre)
		}
	}
	// Output: Sign bends at [0] of y
}
