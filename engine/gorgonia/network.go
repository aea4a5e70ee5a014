package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
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
	watch   *engine.Watchdog
}

func newSource(m *onnx.Model, o engine.Options, observe func(string, time.Duration)) *source {
	s := &source{model: m, run: kernel.NewRunner(o.Threads), observe: observe, watch: o.Watch, decoded: map[*onnx.Tensor]*tensor.Tensor{}}
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

// watched begins to watch a run, until done.
func (s *source) watched() (done func()) {
	return s.watch.Watch(Product, s.model.Path, "ran the model")
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
func (s *source) network(ctx context.Context, g *graph, shapes map[string][]int64, wrt string) (map[string]value, error) {
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
	if all := m.Graph.Nodes; len(all) > limits.nodes {
		faults.add(all[limits.nodes], fmt.Sprintf("with it the network has more than %d nodes", limits.nodes))
		return nil, faults.err()
	}
	made := map[string]*onnx.Node{}
	var nodes []*onnx.Node
	for _, n := range m.Graph.Nodes {
		if both := withPlaces(n); both != nil {
			for _, one := range both {
				nodes, made[one.Outputs[0]] = append(nodes, one), one
			}
			continue
		}
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
		if err := ctx.Err(); err != nil {
			return nil, err
		}
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
