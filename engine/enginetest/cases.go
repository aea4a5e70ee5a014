package enginetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Case is a small model with inputs and the outputs they must give. The values
// are worked out by hand, small integers where possible, so that every engine
// gives them exactly, or by a formula in float64; never by an engine.
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

// Cases is what every backend computes alike.
func Cases() []Case {
	floats := floatCases()
	return slices.Concat(floats, logicCases(), castCases(), graphCases(), typeCases(), inDouble(floats))
}

// floatCases are those of one operator, which there are in float64 as well.
func floatCases() []Case {
	return slices.Concat(activationCases(), convCases(), poolCases(), arithmeticCases(), reductionCases(), normCases(), matrixCases(),
		shapeCases(), indexCases(), resizeCases())
}

// typeCases cover the element types and the odd shapes.
func typeCases() []Case {
	var cs table
	same := func(name string, t *tensor.Tensor) { cs.op(name, "Identity", ts{t}, t) }
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
	for _, c := range []*tensor.Tensor{
		tensor.Of([]float64{1, -2}, 2), tensor.Of([]uint8{1, 255}, 2), tensor.Of([]int8{1, -128}, 2),
		tensor.Of([]uint16{1, 65535}, 2), tensor.Of([]int16{1, -32768}, 2),
		tensor.Of([]uint32{1, 1 << 31}, 2), tensor.Of([]int32{1, -2}, 2), tensor.Of([]uint64{1, 1 << 40}, 2), i64(1, -1<<40), bits(1, 0),
		{DType: tensor.Float16, Shape: []int{2}, Data: []uint16{0x3c00, 0xc000}}, {DType: tensor.BFloat16, Shape: []int{2}, Data: []uint16{0x3f80, 0xc000}}, vec(),
	} {
		x, sum := make([]float32, c.Shape[0]), make([]float32, c.Shape[0])
		for i, v := range c.Float64s() {
			sum[i] = float32(v)
		}
		cs.add(fmt.Sprintf("a constant of %d %s", c.Shape[0], c.DType), build(func(b *builder) {
			b.op("Cast", "c", []string{b.constant("k", c)}, integer("to", 1))
			b.op("Add", "y", []string{b.in("x", tensor.Float32, -1), "c"})
			b.outAny("y", tensor.Float32)
		}), ts{vec(x...)}, vec(sum...))
	}
	half := &tensor.Tensor{DType: tensor.Float16, Shape: []int{1, 2}, Data: []uint16{0x3c00, 0xc000}} // 1, -2
	cs.op("relu in float16", "Relu", ts{half}, &tensor.Tensor{DType: tensor.Float16, Shape: []int{1, 2}, Data: []uint16{0x3c00, 0}})
	return cs
}
