package onnx_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// What a file holds, without a run. The weights stay in it.
func ExampleLoad() {
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range m.Graph.Inputs {
		fmt.Println("input", v.Name, v.DType, v.Fact().Shape) // -1 is an open dimension
	}
	for _, n := range m.Graph.Nodes[:3] {
		fmt.Println(n.Op, n.Inputs, "->", n.Outputs)
	}
	facts, err := m.Infer(map[string][]int64{"input": {5, 1, 8, 8}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("logits of five samples:", facts["logits"].Shape)
	// Output:
	// input input float32 [-1 1 8 8]
	// Reshape [input val_5] -> [view]
	// Gemm [view fc1.weight fc1.bias] -> [linear]
	// Relu [linear] -> [relu]
	// logits of five samples: [5 10]
}
