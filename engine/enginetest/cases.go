package enginetest

import (
	"math"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Case is a small model with inputs and the outputs they must give. The values
// are worked out by hand, small integers where possible, so that every engine
// gives them exactly.
type Case struct {
	Name  string
	Model *onnx.Model
	In    []*tensor.Tensor
	Want  []*tensor.Tensor
	// Within is the largest absolute difference allowed; Why says why it is not 0.
	Within float64
	Why    string
}

var (
	nan  = float32(math.NaN())
	inf  = float32(math.Inf(1))
	negz = float32(math.Copysign(0, -1))
)

// f makes a float32 tensor.
func f(shape []int, v ...float32) *tensor.Tensor { return tensor.Of(v, shape...) }

// i64 is a vector of int64, as shapes, axes and pads are.
func i64(v ...int64) *tensor.Tensor { return tensor.Of(v, len(v)) }

// count is first, first+1, ... in the given shape.
func count(first float32, shape ...int) *tensor.Tensor {
	v := make([]float32, tensor.Count(shape))
	for i := range v {
		v[i] = first + float32(i)
	}
	return tensor.Of(v, shape...)
}

// Cases is what every backend computes alike.
func Cases() []Case {
	var cs []Case
	add := func(name string, m *onnx.Model, in []*tensor.Tensor, want ...*tensor.Tensor) *Case {
		cs = append(cs, Case{Name: name, Model: m, In: in, Want: want})
		return &cs[len(cs)-1]
	}
	// x alone is an input, what follows it are constants.
	op := func(name, op string, in []*tensor.Tensor, want *tensor.Tensor, attrs ...*onnx.Attr) *Case {
		return add(name, unary(op, in, want, attrs...), in[:1], want)
	}
	both := func(name, op string, in []*tensor.Tensor, want *tensor.Tensor, attrs ...*onnx.Attr) *Case {
		return add(name, one(op, in, want, attrs...), in, want)
	}
	type ts = []*tensor.Tensor

	op("relu", "Relu", ts{f([]int{2, 3}, -2, negz, 0, 3, inf, -inf)}, f([]int{2, 3}, 0, 0, 0, 3, inf, 0))
	op("conv bias", "Conv", ts{count(1, 1, 1, 3, 3), f([]int{1, 1, 2, 2}, 1, 1, 1, 1), f([]int{1}, 10)},
		f([]int{1, 1, 2, 2}, 22, 26, 34, 38))
	op("conv pads on one side, stride 2", "Conv", ts{count(1, 1, 1, 3, 3), f([]int{1, 1, 2, 2}, 1, 1, 1, 1)},
		f([]int{1, 1, 2, 2}, 1, 5, 11, 28), ints("pads", 1, 1, 0, 0), ints("strides", 2, 2), ints("kernel_shape", 2, 2))
	op("conv pads on the other side, stride 2", "Conv", ts{count(1, 1, 1, 3, 3), f([]int{1, 1, 2, 2}, 1, 1, 1, 1)},
		f([]int{1, 1, 2, 2}, 12, 9, 15, 9), ints("pads", 0, 0, 1, 1), ints("strides", 2, 2))
	op("conv groups", "Conv", ts{count(1, 1, 2, 2, 2), f([]int{2, 1, 1, 1}, 10, 100)},
		f([]int{1, 2, 2, 2}, 10, 20, 30, 40, 500, 600, 700, 800), integer("group", 2))
	op("conv dilated", "Conv", ts{count(1, 1, 1, 3, 3), f([]int{1, 1, 2, 2}, 1, 1, 1, 1)},
		f([]int{1, 1, 1, 1}, 20), ints("dilations", 2, 2))
	op("conv kernel is not symmetric", "Conv", ts{count(1, 1, 1, 2, 3), f([]int{1, 1, 1, 2}, 1, 10)},
		f([]int{1, 1, 2, 2}, 21, 32, 54, 65))
	op("maxpool", "MaxPool", ts{count(1, 1, 1, 4, 4)}, f([]int{1, 1, 2, 2}, 6, 8, 14, 16),
		ints("kernel_shape", 2, 2), ints("strides", 2, 2), ints("dilations", 1, 1))
	op("maxpool padding never wins", "MaxPool", ts{count(-4, 1, 1, 2, 2)}, f([]int{1, 1, 2, 2}, -4, -3, -2, -1),
		ints("kernel_shape", 2, 2), ints("strides", 2, 2), ints("pads", 1, 1, 1, 1))
	op("maxpool ceil", "MaxPool", ts{count(1, 1, 1, 3, 3)}, f([]int{1, 1, 2, 2}, 5, 6, 8, 9),
		ints("kernel_shape", 2, 2), ints("strides", 2, 2), integer("ceil_mode", 1))
	both("add", "Add", ts{count(1, 2, 3), f([]int{3}, 10, 20, 30)}, f([]int{2, 3}, 11, 22, 33, 14, 25, 36))
	both("add the other way", "Add", ts{f([]int{3, 1}, 10, 20, 30), count(1, 2)}, f([]int{3, 2}, 11, 12, 21, 22, 31, 32))
	op("gemm", "Gemm", ts{f([]int{1, 2}, 1, 2), f([]int{3, 2}, 1, 2, 3, 4, 5, 6), f([]int{3}, 100, 200, 300)},
		f([]int{1, 3}, 60, 122, 184), float("alpha", 2), float("beta", 0.5), integer("transB", 1))
	both("matmul of stacks", "MatMul", ts{count(1, 2, 1, 2), count(1, 2, 2, 1)}, f([]int{2, 1, 1}, 5, 25))
	op("reshape", "Reshape", ts{count(0, 2, 2, 2), i64(0, -1)}, count(0, 2, 4))
	op("cast to int64", "Cast", ts{f([]int{4}, -1.5, 0, 1.5, 3e9)}, tensor.Of([]int64{-1, 0, 1, 3000000000}, 4), integer("to", 7))
	op("cast to uint8", "Cast", ts{f([]int{3}, 0, 128, 255)}, tensor.Of([]uint8{0, 128, 255}, 3), integer("to", 2))
	op("cast to bool", "Cast", ts{f([]int{4}, 0, negz, 0.25, -3)}, tensor.Of([]bool{false, false, true, true}, 4), integer("to", 9))
	op("cast from bool", "Cast", ts{tensor.Of([]bool{true, false}, 2)}, f([]int{2}, 1, 0), integer("to", 1))
	op("greater: neither -0 nor NaN is above 0", "Greater", ts{f([]int{7}, -1, negz, 0, 1e-38, 2, nan, inf), tensor.Scalar(float32(0))},
		tensor.Of([]bool{false, false, false, true, true, false, true}, 7))
	op("pad", "Pad", ts{count(1, 1, 1, 1, 2), i64(0, 0, 1, 0, 0, 0, 0, 2), tensor.Scalar(float32(9))},
		f([]int{1, 1, 2, 4}, 9, 9, 9, 9, 1, 2, 9, 9))
	soft := op("softmax over the last axis", "Softmax", ts{f([]int{1, 2, 2}, 0, 0, 0, float32(math.Log(3)))},
		f([]int{1, 2, 2}, 0.5, 0.5, 0.25, 0.75), integer("axis", -1))
	soft.Within, soft.Why = 1e-6, "exp and log are rounded"
	soft = op("softmax over an inner axis", "Softmax", ts{f([]int{1, 2, 2}, 0, 0, 0, float32(math.Log(3)))},
		f([]int{1, 2, 2}, 0.5, 0.25, 0.5, 0.75), integer("axis", 1))
	soft.Within, soft.Why = 1e-6, "exp and log are rounded"

	add("one value read twice and returned", build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 2)
		y := b.op("Relu", "y", []string{x})
		b.op("Add", "z", []string{y, y})
		b.outAny("z", tensor.Float32)
		b.outAny("y", tensor.Float32)
	}), ts{f([]int{2, 2}, -1, 2, 3, -4)}, f([]int{2, 2}, 0, 4, 6, 0), f([]int{2, 2}, 0, 2, 3, 0))
	add("bits packed into bytes", build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 16)
		b.op("Greater", "on", []string{x, b.constant("knot", tensor.Scalar(float32(0)))})
		b.op("Cast", "ones", []string{"on"}, integer("to", 1))
		b.op("Reshape", "octets", []string{"ones", b.constant("by8", i64(0, -1, 8))})
		b.op("MatMul", "sums", []string{"octets", b.constant("weights", f([]int{8, 1}, 128, 64, 32, 16, 8, 4, 2, 1))})
		b.op("Reshape", "rows", []string{"sums", b.constant("flat", i64(0, -1))})
		b.op("Cast", "code", []string{"rows"}, integer("to", 2))
		b.outAny("code", tensor.Uint8)
	}), ts{f([]int{1, 16}, 1, -1, 0, negz, nan, 2, -3, inf, 9, 9, 9, 9, 9, 9, 9, -inf)}, tensor.Of([]uint8{0x85, 0xfe}, 1, 2))
	return append(cs, typeCases()...)
}

// typeCases cover the element types and the odd shapes.
func typeCases() []Case {
	type ts = []*tensor.Tensor
	var cs []Case
	same := func(name string, t *tensor.Tensor) {
		cs = append(cs, Case{Name: name, Model: unary("Identity", ts{t}, t), In: ts{t}, Want: ts{t}})
	}
	same("float32 through", f([]int{3}, 1, negz, inf))
	same("float64 through", tensor.Of([]float64{1, -1e300}, 2))
	same("uint8 through", tensor.Of([]uint8{0, 255}, 2))
	same("int8 through", tensor.Of([]int8{-128, 127}, 2))
	same("uint16 through", tensor.Of([]uint16{0, 65535}, 2))
	same("int16 through", tensor.Of([]int16{-32768, 32767}, 2))
	same("uint32 through", tensor.Of([]uint32{0, math.MaxUint32}, 2))
	same("int32 through", tensor.Of([]int32{math.MinInt32, math.MaxInt32}, 2))
	same("uint64 through", tensor.Of([]uint64{0, math.MaxUint64}, 2))
	same("int64 through", tensor.Of([]int64{math.MinInt64, math.MaxInt64}, 2))
	same("bool through", tensor.Of([]bool{true, false, true}, 3))
	same("float16 through", &tensor.Tensor{DType: tensor.Float16, Shape: []int{2, 2}, Data: []uint16{0x3c00, 0xc000, 0x7c00, 1}})
	same("bfloat16 through", &tensor.Tensor{DType: tensor.BFloat16, Shape: []int{3}, Data: []uint16{0x3f80, 0xc000, 0x7f80}})
	same("a scalar through", tensor.Scalar(float32(7)))
	same("an empty batch through", f([]int{0, 3}))
	same("an empty float16 batch through", &tensor.Tensor{DType: tensor.Float16, Shape: []int{0, 2}, Data: []uint16{}})
	same("five dimensions through", count(0, 1, 2, 1, 2, 3))
	x := count(1, 2, 3)
	cs = append(cs, Case{Name: "a sum to a scalar", Model: unary("ReduceSum", ts{x}, x, integer("keepdims", 0)), In: ts{x}, Want: ts{tensor.Scalar(float32(21))}})
	half := &tensor.Tensor{DType: tensor.Float16, Shape: []int{1, 2}, Data: []uint16{0x3c00, 0xc000}} // 1, -2
	relu := &tensor.Tensor{DType: tensor.Float16, Shape: []int{1, 2}, Data: []uint16{0x3c00, 0}}
	cs = append(cs, Case{Name: "relu in float16", Model: unary("Relu", ts{half}, relu), In: ts{half}, Want: ts{relu}})
	return cs
}
