package gorgonia

import (
	"math"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func castRows() []row {
	recast := func(d *derivative, v value, to tensor.DType) (value, error) {
		return d.apply("Cast", map[string]any{"to": int64(to)}, v)
	}
	return []row{{name: "Cast", make: func(c *call) error {
		if err := c.inputs(1, 1); err != nil {
			return err
		}
		from, to := c.args[0].dtype, tensor.DType(c.integer("to", 0))
		if _, ok := machineType[to]; !ok {
			return c.refuse("a cast to %s", to)
		}
		c.out = value{dtype: to, dims: c.args[0].dims}
		if from == to {
			c.copied(c.out.dims)
			return nil
		}
		c.do = castFrom(c, from, to)
		return nil
	}, push: func(d *derivative, t []value) (value, error) { return recast(d, t[0], d.out.dtype) },
		pull: func(d *derivative, g value, _ int) (value, error) { return recast(d, g, d.input(0).dtype) }}}
}

// castFrom makes the kernel of a cast.
func castFrom(c *call, from, to tensor.DType) func(*tensor.Tensor, []*tensor.Tensor) {
	switch from {
	case tensor.Float32:
		return castFloat(c, to, func(v float32) float32 { return v }, func(v float32) float64 { return float64(v) })
	case tensor.Float64:
		return castFloat(c, to, func(v float64) float32 { return float32(v) }, func(v float64) float64 { return v })
	case tensor.Float16:
		return castFloat(c, to, tensor.HalfToFloat32, func(v uint16) float64 { return float64(tensor.HalfToFloat32(v)) })
	case tensor.BFloat16:
		return castFloat(c, to, wideBFloat, func(v uint16) float64 { return float64(wideBFloat(v)) })
	case tensor.Bool:
		return castWhole(c, to, func(v bool) int64 {
			if v {
				return 1
			}
			return 0
		})
	case tensor.Uint8:
		return castWhole(c, to, func(v uint8) int64 { return int64(v) })
	case tensor.Int8:
		return castWhole(c, to, func(v int8) int64 { return int64(v) })
	case tensor.Uint16:
		return castWhole(c, to, func(v uint16) int64 { return int64(v) })
	case tensor.Int16:
		return castWhole(c, to, func(v int16) int64 { return int64(v) })
	case tensor.Uint32:
		return castWhole(c, to, func(v uint32) int64 { return int64(v) })
	case tensor.Int32:
		return castWhole(c, to, func(v int32) int64 { return int64(v) })
	case tensor.Int64:
		return castWhole(c, to, func(v int64) int64 { return v })
	default:
		if to.IsFloat() {
			return castFloat(c, to, func(v uint64) float32 { return float32(v) }, func(v uint64) float64 { return float64(v) })
		}
		return castWhole(c, to, func(v uint64) int64 { return int64(v) })
	}
}

func wideBFloat(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// lift makes a kernel of a function of one element.
func lift[T, U any](c *call, f func(T) U) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.Map(c.run, out.Data.([]U), in[0].Data.([]T), f)
	}
}

// castFloat casts from a type of which single and double give the value. A number
// that a whole type does not hold becomes what the low bits of its whole part say,
// in 64 bits for 32 and more without a sign, else in 32, as x86 has it.
func castFloat[T any](c *call, to tensor.DType, single func(T) float32, double func(T) float64) func(*tensor.Tensor, []*tensor.Tensor) {
	switch to {
	case tensor.Float32:
		return lift(c, single)
	case tensor.Float64:
		return lift(c, double)
	case tensor.Float16:
		return lift(c, func(v T) uint16 { return halfOf(double(v)) })
	case tensor.BFloat16:
		return lift(c, func(v T) uint16 { return tensor.Float32ToBFloat(oddOf(double(v))) })
	case tensor.Bool:
		return lift(c, func(v T) bool { return double(v) != 0 })
	case tensor.Uint64:
		return lift(c, func(v T) uint64 {
			d := double(v)
			if d >= 1<<63 {
				return uint64(d-1<<63) + 1<<63
			}
			return uint64(truncated(d))
		})
	}
	if to == tensor.Int64 || to == tensor.Uint32 {
		return castWhole(c, to, func(v T) int64 { return truncated(double(v)) })
	}
	return castWhole(c, to, func(v T) int64 { return truncated32(double(v)) })
}

// truncated is the whole part; what int64 does not hold, NaN too, is its least.
func truncated(v float64) int64 {
	if !(v >= -1<<63 && v < 1<<63) {
		return math.MinInt64
	}
	return int64(v)
}

// truncated32 is truncated for int32.
func truncated32(v float64) int64 {
	if !(v > -1<<31-1 && v < 1<<31) {
		return math.MinInt32
	}
	return int64(v)
}

// halfOf rounds once to binary16.
func halfOf(v float64) uint16 { return tensor.Float32ToHalf(oddOf(v)) }

// oddOf rounds to float32 so that rounding on, to 16 bits, rounds as if from v: a
// value in between becomes the neighbour whose last bit is set.
func oddOf(v float64) float32 {
	f := float32(v)
	if float64(f) == v || v != v || math.IsInf(float64(f), 0) {
		return f
	}
	b := math.Float32bits(f)
	if b&1 == 1 {
		return f
	}
	if (float64(f) > v) == (f > 0) { // away from zero: step back
		return math.Float32frombits(b - 1)
	}
	return math.Float32frombits(b + 1)
}

func castWhole[T any](c *call, to tensor.DType, whole func(T) int64) func(*tensor.Tensor, []*tensor.Tensor) {
	switch to {
	case tensor.Float32:
		return lift(c, func(v T) float32 { return float32(whole(v)) })
	case tensor.Float64:
		return lift(c, func(v T) float64 { return float64(whole(v)) })
	case tensor.Float16:
		return lift(c, func(v T) uint16 { return halfOf(float64(whole(v))) })
	case tensor.BFloat16:
		return lift(c, func(v T) uint16 { return tensor.Float32ToBFloat(oddOf(float64(whole(v)))) })
	case tensor.Bool:
		return lift(c, func(v T) bool { return whole(v) != 0 })
	case tensor.Uint8:
		return lift(c, func(v T) uint8 { return uint8(whole(v)) })
	case tensor.Int8:
		return lift(c, func(v T) int8 { return int8(whole(v)) })
	case tensor.Uint16:
		return lift(c, func(v T) uint16 { return uint16(whole(v)) })
	case tensor.Int16:
		return lift(c, func(v T) int16 { return int16(whole(v)) })
	case tensor.Uint32:
		return lift(c, func(v T) uint32 { return uint32(whole(v)) })
	case tensor.Int32:
		return lift(c, func(v T) int32 { return int32(whole(v)) })
	case tensor.Uint64:
		return lift(c, func(v T) uint64 { return uint64(whole(v)) })
	}
	return lift(c, func(v T) int64 { return whole(v) })
}
