package gorgonia

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// gathered is Gather with constant indices; see gather for the others.
func gathered(c *call) ([]int, [][]int, int, error) {
	axis, err := c.gatherAxis()
	if err != nil {
		return nil, nil, 0, err
	}
	x := c.args[0].dims
	stride := kernel.Strides(x)[axis]
	var index []int
	for _, v := range c.args[1].known.Float64s() {
		k := int(v)
		if k < 0 {
			k += x[axis]
		}
		if k < 0 || k >= x[axis] {
			return nil, nil, 0, c.refuse("index %v for a shape %v along axis %d", v, x, axis)
		}
		index = append(index, k*stride)
	}
	offset := offsets(x)
	// Indices of several axes, or none, are one list to the move all the same.
	offset[axis] = index
	dims := slices.Concat(x[:axis], c.args[1].dims, x[axis+1:])
	if dims == nil {
		dims = []int{}
	}
	return dims, offset, 0, nil
}

func (c *call) gatherAxis() (int, error) {
	if err := c.inputs(2, 2); err != nil {
		return 0, err
	}
	axis, x := c.integer("axis", 0), c.args[0].dims
	if axis < 0 {
		axis += len(x)
	}
	if axis < 0 || axis >= len(x) {
		return 0, c.refuse("axis %d for a shape %v", axis, x)
	}
	if t := c.args[1].dtype; t != tensor.Int64 && t != tensor.Int32 {
		return 0, c.refuse("indices of type %s", t)
	}
	return axis, nil
}

// gather is the row of Gather: a move where the indices are constant, else it
// reads them at every run. An index outside its axis ends the run.
func gather(constant row) row {
	r := constant
	r.make = func(c *call) error {
		if len(c.args) == 2 && c.args[1].known != nil {
			return constant.make(c)
		}
		axis, err := c.gatherAxis()
		if err != nil {
			return err
		}
		x := c.args[0].dims
		dims := slices.Concat(x[:axis], c.args[1].dims, x[axis+1:])
		if dims == nil {
			dims = []int{}
		}
		c.out = value{dtype: c.args[0].dtype, dims: dims}
		c.check = func(in []*tensor.Tensor) error { return within(in[1], x[axis]) }
		c.do = forAny(c.out.dtype, gatherIn[bool], gatherIn[uint8], gatherIn[int8], gatherIn[uint16], gatherIn[int16], gatherIn[uint32], gatherIn[int32],
			gatherIn[uint64], gatherIn[int64], gatherIn[float32], gatherIn[float64])(c, axis)
		return nil
	}
	r.push = func(d *derivative, t []value) (value, error) {
		if d.input(1).known != nil {
			return constant.push(d, t)
		}
		return d.apply("Gather", d.attrs, t[0], d.input(1))
	}
	r.pull = func(d *derivative, g value, i int) (value, error) {
		if d.input(1).known != nil {
			return constant.pull(d, g, i)
		}
		return d.apply("Gather.scatter", map[string]any{"of": d.call}, g, d.input(1))
	}
	return r
}

// index reads element i of a tensor of indices into n elements, from 0 on.
func index(t *tensor.Tensor, i, n int) int {
	var k int
	if v, ok := t.Data.([]int32); ok {
		k = int(v[i])
	} else {
		k = int(tensor.Data[int64](t)[i])
	}
	if k < 0 {
		k += n
	}
	return k
}

// within checks indices into n elements.
func within(t *tensor.Tensor, n int) error {
	for i := range t.Len() {
		if k := index(t, i, n); k < 0 || k >= n {
			if k < 0 {
				k -= n
			}
			return fmt.Errorf("the index %d is outside an axis of %d", k, n)
		}
	}
	return nil
}

func gatherIn[T any](c *call, axis int) func(*tensor.Tensor, []*tensor.Tensor) {
	x := c.args[0].dims
	outer, n, inner, count := tensor.Count(x[:axis]), x[axis], tensor.Count(x[axis+1:]), tensor.Count(c.args[1].dims)
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		y, x := out.Data.([]T), in[0].Data.([]T)
		for o := range outer {
			for i := range count {
				copy(y[(o*count+i)*inner:(o*count+i+1)*inner], x[(o*n+index(in[1], i, n))*inner:])
			}
		}
	}
}

// scatterRow is the adjoint of a gather whose indices a run computes.
func scatterRow() row {
	return row{name: "Gather.scatter", make: func(c *call) error {
		of := c.attrs["of"].(*call)
		axis, err := of.gatherAxis()
		if err != nil {
			return err
		}
		c.out = value{dtype: c.args[0].dtype, dims: of.args[0].dims}
		c.check = func(in []*tensor.Tensor) error { return within(in[1], c.out.dims[axis]) }
		if c.out.dtype == tensor.Float64 {
			c.do = scatterIn[float64](c, axis)
		} else {
			c.do = scatterIn[float32](c, axis)
		}
		return nil
	}}
}

func scatterIn[T kernel.Float](c *call, axis int) func(*tensor.Tensor, []*tensor.Tensor) {
	x := c.out.dims
	outer, n, inner, count := tensor.Count(x[:axis]), x[axis], tensor.Count(x[axis+1:]), tensor.Count(c.args[1].dims)
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		dx, dy := tensor.Data[T](out), tensor.Data[T](in[0])
		clear(dx)
		for o := range outer {
			for i := range count {
				k := index(in[1], i, n)
				for e := range inner {
					dx[(o*n+k)*inner+e] += dy[(o*count+i)*inner+e]
				}
			}
		}
	}
}
