package site

import (
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// near compares with a constant that an exporter may have rounded to half
// precision.
func near(got, want float64) bool { return math.Abs(got-want) <= 2e-3*math.Abs(want) }

// round32 is a knot as the float32 network sees it.
func round32(v float64) float64 { return float64(float32(v)) }

func plain(op string, knots ...float64) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, _ *Graph) (Bend, bool) {
		if !n.IsOp(op) {
			return Bend{}, false
		}
		return Bend{Pre: n.Input(0), Knots: knots, Tap: n.Input(0), TapKnots: knots}, true
	}
}

// positive matches an operator that bends at 0 and whose output is positive
// exactly where its input is, if keeps says so.
func positive(op string, ask func(*onnx.Node, *Graph) (bend, keeps bool)) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		b, ok := plain(op, 0)(n, g)
		bends, keeps := true, true
		if ok && ask != nil {
			bends, keeps = ask(n, g)
		}
		if ok && keeps {
			b.Tap = n.Outputs[0]
		}
		return b, ok && bends
	}
}

func thresholded(n *onnx.Node, g *Graph) (Bend, bool) {
	alpha := float64(n.Float("alpha", 1))
	b, ok := plain("ThresholdedRelu", alpha)(n, g)
	if ok && alpha >= 0 {
		b.Tap, b.TapKnots = n.Outputs[0], []float64{0}
	}
	return b, ok
}

func hardSigmoid(n *onnx.Node, g *Graph) (Bend, bool) {
	if n.IsOp("HardSigmoid") {
		alpha, beta := float64(n.Float("alpha", 0.2)), float64(n.Float("beta", 0.5))
		if alpha == 0 {
			return Bend{}, false
		}
		knots := []float64{round32(-beta / alpha), round32((1 - beta) / alpha)}
		slices.Sort(knots)
		return plain("HardSigmoid", knots...)(n, g)
	}
	// relu6(x + 3) / 6, as exporters before HardSigmoid spelled it.
	if !n.IsOp("Div") && !n.IsOp("Mul") {
		return Bend{}, false
	}
	p, ok := g.product(n)
	if !ok || len(p.factors) != 1 || !near(p.scale, 1.0/6) {
		return Bend{}, false
	}
	x, inner, ok := g.relu6Plus3(p.factors[0])
	return Bend{Pre: x, Knots: []float64{-3, 3}, Tap: x, TapKnots: []float64{-3, 3}, Inner: append(inner, p.nodes...)}, ok
}

// relu6Plus3 matches clip(x + 3, 0, 6).
func (g *Graph) relu6Plus3(name string) (x string, inner []*onnx.Node, ok bool) {
	c := g.made(name)
	if c == nil || !c.IsOp("Clip") {
		return "", nil, false
	}
	lo, hi, ok := g.bounds(c)
	if !ok || lo != 0 || hi != 6 {
		return "", nil, false
	}
	a := g.made(c.Input(0))
	if a == nil || !a.IsOp("Add") {
		return "", nil, false
	}
	for i := range 2 {
		if v, ok := g.Scalar(a.Input(i)); ok && v == 3 {
			return a.Input(1 - i), []*onnx.Node{c, a}, true
		}
	}
	return "", nil, false
}

func hardSwish(n *onnx.Node, g *Graph) (Bend, bool) {
	knots := []float64{-3, 3}
	if b, ok := plain("HardSwish", knots...)(n, g); ok {
		return b, true
	}
	p, ok := g.product(n)
	if !ok || len(p.factors) != 2 {
		return Bend{}, false
	}
	for i, f := range p.factors {
		x := p.factors[1-i]
		b := Bend{Pre: x, Knots: knots, Tap: x, TapKnots: knots, Inner: p.nodes}
		if h := g.made(f); h != nil && h.IsOp("HardSigmoid") && g.same(h.Input(0), x) && p.scale == 1 &&
			near(float64(h.Float("alpha", 0.2)), 1.0/6) && near(float64(h.Float("beta", 0.5)), 0.5) {
			b.Inner = append(b.Inner, h)
			return b, true
		}
		if y, inner, ok := g.relu6Plus3(f); ok && g.same(y, x) && near(p.scale, 1.0/6) {
			b.Inner = append(b.Inner, inner...)
			return b, true
		}
	}
	return Bend{}, false
}

// bounds are a Clip's limits, infinite where absent.
func (g *Graph) bounds(n *onnx.Node) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(-1), math.Inf(1)
	for i, p := range []*float64{&lo, &hi} {
		if name := n.Input(i + 1); name != "" {
			if *p, ok = g.Scalar(name); !ok || !g.Fixed(name) {
				return 0, 0, false
			}
		} else if a := n.Attr([]string{"min", "max"}[i]); a != nil {
			*p = float64(a.Float)
		}
	}
	return lo, hi, true
}

func clip(n *onnx.Node, g *Graph) (Bend, bool) {
	if !n.IsOp("Clip") || g.quantizes(n) != "" {
		return Bend{}, false
	}
	x := n.Input(0)
	lo, hi, ok := g.bounds(n)
	if !ok {
		b := Bend{Pre: x}
		for i := 1; i < 3; i++ {
			if v := n.Input(i); v != "" {
				b.Against = append(b.Against, v)
			}
		}
		return b, len(b.Against) > 0
	}
	if !(lo < hi) || g.guard(n) {
		return Bend{}, false
	}
	b := Bend{Pre: x, Tap: x}
	for _, k := range []float64{lo, hi} {
		if math.Abs(k) < math.MaxFloat32 { // some exporters write no limit as the largest float
			b.Knots = append(b.Knots, k)
		}
	}
	b.TapKnots = b.Knots
	if len(b.Knots) == 1 && b.Knots[0] == lo {
		b.Tap = n.Outputs[0] // max(x, lo) > lo exactly where x > lo
	}
	return b, len(b.Knots) > 0
}

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

// shift says whether n is the maximum that softmax and log-sum-exp subtract before they
// exponentiate: their results do not depend on it, if nothing else reads it.
func (g *Graph) shift(n *onnx.Node) bool {
	return n.IsOp("ReduceMax") && g.shifts(n.Outputs[0], n.Input(0), 0)
}

// every says whether all readers of a value, of which there are some, are as asked.
func (g *Graph) every(v string, ask func(r *onnx.Node) bool) bool {
	rs := g.Readers[v]
	return len(rs) > 0 && !g.outputs[v] && !slices.ContainsFunc(rs, func(r *onnx.Node) bool { return !ask(r) })
}

// shifts says whether the maximum v of x is subtracted from x and, at most, added to a
// logarithm again.
func (g *Graph) shifts(v, x string, depth int) bool {
	return g.every(v, func(r *onnx.Node) bool {
		switch {
		case depth > 4:
			return false
		case r.IsOp("Unsqueeze"), r.IsOp("Squeeze"), r.IsOp("Reshape"), r.IsOp("Expand") && r.Input(0) == v, g.carries(r), r.IsOp("Neg"):
			return g.shifts(r.Outputs[0], x, depth+1)
		case r.IsOp("Sub") && g.same(r.Input(0), x):
			return g.exponentiated(r.Outputs[0], depth)
		case r.IsOp("Add") && len(r.Inputs) == 2:
			other := r.Input(0)
			if other == v {
				other = r.Input(1)
			}
			if g.same(other, x) { // of its negative
				return g.exponentiated(r.Outputs[0], depth)
			}
			log := g.made(other)
			return log != nil && (log.IsOp("Log") || log.IsOp("Squeeze") || log.IsOp("ReduceLogSum"))
		}
		return false
	})
}

// exponentiated says whether a difference goes only where a constant beside it cancels:
// through Exp into a sum and what is divided by it, or into a softmax.
func (g *Graph) exponentiated(v string, depth int) bool {
	return g.every(v, func(r *onnx.Node) bool {
		switch {
		case depth > 6:
			return false
		case g.carries(r):
			return g.exponentiated(r.Outputs[0], depth+1)
		case r.IsOp("Softmax"), r.IsOp("LogSoftmax"), r.IsOp("ReduceLogSumExp"):
			return true
		case r.IsOp("Sub") && r.Input(0) == v:
			log := g.made(r.Input(1))
			return log != nil && (log.IsOp("Log") || log.IsOp("ReduceLogSumExp"))
		case !r.IsOp("Exp"):
			return false
		}
		e := r.Outputs[0]
		return g.every(e, func(q *onnx.Node) bool {
			return q.IsOp("ReduceSum") || q.IsOp("ReduceLogSum") || q.IsOp("Div") && q.Input(0) == e || g.carries(q)
		}) && slices.ContainsFunc(g.Readers[e], func(q *onnx.Node) bool { return q.IsOp("ReduceSum") || q.IsOp("ReduceLogSum") || g.carries(q) })
	})
}

// largestGuard is the most that a bound can be which only keeps a divisor from 0.
const largestGuard = 1e-4

// guard says whether n keeps a divisor or a logarithm from 0: a lower bound of at most
// largestGuard whose only readers, through Sqrt or Expand, divide by it or take its
// logarithm.
func (g *Graph) guard(n *onnx.Node) bool {
	c := math.NaN()
	switch {
	case n.IsOp("Clip"):
		lo, hi, ok := g.bounds(n)
		if ok && hi >= math.MaxFloat32 {
			c = lo
		}
	case n.IsOp("Max") && len(n.Inputs) == 2:
		for i := range 2 {
			if v, ok := g.Scalar(n.Input(i)); ok && g.Fixed(n.Input(i)) {
				c = v
			}
		}
	}
	return c > 0 && c <= largestGuard && g.guards(n.Outputs[0], 0)
}

func (g *Graph) guards(v string, depth int) bool {
	if g.outputs[v] || len(g.Readers[v]) == 0 || depth > 4 {
		return false
	}
	return !slices.ContainsFunc(g.Readers[v], func(r *onnx.Node) bool {
		switch {
		case r.IsOp("Log"), r.IsOp("Reciprocal"), r.IsOp("Div") && r.Input(1) == v && r.Input(0) != v, r.IsOp("Shape"):
			return false
		case r.IsOp("Pow"):
			e, ok := g.Scalar(r.Input(1))
			return !ok || e >= 0 || r.Input(0) != v
		case r.IsOp("Sqrt"), r.IsOp("Expand") && r.Input(0) == v, r.IsOp("Cast"), r.IsOp("Unsqueeze"), r.IsOp("Squeeze"), r.IsOp("Reshape"), r.IsOp("Tile"):
			return !g.guards(r.Outputs[0], depth+1)
		}
		return true
	})
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
		if !ok || !ok2 || !g.same(a.Pre, b.Pre) || a.Knots == nil || b.Knots == nil {
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
		if !ok || !ok2 || !g.same(a.Pre, b.Pre) || a.Knots == nil || b.Knots == nil || up == up2 {
			return Bend{}, false
		}
		return knots(a.Pre, min(a.Knots[0], b.Knots[0]), max(a.Knots[0], b.Knots[0]), inner...)
	}
	b, high, _, ok := g.chosen(n)
	if !ok || b.Knots == nil {
		return Bend{}, false
	}
	abs := g.innermost(b.Pre)
	if abs == nil || !abs.IsOp("Abs") {
		return Bend{}, false
	}
	x, l := abs.Input(0), b.Knots[0]
	inner = append(b.Inner, abs)
	// Beyond the bounds sign(x) stays what it is: in x - sign(x) c.
	for _, v := range []string{high} {
		if sub := g.Inner(v); sub != nil && sub.IsOp("Sub") && g.same(sub.Input(0), x) {
			mul := g.Inner(sub.Input(1))
			if mul == nil || !mul.IsOp("Mul") {
				continue
			}
			for i := range 2 {
				if s := g.Inner(mul.Input(i)); s != nil && s.IsOp("Sign") && g.same(s.Input(0), x) {
					inner = append(inner, sub, mul, s)
				}
			}
		}
	}
	return knots(x, -l, l, inner...)
}

// sign matches Sign, which is another on both sides of 0 and at 0: its output tells
// the three apart.
func sign(n *onnx.Node, _ *Graph) (Bend, bool) {
	if !n.IsOp("Sign") {
		return Bend{}, false
	}
	return Bend{Pre: n.Input(0), Knots: []float64{0, 0}, Tap: n.Outputs[0], TapKnots: []float64{-0.5, 0.5}}, true
}

// absolute matches an L1 norm, the sum of |x|.
func absolute(n *onnx.Node, _ *Graph) (Bend, bool) {
	one := n.Int("p", 2) == 1 // of LpNormalization the division is not affine besides
	if !n.IsOp("ReduceL1") && !(one && (n.IsOp("LpPool") || n.IsOp("GlobalLpPool") || n.IsOp("LpNormalization"))) {
		return Bend{}, false
	}
	return plain(n.Op, 0)(n, nil)
}

// product is a value seen as scale times factors.
type product struct {
	scale   float64 // NaN where a constant differs between elements
	factors []string
	nodes   []*onnx.Node // the multiplications and divisions inside, without the last
}

// product flattens a tree of Mul and Div by constants that ends in n. Inner
// values that something else reads too are still flattened: the caller decides
// by the factors.
func (g *Graph) product(n *onnx.Node) (product, bool) { return g.flat(n, false) }

// products are the ways to see n as a product of two factors: with shared, a factor that
// others read too is seen through where it is another times a positive number: x / 2.
func (g *Graph) products(n *onnx.Node) (all []product) {
	for _, shared := range []bool{false, true} {
		p, ok := g.flat(n, shared)
		if ok && len(p.factors) == 2 && p.scale != 0 && (len(all) == 0 || !slices.Equal(all[0].factors, p.factors)) {
			all = append(all, p)
		}
	}
	return all
}

func (g *Graph) flat(n *onnx.Node, shared bool) (product, bool) {
	if !n.IsOp("Mul") && !n.IsOp("Div") || len(n.Inputs) != 2 {
		return product{}, false
	}
	p := product{scale: 1}
	var walk func(n *onnx.Node, depth int) bool
	add := func(name string, depth int) bool {
		if c, ok := g.Scalar(name); ok && g.Fixed(name) {
			p.scale *= c
			return true
		}
		if g.Fixed(name) {
			p.scale = math.NaN()
			return true
		}
		m := g.innermost(name)
		if k := g.made(name); shared && m == nil && k != nil && g.scales(k) {
			if c, ok := g.factor(k); ok && c > 0 {
				m = k // x / 2, which others may read too
			}
		}
		if m != nil && depth < 4 && (m.IsOp("Mul") || m.IsOp("Div")) && len(m.Inputs) == 2 {
			save := p
			save.factors, save.nodes = slices.Clone(p.factors), slices.Clone(p.nodes)
			if walk(m, depth+1) {
				p.nodes = append(p.nodes, m)
				return true
			}
			p = save
		}
		p.factors = append(p.factors, name)
		return true
	}
	walk = func(n *onnx.Node, depth int) bool {
		if n.IsOp("Div") {
			c, ok := g.Scalar(n.Input(1))
			if !g.Fixed(n.Input(1)) || c == 0 && ok {
				return false
			}
			if !ok {
				c = math.NaN()
			}
			p.scale /= c
			return add(n.Input(0), depth)
		}
		return add(n.Input(0), depth) && add(n.Input(1), depth)
	}
	ok := walk(n, 0)
	return p, ok && len(p.factors) > 0 && len(p.factors) <= 4
}

// onePlus matches c (1 + f(...)), the c also taken into the sum, and returns the nodes:
// that which makes f last.
func (g *Graph) onePlus(name, op string) (nodes []*onnx.Node, ok bool) {
	add := g.made(name)
	if add == nil || !add.IsOp("Add") {
		return nil, false
	}
	for i := range 2 {
		c, ok := g.Scalar(add.Input(i))
		f := g.made(add.Input(1 - i))
		if !ok || f == nil || c == 0 {
			continue
		}
		if f.IsOp(op) && near(c, 1) {
			return []*onnx.Node{add, f}, true
		}
		if p, ok := g.product(f); ok && len(p.factors) == 1 && near(p.scale, c) {
			if h := g.made(p.factors[0]); h != nil && h.IsOp(op) {
				return append(append([]*onnx.Node{add, f}, p.nodes...), h), true
			}
		}
	}
	return nil, false
}

// scaled matches c x or x / c and returns c; x itself is 1 x.
func (g *Graph) scaled(name, x string) (c float64, nodes []*onnx.Node, ok bool) {
	if g.same(name, x) {
		return 1, nil, true
	}
	n := g.made(name)
	if n == nil {
		return 0, nil, false
	}
	if n.IsOp("Neg") {
		c, nodes, ok := g.scaled(n.Input(0), x)
		return -c, append(nodes, n), ok
	}
	p, ok := g.product(n)
	return p.scale, append(p.nodes, n), ok && len(p.factors) == 1 && g.same(p.factors[0], x)
}

// signCode is the bend of a smooth activation of x.
func signCode(x string, inner []*onnx.Node) Bend {
	return Bend{Pre: x, Knots: []float64{0}, Tap: x, TapKnots: []float64{0}, Inner: inner}
}

func gelu(n *onnx.Node, g *Graph) (Bend, bool) {
	if b, ok := plain("Gelu", 0)(n, g); ok {
		return b, true
	}
	// ONNX Runtime's optimizer and quantizers write its own operator; both forms
	// without a bias are functions of their one input.
	if op := n.FullOp(); op == "com.microsoft.Gelu" || op == "com.microsoft.FastGelu" && n.Input(1) == "" {
		return signCode(n.Input(0), nil), true
	}
	// An optimizer may take the half into what comes after.
	for _, p := range g.products(n) {
		for i, f := range p.factors {
			x := p.factors[1-i]
			if sum, ok := g.onePlus(f, "Erf"); ok {
				if c, nodes, ok := g.scaled(sum[len(sum)-1].Input(0), x); ok && near(c, math.Sqrt2/2) {
					return signCode(x, slices.Concat(nodes, sum, p.nodes)), true
				}
			}
			if sum, ok := g.onePlus(f, "Tanh"); ok {
				if nodes, ok := g.tanhCubic(sum[len(sum)-1].Input(0), x); ok {
					return signCode(x, slices.Concat(nodes, sum, p.nodes)), true
				}
			}
		}
	}
	return Bend{}, false
}

// tanhCubic matches sqrt(2/pi) (x + 0.044715 x^3), also written
// sqrt(2/pi) x (1 + 0.044715 x^2).
func (g *Graph) tanhCubic(name, x string) ([]*onnx.Node, bool) {
	n := g.made(name)
	if n == nil {
		return nil, false
	}
	p, ok := g.product(n)
	if !ok || !near(p.scale, math.Sqrt(2/math.Pi)) {
		return nil, false
	}
	nodes := append(p.nodes, n)
	rest := slices.DeleteFunc(slices.Clone(p.factors), func(f string) bool { return g.same(f, x) })
	outside := len(p.factors) - len(rest) // powers of x outside the sum
	if len(rest) != 1 || outside > 1 {
		return nil, false
	}
	sum := g.made(rest[0])
	if sum == nil || !sum.IsOp("Add") {
		return nil, false
	}
	for i := range 2 {
		if outside == 0 && !g.same(sum.Input(i), x) {
			continue
		}
		if one, ok := g.Scalar(sum.Input(i)); outside == 1 && (!ok || one != 1) {
			continue
		}
		power, c, inner, ok := g.power(sum.Input(1-i), x)
		if ok && power == 3-outside && near(c, 0.044715) {
			return append(append(nodes, sum), inner...), true
		}
	}
	return nil, false
}

// power matches c x^k written with Mul and Pow.
func (g *Graph) power(name, x string) (k int, c float64, nodes []*onnx.Node, ok bool) {
	n := g.made(name)
	if n == nil {
		return 0, 0, nil, false
	}
	p := product{scale: 1, factors: []string{name}}
	if n.IsOp("Mul") || n.IsOp("Div") {
		if p, ok = g.product(n); !ok {
			return 0, 0, nil, false
		}
		nodes = append(p.nodes, n)
	}
	for _, f := range p.factors {
		if g.same(f, x) {
			k++
			continue
		}
		pow := g.made(f)
		if pow == nil {
			return 0, 0, nil, false
		}
		e, ok := g.Scalar(pow.Input(1))
		switch {
		case pow.IsOp("Pow") && ok && g.same(pow.Input(0), x) && e == math.Trunc(e) && e > 0 && e < 8:
			k += int(e)
		case pow.IsOp("Mul") && g.same(pow.Input(0), x) && g.same(pow.Input(1), x):
			k += 2
		default:
			return 0, 0, nil, false
		}
		nodes = append(nodes, pow)
	}
	return k, p.scale, nodes, true
}

// gated matches k x f(c x).
func gated(op string, scale func(float64) bool) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		for _, p := range g.products(n) {
			for i, f := range p.factors {
				gate := g.made(f)
				if gate == nil || !gate.IsOp(op) {
					continue
				}
				x := p.factors[1-i]
				if c, nodes, ok := g.scaled(gate.Input(0), x); ok && scale(c) {
					return signCode(x, slices.Concat(nodes, []*onnx.Node{gate}, p.nodes)), true
				}
			}
		}
		return Bend{}, false
	}
}

// swish matches x sigmoid(beta x) for some betas: NaN is one that differs between
// elements.
func swish(betas func(float64) bool) func(*onnx.Node, *Graph) (Bend, bool) {
	spelled := gated("Sigmoid", betas)
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		if n.IsOp("Div") { // x / (1 + exp(-beta x))
			x := n.Input(0)
			if sum, ok := g.onePlus(n.Input(1), "Exp"); ok {
				if c, nodes, ok := g.scaled(sum[len(sum)-1].Input(0), x); ok && betas(-c) {
					return signCode(x, append(nodes, sum...)), true
				}
			}
			return Bend{}, false
		}
		switch n.FullOp() {
		case "Swish":
			return signCode(n.Input(0), nil), betas(float64(n.Float("alpha", 1)))
		case "com.microsoft.QuickGelu":
			return signCode(n.Input(0), nil), betas(float64(n.Float("alpha", 1.702)))
		}
		return spelled(n, g)
	}
}

func isSilu(beta float64) bool      { return beta == 1 }
func isQuickGelu(beta float64) bool { return near(beta, 1.702) }
func isSwish(beta float64) bool     { return beta != 0 && !isSilu(beta) && !isQuickGelu(beta) }

// glu matches a sigmoid(b) where a and b are parts of one Split, or made by one layer
// each from one value. Pre is b.
func glu(n *onnx.Node, g *Graph) (Bend, bool) {
	p, ok := g.product(n)
	if !ok || len(p.factors) != 2 {
		return Bend{}, false
	}
	for i, f := range p.factors {
		gate := g.made(f)
		if gate == nil || !gate.IsOp("Sigmoid") {
			continue
		}
		a, b := g.root(p.factors[1-i]), g.root(gate.Input(0))
		if a != "" && a == b {
			return signCode(gate.Input(0), append([]*onnx.Node{gate}, p.nodes...)), true
		}
	}
	return Bend{}, false
}

// root is the value of which a layer, or a split in parts, makes another; "" where it
// is made otherwise.
func (g *Graph) root(v string) string {
	for range 8 {
		n := g.made(v)
		if n == nil {
			return ""
		}
		switch {
		case n.IsOp("Split"), n.IsOp("Slice"):
			return n.Input(0)
		case n.IsOp("MatMul") && g.Fixed(n.Input(1)), n.IsOp("Gemm") && g.Fixed(n.Input(1)), n.IsOp("Conv") && g.Fixed(n.Input(1)):
			return n.Input(0)
		case n.IsOp("Add") && g.Fixed(n.Input(0)):
			v = n.Input(1)
		case n.IsOp("Add") && g.Fixed(n.Input(1)), n.IsOp("BatchNormalization"), n.IsOp("Identity"):
			v = n.Input(0)
		default:
			return ""
		}
	}
	return ""
}

// softplus matches log(1 + exp x), and its line far above 0, which runtimes are asked to
// take there lest the exponential overflows.
func softplus(n *onnx.Node, g *Graph) (Bend, bool) {
	switch {
	case n.IsOp("Softplus"):
		return signCode(n.Input(0), nil), true
	case n.IsOp("Log"):
		sum, ok := g.onePlus(n.Input(0), "Exp")
		if !ok {
			return Bend{}, false
		}
		return signCode(sum[len(sum)-1].Input(0), sum), true
	}
	b, high, low, ok := g.chosen(n)
	if !ok || b.Knots == nil || b.Knots[0] < 8 {
		return Bend{}, false
	}
	k := g.made(low)
	if k == nil {
		return Bend{}, false
	}
	inner := append(b.Inner, k)
	if p, ok := g.product(k); ok && len(p.factors) == 1 {
		inner = append(inner, p.nodes...)
		if k = g.made(p.factors[0]); k == nil {
			return Bend{}, false
		}
		inner = append(inner, k)
	}
	s, ok := softplus(k, g)
	if !ok || !g.same(s.Pre, b.Pre) {
		return Bend{}, false
	}
	_, nodes, ok := g.scaled(s.Pre, high)
	return signCode(high, slices.Concat(inner, s.Inner, nodes)), ok
}

// softsign matches x / (1 + |x|).
func softsign(n *onnx.Node, g *Graph) (Bend, bool) {
	if n.IsOp("Softsign") {
		return signCode(n.Input(0), nil), true
	}
	if !n.IsOp("Div") {
		return Bend{}, false
	}
	x := n.Input(0)
	if sum, ok := g.onePlus(n.Input(1), "Abs"); ok && g.same(sum[len(sum)-1].Input(0), x) {
		return signCode(x, sum), true
	}
	return Bend{}, false
}

func mish(n *onnx.Node, g *Graph) (Bend, bool) {
	if b, ok := plain("Mish", 0)(n, g); ok {
		return b, true
	}
	p, ok := g.product(n)
	if !ok || len(p.factors) != 2 || p.scale == 0 {
		return Bend{}, false
	}
	for i, f := range p.factors {
		x, tanh := p.factors[1-i], g.made(f)
		if tanh == nil || !tanh.IsOp("Tanh") {
			continue
		}
		if sp := g.made(tanh.Input(0)); sp != nil {
			if b, ok := softplus(sp, g); ok && g.same(b.Pre, x) {
				return signCode(x, append(append(p.nodes, tanh, sp), b.Inner...)), true
			}
		}
	}
	return Bend{}, false
}
