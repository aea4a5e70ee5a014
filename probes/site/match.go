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
