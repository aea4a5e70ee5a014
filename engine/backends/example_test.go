package backends_test

import (
	"context"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// An engine by its name, and a model that was made ready for it. Where engine/ort alone
// is wanted, ort.Backend{} takes the place of the choice.
func ExampleChoose() {
	ctx := context.Background()
	b, err := backends.Choose(backends.Request{Name: "gorgonia"})
	if err != nil {
		fmt.Println(err)
		return
	}
	shape := []onnx.Dim{{Param: "N"}, {Size: 3}}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "relu",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, shape)},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, shape)},
		Nodes:   []*onnx.Node{{Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}}}}
	s, err := b.Prepare(ctx, m, engine.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	out, err := s.Run(ctx, []*tensor.Tensor{tensor.Of([]float32{-1, 0, 2, 3, -4, 5}, 2, 3)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Name(), "gives", out[0].Shape, out[0].Data)
	// Output: gorgonia gives [2 3] [0 0 2 3 0 5]
}
