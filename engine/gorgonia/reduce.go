package gorgonia

import (
	"cmp"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// reduced checks a reduction over constant axes, whose output keeps them with
// length 1, as rewrite.Lower leaves it.
func (c *call) reduced() (*kernel.Reduce, error) {
	if err := c.inputs(1, 2); err != nil {
		return nil, err
	}
	axes := c.list("axes")
	if len(c.args) == 2 {
		var err error
		if axes, err = c.constant(1); err != nil {
			return nil, err
		}
	}
	return c.over(axes)
}

func (c *call) over(axes []int) (*kernel.Reduce, error) {
	x := c.args[0].dims
	if c.integer("keepdims", 1) != 1 {
		return nil, c.refuse("keepdims 0")
	}
	gone, dims := make([]bool, len(x)), slices.Clone(x)
	for _, a := range axes {
		if a < 0 {
			a += len(x)
		}
		if a < 0 || a >= len(x) {
			return nil, c.refuse("axes %v for a shape %v", axes, x)
		}
		gone[a], dims[a] = true, 1
	}
	if len(axes) == 0 && c.integer("noop_with_empty_axes", 0) == 0 {
		for a := range x {
			gone[a], dims[a] = true, 1
		}
	}
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	return kernel.NewReduce(x, gone), nil
}

func sumOf(c *call, m *kernel.Reduce, scale float64) func(*tensor.Tensor, []*tensor.Tensor) {
	if c.out.dtype == tensor.Float64 {
		return func(out *tensor.Tensor, in []*tensor.Tensor) {
			kernel.ReduceSum(c.run, m, tensor.Data[float64](out), tensor.Data[float64](in[0]), scale)
		}
	}
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.ReduceSum(c.run, m, tensor.Data[float32](out), tensor.Data[float32](in[0]), scale)
	}
}

// sums is the row of ReduceSum, and of ReduceMean where mean is set.
func sums(name string, mean bool) row {
	scale := func(m *kernel.Reduce) float64 {
		if mean {
			return 1 / float64(m.Reduced)
		}
		return 1
	}
	return row{name: name, make: func(c *call) error {
		m, err := c.reduced()
		if err != nil {
			return err
		}
		switch {
		case c.out.dtype == tensor.Float32 || c.out.dtype == tensor.Float64:
			c.do = sumOf(c, m, scale(m))
		case mean:
			return c.refuse("an input of type %s", c.out.dtype)
		default:
			c.do = folding(c, m, foldSum)
		}
		if c.do == nil {
			return c.refuse("an input of type %s", c.out.dtype)
		}
		return nil
	}, push: func(d *derivative, t []value) (value, error) {
		return d.apply(name, d.attrs, append([]value{t[0]}, d.args[1:]...)...)
	}, pull: func(d *derivative, g value, _ int) (value, error) {
		g, err := d.expand(g, d.input(0).dims)
		if err == nil && mean {
			n := float64(tensor.Count(d.input(0).dims)) / float64(tensor.Count(d.out.dims))
			w := tensor.Of([]float64{1 / n}, 1)
			if g.dtype == tensor.Float32 {
				w = tensor.Of([]float32{float32(1 / n)}, 1)
			}
			g, err = d.apply("Mul", nil, g, constant(w))
		}
		return g, err
	}}
}

// How a fold joins two numbers.
const (
	foldSum = iota
	foldProduct
	foldMax
	foldMin
)

func folding(c *call, m *kernel.Reduce, how int) func(*tensor.Tensor, []*tensor.Tensor) {
	w := &fold{m, how}
	return forNumber(c.args[0].dtype, foldIn[float32], foldIn[float64], foldIn[int8], foldIn[uint8], foldIn[int16], foldIn[uint16],
		foldIn[int32], foldIn[uint32], foldIn[int64], foldIn[uint64])(c, w)
}

type fold struct {
	*kernel.Reduce
	how int
}

func foldIn[T kernel.Number](c *call, m *fold) func(*tensor.Tensor, []*tensor.Tensor) {
	f := map[int]func(a, b T) T{foldSum: func(a, b T) T { return a + b }, foldProduct: func(a, b T) T { return a * b },
		foldMax: greater[T], foldMin: lesser[T]}[m.how]
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.ReduceFold(c.run, m.Reduce, tensor.Data[T](out), tensor.Data[T](in[0]), f)
	}
}

// better orders elements for a maximum, or a minimum; a NaN is better than all.
func better[T cmp.Ordered](min bool) func(a, b T) bool {
	if min {
		return func(a, b T) bool { return a < b || a != a && b == b }
	}
	return func(a, b T) bool { return a > b || a != a && b == b }
}

// extremum is the row of ReduceMax or ReduceMin and that of its derivative, which
// goes to the first of equal elements.
func extremum(name string, min bool) []row {
	how := foldMax
	if min {
		how = foldMin
	}
	along := func(c *call) *kernel.Reduce {
		of := *c.attrs["of"].(*call)
		m, _ := of.reduced()
		return m
	}
	return []row{
		{name: name, make: func(c *call) error {
			m, err := c.reduced()
			if err != nil {
				return err
			}
			if c.do = folding(c, m, how); c.do == nil {
				return c.refuse("an input of type %s", c.out.dtype)
			}
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			return d.apply(name+".push", map[string]any{"of": d.call}, d.input(0), t[0])
		}, pull: func(d *derivative, g value, _ int) (value, error) {
			return d.apply(name+".pull", map[string]any{"of": d.call}, d.input(0), g)
		}},
		{name: name + ".push", make: func(c *call) error {
			m := along(c)
			c.out = value{dtype: c.args[0].dtype, dims: c.attrs["of"].(*call).out.dims}
			c.do = typed(c, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReducePick(c.run, m, tensor.Data[float32](out), tensor.Data[float32](in[0]), tensor.Data[float32](in[1]), better[float32](min))
			}, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReducePick(c.run, m, tensor.Data[float64](out), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), better[float64](min))
			})
			return nil
		}},
		{name: name + ".pull", make: func(c *call) error {
			m := along(c)
			c.out = value{dtype: c.args[0].dtype, dims: c.args[0].dims}
			c.do = typed(c, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReduceSpread(c.run, m, tensor.Data[float32](out), tensor.Data[float32](in[0]), tensor.Data[float32](in[1]), better[float32](min))
			}, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReduceSpread(c.run, m, tensor.Data[float64](out), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), better[float64](min))
			})
			return nil
		}},
	}
}

// typed chooses the kernel of the output's floating-point type.
func typed(c *call, single, double func(c *call, out *tensor.Tensor, in []*tensor.Tensor)) func(*tensor.Tensor, []*tensor.Tensor) {
	f := single
	if c.out.dtype == tensor.Float64 {
		f = double
	}
	return func(out *tensor.Tensor, in []*tensor.Tensor) { f(c, out, in) }
}

func productRows() []row {
	weigh := func(name string, pull bool) row {
		return row{name: name, make: func(c *call) error {
			of := *c.attrs["of"].(*call)
			dims := of.out.dims
			m, err := of.reduced()
			if err != nil {
				return err
			}
			if pull {
				dims = of.args[0].dims
			}
			c.out = value{dtype: c.args[0].dtype, dims: dims}
			c.do = typed(c, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReduceProdDerivative(c.run, m, tensor.Data[float32](out), tensor.Data[float32](in[0]), tensor.Data[float32](in[1]), pull)
			}, func(c *call, out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.ReduceProdDerivative(c.run, m, tensor.Data[float64](out), tensor.Data[float64](in[0]), tensor.Data[float64](in[1]), pull)
			})
			return nil
		}}
	}
	return []row{
		{name: "ReduceProd", make: func(c *call) error {
			m, err := c.reduced()
			if err != nil {
				return err
			}
			if c.do = folding(c, m, foldProduct); c.do == nil {
				return c.refuse("an input of type %s", c.out.dtype)
			}
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			return d.apply("ReduceProd.push", map[string]any{"of": d.call}, d.input(0), t[0])
		}, pull: func(d *derivative, g value, _ int) (value, error) {
			return d.apply("ReduceProd.pull", map[string]any{"of": d.call}, d.input(0), g)
		}},
		weigh("ReduceProd.push", false), weigh("ReduceProd.pull", true),
	}
}

// arg is the row of ArgMax or ArgMin.
func arg(name string, min bool) row {
	return row{name: name, make: func(c *call) error {
		if err := c.inputs(1, 1); err != nil {
			return err
		}
		m, err := c.over([]int{c.integer("axis", 0)})
		if err != nil {
			return err
		}
		c.out.dtype = tensor.Int64
		w := &argmax{m, min, c.integer("select_last_index", 0) == 1}
		c.do = forNumber(c.args[0].dtype, argIn[float32], argIn[float64], argIn[int8], argIn[uint8], argIn[int16], argIn[uint16],
			argIn[int32], argIn[uint32], argIn[int64], argIn[uint64])(c, w)
		if c.do == nil {
			return c.refuse("an input of type %s", c.args[0].dtype)
		}
		return nil
	}}
}

type argmax struct {
	*kernel.Reduce
	min, last bool
}

func argIn[T kernel.Number](c *call, m *argmax) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.ReduceArg(c.run, m.Reduce, tensor.Data[int64](out), tensor.Data[T](in[0]), better[T](m.min), m.last)
	}
}

func reduceRows() []row {
	rows := []row{sums("ReduceSum", false), sums("ReduceMean", true), arg("ArgMax", false), arg("ArgMin", true)}
	return slices.Concat(rows, extremum("ReduceMax", false), extremum("ReduceMin", true), productRows())
}
