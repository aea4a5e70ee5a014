package rewrite

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// product multiplies matrices; a vector becomes a row on the left, a column on the
// right, and the result loses that axis again.
func (l *lowering) product(op, a, b string) string {
	sa, sb := l.shape(a), l.shape(b)
	if l.err != nil || len(sa) == 0 || len(sb) == 0 {
		return l.op(op, nil, a, b)
	}
	if len(sa) == 1 {
		a = l.reshape(a, 1, sa[0])
	}
	if len(sb) == 1 {
		b = l.reshape(b, sb[0], 1)
	}
	y := l.op(op, nil, a, b)
	shape := slices.Clone(l.shape(y))
	if l.err != nil {
		return y
	}
	if len(sa) == 1 {
		shape = slices.Delete(shape, len(shape)-2, len(shape)-1)
	}
	if len(sb) == 1 {
		shape = shape[:len(shape)-1]
	}
	return l.reshape(y, shape...)
}

func matMul(l *lowering, n *onnx.Node) (string, error) {
	return l.product("MatMul", n.Input(0), n.Input(1)), nil
}

// matMulInteger subtracts zero points, one for each row of the left or column of
// the right matrix or one for all; products and sums are of int32.
func matMulInteger(l *lowering, n *onnx.Node) (string, error) {
	in := [2]string{n.Input(0), n.Input(1)}
	shifted := false
	for i := range in {
		z := n.Input(2 + i)
		if z == "" {
			continue
		}
		if t := l.known(z); t != nil && !slices.ContainsFunc(t.Float64s(), func(v float64) bool { return v != 0 }) {
			continue
		}
		shifted = true
		s := l.shape(z)
		z = l.cast(z, tensor.Int32)
		if i == 0 && len(s) == 1 && s[0] > 1 {
			z = l.reshape(z, s[0], 1)
		} else if len(s) == 1 && s[0] == 1 {
			z = l.reshape(z)
		}
		in[i] = l.op("Sub", nil, l.cast(in[i], tensor.Int32), z)
	}
	if !shifted {
		return l.product("MatMulInteger", in[0], in[1]), nil
	}
	return l.product("MatMul", l.cast(in[0], tensor.Int32), l.cast(in[1], tensor.Int32)), nil
}

// gemm is alpha A B + beta C, A and B transposed first if it says so.
func gemm(l *lowering, n *onnx.Node) (string, error) {
	a, b, c := n.Input(0), n.Input(1), n.Input(2)
	alpha, beta := float64(n.Float("alpha", 1)), float64(n.Float("beta", 1))
	if !l.dtype(a).IsFloat() && (alpha != 1 || beta != 1) {
		return "", left("alpha %g and beta %g of integers", alpha, beta)
	}
	if len(l.shape(a)) != 2 || len(l.shape(b)) != 2 {
		return "", left("it takes matrices")
	}
	if n.Int("transA", 0) != 0 {
		a = l.transpose(a, 1, 0)
	}
	if n.Int("transB", 0) != 0 {
		b = l.transpose(b, 1, 0)
	}
	scale := func(v string, by float64) string {
		if by == 1 || l.err != nil {
			return v
		}
		if t := l.weight(v); t != nil {
			return l.scaled(t, by)
		}
		return l.op("Mul", nil, v, l.scalar(v, by))
	}
	if l.consts[b] != nil || l.consts[a] == nil {
		b = scale(b, alpha)
	} else {
		a = scale(a, alpha)
	}
	y := l.op("MatMul", nil, a, b)
	if c == "" || beta == 0 {
		return y, nil
	}
	if l.opset < 7 && n.Int("broadcast", 0) == 0 && !slices.Equal(l.shape(c), l.shape(y)) && l.err == nil {
		return "", left("its bias of shape %v does not broadcast", l.shape(c))
	}
	return l.op("Add", nil, y, scale(c, beta)), nil
}

// scaled is a constant times a number.
func (l *lowering) scaled(t *tensor.Tensor, by float64) string {
	v := t.Float64s()
	for i := range v {
		v[i] *= by
	}
	shape := make([]int64, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = int64(d)
	}
	return l.make(fill(t.DType, shape, v))
}
