package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// grow makes something large of something small.
func (g *grammar) grow() bool {
	many := []int64{1 << 16, 1 << 20, 1 << 28, math.MaxInt32, 1 << 40, 1 << 62, math.MaxInt64, -1, 0}[g.IntN(9)]
	list := func(v ...int64) string {
		if g.oneIn(2) {
			return g.constant(int64s(v...))
		}
		to, _ := g.disguised(int64s(v...))
		return to
	}
	scalar := func(v int64) string { return g.constant(integer(v)) }
	float := func(v float64) string { return g.constant(&roughTensor{d: tensor.Float32, floats: []float64{v}}) }
	how := g.IntN(12)
	g.behind(func(in string) string {
		to := func(y string) string { // broadcast with what came before
			return g.node("Add", []string{in, g.node("ReduceSum", []string{g.node("Cast", []string{y}, "to", int64(1))}, "keepdims", int64(0))})
		}
		switch how {
		case 0:
			return to(g.node("ConstantOfShape", []string{list(many, 3)}))
		case 1:
			return to(g.node("Expand", []string{float(1), list(2, many)}))
		case 2:
			return to(g.node("Tile", []string{g.constant(int64s(1, 2)), list(many)}))
		case 3:
			return to(g.node("Pad", []string{g.constant(int64s(1, 2)), list(many, many)}))
		case 4:
			return to(g.node("Range", []string{scalar(0), scalar(many), scalar(1)}))
		case 5:
			return to(g.node("OneHot", []string{g.constant(int64s(1, 2)), scalar(many), g.constant(int64s(0, 1))}))
		case 6:
			return to(g.node("Resize", []string{g.node("Reshape", []string{float(1), list(1, 1, 1, 1)}), "", "", list(1, 1, many, 2)}))
		case 7:
			return to(g.node("EyeLike", []string{g.node("ConstantOfShape", []string{list(many, 2)})}))
		case 8:
			return to(g.node("HannWindow", []string{scalar(many)}))
		case 9: // an outer product
			a := g.node("ConstantOfShape", []string{list(1<<17, 1)})
			return to(g.node("MatMul", []string{a, g.node("Transpose", []string{a})}))
		case 10:
			return to(g.node("Add", []string{g.node("ConstantOfShape", []string{list(1<<18, 1)}), g.node("ConstantOfShape", []string{list(1, 1<<18)})}))
		}
		return to(g.node("RandomNormal", nil, "shape", []int64{many, 2}))
	})
	g.say("growth %d to %d", how, many)
	return true
}

// nested puts functions of functions behind the operator: deep, wide, or without an end.
func (g *grammar) nested() bool {
	if len(g.model.functions) > 0 {
		return false
	}
	deep, calls := []int{1, 10, 30, 200, 2000}[g.IntN(5)], 1+g.IntN(3)
	for i := range deep {
		f := &roughFunction{name: fmt.Sprint("F", i), in: []string{"a"}, out: []string{"b"}, opsets: g.model.opsets}
		in := "a"
		for c := range calls {
			out := "b"
			if c < calls-1 {
				out = fmt.Sprint("c", c)
			}
			n := apply("Relu", []string{in}, out)
			if i < deep-1 {
				n.op, n.domain = fmt.Sprint("F", i+1), "local"
			}
			f.nodes, in = append(f.nodes, n), out
		}
		g.model.functions = append(g.model.functions, f)
	}
	ends := g.oneIn(3)
	if ends { // the last calls the first
		last := g.model.functions[deep-1]
		last.nodes[0].op, last.nodes[0].domain = "F0", "local"
	}
	g.behind(func(in string) string {
		y := g.node("F0", []string{in})
		g.model.graph.nodes[len(g.model.graph.nodes)-1].domain = "local"
		return y
	})
	g.say("%d functions of %d calls, in a circle: %v", deep, calls, ends)
	return true
}

// loop puts a body behind the operator, and sometimes the operator into the body.
func (g *grammar) loop() bool {
	n := &roughNode{op: []string{"If", "Loop", "Loop", "Scan"}[g.IntN(4)], out: []string{g.name()}}
	inner := g.chief
	if g.oneIn(2) || slices.Index(g.model.graph.nodes, g.chief) < 0 || len(g.chief.out) != 1 {
		inner = nil
	}
	g.behind(func(in string) string {
		g.bodyOf(n, in, inner)
		g.model.graph.nodes = append(g.model.graph.nodes, n)
		return n.out[0]
	})
	return true
}

// body makes the operator itself one that holds a graph.
func (g *grammar) body(x string) {
	if g.chief.op == "SequenceMap" {
		a, b := []*roughPort{{"a", tensor.Float32, nil}}, []*roughPort{{"b", tensor.Float32, nil}}
		body := &roughGraph{nodes: []*roughNode{apply("Relu", []string{"a"}, "b")}, inputs: a, outputs: b}
		g.chief.attrs = []*roughAttr{{name: "body", value: body}}
		return
	}
	nodes := g.model.graph.nodes
	g.model.graph.nodes = nodes[:len(nodes)-1]
	g.bodyOf(g.chief, x, nil)
	g.model.graph.nodes = append(g.model.graph.nodes, g.chief)
}

// bodyOf gives n the inputs and graphs of its operator, around in; inner is a node to copy
// into the body.
func (g *grammar) bodyOf(n *roughNode, in string, inner *roughNode) {
	b := &roughGraph{}
	last := func(from, to string) {
		if inner != nil {
			c := *inner
			c.attrs = slices.Clone(inner.attrs)
			c.out = []string{to + "_inner"}
			b.nodes = append(b.nodes, &c)
		}
		switch g.IntN(4) {
		case 0: // twice as large each time
			b.nodes = append(b.nodes, apply("Concat", []string{from, from}, to, "axis", int64(0)))
		case 1:
			b.nodes = append(b.nodes, apply("Add", []string{from, in}, to))
		default:
			b.nodes = append(b.nodes, apply("Relu", []string{from}, to))
		}
	}
	f := func(name string) *roughPort { return &roughPort{name, tensor.Float32, nil} }
	trips := []int64{0, 1, 3, 1000, 1 << 20, math.MaxInt32, 1 << 50, math.MaxInt64, -1, math.MinInt64}[g.IntN(10)]
	yes := &roughTensor{d: tensor.Bool, ints: []int64{g.Int64N(4) % 3 % 2}}
	p := g.name()
	switch n.op {
	case "If":
		last(in, p+"a")
		b.outputs = []*roughPort{f(p + "a")}
		other := &roughGraph{nodes: []*roughNode{apply("Identity", []string{in}, p+"b")}, outputs: []*roughPort{f(p + "b")}}
		if g.oneIn(8) {
			other = &roughGraph{}
		}
		n.in, n.attrs = []string{g.constant(yes)}, []*roughAttr{{name: "then_branch", value: b}, {name: "else_branch", value: other}}
	case "Scan":
		long := &roughTensor{d: tensor.Float32, dims: []int64{5}, floats: make([]float64, 5)}
		last(p+"s", p+"t")
		b.nodes = append(b.nodes, apply("Identity", []string{p + "e"}, p+"f"))
		b.inputs, b.outputs = []*roughPort{f(p + "s"), f(p + "e")}, []*roughPort{f(p + "t"), f(p + "f")}
		inputs := int64(1)
		if g.oneIn(4) {
			inputs = g.border()
		}
		n.in, n.out = []string{in, g.constant(long)}, append(n.out, g.name())
		n.attrs = []*roughAttr{{name: "body", value: b}, {name: "num_scan_inputs", value: inputs}}
	default:
		last(p+"s", p+"t")
		b.nodes = append(b.nodes, apply("Identity", []string{p + "c"}, p+"d"))
		b.inputs = []*roughPort{{p + "i", tensor.Int64, []any{}}, {p + "c", tensor.Bool, []any{}}, f(p + "s")}
		b.outputs = []*roughPort{{p + "d", tensor.Bool, []any{}}, f(p + "t")}
		trip := g.constant(integer(trips))
		if g.oneIn(2) {
			trip, _ = g.disguised(integer(trips))
		}
		yes.ints[0] = 1
		if g.oneIn(3) {
			trip = "" // without an end
		}
		n.in, n.attrs = []string{trip, g.constant(yes), in}, []*roughAttr{{name: "body", value: b}}
		if g.oneIn(3) { // what each turn gives is kept
			b.outputs = append(b.outputs, f(p+"s"))
			n.out = append(n.out, g.name())
		}
	}
	for range []int{0, 0, 0, 1, 20}[g.IntN(5)] { // bodies of bodies
		g.wrap(b, p)
	}
	g.say("%s, %d turns, the operator inside: %v", n.op, trips, inner != nil)
}

// wrap puts the nodes of a body into a branch of an If in it.
func (g *grammar) wrap(b *roughGraph, p string) {
	then := &roughGraph{nodes: b.nodes, outputs: b.outputs}
	otherwise := &roughGraph{}
	outs := make([]string, len(b.outputs))
	renamed := make([]*roughPort, len(b.outputs))
	for i, o := range b.outputs {
		outs[i] = g.name()
		renamed[i] = &roughPort{outs[i], o.d, o.dims}
		t := &roughTensor{d: tensor.Float32, dims: []int64{1}, floats: []float64{1}}
		if o.d == tensor.Bool {
			t = &roughTensor{d: tensor.Bool, ints: []int64{1}}
		}
		otherwise.nodes = append(otherwise.nodes, apply("Constant", nil, outs[i]+"o", "value", t))
		otherwise.outputs = append(otherwise.outputs, &roughPort{outs[i] + "o", o.d, o.dims})
	}
	yes := p + g.name()
	b.constants = append(b.constants, &roughTensor{name: yes, d: tensor.Bool, ints: []int64{1}})
	b.nodes = []*roughNode{{op: "If", in: []string{yes}, out: outs, attrs: []*roughAttr{{name: "then_branch", value: then}, {name: "else_branch", value: otherwise}}}}
	b.outputs = renamed
}

// version puts what the model says of itself at a border.
func (g *grammar) version() bool {
	switch g.IntN(4) {
	case 0:
		g.model.ir = []int64{0, 1, 2, 3, 7, 11, 14, -1, math.MaxInt64}[g.IntN(9)]
	case 1:
		g.model.opsets = g.model.opsets[g.IntN(len(g.model.opsets)):]
	case 2:
		g.model.opsets = append(g.model.opsets, onnx.Opset{Version: 13})
	default:
		g.model.opsets[0].Version = []int64{0, 1, 6, 7, 9, 11, 13, 15, 17, 18, 23, 25, 28, 1000, -1, math.MaxInt64}[g.IntN(16)]
	}
	g.say("IR %d, opsets %v", g.model.ir, g.model.opsets)
	return true
}

// wired wires the graph as no graph is.
func (g *grammar) wired() bool {
	nodes, last := g.model.graph.nodes, g.model.graph.nodes[len(g.model.graph.nodes)-1]
	switch how := g.IntN(7); how {
	case 0:
		last.in = []string{"nothing"}
	case 1:
		last.in = []string{"y"}
	case 2:
		nodes[0].in = []string{"y"}
	case 3:
		slices.Reverse(nodes)
	case 4:
		g.model.graph.outputs = append(g.model.graph.outputs, &roughPort{"x", tensor.Float32, nil}, &roughPort{"y", tensor.Float32, nil})
	case 5:
		g.model.graph.inputs = append(g.model.graph.inputs, &roughPort{"z", tensor.Int64, []any{g.border()}})
	case 6:
		g.model.graph.outputs = nil
	default:
		g.model.graph.inputs = nil
	}
	g.say("wired wrong")
	return true
}
