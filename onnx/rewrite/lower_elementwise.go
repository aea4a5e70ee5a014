package rewrite

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// attrsOf are those of the node's attributes that are named, floats or integers or
// strings. Old versions' others (consumed_inputs) are dropped.
func attrsOf(n *onnx.Node, names ...string) attrs {
	out := attrs{}
	for _, name := range names {
		a := n.Attr(name)
		if a == nil {
			continue
		}
		switch a.Type {
		case onnx.AttrFloat:
			out[name] = a.Float
		case onnx.AttrInt:
			out[name] = a.Int
		case onnx.AttrString:
			out[name] = string(a.String)
		}
	}
	return out
}

// unary keeps an operator of one input with the attributes named.
func unary(names ...string) lower {
	return func(l *lowering, n *onnx.Node) (string, error) {
		return l.op(n.Op, attrsOf(n, names...), n.Input(0)), nil
	}
}

// selu has had slightly other constants before version 6.
func selu(l *lowering, n *onnx.Node) (string, error) {
	a := attrsOf(n, "alpha", "gamma")
	if l.opset < 6 {
		if a["alpha"] == nil {
			a["alpha"] = float32(1.6732)
		}
		if a["gamma"] == nil {
			a["gamma"] = float32(1.0507)
		}
	}
	return l.op("Selu", a, n.Input(0)), nil
}

// beside shapes the second operand of an operator from before version 7, which
// laid it along the first's axes from axis on, the last ones by default.
func (l *lowering) beside(n *onnx.Node, a, b string) string {
	if l.opset >= 7 || n.Int("broadcast", 0) == 0 {
		return b
	}
	x, s := l.shape(a), l.shape(b)
	at := n.Int("axis", int64(len(x)-len(s)))
	if at < 0 {
		at += int64(len(x))
	}
	if l.err != nil || size(s) == 1 && n.Attr("axis") == nil {
		return b
	}
	if at < 0 || int(at)+len(s) > len(x) {
		l.err = left("%v does not lie along %v from axis %d on", s, x, at)
		return b
	}
	return l.reshape(b, append(slices.Clone(s), slices.Repeat([]int64{1}, len(x)-len(s)-int(at))...)...)
}

func binary(names ...string) lower {
	return func(l *lowering, n *onnx.Node) (string, error) {
		a := n.Input(0)
		return l.op(n.Op, attrsOf(n, names...), a, l.beside(n, a, n.Input(1))), nil
	}
}

// pow gives both operands one type: the result has the base's. Integers are raised to
// a float in double precision, and what is behind the point is cut off.
func pow(l *lowering, n *onnx.Node) (string, error) {
	a := n.Input(0)
	b := l.beside(n, a, n.Input(1))
	da, db := l.dtype(a), l.dtype(b)
	if !da.IsFloat() && db.IsFloat() {
		return l.cast(l.op("Pow", nil, l.cast(a, tensor.Float64), l.cast(b, tensor.Float64)), da), nil
	}
	return l.op("Pow", nil, a, l.cast(b, da)), nil
}

// prelu's slope belongs to the channels before version 7.
func prelu(l *lowering, n *onnx.Node) (string, error) {
	x, slope := n.Input(0), n.Input(1)
	s := l.shape(slope)
	if rank := len(l.shape(x)); l.err == nil && l.opset < 7 && len(s) == 1 && s[0] > 1 && rank > 1 {
		slope = l.reshape(slope, at(rank, 1, s[0])...)
	}
	return l.op("PRelu", nil, x, slope), nil
}

// chain folds an operator of any number of inputs into ones of two.
func chain(op string) func(*lowering, *onnx.Node) (string, error) {
	return func(l *lowering, n *onnx.Node) (string, error) {
		v := n.Input(0)
		for i := 1; i < len(n.Inputs); i++ {
			v = l.op(op, nil, v, n.Inputs[i])
		}
		return v, nil
	}
}

func mean(l *lowering, n *onnx.Node) (string, error) {
	v, err := chain("Add")(l, n)
	if len(n.Inputs) > 1 {
		v = l.op("Div", nil, v, l.scalar(v, float64(len(n.Inputs))))
	}
	return v, err
}

// clip has its bounds as attributes before version 11. Without a bound any number
// passes, the infinities too.
func clip(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	bounds := [2]string{n.Input(1), n.Input(2)}
	if l.opset < 11 {
		for i, name := range []string{"min", "max"} {
			bounds[i] = ""
			if a := n.Attr(name); a != nil {
				bounds[i] = l.scalar(x, float64(a.Float))
			}
		}
	}
	if d := l.dtype(x); l.err == nil {
		low, high := limits(d)
		for i, t := range []*tensor.Tensor{low, high} {
			if bounds[i] == "" && t != nil {
				bounds[i] = l.make(t)
			}
		}
	}
	fixed := true
	for i, b := range bounds {
		if l.err == nil && size(l.shape(b)) != 1 {
			return "", left("a bound of shape %v is no scalar", l.shape(b))
		}
		t := l.known(b)
		if fixed = fixed && t != nil; t != nil && len(t.Shape) > 0 {
			bounds[i] = l.make(&tensor.Tensor{DType: t.DType, Shape: []int{}, Data: t.Data})
		} else if t != nil {
			bounds[i] = l.make(t)
		} else {
			bounds[i] = l.reshape(b)
		}
	}
	if fixed {
		return l.op("Clip", nil, x, bounds[0], bounds[1]), nil
	}
	return l.op("Min", nil, l.op("Max", nil, x, bounds[0]), bounds[1]), nil
}

// limits are scalars that no number of the type is below or above.
func limits(d tensor.DType) (low, high *tensor.Tensor) {
	switch d {
	case tensor.Int64:
		return tensor.Scalar[int64](math.MinInt64), tensor.Scalar[int64](math.MaxInt64)
	case tensor.Uint64:
		return tensor.Scalar[uint64](0), tensor.Scalar[uint64](math.MaxUint64)
	case tensor.Bool, tensor.Undefined:
		return nil, nil
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if !d.IsFloat() {
		lo, hi = 0, math.Exp2(float64(d.Bits()))-1
		if d == tensor.Int8 || d == tensor.Int16 || d == tensor.Int32 {
			hi = math.Exp2(float64(d.Bits()-1)) - 1
			lo = -hi - 1
		}
	}
	return fill(d, nil, []float64{lo}), fill(d, nil, []float64{hi})
}

func where(l *lowering, n *onnx.Node) (string, error) {
	return l.op("Where", nil, n.Input(0), n.Input(1), n.Input(2)), nil
}

// castTo keeps casts between types that the dialect has. Before version 6 the type
// was a word, which inference reads.
func castTo(l *lowering, n *onnx.Node) (string, error) {
	to := l.facts[n.Outputs[0]].DType
	if n.Op == "CastLike" {
		to = l.dtype(n.Input(1))
	}
	if to == tensor.Undefined || !computable(to) {
		return "", left("it casts to %s", to)
	}
	return l.cast(n.Input(0), to), nil
}

// dropout passes its input on when the model is not being trained.
func dropout(l *lowering, n *onnx.Node) (string, error) {
	switch {
	case l.opset < 7 && n.Int("is_test", 0) == 0:
		return "", left("it is_test 0, as in training")
	case l.opset >= 12 && n.Input(2) != "":
		if t := l.known(n.Input(2)); t == nil || slices.ContainsFunc(t.Float64s(), func(v float64) bool { return v != 0 }) {
			return "", left("its training_mode is not known to be off")
		}
	}
	return n.Input(0), nil
}

// swish is x * sigmoid(alpha x).
func swish(alpha float32) func(*lowering, *onnx.Node) (string, error) {
	return func(l *lowering, n *onnx.Node) (string, error) {
		x := n.Input(0)
		scaled := x
		if a := n.Float("alpha", alpha); a != 1 {
			scaled = l.op("Mul", nil, x, l.scalar(x, float64(a)))
		}
		return l.op("Mul", nil, x, l.op("Sigmoid", nil, scaled)), nil
	}
}

// gelu is the Gelu of ONNX Runtime's own operators, which take a bias.
func gelu(approximate string) func(*lowering, *onnx.Node) (string, error) {
	return func(l *lowering, n *onnx.Node) (string, error) {
		x := n.Input(0)
		if n.Input(1) != "" {
			x = l.op("Add", nil, x, n.Input(1))
		}
		return l.op("Gelu", attrs{"approximate": approximate}, x), nil
	}
}

// shrink is x + bias below -lambd, x - bias above lambd, else 0.
func shrink(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	if !l.dtype(x).IsFloat() {
		return "", left("it shrinks %s", l.dtype(x))
	}
	lambd, bias := float64(n.Float("lambd", 0.5)), l.scalar(x, float64(n.Float("bias", 0)))
	below := l.op("Less", nil, x, l.scalar(x, -lambd))
	above := l.op("Greater", nil, x, l.scalar(x, lambd))
	rest := l.op("Where", nil, above, l.op("Sub", nil, x, bias), l.scalar(x, 0))
	return l.op("Where", nil, below, l.op("Add", nil, x, bias), rest), nil
}
