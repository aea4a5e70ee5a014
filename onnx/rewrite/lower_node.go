package rewrite

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

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
	if t == nil {
		l.make(nil)
		return
	}
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
	do, ok := lowerings[n.FullOp()]
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
		} else if short(d) && n.Operator().Traits&onnx.Moves == 0 {
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
	v, err := do(l, &k)
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
