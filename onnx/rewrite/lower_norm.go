package rewrite

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// channels gives a vector with one entry for each channel the shape [1,C,1,...], in
// x's type.
func (l *lowering) channels(x, v string) string {
	s, p := l.shape(x), l.shape(v)
	if l.err == nil && (len(s) < 2 || len(p) != 1 || p[0] != s[1]) {
		l.err = left("%v is not one number for each channel of %v", p, s)
	}
	if l.err != nil {
		return v
	}
	return l.reshape(l.cast(v, l.dtype(x)), at(len(s), 1, s[1])...)
}

// standard is d / sqrt(mean(d*d) + epsilon) over the axes.
func (l *lowering) standard(d string, axes []int64, epsilon float64) string {
	variance := l.reduce("ReduceMean", l.op("Mul", nil, d, d), axes)
	return l.op("Div", nil, d, l.op("Sqrt", nil, l.op("Add", nil, variance, l.scalar(d, epsilon))))
}

// centred is x less its mean over the axes.
func (l *lowering) centred(x string, axes []int64) string {
	return l.op("Sub", nil, x, l.reduce("ReduceMean", x, axes))
}

// affine is v times scale plus bias, where there are any.
func (l *lowering) affine(v, scale, bias string) string {
	if scale != "" {
		v = l.op("Mul", nil, v, l.cast(scale, l.dtype(v)))
	}
	if bias != "" {
		v = l.op("Add", nil, v, l.cast(bias, l.dtype(v)))
	}
	return v
}

// tail are the axes from the node's axis on.
func (l *lowering) tail(n *onnx.Node, absent int64) ([]int64, error) {
	rank := len(l.shape(n.Input(0)))
	a, err := axis(n.Int("axis", absent), rank)
	return span(a, rank), err
}

func layerNorm(l *lowering, n *onnx.Node) (string, error) {
	axes, err := l.tail(n, -1)
	if err != nil {
		return "", err
	}
	y := l.standard(l.centred(n.Input(0), axes), axes, float64(n.Float("epsilon", 1e-5)))
	return l.affine(y, n.Input(1), n.Input(2)), nil
}

// rmsNorm does not subtract the mean.
func rmsNorm(l *lowering, n *onnx.Node) (string, error) {
	axes, err := l.tail(n, -1)
	if err != nil {
		return "", err
	}
	return l.affine(l.standard(n.Input(0), axes, float64(n.Float("epsilon", 1e-5))), n.Input(1), ""), nil
}

func instanceNorm(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	axes := span(2, len(l.shape(x)))
	if len(axes) == 0 {
		return "", left("its input has no spatial axes")
	}
	y := l.standard(l.centred(x, axes), axes, float64(n.Float("epsilon", 1e-5)))
	return l.affine(y, l.channels(x, n.Input(1)), l.channels(x, n.Input(2))), nil
}

// groupNorm scales each group in version 18, each channel since 21.
func groupNorm(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s, groups := l.shape(x), n.Int("num_groups", 0)
	if l.err != nil || len(s) < 2 || groups < 1 || s[1]%groups != 0 {
		return "", left("%d groups of an input of shape %v", groups, s)
	}
	grouped := l.reshape(x, s[0], groups, size(s)/s[0]/groups)
	y := l.standard(l.centred(grouped, []int64{2}), []int64{2}, float64(n.Float("epsilon", 1e-5)))
	if l.opset < 21 {
		return l.reshape(l.affine(y, l.channels(y, n.Input(1)), l.channels(y, n.Input(2))), s...), nil
	}
	return l.affine(l.reshape(y, s...), l.channels(x, n.Input(1)), l.channels(x, n.Input(2))), nil
}

// meanVariance divides by the deviation plus 1e-9, the specification's constant.
func meanVariance(l *lowering, n *onnx.Node) (string, error) {
	x, as := n.Input(0), n.Ints("axes")
	if as == nil {
		as = []int64{0, 2, 3}
	}
	as, err := axes(as, len(l.shape(x)))
	if err != nil {
		return "", err
	}
	d := l.centred(x, as)
	deviation := l.op("Sqrt", nil, l.reduce("ReduceMean", l.op("Mul", nil, d, d), as))
	return l.op("Div", nil, d, l.op("Add", nil, deviation, l.scalar(x, 1e-9))), nil
}

// lpNorm divides by the norm along an axis, and leaves zeros as they are. Norm 1 is
// the sum of magnitudes, as ONNX Runtime has it.
func lpNorm(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	a, err := axis(n.Int("axis", -1), len(l.shape(x)))
	if err != nil {
		return "", err
	}
	var norm string
	switch p := n.Int("p", 2); p {
	case 1:
		norm = l.reduce("ReduceSum", l.op("Abs", nil, x), []int64{int64(a)})
	case 2:
		norm = l.op("Sqrt", nil, l.reduce("ReduceSum", l.op("Mul", nil, x, x), []int64{int64(a)}))
	default:
		return "", left("p is %d", p)
	}
	return l.op("Div", nil, x, l.op("Where", nil, l.op("Equal", nil, norm, l.scalar(x, 0)), l.scalar(x, 1), norm)), nil
}

// maxWide bounds operators that are lowered to one node for each step.
const maxWide = 64

// lrn divides by a power of the sum of squares over neighbouring channels:
// https://onnx.ai/onnx/operators/onnx__LRN.html. The window holds (size-1)/2
// channels before, rounded down, and as many after, rounded up.
func lrn(l *lowering, n *onnx.Node) (string, error) {
	x, width := n.Input(0), n.Int("size", 0)
	s := l.shape(x)
	if len(s) < 2 || width < 1 || width > maxWide {
		return "", left("its size is %d and its input %v", width, s)
	}
	before := (width - 1) / 2
	pads := make([]int64, 2*len(s))
	pads[1], pads[1+len(s)] = before, width-1-before
	squares := l.pad(l.op("Mul", nil, x, x), pads, "constant", l.scalar(x, 0))
	sum := ""
	for i := range width {
		part := l.slice(squares, 1, i, s[1])
		if i > 0 {
			part = l.op("Add", nil, sum, part)
		}
		sum = part
	}
	alpha, beta, bias := float64(n.Float("alpha", 1e-4)), float64(n.Float("beta", 0.75)), float64(n.Float("bias", 1))
	base := l.op("Add", nil, l.op("Mul", nil, sum, l.scalar(x, alpha/float64(width))), l.scalar(x, bias))
	return l.op("Div", nil, x, l.op("Pow", nil, base, l.scalar(x, beta))), nil
}

// batchNorm normalises with given means and variances. Constant ones become part of
// the convolution or product before it, where nothing else reads that one's result.
func batchNorm(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s := l.shape(x)
	switch {
	case l.opset < 7 && n.Int("is_test", 0) == 0, n.Int("training_mode", 0) != 0,
		slices.ContainsFunc(n.Outputs[1:], func(o string) bool { return o != "" }):
		return "", left("it is in training mode")
	case n.Int("spatial", 1) == 0:
		return "", left("spatial is 0")
	case len(n.Inputs) != 5 || len(s) < 2:
		return "", left("it has %d inputs, the first of shape %v", len(n.Inputs), s)
	}
	epsilon := float64(n.Float("epsilon", 1e-5))
	var v [4][]float64 // scale, bias, mean, variance
	for i, name := range n.Inputs[1:] {
		t := l.known(name)
		if p := l.shape(name); l.err == nil && (len(p) != 1 || p[0] != s[1]) {
			return "", left("%v is not one number for each channel of %v", p, s)
		}
		if t == nil {
			return l.normalised(n, epsilon), nil
		}
		v[i] = t.Float64s()
	}
	scale, shift := normalising(v, epsilon)
	if v := l.intoFilter(n, scale, shift); v != "" {
		return v, nil
	}
	shape := at(len(s), 1, s[1])
	return l.op("Add", nil, l.op("Mul", nil, x, l.vector(x, shape, scale...)), l.vector(x, shape, shift...)), nil
}

// normalised is a batch normalization whose parameters are computed.
func (l *lowering) normalised(n *onnx.Node, epsilon float64) string {
	x := n.Input(0)
	p := make([]string, 4)
	for i := range p {
		p[i] = l.channels(x, n.Input(1+i))
	}
	deviation := l.op("Sqrt", nil, l.op("Add", nil, p[3], l.scalar(x, epsilon)))
	return l.affine(l.op("Div", nil, l.op("Sub", nil, x, p[2]), deviation), p[0], p[1])
}

// foldable reports whether weights of the type are folded.
func foldable(d tensor.DType) bool { return d == tensor.Float32 || d == tensor.Float64 }
