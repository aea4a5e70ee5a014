package gorgonia

import (
	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// clipRows are Clip and its slope, which is 0 on a bound as well.
func clipRows() []row {
	// bounds are constants, as rewrite.Lower leaves them.
	bounds := func(c *call) (low, high float64, err error) {
		if err := c.inputs(3, 3); err != nil {
			return 0, 0, err
		}
		for _, b := range c.args[1:] {
			if b.known == nil || tensor.Count(b.dims) != 1 || b.dtype != c.args[0].dtype {
				return 0, 0, c.refuse("bounds that are not constant numbers of the input's type")
			}
		}
		return c.args[1].known.Float64s()[0], c.args[2].known.Float64s()[0], nil
	}
	return []row{
		{name: "Clip", make: func(c *call) error {
			if _, _, err := bounds(c); err != nil {
				return err
			}
			c.out = value{dtype: c.args[0].dtype, dims: c.args[0].dims}
			c.do = forNumber(c.out.dtype, clipIn[float32], clipIn[float64], clipIn[int8], clipIn[uint8], clipIn[int16], clipIn[uint16],
				clipIn[int32], clipIn[uint32], clipIn[int64], clipIn[uint64])(c, nil)
			if c.do == nil {
				return c.refuse("an input of type %s", c.out.dtype)
			}
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			return d.apply("Clip.slope", nil, d.input(0), d.input(1), d.input(2), t[0])
		}, pull: func(d *derivative, g value, _ int) (value, error) {
			return d.apply("Clip.slope", nil, d.input(0), d.input(1), d.input(2), g)
		}},
		{name: "Clip.slope", make: func(c *call) error {
			low, high := c.args[1].known.Float64s()[0], c.args[2].known.Float64s()[0]
			c.out = value{dtype: c.args[0].dtype, dims: c.args[0].dims}
			df := func(x, _ float64) float64 { return pick(x > low && x < high, 1, 0) }
			do := slopeOf(c, func(x float64) float64 { return x }, df)
			c.do = func(out *tensor.Tensor, in []*tensor.Tensor) { do(out, []*tensor.Tensor{in[0], in[3]}) }
			return nil
		}},
	}
}

func clipIn[T kernel.Number](c *call, _ any) func(*tensor.Tensor, []*tensor.Tensor) {
	low, high := tensor.Data[T](c.args[1].known)[0], tensor.Data[T](c.args[2].known)[0]
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.Clip(c.run, tensor.Data[T](out), tensor.Data[T](in[0]), low, high)
	}
}

// whereRows is Where, which takes derivatives to the element that was chosen.
func whereRows() []row {
	return []row{{name: "Where", make: func(c *call) error {
		if err := c.inputs(3, 3); err != nil {
			return err
		}
		if c.args[0].dtype != tensor.Bool || c.args[1].dtype != c.args[2].dtype {
			return c.refuse("inputs of types %s", c.types())
		}
		dims, err := broadcastDims(c.args[0].dims, c.args[1].dims, c.args[2].dims)
		if err != nil {
			return err
		}
		c.out = value{dtype: c.args[1].dtype, dims: dims}
		w := kernel.NewBroadcast(dims, c.args[0].dims, c.args[1].dims, c.args[2].dims)
		c.do = forAny(c.out.dtype, whereIn[bool], whereIn[uint8], whereIn[int8], whereIn[uint16], whereIn[int16], whereIn[uint32], whereIn[int32],
			whereIn[uint64], whereIn[int64], whereIn[float32], whereIn[float64])(c, w)
		return nil
	}, push: func(d *derivative, t []value) (value, error) {
		for i := 1; i < 3; i++ {
			if t[i].node == nil {
				t[i] = constant(zeros(d.out.dtype, 1))
			}
		}
		v, err := d.apply("Where", nil, d.input(0), t[1], t[2])
		if err != nil {
			return v, err
		}
		return d.expand(v, d.out.dims)
	}, pull: func(d *derivative, g value, i int) (value, error) {
		pair := [2]value{g, g}
		pair[2-i] = constant(zeros(d.out.dtype, 1))
		v, err := d.apply("Where", nil, d.input(0), pair[0], pair[1])
		if err != nil {
			return v, err
		}
		return d.sumTo(v, d.input(i).dims)
	}}}
}

func whereIn[T any](c *call, w *kernel.Broadcast) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		y, q, a, b := out.Data.([]T), in[0].Data.([]bool), in[1].Data.([]T), in[2].Data.([]T)
		w.Rows(c.run, func(out, n int, at, step []int) {
			i, j, k := at[0], at[1], at[2]
			for o := out; o < out+n; o++ {
				if q[i] {
					y[o] = a[j]
				} else {
					y[o] = b[k]
				}
				i, j, k = i+step[0], j+step[1], k+step[2]
			}
		})
	}
}

// zeros is a tensor of zeros of a floating-point type.
func zeros(d tensor.DType, dims ...int) *tensor.Tensor {
	if d == tensor.Float64 {
		return tensor.Of(make([]float64, tensor.Count(dims)), dims...)
	}
	return tensor.Of(make([]float32, tensor.Count(dims)), dims...)
}
