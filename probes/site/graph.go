package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Bend is one occurrence of an activation. What decides a unit's piece is one of these:
// Knots that the value Pre is compared with; values, Against; or which of several
// elements is taken, of Pre where Winner says so or of the Choices.
type Bend struct {
	// Pre is the value before the activation and Knots where it bends, ascending.
	Pre   string
	Knots []float64
	// Against names the values that Pre is compared with, one for each plane of bits:
	// a bound for each channel, or one that is computed.
	Against []string
	// Choices names the values of which the largest (with Least the smallest) is taken
	// at each place.
	Choices []string
	// Winner says that the largest element of Pre (with Least the smallest) is taken:
	// by a pooling of its window, by a reduction of the axes that go.
	Winner, Least bool
	// Tap is a value whose side of TapKnots equals Pre's side of Knots for every
	// float. The activation's own output where that holds: then the runtime can
	// go on fusing the activation with the operator before it. "" without Knots.
	Tap      string
	TapKnots []float64
	// Inner lists the nodes that the activation consists of besides its last.
	Inner []*onnx.Node
}

// Graph is the top level of a model as Activation.Find sees it: who makes and who reads
// each value, the constants, and what depends on the model's inputs.
type Graph struct {
	*onnx.Index
	m       *onnx.Model
	kinds   map[string]kind
	outputs map[string]bool
	random  map[*onnx.Node]bool
}

// kind says how a value depends on the model's inputs.
type kind uint8

const (
	fixed kind = iota // not at all, or by their shapes alone
	step              // through a choice between finitely many values
	real              // otherwise
)

// NewGraph indexes a model, and holds until it is edited.
func NewGraph(m *onnx.Model) *Graph {
	g := &Graph{m.Graph.Index(), m, map[string]kind{}, map[string]bool{}, map[*onnx.Node]bool{}}
	for _, v := range m.Graph.Outputs {
		g.outputs[v.Name] = true
	}
	place := g.dataInput()
	for i, v := range m.Graph.Inputs {
		switch {
		case g.Const[v.Name] != nil:
		case v.DType.IsFloat() || i == place && v.DType.Bits() == 8: // pictures may be bytes
			g.kinds[v.Name] = real
		default:
			g.kinds[v.Name] = step
		}
	}
	for _, n := range m.RandomNodes() {
		g.random[n] = true
	}
	for _, n := range m.Graph.Nodes {
		g.follow(n)
	}
	return g
}

// dataInput is the place of the input with most axes that is not a constant, the first
// of equals.
func (g *Graph) dataInput() (place int) {
	axes := -1
	for i, v := range g.m.Graph.Inputs {
		if g.Const[v.Name] == nil && len(v.Shape) > axes {
			axes, place = len(v.Shape), i
		}
	}
	return place
}

// follow notes what n's outputs depend on.
func (g *Graph) follow(n *onnx.Node) {
	of := fixed
	for _, v := range n.Reads() {
		of = max(of, g.kinds[v])
	}
	if of == fixed || n.IsOp("Shape") || n.IsOp("Size") {
		return
	}
	op := n.Operator()
	for i, o := range n.Outputs {
		k := of
		switch {
		case k == step:
		case op != nil && op.Traits&onnx.Step != 0,
			i == 1 && (n.IsOp("TopK") || n.IsOp("MaxPool")),
			n.IsOp("Cast") && !n.CastTo().IsFloat():
			k = step
		}
		g.kinds[o] = k
	}
}

// Real says whether a value depends on the model's inputs as a number, not by its
// shape alone and not through a choice between finitely many values.
func (g *Graph) Real(name string) bool { return g.kinds[name] == real }

// Fixed says whether a value is the same for all inputs of one shape.
func (g *Graph) Fixed(name string) bool { return g.kinds[name] == fixed }

// Values are the elements of a small constant, also behind an Identity or a Cast as
// exporters write them, or quantized; ok is false for anything else.
func (g *Graph) Values(name string) ([]float64, bool) {
	name = g.through(name)
	if n := g.Maker[name]; n != nil && n.Op == "DequantizeLinear" {
		q, ok := g.Values(n.Input(0))
		scale, ok2 := g.Values(n.Input(1))
		zero := []float64{0}
		if n.Input(2) != "" {
			zero, _ = g.Values(n.Input(2))
		}
		if !ok || !ok2 || len(scale) != 1 || len(zero) != 1 {
			return nil, false
		}
		v := make([]float64, len(q))
		for i := range q {
			v[i] = (q[i] - zero[0]) * scale[0]
		}
		return v, true
	}
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
	if n, err := t.Count(); err != nil || n > 1<<16 {
		return nil, false
	}
	v, err := g.m.Values(t)
	if err != nil {
		return nil, false
	}
	return v.Float64s(), true
}

// through is the value that another stands for: before casts between floats, and the
// rounding of a quantizer that is undone at once.
func (g *Graph) through(name string) string {
	for range 8 {
		n := g.Maker[name]
		switch {
		case n == nil:
			return name
		case n.IsOp("Identity"), n.IsOp("Cast") && n.CastTo().IsFloat():
			name = n.Input(0)
			continue
		case n.Op == "DequantizeLinear":
			if q := g.Maker[n.Input(0)]; q != nil && q.Op == "QuantizeLinear" {
				name = q.Input(0)
				continue
			}
		}
		return name
	}
	return name
}

// made is the node that makes what a value stands for.
func (g *Graph) made(name string) *onnx.Node { return g.Maker[g.through(name)] }

// same says whether two values stand for one.
func (g *Graph) same(a, b string) bool { return a == b || g.through(a) == g.through(b) }

// Scalar is the number that every element of a value is, whatever goes into the model:
// a constant of one element, or one that only repeats it, as zeros_like is exported.
func (g *Graph) Scalar(name string) (float64, bool) {
	for range 8 {
		n := g.Maker[name]
		switch {
		case n == nil:
		case n.IsOp("ConstantOfShape"):
			a := n.Attr("value")
			if a == nil || a.Tensor == nil {
				return 0, true
			}
			v, err := g.m.Values(a.Tensor)
			if err != nil || len(v.Float64s()) != 1 {
				return 0, false
			}
			return v.Float64s()[0], true
		case n.IsOp("Expand"), n.IsOp("Tile"), n.IsOp("Unsqueeze"), n.IsOp("Squeeze"), n.IsOp("Reshape"), n.IsOp("CastLike"):
			name = n.Input(0)
			continue
		}
		break
	}
	v, ok := g.Values(name)
	if !ok || len(v) == 0 || slices.ContainsFunc(v, func(x float64) bool { return x != v[0] }) {
		return 0, false
	}
	return v[0], !math.IsNaN(v[0])
}

// Inner is the node that makes a value which one node alone reads, else nil.
func (g *Graph) Inner(name string) *onnx.Node {
	if n := g.Maker[name]; n != nil && len(g.Readers[name]) == 1 && !g.outputs[name] {
		return n
	}
	return nil
}

// innermost is Inner behind what a value stands for, which one node alone reads too.
func (g *Graph) innermost(name string) *onnx.Node {
	for range 8 {
		n := g.Inner(name)
		if n == nil || !g.carries(n) {
			return n
		}
		name = n.Input(0)
	}
	return nil
}

// carries says whether n only changes how a number is held: a cast between floats, either
// half of a rounding to a grid.
func (g *Graph) carries(n *onnx.Node) bool {
	return n.IsOp("Identity") || n.IsOp("Cast") && n.CastTo().IsFloat() || n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear"
}
