package gorgonia

import (
	"math"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// unary is a function of one element: itself and its slope, in double precision,
// whatever the attributes of c make of it. y is f(x).
type unary struct {
	name string
	f    func(c *call) func(x float64) float64
	df   func(c *call) func(x, y float64) float64
}

// plain are functions without attributes.
func plain(f func(float64) float64, df func(x, y float64) float64) (func(*call) func(float64) float64, func(*call) func(x, y float64) float64) {
	return func(*call) func(float64) float64 { return f }, func(*call) func(x, y float64) float64 { return df }
}

// At a bend the slope is PyTorch's.
func unaries() []unary {
	var us []unary
	add := func(name string, f func(float64) float64, df func(x, y float64) float64) {
		u := unary{name: name}
		u.f, u.df = plain(f, df)
		us = append(us, u)
	}
	with := func(name string, f func(c *call) (func(float64) float64, func(x, y float64) float64)) {
		us = append(us, unary{name,
			func(c *call) func(float64) float64 { f, _ := f(c); return f },
			func(c *call) func(x, y float64) float64 { _, df := f(c); return df }})
	}
	flat := func(x, y float64) float64 { return 0 }
	add("Relu", relu, func(x, y float64) float64 { return above(x) })
	with("LeakyRelu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a := c.number("alpha", 0.01)
		return func(x float64) float64 { return pick(x < 0, a*x, x) }, func(x, y float64) float64 { return pick(x > 0, 1, a) }
	})
	with("ThresholdedRelu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a := c.number("alpha", 1)
		return func(x float64) float64 { return pick(x <= a, 0, x) }, func(x, y float64) float64 { return pick(x > a, 1, 0) }
	})
	with("Elu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a := c.number("alpha", 1)
		return func(x float64) float64 { return elu(x, a, 1) }, func(x, y float64) float64 { return pick(x > 0, 1, a*math.Exp(x)) }
	})
	with("Celu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a := c.number("alpha", 1)
		return func(x float64) float64 { return elu(x, a, a) }, func(x, y float64) float64 { return pick(x > 0, 1, math.Exp(x/a)) }
	})
	with("Selu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a, g := c.number("alpha", 1.67326319217681884765625), c.number("gamma", 1.05070102214813232421875)
		return func(x float64) float64 { return g * elu(x, a, 1) }, func(x, y float64) float64 { return pick(x > 0, g, g*a*math.Exp(x)) }
	})
	with("HardSigmoid", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		a, b := c.number("alpha", 0.2), c.number("beta", 0.5)
		return func(x float64) float64 { return clamp(a*x+b, 0, 1) }, func(x, y float64) float64 { return pick(y > 0 && y < 1, a, 0) }
	})
	// Its alpha is 1/6, which a float attribute could only round.
	add("HardSwish", func(x float64) float64 { return x * clamp(x/6+0.5, 0, 1) }, func(x, y float64) float64 {
		return pick(x <= -3, 0, pick(x >= 3, 1, x/3+0.5))
	})
	add("Sigmoid", sigmoid, func(x, y float64) float64 { return sigmoid(x) * sigmoid(-x) })
	add("Tanh", math.Tanh, func(x, y float64) float64 { c := math.Cosh(x); return 1 / (c * c) })
	add("Erf", math.Erf, func(x, y float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) })
	add("Exp", math.Exp, func(x, y float64) float64 { return math.Exp(x) })
	add("Log", math.Log, func(x, y float64) float64 { return 1 / x })
	add("Sqrt", math.Sqrt, func(x, y float64) float64 { return 0.5 / math.Sqrt(x) })
	add("Reciprocal", func(x float64) float64 { return 1 / x }, func(x, y float64) float64 { return -1 / (x * x) })
	add("Softplus", softplus, func(x, y float64) float64 { return sigmoid(x) })
	add("Softsign", func(x float64) float64 { return x / (1 + math.Abs(x)) }, func(x, y float64) float64 { d := 1 + math.Abs(x); return 1 / (d * d) })
	add("Mish", func(x float64) float64 { return x * math.Tanh(softplus(x)) }, func(x, y float64) float64 {
		t := math.Tanh(softplus(x))
		return t + x*sigmoid(x)*(1-t*t)
	})
	with("Gelu", func(c *call) (func(float64) float64, func(x, y float64) float64) {
		if c.text("approximate", "none") == "tanh" {
			return geluTanh, geluTanhSlope
		}
		return func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }, func(x, y float64) float64 {
			return 0.5*(1+math.Erf(x/math.Sqrt2)) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}
	})
	add("Sin", math.Sin, func(x, y float64) float64 { return math.Cos(x) })
	add("Cos", math.Cos, func(x, y float64) float64 { return -math.Sin(x) })
	add("Tan", math.Tan, func(x, y float64) float64 { c := math.Cos(x); return 1 / (c * c) })
	add("Asin", math.Asin, func(x, y float64) float64 { return 1 / math.Sqrt(1-x*x) })
	add("Acos", math.Acos, func(x, y float64) float64 { return -1 / math.Sqrt(1-x*x) })
	add("Atan", math.Atan, func(x, y float64) float64 { return 1 / (1 + x*x) })
	add("Sinh", math.Sinh, func(x, y float64) float64 { return math.Cosh(x) })
	add("Cosh", math.Cosh, func(x, y float64) float64 { return math.Sinh(x) })
	add("Asinh", math.Asinh, func(x, y float64) float64 { return 1 / math.Sqrt(x*x+1) })
	add("Acosh", math.Acosh, func(x, y float64) float64 { return 1 / math.Sqrt(x*x-1) })
	add("Atanh", math.Atanh, func(x, y float64) float64 { return 1 / (1 - x*x) })
	add("Floor", math.Floor, flat)
	add("Ceil", math.Ceil, flat)
	add("Round", math.RoundToEven, flat)
	return us
}

func relu(x float64) float64  { return pick(x <= 0, 0, x) }
func above(x float64) float64 { return pick(x > 0, 1, 0) }

func pick(is bool, yes, no float64) float64 {
	if is {
		return yes
	}
	return no
}

// clamp hands a NaN on.
func clamp(x, low, high float64) float64 { return pick(x < low, low, pick(x > high, high, x)) }

func elu(x, a, scale float64) float64 { return pick(x < 0, a*math.Expm1(x/scale), x) }

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

var geluTanhScale = math.Sqrt(2 / math.Pi)

func geluTanh(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(geluTanhScale*(x+0.044715*x*x*x)))
}

func geluTanhSlope(x, _ float64) float64 {
	t := math.Tanh(geluTanhScale * (x + 0.044715*x*x*x))
	return 0.5*(1+t) + 0.5*x*(1-t*t)*geluTanhScale*(1+3*0.044715*x*x)
}

func unaryRows() []row {
	var rows []row
	for _, u := range unaries() {
		slope := u.name + ".slope"
		rows = append(rows, row{name: u.name, make: func(c *call) error {
			if err := c.same(); err != nil {
				return err
			}
			if u.name == "Relu" {
				c.do = eachFloat(c, reluOf[float32], reluOf[float64])
				return nil
			}
			f := u.f(c)
			c.do = eachFloat(c, mapping[float32](f), mapping[float64](f))
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			return d.apply(slope, d.attrs, d.input(0), t[0])
		}, pull: func(d *derivative, g value, _ int) (value, error) {
			return d.apply(slope, d.attrs, d.input(0), g)
		}}, row{name: slope, make: func(c *call) error {
			if err := c.float(2); err != nil {
				return err
			}
			c.out.dims = c.args[0].dims
			c.do = slopeOf(c, u.f(c), u.df(c))
			return nil
		}})
	}
	return append(rows, signRows()...)
}

// same checks one floating-point input whose shape the output has.
func (c *call) same() error {
	if err := c.inputs(1, 1); err != nil {
		return err
	}
	c.out.dims = c.args[0].dims
	return c.float(1)
}

// eachFloat runs the kernel of the output's type on the first input.
func eachFloat(c *call, single func(*call, []float32, []float32), double func(*call, []float64, []float64)) func(*tensor.Tensor, []*tensor.Tensor) {
	if c.args[0].dtype == tensor.Float64 {
		return func(out *tensor.Tensor, in []*tensor.Tensor) {
			double(c, tensor.Data[float64](out), tensor.Data[float64](in[0]))
		}
	}
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		single(c, tensor.Data[float32](out), tensor.Data[float32](in[0]))
	}
}

func mapping[T kernel.Float](f func(float64) float64) func(*call, []T, []T) {
	g := func(v T) T { return T(f(float64(v))) }
	return func(c *call, y, x []T) { kernel.Map(c.run, y, x, g) }
}

func reluOf[T kernel.Float](c *call, y, x []T) {
	kernel.Clip(c.run, y, x, 0, T(math.Inf(1)))
}

func slopeOf(c *call, f func(float64) float64, df func(x, y float64) float64) func(*tensor.Tensor, []*tensor.Tensor) {
	if c.out.dtype == tensor.Float64 {
		return slopeIn[float64](c, f, df)
	}
	return slopeIn[float32](c, f, df)
}

func slopeIn[T kernel.Float](c *call, f func(float64) float64, df func(x, y float64) float64) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		o, x, g := tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1])
		c.run.Each(len(o), 1<<11, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				v := float64(x[i])
				o[i] = T(float64(g[i]) * df(v, f(v)))
			}
		})
	}
}

// signRows are the functions that whole numbers have too, and the tests.
func signRows() []row {
	slope := func(name string, df func(x float64) float64) row {
		return row{name: name + ".slope", make: func(c *call) error {
			if err := c.float(2); err != nil {
				return err
			}
			c.out.dims = c.args[0].dims
			c.do = slopeOf(c, func(float64) float64 { return 0 }, func(x, _ float64) float64 { return df(x) })
			return nil
		}}
	}
	signed := func(name string, make func(c *call) error) row {
		return row{name: name, make: make, push: func(d *derivative, t []value) (value, error) {
			return d.apply(name+".slope", nil, d.input(0), t[0])
		}, pull: func(d *derivative, g value, _ int) (value, error) {
			return d.apply(name+".slope", nil, d.input(0), g)
		}}
	}
	return []row{
		signed("Neg", func(c *call) error { return number1(c, arithmetic1{neg: true}) }),
		slope("Neg", func(float64) float64 { return -1 }),
		signed("Abs", func(c *call) error { return number1(c, arithmetic1{abs: true}) }),
		slope("Abs", func(x float64) float64 { return pick(x > 0, 1, pick(x < 0, -1, 0)) }),
		signed("Sign", func(c *call) error { return number1(c, arithmetic1{}) }),
		slope("Sign", func(float64) float64 { return 0 }),
		{name: "Not", make: func(c *call) error {
			if err := c.inputs(1, 1); err != nil {
				return err
			}
			if c.args[0].dtype != tensor.Bool {
				return c.refuse("an input of type %s", c.args[0].dtype)
			}
			c.out = value{dtype: tensor.Bool, dims: c.args[0].dims}
			c.do = func(out *tensor.Tensor, in []*tensor.Tensor) {
				kernel.Map(c.run, tensor.Data[bool](out), tensor.Data[bool](in[0]), func(b bool) bool { return !b })
			}
			return nil
		}},
		{name: "IsNaN", make: func(c *call) error {
			return floatTest(c, func(v float64) bool { return v != v })
		}},
		{name: "IsInf", make: func(c *call) error {
			high, low := c.integer("detect_positive", 1) != 0, c.integer("detect_negative", 1) != 0
			return floatTest(c, func(v float64) bool { return high && math.IsInf(v, 1) || low && math.IsInf(v, -1) })
		}},
	}
}

func floatTest(c *call, f func(float64) bool) error {
	if err := c.same(); err != nil {
		return err
	}
	c.out.dtype = tensor.Bool
	if c.args[0].dtype == tensor.Float64 {
		c.do = func(out *tensor.Tensor, in []*tensor.Tensor) {
			kernel.Map(c.run, tensor.Data[bool](out), tensor.Data[float64](in[0]), f)
		}
		return nil
	}
	c.do = func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.Map(c.run, tensor.Data[bool](out), tensor.Data[float32](in[0]), func(v float32) bool { return f(float64(v)) })
	}
	return nil
}

// arithmetic1 is one of -x, |x| and the sign of x, in any type of number.
type arithmetic1 struct{ neg, abs bool }

func number1(c *call, a arithmetic1) error {
	if err := c.inputs(1, 1); err != nil {
		return err
	}
	c.out = value{dtype: c.args[0].dtype, dims: c.args[0].dims}
	c.do = forNumber(c.out.dtype, number1In[float32], number1In[float64], number1In[int8], number1In[uint8], number1In[int16],
		number1In[uint16], number1In[int32], number1In[uint32], number1In[int64], number1In[uint64])(c, a)
	if c.do == nil {
		return c.refuse("an input of type %s", c.out.dtype)
	}
	return nil
}

func number1In[T kernel.Number](c *call, a arithmetic1) func(*tensor.Tensor, []*tensor.Tensor) {
	f := func(v T) T {
		switch {
		case v > 0:
			return 1
		case v < 0:
			var one T = 1
			return -one
		}
		return v // 0, or NaN
	}
	if a.neg {
		f = func(v T) T { return -v }
	} else if a.abs {
		f = func(v T) T {
			if v < 0 {
				return -v
			}
			return v + 0 // -0 becomes 0
		}
	}
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.Map(c.run, tensor.Data[T](out), tensor.Data[T](in[0]), f)
	}
}

// maker makes the kernel of an application for one element type.
type maker[A any] func(*call, A) func(*tensor.Tensor, []*tensor.Tensor)

// forNumber chooses among the makers of the number types; for any other type the
// maker it returns makes nil.
func forNumber[A any](d tensor.DType, f32, f64, i8, u8, i16, u16, i32, u32, i64, u64 maker[A]) maker[A] {
	m := map[tensor.DType]maker[A]{tensor.Float32: f32, tensor.Float64: f64, tensor.Int8: i8, tensor.Uint8: u8,
		tensor.Int16: i16, tensor.Uint16: u16, tensor.Int32: i32, tensor.Uint32: u32, tensor.Int64: i64, tensor.Uint64: u64}[d]
	if m == nil {
		return func(*call, A) func(*tensor.Tensor, []*tensor.Tensor) { return nil }
	}
	return m
}
