package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// window is the output length of a convolution or pooling along one axis.
func window(size, kernel, stride, dilation, before, after int64, auto string, ceil bool) int64 {
	if size < 0 || kernel < 0 {
		return -1
	}
	switch auto {
	case "SAME_UPPER", "SAME_LOWER":
		return (size + stride - 1) / stride
	case "VALID":
		before, after = 0, 0
	}
	room := size + before + after - ((kernel-1)*dilation + 1)
	if room < 0 {
		return -2
	}
	out := room/stride + 1
	if ceil && room%stride != 0 && out*stride < size+before {
		out++ // a window may start in the input or its leading pad, never beyond
	}
	return out
}

// maxWindow bounds kernels, strides, dilations and pads, so that computing with
// them cannot overflow.
const maxWindow = 1 << 24

// listed is an attribute with one entry for each spatial axis (or n/k of them),
// each at least low.
func (c call) listed(name string, absent, low int64, n, k int) ([]int64, error) {
	v := c.n.Ints(name)
	if v == nil {
		return slices.Repeat([]int64{absent}, n), nil
	}
	if len(v) != n {
		return nil, fmt.Errorf("%s has %d entries, the input has %d spatial axes", name, len(v), k)
	}
	return v, inWindow(name, v, low)
}

func inWindow(name string, v []int64, low int64) error {
	for _, d := range v {
		if d < low || d > maxWindow {
			return fmt.Errorf("%s %v: %d is out of range", name, v, d)
		}
	}
	return nil
}

func (c call) spatial(x, kernel []int64) ([]int64, error) {
	k := len(x)
	if len(kernel) != k {
		return nil, fmt.Errorf("a kernel with %d axes does not fit an input with %d spatial axes", len(kernel), k)
	}
	for _, d := range kernel {
		if d != -1 && (d < 1 || d > maxWindow) {
			return nil, fmt.Errorf("kernel %v: %d is out of range", kernel, d)
		}
	}
	strides, err1 := c.listed("strides", 1, 1, k, k)
	dil, err2 := c.listed("dilations", 1, 1, k, k)
	pads, err3 := c.listed("pads", 0, -maxWindow, 2*k, k)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	out := make([]int64, k)
	for i := range out {
		out[i] = window(x[i], kernel[i], strides[i], dil[i], pads[i], pads[i+k], c.n.Str("auto_pad", "NOTSET"), c.n.Int("ceil_mode", 0) == 1)
	}
	return out, nil
}

func conv(c call) ([]Fact, error) {
	x, w := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if c.n.Op == "ConvInteger" {
		f.DType = tensor.Int32
	}
	if x == nil || w == nil {
		return one(f)
	}
	if len(x) < 3 || len(w) != len(x) {
		return nil, fmt.Errorf("input %v and weight %v do not fit a convolution", x, w)
	}
	if g := c.n.Int("group", 1); g < 1 || x[1] >= 0 && w[1] >= 0 && x[1] != times(w[1], g) || w[0] >= 0 && w[0]%g != 0 {
		return nil, fmt.Errorf("input %v and weight %v do not fit %d groups", x, w, g)
	}
	if b := c.at(2).Shape; b != nil && c.n.Op == "Conv" && (len(b) != 1 || b[0] >= 0 && w[0] >= 0 && b[0] != w[0]) {
		return nil, fmt.Errorf("the bias has the shape %v for %d output channels", b, w[0])
	}
	if ks := c.n.Ints("kernel_shape"); ks != nil && !slices.Contains(w[2:], -1) && !slices.Equal(ks, w[2:]) {
		return nil, fmt.Errorf("kernel_shape %v is not that of the weight %v", ks, w)
	}
	sp, err := c.spatial(x[2:], w[2:])
	if err != nil {
		return nil, err
	}
	f.Shape = append([]int64{x[0], w[0]}, sp...)
	return one(f)
}

func convTranspose(c call) ([]Fact, error) {
	x, w := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil || w == nil || len(x) < 3 || len(w) != len(x) {
		return one(f)
	}
	k := len(x) - 2
	st, err1 := c.listed("strides", 1, 1, k, k)
	dil, err2 := c.listed("dilations", 1, 1, k, k)
	pads, err3 := c.listed("pads", 0, -maxWindow, 2*k, k)
	extra, err4 := c.listed("output_padding", 0, 0, k, k)
	if err := errors.Join(err1, err2, err3, err4, inWindow("kernel", w[2:], -1)); err != nil {
		return nil, err
	}
	g := c.n.Int("group", 1)
	if g < 1 || x[1] >= 0 && w[0] >= 0 && x[1] != w[0] || w[0] >= 0 && w[0]%g != 0 {
		return nil, fmt.Errorf("input %v and weight %v do not fit %d groups", x, w, g)
	}
	f.Shape = []int64{x[0], -1}
	if w[1] >= 0 {
		f.Shape[1] = times(w[1], g)
	}
	given, auto := c.n.Ints("output_shape"), c.n.Str("auto_pad", "NOTSET")
	if len(given) == k+2 { // some exporters name all axes
		given = given[2:]
	}
	for i := range k {
		d := int64(-1)
		switch {
		case len(given) == k:
			d = given[i]
		case x[2+i] < 0 || w[2+i] < 0:
		case auto == "SAME_UPPER" || auto == "SAME_LOWER":
			d = times(x[2+i], st[i])
		default:
			before, after := pads[i], pads[i+k]
			if auto == "VALID" {
				before, after = 0, 0
			}
			d = times(st[i], x[2+i]-1) // saturates, and is then refused
			d = plus(d, extra[i]+(w[2+i]-1)*dil[i]+1-before-after)
			if d < 0 {
				return nil, fmt.Errorf("an input of shape %v and pads %v leave nothing", x, pads)
			}
		}
		f.Shape = append(f.Shape, d)
	}
	return one(f)
}

func pool(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil {
		return one(f)
	}
	if len(x) < 3 {
		return nil, fmt.Errorf("input %v has no spatial axes to pool", x)
	}
	sp, err := c.spatial(x[2:], c.n.Ints("kernel_shape"))
	if err != nil {
		return nil, err
	}
	f.Shape = append([]int64{x[0], x[1]}, sp...)
	return []Fact{f, {DType: tensor.Int64, Shape: f.Shape}}, nil
}

func globalPool(c call) ([]Fact, error) {
	f := c.same(0)
	if len(f.Shape) > 2 {
		f.Shape = append(slices.Clone(f.Shape[:2]), slices.Repeat([]int64{1}, len(f.Shape)-2)...)
	}
	return one(f)
}

func roiAlign(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	if x, r := c.at(0).Shape, c.at(1).Shape; len(x) == 4 && len(r) == 2 {
		f.Shape = []int64{r[0], x[1], c.n.Int("output_height", 1), c.n.Int("output_width", 1)}
	}
	return one(f)
}
