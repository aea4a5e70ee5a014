package probes_test

import (
	"fmt"
	"os"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
)

// A small network trained on handwritten digits bends at two layers of ReLU.
func ExampleInspect() {
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := probes.Inspect(m, probes.AttachOptions{}, error.Error)
	if err != nil {
		fmt.Println(err)
		return
	}
	found.Print(os.Stdout, "", "")
	// Output:
	// ../testdata/models/mlp_dynamo.onnx: opset 20, IR 10, 6 nodes, 7,470 parameters, from pytorch 2.15.0+cu132
	// input   input float32 [batch x 1 x 8 x 8]
	// output  logits float32 [batch x 10]
	//
	// SITE   ACTIVATION  SHAPE  UNITS  KNOTS
	// relu1  Relu        64     64     0
	// relu2  Relu        44     44     0
	//
	// 2 sites, 108 units, a code of 14 bytes
}
