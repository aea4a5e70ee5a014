package enginetest

import (
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// opset is the version of ONNX's operators that the suite's models import.
const opset = 17

// builder makes a model node by node. Values that nothing made are inputs.
type builder struct {
	g *onnx.Graph
}

// build makes a model. Inputs and outputs are declared by in and out.
func build(f func(b *builder)) *onnx.Model {
	b := &builder{g: &onnx.Graph{Name: "test"}}
	f(b)
	return &onnx.Model{IR: 8, Producer: "enginetest", Opsets: []onnx.Opset{{Version: opset}}, Graph: b.g}
}

// in declares an input; a dimension of -1 is the symbol N.
func (b *builder) in(name string, d tensor.DType, shape ...int64) string {
	b.g.Inputs = append(b.g.Inputs, onnx.NewValue(name, d, dims(shape)))
	return name
}

// out declares an output.
func (b *builder) out(name string, d tensor.DType, shape ...int64) {
	b.g.Outputs = append(b.g.Outputs, onnx.NewValue(name, d, dims(shape)))
}

// outAny declares an output of a type but no shape.
func (b *builder) outAny(name string, d tensor.DType) {
	b.g.Outputs = append(b.g.Outputs, onnx.NewValue(name, d, nil))
}

func dims(shape []int64) []onnx.Dim {
	ds := make([]onnx.Dim, len(shape))
	for i, n := range shape {
		ds[i] = onnx.Dim{Size: n}
		if n < 0 {
			ds[i] = onnx.Dim{Size: -1, Param: "N"}
		}
	}
	return ds
}

// constant adds an initializer.
func (b *builder) constant(name string, t *tensor.Tensor) string {
	b.g.Initializers = append(b.g.Initializers, onnx.NewTensor(name, t))
	return name
}

// op adds a node that makes the value out, after which the node is named.
func (b *builder) op(op, out string, in []string, attrs ...*onnx.Attr) string {
	b.g.Nodes = append(b.g.Nodes, &onnx.Node{Name: "node_" + out, Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	return out
}

func ints(name string, v ...int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInts, Ints: v}
}
func integer(name string, v int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInt, Int: v}
}
func float(name string, v float32) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrFloat, Float: v}
}

// one is a model of a single operator from inputs shaped like in, with the batch
// left open, to one output.
func one(op string, in []*tensor.Tensor, want *tensor.Tensor, attrs ...*onnx.Attr) *onnx.Model {
	return build(func(b *builder) {
		var names []string
		for i, t := range in {
			names = append(names, b.in(string(rune('a'+i)), t.DType, sizes(t)...))
		}
		b.op(op, "y", names, attrs...)
		b.outAny("y", want.DType)
	})
}

// unary is one operator on one input, the first, with the rest as constants.
func unary(op string, in []*tensor.Tensor, want *tensor.Tensor, attrs ...*onnx.Attr) *onnx.Model {
	return build(func(b *builder) {
		shape := sizes(in[0])
		if len(shape) > 0 {
			shape[0] = -1
		}
		names := []string{b.in("x", in[0].DType, shape...)}
		for i, t := range in[1:] {
			names = append(names, b.constant(string(rune('a'+i)), t))
		}
		b.op(op, "y", names, attrs...)
		b.outAny("y", want.DType)
	})
}

func sizes(t *tensor.Tensor) []int64 {
	out := make([]int64, len(t.Shape))
	for i, d := range t.Shape {
		out[i] = int64(d)
	}
	return out
}

func text(name, v string) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrString, String: []byte(v)}
}
func value(name string, t *tensor.Tensor) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrTensor, Tensor: onnx.NewTensor("", t)}
}

func scalar(v float32) *tensor.Tensor { return tensor.Scalar(v) }
