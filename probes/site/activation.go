package site

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Activation is a kind of non-linearity: how to find it in a graph and where it
// bends. To add one, add a row to Activations.
type Activation struct {
	// Name is what the user reads; it follows the ONNX operator.
	Name string
	// Doc says where it bends, in a line.
	Doc string
	// Smooth activations bend everywhere; their bit at 0 is a sign code, not a
	// side of a linear region.
	Smooth bool
	// Find says whether node n ends an occurrence of the activation.
	Find func(n *onnx.Node, g *Graph) (Bend, bool)
}

// Activations is the table of everything that makes a site. Order matters where
// a pattern contains another: the larger comes first.
var Activations = []Activation{
	{Name: "Relu", Doc: "max(x, 0): bends at 0", Find: positive("Relu", nil)},
	{Name: "LeakyRelu", Doc: "x or alpha x: bends at 0", Find: positive("LeakyRelu", func(n *onnx.Node, g *Graph) (bend, keeps bool) {
		a := n.Float("alpha", 0.01)
		return a != 1, a >= 0
	})},
	{Name: "PRelu", Doc: "x or slope x, the slope learned: bends at 0", Find: positive("PRelu", func(n *onnx.Node, g *Graph) (bool, bool) {
		slopes, ok := g.Values(n.Input(1))
		return !ok || slices.ContainsFunc(slopes, func(s float64) bool { return s != 1 }), ok &&
			!slices.ContainsFunc(slopes, func(s float64) bool { return !(s >= 0) })
	})},
	{Name: "ThresholdedRelu", Doc: "x above alpha, else 0: jumps at alpha", Find: thresholded},
	{Name: "HardSwish", Doc: "x HardSigmoid(x): bends at -3 and 3", Find: hardSwish},
	{Name: "HardSigmoid", Doc: "clamped line: bends where it meets 0 and 1", Find: hardSigmoid},
	{Name: "Softsign", Doc: "x / (1 + |x|)", Smooth: true, Find: softsign},
	{Name: "Softplus", Doc: "log(1 + exp x)", Smooth: true, Find: softplus},
	{Name: "Shrink", Doc: "0 between two bounds (Hardshrink, Softshrink): bends at both", Find: shrink},
	{Name: "Threshold", Doc: "x above a bound, else a constant: jumps there", Find: threshold},
	{Name: "Where", Doc: "one of two values, chosen by a comparison: bends where it changes", Find: where},
	{Name: "Clip", Doc: "clamped to a range (ReLU6, HardTanh): bends at its ends", Find: clip},
	{Name: "Abs", Doc: "|x|: bends at 0", Find: plain("Abs", 0)},
	{Name: "ReduceL1", Doc: "sum of |x|: bends at 0 of each x", Find: absolute},
	{Name: "Sign", Doc: "-1, 0 or 1: jumps on both sides of 0, a plane of bits each", Find: sign},
	{Name: "Elu", Doc: "x or alpha (exp x - 1): bends at 0", Find: positive("Elu", func(n *onnx.Node,
		_ *Graph) (bool, bool) {
		return true, n.Float("alpha", 1) >= 0
	})},
	{Name: "Selu", Doc: "scaled Elu: bends at 0", Find: positive("Selu", func(n *onnx.Node, _ *Graph) (bool, bool) {
		return true, n.Float("gamma", 1.0507) >= 1 && n.Float("alpha", 1.6732) >= 0
	})},
	{Name: "Celu", Doc: "continuous Elu: bends at 0", Find: positive("Celu", func(n *onnx.Node, _ *Graph) (bool, bool) { return true, n.Float("alpha", 1) > 0 })},
	{Name: "Max", Doc: "the largest of values: bends where another takes over", Find: extremum("Max")},
	{Name: "Min", Doc: "the smallest of values: bends where another takes over", Find: extremum("Min")},
	{Name: "ReduceMax", Doc: "the largest along axes (Maxout): its code is which one", Find: largest(false, "ReduceMax")},
	{Name: "ReduceMin", Doc: "the smallest along axes: its code is which one", Find: largest(true, "ReduceMin")},
	{Name: "GlobalMaxPool", Doc: "the largest of a channel: its code is which one", Find: largest(false, "GlobalMaxPool")},
	{Name: "Greater", Doc: "a mask: jumps where two values are equal", Find: comparison("Greater")},
	{Name: "Less", Doc: "a mask: jumps where two values are equal", Find: comparison("Less")},
	{Name: "GreaterOrEqual", Doc: "a mask: jumps where two values are equal", Find: comparison("GreaterOrEqual")},
	{Name: "LessOrEqual", Doc: "a mask: jumps where two values are equal", Find: comparison("LessOrEqual")},
	{Name: "Gelu", Doc: "x Phi(x), exact or by tanh, as operator or spelled out", Smooth: true, Find: gelu},
	{Name: "QuickGelu", Doc: "x sigmoid(1.702 x)", Smooth: true, Find: swish(isQuickGelu)},
	{Name: "Silu", Doc: "x sigmoid(x)", Smooth: true, Find: swish(isSilu)},
	{Name: "Swish", Doc: "x sigmoid(beta x), beta a constant, also one for each channel", Smooth: true, Find: swish(isSwish)},
	{Name: "Mish", Doc: "x tanh(softplus(x))", Smooth: true, Find: mish},
	{Name: "Glu", Doc: "a sigmoid(b), both from one value: the code is of b", Smooth: true, Find: glu},
	{Name: "Tanh", Doc: "tanh(x)", Smooth: true, Find: plain("Tanh", 0)},
}
