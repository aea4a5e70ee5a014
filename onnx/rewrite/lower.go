package rewrite

import (
	"errors"
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
// under LeftKey, for the engine to refuse; nothing is dropped but what no output
// depends on. Values keep their names. Where an operator does nothing its readers
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
	out, err := Apply(m, Pass{"lower", func(e *Edit) error {
		l = newLowering(e.In("lower"), facts)
		return l.run(given)
	}})
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
// file cannot ask for all memory. Folded weights do not count.
const maxMade = 1 << 27

// leftError says why a node is left as it was.
type leftError struct{ why string }

func (e *leftError) Error() string { return e.why }

func left(format string, args ...any) error { return &leftError{fmt.Sprintf(format, args...)} }

func newLowering(e *Edit, facts map[string]onnx.Fact) *lowering {
	l := &lowering{Edit: e, opset: e.Model.Opset(""), facts: facts, consts: map[string]*onnx.Tensor{}, index: e.Graph.Index(),
		outputs: map[string]bool{}, alias: map[string]string{}, maker: map[string]*onnx.Node{}, casts: map[cast]*onnx.Node{}, loose: map[string]bool{}, budget: maxMade}
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

// node lowers one node, or leaves it.
func (l *lowering) node(n *onnx.Node) error {
	l.refresh(n)
	if l.fold(n) {
		return nil
	}
	mark, casts := len(l.Graph.Nodes), len(l.added)
	err := l.try(n, mark)
	if err == nil {
		return nil
	}
	var why *leftError
	if !errors.As(err, &why) {
		return fmt.Errorf("lowering %s: %w", n, err)
	}
	l.Graph.Nodes = l.Graph.Nodes[:mark]
	for _, c := range l.added[casts:] {
		delete(l.casts, c)
	}
	l.added = l.added[:casts]
	for _, name := range n.Outputs {
		delete(l.alias, name)
	}
	for i, name := range n.Inputs {
		n.Inputs[i] = l.resolve(name)
	}
	n.Meta = append(n.Meta, onnx.Prop{Key: LeftKey, Value: why.why})
	l.Graph.Nodes = append(l.Graph.Nodes, n)
	return nil
}

// refresh infers again what became known through operators that only this pass
// knows.
func (l *lowering) refresh(n *onnx.Node) {
	for _, o := range n.Outputs {
		if o != "" && !l.facts[o].Known() {
			if facts, err := n.Infer(l.opset, l.inputs(n)); err == nil {
				for i, f := range facts {
					if i < len(n.Outputs) && f.Known() {
						l.facts[n.Outputs[i]] = f
					}
				}
			}
			return
		}
	}
}

func (l *lowering) inputs(n *onnx.Node) []onnx.Fact {
	in := make([]onnx.Fact, len(n.Inputs))
	for i, name := range n.Inputs {
		if name != "" {
			in[i] = l.facts[l.resolve(name)]
		}
	}
	return in
}

// fold replaces a node whose outputs are known, or empty, by constants.
func (l *lowering) fold(n *onnx.Node) bool {
	var ts []*tensor.Tensor
	for _, o := range n.Outputs {
		if o == "" {
			continue
		}
		t := constant(l.facts[o])
		if t == nil {
			return false
		}
		ts = append(ts, t)
	}
	for _, o := range n.Outputs {
		if o != "" {
			l.named(o, ts[0])
			ts = ts[1:]
		}
	}
	return true
}

// named adds a constant under the name of the value that it replaces.
func (l *lowering) named(name string, t *tensor.Tensor) {
	c := onnx.NewTensor(name, t)
	l.Graph.Initializers = append(l.Graph.Initializers, c)
	l.consts[name] = c
	f := l.facts[name]
	f.DType, f.Shape = c.DType, append([]int64{}, c.Dims...)
	l.facts[name] = f
}

// computable lists the element types that the dialect's values can have.
func computable(d tensor.DType) bool {
	return d == tensor.Undefined || d.Known() && d <= tensor.BFloat16 && d != tensor.String && d != tensor.Complex64 && d != tensor.Complex128
}

// short reports whether the type is a float of 16 bits.
func short(d tensor.DType) bool { return d == tensor.Float16 || d == tensor.BFloat16 }

// try adds what the node's row gives, and binds it to the node's outputs.
func (l *lowering) try(n *onnx.Node, mark int) error {
	key := n.Op
	switch n.Domain {
	case "", "ai.onnx":
	default:
		key = n.Domain + "." + n.Op
	}
	row, ok := lowerings[key]
	if !ok {
		return left("the operator is not supported")
	}
	if len(n.Outputs) == 0 || n.Outputs[0] == "" {
		return left("its first output is omitted")
	}
	k := *n
	k.Inputs = slices.Clone(n.Inputs)
	var wide tensor.DType
	l.err = nil
	for i, name := range k.Inputs {
		if name == "" {
			continue
		}
		name = l.resolve(name)
		if d := l.facts[name].DType; !computable(d) {
			return left("its input %q is %s", name, d)
		} else if short(d) && !row.moves {
			if wide == tensor.Undefined {
				wide = d
			}
			if name = l.cast(name, tensor.Float32); l.err != nil {
				return l.err
			}
		}
		k.Inputs[i] = name
	}
	for len(k.Inputs) > 0 && k.Inputs[len(k.Inputs)-1] == "" {
		k.Inputs = k.Inputs[:len(k.Inputs)-1]
	}
	out := l.facts[n.Outputs[0]]
	if !computable(out.DType) {
		return left("its output is %s", out.DType)
	}
	if slices.Contains(out.Shape, 0) && n.Op != "Split" {
		return left("its output of shape %v is empty", out.Shape)
	}
	v, err := row.do(l, &k)
	if l.err != nil { // which came first
		err = l.err
	}
	if err != nil {
		return err
	}
	got := l.facts[v]
	if got.DType == tensor.Float32 && wide != tensor.Undefined && (out.DType == tensor.Undefined || short(out.DType)) {
		if short(out.DType) {
			wide = out.DType
		}
		v = l.cast(v, wide)
		got = l.facts[v]
	}
	switch {
	case l.err != nil:
		return l.err
	case out.Known() && !slices.Equal(out.Shape, got.Shape), out.DType != tensor.Undefined && out.DType != got.DType:
		return left("lowering it gave %s %v, want %s %v", got.DType, got.Shape, out.DType, out.Shape)
	}
	for _, o := range n.Outputs[1:] {
		if _, bound := l.alias[o]; o != "" && !bound && l.maker[o] == nil && l.consts[o] == nil && (l.outputs[o] || len(l.index.Readers[o]) > 0) {
			return left("its output %q is used", o)
		}
	}
	l.bind(n, n.Outputs[0], v, mark)
	return l.err
}

// bind gives a value the name of the output that it is. mark is where the nodes
// begin that were added for n.
func (l *lowering) bind(n *onnx.Node, name, v string, mark int) {
	if l.err != nil || v == name {
		return
	}
	made := l.maker[v]
	fresh := made != nil && l.index.Maker[v] == nil && (l.loose[v] || slices.Contains(l.Graph.Nodes[mark:], made))
	if !fresh && !l.outputs[name] {
		l.alias[name] = v
		return
	}
	if !fresh {
		f := l.facts[v]
		v = l.op("Reshape", nil, v, l.list(f.Shape...))
		if l.err != nil {
			return
		}
		made = l.maker[v]
	}
	for _, k := range l.Graph.Nodes[mark:] {
		for i, in := range k.Inputs {
			if in == v {
				k.Inputs[i] = name
			}
		}
	}
	made.Outputs[0] = name
	made.Meta = slices.Clone(n.Meta)
	if n.Name != "" && name == n.Outputs[0] {
		made.Name = n.Name
	}
	was := l.facts[name]
	f := l.facts[v]
	if f.Const == nil {
		f.Const = was.Const
	}
	l.facts[name], l.maker[name] = f, made
	delete(l.maker, v)
	for to := range maxDTypes {
		if c, ok := l.casts[cast{v, to}]; ok { // made within the row
			l.casts[cast{name, to}] = c
			delete(l.casts, cast{v, to})
			l.added = append(l.added, cast{name, to})
		}
	}
}

const maxDTypes = tensor.BFloat16 + 1

// resolve is the value that is read instead of one that an operator only passed on.
func (l *lowering) resolve(name string) string {
	for {
		to, ok := l.alias[name]
		if !ok {
			return name
		}
		name = to
	}
}

// sweep drops what no output depends on.
func (l *lowering) sweep() {
	ix := l.Graph.Index()
	reads := map[*onnx.Node][]string{}
	for name, readers := range ix.Readers {
		for _, n := range readers {
			reads[n] = append(reads[n], name)
		}
	}
	l.live = map[string]bool{}
	used := map[*onnx.Node]bool{}
	var open []string
	for _, v := range l.Graph.Outputs {
		open = append(open, v.Name)
	}
	for len(open) > 0 {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		if l.live[name] {
			continue
		}
		l.live[name] = true
		if n := ix.Maker[name]; n != nil && !used[n] {
			used[n] = true
			open = append(open, reads[n]...)
		}
	}
	l.Graph.Nodes = slices.DeleteFunc(l.Graph.Nodes, func(n *onnx.Node) bool { return !used[n] })
	l.Graph.Initializers = slices.DeleteFunc(l.Graph.Initializers, func(t *onnx.Tensor) bool { return !l.live[t.Name] })
}
