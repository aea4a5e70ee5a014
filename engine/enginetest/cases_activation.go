package enginetest

import (
	"math"
	"strings"
)

// activationCases are the functions of one element.
func activationCases() []Case {
	var cs table
	smooth := []float64{-8, -3, -1.5, -1, -0.25, math.Copysign(0, -1), 0, 0.25, 1, 1.5, 3, 8}
	far := []float64{-200, -100, -50, 50, 100, 200} // exp overflows a float32 beyond 88
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	softplus := func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	mish := func(x float64) float64 { return x * math.Tanh(softplus(x)) }
	gelu := func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }
	elu := func(a float64) func(float64) float64 {
		return func(x float64) float64 { return max(x, 0) + a*math.Expm1(min(x, 0)) }
	}

	x := f([]int{2, 3}, -2, negz, 0, 3, inf, -inf)
	cs.op("relu", "Relu", ts{x}, f([]int{2, 3}, 0, 0, 0, 3, inf, 0))
	cs.op("leakyrelu", "LeakyRelu", ts{x}, f([]int{2, 3}, -0.5, 0, 0, 3, inf, -inf), float("alpha", 0.25))
	cs.op("leakyrelu alpha left out", "LeakyRelu", ts{vec(-100, 100)}, vec(-1, 100)).near(1e-6, "0.01 is rounded")
	cs.op("leakyrelu alpha above 1", "LeakyRelu", ts{vec(-1, 1)}, vec(-2, 1), float("alpha", 2))
	cs.op("prelu one slope", "PRelu", ts{f([]int{2, 2}, -1, 2, -3, 4), vec(0.5)}, f([]int{2, 2}, -0.5, 2, -1.5, 4))
	cs.op("prelu a slope for each channel", "PRelu", ts{f([]int{1, 2, 1, 2}, -1, 1, -1, 1), f([]int{2, 1, 1}, 2, 3)}, f([]int{1, 2, 1, 2}, -2, 1, -3, 1))
	cs.op("thresholdedrelu", "ThresholdedRelu", ts{vec(-1, 0.5, 2, 2.5)}, vec(0, 0, 0, 2.5), float("alpha", 2))
	cs.op("shrink", "Shrink", ts{vec(-3, -1, 0, 1, 3)}, vec(-2, 0, 0, 0, 2), float("lambd", 1.5), float("bias", 1))
	cs.op("softsign", "Softsign", ts{vec(-3, 0, 1)}, vec(-0.75, 0, 0.5))
	cs.each("elu", "Elu", smooth, elu(2), float("alpha", 2))
	cs.each("elu alpha left out", "Elu", smooth, elu(1))
	cs.each("elu far out", "Elu", far, elu(1))
	const gamma, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
	cs.each("selu", "Selu", smooth, func(x float64) float64 { return gamma * elu(alpha)(x) })
	cs.each("selu with its own numbers", "Selu", smooth, func(x float64) float64 { return 2 * elu(0.5)(x) }, float("alpha", 0.5), float("gamma", 2))
	cs.each("celu", "Celu", smooth, func(x float64) float64 { return max(x, 0) + min(0, 2*math.Expm1(x/2)) }, float("alpha", 2))
	cs.each("sigmoid", "Sigmoid", smooth, sigmoid)
	cs.each("sigmoid far out", "Sigmoid", far, sigmoid)
	cs.each("tanh", "Tanh", smooth, math.Tanh)
	cs.each("tanh far out", "Tanh", far, math.Tanh)
	cs.each("erf", "Erf", smooth, math.Erf)
	cs.each("softplus", "Softplus", smooth, softplus)
	cs.each("softplus far out", "Softplus", far, softplus)
	cs.each("mish", "Mish", smooth, mish).opset(18)
	cs.each("swish", "Swish", smooth, func(x float64) float64 { return x / (1 + math.Exp(-x)) }).opset(24)
	cs.each("swish of another beta", "Swish", smooth, func(x float64) float64 { return x / (1 + math.Exp(-1.5*x)) }, float("alpha", 1.5)).opset(24)
	cs.each("gelu", "Gelu", smooth, gelu).opset(20)
	cs.each("gelu by tanh", "Gelu", smooth, func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}, text("approximate", "tanh")).opset(20)
	cs.each("hardsigmoid", "HardSigmoid", smooth, func(x float64) float64 { return max(0, min(1, 0.5*x+0.25)) }, float("alpha", 0.5), float("beta", 0.25))
	cs.each("hardsigmoid alpha and beta left out", "HardSigmoid", smooth, func(x float64) float64 { return max(0, min(1, 0.2*x+0.5)) })
	cs.each("hardswish", "HardSwish", smooth, func(x float64) float64 { return x * max(0, min(1, x/6+0.5)) })
	cs.each("exp", "Exp", smooth, math.Exp)
	cs.each("log", "Log", []float64{0.125, 0.5, 1, 2, 1000}, math.Log)
	cs.each("sin", "Sin", smooth, math.Sin)
	cs.each("cos", "Cos", smooth, math.Cos)
	for _, o := range []struct {
		op     string
		fn     func(float64) float64
		points []float64
	}{
		{"Tan", math.Tan, []float64{-1, 0, 0.5}}, {"Asin", math.Asin, []float64{-1, -0.5, 0, 1}}, {"Acos", math.Acos, []float64{-1, 0.5, 1}},
		{"Atan", math.Atan, smooth}, {"Sinh", math.Sinh, smooth}, {"Cosh", math.Cosh, smooth}, {"Asinh", math.Asinh, smooth},
		{"Acosh", math.Acosh, []float64{1, 1.5, 8}}, {"Atanh", math.Atanh, []float64{-0.5, 0, 0.75}},
	} {
		cs.each(strings.ToLower(o.op), o.op, o.points, o.fn)
	}
	cs.op("sqrt", "Sqrt", ts{vec(0, 1, 4, 6.25)}, vec(0, 1, 2, 2.5))
	cs.op("reciprocal", "Reciprocal", ts{vec(1, -2, 0.25)}, vec(1, -0.5, 4))
	cs.op("abs", "Abs", ts{vec(-1, negz, 2, -inf)}, vec(1, 0, 2, inf))
	cs.op("neg", "Neg", ts{vec(-1, 2)}, vec(1, -2))
	cs.op("sign", "Sign", ts{vec(-3, negz, 0, 1e-38, inf)}, vec(-1, 0, 0, 1, 1))
	cs.op("floor", "Floor", ts{vec(-1.5, -1, 0.5, 2)}, vec(-2, -1, 0, 2))
	cs.op("ceil", "Ceil", ts{vec(-1.5, -1, 0.5, 2)}, vec(-1, -1, 1, 2))
	cs.op("round: halves to even", "Round", ts{vec(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.25)}, vec(-2, -2, 0, 0, 2, 2, 2))
	cs.op("dropout does nothing", "Dropout", ts{vec(1, -2, 3)}, vec(1, -2, 3))
	cs.op("clip", "Clip", ts{vec(-9, -1, 0.5, 7), scalar(-1), scalar(6)}, vec(-1, -1, 0.5, 6))
	cs.op("clip of older opsets", "Clip", ts{vec(-9, -1, 0.5, 7)}, vec(-1, -1, 0.5, 6), float("min", -1), float("max", 6)).opset(10)
	cs.op("clip from below alone", "Clip", ts{vec(-9, 0.5, 7), scalar(0)}, vec(0, 0.5, 7))
	above := cs.op("clip from above alone", "Clip", ts{vec(-9, 0.5, 7), scalar(6)}, vec(-9, 0.5, 6))
	above.Model.Graph.Nodes[0].Inputs = []string{"x", "", "a"}
	cs.both("clip by inputs", "Clip", ts{vec(-9, 0.5, 7), scalar(0), scalar(6)}, vec(0, 0.5, 6))
	return cs
}
