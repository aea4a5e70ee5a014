package onnx

import (
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// What is random depends on the operator's version, its attributes and constants, and is
// found in bodies too.
func TestRandomNodes(t *testing.T) {
	at := func(name string, v int64) *Attr { return &Attr{Name: name, Type: AttrInt, Int: v} }
	ratio := func(v float32) *Attr { return &Attr{Name: "ratio", Type: AttrFloat, Float: v} }
	op := func(op string, inputs, outputs []string, attrs ...*Attr) *Node {
		return &Node{Name: op, Op: op, Inputs: inputs, Outputs: outputs, Attrs: attrs}
	}
	x, y := []string{"x"}, []string{"y"}
	for name, c := range map[string]struct {
		opset int64
		n     *Node
		want  bool
	}{
		"trained dropout":              {17, op("Dropout", []string{"x", "half", "yes"}, y), true},
		"by default half":              {12, op("Dropout", []string{"x", "", "yes"}, y), true},
		"seen through an Identity":     {17, op("Dropout", []string{"x", "half", "same"}, y), true},
		"of nothing":                   {17, op("Dropout", []string{"x", "zero", "yes"}, y), false},
		"of a ratio that is not known": {17, op("Dropout", []string{"x", "x", "yes"}, y), true},
		"not trained":                  {17, op("Dropout", []string{"x", "half", "no"}, y), false},
		"trained or not by an input":   {17, op("Dropout", []string{"x", "half", "x"}, y), false},
		"dropout as it is exported":    {17, op("Dropout", x, y), false},
		"without inputs":               {17, op("Dropout", nil, nil), false},
		"dropout of opset 7":           {7, op("Dropout", x, y, ratio(.5)), false},
		"dropout of opset 6":           {6, op("Dropout", x, y), true},
		"of opset 6, of nothing":       {6, op("Dropout", x, y, ratio(0)), false},
		"of opset 6, in a test":        {6, op("Dropout", x, y, at("is_test", 1)), false},
		"trained normalization":        {15, op("BatchNormalization", x, y, at("training_mode", 1)), true},
		"weights standardized by one":  {15, op("BatchNormalization", []string{"half"}, y, at("training_mode", 1)), false},
		"normalization":                {15, op("BatchNormalization", x, y), false},
		"with its statistics":          {9, op("BatchNormalization", x, []string{"y", "mean"}), true},
		"without them":                 {9, op("BatchNormalization", x, []string{"y", "", ""}), false},
		"in a test":                    {6, op("BatchNormalization", x, []string{"y", "mean"}, at("is_test", 1)), false},
		"noise":                        {17, op("RandomNormalLike", x, y), true},
		"seeded noise":                 {17, op("RandomUniform", nil, y, at("seed", 1)), true},
		"draws":                        {17, op("Multinomial", x, y), true},
		"coins":                        {17, op("Bernoulli", x, y), true},
		"another's operator":           {17, &Node{Op: "Bernoulli", Domain: "acme", Inputs: x, Outputs: y}, false},
		"what draws nothing":           {17, op("Relu", x, y), false},
	} {
		truth := func(name string, v bool) *Tensor { return NewTensor(name, tensor.Scalar(v)) }
		number := func(name string, v float32) *Tensor { return NewTensor(name, tensor.Scalar(v)) }
		outer := &Graph{Inputs: []*Value{NewValue("x", tensor.Float32, nil)}, Initializers: []*Tensor{truth("yes", true), truth("no", false), number("half", .5), number("zero", 0)},
			Nodes: []*Node{op("Identity", []string{"yes"}, []string{"same"}), c.n}}
		m := &Model{Opsets: []Opset{{Version: c.opset}}, Graph: outer}
		if got := m.RandomNodes(); slices.Contains(got, c.n) != c.want || len(got) > 1 {
			t.Errorf("%s: got %v, want it found: %v", name, got, c.want)
		}
		body := &Graph{Nodes: []*Node{c.n}}
		outer.Nodes[1] = &Node{Op: "If", Inputs: x, Outputs: y, Attrs: []*Attr{{Name: "then_branch", Type: AttrGraph, Graph: body}}}
		if name == "weights standardized by one" { // what a body reads is not looked into
			continue
		}
		if got := m.RandomNodes(); slices.Contains(got, c.n) != c.want || len(got) > 1 {
			t.Errorf("%s, in a body: got %v, want it found: %v", name, got, c.want)
		}
	}
	// A ring of Identity nodes, which no file has, ends too.
	ring := &Graph{Nodes: []*Node{op("Identity", []string{"b"}, []string{"a"}), op("Identity", []string{"a"}, []string{"b"}), op("Dropout", []string{"x", "", "a"}, y)}}
	if got := (&Model{Opsets: []Opset{{Version: 17}}, Graph: ring}).RandomNodes(); got != nil {
		t.Errorf("in a ring: %v", got)
	}
}
