package site

import (
	"math"
	"slices"

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
		if alpha <= 0 {
			return Bend{}, false
		}
		return plain("HardSigmoid", round32(-beta/alpha), round32((1-beta)/alpha))(n, g)
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
	c := g.Maker[name]
	if c == nil || !c.IsOp("Clip") {
		return "", nil, false
	}
	lo, hi, ok := g.bounds(c)
	if !ok || lo != 0 || hi != 6 {
		return "", nil, false
	}
	a := g.Maker[c.Input(0)]
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
		if h := g.Maker[f]; h != nil && h.IsOp("HardSigmoid") && h.Input(0) == x && p.scale == 1 &&
			near(float64(h.Float("alpha", 0.2)), 1.0/6) && near(float64(h.Float("beta", 0.5)), 0.5) {
			b.Inner = append(b.Inner, h)
			return b, true
		}
		if y, inner, ok := g.relu6Plus3(f); ok && y == x && near(p.scale, 1.0/6) {
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
			if *p, ok = g.Scalar(name); !ok {
				return 0, 0, false
			}
		} else if a := n.Attr([]string{"min", "max"}[i]); a != nil {
			*p = float64(a.Float)
		}
	}
	return lo, hi, true
}

func clip(n *onnx.Node, g *Graph) (Bend, bool) {
	if !n.IsOp("Clip") {
		return Bend{}, false
	}
	lo, hi, ok := g.bounds(n)
	if !ok || !(lo < hi) {
		return Bend{}, false
	}
	b := Bend{Pre: n.Input(0), Tap: n.Input(0)}
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

func extremum(op string) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		if !n.IsOp(op) || len(n.Inputs) != 2 {
			return Bend{}, false
		}
		for i := range 2 {
			c, ok := g.Scalar(n.Input(i))
			if _, both := g.Values(n.Input(1 - i)); !ok || both {
				continue
			}
			x := n.Input(1 - i)
			b := Bend{Pre: x, Knots: []float64{c}, Tap: x, TapKnots: []float64{c}}
			if op == "Max" {
				b.Tap = n.Outputs[0]
			}
			return b, true
		}
		return Bend{}, false
	}
}

// product is a value seen as scale times factors.
type product struct {
	scale   float64
	factors []string
	nodes   []*onnx.Node // the multiplications and divisions inside, without the last
}

// product flattens a tree of Mul and Div by constants that ends in n. Inner
// values that something else reads too are still flattened: the caller decides
// by the factors.
func (g *Graph) product(n *onnx.Node) (product, bool) {
	if !n.IsOp("Mul") && !n.IsOp("Div") || len(n.Inputs) != 2 {
		return product{}, false
	}
	p := product{scale: 1}
	var walk func(n *onnx.Node, depth int) bool
	add := func(name string, depth int) bool {
		if c, ok := g.Scalar(name); ok {
			p.scale *= c
			return true
		}
		if m := g.Inner(name); m != nil && depth < 4 && (m.IsOp("Mul") || m.IsOp("Div")) && len(m.Inputs) == 2 {
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
			if !ok || c == 0 {
				return false
			}
			p.scale /= c
			return add(n.Input(0), depth)
		}
		return add(n.Input(0), depth) && add(n.Input(1), depth)
	}
	ok := walk(n, 0)
	return p, ok && len(p.factors) > 0 && len(p.factors) <= 4
}

// onePlus matches 1 + f(...) and returns the node that makes f.
func (g *Graph) onePlus(name, op string) (add, f *onnx.Node, ok bool) {
	add = g.Maker[name]
	if add == nil || !add.IsOp("Add") {
		return nil, nil, false
	}
	for i := range 2 {
		if c, ok := g.Scalar(add.Input(i)); ok && c == 1 {
			if f = g.Maker[add.Input(1-i)]; f != nil && f.IsOp(op) {
				return add, f, true
			}
		}
	}
	return nil, nil, false
}

// scaled matches c x or x / c and returns c; x itself is 1 x.
func (g *Graph) scaled(name, x string) (c float64, nodes []*onnx.Node, ok bool) {
	if name == x {
		return 1, nil, true
	}
	n := g.Maker[name]
	if n == nil {
		return 0, nil, false
	}
	p, ok := g.product(n)
	return p.scale, append(p.nodes, n), ok && len(p.factors) == 1 && p.factors[0] == x
}

// signCode is the bend of a smooth activation of x.
func signCode(x string, inner []*onnx.Node) Bend {
	return Bend{Pre: x, Knots: []float64{0}, Tap: x, TapKnots: []float64{0}, Inner: inner}
}

func gelu(n *onnx.Node, g *Graph) (Bend, bool) {
	if b, ok := plain("Gelu", 0)(n, g); ok {
		return b, true
	}
	// ONNX Runtime's optimiser and quantisers write its own operator; both forms
	// without a bias are functions of their one input.
	if n.Domain == "com.microsoft" && (n.Op == "Gelu" || n.Op == "FastGelu" && n.Input(1) == "") {
		return signCode(n.Input(0), nil), true
	}
	p, ok := g.product(n)
	if !ok || len(p.factors) != 2 || !near(p.scale, 0.5) {
		return Bend{}, false
	}
	for i, f := range p.factors {
		x := p.factors[1-i]
		if add, erf, ok := g.onePlus(f, "Erf"); ok {
			if c, nodes, ok := g.scaled(erf.Input(0), x); ok && near(c, math.Sqrt2/2) {
				return signCode(x, append(append(nodes, add, erf), p.nodes...)), true
			}
		}
		if add, tanh, ok := g.onePlus(f, "Tanh"); ok {
			if nodes, ok := g.tanhCubic(tanh.Input(0), x); ok {
				return signCode(x, append(append(nodes, add, tanh), p.nodes...)), true
			}
		}
	}
	return Bend{}, false
}

// tanhCubic matches sqrt(2/pi) (x + 0.044715 x^3), also written
// sqrt(2/pi) x (1 + 0.044715 x^2).
func (g *Graph) tanhCubic(name, x string) ([]*onnx.Node, bool) {
	n := g.Maker[name]
	if n == nil {
		return nil, false
	}
	p, ok := g.product(n)
	if !ok || !near(p.scale, math.Sqrt(2/math.Pi)) {
		return nil, false
	}
	nodes := append(p.nodes, n)
	rest := slices.DeleteFunc(slices.Clone(p.factors), func(f string) bool { return f == x })
	outside := len(p.factors) - len(rest) // powers of x outside the sum
	if len(rest) != 1 || outside > 1 {
		return nil, false
	}
	sum := g.Maker[rest[0]]
	if sum == nil || !sum.IsOp("Add") {
		return nil, false
	}
	for i := range 2 {
		if outside == 0 && sum.Input(i) != x {
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
	n := g.Maker[name]
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
		if f == x {
			k++
			continue
		}
		pow := g.Maker[f]
		if pow == nil {
			return 0, 0, nil, false
		}
		e, ok := g.Scalar(pow.Input(1))
		switch {
		case pow.IsOp("Pow") && ok && pow.Input(0) == x && e == math.Trunc(e) && e > 0 && e < 8:
			k += int(e)
		case pow.IsOp("Mul") && pow.Input(0) == x && pow.Input(1) == x:
			k += 2
		default:
			return 0, 0, nil, false
		}
		nodes = append(nodes, pow)
	}
	return k, p.scale, nodes, true
}

// gated matches x f(c x).
func gated(op string, scale func(float64) bool) func(*onnx.Node, *Graph) (Bend, bool) {
	return func(n *onnx.Node, g *Graph) (Bend, bool) {
		p, ok := g.product(n)
		if !ok || len(p.factors) != 2 || p.scale != 1 {
			return Bend{}, false
		}
		for i, f := range p.factors {
			gate := g.Maker[f]
			if gate == nil || !gate.IsOp(op) {
				continue
			}
			x := p.factors[1-i]
			if c, nodes, ok := g.scaled(gate.Input(0), x); ok && scale(c) {
				return signCode(x, append(append(nodes, gate), p.nodes...)), true
			}
		}
		return Bend{}, false
	}
}

func silu(n *onnx.Node, g *Graph) (Bend, bool) {
	if b, ok := plain("Swish", 0)(n, g); ok {
		return b, n.Float("alpha", 1) > 0
	}
	return gated("Sigmoid", func(c float64) bool { return c == 1 })(n, g)
}

func mish(n *onnx.Node, g *Graph) (Bend, bool) {
	if b, ok := plain("Mish", 0)(n, g); ok {
		return b, true
	}
	p, ok := g.product(n)
	if !ok || len(p.factors) != 2 || p.scale != 1 {
		return Bend{}, false
	}
	for i, f := range p.factors {
		x, tanh := p.factors[1-i], g.Maker[f]
		if tanh == nil || !tanh.IsOp("Tanh") {
			continue
		}
		if sp := g.Maker[tanh.Input(0)]; sp != nil && sp.IsOp("Softplus") && sp.Input(0) == x {
			return signCode(x, append(p.nodes, tanh, sp)), true
		}
	}
	return Bend{}, false
}
