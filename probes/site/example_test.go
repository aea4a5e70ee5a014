package site_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// A row of the table says how to find an activation, and a run may have rows of its own.
// This one makes a site of Ceil by its first two jumps; the graph tells who makes a value,
// who reads it, and what is constant.
func ExampleActivation() {
	ceil := site.Activation{
		Name: "Ceil", Doc: "the next whole number: jumps at each, of which 0 and 1 count",
		Find: func(n *onnx.Node, g *site.Graph) (site.Bend, bool) {
			if !n.IsOp("Ceil") || g.Maker[n.Input(0)] == nil {
				return site.Bend{}, false
			}
			return site.Bend{Pre: n.Input(0), Knots: []float64{0, 1}}, true
		},
	}
	m := &onnx.Model{Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 4}})},
		Nodes: []*onnx.Node{
			{Op: "Neg", Inputs: []string{"x"}, Outputs: []string{"y"}},
			{Op: "Ceil", Inputs: []string{"y"}, Outputs: []string{"z"}},
		},
	}}
	without, _ := site.Find(m, site.Options{})
	fmt.Println("without it:", without.Unwatched[0].Op, without.Unwatched[0].Reason)
	found, err := site.Find(m, site.Options{Further: []site.Activation{ceil}})
	s := found.Sites[0]
	fmt.Println(s.Op, "bends at", s.Knots, "of", s.Pre, err, len(found.Unwatched))
	// Output:
	// without it: Ceil jumps where its result changes
	// Ceil bends at [0 1] of y <nil> 0
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
