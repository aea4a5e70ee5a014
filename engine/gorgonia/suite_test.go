package gorgonia_test

import (
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const testdata = "../../testdata"

// cannot are the cases that the engine refuses: those whose shapes follow from an
// input's values, and operators that no vision network or transformer needs.
var cannot = enginetest.AndDouble("conv 3-D", "maxpool 3-D", "averagepool 3-D", "topk", "topk, the smallest, by columns", "hardmax",
	"matmul over nothing", "reshape by an input", "gatherelements", "gathernd", "gathernd of rows", "scatterelements", "scatternd", "nonzero", "compress",
	"onehot", "constantofshape by an input", "range by inputs", "relu int32")

func TestSuite(t *testing.T) { enginetest.Run(t, gorgonia.Backend{}, engine.Options{}, cannot...) }

// Every row of the table has a case of its own; TestDerivativesOfEveryRow sees to those
// of derivatives.
func TestEveryOperatorHasACase(t *testing.T) {
	has := map[string]bool{}
	for _, c := range enginetest.Cases() {
		for _, n := range c.Model.Graph.Nodes {
			has[n.Op] = has[n.Op] || !slices.Contains(cannot, c.Name)
		}
	}
	for _, op := range gorgonia.Operators() {
		if !has[op] {
			t.Errorf("no case of enginetest has the operator %s", op)
		}
	}
}

func TestSuiteOneThreadNoArena(t *testing.T) {
	enginetest.Run(t, gorgonia.Backend{}, engine.Options{Threads: 1, NoArena: true, Optimize: "none"}, cannot...)
}

func TestModels(t *testing.T) { enginetest.Models(t, gorgonia.Backend{}, one, testdata) }

// Every value of every shipped network is ONNX Runtime's.
func TestAgreesWithONNXRuntime(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	ours := enginetest.Runner{Backend: gorgonia.Backend{}, Options: one}
	theirs := enginetest.Runner{Backend: ort.Backend{}, Options: engine.Options{Threads: 1, Optimize: "none"}}
	for _, c := range enginetest.Ship(t, testdata) {
		t.Run(c.Name, func(t *testing.T) {
			within := enginetest.Alike
			if c.Input.DType == tensor.Float16 {
				within = c.Tolerance // every step is rounded to eleven bits
			}
			t.Log(enginetest.Agree(t, ours, theirs, c.Model, []*tensor.Tensor{c.Batch()}, within, 0), "values compared")
		})
	}
}
