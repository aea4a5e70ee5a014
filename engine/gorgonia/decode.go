package gorgonia

import (
	"cmp"
	"fmt"
	"slices"

	decoder "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// step is one node as onnx-go hands it over: an operator, its attributes, and the
// names of the values it reads and makes.
type step struct {
	op    string
	attrs map[string]any
	in    []string
	out   string
}

// decode sends nodes of a lowered model through onnx-go. Its decoder is of 2017: it knows
// neither domains, versions, symbolic dimensions nor external data, and copies
// weights number by number. So it is given the graph alone, in which every
// constant is an input without a type; m keeps what is left out, by name. Each node
// makes one value.
func decode(m *onnx.Model, nodes []*onnx.Node) ([]step, error) {
	if len(nodes) == 0 { // onnx-go wants some
		return nil, nil
	}
	g := &onnx.Graph{Name: "lowered"}
	for _, v := range m.Graph.Inputs {
		g.Inputs = append(g.Inputs, &onnx.Value{Name: v.Name})
	}
	for _, t := range m.Graph.Initializers {
		g.Inputs = append(g.Inputs, &onnx.Value{Name: t.Name})
	}
	for _, v := range m.Graph.Outputs {
		g.Outputs = append(g.Outputs, &onnx.Value{Name: v.Name})
	}
	for _, n := range nodes {
		g.Nodes = append(g.Nodes, &onnx.Node{Name: n.Name, Op: n.Op, Inputs: n.Inputs, Outputs: n.Outputs, Attrs: n.Attrs})
	}
	old := &onnx.Model{IR: 3, Producer: "onnxprobe", Opsets: []onnx.Opset{{Version: 1}}, Graph: g}
	b, err := old.Marshal()
	if err != nil {
		return nil, fmt.Errorf("handing the model to onnx-go: %w", err)
	}
	r := &recorder{}
	if err := decoder.NewModel(r).UnmarshalBinary(b); err != nil {
		return nil, fmt.Errorf("decoding the model with onnx-go: %w", err)
	}
	if len(r.steps) != len(nodes) {
		return nil, fmt.Errorf("decoding the model with onnx-go: got %d nodes of %d", len(r.steps), len(nodes))
	}
	return r.steps, nil
}

// recorder is the backend that onnx-go decodes into. It writes down what it is
// told; a program makes the expression graph from that, since shapes, which
// onnx-go does not give, decide what an operator becomes.
type recorder struct {
	nodes []*place
	steps []step
}

var _ backend.ComputationBackend = (*recorder)(nil)

// place is a value of the graph.
type place struct {
	id   int64
	name string
	from []*edge // what it is made from, in the order of the operator's inputs
}

func (p *place) ID() int64        { return p.id }
func (p *place) SetName(n string) { p.name = n }
func (p *place) GetName() string  { return p.name }

// edge leads from a value to one that it is made from; its weight is the number
// of the input. Two edges may join the same values.
type edge struct {
	from, to *place
	weight   float64
}

func (e *edge) From() gonum.Node         { return e.from }
func (e *edge) To() gonum.Node           { return e.to }
func (e *edge) ReversedEdge() gonum.Edge { return &edge{e.to, e.from, e.weight} }
func (e *edge) Weight() float64          { return e.weight }

// ApplyOperation records an operator that makes the given values.
func (r *recorder) ApplyOperation(o decoder.Operation, out ...gonum.Node) error {
	if len(out) != 1 {
		return fmt.Errorf("%s makes %d values, want one", o.Name, len(out))
	}
	p := out[0].(*place)
	s := step{op: o.Name, attrs: o.Attributes, out: p.name}
	slices.SortStableFunc(p.from, func(a, b *edge) int { return cmp.Compare(a.weight, b.weight) })
	for i, e := range p.from {
		if int(e.weight) != i {
			return fmt.Errorf("input %d of %s is missing", i, o.Name)
		}
		s.in = append(s.in, e.to.name)
	}
	r.steps = append(r.steps, s)
	return nil
}

// Run is part of the interface; running is the program's business.
func (r *recorder) Run() error { return nil }

func (r *recorder) NewNode() gonum.Node { return &place{id: int64(len(r.nodes))} }

func (r *recorder) AddNode(n gonum.Node) { r.nodes = append(r.nodes, n.(*place)) }

func (r *recorder) NewWeightedEdge(from, to gonum.Node, weight float64) gonum.WeightedEdge {
	return &edge{from.(*place), to.(*place), weight}
}

func (r *recorder) SetWeightedEdge(e gonum.WeightedEdge) {
	k := e.(*edge)
	k.from.from = append(k.from.from, k)
}

func (r *recorder) Node(id int64) gonum.Node {
	if id < 0 || id >= int64(len(r.nodes)) {
		return nil
	}
	return r.nodes[id]
}

func (r *recorder) Nodes() gonum.Nodes {
	return r.where(func(*place) bool { return true })
}

func (r *recorder) From(id int64) gonum.Nodes {
	return r.where(func(p *place) bool { return r.HasEdgeFromTo(id, p.id) })
}

func (r *recorder) To(id int64) gonum.Nodes {
	return r.where(func(p *place) bool { return r.HasEdgeFromTo(p.id, id) })
}

func (r *recorder) where(f func(*place) bool) gonum.Nodes {
	var ns []gonum.Node
	for _, p := range r.nodes {
		if f(p) {
			ns = append(ns, p)
		}
	}
	return iterator.NewOrderedNodes(ns)
}

func (r *recorder) Edge(u, v int64) gonum.Edge {
	if u < 0 || u >= int64(len(r.nodes)) {
		return nil
	}
	for _, e := range r.nodes[u].from {
		if e.to.id == v {
			return e
		}
	}
	return nil
}

func (r *recorder) HasEdgeFromTo(u, v int64) bool { return r.Edge(u, v) != nil }

func (r *recorder) HasEdgeBetween(x, y int64) bool {
	return r.HasEdgeFromTo(x, y) || r.HasEdgeFromTo(y, x)
}
