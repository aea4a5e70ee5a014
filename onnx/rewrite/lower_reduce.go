package rewrite

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// softmax normalises along one axis, the last by default, since version 13. Before,
// it did over all axes from one on, the second by default:
// https://onnx.ai/onnx/operators/onnx__Softmax.html
func softmax(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s := l.shape(x)
	last := attrs{"axis": -1}
	if l.opset < 13 {
		a, err := axis(n.Int("axis", 1), len(s))
		if err != nil {
			return "", err
		}
		if a == len(s)-1 {
			return l.op(n.Op, last, x), nil
		}
		return l.reshape(l.op(n.Op, last, l.reshape(x, size(s[:a]), size(s[a:]))), s...), nil
	}
	a, err := axis(n.Int("axis", -1), len(s))
	if err != nil {
		return "", err
	}
	perm := span(0, len(s)) // its own inverse
	perm[a], perm[len(s)-1] = perm[len(s)-1], perm[a]
	return l.transpose(l.op(n.Op, last, l.transpose(x, perm...)), perm...), nil
}

// reduction lowers an operator that reduces axes: all where it names none, unless
// it says that none means none: then nothing happens, but what a composed operator
// does has been said in two ways. compose reduces while keeping the axes as 1.
func reduction(compose func(l *lowering, x string, axes []int64) string, plain bool) lower {
	return func(l *lowering, n *onnx.Node) (string, error) {
		x := n.Input(0)
		s := l.shape(x)
		given, ok := l.ints(n, 1, "axes")
		if !ok {
			return "", left("its axes are not constant")
		}
		if len(given) == 0 {
			if n.Int("noop_with_empty_axes", 0) != 0 {
				if !plain {
					return "", left("noop_with_empty_axes is 1")
				}
				return x, nil
			}
			given = span(0, len(s))
		}
		as, err := axes(given, len(s))
		if err != nil {
			return "", err
		}
		y := compose(l, x, as)
		return l.reshape(y, l.shape(n.Outputs[0])...), nil
	}
}

func reduces(op string) lower {
	return reduction(func(l *lowering, x string, axes []int64) string { return l.reduce(op, x, axes) }, true)
}

func reduceL1(l *lowering, x string, axes []int64) string {
	return l.reduce("ReduceSum", l.op("Abs", nil, x), axes)
}

func reduceSumSquare(l *lowering, x string, axes []int64) string {
	return l.reduce("ReduceSum", l.op("Mul", nil, x, x), axes)
}

// floats refuses integers, of which no root or logarithm is defined.
func (l *lowering) floats(x string) {
	if l.err == nil && !l.dtype(x).IsFloat() {
		l.err = left("it is of %s", l.dtype(x))
	}
}

func reduceL2(l *lowering, x string, axes []int64) string {
	l.floats(x)
	return l.op("Sqrt", nil, reduceSumSquare(l, x, axes))
}

func reduceLogSum(l *lowering, x string, axes []int64) string {
	l.floats(x)
	return l.op("Log", nil, l.reduce("ReduceSum", x, axes))
}

// reduceLogSumExp subtracts the maximum first, an infinite one as the largest
// number, so that infinities give what the definition says.
func reduceLogSumExp(l *lowering, x string, axes []int64) string {
	l.floats(x)
	most := float64(math.MaxFloat32)
	if l.dtype(x) == tensor.Float64 {
		most = math.MaxFloat64
	}
	top := l.op("Clip", nil, l.reduce("ReduceMax", x, axes), l.scalar(x, -most), l.scalar(x, most))
	sum := l.reduce("ReduceSum", l.op("Exp", nil, l.op("Sub", nil, x, top)), axes)
	return l.op("Add", nil, l.op("Log", nil, sum), top)
}

// argument is ArgMax and ArgMin.
func argument(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	a, err := axis(n.Int("axis", 0), len(l.shape(x)))
	if err != nil {
		return "", err
	}
	y := l.op(n.Op, attrs{"axis": a, "keepdims": 1, "select_last_index": n.Int("select_last_index", 0)}, x)
	return l.reshape(y, l.shape(n.Outputs[0])...), nil
}

// cumSum adds the value, shifted by 1, 2, 4, ... elements, to itself: as many steps
// as the axis's length has bits, for any type, without multiplying an infinity.
func cumSum(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s := l.shape(x)
	along, ok := l.ints(n, 1, "")
	if !ok || len(along) != 1 {
		return "", left("its axis is not constant")
	}
	a, err := axis(along[0], len(s))
	if err != nil {
		return "", err
	}
	shift := func(v string, by int64) string {
		if by >= s[a] {
			return l.expand(l.scalar(x, 0), s)
		}
		pads, start := make([]int64, 2*len(s)), int64(0)
		if n.Int("reverse", 0) != 0 {
			pads[a+len(s)], start = by, by
		} else {
			pads[a] = by
		}
		return l.pad(l.slice(v, a, start, s[a]-by), pads, "constant", l.scalar(x, 0))
	}
	y := x
	if n.Int("exclusive", 0) != 0 {
		y = shift(y, 1)
	}
	for by := int64(1); by < s[a] && l.err == nil; by *= 2 {
		y = l.op("Add", nil, y, shift(y, by))
	}
	return y, nil
}

// trilu keeps a triangle through a constant mask.
func trilu(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s := l.shape(x)
	k := int64(0)
	if n.Input(1) != "" {
		v, ok := l.ints(n, 1, "")
		if !ok || len(v) != 1 {
			return "", left("its diagonal is not constant")
		}
		k = v[0]
	}
	if len(s) < 2 || l.dtype(x) == tensor.Bool {
		return "", left("an input of %s %v", l.dtype(x), s)
	}
	rows, cols := s[len(s)-2], s[len(s)-1]
	if !l.afford(size([]int64{rows, cols})) {
		return "", l.err
	}
	k = min(max(k, -rows-1), cols+1)
	upper := n.Int("upper", 1) != 0
	mask := make([]bool, rows*cols)
	for i := range rows {
		for j := range cols {
			mask[i*cols+j] = upper && j >= i+k || !upper && j <= i+k
		}
	}
	return l.op("Where", nil, l.make(tensor.Of(mask, int(rows), int(cols))), x, l.scalar(x, 0)), nil
}

// madeConstant is a node whose output is a constant too large for inference.
func madeConstant(l *lowering, n *onnx.Node) (string, error) {
	if l.index.Const[n.Outputs[0]] == nil {
		return "", left("it holds no dense tensor")
	}
	t, err := l.Model.Values(l.index.Const[n.Outputs[0]])
	if err != nil {
		return "", left("%v", err)
	}
	l.named(n.Outputs[0], t)
	return n.Outputs[0], nil
}

func constantOfShape(l *lowering, n *onnx.Node) (string, error) {
	shape := l.shape(n.Outputs[0])
	v := l.make(tensor.Scalar(float32(0)))
	if a := n.Attr("value"); a != nil && a.Tensor != nil {
		t, err := l.Model.Values(a.Tensor)
		if err != nil || tensor.Count(t.Shape) != 1 {
			return "", left("its value is no scalar")
		}
		v = l.make(&tensor.Tensor{DType: t.DType, Shape: []int{}, Data: t.Data})
	}
	if l.err != nil {
		return "", l.err
	}
	t := l.known(v)
	if t == nil || !exact(t) || size(shape) > l.budget/4 || !l.afford(size(shape)) {
		return l.expand(v, shape), nil
	}
	l.named(n.Outputs[0], fill(t.DType, shape, slices.Repeat(t.Float64s(), int(size(shape)))))
	return n.Outputs[0], nil
}

func eyeLike(l *lowering, n *onnx.Node) (string, error) {
	s, d := l.shape(n.Outputs[0]), l.facts[n.Outputs[0]].DType
	if len(s) != 2 || d == tensor.Undefined || !l.afford(size(s)) {
		return "", left("its output is %s %v", d, s)
	}
	v := make([]float64, size(s))
	for i := range s[0] {
		if j := i + n.Int("k", 0); j >= 0 && j < s[1] {
			v[i*s[1]+j] = 1
		}
	}
	l.named(n.Outputs[0], fill(d, s, v))
	return n.Outputs[0], nil
}

// ranged is a Range of constants too long for inference.
func ranged(l *lowering, n *onnx.Node) (string, error) {
	s := l.shape(n.Outputs[0])
	start, step := l.known(n.Input(0)), l.known(n.Input(2))
	if start == nil || step == nil || len(s) != 1 || !l.afford(s[0]) {
		return "", left("its bounds are not constant")
	}
	if tensor.Count(start.Shape) != 1 || tensor.Count(step.Shape) != 1 {
		return "", left("its bounds are no scalars")
	}
	v, a, d := make([]float64, s[0]), start.Float64s()[0], step.Float64s()[0]
	for i := range v {
		v[i] = a + float64(i)*d
	}
	t := fill(start.DType, s, v)
	if t == nil || !exact(t) {
		return "", left("its numbers are too large")
	}
	l.named(n.Outputs[0], t)
	return n.Outputs[0], nil
}
