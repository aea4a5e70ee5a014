package rewrite

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Widen turns every float16, bfloat16 and float32 of a model into float64: inputs,
// outputs, declared values, weights, constants, the types that casts and generators
// name, in subgraphs too. Whatever runs the result computes in double precision.
// Integers, bools and strings stay. m is not changed. Weights become part of the
// widened model in memory, external ones too.
//
// Where ONNX allows an operator no float64 (the scales of Resize and Upsample,
// quantisation, NonMaxSuppression) it keeps float32: a constant as it was, another
// value behind a Cast. Functions of the model's own are inlined. A model with sparse
// initializers, which package onnx does not look into, is an error.
func Widen(m *onnx.Model) (*onnx.Model, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("widening the model: %w", err)
	}
	m, err := Inline(m)
	if err != nil {
		return nil, fmt.Errorf("widening the model: %w", err)
	}
	out, err := Apply(m, Pass{Name: "widen", Do: func(e *Edit) error {
		w := &retyping{e.In("widen"), tensor.Float64}
		return w.graph(e.Graph, map[string]bool{})
	}})
	if err != nil {
		return nil, fmt.Errorf("widening the model: %w", err)
	}
	return out, nil
}

// single lists what must stay float32 by the operators' type constraints: inputs by
// place, and outputs, which are brought to the new type behind the node.
var single = map[string]struct{ in, out []int }{
	"Resize": {in: []int{2}}, "Upsample": {in: []int{1}}, // and Resize's first after x in version 10
	"QuantizeLinear": {in: []int{0, 1}}, "DequantizeLinear": {in: []int{1}, out: []int{0}},
	"DynamicQuantizeLinear": {in: []int{0}, out: []int{1}},
	"QLinearConv":           {in: []int{1, 4, 6}}, "QLinearMatMul": {in: []int{1, 4, 6}},
	"NonMaxSuppression": {in: []int{0, 1, 3, 4}},
}

// named lists the attributes that name an element type.
var named = []string{"to", "dtype", "output_datatype", "softmax_precision"}

// retyping brings the floating types of a model to one of them.
type retyping struct {
	*Edit
	to tensor.DType
}

// other says of a type that it is changed: a floating one that is not the new one.
func (w *retyping) other(d tensor.DType) bool {
	return d != w.to && (d == tensor.Float64 || d == tensor.Float32 || d == tensor.Float16 || d == tensor.BFloat16)
}

// of is a tensor of the new type.
func (w *retyping) of(v []float64, shape ...int) *tensor.Tensor {
	if w.to == tensor.Float64 {
		return tensor.Of(v, shape...)
	}
	return halves(v, shape)
}

// graph retypes one graph; outer holds the names that the graphs around it define.
func (w *retyping) graph(g *onnx.Graph, outer map[string]bool) error {
	defined := map[string]bool{"": true}
	for name := range outer {
		defined[name] = true
	}
	for _, vs := range [][]*onnx.Value{g.Inputs, g.Outputs, g.Values} {
		for _, v := range vs {
			if w.other(v.DType) {
				v.DType = w.to
			}
		}
	}
	for _, v := range g.Inputs {
		defined[v.Name] = true
	}
	was := map[string]*onnx.Tensor{} // constants of this graph as they were
	for i, t := range g.Initializers {
		defined[t.Name] = true
		if !w.other(t.DType) {
			continue
		}
		was[t.Name] = t
		wide, err := w.tensor(t)
		if err != nil {
			return err
		}
		g.Initializers[i] = wide
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			defined[o] = true
		}
		if a := n.Attr("value"); n.IsOp("Constant") && a != nil && a.Tensor != nil && w.other(a.Tensor.DType) && len(n.Outputs) == 1 {
			was[n.Outputs[0]] = a.Tensor
		}
	}
	old := g.Nodes
	g.Nodes = make([]*onnx.Node, 0, len(old))
	for _, n := range old {
		for _, in := range n.Inputs {
			if !defined[in] {
				return fmt.Errorf("node %s reads %q, which is a sparse initializer, and these are not decoded", n, in)
			}
		}
		if err := w.node(n); err != nil {
			return err
		}
		for _, s := range n.Subgraphs() {
			if err := w.graph(s, defined); err != nil {
				return err
			}
		}
		if err := w.keep(g, n, was); err != nil {
			return err
		}
	}
	return nil
}

// tensor is t in the new type.
func (w *retyping) tensor(t *onnx.Tensor) (*onnx.Tensor, error) {
	v, err := w.Model.Values(t)
	if err != nil {
		return nil, err
	}
	return onnx.NewTensor(t.Name, w.of(v.Float64s(), v.Shape...)), nil
}

// node retypes what n's attributes say, and what it says by leaving one out.
func (w *retyping) node(n *onnx.Node) error {
	if n.Domain != "" && n.Domain != "ai.onnx" {
		return nil
	}
	hold := func(a *onnx.Attr, t *tensor.Tensor) {
		*a = onnx.Attr{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.NewTensor("", t)}
	}
	for _, a := range n.Attrs {
		switch {
		case a.Type == onnx.AttrInt && slices.Contains(named, a.Name) && w.other(tensor.DType(a.Int)):
			a.Int = int64(w.to)
		case n.Op == "Cast" && a.Type == onnx.AttrString && slices.Contains([]string{"FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"}, string(a.String)):
			a.String = []byte(map[tensor.DType]string{tensor.Float64: "DOUBLE", tensor.Float16: "FLOAT16"}[w.to])
		case n.Op == "Constant" && a.Name == "value_float":
			hold(a, w.of([]float64{float64(a.Float)}))
		case n.Op == "Constant" && a.Name == "value_floats":
			v := tensor.Of(a.Floats, len(a.Floats)).Float64s()
			hold(a, w.of(v, len(v)))
		case (n.Op == "Constant" || n.Op == "ConstantOfShape") && a.Name == "value" && a.Tensor != nil && w.other(a.Tensor.DType):
			t, err := w.tensor(a.Tensor)
			if err != nil {
				return fmt.Errorf("node %s: %w", n, err)
			}
			a.Tensor = t
		}
	}
	switch absent := n.Attr; n.Op {
	case "ConstantOfShape":
		if absent("value") == nil {
			a := &onnx.Attr{}
			hold(a, w.of([]float64{0}, 1))
			n.Attrs = append(n.Attrs, a)
		}
	case "RandomNormal", "RandomUniform":
		w.setDefault(n, "dtype")
	case "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix":
		w.setDefault(n, "output_datatype")
	}
	return nil
}

// setDefault names the new type where float32 is the default.
func (w *retyping) setDefault(n *onnx.Node, attr string) {
	if n.Attr(attr) == nil {
		n.Attrs = append(n.Attrs, &onnx.Attr{Name: attr, Type: onnx.AttrInt, Int: int64(w.to)})
	}
}

// keep adds n to the graph with what must stay float32 as it was.
func (w *retyping) keep(g *onnx.Graph, n *onnx.Node, was map[string]*onnx.Tensor) error {
	rule, ok := single[n.Op]
	if n.Op == "Celu" && w.to == tensor.Float16 {
		rule.in, rule.out, ok = []int{0}, []int{0}, true
	}
	if n.Domain != "" && n.Domain != "ai.onnx" {
		ok = false
	}
	if !ok {
		g.Nodes = append(g.Nodes, n)
		return nil
	}
	in := rule.in
	if n.Op == "Resize" && w.Model.Opset("") < 11 {
		in = []int{1}
	}
	for _, i := range in {
		name := n.Input(i)
		if name == "" {
			continue
		}
		if t := was[name]; t != nil {
			v, err := w.Model.Values(t)
			if err != nil {
				return err
			}
			n.Inputs[i] = w.Const(v)
			continue
		}
		n.Inputs[i] = w.cast(g, name, tensor.Float32)
	}
	g.Nodes = append(g.Nodes, n)
	for _, i := range rule.out {
		if i >= len(n.Outputs) || n.Outputs[i] == "" {
			continue
		}
		name := n.Outputs[i]
		n.Outputs[i] = w.Name("single")
		w.cast(g, n.Outputs[i], w.to)
		g.Nodes[len(g.Nodes)-1].Outputs[0] = name
	}
	return nil
}

// cast adds a Cast to the graph.
func (w *retyping) cast(g *onnx.Graph, v string, to tensor.DType) string {
	out := w.Name("Cast.out")
	g.Nodes = append(g.Nodes, &onnx.Node{Name: w.Name("Cast"), Op: "Cast", Inputs: []string{v}, Outputs: []string{out},
		Attrs: []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, Int: int64(to)}}})
	return out
}
