package enginetest

import (
	"math"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// arithmeticCases are the operators of two elements, with everything they
// broadcast.
func arithmeticCases() []Case {
	var cs table
	four := func(first float32) *tensor.Tensor { return count(first, 2, 3, 2, 2) }
	for _, o := range []struct {
		op   string
		fn   func(x, y float32) float32
		from func(*tensor.Tensor) *tensor.Tensor
	}{
		{"Add", func(x, y float32) float32 { return x + y }, nil},
		{"Sub", func(x, y float32) float32 { return x - y }, nil},
		{"Mul", func(x, y float32) float32 { return x * y }, nil},
		{"Div", func(x, y float32) float32 { return x / y }, powersOfTwo},
		{"Max", func(x, y float32) float32 { return max(x, y) }, nil},
		{"Min", func(x, y float32) float32 { return min(x, y) }, nil},
		{"Pow", func(x, y float32) float32 { return float32(math.Pow(float64(x), float64(y))) }, oneToFour},
	} {
		for _, c := range []struct {
			name string
			a, b *tensor.Tensor
		}{
			{"of equal shapes", four(-5), mixed(9, 1, 2, 3, 2, 2)},
			{"by channel", four(-5), count(1, 2, 3, 1, 1)},
			{"of a channel by all", count(1, 1, 3, 1, 1), four(1)},
			{"by channel, no batch axis", four(-5), count(1, 3, 1, 1)},
			{"by the last axis", four(-5), vec(1, 3)},
			{"of the last axis by all", vec(1, 3), four(1)},
			{"by an inner axis", four(-5), count(1, 1, 1, 2, 1)},
			{"each way", count(1, 3, 1), count(1, 1, 2)},
			{"by batch", four(-5), count(1, 2, 1, 1, 1)},
			{"by a scalar", four(-5), scalar(2)},
			{"of a scalar", scalar(2), four(1)},
			{"of two scalars", scalar(2), scalar(3)},
			{"by one number of rank 1", count(1, 2, 2), vec(2)},
			{"of one number of rank 4 by two", f([]int{1, 1, 1, 1}, 3), count(1, 2, 2)},
		} {
			a, b := c.a, c.b
			if o.from != nil {
				b = o.from(b)
			}
			name := o.op + " " + c.name
			w := broadcast(a, b, o.fn)
			k := cs.both(name, o.op, ts{a, b}, w)
			if o.op == "Pow" {
				k.near(2e-3, "powers up to 19^4 by float32's exp and log")
			}
		}
	}
	cs.both("add", "Add", ts{count(1, 2, 3), f([]int{3}, 10, 20, 30)}, f([]int{2, 3}, 11, 22, 33, 14, 25, 36))
	cs.op("add a constant", "Add", ts{count(1, 2, 3), f([]int{3}, 10, 20, 30)}, f([]int{2, 3}, 11, 22, 33, 14, 25, 36))
	cs.both("div by zero", "Div", ts{vec(1, -1, 0), vec(0, 0, 0)}, vec(inf, -inf, nan))
	cs.op("pow by 2", "Pow", ts{vec(-3, 0, 1.5), scalar(2)}, vec(9, 0, 2.25))
	cs.op("pow by 3", "Pow", ts{vec(-3, 0, 2), scalar(3)}, vec(-27, 0, 8)).near(1e-5, "powers by float32's exp and log")
	cs.op("pow by 1/2", "Pow", ts{vec(4, 0, 9), scalar(0.5)}, vec(2, 0, 3)).near(1e-6, "powers by float32's exp and log")
	cs.op("pow by whole numbers of another type", "Pow", ts{vec(-3, 0, 1.5), tensor.Scalar(int64(2))}, vec(9, 0, 2.25))
	for _, o := range []struct {
		op   string
		want []float32
	}{{"Add", []float32{-2, 4}}, {"Sub", []float32{0, 0}}, {"Mul", []float32{1, 4}}, {"Div", []float32{1, 1}},
		{"Max", []float32{-1, 2}}, {"Pow", []float32{-1, 4}}} {
		k := cs.op(o.op+" of a value with itself", o.op, ts{vec(-1, 2)}, vec(o.want...))
		k.Model.Graph.Nodes[0].Inputs = []string{"x", "x"}
		if o.op == "Pow" {
			k.near(1e-6, "powers by float32's exp and log")
		}
	}
	three := ts{f([]int{2, 1}, 1, 5), f([]int{1, 2}, 2, 4), scalar(3)}
	cs.both("max of three", "Max", three, f([]int{2, 2}, 3, 4, 5, 5))
	cs.both("min of three", "Min", three, f([]int{2, 2}, 1, 1, 2, 3))
	cs.both("sum of three", "Sum", three, f([]int{2, 2}, 6, 8, 10, 12))
	cs.both("mean of three", "Mean", three, f([]int{2, 2}, 2, 8.0/3, 10.0/3, 4)).near(1e-6, "a third is rounded")
	cs.op("max of one", "Max", ts{vec(1, -2)}, vec(1, -2))
	cs.op("sum of one", "Sum", ts{vec(1, -2)}, vec(1, -2))
	cs.both("where", "Where", ts{shaped(bits(1, 0), 2, 1), f([]int{1, 3}, 1, 2, 3), scalar(-1)}, f([]int{2, 3}, 1, 2, 3, -1, -1, -1))
	cs.both("fmod has the sign of the dividend", "Mod", ts{vec(-5, 5, -5), vec(3, -3, -3)}, vec(-2, 2, -2), integer("fmod", 1))
	cs.op("cumsum", "CumSum", ts{count(1, 2, 3), tensor.Scalar(int64(1))}, f([]int{2, 3}, 1, 3, 6, 4, 9, 15))
	cs.op("cumsum from behind, exclusive", "CumSum", ts{count(1, 2, 3), tensor.Scalar(int64(-1))}, f([]int{2, 3}, 5,
		3, 0, 11, 6, 0), integer("reverse", 1), integer("exclusive", 1))
	return cs
}

// powersOfTwo has 2 to the elements of t, so that dividing by it is exact.
func powersOfTwo(t *tensor.Tensor) *tensor.Tensor {
	return broadcast(t, scalar(0), func(x, _ float32) float32 { return float32(math.Ldexp(1, int(x))) })
}

// oneToFour has whole exponents.
func oneToFour(t *tensor.Tensor) *tensor.Tensor {
	return broadcast(t, scalar(0), func(x, _ float32) float32 { return float32(1 + int(x+9)%4) })
}
