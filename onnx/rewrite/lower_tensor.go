package rewrite

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// constant is the tensor that a fact's content says, nil when there is none that
// it says exactly: facts hold every number as a float64.
func constant(f onnx.Fact) *tensor.Tensor {
	if f.Known() && size(f.Shape) == 0 {
		f.Const = []float64{} // all there is of an empty value
	}
	if f.Const == nil || !f.Known() || size(f.Shape) != int64(len(f.Const)) || !computable(f.DType) || f.DType == tensor.Undefined {
		return nil
	}
	if !f.DType.IsFloat() {
		for _, v := range f.Const {
			if math.Abs(v) >= 1<<53 {
				return nil
			}
		}
	}
	t := fill(f.DType, f.Shape, f.Const)
	if t == nil {
		return nil
	}
	for i, v := range t.Float64s() {
		if v != f.Const[i] && !(math.IsNaN(v) && math.IsNaN(f.Const[i])) {
			return nil
		}
	}
	return t
}

// exact reports whether float64 holds all of a constant's numbers.
func exact(t *tensor.Tensor) bool {
	return t.DType.IsFloat() || !slices.ContainsFunc(t.Float64s(), func(v float64) bool { return math.Abs(v) >= 1<<53 })
}

// size is the number of elements of a complete shape.
func size(shape []int64) int64 {
	n := int64(1)
	if slices.Contains(shape, 0) {
		return 0
	}
	for _, d := range shape {
		if n > math.MaxInt64/d {
			return math.MaxInt64
		}
		n *= d
	}
	return n
}

func sizes(shape []int64) []int {
	out := make([]int, len(shape))
	for i, d := range shape {
		out[i] = int(d)
	}
	return out
}

// fill makes a tensor of any computable type, each value rounded once; nil when the
// shape is not possible or has another number of elements.
func fill(d tensor.DType, shape []int64, v []float64) *tensor.Tensor {
	t, err := tensor.New(d, sizes(shape)...)
	if err != nil || tensor.Count(t.Shape) != len(v) {
		return nil
	}
	switch dst := t.Data.(type) {
	case []float64:
		copy(dst, v)
	case []float32:
		convert(dst, v)
	case []int8:
		convert(dst, v)
	case []uint8:
		convert(dst, v)
	case []int16:
		convert(dst, v)
	case []int32:
		convert(dst, v)
	case []uint32:
		convert(dst, v)
	case []int64:
		convert(dst, v)
	case []uint64:
		convert(dst, v)
	case []bool:
		for i := range dst {
			dst[i] = v[i] != 0
		}
	case []uint16:
		for i := range dst {
			switch d {
			case tensor.Float16:
				dst[i] = tensor.Float32ToHalf(float32(v[i]))
			case tensor.BFloat16:
				dst[i] = tensor.Float32ToBFloat(float32(v[i]))
			default:
				dst[i] = uint16(v[i])
			}
		}
	}
	return t
}

func convert[T float32 | int8 | uint8 | int16 | int32 | uint32 | int64 | uint64](dst []T, v []float64) {
	for i := range dst {
		dst[i] = T(v[i])
	}
}

// turned transposes a matrix.
func turned(t *tensor.Tensor) *tensor.Tensor {
	out, err := tensor.New(t.DType, t.Shape[1], t.Shape[0])
	if err != nil {
		return t
	}
	switch dst := out.Data.(type) {
	case []float64:
		turn(dst, t)
	case []float32:
		turn(dst, t)
	case []int8:
		turn(dst, t)
	case []uint8:
		turn(dst, t)
	case []int16:
		turn(dst, t)
	case []uint16:
		turn(dst, t)
	case []int32:
		turn(dst, t)
	case []uint32:
		turn(dst, t)
	case []int64:
		turn(dst, t)
	case []uint64:
		turn(dst, t)
	case []bool:
		turn(dst, t)
	}
	return out
}

func turn[T tensor.Element](dst []T, t *tensor.Tensor) {
	src := tensor.Data[T](t)
	rows, cols := t.Shape[0], t.Shape[1]
	const block = 32 // square by square, for the processor's caches
	for i := 0; i < rows; i += block {
		for j := 0; j < cols; j += block {
			for k := i; k < min(i+block, rows); k++ {
				for l := j; l < min(j+block, cols); l++ {
					dst[l*rows+k] = src[k*cols+l]
				}
			}
		}
	}
}
