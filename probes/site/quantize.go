package site

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// quantizes says that n rounds, or clamps what is rounded, between a scale and its inverse,
// as exports without QuantizeLinear write it: with at most a zero point added in between.
func (g *Graph) quantizes(n *onnx.Node) string {
	if !n.IsOp("Clip") && !n.IsOp("Round") && !n.IsOp("Floor") {
		return ""
	}
	is := func(n *onnx.Node) bool { return n != nil && (n.IsOp("Clip") || n.IsOp("Round") || n.IsOp("Floor")) }
	first, last := n, n
	for range 2 {
		if p := g.past(first.Input(0), true); is(p) && p.Op != n.Op && first == n {
			first = p
		}
		if p := g.past(last.Outputs[0], false); is(p) && p.Op != n.Op && last == n {
			last = p
		}
	}
	before, after := g.past(first.Input(0), true), g.past(last.Outputs[0], false)
	if first == last || before == nil || after == nil || !g.scales(before) || !g.scales(after) {
		return ""
	}
	a, ok := g.factors(before)
	b, ok2 := g.factors(after)
	if !ok || !ok2 || len(a) != len(b) {
		return ""
	}
	for i := range a {
		if !near(a[i]*b[i], 1) {
			return ""
		}
	}
	return "quantizer: rounds to the grid of its scale"
}

// past is the node that makes a value or, forwards, the one that alone reads it, behind
// the adding of a constant.
func (g *Graph) past(v string, back bool) *onnx.Node {
	for range 3 {
		var n *onnx.Node
		if back {
			n = g.Maker[v]
		} else if r := g.Readers[v]; len(r) == 1 {
			n = r[0]
		}
		if n == nil || !n.IsOp("Add") && !n.IsOp("Sub") || len(n.Inputs) != 2 {
			return n
		}
		at := slices.IndexFunc(n.Inputs, g.Real)
		if at < 0 || g.Real(n.Input(1-at)) {
			return n
		}
		if v = n.Outputs[0]; back {
			v = n.Input(at)
		}
	}
	return nil
}

// folded says of a quantizer that it may have swallowed a Relu: it clamps at 0 what can
// be below.
func (g *Graph) folded(n *onnx.Node) string {
	if n.Op != "QuantizeLinear" || !g.lowest(n) || g.Maker[n.Input(0)] == nil || g.positive(n.Input(0), 0) || g.keeps(n.Outputs[0]) {
		return ""
	}
	return mayHoldRelu
}

// keeps says of a quantized value that a Relu reads nothing else of it: it was kept.
func (g *Graph) keeps(v string) bool {
	readers := g.Readers[v]
	return len(readers) > 0 && !slices.ContainsFunc(readers, func(n *onnx.Node) bool {
		lo, _, ok := 0., 0., true
		if n.IsOp("Clip") {
			lo, _, ok = g.bounds(n)
		}
		return !n.IsOp("Relu") && !(n.IsOp("Clip") && ok && lo >= 0) && !(n.Op == "DequantizeLinear" && g.keeps(n.Outputs[0]))
	})
}

// lowest says of a quantizer that its zero is the least that its type holds: what is below
// is clamped there.
func (g *Graph) lowest(n *onnx.Node) bool {
	if n.Input(2) == "" {
		return true // uint8 and 0
	}
	zero, ok := g.Values(n.Input(2))
	low, _ := g.span(n)
	return ok && slices.Contains(zero, low)
}

// positive says of a value that it cannot be negative. What is found is kept: a value
// may lead to another on many ways.
func (g *Graph) positive(v string, depth int) bool {
	is, known := g.positives[v]
	if !known {
		is = g.findPositive(v, depth)
		if g.positives == nil {
			g.positives = map[string]bool{}
		}
		g.positives[v] = is
	}
	return is
}

func (g *Graph) findPositive(v string, depth int) bool {
	if c, ok := g.Values(v); ok {
		return !slices.ContainsFunc(c, func(x float64) bool { return x < 0 })
	}
	n := g.Maker[v]
	if n == nil || depth > 50 {
		return false
	}
	op := n.Operator()
	switch {
	case n.IsOp("Relu"), n.IsOp("Sigmoid"), n.IsOp("HardSigmoid"), n.IsOp("Softmax"), n.IsOp("Abs"), n.IsOp("Exp"), n.IsOp("Sqrt"), n.IsOp("Softplus"):
		return true
	case n.IsOp("Clip"):
		lo, _, ok := g.bounds(n)
		return ok && lo >= 0
	case n.IsOp("Add") && len(n.Inputs) == 2: // 1 + erf(x) too
		for i := range 2 {
			c, ok := g.Scalar(n.Input(i))
			f := g.made(n.Input(1 - i))
			if ok && c >= 1 && f != nil && (f.IsOp("Erf") || f.IsOp("Tanh") || f.IsOp("Sin") || f.IsOp("Cos")) {
				return true
			}
		}
		return g.positive(n.Input(0), depth+1) && g.positive(n.Input(1), depth+1)
	case n.IsOp("Max"):
		return slices.ContainsFunc(n.Inputs, func(i string) bool { return g.positive(i, depth+1) })
	case n.IsOp("Where"):
		return g.positive(n.Input(1), depth+1) && g.positive(n.Input(2), depth+1)
	case n.IsOp("Tanh"), n.IsOp("Erf"):
		return g.positive(n.Input(0), depth+1)
	case n.IsOp("Mul"), n.IsOp("Concat"):
		return !slices.ContainsFunc(n.Inputs, func(i string) bool { return !g.positive(i, depth+1) })
	case n.Op == "QuantizeLinear" && g.lowest(n):
		return true
	case n.Op == "QuantizeLinear", n.Op == "DequantizeLinear", n.IsOp("MaxPool"), n.IsOp("AveragePool"), n.IsOp("GlobalAveragePool"), n.IsOp("GlobalMaxPool"),
		n.IsOp("ReduceMean"), n.IsOp("ReduceMax"), op != nil && op.Traits&onnx.Moves != 0 && op.Affine == onnx.First:
		return g.positive(n.Input(0), depth+1)
	}
	return false
}

// span is the range of a quantizer's type.
func (g *Graph) span(n *onnx.Node) (low, high float64) {
	name := "uint8"
	if t := g.Const[n.Input(2)]; t != nil {
		name = t.DType.String()
	}
	switch name {
	case "int8":
		return -128, 127
	case "int16":
		return -32768, 32767
	case "uint16":
		return 0, 65535
	case "int4":
		return -8, 7
	case "uint4":
		return 0, 15
	}
	return 0, 255
}

const mayHoldRelu = "quantizer that clamps at 0: a Relu may have been folded into it; quantize without removing activations"

// clampsAtZero says of a quantizer's Clip, without a zero point, that it clamps at 0 what
// can be below.
func (g *Graph) clampsAtZero(n *onnx.Node) bool {
	if lo, _, ok := g.bounds(n); !n.IsOp("Clip") || !ok || lo != 0 {
		return false
	}
	before := g.Maker[n.Input(0)]
	if before != nil && before.IsOp("Round") {
		before = g.Maker[before.Input(0)]
	}
	if before == nil || !g.scales(before) {
		return false
	}
	x := before.Input(0)
	if !g.Real(x) {
		x = before.Input(1)
	}
	return g.Maker[x] != nil && !g.positive(x, 0)
}
