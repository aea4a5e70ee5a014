package gorgonia

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// copied makes the kernel of a copy under another shape.
func (c *call) copied(dims []int) {
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	c.do = forAny(c.out.dtype, copyIn[bool], copyIn[uint8], copyIn[int8], copyIn[uint16], copyIn[int16], copyIn[uint32], copyIn[int32],
		copyIn[uint64], copyIn[int64], copyIn[float32], copyIn[float64])(c, nil)
}

func copyIn[T any](*call, any) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) { copy(out.Data.([]T), in[0].Data.([]T)) }
}

// shapeRows give elements another shape, hand them on, or join them.
func shapeRows() []row { return []row{reshapeRow(), copyRow(), concatRow()} }

func reshapeRow() row {
	return row{name: "Reshape", make: func(c *call) error {
		dims, ok := c.attrs["dims"].([]int)
		if !ok {
			if err := c.inputs(2, 2); err != nil {
				return err
			}
			var err error
			if dims, err = c.constant(1); err != nil {
				return err
			}
		}
		if tensor.Count(dims) != tensor.Count(c.args[0].dims) {
			return c.refuse("shape %v for an input of shape %v", dims, c.args[0].dims)
		}
		c.copied(dims) // for where the program needs a copy
		c.view = true
		return nil
	}, push: func(d *derivative, t []value) (value, error) {
		return d.apply("Reshape", map[string]any{"dims": d.out.dims}, t[0])
	}, pull: func(d *derivative, g value, _ int) (value, error) {
		return d.apply("Reshape", map[string]any{"dims": d.input(0).dims}, g)
	}}
}

// copyRow is a copy, by which a program hands a value out.
func copyRow() row {
	return row{name: "Identity", make: func(c *call) error {
		if err := c.inputs(1, 1); err != nil {
			return err
		}
		c.copied(c.args[0].dims)
		return nil
	}, push: func(d *derivative, t []value) (value, error) { return t[0], nil },
		pull: func(d *derivative, g value, _ int) (value, error) { return g, nil }}
}

func concatRow() row {
	return row{name: "Concat", make: func(c *call) error {
		if err := c.inputs(1, 1<<20); err != nil {
			return err
		}
		axis, first := c.integer("axis", 0), c.args[0].dims
		if axis < 0 {
			axis += len(first)
		}
		if axis < 0 || axis >= len(first) {
			return c.refuse("axis %d for a shape %v", axis, first)
		}
		dims, inner := slices.Clone(first), tensor.Count(first[axis+1:])
		dims[axis] = 0
		widths := make([]int, len(c.args))
		for i, a := range c.args {
			if a.dtype != c.args[0].dtype || len(a.dims) != len(first) || !slices.Equal(a.dims[:axis], first[:axis]) || !slices.Equal(a.dims[axis+1:], first[axis+1:]) {
				return c.refuse("inputs of %s %v and %s %v", c.args[0].dtype, first, a.dtype, a.dims)
			}
			dims[axis] += a.dims[axis]
			widths[i] = a.dims[axis] * inner
		}
		c.out = value{dtype: c.args[0].dtype, dims: dims}
		c.do = forAny(c.out.dtype, concatIn[bool], concatIn[uint8], concatIn[int8], concatIn[uint16], concatIn[int16], concatIn[uint32], concatIn[int32],
			concatIn[uint64], concatIn[int64], concatIn[float32], concatIn[float64])(c, widths)
		return nil
	}, push: func(d *derivative, t []value) (value, error) {
		all := slices.Clone(t)
		for i := range all {
			if all[i].node == nil {
				all[i] = constant(zeros(d.out.dtype, d.input(i).dims...))
			}
		}
		return d.apply("Concat", d.attrs, all...)
	}, pull: func(d *derivative, g value, i int) (value, error) {
		axis := d.integer("axis", 0)
		if axis < 0 {
			axis += len(g.dims)
		}
		from := 0
		for _, a := range d.args[:i] {
			from += a.dims[axis]
		}
		list := func(v int) value { return constant(tensor.Of([]int64{int64(v)}, 1)) }
		return d.apply("Slice", nil, g, list(from), list(from+d.input(i).dims[axis]), list(axis))
	}}
}

func concatIn[T any](c *call, widths []int) func(*tensor.Tensor, []*tensor.Tensor) {
	total := 0
	for _, w := range widths {
		total += w
	}
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		y, at := out.Data.([]T), 0
		for i, w := range widths {
			x := in[i].Data.([]T)
			for row := 0; row*w < len(x); row++ {
				copy(y[row*total+at:], x[row*w:(row+1)*w])
			}
			at += w
		}
	}
}
