package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// inference says what each operator's outputs look like. Operators of every
// opset are covered where the rule is the same or can tell them apart.
var inference map[string]func(call) ([]Fact, error)

func init() {
	inference = map[string]func(call) ([]Fact, error){
		"Constant": func(c call) ([]Fact, error) {
			values := 0
			for _, a := range c.n.Attrs {
				if a.Name == "value" || strings.HasPrefix(a.Name, "value_") || a.Name == "sparse_value" {
					values++
				}
			}
			if values > 1 {
				return nil, fmt.Errorf("it has %d values, want one", values)
			}
			if t := constantOf(c.n); t != nil {
				return one(c.constant(t))
			}
			return nil, nil
		},
		"ConstantOfShape": constantOfShape,
		"Shape":           shapeOf,
		"Size": func(c call) ([]Fact, error) {
			f := Fact{DType: tensor.Int64, Shape: []int64{}}
			if n := count(c.at(0).Shape); c.at(0).Shape != nil && n >= 0 {
				f.Const = []float64{float64(n)}
			}
			return one(f)
		},
		"Cast": func(c call) ([]Fact, error) {
			to := tensor.DType(c.n.Int("to", 0))
			if word := c.n.Str("to", ""); word != "" { // before version 6
				to = typeWords[word]
			}
			return one(castTo(c.at(0), to))
		},
		"CastLike": func(c call) ([]Fact, error) {
			return one(castTo(c.at(0), c.at(1).DType))
		},
		"Conv": conv, "ConvInteger": conv, "ConvTranspose": convTranspose,
		"MaxPool": pool, "AveragePool": pool, "LpPool": pool,
		"GlobalAveragePool": globalPool, "GlobalMaxPool": globalPool, "GlobalLpPool": globalPool,
		"Gemm": gemm, "MatMul": matMul, "MatMulInteger": matMul,
		"Flatten": flatten, "Reshape": reshape, "Transpose": transpose,
		"Squeeze": squeeze, "Unsqueeze": unsqueeze, "Concat": concat, "Split": split, "Slice": slice,
		"Gather": gather, "GatherElements": likeSecond, "Expand": expand, "Tile": tile, "Pad": pad,
		"Resize": resize, "Upsample": resize, "Range": rangeOf,
		"DepthToSpace": depthToSpace, "SpaceToDepth": spaceToDepth,
		"LayerNormalization": firstOnly, "GroupNormalization": firstOnly, "BatchNormalization": firstOnly,
		"RMSNormalization": firstOnly, "SimplifiedLayerNormalization": firstOnly,
		"Dropout": func(c call) ([]Fact, error) {
			return []Fact{c.same(0), {DType: tensor.Bool, Shape: c.at(0).Shape}}, nil
		},
		"Where": func(c call) ([]Fact, error) { return elementwise(c, c.at(1).DType, nil, 0, 1, 2) },
		"TopK":  topK, "RoiAlign": roiAlign, "Einsum": einsum,
	}
	for _, op := range []string{"ArgMax", "ArgMin"} {
		inference[op] = func(c call) ([]Fact, error) { return reduce(c, []int64{c.n.Int("axis", 0)}, tensor.Int64) }
	}
	for _, op := range []string{"Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"} {
		inference["Reduce"+op] = func(c call) ([]Fact, error) {
			as, ok := c.ints(1, "axes")
			if !ok {
				return nil, nil
			}
			if len(as) == 0 && c.n.Int("noop_with_empty_axes", 0) == 1 {
				return one(c.same(0))
			}
			return reduce(c, as, c.at(0).DType)
		}
	}
	for _, op := range []string{"Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Clip", "HardSigmoid",
		"HardSwish", "Gelu", "Mish", "Swish", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "Hardmax", "Erf", "Exp",
		"Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
		"Sign", "Round", "BitShift", "Identity", "Shrink", "LRN", "LpNormalization",
		"InstanceNormalization", "MeanVarianceNormalization", "CumSum", "Trilu", "ScatterND", "ScatterElements", "Scatter",
		"ReverseSequence"} {
		inference[op] = func(c call) ([]Fact, error) { return one(c.same(0)) }
	}
	inference["Identity"] = func(c call) ([]Fact, error) { return one(c.at(0)) }
	inference["EyeLike"] = func(c call) ([]Fact, error) {
		return one(Fact{DType: tensor.DType(c.n.Int("dtype", int64(c.at(0).DType))), Shape: c.at(0).Shape})
	}
	inference["QuantizeLinear"] = func(c call) ([]Fact, error) {
		f := Fact{DType: tensor.Uint8, Shape: c.at(0).Shape}
		if c.at(2).DType != 0 {
			f.DType = c.at(2).DType
		} else if d := c.n.Int("output_dtype", 0); d != 0 {
			f.DType = tensor.DType(d)
		}
		return one(f)
	}
	inference["DequantizeLinear"] = func(c call) ([]Fact, error) {
		return one(Fact{DType: c.at(1).DType, Shape: c.at(0).Shape})
	}
	unary := map[string]func(float64) float64{"Neg": func(a float64) float64 { return -a }, "Abs": math.Abs, "Floor": math.Floor, "Ceil": math.Ceil}
	for op, f := range unary {
		inference[op] = func(c call) ([]Fact, error) {
			out := c.same(0)
			for _, v := range c.at(0).Const {
				out.Const = append(out.Const, f(v))
			}
			return one(out)
		}
	}
	for op, f := range map[string]func(a, b float64) float64{
		"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
		"Mul": func(a, b float64) float64 { return a * b }, "Div": nil, "Mod": nil, "Pow": math.Pow,
		"BitwiseAnd": nil, "BitwiseOr": nil, "BitwiseXor": nil,
	} {
		inference[op] = func(c call) ([]Fact, error) {
			g := f
			if c.n.Op == "Div" {
				whole := !c.at(0).DType.IsFloat()
				g = func(a, b float64) float64 {
					if whole {
						return math.Trunc(a / b)
					}
					return a / b
				}
			}
			if c.n.Op == "Mod" {
				truncated := c.n.Int("fmod", 0) != 0
				g = func(a, b float64) float64 {
					m := math.Mod(a, b)
					if !truncated && m != 0 && (m < 0) != (b < 0) { // it has the divisor's sign
						m += b
					}
					return m
				}
			}
			return elementwise(c, c.at(0).DType, g, 0, 1)
		}
	}
	for op, f := range map[string]func(a, b float64) bool{
		"Equal": func(a, b float64) bool { return a == b }, "Greater": func(a, b float64) bool { return a > b },
		"Less": func(a, b float64) bool { return a < b }, "GreaterOrEqual": func(a, b float64) bool { return a >= b },
		"LessOrEqual": func(a, b float64) bool { return a <= b }, "Xor": func(a, b float64) bool { return (a != 0) != (b != 0) },
		"And": func(a, b float64) bool { return a != 0 && b != 0 }, "Or": func(a, b float64) bool { return a != 0 || b != 0 },
	} {
		inference[op] = func(c call) ([]Fact, error) {
			var g func(a, b float64) float64
			if f != nil {
				g = func(a, b float64) float64 {
					if f(a, b) {
						return 1
					}
					return 0
				}
			}
			return elementwise(c, tensor.Bool, g, 0, 1)
		}
	}
	for _, op := range []string{"Not", "IsNaN", "IsInf"} {
		inference[op] = func(c call) ([]Fact, error) {
			f := Fact{DType: tensor.Bool, Shape: c.at(0).Shape}
			if c.n.Op == "Not" && c.at(0).Const != nil {
				f.Const = make([]float64, len(c.at(0).Const))
				for i, v := range c.at(0).Const {
					if v == 0 {
						f.Const[i] = 1
					}
				}
			}
			return one(f)
		}
	}
	for op, f := range map[string]func(a, b float64) float64{"Max": math.Max, "Min": math.Min, "Sum": func(a, b float64) float64 { return a + b }, "Mean": nil} {
		inference[op] = func(c call) ([]Fact, error) {
			if len(c.in) == 1 {
				return one(c.at(0))
			}
			idx := make([]int, len(c.in))
			for i := range idx {
				idx[i] = i
			}
			return elementwise(c, c.at(0).DType, f, idx...)
		}
	}
}

func one(f Fact) ([]Fact, error) { return []Fact{f}, nil }

// same is an output of input i's type and shape, of unknown content.
func (c call) same(i int) Fact { return Fact{DType: c.at(i).DType, Shape: c.at(i).Shape} }

func firstOnly(c call) ([]Fact, error) { return one(c.same(0)) }

func likeSecond(c call) ([]Fact, error) {
	return one(Fact{DType: c.at(0).DType, Shape: c.at(1).Shape})
}

// typeWords are the element types as Cast named them before version 6.
var typeWords = map[string]tensor.DType{"FLOAT": tensor.Float32, "UINT8": tensor.Uint8, "INT8": tensor.Int8, "UINT16": tensor.Uint16,
	"INT16": tensor.Int16, "INT32": tensor.Int32, "INT64": tensor.Int64, "STRING": tensor.String, "BOOL": tensor.Bool,
	"FLOAT16": tensor.Float16, "DOUBLE": tensor.Float64, "UINT32": tensor.Uint32, "UINT64": tensor.Uint64,
	"COMPLEX64": tensor.Complex64, "COMPLEX128": tensor.Complex128, "BFLOAT16": tensor.BFloat16}

func castTo(f Fact, to tensor.DType) Fact {
	out := Fact{DType: to, Shape: f.Shape, Const: slices.Clone(f.Const)}
	for i, v := range out.Const {
		switch {
		case to == tensor.Float16:
			out.Const[i] = float64(tensor.HalfToFloat32(tensor.Float32ToHalf(float32(v))))
		case to == tensor.BFloat16:
			out.Const[i] = float64(math.Float32frombits(uint32(tensor.Float32ToBFloat(float32(v))) << 16))
		case to == tensor.Bool && v != 0:
			out.Const[i] = 1
		case to == tensor.Float32:
			out.Const[i] = float64(float32(v))
		case !to.IsFloat():
			out.Const[i] = math.Trunc(v)
		}
	}
	return out
}

// elementwise broadcasts the chosen inputs and, where all are known constants,
// computes.
func elementwise(c call, d tensor.DType, f func(a, b float64) float64, idx ...int) ([]Fact, error) {
	if a := c.n.Attr("broadcast"); a != nil && c.opset < 7 { // the second input is laid along an axis of the first
		return one(Fact{DType: d, Shape: c.at(0).Shape})
	}
	var shapes [][]int64
	consts := true
	for _, i := range idx {
		shapes = append(shapes, c.at(i).Shape)
		consts = consts && c.at(i).Const != nil
	}
	shape, err := broadcast(shapes...)
	if err != nil {
		return nil, err
	}
	out := Fact{DType: d, Shape: shape}
	n := count(shape)
	if !consts || shape == nil || n < 0 || n > maxConst || c.n.Op != "Where" && !c.exact() {
		return one(out)
	}
	pick := func(i int, k int64) float64 {
		f := c.at(i)
		off, scale := int64(0), n
		rem := k
		for a := range shape {
			scale /= max(shape[a], 1)
			pos := rem / max(scale, 1)
			rem %= max(scale, 1)
			if j := a - (len(shape) - len(f.Shape)); j >= 0 {
				if f.Shape[j] == 1 {
					pos = 0
				}
				off = off*f.Shape[j] + pos
			}
		}
		return f.Const[off]
	}
	for k := range n {
		switch {
		case c.n.Op == "Where":
			if pick(0, k) != 0 {
				out.Const = append(out.Const, pick(1, k))
			} else {
				out.Const = append(out.Const, pick(2, k))
			}
		case f != nil && len(idx) == 2:
			v := f(pick(0, k), pick(1, k))
			if d == tensor.Float32 {
				v = float64(float32(v))
			}
			out.Const = append(out.Const, v)
		default:
			return one(out)
		}
	}
	return one(out)
}

// exact reports whether float64 holds the inputs' content as it is: not so for
// integers from 2^53 on, which are known near enough to be the end of a slice.
func (c call) exact() bool {
	for _, f := range c.in {
		if !f.DType.IsFloat() && slices.ContainsFunc(f.Const, func(v float64) bool { return math.Abs(v) >= 1<<53 }) {
			return false
		}
	}
	return true
}

func constantOfShape(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Float32}
	v := 0.0
	if a := c.n.Attr("value"); a != nil && a.Tensor != nil {
		f.DType = a.Tensor.DType
		v = math.NaN()
		if f := c.constant(a.Tensor); len(f.Const) == 1 {
			v = f.Const[0]
		}
	}
	if shape, ok := c.ints(0, ""); ok {
		f.Shape = append([]int64{}, shape...)
		if slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
			return nil, fmt.Errorf("the shape %v is not possible", shape)
		}
		if n := count(shape); n <= maxConst && !math.IsNaN(v) {
			f.Const = slices.Repeat([]float64{v}, int(n))
		}
	}
	return one(f)
}

func shapeOf(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Int64}
	s := c.at(0).Shape
	if s == nil {
		return one(f)
	}
	clamp := func(v int64) int64 {
		if v < 0 {
			v = plus(v, int64(len(s)))
		}
		return min(max(v, 0), int64(len(s)))
	}
	start, end := clamp(c.n.Int("start", 0)), clamp(c.n.Int("end", int64(len(s))))
	s = s[start:max(start, end)]
	f.Shape = []int64{int64(len(s))}
	if !slices.Contains(s, -1) {
		f.Const = []float64{}
		for _, d := range s {
			f.Const = append(f.Const, float64(d))
		}
	}
	return one(f)
}

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

func gemm(c call) ([]Fact, error) {
	a, b := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if a == nil || b == nil {
		return one(f)
	}
	if len(a) != 2 || len(b) != 2 {
		return nil, fmt.Errorf("Gemm takes matrices, got %v and %v", a, b)
	}
	ta, tb := c.n.Int("transA", 0) != 0, c.n.Int("transB", 0) != 0
	m, k := a[0], a[1]
	if ta {
		m, k = k, m
	}
	l, n := b[0], b[1]
	if tb {
		l, n = n, l
	}
	if k >= 0 && l >= 0 && k != l {
		return nil, fmt.Errorf("matrices %v and %v do not fit", a, b)
	}
	f.Shape = []int64{m, n}
	if s, err := broadcast(f.Shape, c.at(2).Shape); c.at(2).Shape != nil && c.opset >= 7 && (err != nil || len(s) != 2 || m >= 0 && s[0] > m || n >= 0 && s[1] > n) {
		return nil, fmt.Errorf("the bias %v does not fit a product of shape %v", c.at(2).Shape, f.Shape)
	}
	return one(f)
}

func matMul(c call) ([]Fact, error) {
	a, b := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if c.n.Op == "MatMulInteger" {
		f.DType = tensor.Int32
	}
	if a == nil || b == nil {
		return one(f)
	}
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("MatMul takes no scalars, got %v and %v", a, b)
	}
	va, vb := len(a) == 1, len(b) == 1
	if va {
		a = []int64{1, a[0]}
	}
	if vb {
		b = []int64{b[0], 1}
	}
	if k, l := a[len(a)-1], b[len(b)-2]; k >= 0 && l >= 0 && k != l {
		return nil, fmt.Errorf("shapes %v and %v do not fit", c.at(0).Shape, c.at(1).Shape)
	}
	lead, err := broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, err
	}
	f.Shape = append([]int64{}, lead...)
	if !va {
		f.Shape = append(f.Shape, a[len(a)-2])
	}
	if !vb {
		f.Shape = append(f.Shape, b[len(b)-1])
	}
	return one(f)
}

func flatten(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	if x := c.at(0).Shape; x != nil {
		a := c.n.Int("axis", 1)
		if a < 0 {
			a = plus(a, int64(len(x)))
		}
		if a < 0 || a > int64(len(x)) {
			return nil, fmt.Errorf("axis %d is outside a shape of rank %d", a, len(x))
		}
		f.Shape = []int64{count(x[:a]), count(x[a:])}
	}
	return one(f)
}

func reshape(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	want, ok := c.ints(1, "shape")
	if !ok {
		if s := c.at(1).Shape; len(s) == 1 && s[0] >= 0 {
			f.Shape = slices.Repeat([]int64{-1}, int(min(s[0], 64)))
		}
		return one(f)
	}
	x := c.at(0).Shape
	total := int64(-1)
	if x != nil {
		total = count(x)
	}
	f.Shape = make([]int64, len(want))
	open, rest := -1, int64(1)
	for i, d := range want {
		switch {
		case d == 0 && c.n.Int("allowzero", 0) == 0:
			if x != nil && i >= len(x) {
				return nil, fmt.Errorf("shape %v copies axis %d of an input of shape %v", want, i, x)
			}
			d = -1
			if x != nil {
				d = x[i]
			}
		case d == -1:
			if open >= 0 {
				return nil, fmt.Errorf("shape %v leaves two dimensions open", want)
			}
			open = i
			f.Shape[i] = -1
			continue
		case d < -1:
			return nil, fmt.Errorf("shape %v has dimension %d", want, d)
		}
		f.Shape[i] = d
		if rest >= 0 && d >= 0 {
			rest = times(rest, d)
		} else {
			rest = -1
		}
	}
	if total < 0 || rest < 0 || total == math.MaxInt64 || rest == math.MaxInt64 {
		return one(f)
	}
	if open >= 0 {
		if rest == 0 || total%rest != 0 {
			return nil, fmt.Errorf("an input of shape %v does not fit shape %v", x, want)
		}
		f.Shape[open] = total / rest
	} else if rest != total {
		return nil, fmt.Errorf("an input of shape %v does not fit shape %v", x, want)
	}
	return one(f)
}

// pick computes a constant of the given shape whose elements are x's, from where
// place turns an index of the result into.
func pick(x Fact, shape []int64, place func(at []int64)) []float64 {
	n := count(shape)
	if x.Const == nil || n < 0 || n > maxConst {
		return nil
	}
	out := make([]float64, 0, n)
	at := make([]int64, len(shape))
	for k := range n {
		for a, rest := len(shape)-1, k; a >= 0; a-- {
			at[a], rest = rest%shape[a], rest/shape[a]
		}
		place(at)
		off := int64(0)
		for a, d := range x.Shape {
			off = off*d + at[a]
		}
		out = append(out, x.Const[off])
	}
	return out
}

func transpose(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil {
		return one(f)
	}
	perm := c.n.Ints("perm")
	if perm == nil {
		for i := range x {
			perm = append(perm, int64(len(x)-1-i))
		}
	}
	if len(perm) != len(x) {
		return nil, fmt.Errorf("perm %v does not fit shape %v", perm, x)
	}
	for i, p := range perm {
		if p < 0 || p >= int64(len(x)) || slices.Contains(perm[:i], p) {
			return nil, fmt.Errorf("perm %v does not fit shape %v", perm, x)
		}
		f.Shape = append(f.Shape, x[p])
	}
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	f.Const = pick(c.at(0), f.Shape, func(at []int64) {
		from := make([]int64, len(at))
		for a, p := range perm {
			from[p] = at[a]
		}
		copy(at, from)
	})
	return one(f)
}

func squeeze(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	as, ok := c.ints(1, "axes")
	if x == nil || !ok {
		return one(f)
	}
	drop, err := axes(as, len(x))
	if err != nil {
		return nil, err
	}
	f.Shape = []int64{}
	for i, d := range x {
		gone := slices.Contains(drop, i)
		if gone && d != 1 && d != -1 {
			return nil, fmt.Errorf("axis %d of %v cannot be squeezed", i, x)
		}
		if len(as) == 0 && d == -1 {
			return one(Fact{DType: f.DType})
		}
		if !gone && !(len(as) == 0 && d == 1) {
			f.Shape = append(f.Shape, d)
		}
	}
	return one(f)
}

func unsqueeze(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	as, ok := c.ints(1, "axes")
	if x == nil || !ok {
		return one(f)
	}
	rank := len(x) + len(as)
	add, err := axes(as, rank)
	if err != nil {
		return nil, err
	}
	rest := x
	for i := range rank {
		if slices.Contains(add, i) {
			f.Shape = append(f.Shape, 1)
		} else if len(rest) > 0 {
			f.Shape, rest = append(f.Shape, rest[0]), rest[1:]
		}
	}
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	return one(f)
}

func concat(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	consts := true
	for i := range c.in {
		s := c.in[i].Shape
		consts = consts && c.in[i].Const != nil
		if s == nil {
			return one(Fact{DType: f.DType})
		}
		if i == 0 {
			f.Shape = slices.Clone(s)
			continue
		}
		a, err := axis(c.n.Int("axis", 1), len(s)) // 1 by default before version 4
		if err != nil {
			return nil, err
		}
		if len(s) != len(f.Shape) {
			return nil, fmt.Errorf("shapes %v do not concatenate", c.shapes())
		}
		for j := range s {
			switch {
			case j == a && (s[j] < 0 || f.Shape[j] < 0):
				f.Shape[j] = -1
			case j == a:
				f.Shape[j] = plus(f.Shape[j], s[j])
			case f.Shape[j] < 0:
				f.Shape[j] = s[j]
			case s[j] >= 0 && s[j] != f.Shape[j]:
				return nil, fmt.Errorf("shapes %v do not concatenate along axis %d", c.shapes(), a)
			}
		}
	}
	if consts && len(f.Shape) == 1 {
		for i := range c.in {
			if len(f.Const)+len(c.in[i].Const) > maxConst {
				f.Const = nil
				break
			}
			f.Const = append(f.Const, c.in[i].Const...)
		}
	}
	return one(f)
}

func split(c call) ([]Fact, error) {
	x := c.at(0).Shape
	outs := make([]Fact, len(c.n.Outputs))
	for i := range outs {
		outs[i].DType = c.at(0).DType
	}
	if x == nil || len(outs) > maxConst {
		return outs, nil
	}
	a, err := axis(c.n.Int("axis", 0), len(x))
	if err != nil {
		return nil, err
	}
	sizes, ok := c.ints(1, "split")
	if !ok {
		sizes = nil
	}
	parts := c.n.Int("num_outputs", int64(len(outs)))
	if parts != int64(len(outs)) || parts < 1 {
		return nil, fmt.Errorf("it is split into %d parts and has %d outputs", parts, len(outs))
	}
	total := int64(0)
	for _, n := range sizes {
		if n < 0 {
			return nil, fmt.Errorf("it is split into %v", sizes)
		}
		total = plus(total, n)
	}
	if len(sizes) > 0 && (len(sizes) != len(outs) || x[a] >= 0 && total != x[a]) {
		return nil, fmt.Errorf("%d outputs and the split %v for an axis of %d", len(outs), sizes, x[a])
	}
	for i := range outs {
		outs[i].Shape = slices.Clone(x)
		switch {
		case !ok || x[a] < 0 && len(sizes) == 0:
			outs[i].Shape[a] = -1
		case len(sizes) > 0:
			outs[i].Shape[a] = sizes[i]
		default:
			chunk := (x[a] + parts - 1) / parts
			outs[i].Shape[a] = max(min(chunk, x[a]-chunk*int64(i)), 0)
		}
	}
	return outs, nil
}

func slice(c call) ([]Fact, error) {
	x := c.at(0)
	f := Fact{DType: x.DType}
	if x.Shape == nil {
		return one(f)
	}
	starts, ok1 := c.ints(1, "starts")
	ends, ok2 := c.ints(2, "ends")
	as, ok3 := c.ints(3, "axes")
	steps, ok4 := c.ints(4, "")
	f.Shape = slices.Clone(x.Shape)
	if !ok3 {
		return one(Fact{DType: f.DType, Shape: slices.Repeat([]int64{-1}, len(x.Shape))})
	}
	if as == nil {
		if !ok1 || !ok2 {
			return one(Fact{DType: f.DType, Shape: slices.Repeat([]int64{-1}, len(x.Shape))})
		}
		for i := range max(len(starts), len(ends)) {
			as = append(as, int64(i))
		}
	}
	where, err := axes(as, len(x.Shape))
	if err != nil {
		return nil, err
	}
	if !ok1 || !ok2 || !ok4 {
		for _, a := range where {
			f.Shape[a] = -1
		}
		return one(f)
	}
	if len(starts) != len(where) || len(ends) != len(where) || steps != nil && len(steps) != len(where) {
		return nil, fmt.Errorf("%d starts, %d ends and %d axes do not fit", len(starts), len(ends), len(where))
	}
	first, stride := make([]int64, len(x.Shape)), slices.Repeat([]int64{1}, len(x.Shape))
	for i, a := range where {
		d, st, en, step := x.Shape[a], starts[i], ends[i], int64(1)
		if steps != nil {
			step = steps[i]
		}
		if step == 0 || step == math.MinInt64 {
			return nil, fmt.Errorf("step %d", step)
		}
		if d < 0 {
			f.Shape[a] = -1
			continue
		}
		lo, hi := int64(0), d
		if step < 0 {
			lo, hi = -1, d-1
		}
		bound := func(v, lo int64) int64 {
			if v < 0 {
				v = plus(v, d)
			}
			return min(max(v, lo), hi)
		}
		st, en = bound(st, 0), bound(en, lo)
		n := int64(0)
		if step > 0 && en > st {
			n = (en-st-1)/step + 1
		} else if step < 0 && st > en {
			n = (st-en-1)/-step + 1
		}
		f.Shape[a], first[a], stride[a] = n, st, step
	}
	f.Const = pick(x, f.Shape, func(at []int64) {
		for a := range at {
			at[a] = first[a] + at[a]*stride[a]
		}
	})
	return one(f)
}

func gather(c call) ([]Fact, error) {
	x, idx := c.at(0), c.at(1)
	f := Fact{DType: x.DType}
	if x.Shape == nil || idx.Shape == nil {
		return one(f)
	}
	a, err := axis(c.n.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	f.Shape = slices.Concat(x.Shape[:a], idx.Shape, x.Shape[a+1:])
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	if x.Const != nil && idx.Const != nil && len(x.Shape) == 1 {
		f.Const = []float64{}
		for _, i := range toInts(idx.Const) {
			if i < 0 {
				i += int64(len(x.Const))
			}
			if i < 0 || i >= int64(len(x.Const)) {
				return nil, fmt.Errorf("index %d is outside a list of %d", i, len(x.Const))
			}
			f.Const = append(f.Const, x.Const[i])
		}
	}
	return one(f)
}

func expand(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	want, ok := c.ints(1, "shape")
	if !ok || c.at(0).Shape == nil {
		return one(f)
	}
	var err error
	f.Shape, err = broadcast(c.at(0).Shape, append([]int64{}, want...))
	if x := c.at(0).Const; len(x) == 1 && err == nil {
		if n := count(f.Shape); n >= 0 && n <= maxConst {
			f.Const = slices.Repeat(x, int(n))
		}
	}
	return []Fact{f}, err
}

func tile(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	reps, ok := c.ints(1, "repeats")
	if along, known := c.ints(2, ""); ok && c.opset < 6 && len(reps) == 1 && len(c.in) == 3 { // one axis at a time
		a, err := axis(append(along, -1)[0], len(c.at(0).Shape))
		if !known || c.at(0).Shape == nil || err != nil {
			return one(f)
		}
		n := reps[0]
		reps = slices.Repeat([]int64{1}, len(c.at(0).Shape))
		reps[a] = n
	}
	if x := c.at(0).Shape; x != nil && ok {
		if len(reps) != len(x) {
			return nil, fmt.Errorf("repeats %v do not fit shape %v", reps, x)
		}
		f.Shape = slices.Clone(x)
		for i, r := range reps {
			if r < 0 {
				return nil, fmt.Errorf("repeats %v", reps)
			}
			if f.Shape[i] >= 0 {
				f.Shape[i] = times(f.Shape[i], r)
			}
		}
	}
	return one(f)
}

func pad(c call) ([]Fact, error) {
	f := c.same(0)
	pads, ok := c.ints(1, "pads")
	if old := c.n.Ints("paddings"); old != nil && c.opset < 2 {
		pads = old
	}
	if f.Shape == nil || !ok {
		f.Shape = nil
		return one(f)
	}
	as, ok := c.ints(3, "")
	if !ok {
		return one(Fact{DType: f.DType})
	}
	if as == nil {
		for i := range f.Shape {
			as = append(as, int64(i))
		}
	}
	where, err := axes(as, len(f.Shape))
	if err != nil || len(pads) != 2*len(where) {
		return nil, fmt.Errorf("pads %v do not fit shape %v", pads, f.Shape)
	}
	f.Shape = slices.Clone(f.Shape)
	for i, a := range where {
		if f.Shape[a] >= 0 {
			f.Shape[a] = plus(f.Shape[a], plus(pads[i], pads[i+len(where)]))
			if f.Shape[a] < 0 {
				return nil, fmt.Errorf("pads %v leave nothing of shape %v", pads, c.at(0).Shape)
			}
		}
	}
	return one(f)
}

func resize(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil {
		return one(f)
	}
	where := make([]int, len(x))
	for i := range where {
		where[i] = i
	}
	f.Shape = slices.Repeat([]int64{-1}, len(x))
	if as := c.n.Ints("axes"); as != nil { // the others stay
		var err error
		if where, err = axes(as, len(x)); err != nil {
			return nil, err
		}
		f.Shape = slices.Clone(x)
		for _, a := range where {
			f.Shape[a] = -1
		}
	}
	scalesAt := 2
	if c.n.Op == "Upsample" || c.opset < 11 {
		scalesAt = 1
	}
	var scales []float64
	if c.n.Input(scalesAt) != "" {
		scales = c.at(scalesAt).Const
	} else if a := c.n.Attr("scales"); a != nil {
		for _, v := range a.Floats {
			scales = append(scales, float64(v))
		}
	}
	if len(scales) > 0 && len(scales) == len(where) {
		for i, a := range where {
			if d := x[a]; d >= 0 {
				// In float32, as runtimes compute it.
				f.Shape[a] = toInts([]float64{math.Floor(float64(float32(d) * float32(scales[i])))})[0]
				if f.Shape[a] < 0 {
					return nil, fmt.Errorf("scales %v", scales)
				}
			}
		}
	} else if s := c.at(3).Const; scalesAt == 2 && len(s) == len(where) && c.n.Str("keep_aspect_ratio_policy", "stretch") == "stretch" {
		for i, d := range toInts(s) {
			f.Shape[where[i]] = d
		}
	}
	return one(f)
}

func rangeOf(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType, Shape: []int64{-1}}
	a, b, s := c.at(0).Const, c.at(1).Const, c.at(2).Const
	if len(a) == 1 && len(b) == 1 && len(s) == 1 && s[0] != 0 && c.exact() {
		n := math.Max(math.Ceil((b[0]-a[0])/s[0]), 0)
		if n < 1<<40 {
			f.Shape[0] = int64(n)
		}
		if n <= maxConst {
			f.Const = []float64{}
			for i := range int(n) {
				f.Const = append(f.Const, a[0]+float64(i)*s[0])
			}
		}
	}
	return one(f)
}

func depthToSpace(c call) ([]Fact, error) { return blocks(c, c.n.Int("blocksize", 0), true) }
func spaceToDepth(c call) ([]Fact, error) { return blocks(c, c.n.Int("blocksize", 0), false) }

func blocks(c call, b int64, toSpace bool) ([]Fact, error) {
	f := c.same(0)
	if len(f.Shape) != 4 || b < 1 || b > 1<<20 {
		f.Shape = nil
		return one(f)
	}
	f.Shape = slices.Clone(f.Shape)
	for i := 1; i < 4; i++ {
		k := b
		if i == 1 {
			k = b * b
		}
		switch {
		case f.Shape[i] < 0:
		case (i == 1) == toSpace:
			if f.Shape[i]%k != 0 {
				return nil, fmt.Errorf("blocks of %d do not fit shape %v", b, c.at(0).Shape)
			}
			f.Shape[i] /= k
		default:
			f.Shape[i] = times(f.Shape[i], k)
		}
	}
	return one(f)
}

func reduce(c call, as []int64, d tensor.DType) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: d}
	if x == nil {
		return one(f)
	}
	where, err := axes(as, len(x))
	if err != nil {
		return nil, err
	}
	f.Shape = []int64{}
	for i, v := range x {
		gone := len(where) == 0 || slices.Contains(where, i)
		switch {
		case !gone:
			f.Shape = append(f.Shape, v)
		case c.n.Int("keepdims", 1) == 1:
			f.Shape = append(f.Shape, 1)
		}
	}
	combine := map[string]func(a, b float64) float64{"ReduceMax": math.Max, "ReduceMin": math.Min,
		"ReduceSum": func(a, b float64) float64 { return a + b }, "ReduceProd": func(a, b float64) float64 { return a * b }}[c.n.Op]
	if in := c.at(0).Const; combine != nil && len(in) > 0 && count(f.Shape) == 1 && c.exact() {
		p := in[0]
		for _, v := range in[1:] {
			p = combine(p, v)
		}
		f.Const = []float64{p}
	}
	return one(f)
}

func topK(c call) ([]Fact, error) {
	f := c.same(0)
	k, ok := c.ints(1, "")
	if k == nil && ok {
		k = []int64{c.n.Int("k", -1)}
	}
	if f.Shape != nil {
		a, err := axis(c.n.Int("axis", -1), len(f.Shape))
		if err != nil {
			return nil, err
		}
		f.Shape = slices.Clone(f.Shape)
		f.Shape[a] = -1
		if ok && len(k) == 1 {
			f.Shape[a] = k[0]
		}
	}
	return []Fact{f, {DType: tensor.Int64, Shape: f.Shape}}, nil
}

func roiAlign(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	if x, r := c.at(0).Shape, c.at(1).Shape; len(x) == 4 && len(r) == 2 {
		f.Shape = []int64{r[0], x[1], c.n.Int("output_height", 1), c.n.Int("output_width", 1)}
	}
	return one(f)
}

// einsum follows equations without an ellipsis.
func einsum(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	eq := strings.ReplaceAll(c.n.Str("equation", ""), " ", "")
	terms, out, explicit := strings.Cut(eq, "->")
	in := strings.Split(terms, ",")
	if eq == "" || strings.Contains(eq, ".") || len(in) != len(c.in) {
		return one(f)
	}
	dims := map[byte]int64{}
	for i, labels := range in {
		s := c.in[i].Shape
		if s == nil {
			return one(f)
		}
		if len(s) != len(labels) {
			return nil, fmt.Errorf("equation %q and input %d of shape %v", eq, i, s)
		}
		for j, d := range s {
			switch was, seen := dims[labels[j]]; {
			case !seen || was == -1 || was == 1:
				dims[labels[j]] = d
			case d != -1 && d != 1 && d != was:
				return nil, fmt.Errorf("equation %q and shapes %v", eq, c.shapes())
			}
		}
	}
	if !explicit { // the labels that appear once, in alphabetical order
		var once []byte
		for label := range dims {
			if strings.Count(terms, string(rune(label))) == 1 {
				once = append(once, label)
			}
		}
		slices.Sort(once)
		out = string(once)
	}
	f.Shape = []int64{}
	for i := range len(out) {
		d, ok := dims[out[i]]
		if !ok {
			return nil, fmt.Errorf("equation %q", eq)
		}
		f.Shape = append(f.Shape, d)
	}
	return one(f)
}
