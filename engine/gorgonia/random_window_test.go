package gorgonia

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// plane is a value [N, C, L] or [N, C, H, W].
func (m *graphMaker) plane() *made {
	return m.pick(func(v *made) bool {
		return v.DType == m.float && (len(v.Shape) == 3 || len(v.Shape) == 4) && v.most <= 300
	})
}

func (m *graphMaker) list(n int, low, high int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = low + m.Int64N(high-low+1)
	}
	return out
}

// window has attributes of a window over k axes, and its size.
func (m *graphMaker) window(k int) (a am, kernel []int64) {
	a, kernel = am{}, m.list(k, 1, 3)
	if m.IntN(2) == 0 {
		a["strides"] = m.list(k, 1, 3)
	}
	if m.IntN(3) == 0 {
		a["dilations"] = m.list(k, 1, 2)
	}
	switch m.IntN(4) {
	case 0, 1:
		pads := make([]int64, 2*k)
		for i := range pads {
			pads[i] = m.Int64N(kernel[i%k])
		}
		a["pads"] = pads
	case 2:
		a["auto_pad"] = m.choose("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
		delete(a, "dilations") // ONNX Runtime has no SAME with dilations
	}
	return a, kernel
}

// wide leaves a window that pads itself no stride larger than it is: what that means,
// runtimes do not agree on, so that it is refused.
func (m *graphMaker) wide(a am, kernel []int64) {
	strides, ok := a["strides"].([]int64)
	if !ok || a["auto_pad"] == nil {
		return
	}
	for i := range strides {
		strides[i] = min(strides[i], kernel[i])
	}
}

func growWindow(m *graphMaker) {
	x := m.plane()
	if x == nil {
		return
	}
	k, c := len(x.Shape)-2, x.Shape[1]
	a, kernel := m.window(k)
	area := int64(1)
	for _, n := range kernel {
		area *= n
	}
	switch op := m.choose("Conv", "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "DepthToSpace", "SpaceToDepth", "ConvBN", "BatchNormalization"); op {
	case "Conv", "ConvBN", "ConvTranspose":
		if !m.has("Conv") {
			return
		}
		group := int64(1)
		if m.IntN(3) == 0 {
			group = c
		}
		a["group"] = group
		if m.IntN(3) == 0 {
			a["kernel_shape"] = kernel
		}
		per := 1 + m.Int64N(3)
		shape := append([]int64{group * per, c / group}, kernel...)
		if op == "ConvTranspose" {
			m.wide(a, kernel)
			shape = append([]int64{c, per}, kernel...)
			if m.IntN(3) == 0 && a["strides"] != nil {
				extra := m.list(k, 0, 1)
				for i, s := range a["strides"].([]int64) {
					extra[i] = min(extra[i], s-1)
				}
				a["output_padding"] = extra
			}
		} else {
			op = "Conv"
		}
		w := m.weight(-1, 1, shape...)
		var bias *made
		if m.IntN(2) == 0 {
			bias = m.weight(-2, 2, group*per)
		}
		v := m.node(op, a, x.most*float64(c*area)+2, inexact, x, w, bias)
		if v != nil && m.IntN(3) == 0 {
			m.batchNorm(v)
		}
	case "BatchNormalization":
		m.batchNorm(x)
	case "MaxPool", "AveragePool":
		a["kernel_shape"] = kernel
		m.wide(a, kernel)
		if slices.Min(x.Shape[2:]) < 3 { // else a window may reach around its input
			delete(a, "dilations")
		}
		if m.IntN(2) == 0 && a["auto_pad"] == nil {
			a["ceil_mode"] = 1
		}
		grid := inexact
		if op == "AveragePool" {
			if !m.has(op) {
				return
			}
			if m.opset < 19 {
				delete(a, "dilations")
			}
			a["count_include_pad"] = m.IntN(2)
		} else {
			grid = x.grid
		}
		m.node(op, a, x.most, grid, x)
	case "GlobalAveragePool", "GlobalMaxPool":
		if m.has(op) {
			m.node(op, nil, x.most, inexact, x)
		}
	case "Resize":
		if m.has(op) {
			m.resize(x)
		}
	case "DepthToSpace":
		if m.has(op) {
			m.move(op, am{"blocksize": 2, "mode": m.choose("DCR", "CRD")}, x)
		}
	case "SpaceToDepth":
		m.move(op, am{"blocksize": 2}, x)
	}
}

func (m *graphMaker) batchNorm(x *made) {
	c := x.Shape[1]
	a := am{}
	if m.IntN(2) == 0 {
		a["epsilon"] = 0.125
	}
	m.node("BatchNormalization", a, (x.most+2)*4+2, inexact, x, m.weight(-2, 2, c), m.weight(-1, 1, c), m.weight(-1, 1, c), m.weight(1, 2, c))
}

func (m *graphMaker) resize(x *made) {
	k := len(x.Shape) - 2
	a := am{"coordinate_transformation_mode": m.choose("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")}
	mode := m.choose("nearest", "linear", "cubic")
	if mode == "cubic" && k != 2 {
		mode = "linear"
	}
	a["mode"] = mode
	grid := inexact
	if mode == "nearest" {
		grid = x.grid
		a["nearest_mode"] = m.choose("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
	}
	if m.IntN(2) == 0 {
		scales := []float32{1, 1}
		for range k {
			s := []float32{2, 1, 0.5, 3, 0.3 + 2.5*m.Float32()}[m.IntN(5)]
			if d := x.Shape[len(scales)]; int64(float32(d)*s) == d {
				s = 1 // ONNX Runtime does not interpolate where the shape stays
			}
			scales = append(scales, s)
		}
		m.node("Resize", a, 2*x.most, grid, x, nil, m.known(tensor.Of(scales, len(scales))))
		return
	}
	if !m.batched {
		m.node("Resize", a, 2*x.most, grid, x, nil, nil, m.ints(append([]int64{x.Shape[0], x.Shape[1]}, m.list(k, 1, 7)...)...))
	}
}
