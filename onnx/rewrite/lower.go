package rewrite

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// DialectOpset is the version of ONNX's operators that a lowered model uses.
const DialectOpset = 20

// LeftKey is the key of the metadata entry that Lower gives a node that it left
// as it was; the value says why.
const LeftKey = "onnxprobe.left"

// Lower rewrites m, for inputs of the given shapes, into a small dialect of ONNX
// that an engine can run without knowing the operators' versions, defaults and
// omitted inputs. All inputs that are not initializers need a shape, and a complete
// one. m is not changed; weights that are not touched stay shared.
//
// Every node of the dialect is ONNX's own at DialectOpset, has one output and no
// omitted input, and works on values of known shapes without empty dimensions.
// Lists (axes, pads, shapes) are constants, axes count from 0. The operators:
//
//   - Relu LeakyRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish
//     Tanh Erf Exp Log Sqrt Reciprocal Abs Neg Floor Ceil Round Sign Softplus
//     Softsign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Gelu Mish Not
//     IsNaN IsInf; Clip with two constant scalars
//   - Add Sub Mul Div Pow PRelu Max Min Mod Greater Less Equal GreaterOrEqual
//     LessOrEqual And Or Xor of two inputs, and Where, broadcast as numpy does
//   - Conv, ConvTranspose, MaxPool and AveragePool over two axes with every
//     attribute written out and no auto_pad
//   - MatMul and MatMulInteger of ranks 2 and more
//   - Softmax and LogSoftmax along the last axis, written as -1
//   - ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd with axes as an input, and
//     ArgMax ArgMin, all with keepdims 1
//   - Reshape to a full shape (an empty list for a scalar), Transpose with perm,
//     Concat, Slice with all five inputs, Gather, Expand to the whole shape, Pad of
//     all axes with a value and without negative pads, Cast
//
// What follows from constants and shapes is an initializer, and so is a value
// without elements, which no node reads.
//
// Operators other than those that move data compute in float32 where the model's
// numbers have 16 bits, and their result is rounded once.
//
// A node that cannot be lowered is left as it is, with the reason in its metadata
// under LeftKey, for the engine to refuse: it still means what it did in m's version
// of the operators. Nothing is dropped but what no output depends on. Values keep their names. Where an operator does nothing its readers
// read its input instead, unless it makes an output of the graph: that one is a
// Reshape to the same shape. An output can be an initializer or an input.
//
// The facts are of every value of the lowered graph whose shape is known; without
// nodes left over that is all of them.
func Lower(m *onnx.Model, inputs map[string][]int64) (*onnx.Model, map[string]onnx.Fact, error) {
	fail := func(err error) (*onnx.Model, map[string]onnx.Fact, error) {
		return nil, nil, fmt.Errorf("lowering the model: %w", err)
	}
	if err := m.Check(); err != nil {
		return fail(err)
	}
	m, err := Inline(m)
	if err != nil {
		return fail(err)
	}
	own := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		own[t.Name] = true
	}
	given := map[string][]int64{}
	for _, v := range m.Graph.Inputs {
		if own[v.Name] {
			continue
		}
		shape, ok := inputs[v.Name]
		if !ok || slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
			return fail(fmt.Errorf("input %q: got the shape %v, want one with every dimension known", v.Name, shape))
		}
		given[v.Name] = append([]int64{}, shape...)
	}
	facts, err := m.Infer(given)
	if err != nil {
		return fail(err)
	}
	var l *lowering
	out, err := Apply(m, Pass{Name: "lower", Do: func(e *Edit) error {
		l = newLowering(e.In("lower"), facts)
		return l.run(given)
	}, Shows: "what follows from its constants is computed"})
	if err != nil {
		return fail(err)
	}
	lowered, err := out.Infer(given)
	if err != nil {
		return fail(fmt.Errorf("the result contradicts itself: %w", err))
	}
	for name, f := range lowered {
		was := l.facts[name]
		if was.DType != tensor.Undefined && f.DType != tensor.Undefined && was.DType != f.DType || was.Known() && f.Known() && !slices.Equal(was.Shape, f.Shape) {
			return fail(fmt.Errorf("value %q: got %s %v, want %s %v", name, f.DType, f.Shape, was.DType, was.Shape))
		}
	}
	for name := range l.live {
		if f := l.facts[name]; !lowered[name].Known() && f.Known() {
			lowered[name] = f
		}
	}
	for name, f := range lowered {
		if !f.Known() {
			delete(lowered, name)
		}
	}
	return out, lowered, nil
}

// lowering is the state of the pass: the graph's nodes are replaced one by one, in
// order, by those that the table's rows add.
type lowering struct {
	*Edit
	opset   int64 // of the model as it was
	facts   map[string]onnx.Fact
	consts  map[string]*onnx.Tensor
	index   *onnx.Index     // of the model as it was
	outputs map[string]bool // names that must stay: graph outputs, and what subgraphs read
	alias   map[string]string
	maker   map[string]*onnx.Node
	casts   map[cast]*onnx.Node
	added   []cast
	recast  map[cast]string // constants made by casting others
	loose   map[string]bool // values of earlier rows that may take the name of a later one's
	live    map[string]bool
	budget  int64 // elements of constants that may still be made
	err     error // what is wrong with the present row's attempt
}

type cast struct {
	value string
	to    tensor.DType
}

// maxMade bounds the elements of all constants that lowering makes, so that a small
// file cannot ask for all memory. What is made of weights does not count.
const maxMade = 1 << 25

// leftError says why a node is left as it was.
type leftError struct{ why string }

func (e *leftError) Error() string { return e.why }

func left(format string, args ...any) error { return &leftError{fmt.Sprintf(format, args...)} }

func newLowering(e *Edit, facts map[string]onnx.Fact) *lowering {
	l := &lowering{Edit: e, opset: e.Model.Opset(""), facts: facts, consts: map[string]*onnx.Tensor{}, index: e.Graph.Index(),
		outputs: map[string]bool{}, alias: map[string]string{}, maker: map[string]*onnx.Node{},
		casts: map[cast]*onnx.Node{}, loose: map[string]bool{}, recast: map[cast]string{}, budget: maxMade}
	for _, t := range e.Graph.Initializers {
		l.consts[t.Name] = t
	}
	for _, v := range e.Graph.Outputs {
		l.outputs[v.Name] = true
	}
	for name, readers := range l.index.Readers {
		for _, n := range readers {
			if !slices.Contains(n.Inputs, name) {
				l.outputs[name] = true
			}
		}
	}
	return l
}

func (l *lowering) run(given map[string][]int64) error {
	old := l.Graph.Nodes
	l.Graph.Nodes = make([]*onnx.Node, 0, len(old))
	for _, n := range old {
		if err := l.node(n); err != nil {
			return err
		}
	}
	l.sweep()
	l.Graph.Values = nil
	l.Graph.Inputs = slices.DeleteFunc(l.Graph.Inputs, func(v *onnx.Value) bool { _, ok := given[v.Name]; return !ok })
	for _, v := range slices.Concat(l.Graph.Inputs, l.Graph.Outputs) {
		f := l.facts[v.Name]
		if !f.Known() || v.DType != tensor.Undefined && v.DType != f.DType {
			continue
		}
		v.DType, v.Shape = f.DType, make([]onnx.Dim, len(f.Shape))
		for i, d := range f.Shape {
			v.Shape[i] = onnx.Dim{Size: d}
		}
	}
	domains := map[string]bool{}
	eachNode(l.Graph, func(n *onnx.Node) { domains[n.Domain] = true })
	opsets := []onnx.Opset{{Version: DialectOpset}}
	for _, o := range l.Model.Opsets {
		if o.Domain != "" && o.Domain != "ai.onnx" && domains[o.Domain] {
			opsets = append(opsets, o)
		}
	}
	l.Model.Opsets = opsets
	l.Model.IR = max(l.Model.IR, 9)
	return nil
}

// eachNode visits the nodes of subgraphs too.
func eachNode(g *onnx.Graph, do func(*onnx.Node)) {
	for _, n := range g.Nodes {
		do(n)
		for _, s := range n.Subgraphs() {
			eachNode(s, do)
		}
	}
}
