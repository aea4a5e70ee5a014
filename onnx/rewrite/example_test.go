package rewrite_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A pass that makes the values before the first ReLU an output of the network. The model
// itself stays as it was.
func ExampleApply() {
	m, err := onnx.Load("../../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	tap := rewrite.Pass{Name: "tap", Do: func(e *rewrite.Edit) error {
		for _, n := range e.Graph.Nodes {
			if n.IsOp("Relu") {
				e.Output(n.Input(0), tensor.Float32, nil)
				return nil
			}
		}
		return fmt.Errorf("there is no Relu")
	}}
	tapped, err := rewrite.Apply(m, tap)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range tapped.Graph.Outputs {
		fmt.Println(v.Name)
	}
	fmt.Println("outputs of the model itself:", len(m.Graph.Outputs))
	// Output:
	// logits
	// linear
	// outputs of the model itself: 1
}
