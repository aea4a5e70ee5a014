package probes

import (
	"math"
	"slices"
	"strings"
	"testing"

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

func mul(e *rewrite.Edit, a, b string) string { return e.Op("Mul", nil, a, b) }
func add(e *rewrite.Edit, a, b string) string { return e.Op("Add", nil, a, b) }

// forms lists what each row of the table must find: the operator, what exporters
// spell it out as, and the commuted variants of that.
var forms = []form{
	{"Relu", "", []float64{0}, true, op("Relu", nil)},
	{"LeakyRelu", "", []float64{0}, true, op("LeakyRelu", map[string]any{"alpha": float32(0.01)})},
	{"LeakyRelu", "rising to the left", []float64{0}, false, op("LeakyRelu", map[string]any{"alpha": float32(-0.5)})},
	{"PRelu", "", []float64{0}, true, func(e *rewrite.Edit, x string) string { return e.Op("PRelu", nil, x, c(e, 0.25)) }},
	{"PRelu", "negative slope", []float64{0}, false, func(e *rewrite.Edit, x string) string { return e.Op("PRelu", nil, x, c(e, -0.25)) }},
	{"ThresholdedRelu", "", []float64{0.5}, true, op("ThresholdedRelu", map[string]any{"alpha": float32(0.5)})},
	{"ThresholdedRelu", "below zero", []float64{-0.5}, false, op("ThresholdedRelu", map[string]any{"alpha": float32(-0.5)})},
	{"HardSwish", "", []float64{-3, 3}, false, op("HardSwish", nil)},
	{"HardSwish", "x HardSigmoid(x)", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6)}, x))
	}},
	{"HardSwish", "HardSigmoid(x) x", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6)}, x), x)
	}},
	{"HardSwish", "x relu6(x + 3) / 6", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Div", nil, mul(e, x, e.Op("Clip", nil, add(e, x, c(e, 3)), c(e, 0), c(e, 6))), c(e, 6))
	}},
	{"HardSwish", "relu6(3 + x) / 6 x", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Div", nil, e.Op("Clip", nil, add(e, c(e, 3), x), c(e, 0), c(e, 6)), c(e, 6)), x)
	}},
	{"HardSigmoid", "PyTorch's", []float64{-3, 3}, false, op("HardSigmoid", map[string]any{"alpha": float32(1.0 / 6), "beta": float32(0.5)})},
	{"HardSigmoid", "ONNX's default", []float64{-2.5, 2.5}, false, op("HardSigmoid", nil)},
	{"HardSigmoid", "relu6(x + 3) / 6", []float64{-3, 3}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Div", nil, e.Op("Clip", nil, add(e, x, c(e, 3)), c(e, 0), c(e, 6)), c(e, 6))
	}},
	{"Clip", "ReLU6", []float64{0, 6}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, 0), c(e, 6)) }},
	{"Clip", "HardTanh", []float64{-1, 1}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, -1), c(e, 1)) }},
	{"Clip", "only below", []float64{0.5}, true, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, 0.5)) }},
	{"Clip", "only above", []float64{0.5}, false, func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, "", c(e, 0.5)) }},
	{"Clip", "no limit written as the largest float", []float64{0}, true, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, c(e, 0), c(e, math.MaxFloat32))
	}},
	{"Clip", "bounds behind Identity", []float64{0, 6}, false, func(e *rewrite.Edit, x string) string {
		return e.Op("Clip", nil, x, e.Op("Identity", nil, c(e, 0)), e.Op("Identity", nil, c(e, 6)))
	}},
	{"Abs", "", []float64{0}, false, op("Abs", nil)},
	{"Elu", "", []float64{0}, true, op("Elu", map[string]any{"alpha": float32(1.3)})},
	{"Selu", "", []float64{0}, true, op("Selu", nil)},
	{"Celu", "", []float64{0}, true, op("Celu", map[string]any{"alpha": float32(0.8)})},
	{"Max", "", []float64{-0.25}, true, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, x, c(e, -0.25)) }},
	{"Max", "commuted", []float64{0}, true, func(e *rewrite.Edit, x string) string { return e.Op("Max", nil, c(e, 0), x) }},
	{"Min", "", []float64{0.25}, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, x, c(e, 0.25)) }},
	{"Min", "commuted", []float64{0.25}, false, func(e *rewrite.Edit, x string) string { return e.Op("Min", nil, c(e, 0.25), x) }},
	{"Gelu", "ONNX Runtime's own", []float64{0}, false, contrib("Gelu")},
	{"Gelu", "ONNX Runtime's own by tanh", []float64{0}, false, contrib("FastGelu")},
	{"Gelu", "x Phi(x) spelled out", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, e.Op("Div", nil, x, c(e, math.Sqrt2)))
		return mul(e, mul(e, x, add(e, erf, c(e, 1))), c(e, 0.5))
	}},
	{"Gelu", "(0.5 x) (1 + erf)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, mul(e, c(e, math.Sqrt2/2), x))
		return mul(e, add(e, c(e, 1), erf), mul(e, c(e, 0.5), x))
	}},
	{"Gelu", "x (0.5 (1 + erf))", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		erf := e.Op("Erf", nil, mul(e, x, c(e, math.Sqrt2/2)))
		return mul(e, x, mul(e, c(e, 0.5), add(e, erf, c(e, 1))))
	}},
	{"Gelu", "by tanh, x^3 as products", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		cube := mul(e, x, mul(e, x, x))
		inner := mul(e, c(e, 0.7978845608), add(e, x, mul(e, c(e, 0.044715), cube)))
		return mul(e, c(e, 0.5), mul(e, x, add(e, c(e, 1), e.Op("Tanh", nil, inner))))
	}},
	{"Gelu", "by tanh, x^3 as Pow", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		inner := mul(e, add(e, mul(e, e.Op("Pow", nil, x, c(e, 3)), c(e, 0.044715)), x), c(e, 0.7978845608))
		return mul(e, mul(e, c(e, 0.5), x), add(e, e.Op("Tanh", nil, inner), c(e, 1)))
	}},
	{"Gelu", "by tanh, x (1 + 0.044715 x x)", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		sum := add(e, c(e, 1), mul(e, mul(e, c(e, 0.044715), x), x))
		inner := mul(e, mul(e, x, c(e, 0.7978845608)), sum)
		return mul(e, mul(e, c(e, 0.5), x), add(e, e.Op("Tanh", nil, inner), c(e, 1)))
	}},
	{"QuickGelu", "", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Sigmoid", nil, mul(e, x, c(e, 1.702))))
	}},
	{"QuickGelu", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Sigmoid", nil, mul(e, c(e, 1.702), x)), x)
	}},
	{"Silu", "", []float64{0}, false, func(e *rewrite.Edit, x string) string { return mul(e, x, e.Op("Sigmoid", nil, x)) }},
	{"Silu", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string { return mul(e, e.Op("Sigmoid", nil, x), x) }},
	{"Mish", "", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, x, e.Op("Tanh", nil, e.Op("Softplus", nil, x)))
	}},
	{"Mish", "commuted", []float64{0}, false, func(e *rewrite.Edit, x string) string {
		return mul(e, e.Op("Tanh", nil, e.Op("Softplus", nil, x)), x)
	}},
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
			if tapped := tap != s.Pre; tapped != f.tapped {
				t.Errorf("reads the output: %v, want %v", tapped, f.tapped)
			}
			code := codesOf(t, r, x, 1)
			for k, knot := range f.knots {
				for i, v := range x {
					if got, want := Bit(code, k*len(x)+i), float64(v) > knot; got != want {
						t.Errorf("x = %g, knot %g: bit %v, want %v", v, knot, got, want)
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
