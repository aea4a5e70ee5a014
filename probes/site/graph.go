package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
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
	facts   map[string]onnx.Fact // when typeOf asks
	random  map[*onnx.Node]bool

	positives map[string]bool // what positive found
	further   []Activation    // see Options
}

// kind says how a value depends on the model's inputs.
type kind uint8

const (
	fixed kind = iota // not at all, or by their shapes alone
	step              // through comparisons and signs, which are sites
	whole             // through integers or truths: token ids, a mask, which element is the largest
	real              // otherwise
)

// NewGraph indexes a model, and holds until it is edited.
func NewGraph(m *onnx.Model) *Graph {
	g := &Graph{Index: m.Graph.Index(), m: m, kinds: map[string]kind{}, outputs: map[string]bool{}, random: map[*onnx.Node]bool{}}
	for _, v := range m.Graph.Outputs {
		g.outputs[v.Name] = true
	}
	place := g.dataInput()
	for i, v := range m.Graph.Inputs {
		switch {
		case g.Const[v.Name] != nil:
		case v.DType.IsFloat() || i == place && v.DType.Bits() == 8: // pictures may be bytes
			g.kinds[v.Name] = real
		case v.DType == tensor.Undefined: // a sequence, an optional
			g.kinds[v.Name] = real
		default:
			g.kinds[v.Name] = whole
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
	reads := n.Reads()
	if n.IsOp("CastLike") {
		reads = reads[:min(len(reads), 1)] // of the other it takes the type
	}
	for _, v := range reads {
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
		case k == real && op != nil && op.Traits&onnx.Step != 0 && op.Verdict != onnx.Named:
			k = step
		case k == real && n.IsOp("Cast") && n.CastTo() == tensor.Bool:
			k = whole
		case k == whole || op != nil && op.Traits&onnx.Step != 0 || i == 1 && (n.IsOp("TopK") || n.IsOp("MaxPool")):
			// An embedding and a mask that is a number are numbers, and what is not known.
			if k = real; g.integer(o) {
				k = whole
			}
		}
		g.kinds[o] = k
	}
}

// typeOf is the type of a value, as far as it can be told without its shape.
func (g *Graph) typeOf(name string) tensor.DType {
	if g.facts == nil {
		g.facts, _ = g.m.Infer(nil)
	}
	return g.facts[name].DType
}

// integer says of a value that it is known to be no floating-point number.
func (g *Graph) integer(name string) bool {
	d := g.typeOf(name)
	return d != tensor.Undefined && !d.IsFloat()
}

// truncates says whether n makes integers or truths of numbers.
func (g *Graph) truncates(n *onnx.Node) bool {
	to := n.IsOp("Cast") && !n.CastTo().IsFloat() || n.IsOp("CastLike") && g.integer(n.Input(1))
	return to && (!g.integer(n.Input(0)) || n.IsOp("Cast") && n.CastTo() == tensor.Bool)
}

// Real says whether a value depends on the model's inputs as a number, not by its
// shape alone and not through a choice between finitely many values.
func (g *Graph) Real(name string) bool { return g.kinds[name] == real }

// Fixed says whether a value is the same for all inputs of one shape.
func (g *Graph) Fixed(name string) bool { return g.kinds[name] == fixed }

// Values are the elements of a small constant, as floats hold them behind the casts that
// exporters write, or a quantizer; ok is false for anything else.
func (g *Graph) Values(name string) ([]float64, bool) { return g.values(name, 0) }

func (g *Graph) values(name string, depth int) ([]float64, bool) {
	if t := g.Const[name]; t != nil {
		if n, err := t.Count(); err != nil || n > 1<<16 {
			return nil, false
		}
		v, err := g.m.Values(t)
		if err != nil {
			return nil, false
		}
		return v.Float64s(), true
	}
	n := g.Maker[name]
	if n == nil || depth > 8 {
		return nil, false
	}
	in := func(i int) ([]float64, bool) { return g.values(n.Input(i), depth+1) }
	switch {
	case n.IsOp("Identity"):
		return in(0)
	case n.IsOp("Cast"), n.IsOp("CastLike"):
		to := n.CastTo()
		if n.IsOp("CastLike") {
			to = g.typeOf(n.Input(1))
		}
		v, ok := in(0)
		if !ok || to == tensor.Undefined {
			return nil, false
		}
		return onnx.Fact{Const: v}.Cast(to).Const, true
	case n.Op == "QuantizeLinear" && len(n.Inputs) > 1, n.Op == "DequantizeLinear" && len(n.Inputs) > 1:
		v, ok := in(0)
		scale, ok2 := in(1)
		zero := []float64{0}
		if n.Input(2) != "" {
			zero, _ = in(2)
		}
		if !ok || !ok2 || len(scale) != 1 || len(zero) != 1 {
			return nil, false
		}
		v = slices.Clone(v)
		low, high := g.span(n)
		for i, x := range v {
			if n.Op == "QuantizeLinear" {
				v[i] = min(max(math.RoundToEven(x/scale[0])+zero[0], low), high)
			} else {
				v[i] = (x - zero[0]) * scale[0]
			}
		}
		return v, true
	}
	return nil, false
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
		case n.IsOp("Expand"), n.IsOp("Tile"), n.IsOp("Unsqueeze"), n.IsOp("Squeeze"), n.IsOp("Reshape"):
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
