package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// productions spoil a model, one way each; false where one has nothing to spoil.
var productions = []func(*grammar) bool{
	(*grammar).attribute, (*grammar).attribute, (*grammar).attribute, (*grammar).attributeOfAnotherType, (*grammar).attributeLost, (*grammar).reference,
	(*grammar).constantAtBorder, (*grammar).constantAtBorder, (*grammar).constantComputed, (*grammar).constantComputed, (*grammar).constantMisshapen,
	(*grammar).constantOfAnotherType, (*grammar).dimension, (*grammar).dimension, (*grammar).inputs, (*grammar).outputs, (*grammar).declared,
	(*grammar).divide, (*grammar).grow, (*grammar).grow, (*grammar).nested, (*grammar).loop, (*grammar).loop, (*grammar).version, (*grammar).wired,
}

var (
	borders = []int64{0, 1, -1, 2, -2, 3, 7, 127, 255, 1 << 20, math.MaxInt32, math.MinInt32, 1 << 40, 1 << 62, math.MaxInt64, math.MinInt64}
	edges   = []float64{0, 1, -1, 0.5, -2, 1e-38, 1e30, math.Inf(1), math.Inf(-1), math.NaN()}
	words   = []string{"", "SAME_UPPER", "VALID", "linear", "cubic", "reflect", "edge", "wrap", "add", "max", "tanh", "nope", "Ünicode\x00", "ii->i", "...->...", "ij,jk->zz", "Tanh", "(a+)+$"}
)

func (g *grammar) border() int64 { return borders[g.IntN(len(borders))] }

// edge is a value at a border, of an attribute's type; old is what it was, or nil.
func (g *grammar) edge(kind string, old any) any {
	count := []int{0, 1, 2, 3, 4, 8, 1000}[g.IntN(7)]
	switch kind {
	case "INT":
		return g.border()
	case "INTS":
		if is, ok := old.([]int64); ok && len(is) > 0 && !g.oneIn(4) {
			is = slices.Clone(is)
			is[g.IntN(len(is))] = g.border()
			return is
		}
		is := make([]int64, count)
		for i := range is {
			is[i] = g.border()
		}
		return is
	case "FLOAT":
		return edges[g.IntN(len(edges))]
	case "FLOATS":
		fs := make([]float64, count)
		for i := range fs {
			fs[i] = edges[g.IntN(len(edges))]
		}
		return fs
	case "STRINGS":
		ss := make([]string, count)
		for i := range ss {
			ss[i] = words[g.IntN(len(words))]
		}
		return ss
	case "TENSOR", "SPARSE_TENSOR":
		t := int64s(g.border())
		if g.oneIn(2) {
			t.dims = []int64{g.border(), g.border()}
		}
		return t
	case "GRAPH":
		return &roughGraph{}
	}
	return words[g.IntN(len(words))]
}

// attribute puts an attribute at a border: one that the node has, or another of its operator.
func (g *grammar) attribute() bool {
	if len(g.schema.attrs) == 0 {
		return false
	}
	g.atBorder(g.schema.attrs[g.IntN(len(g.schema.attrs))])
	return true
}

// atBorder puts the attribute of a name and type at a border.
func (g *grammar) atBorder(a [2]string) {
	for _, has := range g.chief.attrs {
		if has.name == a[0] {
			has.value = g.edge(a[1], has.value)
			g.say("%s at a border: %.60v", a[0], has.value)
			return
		}
	}
	v := g.edge(a[1], nil)
	g.chief.attrs = append(g.chief.attrs, &roughAttr{name: a[0], value: v})
	g.say("%s added: %.60v", a[0], v)
}

func (g *grammar) attributeOfAnotherType() bool {
	if len(g.chief.attrs) == 0 {
		return false
	}
	a := g.chief.attrs[g.IntN(len(g.chief.attrs))]
	a.kind = onnx.AttrType(g.IntN(16))
	if g.oneIn(2) {
		a.kind, a.value = 0, g.edge([]string{"INT", "INTS", "FLOAT", "FLOATS", "STRING", "STRINGS", "TENSOR", "GRAPH"}[g.IntN(8)], nil)
	}
	g.say("%s of another type: %d %.60v", a.name, a.kind, a.value)
	return true
}

func (g *grammar) attributeLost() bool {
	if len(g.chief.attrs) == 0 {
		return false
	}
	i := g.IntN(len(g.chief.attrs))
	g.say("without %s", g.chief.attrs[i].name)
	g.chief.attrs = slices.Delete(g.chief.attrs, i, i+1)
	return true
}

// reference moves the operator into a function, and an attribute at a border to its call.
func (g *grammar) reference() bool {
	if len(g.schema.attrs) == 0 || len(g.model.functions) > 0 || !g.attribute() {
		return false
	}
	inner := *g.chief
	a := inner.attrs[len(inner.attrs)-1]
	f := &roughFunction{name: "F", attrs: []string{a.name}, opsets: g.model.opsets, nodes: []*roughNode{&inner}}
	for i := range inner.in {
		f.in = append(f.in, fmt.Sprint("i", i))
	}
	for i := range inner.out {
		f.out = append(f.out, fmt.Sprint("o", i))
	}
	inner.in, inner.out = f.in, f.out
	inner.attrs = append(slices.Clone(inner.attrs[:len(inner.attrs)-1]), &roughAttr{name: a.name, ref: a.name, kind: kindOf(a)})
	g.model.functions = append(g.model.functions, f)
	g.chief.op, g.chief.domain, g.chief.attrs = "F", "local", []*roughAttr{a}
	g.say("by reference in a function")
	return true
}

// kindOf is the type of an attribute, as a reference to it has to name it.
func kindOf(a *roughAttr) onnx.AttrType {
	switch a.value.(type) {
	case int64:
		return onnx.AttrInt
	case float64:
		return onnx.AttrFloat
	case []int64:
		return onnx.AttrInts
	case []float64:
		return onnx.AttrFloats
	case []string:
		return onnx.AttrStrings
	case *roughTensor:
		return onnx.AttrTensor
	case *roughGraph:
		return onnx.AttrGraph
	}
	return onnx.AttrString
}

// ofChief picks a constant that the operator reads; nil where there is none.
func (g *grammar) ofChief(whole bool) *roughTensor {
	var all []*roughTensor
	for _, t := range g.model.graph.constants {
		if slices.Contains(g.chief.in, t.name) && (!whole || t.ints != nil) {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[g.IntN(len(all))]
}

func (g *grammar) constantAtBorder() bool {
	t := g.ofChief(!g.oneIn(4))
	switch {
	case t == nil:
		return false
	case len(t.ints) > 0:
		i, v := g.IntN(len(t.ints)), g.border()
		t.ints[i] = v
		g.say("element %d of a constant is %d", i, v)
	case len(t.floats) > 0:
		i, v := g.IntN(len(t.floats)), edges[g.IntN(len(edges))]
		t.floats[i] = v
		g.say("element %d of a constant is %v", i, v)
	default:
		return false
	}
	return true
}

// constantComputed hides a constant, often one at a border, behind what computes it.
func (g *grammar) constantComputed() bool {
	t := g.ofChief(true)
	if t == nil || t.d != tensor.Int64 {
		return false
	}
	if len(t.ints) > 0 && !g.oneIn(3) {
		t.ints[g.IntN(len(t.ints))] = g.border()
	}
	shown := fmt.Sprintf("%.60v", t.ints)
	to, how := g.disguised(t)
	for i, in := range g.chief.in {
		if in == t.name {
			g.chief.in[i] = to
		}
	}
	// what computes it goes before the operator
	at := slices.Index(g.model.graph.nodes, g.chief)
	if at < 0 {
		return true
	}
	nodes := slices.Delete(g.model.graph.nodes, at, at+1)
	tail := nodes[at:]
	var before, after []*roughNode
	for i, n := range tail {
		if i < len(tail)-how.nodes {
			after = append(after, n)
		} else {
			before = append(before, n)
		}
	}
	g.model.graph.nodes = slices.Concat(nodes[:at:at], before, []*roughNode{g.chief}, after)
	g.say("the constant %s %s", shown, how.words)
	return true
}

// disguise is how a constant is hidden: in words, and by how many nodes.
type disguise struct {
	words string
	nodes int
}

// disguised makes the values of a constant of int64 in some other way, and names them.
func (g *grammar) disguised(t *roughTensor) (string, disguise) {
	before := len(g.model.graph.nodes)
	from := func(f func(int64) int64) string {
		c := *t
		c.ints = slices.Clone(t.ints)
		for i, v := range c.ints {
			c.ints[i] = f(v)
		}
		return g.constant(&c)
	}
	var to, words string
	switch g.IntN(8) {
	case 0:
		to, words = g.node("Neg", []string{from(func(v int64) int64 { return -v })}), "by Neg"
	case 1:
		to, words = g.node("Sub", []string{from(func(v int64) int64 { return v + 5 }), g.constant(integer(5))}), "by Sub"
	case 2:
		to, words = g.node("Identity", []string{from(func(v int64) int64 { return v })}), "by Identity"
	case 3:
		c := *t
		c.d = tensor.Float64
		c.ints = nil
		for _, v := range t.ints {
			c.floats = append(c.floats, float64(v))
		}
		to, words = g.node("Cast", []string{g.constant(&c)}, "to", int64(tensor.Int64)), "by Cast"
	case 4:
		c := *t
		to, words = g.node("Constant", nil, "value", &c), "by Constant"
	case 5:
		to, words = g.node("Mul", []string{from(func(v int64) int64 { return v }), g.constant(integer(1))}), "by Mul"
	case 6:
		to, words = g.node("Where", []string{g.constant(&roughTensor{d: tensor.Bool, ints: []int64{1}}), from(func(v int64) int64 { return v }), g.constant(integer(1))}), "by Where"
	default: // from the data
		sum := g.node("ReduceSum", []string{"x"}, "keepdims", int64(0))
		zero := g.node("Mul", []string{g.node("Cast", []string{sum}, "to", int64(tensor.Int64)), g.constant(integer(0))})
		to, words = g.node("Add", []string{zero, from(func(v int64) int64 { return v })}), "from the data"
	}
	return to, disguise{words, len(g.model.graph.nodes) - before}
}

func (g *grammar) constantMisshapen() bool {
	t := g.ofChief(false)
	if t == nil {
		return false
	}
	switch g.IntN(6) {
	case 0:
		t.dims = append(slices.Clone(t.dims), 1)
	case 1:
		t.dims = nil
	case 2:
		t.dims, t.ints, t.floats, t.strings = []int64{0}, nil, nil, nil
	case 3:
		t.outside = []string{"weights.bin", "/etc/passwd", "../../etc/passwd", "/dev/zero"}[g.IntN(4)]
	default:
		if len(t.dims) == 0 {
			t.dims = []int64{g.border()}
		} else {
			t.dims = slices.Clone(t.dims)
			t.dims[g.IntN(len(t.dims))] = g.border()
		}
	}
	g.say("a constant of shape %v %s", t.dims, t.outside)
	return true
}

func (g *grammar) constantOfAnotherType() bool {
	t := g.ofChief(false)
	if t == nil {
		return false
	}
	t.d = tensor.DType(g.IntN(27))
	g.say("a constant of %s", t.d)
	return true
}

// dimension puts a dimension of the model's input at a border.
func (g *grammar) dimension() bool {
	x := g.model.graph.inputs[0]
	switch g.IntN(8) {
	case 0:
		x.dims = nil
	case 1:
		x.dims = []any{}
	case 2:
		x.d = tensor.DType(g.IntN(27))
	case 3, 4:
		if len(x.dims) > 0 {
			x.dims[g.IntN(len(x.dims))] = []string{"N", "M", ""}[g.IntN(3)]
		}
	default:
		if len(x.dims) > 0 {
			x.dims[g.IntN(len(x.dims))] = g.border()
		}
	}
	g.say("an input %s %v", x.d, x.dims)
	return true
}

func (g *grammar) inputs() bool {
	c := g.chief
	if len(c.in) == 0 {
		c.in = []string{"x"}
		g.say("an input")
		return true
	}
	switch i := g.IntN(len(c.in)); g.IntN(5) {
	case 0:
		c.in = slices.Delete(c.in, i, i+1)
		g.say("without input %d", i)
	case 1:
		c.in[i] = ""
		g.say("input %d left out", i)
	case 2:
		c.in = append(c.in, c.in[i], "x")
		g.say("inputs in plenty")
	case 3:
		c.in[i] = c.in[g.IntN(len(c.in))]
		g.say("one input twice")
	case 4:
		for range 10_000 {
			c.in = append(c.in, c.in[i])
		}
		g.say("10,000 inputs")
	}
	return true
}

func (g *grammar) outputs() bool {
	c := g.chief
	switch g.IntN(5) {
	case 0:
		c.out = nil
	case 1:
		c.out = []string{""}
	case 2:
		c.out = append(c.out, g.name(), g.name())
	case 3:
		c.out = append(c.out, c.out...)
	case 4:
		for range 1000 {
			c.out = append(c.out, g.name())
		}
	}
	g.say("%d outputs", len(c.out))
	return true
}

// declared says what is not so of the model's output, or of a value in between.
func (g *grammar) declared() bool {
	if len(g.model.graph.outputs) == 0 {
		return false
	}
	y := g.model.graph.outputs[0]
	if len(g.chief.out) > 0 && g.oneIn(2) {
		y = &roughPort{name: g.chief.out[0], d: tensor.Float32}
		g.model.graph.values = append(g.model.graph.values, y)
	}
	y.dims = []any{}
	for range g.IntN(6) {
		y.dims = append(y.dims, g.border())
	}
	if g.oneIn(3) {
		y.d = tensor.DType(g.IntN(27))
	}
	g.say("%s declared %s %v", y.name, y.d, y.dims)
	return true
}

// behind puts nodes between the last node and what goes into it: f makes them.
func (g *grammar) behind(f func(in string) string) {
	nodes := g.model.graph.nodes
	last := nodes[len(nodes)-1]
	g.model.graph.nodes = nodes[:len(nodes)-1]
	last.in = []string{f(last.in[0])}
	g.model.graph.nodes = append(g.model.graph.nodes, last)
}

// divide divides whole numbers by what is not to be divided by.
func (g *grammar) divide() bool {
	op := []string{"Div", "Mod"}[g.IntN(2)]
	by := []int64{0, -1, -1, math.MinInt64}[g.IntN(4)]
	fixed := g.oneIn(2)
	var how disguise
	g.behind(func(in string) string {
		var a string
		if fixed {
			a, _ = g.disguised(integer(math.MinInt64))
		} else {
			a = g.node("Add", []string{g.node("Cast", []string{in}, "to", int64(tensor.Int64)), g.constant(integer(math.MinInt64))})
		}
		var b string
		b, how = g.disguised(integer(by))
		return g.node("Cast", []string{g.node(op, []string{a, b})}, "to", int64(tensor.Float32))
	})
	g.say("%s by %d, %s", op, by, how.words)
	return true
}
