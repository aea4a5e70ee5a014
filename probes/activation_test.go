package probes

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// form is one way an activation appears in a graph.
type form struct {
	name  string // of the row in Activations
	how   string
	knots []float64
	// tapped says that the site reads the activation's output.
	tapped bool
	build  func(e *rewrite.Edit, x string) string
	// planes are the bits where there are no knots: of which values x is above others,
	// or of which element is taken.
	planes func(x []float32) [][]bool
}

func c(e *rewrite.Edit, v float32) string { return e.Const(tensor.Scalar(v)) }

// op is a form of one operator with attributes.
func op(name string, attrs map[string]any) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string { return e.Op(name, attrs, x) }
}

// contrib is a form of one of ONNX Runtime's own operators.
func contrib(name string) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string {
		y := e.Op(name, nil, x)
		e.Graph.Nodes[len(e.Graph.Nodes)-1].Domain = "com.microsoft"
		e.Model.Opsets = append(e.Model.Opsets, onnx.Opset{Domain: "com.microsoft", Version: 1})
		return y
	}
}

// contribAlpha is contrib with an alpha.
func contribAlpha(name string, alpha float32) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string {
		y := contrib(name)(e, x)
		n := e.Graph.Nodes[len(e.Graph.Nodes)-1]
		n.Attrs = append(n.Attrs, &onnx.Attr{Name: "alpha", Type: onnx.AttrFloat, Float: alpha})
		return y
	}
}

// ramp is a constant of n elements, lo and up in steps of a quarter.
func ramp(e *rewrite.Edit, lo float32, n int) string {
	v := make([]float32, n)
	for i := range v {
		v[i] = lo + float32(i)/4
	}
	return e.Const(tensor.Of(v, n))
}

func compared(x []float32, above func(i int) bool) []bool {
	bits := make([]bool, len(x))
	for i := range x {
		bits[i] = above(i)
	}
	return bits
}

func aboveRamp(x []float32) [][]bool {
	return [][]bool{compared(x, func(i int) bool { return x[i] > -3+float32(i)/4 })}
}

// fifths are five values made of one, with ties.
func fifths(x float32) [5]float32 { return [5]float32{x, -x, x * 0, -x, x} }

func five(op string) func(e *rewrite.Edit, x string) string {
	return func(e *rewrite.Edit, x string) string {
		neg := e.Op("Neg", nil, x)
		return e.Op(op, nil, x, neg, mul(e, x, c(e, 0)), neg, x)
	}
}

// number is the planes of a number for each unit, the lowest bit first.
func number(planes int, of []int) [][]bool {
	bits := make([][]bool, planes)
	for j := range bits {
		for _, v := range of {
			bits[j] = append(bits[j], v>>j&1 == 1)
		}
	}
	return bits
}

func ofFive(better func(a, b float32) bool) func(x []float32) [][]bool {
	return func(x []float32) [][]bool {
		var which []int
		for _, v := range x {
			best, all := 0, fifths(v)
			for i := range all {
				if better(all[i], all[best]) {
					best = i
				}
			}
			which = append(which, best)
		}
		return number(3, which)
	}
}

// taken is which of all elements is the largest or smallest, the first of equals.
func taken(least bool) func(x []float32) [][]bool {
	return func(x []float32) [][]bool {
		best := 0
		for i := range x {
			if x[i] > x[best] != least && x[i] != x[best] {
				best = i
			}
		}
		return number(bits.Len(uint(len(x)-1)), []int{best})
	}
}

func mul(e *rewrite.Edit, a, b string) string { return e.Op("Mul", nil, a, b) }
func add(e *rewrite.Edit, a, b string) string { return e.Op("Add", nil, a, b) }

func row(name, how string, knots []float64, tapped bool, build func(e *rewrite.Edit, x string) string, planes ...func([]float32) [][]bool) form {
	return form{name, how, knots, tapped, build, append(planes, nil)[0]}
}

// forms lists what each row of the table must find: the operator, what exporters
// spell it out as, and the commuted variants of that.
var forms = []form{
	row("Relu", "", []float64{0}, true, op("Relu", nil)),
	row("LeakyRelu", "", []float64{0}, true, op("LeakyRelu", map[string]any{"alpha": float32(0.01)})),
	row("LeakyRelu", "rising to the left", []float64{0}, false, op("LeakyRelu", map[string]any{"alpha": float32(-0.5)})),
	row("PRelu", "", []float64{0}, true, func(e *rewrite.Edit, x string) string { return e.Op("PRelu", nil, x, c(e, 0.25)) }),
	row("PRelu", "negative slope", []float64{0}, false, func(e *rewrite.Edit, x string) string { return e.Op("PRelu", nil, x, c(e, -0.25)) }),
	row("ThresholdedRelu", "", []float64{0.5}, true, op("ThresholdedRelu", map[string]any{"alpha": float32(0.5)})),
	row("ThresholdedRelu", "below zero", []float64{-0.5}, false, op("ThresholdedRelu", map[string]any{"alpha": float32(-0.5)})),
	row("HardSwish", "", []float64{-3, 3}, false, op("HardSwish", nil)),
	row("HardSwish", "x HardSigmoid(x)", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6)}, x))
	}),
	row("HardSwish", "HardSigmoid(x) x", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6)}, x), x)
	}),
	row("HardSwish", "x relu6(x + 3) / 6", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Div", nil, mul(e, x, e.Op("Clip", nil, add(e, x, c(e, 3)), c(e, 0), c(e, 6))), c(e, 6))
	}),
	row("HardSwish", "relu6(3 + x) / 6 x", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Div", nil, e.Op("Clip", nil, add(e, c(e, 3), x), c(e, 0), c(e, 6)), c(e, 6)), x)
	}),
	row("HardSigmoid", "PyTorch's", []float64{-3, 3}, false, op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6), "beta": float32(0.5)})),
	row("HardSigmoid", "ONNX's default", []float64{-2.5, 2.5}, false, op("HardSigmoid", nil)),
	row("HardSigmoid", "relu6(x + 3) / 6", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Div", nil, e.Op("Clip", nil, add(e, x, c(e, 3)), c(e, 0), c(e, 6)), c(e, 6))
	}),
	row("Clip", "ReLU6", []float64{0, 6}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, 0), c(e, 6)) }),
	row("Clip", "HardTanh", []float64{-1, 1}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, -1), c(e, 1)) }),
	row("Clip", "only below", []float64{0.5}, true, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, 0.5)) }),
	row("Clip", "only above", []float64{0.5}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, "", c(e, 0.5)) }),
	row("Clip", "no limit written as the largest float", []float64{0}, true, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, c(e, 0), c(e, math.MaxFloat32))
	}),
	row("Clip", "bounds behind Identity", []float64{0, 6}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, e.Op("Identity", nil, c(e, 0)), e.Op("Identity", nil, c(e, 6)))
	}),
	row("Abs", "", []float64{0}, false, op("Abs", nil)),
	row("Elu", "", []float64{0}, true, op("Elu", map[string]any{"alpha": float32(1.3)})),
	row("Selu", "", []float64{0}, true, op("Selu", nil)),
	row("Celu", "", []float64{0}, true, op("Celu", map[string]any{"alpha": float32(0.8)})),
	row("Max", "", []float64{-0.25}, true, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, x, c(e, -0.25)) }),
	row("Max", "a bound that a narrower type holds", []float64{0.300048828125}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Max", nil, x, e.Op("Cast", map[string]any{"to": 1}, e.Op("Cast", map[string]any{"to": 10}, c(e, .3))))
	}),
	row("Gelu", "through casts", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		wide := e.Op("Cast", map[string]any{"to": 11}, x)
		erf := e.Op("Erf", nil, e.Op("Cast", map[string]any{"to": 1}, e.Op("Mul", nil, wide, e.Const(tensor.Scalar(math.Sqrt2/2)))))
		return mul(e, mul(e, c(e, .5), e.Op("Identity", nil, x)), add(e, e.Op("Identity", nil, erf), c(e, 1)))
	}),
	row("Gelu", "a half that more read", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		half := mul(e, x, c(e, .5))
		erf := e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2)))
		return add(e, mul(e, half, add(e, erf, c(e, 1))), half)
	}),
	row("Max", "commuted", []float64{0}, true, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, c(e, 0), x) }),
	row("Min", "", []float64{0.25}, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, x, c(e, 0.25)) }),
	row("Min", "commuted", []float64{0.25}, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, c(e, 0.25), x) }),
	row("Gelu", "ONNX Runtime's own", []float64{0}, false, contrib("Gelu")),
	row("Gelu", "ONNX Runtime's own by tanh", []float64{0}, false, contrib("FastGelu")),
	row("Gelu", "x Phi(x) spelled out", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2)))
		return mul(e, mul(e, x, add(e, erf, c(e, 1))), c(e, 0.5))
	}),
	row("Gelu", "(0.5 x) (1 + erf)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, mul(e, c(e, math.Sqrt2/2), x))
		return mul(e, add(e, c(e, 1), erf), mul(e, c(e, 0.5), x))
	}),
	row("Gelu", "x (0.5 (1 + erf))", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, mul(e, x, c(e, math.Sqrt2/2)))
		return mul(e, x, mul(e, c(e, 0.5), add(e, erf, c(e, 1))))
	}),
	row("Gelu", "by tanh, x^3 as products", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		cube := mul(e, x, mul(e, x, x))
		inner := mul(e, c(e, 0.7978845608), add(e, x, mul(e, c(e, 0.044715), cube)))
		return mul(e, c(e, 0.5), mul(e, x, add(e, c(e, 1), e.Op("Tanh", nil, inner))))
	}),
	row("Gelu", "by tanh, x^3 as Pow", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		inner := mul(e, add(e, mul(e, e.Op("Pow", nil, x, c(e, 3)), c(e, 0.044715)), x), c(e, 0.7978845608))
		return mul(e, mul(e, c(e, 0.5), x), add(e, e.Op("Tanh", nil, inner), c(e, 1)))
	}),
	row("Gelu", "by tanh, x (1 + 0.044715 x x)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		sum := add(e, c(e, 1), mul(e, mul(e, c(e, 0.044715), x), x))
		inner := mul(e, mul(e, x, c(e, 0.7978845608)), sum)
		return mul(e, mul(e, c(e, 0.5), x), add(e, e.Op("Tanh", nil, inner), c(e, 1)))
	}),
	row("QuickGelu", "", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Sigmoid", nil, mul(e, x, c(e, 1.702))))
	}),
	row("QuickGelu", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Sigmoid", nil, mul(e, c(e, 1.702), x)), x)
	}),
	row("Silu", "", []float64{0}, false, func(e *rewrite.Edit, x string) string { return mul(e, x, e.Op("Sigmoid", nil, x)) }),
	row("Silu", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string { return mul(e, e.Op("Sigmoid", nil, x), x) }),
	row("Mish", "", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Tanh", nil, e.Op("Softplus", nil, x)))
	}),
	row("Gelu", "without its half", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, add(e, e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2))), c(e, 1)), x)
	}),
	row("Gelu", "the half in the sum", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2)))
		return mul(e, x, add(e, c(e, 0.5), mul(e, erf, c(e, 0.5))))
	}),
	row("Gelu", "scaled for each channel", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2)))
		return mul(e, mul(e, add(e, erf, c(e, 1)), ramp(e, -3, 19)), x)
	}),
	row("Silu", "scaled", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, c(e, -2), mul(e, x, e.Op("Sigmoid", nil, x)))
	}),
	row("Swish", "beta 1.5", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Sigmoid", nil, mul(e, x, c(e, 1.5))))
	}),
	row("Swish", "a beta for each channel", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Sigmoid", nil, mul(e, ramp(e, -3, 19), x)), x)
	}),
	row("Swish", "ONNX Runtime's own", []float64{0}, false, contribAlpha("QuickGelu", 0.7)),
	row("QuickGelu", "ONNX Runtime's own", []float64{0}, false, contrib("QuickGelu")),
	row("Silu", "ONNX Runtime's own", []float64{0}, false, contribAlpha("QuickGelu", 1)),
	row("Softsign", "", []float64{0}, false, op("Softsign", nil)),
	row("Softsign", "x / (1 + |x|)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Div", nil, x, add(e, e.Op("Abs", nil, x), c(e, 1)))
	}),
	row("Softplus", "", []float64{0}, false, op("Softplus", nil)),
	row("Tanh", "", []float64{0}, false, op("Tanh", nil)),
	row("Shrink", "", []float64{-0.25, 0.25}, false, op("Shrink", map[string]any{"lambd": float32(0.25)})),
	row("Shrink", "hard: where(|x| <= l, 0, x)", []float64{-0.25, 0.25}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("LessOrEqual", nil, e.Op("Abs", nil, x), c(e, 0.25)), c(e, 0), x)
	}),
	row("Shrink", "hard: where(x > l or x < -l, x, 0)", []float64{-0.25, 0.25}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Or", nil, e.Op("Greater", nil, x, c(e, 0.25)), e.Op("Less", nil, x, c(e, -0.25))), x, c(e, 0))
	}),
	row("Shrink", "soft: where(|x| > l, x - sign(x) l, 0 x)", []float64{-0.25, 0.25}, false, func(e *rewrite.Edit, x string) string {
		sub := e.Op("Sub", nil, x, mul(e, e.Op("Sign", nil, x), c(e, 0.25)))
		return e.Op("Where", nil, e.Op("Greater", nil, e.Op("Abs", nil, x), c(e, 0.25)), sub, mul(e, x, c(e, 0)))
	}),
	row("Shrink", "soft: a sum of two", []float64{-0.25, 0.25}, false, func(e *rewrite.Edit, x string) string {
		up := e.Op("Where", nil, e.Op("Greater", nil, x, c(e, 0.25)), e.Op("Sub", nil, x, c(e, 0.25)), c(e, 0))
		down := e.Op("Where", nil, e.Op("Less", nil, x, c(e, -0.25)), add(e, x, c(e, 0.25)), c(e, 0))
		return add(e, up, down)
	}),
	row("Threshold", "where(x <= t, v, x)", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("LessOrEqual", nil, x, c(e, 0.5)), c(e, -1), x)
	}),
	row("Threshold", "where(t < x, x, v)", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Less", nil, c(e, 0.5), x), x, c(e, -1))
	}),
	row("Threshold", "masked_fill(x < 0, 0)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Less", nil, x, c(e, 0)), c(e, 0), x)
	}),
	row("Where", "where(x > t, x, x / 10)", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Greater", nil, x, c(e, 0.5)), x, mul(e, x, c(e, 0.1)))
	}),
	row("Where", "not less, as older opsets have it", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Not", nil, e.Op("Less", nil, x, c(e, 0.5))), x, mul(e, x, c(e, 0.1)))
	}),
	row("Where", "by another value", nil, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Where", nil, e.Op("Greater", nil, x, ramp(e, -3, 16)), x, mul(e, x, c(e, 0.1)))
	}, aboveRamp),
	row("ReduceL1", "", []float64{0}, false, op("ReduceL1", map[string]any{"axes": []int64{1}})),
	row("ReduceL1", "LpNormalization", []float64{0}, false, op("LpNormalization", map[string]any{"p": 1})),
	row("Greater", "x (x > t)", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Cast", map[string]any{"to": 1}, e.Op("Greater", nil, x, c(e, 0.5))))
	}),
	row("Less", "x (t < x)", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Cast", map[string]any{"to": 1}, e.Op("Less", nil, c(e, 0.5), x)))
	}),
	row("GreaterOrEqual", "a mask", []float64{0.5}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Cast", map[string]any{"to": 1}, e.Op("GreaterOrEqual", nil, x, c(e, 0.5))))
	}),
	row("LessOrEqual", "a mask of two values", nil, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Cast", map[string]any{"to": 1}, e.Op("LessOrEqual", nil, x, e.Op("Neg", nil, x))))
	}, func(x []float32) [][]bool { return [][]bool{compared(x, func(i int) bool { return x[i] > -x[i] })} }),
	row("Max", "of a constant for each channel", nil, false, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, x, ramp(e, -3, 16)) }, aboveRamp),
	row("Min", "of a constant for each channel", nil, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, ramp(e, -3, 16), x) }, aboveRamp),
	row("Max", "of two computed values: the second", nil, false, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, x, e.Op("Neg", nil, x)) },
		func(x []float32) [][]bool { return [][]bool{compared(x, func(i int) bool { return -x[i] > x[i] })} }),
	row("Min", "of two computed values: the second", nil, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, x, e.Op("Neg", nil, x)) },
		func(x []float32) [][]bool { return [][]bool{compared(x, func(i int) bool { return -x[i] < x[i] })} }),
	row("Max", "of five values: which", nil, false, five("Max"), ofFive(func(a, b float32) bool { return a > b })),
	row("Min", "of five values: which", nil, false, five("Min"), ofFive(func(a, b float32) bool { return a < b })),
	row("Max", "of zeros_like", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Max", nil, x, e.Op("Expand", nil, c(e, 0), e.Op("Shape", nil, x)))
	}),
	row("Clip", "a bound that is computed", nil, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, c(e, 0.25), e.Op("ReduceMean", map[string]any{"keepdims": 0}, mul(e, c(e, 0), x)))
	}, func(x []float32) [][]bool {
		return [][]bool{compared(x, func(i int) bool { return x[i] > 0.25 }), compared(x, func(i int) bool { return x[i] > 0 })}
	}),
	row("ReduceMax", "", nil, false, op("ReduceMax", map[string]any{"axes": []int64{1}, "keepdims": 1}), taken(false)),
	row("ReduceMin", "", nil, false, op("ReduceMin", map[string]any{"axes": []int64{-1}, "keepdims": 0}), taken(true)),
	row("GlobalMaxPool", "", nil, false, func(e *rewrite.Edit, x string) string {
		return e.Op("GlobalMaxPool", nil, e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{0, 1, -1}, 3))))
	}, taken(false)),
	row("Glu", "halves of a Split", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		both := e.Op("Concat", map[string]any{"axis": 1}, x, x)
		a := e.Op("Split", map[string]any{"axis": 1}, both)
		n := e.Graph.Nodes[len(e.Graph.Nodes)-1]
		n.Outputs = append(n.Outputs, e.Name("second"))
		return mul(e, a, e.Op("Sigmoid", nil, n.Outputs[1]))
	}, func(x []float32) [][]bool { return [][]bool{compared(x, func(i int) bool { return x[i] > 0 })} }),
	row("Sign", "", []float64{0, 0}, true, op("Sign", nil), func(x []float32) [][]bool {
		return [][]bool{compared(x, func(i int) bool { return x[i] >= 0 }), compared(x, func(i int) bool { return x[i] > 0 })}
	}),
	row("Mish", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Tanh", nil, e.Op("Softplus", nil, x)), x)
	}),
}

// corners are the floats around which a knot goes wrong.
func corners(knots []float64) []float32 {
	negZero := float32(math.Copysign(0, -1))
	v := []float32{0, negZero, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1e-38, -1e-38,
		1, -1, 1e30, -1e30, math.MaxFloat32, -math.MaxFloat32, 87, -87, 104, -104}
	for _, k := range knots {
		f := float32(k)
		v = append(v, f, math.Nextafter32(f, math.MaxFloat32), math.Nextafter32(f, -math.MaxFloat32))
	}
	return v
}

// Every row of the table finds each of its forms, once, and the code it leads to
// says for every float, the awkward ones included, whether it is above the knot.
func TestActivations(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range forms {
		t.Run(strings.TrimSpace(f.name+" "+f.how), func(t *testing.T) {
			seen[f.name] = true
			x := corners(f.knots)
			m := network(t, len(x), f.build)
			r := open(t, m, AttachOptions{}, 1)
			if n := len(r.Plan.Sites); n != 1 {
				t.Fatalf("%d sites, want 1: %v", n, r.Plan.Sites)
			}
			s := r.Plan.Sites[0]
			row := site.Activations[slices.IndexFunc(site.Activations, func(a site.Activation) bool { return a.Name == f.name })]
			if s.Op != f.name || s.Smooth != row.Smooth || !slices.Equal(s.Knots, f.knots) {
				t.Errorf("found %s, smooth %v, knots %v; want %s, smooth %v, knots %v", s.Op, s.Smooth, s.Knots, f.name, row.Smooth, f.knots)
			}
			tap, _ := s.Tap()
			if tapped := tap != s.Pre && tap != ""; tapped != f.tapped {
				t.Errorf("reads the output: %v, want %v", tapped, f.tapped)
			}
			want := [][]bool{}
			for _, k := range f.knots {
				want = append(want, compared(x, func(i int) bool { return float64(x[i]) > k }))
			}
			if f.planes != nil {
				want = f.planes(x)
			}
			if s.Planes() != len(want) || s.Units != len(want[0]) {
				t.Fatalf("%d planes of %d units, want %d of %d", s.Planes(), s.Units, len(want), len(want[0]))
			}
			for _, on := range []struct {
				b    engine.Backend
				pack Packing
			}{{ort.Backend{}, PackAuto}, {ort.Backend{}, PackPortable}, {ort.Backend{}, PackUnsigned}, {gorgonia.Backend{}, PackAuto}} {
				code := codesOf(t, openOn(t, on.b, m, AttachOptions{Pack: on.pack}, 1), x, 1)
				for k, plane := range want {
					for u := range plane {
						if got := Bit(code, k*len(plane)+u); got != plane[u] {
							t.Errorf("%s, %v: plane %d, unit %d (x there %g): bit %v, want %v", on.b.Name(), on.pack, k, u, x[min(u, len(x)-1)], got, plane[u])
						}
					}
				}
			}
		})
	}
	for _, a := range site.Activations {
		if !seen[a.Name] {
			t.Errorf("activation %s has no form in this test", a.Name)
		}
	}
}
