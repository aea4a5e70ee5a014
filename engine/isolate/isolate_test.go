//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func TestMain(m *testing.M) {
	if how, ok := strings.CutPrefix(os.Getenv("HOME"), asForgetful); ok {
		forgetful(how)
	}
	isolate.Main(ort.Backend{}, evil{})
	if stage := os.Getenv(asParent); stage != "" {
		parent(stage)
	}
	if os.Getenv(asSleeper) != "" {
		sleeper()
	}
	os.Exit(m.Run())
}

// isolated is ONNX Runtime in workers.
func isolated() *isolate.Backend {
	return &isolate.Backend{Backend: ort.Backend{}, Product: "ONNX Runtime", Strict: isolate.Missing() == "",
		Limits: isolate.Limits{Memory: 2 << 30, Time: time.Minute}}
}

// noDouble are the cases in float64 that ONNX Runtime has no kernel for.
var noDouble = append(enginetest.Double("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Conv", "ConvTranspose",
	"Cosh", "Elu", "Erf", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "Hardmax", "InstanceNormalization", "LRN", "Mean", "NonZero",
	"OneHot", "Resize", "Selu", "Sinh", "Softplus", "Softsign", "Tan", "ThresholdedRelu", "Upsample"), "clip of older opsets in float64")

func TestSuite(t *testing.T) {
	enginetest.Run(t, isolated(), engine.Options{Threads: 1}, noDouble...)
}

// relu is y = max(x, 0).
func relu() *onnx.Model {
	dims := []onnx.Dim{{Size: -1, Param: "N"}, {Size: 4}}
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "relu",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, dims)},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, dims)},
		Nodes:   []*onnx.Node{{Name: "relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}}}}
}
