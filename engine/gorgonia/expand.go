package gorgonia

import "github.com/onnxprobe/onnxprobe/engine/internal/kernel"

// repeated makes the kernel that repeats the first input to the shape dims, to which
// it broadcasts.
func (c *call) repeated(dims []int) error {
	err := c.fits(dims)
	if err == nil {
		err = c.fits(c.args[0].dims)
	}
	if err == nil {
		c.moved(dims, expandOffsets(c.args[0].dims, dims), 0)
	}
	return err
}

// expandOffsets repeats a tensor of shape x along dims.
func expandOffsets(x, dims []int) [][]int {
	own, offset := offsets(x), make([][]int, len(dims))
	for a := range dims {
		i := a - (len(dims) - len(x))
		if i >= 0 && x[i] == dims[a] {
			offset[a] = own[i]
		} else {
			offset[a] = make([]int, dims[a])
		}
	}
	return offset
}

// sumTo is the adjoint of repeating: what was repeated is added up.
func (c *call) sumTo(dims []int) error {
	x := c.args[0].dims
	lead := len(x) - len(dims)
	if lead < 0 {
		return c.refuse("a sum of shape %v to %v", x, dims)
	}
	gone := make([]bool, len(x))
	for a := range x {
		gone[a] = a < lead || dims[a-lead] == 1
	}
	m := kernel.NewReduce(x, gone)
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	c.do = sumOf(c, m, 1)
	return nil
}

// expandRows are Expand and what derivatives of all that broadcasts need: to repeat
// to the shape of the attribute "dims", and to sum to it.
func expandRows() []row {
	return []row{
		{name: "Expand", make: func(c *call) error {
			if err := c.inputs(2, 2); err != nil {
				return err
			}
			shape, err := c.constant(1)
			if err != nil {
				return err
			}
			dims, err := broadcastDims(c.args[0].dims, shape)
			if err != nil {
				return err
			}
			return c.repeated(dims)
		}, push: func(d *derivative, t []value) (value, error) { return d.expand(t[0], d.out.dims) },
			pull: func(d *derivative, g value, _ int) (value, error) { return d.sumTo(g, d.input(0).dims) }},
		{name: "Expand.push", make: func(c *call) error { return c.repeated(c.attrs["dims"].([]int)) }},
		{name: "Expand.pull", make: func(c *call) error { return c.sumTo(c.attrs["dims"].([]int)) }},
	}
}
