package onnx

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func TestMultiplyAddsByHand(t *testing.T) {
	text := func(name, v string) *Attr { return &Attr{Name: name, Type: AttrString, String: []byte(v)} }
	for _, c := range []struct {
		m    *Model
		want int64
	}{
		{small(value("x", 1, 3, 8, 8), node("Conv", "x w", "y")).with(zeros(t, "w", 4, 3, 3, 3)), 4 * 6 * 6 * 27},
		{small(value("x", 2, 3, 8, 8), node("Conv", "x w b", "y", ints("strides", 2, 2), ints("pads", 1, 1, 1, 1))).
			with(zeros(t, "w", 4, 3, 3, 3), zeros(t, "b", 4)), 2 * 4 * 4 * 4 * 27},
		{small(value("x", 1, 4, 8, 8), node("Conv", "x w", "y", intAttr("group", 4))).with(zeros(t, "w", 4, 1, 3, 3)), 4 * 6 * 6 * 9},
		{small(value("x", 1, 3, 4, 4), node("ConvTranspose", "x w", "y", ints("strides", 2, 2))).with(zeros(t, "w", 3, 2, 2, 2)), 3 * 16 * 8},
		{small(value("x", 5, 7), node("Gemm", "x w", "y")).with(zeros(t, "w", 7, 3)), 5 * 7 * 3},
		{small(value("x", 7, 5), node("Gemm", "x w", "y", intAttr("transA", 1), intAttr("transB", 1))).with(zeros(t, "w", 3, 7)), 5 * 7 * 3},
		{small(value("x", 2, 5, 7), node("MatMul", "x w", "y")).with(zeros(t, "w", 7, 3)), 2 * 5 * 7 * 3},
		{small(value("x", 7), node("MatMul", "x w", "y")).with(zeros(t, "w", 7, 3)), 7 * 3},
		{small(value("x", 2, 3, 4), node("Einsum", "x w", "y", text("equation", "bij, bjk -> bik"))).with(zeros(t, "w", 2, 4, 5)), 2 * 3 * 4 * 5},
		{small(value("x", 3, 3), node("Einsum", "x", "y", text("equation", "ii"))), 9}, // which it reads
		{small(value("x", 2, 3), node("Relu", "x", "y")), 6},
		{small(value("x", 2, 3), node("Relu", "x", "a"), node("Add", "a w", "y")).with(zeros(t, "w", 4, 1, 3)), 6 + 24},
		{small(value("x", 2, 3), node("ReduceSum", "x", "y")), 6},
		{small(value("x", 1, 2, 4, 4), node("MaxPool", "x", "y", ints("kernel_shape", 2, 2), ints("strides", 2, 2))), 2 * 4 * 4},
		{small(value("x", 1, 8, 2, 2), node("LRN", "x", "y", intAttr("size", 5))), 32 * 5},
		{small(value("x", 2, 3), node("Shape", "x", "s"), node("Div", "s two", "half"), node("Gather", "half zero", "y")).
			with(int64s("two", 2), NewTensor("zero", tensor.Scalar(int64(0)))), 6 + 2 + 2},
		{small(value("x", 1<<24, 1<<24), node("MatMul", "x x", "y")), math.MaxInt64},
		{small(value("x", 1<<24, 1<<24), node("MatMul", "x x", "a"), node("MatMul", "a x", "y")), math.MaxInt64},
	} {
		n := c.m.Graph.Nodes[0]
		if got, known := c.m.MultiplyAdds(nil); got != c.want || !known {
			t.Errorf("%s of %v: %d, %v, want %d", n, c.m.Graph.Inputs[0].Shape, got, known, c.want)
		}
	}
}

// torchvision publishes the multiply-adds of products and convolutions alone, in the _ops
// of its weights; all else adds a few per cent.
func TestMultiplyAddsOfTorchvision(t *testing.T) {
	for name, billions := range map[string]float64{
		"resnet18": 1.814, "resnet50": 4.089, "mobilenet_v2": 0.301, "mobilenet_v3_small": 0.057,
		"efficientnet_b0": 0.386, "convnext_tiny": 4.456, "vit_b_16": 17.564,
	} {
		for _, exporter := range []string{"dynamo", "torchscript"} {
			m, err := LoadWith("../testdata/models/structure/"+name+"_"+exporter+".onnx", LoadOptions{NoData: true})
			if err != nil {
				t.Fatal(err)
			}
			one := int64(0)
			for _, batch := range []int64{1, 3} {
				n, known := m.MultiplyAdds(map[string][]int64{m.Graph.Inputs[0].Name: {batch, 3, 224, 224}})
				if batch == 1 {
					one = n
				}
				if r := float64(n) / float64(batch) / billions / 1e9; !known || r < 1 || r > 1.05 || n > one*batch {
					t.Errorf("%s by %s, batch %d: %d, %v, is %.3f of what is published", name, exporter, batch, n, known, r)
				}
			}
		}
	}
}

// A model in which something can hide has no known cost.
func TestNotPlain(t *testing.T) {
	whole := func(out string) *Node { return node("Cast", "x", out, intAttr("to", int64(tensor.Int64))) }
	own := func(out string) *Node {
		return &Node{Op: "Own", Domain: "own", Inputs: []string{"x"}, Outputs: []string{out}}
	}
	open := func(n *Node) *Model { return small(value("x", 2, 3), n).with(int64s("k", 1, 2)) }
	div := func(op string, by ...*Node) *Model {
		nodes := append([]*Node{node("Shape", "x", "s")}, by...)
		return small(value("x", 2, 3), append(nodes, node(op, "s by", "y"))...).with(int64s("one", 1))
	}
	declared := open(node("Relu", "x", "y"))
	declared.Graph.Outputs[0] = value("y", 2, 4)
	hidden := small(value("x", 2, 3), node("NonZero", "x", "a"), node("Neg", "a", "y"))
	hidden.Graph.Values = []*Value{value("a", 2, 2)}
	guessed := small(value("x", 2, 3), whole("s"), node("Reshape", "x s", "a"), node("Relu", "a", "y"))
	guessed.Graph.Values = []*Value{value("a", 2, 2)}
	function := open(node("Relu", "x", "y"))
	function.Functions = []*Function{{Name: "Relu"}}
	many := small(value("x", 1))
	for i := range maxPlain + 1 {
		many.Graph.Nodes = append(many.Graph.Nodes, node("Relu", "x", fmt.Sprint("y", i)))
	}
	many.Graph.Outputs = []*Value{NewValue("y0", tensor.Float32, nil)}
	overload := node("Relu", "x", "y")
	overload.Overload = "own"
	for name, m := range map[string]*Model{
		"an open dimension":              small(value("x", -1, 3), node("Relu", "x", "y")),
		"an unknown operator":            open(node("Frobnicate", "x", "y")),
		"one that is not lowered":        open(node("Hardmax", "x", "y")),
		"an open dimension that is gone": small(value("x", -1, 3), node("ReduceMax", "x", "y", intAttr("keepdims", 0))),
		"a shape by data":                small(value("x", 2, 3), whole("s"), node("Reshape", "x s", "y")),
		"no elements are left":           small(value("x", 2, 3), node("Slice", "x two two", "y")).with(int64s("two", 2)),
		"a long divisor": small(value("x", 2, maxConst+1), whole("c"), node("Div", "c by", "y")).
			with(int64s("by", make([]int64, maxConst+1)...)),
		"a graph":                             open(node("Relu", "x", "y", graphAttr("body", &Graph{}))),
		"a function":                          function,
		"an overload":                         open(overload),
		"random numbers":                      open(node("RandomNormalLike", "x", "y")),
		"a shape that is declared":            hidden,
		"a shape by data, which is declared":  guessed,
		"an output declared otherwise":        declared,
		"inputs that contradict each other":   small(value("x", 2, 3), node("MatMul", "x x", "y")),
		"no outputs":                          small(value("x", 2, 3), &Node{Op: "Relu", Inputs: []string{"x"}}, node("Relu", "x", "y")),
		"no elements":                         small(value("x", 0, 3), node("Relu", "x", "y")),
		"the mean of nothing":                 small(value("x", 0), node("ReduceMean", "x", "y", intAttr("keepdims", 0))),
		"an ellipsis":                         open(node("Einsum", "x", "y", &Attr{Name: "equation", Type: AttrString, String: []byte("...->...")})),
		"too many nodes":                      many,
		"a divisor of 0":                      div("Div").with(int64s("by", 0)),
		"a divisor of -1":                     div("Div").with(int64s("by", 2, -1)),
		"a modulus of -1":                     div("Mod").with(int64s("by", -1)),
		"a divisor that is computed":          div("Div", node("Neg", "one", "by")),
		"a sound divisor that is computed":    div("Div", node("Abs", "one", "by")),
		"a divisor from shapes":               div("Mod", node("Shape", "x", "by")),
		"a divisor from data":                 div("Div", whole("c"), node("ReduceMax", "c", "by", intAttr("keepdims", 0))),
		"a diagonal from data":                small(value("x", 1), whole("k"), node("Trilu", "w k", "y")).with(zeros(t, "w", 3, 3)),
		"an operator that is named, and read": small(value("x", 2, 3), own("a"), node("Relu", "a", "y")),
	} {
		if n, known := m.MultiplyAdds(nil, "own.Own"); known || n != 0 {
			t.Errorf("%s: %d multiply-adds are known", name, n)
		}
	}
	for name, m := range map[string]*Model{
		"a divisor of the file": div("Div").with(int64s("by", 2)),
		"floats":                open(node("Div", "x x", "y")),
		"lists without elements": small(value("x", 2, 3), node("Shape", "x", "s"), node("Slice", "s two two", "rest"),
			node("Concat", "rest s", "y", intAttr("axis", 0))).
			with(int64s("two", 2)),
		"an operator that is named": open(own("y")),
	} {
		if n, known := m.MultiplyAdds(nil, "own.Own"); !known || n < 6 {
			t.Errorf("%s: %d, %v", name, n, known)
		}
	}
}

func TestMultiplyAddsOfNoInput(t *testing.T) {
	m := small(value("x", 2, 3), node("Relu", "x", "y"))
	if n, known := m.MultiplyAdds(map[string][]int64{"z": {1}}); known {
		t.Errorf("a shape for an input that is not there: %d", n)
	}
}

// The collected models that hurt engines are refused, or not plain, or large.
func TestHostileIsNotPlain(t *testing.T) {
	for _, file := range onnxFiles(t, filepath.Join(shared(t), "../cases/hostile")) {
		m, err := Load(file)
		if err != nil {
			continue
		}
		in, _ := bind(m, 2)
		n, known := m.MultiplyAdds(in)
		t.Logf("%s: %d, %v", filepath.Base(file), n, known)
		if known && (n < 1e12 || !strings.Contains(file, "oom")) {
			t.Errorf("%s is plain, with %d multiply-adds", file, n)
		}
	}
}
