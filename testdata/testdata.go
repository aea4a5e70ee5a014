// Package testdata carries a trained network and pictures inside the program,
// for "onnxprobe demo". The scripts in export/ made them.
package testdata

import "embed"

// Files holds a small residual network trained on handwritten digits, exported
// by PyTorch, digits that it was not trained on, and PyTorch's own codes for
// some of them.
//
//go:embed models/resnet_basic_dynamo.onnx images/digits golden/resnet_basic.npz golden/resnet_basic.json
var Files embed.FS
