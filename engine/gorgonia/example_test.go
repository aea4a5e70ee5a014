package gorgonia_test

import (
	"context"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The gradient of one output by every pixel, of a picture of ones.
func ExampleBackend_Linearize() {
	ctx := context.Background()
	m, err := onnx.Load("../../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := gorgonia.Backend{}.Linearize(ctx, m, "input", []string{"logits"}, engine.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	ones := make([]float32, 64)
	for i := range ones {
		ones[i] = 1
	}
	three := tensor.Of([]float32{0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 1, 10)
	values, gradient, err := l.Pull(ctx, []*tensor.Tensor{tensor.Of(ones, 1, 1, 8, 8)}, []*tensor.Tensor{three})
	if err != nil {
		fmt.Println(err)
		return
	}
	logits, slopes := tensor.Data[float32](values[0]), tensor.Data[float32](gradient)
	fmt.Printf("logit 3 is %.3f; its gradient %v begins %.3f\n", logits[3], gradient.Shape, slopes[:3])
	// Output: logit 3 is -26.974; its gradient [1 1 8 8] begins [0.320 5.800 -0.058]
}
