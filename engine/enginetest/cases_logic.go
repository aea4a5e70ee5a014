package enginetest

import (
	"math"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// logicCases compare, combine bools, and compute in integers.
func logicCases() []Case {
	var cs table
	a, b := i64(1, 2, 3), i64(2, 2, 2)
	for _, o := range []struct {
		op         string
		less, same int
		more       int
	}{{"Less", 1, 0, 0}, {"LessOrEqual", 1, 1, 0}, {"Equal", 0, 1, 0}, {"GreaterOrEqual", 0, 1, 1}, {"Greater", 0, 0, 1}} {
		want := bits(o.less, o.same, o.more)
		cs.both(o.op+" on int64", o.op, ts{a, b}, want)
		cs.both(o.op+" on int32", o.op, ts{tensor.Of([]int32{1, 2, 3}, 3), tensor.Of([]int32{2}, 1)}, want)
		cs.both(o.op+" on float32", o.op, ts{vec(1, 2, 3), scalar(2)}, want)
		cs.both(o.op+" on float64", o.op, ts{tensor.Of([]float64{1, 2, 3}, 3), tensor.Of([]float64{2}, 1)}, want)
		// Equal as float64s, not as what they are.
		big := int64(1) << 60
		cs.both(o.op+" on int64 beyond float64", o.op, ts{i64(big, big, big+1), i64(big+1, big, big)}, want)
		cs.both(o.op+" broadcasts", o.op, ts{shaped(i64(1, 2, 3), 3, 1), shaped(i64(2, 2), 1, 2)},
			shaped(bits(o.less, o.less, o.same, o.same, o.more, o.more), 3, 2))
		nans := bits(0, 0, 0)
		cs.both(o.op+" on NaN", o.op, ts{vec(nan, 1, nan), vec(1, nan, nan)}, nans)
	}
	cs.op("greater: neither -0 nor NaN is above 0", "Greater", ts{vec(-1, negz, 0, 1e-38, 2, nan, inf), scalar(0)}, bits(0, 0, 0, 1, 1, 0, 1))
	cs.both("equal on bools", "Equal", ts{bits(0, 0, 1, 1), bits(0, 1, 0, 1)}, bits(1, 0, 0, 1))
	x, y := bits(0, 0, 1, 1), bits(0, 1, 0, 1)
	cs.op("not", "Not", ts{bits(0, 1)}, bits(1, 0))
	cs.both("and", "And", ts{x, y}, bits(0, 0, 0, 1))
	cs.both("or", "Or", ts{x, y}, bits(0, 1, 1, 1))
	cs.both("xor", "Xor", ts{x, y}, bits(0, 1, 1, 0))
	cs.both("and broadcasts", "And", ts{shaped(bits(0, 1), 2, 1), bits(0, 1, 1)}, shaped(bits(0, 0, 0, 0, 1, 1), 2, 3))
	cs.op("isnan", "IsNaN", ts{vec(nan, inf, 0)}, bits(1, 0, 0))
	cs.op("isinf", "IsInf", ts{vec(nan, inf, -inf, 0)}, bits(0, 1, 1, 0))

	big := int64(math.MaxInt64)
	cs.both("add int64 beyond float64", "Add", ts{i64(big-1, 1<<53), i64(1, 1)}, i64(big, 1<<53+1))
	cs.both("sub int64", "Sub", ts{i64(5, 1<<60+1), i64(7, 1)}, i64(-2, 1<<60))
	cs.both("mul int64 beyond float64", "Mul", ts{i64(3037000499), i64(3037000499)}, i64(3037000499*3037000499))
	cs.both("div int64 is cut off", "Div", ts{i64(7, -7, 7, 1<<60+1), i64(2, 2, -2, 1)}, i64(3, -3, -3, 1<<60+1))
	cs.both("mod int64 has the sign of the divisor", "Mod", ts{i64(7, -7, 7, -7), i64(3, 3, -3, -3)}, i64(1, 2, -2, -1))
	cs.both("add int32", "Add", ts{tensor.Of([]int32{1, -2}, 2), tensor.Of([]int32{3}, 1)}, tensor.Of([]int32{4, 1}, 2))
	cs.both("max int64 beyond float64", "Max", ts{i64(1<<60, 1<<60+1), i64(1<<60+1, 1<<60)}, i64(1<<60+1, 1<<60+1))
	cs.both("pow int64", "Pow", ts{i64(3, -2), i64(2, 3)}, i64(9, -8))
	cs.both("where int64", "Where", ts{bits(1, 0), i64(1<<60+1, 1), i64(5, -6)}, i64(1<<60+1, -6))
	cs.both("where on bools of condition", "Where", ts{bits(1, 0), tensor.Of([]uint8{1, 2}, 2), tensor.Of([]uint8{3, 4}, 2)}, tensor.Of([]uint8{1, 4}, 2))
	cs.op("neg int64", "Neg", ts{i64(5, -6)}, i64(-5, 6))
	cs.op("abs int64", "Abs", ts{i64(5, -6)}, i64(5, 6))
	cs.op("relu int32", "Relu", ts{tensor.Of([]int32{5, -6}, 2)}, tensor.Of([]int32{5, 0}, 2)).opset(14)
	cs.op("clip int64", "Clip", ts{i64(-5, 0, 5), tensor.Scalar(int64(-1)), tensor.Scalar(int64(2))}, i64(-1, 0, 2))
	cs.op("reducesum int64", "ReduceSum", ts{i64(1<<53, 1, 1), i64(0)}, tensor.Of([]int64{1<<53 + 2}), integer("keepdims", 0))
	cs.op("reduceprod int64", "ReduceProd", ts{i64(3, -4, 5)}, tensor.Of([]int64{-60}), integer("keepdims", 0))
	cs.op("reducemax int64", "ReduceMax", ts{i64(1<<60, 1<<60+1)}, i64(1<<60+1))
	return cs
}

// castCases are Cast among types.
func castCases() []Case {
	var cs table
	half := func(v ...uint16) *tensor.Tensor {
		return &tensor.Tensor{DType: tensor.Float16, Shape: []int{len(v)}, Data: v}
	}
	cast := func(name string, in, want *tensor.Tensor) {
		cs.op("cast "+name, "Cast", ts{in}, want, integer("to", int64(want.DType)))
	}
	cast("to int64", vec(-1.5, 0, 1.5, 3e9), i64(-1, 0, 1, 3000000000))
	cast("to int32", vec(-1.75, 0.75, 2e9), tensor.Of([]int32{-1, 0, 2000000000}, 3))
	cast("to uint8", vec(0, 128, 255), tensor.Of([]uint8{0, 128, 255}, 3))
	cast("to int8", vec(-128, -1.5, 127), tensor.Of([]int8{-128, -1, 127}, 3))
	cast("to bool", vec(0, negz, 0.25, -3, nan), bits(0, 0, 1, 1, 1))
	cast("from bool", bits(1, 0), vec(1, 0))
	cast("from bool to int64", bits(1, 0), i64(1, 0))
	cast("from int64 to bool", i64(0, 1<<40, -1), bits(0, 1, 1))
	cast("from int64", i64(-5, 1<<24), vec(-5, 1<<24))
	cast("from int64 to float64", i64(-5, 1<<53), tensor.Of([]float64{-5, 1 << 53}, 2))
	cast("from int64 to int32", i64(-5, math.MaxInt32), tensor.Of([]int32{-5, math.MaxInt32}, 2))
	cast("from int32 to int64", tensor.Of([]int32{-5, math.MinInt32}, 2), i64(-5, math.MinInt32))
	cast("from uint8", tensor.Of([]uint8{0, 255}, 2), vec(0, 255))
	cast("from int8", tensor.Of([]int8{-128, 127}, 2), vec(-128, 127))
	cast("to float64", vec(0.5, inf), tensor.Of([]float64{0.5, math.Inf(1)}, 2))
	cast("from float64", tensor.Of([]float64{0.1, 1e300, 1 + 1.0/(1<<25)}, 3), vec(0.1, inf, 1))
	// 1 + 2^-11 lies halfway and goes to the even 1; 70000 is beyond the largest.
	cast("to float16", vec(1, -2, 1+1.0/2048, 1+3.0/2048, 70000), half(0x3c00, 0xc000, 0x3c00, 0x3c02, 0x7c00))
	cast("from float16", half(0x3c00, 0xc000, 0x0001, 0x7c00), vec(1, -2, 1.0/(1<<24), inf))
	cast("to bfloat16", vec(1, -2, 1+1.0/256), &tensor.Tensor{DType: tensor.BFloat16, Shape: []int{3}, Data: []uint16{0x3f80, 0xc000, 0x3f80}})
	cast("from bfloat16", &tensor.Tensor{DType: tensor.BFloat16, Shape: []int{2}, Data: []uint16{0x3f80, 0xc000}}, vec(1, -2))
	cast("to its own type", vec(1, -2), vec(1, -2))
	cs.both("castlike", "CastLike", ts{vec(1.5, -2), i64(0)}, i64(1, -2))
	return cs
}
