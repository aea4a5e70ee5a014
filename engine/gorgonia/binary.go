package gorgonia

import (
	"cmp"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// broadcastDims is numpy's rule.
func broadcastDims(shapes ...[]int) ([]int, error) {
	var out []int
	for _, s := range shapes {
		for len(out) < len(s) {
			out = append([]int{1}, out...)
		}
		for i, n := range s {
			j := len(out) - len(s) + i
			switch {
			case n == 1:
			case out[j] == 1:
				out[j] = n
			case out[j] != n:
				return nil, refusal{fmt.Sprintf("shapes %v do not broadcast", shapes)}
			}
		}
	}
	if out == nil {
		out = []int{}
	}
	return out, nil
}

// pair checks two inputs of one type and broadcasts them.
func (c *call) pair() (*kernel.Broadcast, error) {
	if err := c.inputs(2, 2); err != nil {
		return nil, err
	}
	if c.args[0].dtype != c.args[1].dtype {
		return nil, c.refuse("inputs of types %s", c.types())
	}
	dims, err := broadcastDims(c.args[0].dims, c.args[1].dims)
	if err != nil {
		return nil, err
	}
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	return kernel.NewBroadcast(dims, c.args[0].dims, c.args[1].dims), nil
}

// numbers makes the kernel of a pair for any type of number.
func (c *call) numbers(f32, f64, i8, u8, i16, u16, i32, u32, i64, u64 maker[*kernel.Broadcast]) error {
	w, err := c.pair()
	if err != nil {
		return err
	}
	if c.do = forNumber(c.out.dtype, f32, f64, i8, u8, i16, u16, i32, u32, i64, u64)(c, w); c.do == nil {
		return c.refuse("inputs of type %s", c.args[0].dtype)
	}
	return nil
}

func arithmetic(op byte) func(c *call) error {
	return func(c *call) error {
		return c.numbers(arithmeticIn[float32](op), arithmeticIn[float64](op), arithmeticIn[int8](op), arithmeticIn[uint8](op), arithmeticIn[int16](op),
			arithmeticIn[uint16](op), arithmeticIn[int32](op), arithmeticIn[uint32](op), arithmeticIn[int64](op), arithmeticIn[uint64](op))
	}
}

func arithmeticIn[T kernel.Number](op byte) maker[*kernel.Broadcast] {
	return func(c *call, w *kernel.Broadcast) func(*tensor.Tensor, []*tensor.Tensor) {
		return func(out *tensor.Tensor, in []*tensor.Tensor) {
			kernel.Arithmetic(c.run, w, op, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]))
		}
	}
}

func dividing[T kernel.Float](c *call, w *kernel.Broadcast) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.Divide(c.run, w, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]))
	}
}

// map2 makes a kernel of a function of two elements.
func map2[T, U any](f func(a, b T) U) maker[*kernel.Broadcast] {
	return func(c *call, w *kernel.Broadcast) func(*tensor.Tensor, []*tensor.Tensor) {
		return func(out *tensor.Tensor, in []*tensor.Tensor) {
			kernel.Map2(c.run, w, out.Data.([]U), in[0].Data.([]T), in[1].Data.([]T), f)
		}
	}
}

// greater of two hands a NaN on, as lesser does.
func greater[T cmp.Ordered](a, b T) T {
	if a > b || a != a {
		return a
	}
	return b
}

func lesser[T cmp.Ordered](a, b T) T {
	if a < b || a != a {
		return a
	}
	return b
}

// whole divides as C does; by zero it gives zero, where C has no answer.
func whole[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	return a / b
}

// modulo has the sign of the divisor, as Python's.
func modulo[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	m := a % b
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

func remainder[T int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	return a % b
}

func fmod[T kernel.Float](a, b T) T { return T(math.Mod(float64(a), float64(b))) }
func pow[T kernel.Float](a, b T) T  { return T(math.Pow(float64(a), float64(b))) }

func power[T int32 | int64](a, b T) T {
	if b < 0 {
		return inverse(a, b)
	}
	p := T(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			p *= a
		}
		a *= a
	}
	return p
}

// inverse is a to the power of b, which is below 0: 1 and -1 stay, of 0 there is
// none, and all else is less than 1.
func inverse[T int32 | int64](a, b T) T {
	switch {
	case a == 1 || a == -1 && b%2 == 0:
		return 1
	case a == -1:
		return -1
	}
	return 0
}

func prelu[T kernel.Number](a, b T) T {
	if a < 0 {
		return a * b
	}
	return a
}

// product is v times w, where v has the output's shape, brought to the shape of
// input i.
func (d *derivative) product(v, w value, i int) (value, error) {
	p, err := d.apply("Mul", nil, v, w)
	if err != nil {
		return p, err
	}
	return d.sumTo(p, d.input(i).dims)
}

// weighted is the tangent of a function of two inputs with the slopes that the
// operator's name + ".slope" gives.
func weighted(d *derivative, t []value) (value, error) {
	var sum value
	for i, ti := range t {
		if ti.node == nil {
			continue
		}
		ti, err := d.expand(ti, d.out.dims)
		if err != nil {
			return value{}, err
		}
		p, err := d.apply(d.row.name+".slope", map[string]any{"of": int64(i)}, d.input(0), d.input(1), ti)
		if err == nil {
			sum, err = d.add(sum, p)
		}
		if err != nil {
			return value{}, err
		}
	}
	return sum, nil
}

func weightedPull(d *derivative, g value, i int) (value, error) {
	p, err := d.apply(d.row.name+".slope", map[string]any{"of": int64(i)}, d.input(0), d.input(1), g)
	if err != nil {
		return value{}, err
	}
	return d.sumTo(p, d.input(i).dims)
}

// slope2 is the row that multiplies its third input with the slope of a function
// of the first two, with respect to the one that the attribute "of" names.
func slope2(name string, df func(of int, a, b float64) float64) row {
	return row{name: name + ".slope", make: func(c *call) error {
		if err := c.float(3); err != nil {
			return err
		}
		c.out.dims = c.args[2].dims
		w := kernel.NewBroadcast(c.out.dims, c.args[0].dims, c.args[1].dims)
		of := c.integer("of", 0)
		if c.out.dtype == tensor.Float64 {
			c.do = slope2In[float64](c, w, of, df)
		} else {
			c.do = slope2In[float32](c, w, of, df)
		}
		return nil
	}}
}

func slope2In[T kernel.Float](c *call, w *kernel.Broadcast, of int, df func(of int, a, b float64) float64) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		y, a, b, g := tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]), tensor.Data[T](in[2])
		w.Rows(c.run, func(out, n int, at, step []int) {
			i, j := at[0], at[1]
			for k := out; k < out+n; k++ {
				y[k] = T(float64(g[k]) * df(of, float64(a[i]), float64(b[j])))
				i += step[0]
				j += step[1]
			}
		})
	}
}

func binaryRows() []row {
	linear := func(name string, op byte, sign bool) row {
		return row{name: name, make: arithmetic(op), push: func(d *derivative, t []value) (value, error) {
			var parts [2]value
			for i, ti := range t {
				if ti.node == nil {
					continue
				}
				var err error
				if parts[i], err = d.expand(ti, d.out.dims); err == nil && sign && i == 1 {
					parts[i], err = d.apply("Neg", nil, parts[i])
				}
				if err != nil {
					return value{}, err
				}
			}
			return d.add(parts[0], parts[1])
		}, pull: func(d *derivative, g value, i int) (value, error) {
			g, err := d.sumTo(g, d.input(i).dims)
			if err == nil && sign && i == 1 {
				g, err = d.apply("Neg", nil, g)
			}
			return g, err
		}}
	}
	return []row{
		linear("Add", '+', false),
		linear("Sub", '-', true),
		{name: "Mul", make: arithmetic('*'), push: func(d *derivative, t []value) (value, error) {
			var parts [2]value
			for i, ti := range t {
				if ti.node == nil {
					continue
				}
				p, err := d.apply("Mul", nil, ti, d.input(1-i))
				if err == nil {
					parts[i], err = d.expand(p, d.out.dims)
				}
				if err != nil {
					return value{}, err
				}
			}
			return d.add(parts[0], parts[1])
		}, pull: func(d *derivative, g value, i int) (value, error) { return d.product(g, d.input(1-i), i) }},
		{name: "Div", make: func(c *call) error {
			return c.numbers(dividing[float32], dividing[float64], map2(whole[int8]), map2(whole[uint8]), map2(whole[int16]), map2(whole[uint16]),
				map2(whole[int32]), map2(whole[uint32]), map2(whole[int64]), map2(whole[uint64]))
		}, push: weighted, pull: weightedPull},
		slope2("Div", func(of int, a, b float64) float64 {
			if of == 0 {
				return 1 / b
			}
			return -a / (b * b)
		}),
		{name: "Pow", make: func(c *call) error {
			if len(c.args) == 2 && c.args[1].dtype != c.args[0].dtype {
				return c.refuse("inputs of types %s", c.types())
			}
			return c.numbers(map2(pow[float32]), map2(pow[float64]), none, none, none, none, map2(power[int32]), none, map2(power[int64]), none)
		}, push: weighted, pull: weightedPull},
		slope2("Pow", func(of int, a, b float64) float64 {
			if of == 0 {
				return pick(b == 0, 0, b*math.Pow(a, b-1))
			}
			return pick(a == 0 && b > 0, 0, math.Pow(a, b)*math.Log(a))
		}),
		{name: "Max", make: func(c *call) error {
			return c.numbers(map2(greater[float32]), map2(greater[float64]), map2(greater[int8]), map2(greater[uint8]), map2(greater[int16]), map2(greater[uint16]),
				map2(greater[int32]), map2(greater[uint32]), map2(greater[int64]), map2(greater[uint64]))
		}, push: weighted, pull: weightedPull},
		slope2("Max", func(of int, a, b float64) float64 { return share(of, a > b, b > a) }),
		{name: "Min", make: func(c *call) error {
			return c.numbers(map2(lesser[float32]), map2(lesser[float64]), map2(lesser[int8]), map2(lesser[uint8]), map2(lesser[int16]), map2(lesser[uint16]),
				map2(lesser[int32]), map2(lesser[uint32]), map2(lesser[int64]), map2(lesser[uint64]))
		}, push: weighted, pull: weightedPull},
		slope2("Min", func(of int, a, b float64) float64 { return share(of, a < b, b < a) }),
		{name: "PRelu", make: func(c *call) error {
			err := c.numbers(map2(prelu[float32]), map2(prelu[float64]), none, none, none, none, map2(prelu[int32]),
				map2(prelu[uint32]), map2(prelu[int64]), map2(prelu[uint64]))
			if err == nil && fmt.Sprint(c.out.dims) != fmt.Sprint(c.args[0].dims) {
				return c.refuse("a slope of shape %v for an input of shape %v", c.args[1].dims, c.args[0].dims)
			}
			return err
		}, push: weighted, pull: weightedPull},
		slope2("PRelu", func(of int, a, b float64) float64 {
			if of == 0 {
				return pick(a > 0, 1, b)
			}
			return pick(a > 0, 0, a)
		}),
		{name: "Mod", make: func(c *call) error {
			if c.integer("fmod", 0) == 1 {
				return c.numbers(map2(fmod[float32]), map2(fmod[float64]), map2(remainder[int8]), map2(remainder[uint8]), map2(remainder[int16]), map2(remainder[uint16]),
					map2(remainder[int32]), map2(remainder[uint32]), map2(remainder[int64]), map2(remainder[uint64]))
			}
			return c.numbers(none, none, map2(modulo[int8]), map2(modulo[uint8]), map2(modulo[int16]), map2(modulo[uint16]),
				map2(modulo[int32]), map2(modulo[uint32]), map2(modulo[int64]), map2(modulo[uint64]))
		}},
	}
}

// share is PyTorch's slope of a maximum: equal elements go halves.
func share(of int, first, second bool) float64 {
	switch {
	case first == second:
		return 0.5
	case first == (of == 0):
		return 1
	}
	return 0
}

func none(*call, *kernel.Broadcast) func(*tensor.Tensor, []*tensor.Tensor) { return nil }
