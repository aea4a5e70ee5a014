package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia/kernel"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// source is the model a session runs, with the weights that its programs share.
type source struct {
	model  *onnx.Model
	inputs []*onnx.Value // those that are not initializers
	run    *kernel.Runner
	// observe is told of every operator that ran.
	observe func(op string, took time.Duration)
	// decoded are the model's own constants, which programs only read.
	decoded map[*onnx.Tensor]*tensor.Tensor
}

func newSource(m *onnx.Model, threads int, observe func(string, time.Duration)) *source {
	s := &source{model: m, run: kernel.NewRunner(threads), observe: observe, decoded: map[*onnx.Tensor]*tensor.Tensor{}}
	inits := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		inits[t.Name] = true
		s.decoded[t] = nil
	}
	for _, v := range m.Graph.Inputs {
		if !inits[v.Name] {
			s.inputs = append(s.inputs, v)
		}
	}
	return s
}

// values decodes a constant of a lowered model.
func (s *source) values(m *onnx.Model, t *onnx.Tensor) (*tensor.Tensor, error) {
	known, own := s.decoded[t]
	if known != nil {
		return known, nil
	}
	v, err := m.Values(t)
	if err == nil && own {
		s.decoded[t] = v
	}
	return v, err
}

// network adds the model, for inputs of the given shapes, to a graph, and returns
// its values by name. wrt names the input that is differentiated by, if any.
// Nodes that the engine does not run are an *engine.UnsupportedError.
func (s *source) network(g *graph, shapes map[string][]int64, wrt string) (map[string]value, error) {
	m, facts, err := rewrite.Lower(s.model, shapes)
	if err != nil {
		return nil, err
	}
	values := map[string]value{}
	for _, t := range m.Graph.Initializers {
		v, err := s.values(m, t)
		if err != nil {
			return nil, err
		}
		values[t.Name] = constant(v)
	}
	for _, in := range s.inputs {
		dims := make([]int, len(shapes[in.Name]))
		for i, d := range shapes[in.Name] {
			dims[i] = int(d)
		}
		if values[in.Name], err = g.input(in.Name, in.DType, dims, in.Name == wrt); err != nil {
			return nil, err
		}
	}
	faults := &unsupported{source: s.model, lowered: m.Graph.Index(), nodes: map[*onnx.Node]bool{}}
	made := map[string]*onnx.Node{}
	var nodes []*onnx.Node
	for _, n := range m.Graph.Nodes {
		ours := table[n.Op] != nil && n.Domain == "" && len(n.Outputs) == 1
		if why, is := left(n); is || !ours {
			// One that was left only because it reads what an unsupported node makes
			// is not to blame.
			unknown := slices.ContainsFunc(n.Inputs, func(v string) bool { _, ok := facts[v]; return v != "" && !ok })
			if !ours || !unknown {
				faults.add(n, why)
			}
			continue
		}
		nodes = append(nodes, n)
		made[n.Outputs[0]] = n
	}
	steps, err := decode(m, nodes)
	if err != nil {
		return nil, err
	}
	turned := s.transposes(m, values)
	for _, st := range steps {
		if st.op == "Transpose" && turned[st.out] != "" {
			continue
		}
		if st.op == "MatMul" && turned[st.in[1]] != "" {
			st.in[1], st.attrs = turned[st.in[1]], map[string]any{"transB": int64(1)}
		}
		in := make([]value, len(st.in))
		missing := false
		for i, name := range st.in {
			v, ok := values[name]
			in[i], missing = v, missing || !ok
		}
		if missing { // a node that is not supported makes it
			continue
		}
		node := made[st.out]
		g.of = node.String()
		v, err := g.apply(st.op, st.attrs, in...)
		g.of = ""
		if r := (refusal{}); errors.As(err, &r) {
			faults.add(node, r.why)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("preparing %s: %w", node, err)
		}
		if f, ok := facts[st.out]; ok && (f.DType != v.dtype || !sameDims(f.Shape, v.dims)) {
			return nil, fmt.Errorf("preparing %s: it makes %s %v here, and %s %v by the model's shapes", node, v.dtype, v.dims, f.DType, f.Shape)
		}
		values[st.out] = v
	}
	return values, faults.err()
}

// transposes finds the constant matrices that only products read, transposed: a
// product reads the matrix itself as well. It maps what is not needed to what it
// is made from.
func (s *source) transposes(m *onnx.Model, values map[string]value) map[string]string {
	found, ix := map[string]string{}, m.Graph.Index()
	for _, n := range m.Graph.Nodes {
		if !n.IsOp("Transpose") || values[n.Input(0)].known == nil || len(values[n.Input(0)].dims) != 2 || !slices.Equal(n.Ints("perm"), []int64{1, 0}) {
			continue
		}
		v := n.Outputs[0]
		other := slices.ContainsFunc(ix.Readers[v], func(r *onnx.Node) bool { return !r.IsOp("MatMul") || r.Input(1) != v || r.Input(0) == v })
		if !other && !slices.ContainsFunc(m.Graph.Outputs, func(o *onnx.Value) bool { return o.Name == v }) {
			found[v] = n.Input(0)
		}
	}
	return found
}

func sameDims(a []int64, b []int) bool {
	return slices.EqualFunc(a, b, func(x int64, y int) bool { return x == int64(y) })
}

// left says whether rewrite.Lower left a node as it was, and why. Such a node may
// be of any version, so it is not for the table, whatever its name.
func left(n *onnx.Node) (why string, is bool) {
	for _, p := range n.Meta {
		if p.Key == rewrite.LeftKey {
			return p.Value, true
		}
	}
	return "", false
}

// unsupported gathers the nodes that the engine does not run, as the model knows
// them.
type unsupported struct {
	source  *onnx.Model
	lowered *onnx.Index
	nodes   map[*onnx.Node]bool
	list    engine.UnsupportedError
}

// origin is the model's node that a lowered one is a part of, as well as it can be
// told: the one that makes its output, or that of a node which reads it.
func (u *unsupported) origin(n *onnx.Node) *onnx.Node {
	for k := n; ; {
		for _, o := range u.source.Graph.Nodes {
			if slices.ContainsFunc(o.Outputs, func(v string) bool { return v != "" && slices.Contains(k.Outputs, v) }) {
				return o
			}
		}
		readers := u.lowered.Readers[k.Outputs[0]]
		if len(readers) == 0 {
			return n
		}
		k = readers[0]
	}
}

func (u *unsupported) add(n *onnx.Node, why string) {
	n = u.origin(n)
	if u.nodes[n] {
		return
	}
	u.nodes[n] = true
	u.list.Nodes, u.list.Why = append(u.list.Nodes, n), append(u.list.Why, why)
}

func (u *unsupported) err() error {
	if len(u.list.Nodes) == 0 {
		return nil
	}
	u.list.Backend = Name
	return &u.list
}

// program is a graph with its machine, for inputs of fixed shapes.
type program struct {
	*graph
	machine gorgonia.VM // nil where nothing is left to compute
	inputs  []value
	outputs []result
}

// result is one output: what an operator makes, or a constant.
type result struct {
	op    *op
	known *tensor.Tensor
}

// returns makes v an output of the program.
func (p *program) returns(v value) error {
	if v.known != nil {
		p.outputs = append(p.outputs, result{known: v.known})
		return nil
	}
	if _, err := p.apply("Identity", nil, v); err != nil {
		return err
	}
	o := p.ops[len(p.ops)-1]
	o.sink = true
	p.outputs = append(p.outputs, result{op: o})
	return nil
}

// build makes a program: fill adds what it computes to its graph.
func (s *source) build(fill func(p *program) error) (*program, error) {
	for salt := range 8 {
		p := &program{graph: newGraph(s.run, salt)}
		p.observe = s.observe
		err := fill(p)
		if err == nil && len(p.ops) > 0 {
			p.machine, err = p.compile()
		}
		if !errors.Is(err, errCollision) {
			return p, err
		}
	}
	return nil, errCollision
}

// plain makes the program that computes the model's outputs.
func (s *source) plain(shapes map[string][]int64) (*program, error) {
	return s.build(func(p *program) error {
		values, err := s.network(p.graph, shapes, "")
		if err != nil {
			return err
		}
		for _, in := range s.inputs {
			p.inputs = append(p.inputs, values[in.Name])
		}
		for _, o := range s.model.Graph.Outputs {
			v, ok := values[o.Name]
			if !ok {
				return fmt.Errorf("preparing the model: nothing makes its output %q", o.Name)
			}
			if err := p.returns(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// do runs the program.
func (p *program) do(ctx context.Context, in []*tensor.Tensor) (out []*tensor.Tensor, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer recovered("running the model", &err)
	for _, r := range p.outputs {
		if r.op == nil {
			t, err := tensor.Decode(r.known.DType, r.known.Shape, r.known.Bytes())
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			continue
		}
		t, err := tensor.New(r.op.out.dtype, r.op.out.dims...)
		if err != nil {
			return nil, err
		}
		r.op.result, r.op.carrier = t, wrapDense(t)
		out = append(out, t)
	}
	if p.machine == nil {
		return out, nil
	}
	for i, v := range p.inputs {
		if v.node == nil { // an empty one, which nothing reads
			continue
		}
		if err := gorgonia.Let(v.node, wrapDense(&tensor.Tensor{DType: v.dtype, Shape: v.dims, Data: in[i].Data})); err != nil {
			return nil, fmt.Errorf("running the model: input %d: %w", i, err)
		}
	}
	p.ctx = ctx
	err = p.machine.RunAll()
	p.machine.Reset()
	for _, r := range p.outputs {
		if r.op != nil {
			r.op.result, r.op.carrier = nil, nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && p.failed != nil:
		return nil, p.failed
	case err != nil:
		return nil, fmt.Errorf("running the model: %w", err)
	}
	return out, nil
}

// fault is an error that was a panic, gorgonia's or a kernel's: a mistake of the
// program's.
type fault struct {
	doing string
	cause any
	stack []byte
}

func (f *fault) Error() string {
	return fmt.Sprintf("%s on %s: an internal fault, please report it: %v", f.doing, Name, f.cause)
}

// recovered turns a panic into an error.
func recovered(doing string, err *error) {
	if r := recover(); r != nil {
		*err = &fault{doing, r, debug.Stack()}
	}
}

// shapeKey names a set of input shapes.
func shapeKey(shapes map[string][]int64) string {
	s := ""
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		s += fmt.Sprintf("%q%v", name, shapes[name])
	}
	return s
}
