package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

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

// factors are the numbers that n multiplies by, one or one for each channel.
func (g *Graph) factors(n *onnx.Node) ([]float64, bool) {
	if c, ok := g.factor(n); ok {
		return []float64{c}, true
	}
	for i := range n.Inputs {
		if v, ok := g.Values(n.Input(i)); ok && g.Fixed(n.Input(i)) {
			v = slices.Clone(v)
			for k := range v {
				if n.IsOp("Div") {
					v[k] = 1 / v[k]
				}
			}
			return v, true
		}
	}
	return nil, false
}

// factor is the number that n multiplies by.
func (g *Graph) factor(n *onnx.Node) (float64, bool) {
	for i := range n.Inputs {
		if c, ok := g.Scalar(n.Input(i)); ok && !g.Real(n.Input(i)) {
			if n.IsOp("Div") {
				c = 1 / c
			}
			return c, true
		}
	}
	return 0, false
}

// scales says that n multiplies by a constant.
func (g *Graph) scales(n *onnx.Node) bool {
	return (n.IsOp("Mul") || n.IsOp("Div")) && !(g.Real(n.Input(0)) && g.Real(n.Input(1)))
}
