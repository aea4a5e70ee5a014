package rewrite

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// window is how a convolution or a pooling moves over its spatial axes, with
// nothing left to defaults.
type window struct {
	kernel, strides, dilations []int64
	pads                       []int64 // before each axis, then after each
}

// windowOf reads the attributes of a node that turns spatial axes of the sizes in
// into ones of the sizes out.
func windowOf(n *onnx.Node, kernel, in, out []int64) (w window, err error) {
	k := len(in)
	list := func(name string, absent int64, n int, v []int64) []int64 {
		if v == nil {
			return slices.Repeat([]int64{absent}, n)
		}
		if len(v) != n {
			err = left("%s has %d entries, want %d", name, len(v), n)
			return slices.Repeat([]int64{absent}, n)
		}
		return slices.Clone(v)
	}
	w.kernel = list("kernel_shape", 1, k, kernel)
	w.strides = list("strides", 1, k, n.Ints("strides"))
	w.dilations = list("dilations", 1, k, n.Ints("dilations"))
	w.pads = list("pads", 0, 2*k, n.Ints("pads"))
	auto := n.Str("auto_pad", "NOTSET")
	for i := range k {
		switch auto {
		case "NOTSET", "":
		case "VALID":
			w.pads[i], w.pads[i+k] = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			w.split(i, max(w.reach(i, out[i])-in[i], 0), auto == "SAME_UPPER")
		default:
			return w, left("auto_pad is %q", auto)
		}
	}
	if slices.ContainsFunc(w.pads, func(p int64) bool { return p < 0 }) {
		return w, left("its pads %v are negative", w.pads)
	}
	return w, err
}

// reach is how many elements n windows along axis i lie over.
func (w window) reach(i int, n int64) int64 {
	return (n-1)*w.strides[i] + (w.kernel[i]-1)*w.dilations[i] + 1
}

// split lays a total of pads on both sides of axis i, an odd one at the end or at
// the beginning.
func (w window) split(i int, total int64, end bool) {
	a, b := total/2, total-total/2
	if !end {
		a, b = b, a
	}
	w.pads[i], w.pads[i+len(w.pads)/2] = a, b
}

func (w window) attrs(more attrs) attrs {
	a := attrs{"kernel_shape": w.kernel, "strides": w.strides, "dilations": w.dilations, "pads": w.pads}
	for k, v := range more {
		a[k] = v
	}
	return a
}

// flat makes one spatial axis the last of two.
func (w window) flat() window {
	return window{append([]int64{1}, w.kernel...), append([]int64{1}, w.strides...), append([]int64{1}, w.dilations...),
		[]int64{0, w.pads[0], 0, w.pads[1]}}
}

// flatten gives x [N,C,L] the shape [N,C,1,L].
func (l *lowering) flatten(x string) string {
	s := l.shape(x)
	if l.err != nil {
		return x
	}
	return l.reshape(x, s[0], s[1], 1, s[2])
}

// over2 runs do over two spatial axes: a single one becomes the last of two, and
// the result loses the other again.
func (l *lowering) over2(x string, w window, do func(x string, w window, one bool) string) (string, error) {
	switch rank := len(l.shape(x)); rank {
	case 4:
		return do(x, w, false), nil
	case 3:
		y := do(l.flatten(x), w.flat(), true)
		if s := l.shape(y); l.err == nil {
			y = l.reshape(y, s[0], s[1], s[3])
		}
		return y, nil
	default:
		return "", left("it has %d spatial axes", rank-2)
	}
}

// spatial are the sizes of the spatial axes of the node's input and output.
func (l *lowering) spatial(n *onnx.Node) (in, out []int64) {
	in, out = l.shape(n.Input(0)), l.shape(n.Outputs[0])
	if l.err == nil && (len(in) < 3 || len(in) != len(out)) {
		l.err = left("its input and output have the shapes %v and %v", in, out)
	}
	if l.err != nil {
		return nil, nil
	}
	return in[2:], out[2:]
}

func conv(l *lowering, n *onnx.Node) (string, error) {
	in, out := l.spatial(n)
	weight := l.shape(n.Input(1))
	if l.err != nil || len(weight) != len(in)+2 {
		return "", left("its weight has the shape %v", weight)
	}
	w, err := windowOf(n, weight[2:], in, out)
	if err != nil {
		return "", err
	}
	extra := attrs{"group": n.Int("group", 1)}
	return l.over2(n.Input(0), w, func(x string, w window, one bool) string {
		return l.op("Conv", w.attrs(extra), l.filter(x, n, one)...)
	})
}

// filter lists x, the weight and, where there is one, the bias.
func (l *lowering) filter(x string, n *onnx.Node, one bool) []string {
	in := slices.Clone(n.Inputs)
	in[0] = x
	if one {
		in[1] = l.flatten(in[1])
	}
	return in
}

// convTranspose is defined by its pads or by the shape to reach, from which the
// pads follow: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html. As ONNX
// Runtime does it, an odd pad goes to the end for SAME_UPPER and to the beginning
// otherwise, and a shape beyond what the strides reach is filled up at the end. What
// SAME means for a window smaller than its stride, the two do not agree on.
func convTranspose(l *lowering, n *onnx.Node) (string, error) {
	in, out := l.spatial(n)
	weight := l.shape(n.Input(1))
	if l.err != nil || len(weight) != len(in)+2 {
		return "", left("its weight has the shape %v", weight)
	}
	plain := *n
	plain.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a *onnx.Attr) bool { return a.Name == "auto_pad" })
	auto := n.Str("auto_pad", "NOTSET")
	if given := n.Ints("output_shape"); given != nil || auto != "NOTSET" {
		plain.Attrs = slices.DeleteFunc(plain.Attrs, func(a *onnx.Attr) bool { return a.Name == "pads" })
	}
	w, err := windowOf(&plain, weight[2:], in, out)
	if err != nil {
		return "", err
	}
	extra := slices.Repeat([]int64{0}, len(in))
	if p := n.Ints("output_padding"); p != nil {
		if len(p) != len(in) {
			return "", left("output_padding has %d entries, want %d", len(p), len(in))
		}
		copy(extra, p)
	}
	if n.Ints("output_shape") != nil || auto == "SAME_UPPER" || auto == "SAME_LOWER" {
		for i := range in {
			total := w.reach(i, in[i]) + extra[i] - out[i]
			if total < 0 && n.Ints("output_shape") == nil {
				return "", left("auto_pad is %q and its window smaller than its stride", auto)
			} else if total < 0 {
				extra[i] -= total
			}
			w.split(i, max(total, 0), auto == "SAME_UPPER")
		}
	}
	return l.over2(n.Input(0), w, func(x string, w window, one bool) string {
		if one {
			extra = append([]int64{0}, extra...)
		}
		return l.op("ConvTranspose", w.attrs(attrs{"group": n.Int("group", 1), "output_padding": extra}), l.filter(x, n, one)...)
	})
}

func pool(l *lowering, n *onnx.Node) (string, error) {
	in, out := l.spatial(n)
	if l.err != nil {
		return "", l.err
	}
	w, err := windowOf(n, n.Ints("kernel_shape"), in, out)
	if err != nil {
		return "", err
	}
	extra := attrs{"ceil_mode": n.Int("ceil_mode", 0)}
	if auto := n.Str("auto_pad", ""); auto == "SAME_UPPER" || auto == "SAME_LOWER" {
		extra["ceil_mode"] = 0 // the pads now say it
		for i := range in {
			// TensorFlow, whose SAME it is, pads by nothing; by ONNX's formula the
			// input is cropped on both sides.
			if w.reach(i, out[i])-in[i] < -1 {
				return "", left("auto_pad is %q and its window smaller than its stride", auto)
			}
		}
	}
	if n.Op == "AveragePool" {
		extra["count_include_pad"] = n.Int("count_include_pad", 0)
	} else if n.Int("storage_order", 0) != 0 {
		return "", left("its storage_order is not 0")
	}
	return l.over2(n.Input(0), w, func(x string, w window, _ bool) string { return l.op(n.Op, w.attrs(extra), x) })
}

// globalPool reduces every spatial axis.
func globalPool(reduce string) func(*lowering, *onnx.Node) (string, error) {
	return func(l *lowering, n *onnx.Node) (string, error) {
		rank := len(l.shape(n.Input(0)))
		if rank < 3 {
			return "", left("its input has no spatial axes")
		}
		return l.reduce(reduce, n.Input(0), span(2, rank)), nil
	}
}

// reduce keeps the axes it reduces, as 1; without any it is v itself.
func (l *lowering) reduce(op, v string, axes []int64) string {
	if len(axes) == 0 {
		return v
	}
	return l.op(op, attrs{"keepdims": 1}, v, l.list(axes...))
}
