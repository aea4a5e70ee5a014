package site

import (
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// extremum matches the largest or smallest of values: of one and a constant, a knot; of
// two, a comparison; of more, a choice.
func extremum(op string) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		if !n.IsOp(op) || len(n.Inputs) < 2 || g.guard(n) {
			return Bend{}, false
		}
		if len(n.Inputs) > 2 {
			return Bend{Pre: n.Outputs[0], Choices: slices.Clone(n.Inputs), Least: op == "Min"}, true
		}
		a, b := n.Input(0), n.Input(1)
		if a == b {
			return Bend{}, false
		}
		for _, xc := range [][2]string{{a, b}, {b, a}} {
			x := xc[0]
			c, ok := g.Scalar(xc[1])
			switch {
			case g.Fixed(xc[1]) && ok:
				b := Bend{Pre: x, Knots: []float64{c}, Tap: x, TapKnots: []float64{c}}
				// A constant of more elements may make more of the output than of x.
				if t := g.Const[xc[1]]; op == "Max" && t != nil && (len(t.Dims) == 0 || len(t.Dims) == 1 && t.Dims[0] == 1) {
					b.Tap = n.Outputs[0]
				}
				return b, !math.IsInf(c, 0)
			case g.Fixed(xc[1]):
				return Bend{Pre: x, Against: []string{xc[1]}}, true
			}
		}
		// The second is taken where it is larger (smaller): a tie goes to the first.
		if op == "Min" {
			a, b = b, a
		}
		if !g.Real(b) {
			a, b = b, a
		}
		return Bend{Pre: b, Against: []string{a}}, true
	}
}

// largest matches an operator that takes the largest element of its input's windows or
// axes.
func largest(least bool, ops ...string) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		ok := slices.ContainsFunc(ops, n.IsOp) && !g.shift(n) && !g.straight(n)
		return Bend{Pre: n.Input(0), Winner: true, Least: least}, ok
	}
}

// comparisons turn a comparison round.
var comparisons = map[string]string{"Greater": "Less", "Less": "Greater", "GreaterOrEqual": "LessOrEqual", "LessOrEqual": "GreaterOrEqual"}

// compared matches n as a comparison of a computed value with another. above says that
// it holds where the value is larger.
func (g *Graph) compared(n *onnx.Node) (b Bend, above, ok bool) {
	if n == nil || comparisons[n.Op] == "" || !n.IsOp(n.Op) || len(n.Inputs) != 2 {
		return Bend{}, false, false
	}
	op, x, y := n.Op, n.Input(0), n.Input(1)
	if !g.Real(x) {
		op, x, y = comparisons[op], y, x
	}
	if c, ok := g.Scalar(y); !g.Real(x) || g.same(x, y) || ok && math.IsInf(c, 0) {
		return Bend{}, false, false
	}
	above = strings.HasPrefix(op, "Greater")
	if c, ok := g.Scalar(y); ok && g.Fixed(y) {
		knots := []float64{c}
		return Bend{Pre: x, Knots: knots, Tap: x, TapKnots: knots}, above, true
	}
	return Bend{Pre: x, Against: []string{y}}, above, true
}

// comparison matches one that is no part of a larger pattern: a mask, a step.
func comparison(op string) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		if !n.IsOp(op) {
			return Bend{}, false
		}
		b, _, ok := g.compared(n)
		return b, ok
	}
}

// chosen matches a Where by a comparison that nothing else reads, also behind a Not as
// older opsets write it: the value that is compared, and what is taken above and at or
// below.
func (g *Graph) chosen(n *onnx.Node) (b Bend, high, low string, ok bool) {
	if n == nil || !n.IsOp("Where") {
		return Bend{}, "", "", false
	}
	high, low = n.Input(1), n.Input(2)
	c, inner := g.mask(n.Input(0))
	if c != nil && c.IsOp("Not") {
		var more []*onnx.Node
		high, low = low, high
		inner = append(inner, c)
		c, more = g.mask(c.Input(0))
		inner = append(inner, more...)
	}
	b, above, ok := g.compared(c)
	if !ok {
		return Bend{}, "", "", false
	}
	if !above {
		high, low = low, high
	}
	b.Inner = append(inner, c)
	return b, high, low, true
}

// mask is the node that makes a truth that one node alone reads, and what is between: it
// may be cast, as older exporters do.
func (g *Graph) mask(v string) (n *onnx.Node, between []*onnx.Node) {
	for n = g.Inner(v); n != nil && (n.IsOp("Cast") || n.IsOp("Identity")); n = g.Inner(n.Input(0)) {
		between = append(between, n)
	}
	return n, between
}

// threshold matches x above a knot and a constant otherwise.
func threshold(n *onnx.Node, g *Graph) (Bend, bool) {
	b, high, low, ok := g.chosen(n)
	_, constant := g.Scalar(low)
	return b, ok && g.same(high, b.Pre) && constant && b.Knots != nil
}

// where matches any choice by a comparison.
func where(n *onnx.Node, g *Graph) (Bend, bool) {
	b, _, _, ok := g.chosen(n)
	return b, ok
}

// shrink matches ONNX's Shrink, and how exporters write hard and soft shrinking: a
// choice by |x| and a bound, by x and both bounds, or a sum of two choices.
func shrink(n *onnx.Node, g *Graph) (Bend, bool) {
	knots := func(x string, lo, hi float64, inner ...*onnx.Node) (Bend, bool) {
		k := []float64{lo, hi}
		return Bend{Pre: x, Knots: k, Tap: x, TapKnots: k, Inner: inner}, lo <= hi && !math.IsInf(hi-lo, 0)
	}
	if n.IsOp("Shrink") {
		l := float64(n.Float("lambd", 0.5))
		return knots(n.Input(0), -math.Abs(l), math.Abs(l))
	}
	if n.IsOp("Add") {
		w, v := g.Inner(n.Input(0)), g.Inner(n.Input(1))
		a, _, low, ok := g.chosen(w)
		b, high, _, ok2 := g.chosen(v)
		if !ok || !ok2 || a.Pre != b.Pre || a.Knots == nil || b.Knots == nil {
			return Bend{}, false
		}
		if a.Knots[0] < b.Knots[0] {
			_, high, _, _ = g.chosen(w)
			_, _, low, _ = g.chosen(v)
			a, b = b, a
		}
		zero, ok := g.Scalar(low)
		zero2, ok2 := g.Scalar(high)
		if !ok || !ok2 || zero != 0 || zero2 != 0 {
			return Bend{}, false
		}
		return knots(a.Pre, b.Knots[0], a.Knots[0], slices.Concat([]*onnx.Node{w, v}, a.Inner, b.Inner)...)
	}
	if !n.IsOp("Where") {
		return Bend{}, false
	}
	c, inner := g.mask(n.Input(0))
	if c != nil && (c.IsOp("Or") || c.IsOp("And")) {
		p, more := g.mask(c.Input(0))
		q, most := g.mask(c.Input(1))
		inner = slices.Concat(inner, more, most, []*onnx.Node{c, p, q})
		a, up, ok := g.compared(p)
		b, up2, ok2 := g.compared(q)
		if !ok || !ok2 || a.Pre != b.Pre || a.Knots == nil || b.Knots == nil || up == up2 {
			return Bend{}, false
		}
		return knots(a.Pre, min(a.Knots[0], b.Knots[0]), max(a.Knots[0], b.Knots[0]), inner...)
	}
	b, high, low, ok := g.chosen(n)
	if !ok || b.Knots == nil {
		return Bend{}, false
	}
	abs := g.Inner(b.Pre)
	if abs != nil && abs.IsOp("Cast") { // back to the type that |x| was made wider from: it is the same number
		narrow := abs
		if abs = g.Inner(narrow.Input(0)); abs != nil {
			if w := g.Maker[abs.Input(0)]; w == nil || !w.IsOp("Cast") || g.typeOf(w.Input(0)) != narrow.CastTo() {
				return Bend{}, false
			}
			inner = append(inner, narrow)
		}
	}
	if abs == nil || !abs.IsOp("Abs") {
		return Bend{}, false
	}
	x, l := abs.Input(0), b.Knots[0]
	inner = slices.Concat(inner, b.Inner, []*onnx.Node{abs})
	// Beyond the bounds sign(x) stays what it is: in x - sign(x) c.
	if sub := g.Inner(high); high != low && sub != nil && sub.IsOp("Sub") && g.same(sub.Input(0), x) {
		if mul := g.Inner(sub.Input(1)); mul != nil && mul.IsOp("Mul") {
			for i := range 2 {
				if s := g.Inner(mul.Input(i)); s != nil && s.IsOp("Sign") && g.same(s.Input(0), x) {
					inner = append(inner, sub, mul, s)
				}
			}
		}
	}
	return knots(x, -l, l, inner...)
}
