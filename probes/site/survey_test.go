package site

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func num(e *rewrite.Edit, v ...float32) string {
	if len(v) == 1 {
		return e.Const(tensor.Scalar(v[0]))
	}
	return e.Const(tensor.Of(v, len(v)))
}

func int64s(e *rewrite.Edit, v ...int64) string { return e.Const(tensor.Of(v, len(v))) }

// What is said of nodes that are no activation, or look like one.
func TestSurvey(t *testing.T) {
	op := func(e *rewrite.Edit, op string, in ...string) string { return e.Op(op, nil, in...) }
	for _, c := range []struct {
		name  string
		build func(e *rewrite.Edit, x string) string
		sites []string // operators
		named []string // "kind Operator"
	}{
		{"an eps of a divisor", func(e *rewrite.Edit, x string) string {
			return op(e, "Div", x, op(e, "Clip", op(e, "Relu", x), num(e, 1e-12)))
		}, []string{"Relu"}, []string{"guard Clip", "smooth Div"}},
		{"an eps behind Sqrt and Expand", func(e *rewrite.Edit, x string) string {
			return op(e, "Div", x, op(e, "Expand", op(e, "Sqrt", op(e, "Max", op(e, "Abs", x), num(e, 1e-5))), op(e, "Shape", x)))
		}, []string{"Abs"}, []string{"guard Max", "smooth Sqrt", "smooth Div"}},
		{"an eps of a logarithm and of a negative power", func(e *rewrite.Edit, x string) string {
			return op(e, "Add", op(e, "Log", op(e, "Clip", x, num(e, 1e-6))), op(e, "Pow", op(e, "Clip", x, num(e, 1e-4)), num(e, -.5)))
		}, nil, []string{"guard Clip", "guard Clip", "smooth Log", "smooth Pow"}},
		{"a bound that more than a divisor reads", func(e *rewrite.Edit, x string) string {
			y := op(e, "Clip", x, num(e, 1e-6))
			return op(e, "Add", y, op(e, "Div", x, y))
		}, []string{"Clip"}, []string{"smooth Div"}},
		{"a bound too large for an eps", func(e *rewrite.Edit, x string) string { return op(e, "Div", x, op(e, "Clip", x, num(e, 2e-4))) },
			[]string{"Clip"}, []string{"smooth Div"}},
		{"a dividend's bound", func(e *rewrite.Edit, x string) string { return op(e, "Div", op(e, "Clip", x, num(e, 1e-6)), num(e, 2)) }, []string{"Clip"}, nil},
		{"a softmax spelled out", func(e *rewrite.Edit, x string) string {
			z := op(e, "Exp", op(e, "Sub", x, e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)))
			return op(e, "Div", z, op(e, "ReduceSum", z, int64s(e, 1)))
		}, nil, []string{"smooth ReduceMax", "smooth Exp", "smooth Div"}},
		{"the largest otherwise", func(e *rewrite.Edit, x string) string {
			return op(e, "Sub", x, e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x))
		}, []string{"ReduceMax"}, nil},
		{"the largest and which it is", func(e *rewrite.Edit, x string) string {
			m := e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)
			return op(e, "Add", m, e.Op("Cast", map[string]any{"to": 1}, e.Op("ArgMax", map[string]any{"axis": 1}, x)))
		}, []string{"ReduceMax"}, nil},
		{"the same with axes as an input", func(e *rewrite.Edit, x string) string {
			m := op(e, "ReduceMax", x, int64s(e, 1))
			return op(e, "Add", m, e.Op("Cast", map[string]any{"to": 1}, e.Op("ArgMax", map[string]any{"axis": 1}, x)))
		}, []string{"ReduceMax"}, nil},
		{"fake quantization with Round and Clip", func(e *rewrite.Edit, x string) string {
			q := op(e, "Clip", op(e, "Add", op(e, "Round", op(e, "Div", x, num(e, .1))), num(e, 128)), num(e, 0), num(e, 255))
			return op(e, "Mul", op(e, "Sub", q, num(e, 128)), num(e, .1))
		}, nil, []string{"smooth Round", "smooth Clip"}},
		{"fake quantization that clamps at 0", func(e *rewrite.Edit, x string) string {
			return op(e, "Mul", op(e, "Clip", op(e, "Round", op(e, "Div", op(e, "Neg", x), num(e, .1))), num(e, 0), num(e, 255)), num(e, .1))
		}, nil, []string{"smooth Round", "bend Clip"}},
		{"a sign in both branches", func(e *rewrite.Edit, x string) string {
			v := op(e, "Sub", x, op(e, "Mul", op(e, "Sign", x), num(e, .5)))
			return op(e, "Where", op(e, "Greater", op(e, "Abs", x), num(e, .5)), v, v)
		}, []string{"Sign", "Shrink"}, nil},
		{"a bound behind a rounding", func(e *rewrite.Edit, x string) string {
			grid, zero := num(e, .25), e.Const(tensor.Scalar(uint8(128)))
			a := op(e, "DequantizeLinear", op(e, "QuantizeLinear", op(e, "Abs", x), grid, zero), grid, zero)
			return op(e, "Where", op(e, "Greater", a, num(e, .5)), x, num(e, 0))
		}, []string{"Abs", "Where"}, []string{"smooth QuantizeLinear"}},
		{"a maximum along another axis than the softmax", func(e *rewrite.Edit, x string) string {
			x = e.Op("Reshape", nil, x, int64s(e, -1, 3, 1))
			return e.Op("Softmax", map[string]any{"axis": 1}, op(e, "Sub", x, e.Op("ReduceMax", map[string]any{"axes": []int64{2}}, x)))
		}, []string{"ReduceMax"}, []string{"smooth Softmax"}},
		{"the logarithm of a sum without its maximum", func(e *rewrite.Edit, x string) string {
			m := e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)
			return op(e, "Add", op(e, "Log", op(e, "ReduceSum", op(e, "Exp", op(e, "Sub", x, m)), int64s(e, 1))), num(e, 1))
		}, []string{"ReduceMax"}, []string{"smooth Exp", "smooth Log"}},
		{"a maximum whose sum is used by itself", func(e *rewrite.Edit, x string) string {
			m := e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)
			return op(e, "ReduceSum", op(e, "Exp", op(e, "Sub", x, m)), int64s(e, 1))
		}, []string{"ReduceMax"}, []string{"smooth Exp"}},
		{"what follows the choice of an embedding", func(e *rewrite.Edit, x string) string {
			k := e.Op("ArgMax", map[string]any{"axis": 1}, x)
			return op(e, "Relu", op(e, "Gather", num(e, -1, 2, 3), k))
		}, []string{"Relu"}, []string{"bend ArgMax"}},
		{"what follows a truncation", func(e *rewrite.Edit, x string) string {
			return op(e, "Relu", e.Op("Cast", map[string]any{"to": 1}, e.Op("Cast", map[string]any{"to": 6}, op(e, "Round", x))))
		}, []string{"Relu"}, []string{"bend Round", "bend Cast"}},
		{"fake quantization with Clip and Round", func(e *rewrite.Edit, x string) string {
			return op(e, "Mul", op(e, "Round", op(e, "Clip", op(e, "Div", op(e, "Relu", x), num(e, .1)), num(e, -128), num(e, 127))), num(e, .1))
		}, []string{"Relu"}, []string{"smooth Round", "smooth Clip"}},
		{"ReLU6 before fake quantization", func(e *rewrite.Edit, x string) string {
			r := op(e, "Round", op(e, "Div", op(e, "Clip", x, num(e, 0), num(e, 6)), num(e, .1)))
			return op(e, "Mul", op(e, "Clip", r, num(e, 0), num(e, 255)), num(e, .1))
		}, []string{"Clip"}, []string{"smooth Round", "smooth Clip"}},
		{"a rounding", func(e *rewrite.Edit, x string) string { return op(e, "Round", x) }, nil, []string{"bend Round"}},
		{"a quantizer that may have swallowed a Relu", func(e *rewrite.Edit, x string) string {
			q := op(e, "QuantizeLinear", op(e, "Neg", x), num(e, .1), e.Const(tensor.Scalar(uint8(0))))
			return op(e, "DequantizeLinear", q, num(e, .1), e.Const(tensor.Scalar(uint8(0))))
		}, nil, []string{"bend QuantizeLinear"}},
		{"a quantizer behind a Relu", func(e *rewrite.Edit, x string) string {
			q := op(e, "QuantizeLinear", op(e, "Relu", x), num(e, .1), e.Const(tensor.Scalar(int8(-128))))
			return op(e, "DequantizeLinear", q, num(e, .1), e.Const(tensor.Scalar(int8(-128))))
		}, []string{"Relu"}, []string{"smooth QuantizeLinear"}},
		{"a symmetric quantizer", func(e *rewrite.Edit, x string) string {
			q := op(e, "QuantizeLinear", op(e, "Neg", x), num(e, .1), e.Const(tensor.Scalar(int8(0))))
			return op(e, "DequantizeLinear", q, num(e, .1), e.Const(tensor.Scalar(int8(0))))
		}, nil, []string{"smooth QuantizeLinear"}},
		{"a constant mask, and minus infinity", func(e *rewrite.Edit, x string) string {
			y := op(e, "Where", e.Const(tensor.Of([]bool{true, false, true}, 3)), x, num(e, float32(math.Inf(-1))))
			return op(e, "Max", y, num(e, float32(math.Inf(-1))))
		}, nil, nil},
		{"arithmetic of shapes", func(e *rewrite.Edit, x string) string {
			n := op(e, "Min", op(e, "Shape", op(e, "Relu", x)), int64s(e, 4))
			return op(e, "Expand", x, op(e, "Max", n, int64s(e, 1)))
		}, []string{"Relu"}, nil},
		{"padding by floats of shapes", func(e *rewrite.Edit, x string) string {
			f := e.Op("Cast", map[string]any{"to": 1}, op(e, "Shape", x))
			n := e.Op("Cast", map[string]any{"to": 7}, op(e, "Clip", op(e, "Ceil", op(e, "Div", f, num(e, 2))), num(e, 0)))
			return op(e, "Expand", op(e, "Relu", x), op(e, "Max", n, int64s(e, 1)))
		}, []string{"Relu"}, nil},
		{"what does not depend on the input", func(e *rewrite.Edit, x string) string {
			return op(e, "Add", x, op(e, "Relu", op(e, "MatMul", num(e, 1, -2, 3), e.Const(tensor.Of([]float32{1, 2, 3}, 3, 1)))))
		}, nil, nil},
		{"a slope of 1, no bounds, an empty range", func(e *rewrite.Edit, x string) string {
			return op(e, "Clip", op(e, "Clip", e.Op("LeakyRelu", map[string]any{"alpha": float32(1)}, x)), num(e, 1), num(e, 0))
		}, nil, nil},
		{"a gate of squeeze and excitation", func(e *rewrite.Edit, x string) string {
			return op(e, "Mul", x, op(e, "Sigmoid", op(e, "Neg", op(e, "Relu", x))))
		}, []string{"Relu"}, []string{"smooth Sigmoid", "smooth Mul"}},
		{"max-pooling", func(e *rewrite.Edit, x string) string {
			return e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2}}, op(e, "Unsqueeze", x, int64s(e, 1)))
		}, nil, []string{"bend MaxPool"}},
		{"the inside of an activation that more than it reads", func(e *rewrite.Edit, x string) string {
			a := op(e, "Abs", x)
			return op(e, "Add", a, op(e, "Where", op(e, "LessOrEqual", a, num(e, .5)), num(e, 0), x))
		}, []string{"Abs", "Where"}, nil},
		{"the largest of what is scattered", func(e *rewrite.Edit, x string) string {
			return e.Op("ScatterElements", map[string]any{"axis": 1, "reduction": "max"}, x, e.Const(tensor.Of([]int64{0, 0}, 1, 2)), op(e, "Neg", x))
		}, nil, []string{"bend ScatterElements"}},
		{"scattered", func(e *rewrite.Edit, x string) string {
			return e.Op("ScatterElements", map[string]any{"axis": 1}, x, e.Const(tensor.Of([]int64{0, 0}, 1, 2)), op(e, "Neg", x))
		}, nil, nil},
		{"a sign between the bounds of a shrinking", func(e *rewrite.Edit, x string) string {
			return op(e, "Where", op(e, "Greater", op(e, "Abs", x), num(e, .5)), x, op(e, "Sub", x, op(e, "Mul", op(e, "Sign", x), num(e, .5))))
		}, []string{"Sign", "Shrink"}, nil},
		{"a recurrent network that bends", func(e *rewrite.Edit, x string) string {
			y := op(e, "RNN", op(e, "Unsqueeze", x, int64s(e, 0)), e.Const(tensor.Of(make([]float32, 6), 1, 2, 3)), e.Const(tensor.Of(make([]float32, 4), 1, 2, 2)))
			n := e.Graph.Nodes[len(e.Graph.Nodes)-1]
			n.Attrs = append(n.Attrs, &onnx.Attr{Name: "hidden_size", Type: onnx.AttrInt, Int: 2}, &onnx.Attr{Name: "activations", Type: onnx.AttrStrings, Strings: [][]byte{[]byte("Relu")}})
			return y
		}, nil, []string{"bend RNN"}},
		{"a cast to the type of an integer", func(e *rewrite.Edit, x string) string {
			return e.Op("Cast", map[string]any{"to": 1}, op(e, "CastLike", x, e.Const(tensor.Scalar(int64(1)))))
		}, nil, []string{"bend CastLike"}},
		{"a constant cast to the type of a value", func(e *rewrite.Edit, x string) string {
			return op(e, "Max", x, op(e, "CastLike", num(e, .25), x))
		}, []string{"Max"}, nil},
		{"the largest in boxes", func(e *rewrite.Edit, x string) string {
			return e.Op("RoiAlign", map[string]any{"mode": "max"}, op(e, "Unsqueeze", x, int64s(e, 1, 2)), e.Const(tensor.Of([]float32{0, 0, 1, 1}, 1, 4)), int64s(e, 0))
		}, nil, []string{"bend RoiAlign"}},
		{"a softmax's maximum that is used besides", func(e *rewrite.Edit, x string) string {
			m := e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)
			z := op(e, "Exp", op(e, "Sub", x, m))
			return op(e, "Add", m, op(e, "Div", z, op(e, "ReduceSum", z, int64s(e, 1))))
		}, []string{"ReduceMax"}, []string{"smooth Exp", "smooth Div"}},
		{"an exponential that is not normalized", func(e *rewrite.Edit, x string) string {
			return op(e, "Exp", op(e, "Sub", x, e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)))
		}, []string{"ReduceMax"}, []string{"smooth Exp"}},
		{"log-sum-exp", func(e *rewrite.Edit, x string) string {
			m := e.Op("ReduceMax", map[string]any{"axes": []int64{1}}, x)
			return op(e, "Add", op(e, "Log", op(e, "ReduceSum", op(e, "Exp", op(e, "Sub", x, m)), int64s(e, 1))), m)
		}, nil, []string{"smooth ReduceMax", "smooth Exp", "smooth Log"}},
		{"a maximum before a softmax", func(e *rewrite.Edit, x string) string {
			return op(e, "Softmax", op(e, "Sub", x, op(e, "Unsqueeze", e.Op("ReduceMax", map[string]any{"axes": []int64{1}, "keepdims": 0}, x), int64s(e, 1))))
		}, nil, []string{"smooth ReduceMax", "smooth Softmax"}},
		{"a rounding and a clamp that quantize nothing", func(e *rewrite.Edit, x string) string {
			return op(e, "Clip", op(e, "Round", x), num(e, 0), num(e, 6))
		}, []string{"Clip"}, []string{"bend Round"}},
		{"a rounding between scales that are not inverse", func(e *rewrite.Edit, x string) string {
			return op(e, "Mul", op(e, "Clip", op(e, "Round", op(e, "Div", x, num(e, .5))), num(e, 0), num(e, 6)), num(e, 7))
		}, []string{"Clip"}, []string{"bend Round"}},
		{"an L1 norm that is divided by", func(e *rewrite.Edit, x string) string { return e.Op("LpNormalization", map[string]any{"p": 1}, x) },
			[]string{"ReduceL1"}, []string{"smooth LpNormalization"}},
		{"infinity and oneself", func(e *rewrite.Edit, x string) string {
			c := op(e, "Or", op(e, "Less", x, num(e, float32(math.Inf(1)))), op(e, "Greater", x, x))
			return op(e, "Max", op(e, "Where", c, x, op(e, "Neg", x)), num(e, float32(math.Inf(-1))))
		}, nil, nil},
		{"a reduction of no axes", func(e *rewrite.Edit, x string) string {
			return e.Op("ReduceMax", map[string]any{"noop_with_empty_axes": 1}, x)
		}, nil, nil},
		{"a step and a number", func(e *rewrite.Edit, x string) string { return op(e, "Max", x, op(e, "Sign", x)) }, []string{"Sign", "Max"}, nil},
		{"an activation that no output needs", func(e *rewrite.Edit, x string) string {
			op(e, "Relu", x)
			return op(e, "Abs", x)
		}, []string{"Abs"}, nil},
		{"a truncation", func(e *rewrite.Edit, x string) string {
			return e.Op("Cast", map[string]any{"to": 1}, e.Op("Cast", map[string]any{"to": 7}, x))
		}, nil, []string{"bend Cast"}},
		{"a choice of what is chosen already", func(e *rewrite.Edit, x string) string {
			s := op(e, "Sign", x)
			return op(e, "Exp", op(e, "Max", s, num(e, 0)))
		}, []string{"Sign"}, nil},
	} {
		m := graphOf(t, 3, c.build)
		found, err := Find(m, Options{})
		if err != nil && c.sites != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var sites, named []string
		for _, s := range found.Sites {
			sites = append(sites, s.Op)
		}
		for _, u := range found.Unwatched {
			named = append(named, string(u.Kind)+" "+u.Op)
			if u.Name == "" || u.Reason == "" {
				t.Errorf("%s: %+v", c.name, u)
			}
		}
		slices.Sort(named)
		slices.Sort(c.named)
		if !slices.Equal(sites, c.sites) || !slices.Equal(named, c.named) {
			t.Errorf("%s: sites %q, want %q; named %q, want %q", c.name, sites, c.sites, named, c.named)
		}
	}
}

// Probes of a probed model are no sites, and nothing is said of them.
func TestProbesAreNoSites(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		y := e.Op("Relu", nil, e.Op("Neg", nil, x))
		code := e.Op("Cast", map[string]any{"to": 1}, e.Op("Greater", nil, y, num(e, 0)))
		e.Output(code, tensor.Float32, nil)
		if err := e.Rename(code, "onnxprobe.code/relu"); err != nil {
			t.Fatal(err)
		}
		return y
	})
	found, err := Find(m, Options{})
	if err != nil || len(found.Sites) != 1 || len(found.Unwatched) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// What integers choose is computed with as numbers: the activations behind an embedding
// are sites. Masks are no bends.
func TestIntegerInputs(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		e.Graph.Inputs = append(e.Graph.Inputs, onnx.NewValue("ids", tensor.Int64, []onnx.Dim{{Param: "n", Size: -1}, {Size: 3}}),
			onnx.NewValue("mask", tensor.Int64, []onnx.Dim{{Param: "n", Size: -1}, {Size: 3}}), onnx.NewValue("levels", tensor.Uint8, []onnx.Dim{{Param: "n", Size: -1}, {Size: 3}}))
		words := e.Op("Gather", nil, e.Const(tensor.Of(make([]float32, 12), 12)), e.Op("Min", nil, "ids", int64s(e, 11)))
		seen := e.Op("Where", nil, e.Op("Greater", nil, "mask", int64s(e, 0)), e.Op("Relu", nil, words), num(e, float32(math.Inf(-1))))
		levels := e.Op("Relu", nil, e.Op("Sub", nil, e.Op("Cast", map[string]any{"to": 1}, "levels"), num(e, 127)))
		hot := e.Op("Cast", map[string]any{"to": 1}, e.Op("Equal", nil, "ids", int64s(e, 3)))
		hot = e.Op("LeakyRelu", nil, e.Op("Sub", nil, hot, num(e, .5)))
		strange := e.Op("Softplus", nil, e.Op("Frobnicate", nil, "ids"))
		return e.Op("Sum", nil, seen, levels, e.Op("Abs", nil, x), hot, strange)
	})
	found, err := Find(m, Options{})
	var ops []string
	for _, s := range found.Sites {
		ops = append(ops, s.Op)
	}
	if err != nil || !slices.Equal(ops, []string{"Relu", "Relu", "LeakyRelu", "Softplus", "Abs"}) || len(found.Unwatched) != 1 || found.Unwatched[0].Op != "Frobnicate" {
		t.Errorf("%q, %+v, %v", ops, found.Unwatched, err)
	}
}

// Bytes that a picture comes in wrap around where they are computed with.
func TestBytes(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		e.Graph.Inputs[0].DType = tensor.Uint8
		y := e.Op("Add", nil, x, e.Const(tensor.Scalar(uint8(200))))
		wide := e.Op("Sub", nil, e.Op("Cast", map[string]any{"to": 6}, x), e.Const(tensor.Scalar(int32(128))))
		half := e.Op("Div", nil, wide, e.Const(tensor.Scalar(int32(2))))
		return e.Op("Relu", nil, e.Op("Add", nil, e.Op("Cast", map[string]any{"to": 1}, y), e.Op("Cast", map[string]any{"to": 1}, half)))
	})
	found, err := Find(m, Options{})
	if err != nil || len(found.Sites) != 1 || len(found.Unwatched) != 2 || found.Unwatched[0].Op != "Add" || found.Unwatched[1].Op != "Div" {
		t.Errorf("%+v, %v", found, err)
	}
}

// Bodies are named, and what a strict search says of them.
func TestBodiesAreNamed(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string { return e.Op("Relu", nil, x) })
	y := m.Graph.Outputs[0].Name
	branch := func(op string) *onnx.Graph {
		return &onnx.Graph{Name: op, Nodes: []*onnx.Node{{Op: op, Inputs: []string{y}, Outputs: []string{op}}}, Outputs: []*onnx.Value{{Name: op}}}
	}
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Op: "If", Name: "choose", Inputs: []string{"cond"}, Outputs: []string{"z"},
		Attrs: []*onnx.Attr{{Name: "then_branch", Type: onnx.AttrGraph, Graph: branch("Abs")}, {Name: "else_branch", Type: onnx.AttrGraph, Graph: branch("Neg")}}})
	m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor("cond", tensor.Scalar(true)))
	m.Graph.Outputs = []*onnx.Value{{Name: "z"}}
	found, err := Find(m, Options{})
	if err != nil || len(found.Unwatched) != 1 || found.Unwatched[0].Kind != KindBody || found.Unwatched[0].Name != "choose" {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = Find(m, Options{Strict: true})
	if err == nil || !strings.Contains(err.Error(), `If "choose": what its body does`) {
		t.Errorf("strictly: %v", err)
	}
}

// Names that exporters and optimizers left incomplete.
func TestNamesByWeights(t *testing.T) {
	type n struct{ op, name, in, out, weight string }
	for _, c := range []struct {
		why   string
		nodes []n
		want  []string
	}{
		{"a module of which a method alone is called", []n{
			{"MatMul", "/attn/qkv/MatMul", "v0", "q", "attn.qkv.weight"},
			{"MatMul", "/attn/mlp/fc1/MatMul", "q", "a", "attn.rel_pos.mlp.fc1.weight"},
			{"Relu", "/attn/mlp/act/Relu", "a", "b", ""},
			{"Tanh", "/attn/Tanh", "b", "c", ""},
		}, []string{"attn.rel_pos.mlp.act", "attn.tanh"}},
		{"an optimizer dropped names: the weights tell", []n{
			{"MatMul", "MatMul_1", "v0", "a", "layer1.0.conv1.weight"},
			{"Relu", "node_relu", "a", "b", ""},
			{"MatMul", "MatMul_2", "b", "c", "layer1.0.conv2.weight"},
			{"Add", "Add_3", "c", "d", "layer1.0.conv2.bias"},
			{"Relu", "node_relu_1", "d", "e", ""},
			{"MatMul", "MatMul_4", "e", "f", "layer1.1.conv1.weight"},
			{"Relu", "node_relu_2", "f", "g", ""},
		}, []string{"layer1.0.relu", "layer1.0.relu_1", "layer1.1.relu"}},
		{"a weight that two layers share tells nothing", []n{
			{"MatMul", "/b/b.0/fc/MatMul", "v0", "a", "b.0.fc.bias"}, {"Relu", "/b/b.0/act/Relu", "a", "c", ""},
			{"MatMul", "/b/b.1/fc/MatMul", "c", "d", "b.0.fc.bias"}, {"Relu", "/b/b.1/act/Relu", "d", "e", ""},
		}, []string{"b.0.act", "b.1.act"}},
		{"a fused node is named by what it makes", []n{
			{"MatMul", "fused /fc/MatMul", "v0", "/act/Mul_output_0", ""},
			{"Relu", "", "/act/Mul_output_0", "/head/act/Relu_output_0", ""},
		}, []string{"head.act"}},
		{"neither names nor weights", []n{{"MatMul", "MatMul_1", "v0", "a", "w"}, {"Relu", "Relu_2", "a", "b", ""}}, []string{"Relu_2"}},
	} {
		m := chain()
		for _, k := range c.nodes {
			node := &onnx.Node{Op: k.op, Name: k.name, Inputs: []string{k.in}, Outputs: []string{k.out}}
			if k.weight != "" {
				node.Inputs = append(node.Inputs, k.weight)
				m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(k.weight, tensor.Of(make([]float32, 16), 4, 4)))
			}
			m.Graph.Nodes = append(m.Graph.Nodes, node)
		}
		found, err := Find(m, Options{})
		var got []string
		for _, s := range found.Sites {
			got = append(got, s.Name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.why, got, err, c.want)
		}
	}
}

// An activation that is scaled afterwards keeps its own name: a product with 1 belongs to
// the module around it.
func TestScalingDoesNotTakeTheName(t *testing.T) {
	scoped := func(n *onnx.Node, module string) {
		n.Meta = []onnx.Prop{{Key: "pkg.torch.onnx.name_scopes", Value: fmt.Sprintf("['', %q, 'f']", module)}}
	}
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		x = e.Op("Neg", nil, x)
		y := e.Op("Mul", nil, x, e.Op("Sigmoid", nil, x))
		for _, n := range e.Graph.Nodes[1:] {
			scoped(n, "block.act1")
		}
		y = e.Op("Mul", nil, y, num(e, 1))
		scoped(e.Graph.Nodes[len(e.Graph.Nodes)-1], "block")
		return y
	})
	found, err := Find(m, Options{})
	if err != nil || len(found.Sites) != 1 || found.Sites[0].Name != "block.act1" || len(found.Unwatched) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// A value that leads to another on 2^40 ways is looked at once.
func TestManyWays(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		x = e.Op("Relu", nil, x)
		for range 40 {
			x = e.Op("Add", nil, x, x)
		}
		return e.Op("QuantizeLinear", nil, x, num(e, .1), e.Const(tensor.Scalar(uint8(0))))
	})
	found, err := Find(m, Options{})
	if err != nil || len(found.Unwatched) != 1 || found.Unwatched[0].Kind != KindSmooth {
		t.Errorf("%+v, %v", found, err)
	}
}

// A knot is the number that the network compares with: what a quantizer makes of it.
func TestKnotBehindAQuantizer(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		grid, zero := num(e, .25), e.Const(tensor.Scalar(uint8(128)))
		return e.Op("Max", nil, x, e.Op("DequantizeLinear", nil, e.Op("QuantizeLinear", nil, num(e, .55), grid, zero), grid, zero))
	})
	found, err := Find(m, Options{})
	if err != nil || !slices.Equal(found.Sites[0].Knots, []float64{.5}) {
		t.Errorf("%+v, %v", found, err)
	}
}
