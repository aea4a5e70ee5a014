package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

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

func isSilu(beta float64) bool { return beta == 1 }

func isQuickGelu(beta float64) bool { return near(beta, 1.702) }

func isSwish(beta float64) bool { return beta != 0 && !isSilu(beta) && !isQuickGelu(beta) }

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
