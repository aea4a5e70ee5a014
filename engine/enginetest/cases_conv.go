package enginetest

import (
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// convCases are Conv and ConvTranspose. A kernel of 1, 10, 100 writes the window
// it saw into the digits of its output.
func convCases() []Case {
	var cs table
	nine, ones, digits := count(1, 1, 1, 3, 3), fill(1, 1, 1, 2, 2), f([]int{1, 1, 2, 2}, 1, 10, 100, 1000)
	four := count(1, 1, 1, 4)
	cs.op("conv bias", "Conv", ts{nine, ones, f([]int{1}, 10)}, f([]int{1, 1, 2, 2}, 22, 26, 34, 38))
	cs.op("conv pads on one side, stride 2", "Conv", ts{nine, ones},
		f([]int{1, 1, 2, 2}, 1, 5, 11, 28), ints("pads", 1, 1, 0, 0), ints("strides", 2, 2), ints("kernel_shape", 2, 2))
	cs.op("conv pads on the other side, stride 2", "Conv", ts{nine, ones},
		f([]int{1, 1, 2, 2}, 12, 9, 15, 9), ints("pads", 0, 0, 1, 1), ints("strides", 2, 2))
	cs.op("conv groups", "Conv", ts{count(1, 1, 2, 2, 2), f([]int{2, 1, 1, 1}, 10, 100)},
		f([]int{1, 2, 2, 2}, 10, 20, 30, 40, 500, 600, 700, 800), integer("group", 2))
	cs.op("conv groups of two channels, two items", "Conv", ts{count(1, 2, 4, 1, 1), f([]int{2, 2, 1, 1}, 1, 10, 100, 1000), vec(0.5, 0.25)},
		f([]int{2, 2, 1, 1}, 21.5, 4300.25, 65.5, 8700.25), integer("group", 2))
	cs.op("conv depthwise, two outputs a channel", "Conv", ts{count(1, 1, 2, 1, 2), f([]int{4, 1, 1, 1}, 1, 10, 100, 1000)},
		f([]int{1, 4, 1, 2}, 1, 2, 10, 20, 300, 400, 3000, 4000), integer("group", 2))
	cs.op("conv depthwise 3x3", "Conv", ts{mixed(4, 1, 2, 3, 7, 6), mixed(3, 2, 3, 1, 3, 3), vec(1, 2, 3)},
		direct(mixed(4, 1, 2, 3, 7, 6), mixed(3, 2, 3, 1, 3, 3), vec(1, 2, 3), 3, 2, 1),
		integer("group", 3), ints("strides", 2, 2), ints("pads", 1, 1, 1, 1), ints("kernel_shape", 3, 3))
	cs.op("conv dilated", "Conv", ts{nine, ones}, f([]int{1, 1, 1, 1}, 20), ints("dilations", 2, 2))
	cs.op("conv kernel is not symmetric", "Conv", ts{count(1, 1, 1, 2, 3), f([]int{1, 1, 1, 2}, 1, 10)}, f([]int{1, 1, 2, 2}, 21, 32, 54, 65))
	cs.op("conv kernel is not flipped", "Conv", ts{count(1, 1, 1, 2, 2), digits}, f([]int{1, 1, 1, 1}, 4321))
	cs.op("conv 3x1 with pads above and below", "Conv", ts{nine, fill(1, 1, 1, 3, 1)},
		f([]int{1, 1, 3, 3}, 5, 7, 9, 12, 15, 18, 11, 13, 15), ints("pads", 1, 0, 1, 0), ints("kernel_shape", 3, 1))
	cs.op("conv 1x3 with pads left and right", "Conv", ts{nine, fill(1, 1, 1, 1, 3)},
		f([]int{1, 1, 3, 3}, 3, 6, 5, 9, 15, 11, 15, 24, 17), ints("pads", 0, 1, 0, 1), ints("kernel_shape", 1, 3))
	cs.op("conv strides differ", "Conv", ts{nine, f([]int{1, 1, 1, 1}, 2)}, f([]int{1, 1, 3, 2}, 2, 6, 8, 12, 14, 18), ints("strides", 1, 2))
	cs.op("conv 1-D", "Conv", ts{four, f([]int{1, 1, 2}, 1, 10)}, f([]int{1, 1, 3}, 21, 32, 43))
	cs.op("conv 1-D with pads, stride and dilation", "Conv", ts{four, f([]int{1, 1, 2}, 1, 10)},
		f([]int{1, 1, 2}, 20, 42), ints("pads", 1, 0), ints("strides", 2), ints("dilations", 2))
	cs.op("conv 3-D", "Conv", ts{count(1, 1, 1, 2, 2, 2), fill(1, 1, 1, 2, 2, 2)}, f([]int{1, 1, 1, 1, 1}, 36))
	cs.op("conv SAME_UPPER", "Conv", ts{four, f([]int{1, 1, 2}, 1, 10)}, f([]int{1, 1, 4}, 21, 32, 43, 4), text("auto_pad", "SAME_UPPER"))
	cs.op("conv SAME_LOWER", "Conv", ts{four, f([]int{1, 1, 2}, 1, 10)}, f([]int{1, 1, 4}, 10, 21, 32, 43), text("auto_pad", "SAME_LOWER"))
	cs.op("conv SAME_UPPER, stride 2", "Conv", ts{four, f([]int{1, 1, 3}, 1, 10, 100)}, f([]int{1, 1, 2}, 321, 43),
		text("auto_pad", "SAME_UPPER"), ints("strides", 2))
	cs.op("conv SAME_LOWER, stride 2", "Conv", ts{four, f([]int{1, 1, 3}, 1, 10, 100)}, f([]int{1, 1, 2}, 210, 432),
		text("auto_pad", "SAME_LOWER"), ints("strides", 2))
	cs.op("conv VALID", "Conv", ts{four, f([]int{1, 1, 3}, 1, 10, 100)}, f([]int{1, 1, 2}, 321, 432), text("auto_pad", "VALID"))
	cs.both("conv by weights that are inputs", "Conv", ts{nine, ones, f([]int{1}, 10)}, f([]int{1, 1, 2, 2}, 22, 26, 34, 38))
	cs.op("conv 1x1", "Conv", ts{mixed(4, 3, 2, 5, 3, 7), mixed(4, 4, 9, 5, 1, 1)}, direct(mixed(4, 3, 2, 5, 3, 7), mixed(4, 4, 9, 5, 1, 1), nil, 1, 1, 0))
	cs.op("conv of no round size", "Conv", ts{mixed(4, 5, 2, 17, 19, 13), mixed(4, 6, 33, 17, 3, 3), mixed(9, 7, 33)},
		direct(mixed(4, 5, 2, 17, 19, 13), mixed(4, 6, 33, 17, 3, 3), mixed(9, 7, 33), 1, 1, 1), ints("pads", 1, 1, 1, 1), ints("kernel_shape", 3, 3))
	cs.op("conv 7x7 as a network begins", "Conv", ts{mixed(4, 8, 1, 3, 21, 21), mixed(4, 9, 16, 3, 7, 7)},
		direct(mixed(4, 8, 1, 3, 21, 21), mixed(4, 9, 16, 3, 7, 7), nil, 1, 2, 3), ints("pads", 3, 3, 3, 3), ints("strides", 2, 2), ints("kernel_shape", 7, 7))
	cs.op("conv of an empty batch", "Conv", ts{f([]int{0, 1, 3, 3}), ones}, f([]int{0, 1, 2, 2}))
	return append(cs, transposedCases()...)
}

func transposedCases() []Case {
	var cs table
	x, ones, digits := count(1, 1, 1, 2, 2), fill(1, 1, 1, 2, 2), f([]int{1, 1, 2, 2}, 1, 10, 100, 1000)
	full := []float32{1, 12, 20, 103, 1234, 2040, 300, 3400, 4000}
	op := func(name string, in ts, want *tensor.Tensor, attrs ...*onnx.Attr) {
		cs.op("convtranspose"+name, "ConvTranspose", in, want, attrs...)
	}
	op("", ts{x, digits}, f([]int{1, 1, 3, 3}, full...))
	op(" bias", ts{x, ones, vec(10)}, f([]int{1, 1, 3, 3}, 11, 13, 12, 14, 20, 16, 13, 17, 14))
	op(" stride 2", ts{x, ones}, f([]int{1, 1, 4, 4}, 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4), ints("strides", 2, 2))
	op(" output_padding", ts{x, ones}, f([]int{1, 1, 5, 5}, 1, 1, 2, 2, 0, 1, 1, 2, 2, 0, 3, 3, 4, 4, 0, 3, 3, 4, 4, 0, 0, 0, 0, 0, 0),
		ints("strides", 2, 2), ints("output_padding", 1, 1))
	op(" pads", ts{x, digits}, f([]int{1, 1, 1, 1}, 1234), ints("pads", 1, 1, 1, 1))
	op(" pads on one side", ts{x, digits}, f([]int{1, 1, 2, 2}, 1234, 2040, 3400, 4000), ints("pads", 1, 1, 0, 0))
	op(" dilated", ts{x, ones}, f([]int{1, 1, 4, 4}, 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4), ints("dilations", 2, 2))
	op(" groups", ts{count(1, 1, 2, 1, 1), f([]int{2, 1, 1, 2}, 1, 10, 100, 1000)}, f([]int{1, 2, 1, 2}, 1, 10, 200, 2000), integer("group", 2))
	op(" channels", ts{count(1, 1, 2, 1, 1), f([]int{2, 3, 1, 1}, 1, 2, 3, 10, 20, 30)}, f([]int{1, 3, 1, 1}, 21, 42, 63))
	// An odd pad goes before, but for SAME_UPPER.
	op(" output_shape", ts{x, ones}, f([]int{1, 1, 3, 3}, 1, 2, 2, 3, 4, 4, 3, 4, 4), ints("strides", 2, 2), ints("output_shape", 3, 3))
	op(" output_shape, SAME_UPPER", ts{x, ones}, f([]int{1, 1, 3, 3}, 1, 1, 2, 1, 1, 2, 3, 3, 4), ints("strides", 2,
		2), ints("output_shape", 3, 3), text("auto_pad", "SAME_UPPER"))
	op(" 1-D", ts{count(1, 1, 1, 3), f([]int{1, 1, 2}, 1, 10)}, f([]int{1, 1, 4}, 1, 12, 23, 30))
	return cs
}

// direct is the definition of a 2-D convolution with the same stride and pads all
// round. bias may be nil.
func direct(x, w, bias *tensor.Tensor, groups, stride, pad int) *tensor.Tensor {
	n, c, h, wide := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	m, per, kh, kw := w.Shape[0], w.Shape[1], w.Shape[2], w.Shape[3]
	oh, ow := (h+2*pad-kh)/stride+1, (wide+2*pad-kw)/stride+1
	xs, ws := tensor.Data[float32](x), tensor.Data[float32](w)
	var out []float32
	for i := range n {
		for o := range m {
			first := o / (m / groups) * per
			for p := range oh * ow {
				sum := float32(0)
				if bias != nil {
					sum = tensor.Data[float32](bias)[o]
				}
				for k := range per * kh * kw {
					r, s := p/ow*stride-pad+k/kw%kh, p%ow*stride-pad+k%kw
					if r >= 0 && r < h && s >= 0 && s < wide {
						sum += ws[o*per*kh*kw+k] * xs[((i*c+first+k/(kh*kw))*h+r)*wide+s]
					}
				}
				out = append(out, sum)
			}
		}
	}
	return tensor.Of(out, n, m, oh, ow)
}
