package site

import (
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Bend is one occurrence of an activation.
type Bend struct {
	// Pre is the value before the activation and Knots where it bends, ascending.
	Pre   string
	Knots []float64
	// Tap is a value whose side of TapKnots equals Pre's side of Knots for every
	// float. The activation's own output where that holds: then the runtime can
	// go on fusing the activation with the operator before it.
	Tap      string
	TapKnots []float64
	// Inner lists the nodes that the activation consists of besides its last.
	Inner []*onnx.Node
}

// Graph is the top level of a model as Activation.Find sees it: who makes and who reads
// each value, and the constants.
type Graph struct {
	*onnx.Index
	m *onnx.Model
}

// NewGraph indexes a model, and holds until it is edited.
func NewGraph(m *onnx.Model) *Graph { return &Graph{m.Graph.Index(), m} }

// Values are the elements of a small constant, also behind an Identity or a Cast as
// exporters write them; ok is false for anything else.
func (g *Graph) Values(name string) ([]float64, bool) {
	t := g.Const[name]
	if t == nil {
		for range 4 {
			n := g.Maker[name]
			if n == nil || !(n.IsOp("Identity") || n.IsOp("Cast")) {
				return nil, false
			}
			if name = n.Input(0); g.Const[name] != nil {
				t = g.Const[name]
				break
			}
		}
		if t == nil {
			return nil, false
		}
	}
	if n, err := t.Count(); err != nil || n > 1<<20 {
		return nil, false
	}
	v, err := g.m.Values(t)
	if err != nil {
		return nil, false
	}
	return v.Float64s(), true
}

// Scalar is a constant of one element.
func (g *Graph) Scalar(name string) (float64, bool) {
	v, ok := g.Values(name)
	if !ok || len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// Inner is the node that makes a value which one node alone reads, else nil.
func (g *Graph) Inner(name string) *onnx.Node {
	if n := g.Maker[name]; n != nil && len(g.Readers[name]) == 1 {
		return n
	}
	return nil
}
