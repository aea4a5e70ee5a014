package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// shift says whether n is the maximum that softmax and log-sum-exp subtract before they
// exponentiate: their results do not depend on it, if nothing else reads it.
func (g *Graph) shift(n *onnx.Node) bool {
	return n.IsOp("ReduceMax") && g.shifts(n.Outputs[0], shifted{n.Input(0), n.Outputs[0], g.axes(n), g.rank(n.Input(0))}, 0)
}

// shifted is a value of which a maximum along axes is subtracted.
type shifted struct {
	x    string
	most string // the maximum
	axes []int64
	rank int64 // 0 where it is not known
}

// along says whether other axes are the same.
func (s shifted) along(axes []int64) bool {
	absolute := func(as []int64) []int64 {
		as = slices.Clone(as)
		for i := range as {
			if as[i] < 0 {
				as[i] += s.rank
			}
		}
		slices.Sort(as)
		return as
	}
	return len(axes) > 0 && slices.Equal(absolute(axes), absolute(s.axes))
}

// axes are those of a reduction, nil where they are not constant.
func (g *Graph) axes(n *onnx.Node) []int64 {
	if as := n.Ints("axes"); as != nil {
		return as
	}
	v, _ := g.Values(n.Input(1))
	var as []int64
	for _, a := range v {
		as = append(as, int64(a))
	}
	return as
}

// rank is the number of a value's axes, 0 where it is not known.
func (g *Graph) rank(name string) int64 {
	g.typeOf(name)
	return int64(len(g.facts[name].Shape))
}

// every says whether all readers of a value, of which there are some, are as asked.
func (g *Graph) every(v string, ask func(r *onnx.Node) bool) bool {
	rs := g.Readers[v]
	return len(rs) > 0 && !g.outputs[v] && !slices.ContainsFunc(rs, func(r *onnx.Node) bool { return !ask(r) })
}

// shifts says whether the maximum v is subtracted from what it is of and, at most, added
// to the logarithm of the sum again.
func (g *Graph) shifts(v string, s shifted, depth int) bool {
	return g.every(v, func(r *onnx.Node) bool {
		switch {
		case depth > 4:
			return false
		case g.reshapes(r, v), g.carries(r), r.IsOp("Neg"):
			return g.shifts(r.Outputs[0], s, depth+1)
		case r.IsOp("Sub") && g.same(r.Input(0), s.x):
			return g.exponentiated(r.Outputs[0], s, depth)
		case r.IsOp("Add") && len(r.Inputs) == 2:
			other := r.Input(0)
			if other == v {
				other = r.Input(1)
			}
			if g.same(other, s.x) { // of its negative
				return g.exponentiated(r.Outputs[0], s, depth)
			}
			return g.logSum(other, func(d string) bool {
				sub := g.made(d)
				return sub != nil && (sub.IsOp("Sub") || sub.IsOp("Add")) && (g.same(sub.Input(0), s.x) || g.same(sub.Input(1), s.x))
			})
		}
		return false
	})
}

// reshapes says whether r only gives v other axes of 1, or repeats it.
func (g *Graph) reshapes(r *onnx.Node, v string) bool {
	return (r.IsOp("Unsqueeze") || r.IsOp("Squeeze") || r.IsOp("Reshape") || r.IsOp("Expand")) && r.Input(0) == v
}

// origin is what a value stands for, before other axes of 1.
func (g *Graph) origin(v string) string {
	for range 4 {
		v = g.through(v)
		if n := g.Maker[v]; n == nil || !g.reshapes(n, n.Input(0)) {
			break
		}
		v = g.Maker[v].Input(0)
	}
	return v
}

// behind is the node that makes what a value stands for, before other axes of 1.
func (g *Graph) behind(v string) *onnx.Node { return g.Maker[g.origin(v)] }

// sumOf says whether v is the sum of exponentials of a value that is as asked.
func (g *Graph) sumOf(v string, ask func(string) bool) bool {
	sum := g.behind(v)
	if sum == nil || !sum.IsOp("ReduceSum") {
		return false
	}
	e := g.made(sum.Input(0))
	return e != nil && e.IsOp("Exp") && ask(g.through(e.Input(0)))
}

// logSum says the same of a logarithm of such a sum.
func (g *Graph) logSum(v string, ask func(string) bool) bool {
	log := g.behind(v)
	switch {
	case log == nil:
		return false
	case log.IsOp("ReduceLogSumExp"):
		return ask(g.through(log.Input(0)))
	case log.IsOp("ReduceLogSum"):
		e := g.made(log.Input(0))
		return e != nil && e.IsOp("Exp") && ask(g.through(e.Input(0)))
	}
	return log.IsOp("Log") && g.sumOf(log.Input(0), ask)
}

// exponentiated says whether the difference d from a maximum goes only where the maximum
// cancels: into a softmax along the same axes, alone or spelled out.
func (g *Graph) exponentiated(d string, s shifted, depth int) bool {
	is := func(v string) bool { return g.same(v, d) }
	return g.every(d, func(r *onnx.Node) bool {
		switch {
		case depth > 6:
			return false
		case g.carries(r):
			return g.exponentiated(r.Outputs[0], s, depth+1)
		case r.IsOp("Softmax"), r.IsOp("LogSoftmax"):
			return s.along([]int64{r.Int("axis", -1)}) && g.m.Opset("") >= 13
		case r.IsOp("Sub") && r.Input(0) == d:
			return g.logSum(r.Input(1), is)
		case !r.IsOp("Exp"):
			return false
		}
		e := r.Outputs[0]
		divided := false
		return g.every(e, func(q *onnx.Node) bool { return g.normalized(q, e, is, s, &divided) }) && divided
	})
}

// normalized says whether q, which reads the exponentials e, sums them to divide them by it
// or to take the logarithm, or divides them.
func (g *Graph) normalized(q *onnx.Node, e string, is func(string) bool, s shifted, divided *bool) bool {
	switch {
	case g.carries(q):
		return g.every(q.Outputs[0], func(p *onnx.Node) bool { return g.normalized(p, q.Outputs[0], is, s, divided) })
	case q.IsOp("Div") && q.Input(0) == e:
		*divided = true
		return g.sumOf(q.Input(1), is)
	case !q.IsOp("ReduceSum") || !s.along(g.axes(q)):
		return false
	}
	var uses func(v string, depth int) bool
	uses = func(v string, depth int) bool {
		return g.every(v, func(p *onnx.Node) bool {
			switch {
			case depth < 4 && (g.reshapes(p, v) || g.carries(p)):
				return uses(p.Outputs[0], depth+1)
			case p.IsOp("Log"): // to which the maximum is added again, or which is subtracted
				*divided = true
				return g.every(p.Outputs[0], func(l *onnx.Node) bool {
					again := l.IsOp("Add") && slices.ContainsFunc(l.Inputs, func(i string) bool { return g.origin(i) == s.most })
					return again || l.IsOp("Sub") && l.Input(1) == p.Outputs[0] && is(g.through(l.Input(0)))
				})
			}
			return p.IsOp("Div") && p.Input(1) == v && g.same(p.Input(0), e)
		})
	}
	return uses(q.Outputs[0], 0)
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
