package site

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

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
