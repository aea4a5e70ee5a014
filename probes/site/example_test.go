package site_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
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

// The sites of a model of a file, without a run: their names and where they
// bend. What bends besides is named too.
func ExampleFind() {
	m, err := onnx.Load("../../testdata/models/mobilenet_dynamo.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	if m, err = rewrite.Plain(m); err != nil { // functions inlined, fused operators apart
		fmt.Println(err)
		return
	}
	found, err := site.Find(m, site.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range found.Sites[:3] {
		s := &found.Sites[i]
		fmt.Println(s.Name, s.Op, "bends at", s.Knots, "of", s.Pre)
	}
	fmt.Println("of", len(found.Sites), "sites;", len(found.Unwatched), "bends besides")
	// Output:
	// features.0.2 HardSwish bends at [-3 3] of getitem
	// features.1.block.0.2 Clip bends at [0 6] of getitem_3
	// features.1.block.1.2 Clip bends at [0 6] of getitem_6
	// of 13 sites; 2 bends besides
}
