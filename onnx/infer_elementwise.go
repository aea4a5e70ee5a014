package onnx

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// unaryRules are of functions of each element that constants are followed through.
func unaryRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for op, f := range map[string]func(float64) float64{
		"Neg": func(a float64) float64 { return -a }, "Abs": math.Abs, "Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven,
		"Sqrt": math.Sqrt, "Reciprocal": func(a float64) float64 { return 1 / a }, "Relu": func(a float64) float64 { return max(a, 0) }, "Sign": sign,
	} {
		rules[op] = func(c call) ([]Fact, error) { return one(c.each(f)) }
	}
	rules["Clip"] = clip
	return rules
}

// each is the first input with a function of its elements.
func (c call) each(f func(float64) float64) Fact {
	out := c.same(0)
	for _, v := range c.at(0).Const {
		out.Const = append(out.Const, round(out.DType, f(v)))
	}
	return out
}

func sign(a float64) float64 {
	switch {
	case a > 0:
		return 1
	case a < 0:
		return -1
	}
	return a // 0 or NaN
}

// clip takes its bounds from attributes before version 11, and from inputs since. The
// upper one counts where they cross.
func clip(c call) ([]Fact, error) {
	low, high := math.Inf(-1), math.Inf(1)
	for i, bound := range []*float64{&low, &high} {
		if a := c.n.Attr([]string{"min", "max"}[i]); a != nil && c.opset < 11 {
			*bound = float64(a.Float)
		}
		switch v := c.at(1 + i).Const; {
		case c.n.Input(1+i) == "":
		case len(v) == 1:
			*bound = v[0]
		default:
			return one(c.same(0))
		}
	}
	if !c.exact() {
		return one(c.same(0))
	}
	return one(c.each(func(a float64) float64 { return min(max(a, low), high) }))
}

// round is the number of the type that is nearest to v, as arithmetic gives it: integers
// lose their fraction.
func round(d tensor.DType, v float64) float64 {
	switch {
	case d == tensor.Float32:
		return float64(float32(v))
	case d == tensor.Float16:
		return float64(tensor.HalfToFloat32(tensor.Float32ToHalf(float32(v))))
	case d == tensor.BFloat16:
		return float64(math.Float32frombits(uint32(tensor.Float32ToBFloat(float32(v))) << 16))
	case !d.IsFloat():
		return math.Trunc(v)
	}
	return v
}

func arithmeticRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for op, of := range map[string]func(c call) func(a, b float64) float64{
		"Add": func(call) func(a, b float64) float64 { return add }, "Sub": func(call) func(a, b float64) float64 { return sub },
		"Mul": func(call) func(a, b float64) float64 { return mul }, "Pow": func(call) func(a, b float64) float64 { return math.Pow },
		"Div": division, "Mod": modulus,
		"BitwiseAnd": unknown, "BitwiseOr": unknown, "BitwiseXor": unknown,
	} {
		rules[op] = func(c call) ([]Fact, error) { return elementwise(c, c.at(0).DType, of(c), 0, 1) }
	}
	return rules
}

func add(a, b float64) float64 { return a + b }
func sub(a, b float64) float64 { return a - b }
func mul(a, b float64) float64 { return a * b }

// unknown is a function that constants are not followed through.
func unknown(call) func(a, b float64) float64 { return nil }

func division(c call) func(a, b float64) float64 {
	return func(a, b float64) float64 { return a / b }
}

func modulus(c call) func(a, b float64) float64 {
	if c.n.Int("fmod", 0) != 0 {
		return math.Mod
	}
	return func(a, b float64) float64 {
		m := math.Mod(a, b)
		if m != 0 && (m < 0) != (b < 0) { // it has the divisor's sign
			m += b
		}
		return m
	}
}

func comparisonRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for op, holds := range map[string]func(a, b float64) bool{
		"Equal": func(a, b float64) bool { return a == b }, "Greater": func(a, b float64) bool { return a > b },
		"Less": func(a, b float64) bool { return a < b }, "GreaterOrEqual": func(a, b float64) bool { return a >= b },
		"LessOrEqual": func(a, b float64) bool { return a <= b }, "Xor": func(a, b float64) bool { return (a != 0) != (b != 0) },
		"And": func(a, b float64) bool { return a != 0 && b != 0 }, "Or": func(a, b float64) bool { return a != 0 || b != 0 },
	} {
		f := func(a, b float64) float64 {
			if holds(a, b) {
				return 1
			}
			return 0
		}
		rules[op] = func(c call) ([]Fact, error) { return elementwise(c, tensor.Bool, f, 0, 1) }
	}
	return rules
}

// logicRules are of questions about each element.
func logicRules() map[string]func(call) ([]Fact, error) {
	question := func(c call) ([]Fact, error) { return one(Fact{DType: tensor.Bool, Shape: c.at(0).Shape}) }
	return map[string]func(call) ([]Fact, error){"IsNaN": question, "IsInf": question, "Not": func(c call) ([]Fact, error) {
		f := Fact{DType: tensor.Bool, Shape: c.at(0).Shape}
		if c.at(0).Const != nil {
			f.Const = make([]float64, len(c.at(0).Const))
			for i, v := range c.at(0).Const {
				if v == 0 {
					f.Const[i] = 1
				}
			}
		}
		return one(f)
	}}
}

// variadicRules are of any number of inputs.
func variadicRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for op, f := range map[string]func(a, b float64) float64{"Max": math.Max, "Min": math.Min, "Sum": add, "Mean": nil} {
		rules[op] = func(c call) ([]Fact, error) {
			if len(c.in) <= 1 {
				return one(c.at(0))
			}
			idx := make([]int, len(c.in))
			for i := range idx {
				idx[i] = i
			}
			return elementwise(c, c.at(0).DType, f, idx...)
		}
	}
	return rules
}

func where(c call) ([]Fact, error) { return elementwise(c, c.at(1).DType, nil, 0, 1, 2) }

// elementwise broadcasts the chosen inputs and, where all are known constants,
// computes.
func elementwise(c call, d tensor.DType, f func(a, b float64) float64, idx ...int) ([]Fact, error) {
	if a := c.n.Attr("broadcast"); a != nil && c.opset < 7 { // the second input is laid along an axis of the first
		return one(Fact{DType: d, Shape: c.at(0).Shape})
	}
	var shapes [][]int64
	consts := true
	for _, i := range idx {
		shapes = append(shapes, c.at(i).Shape)
		consts = consts && c.at(i).Const != nil
	}
	shape, err := broadcast(shapes...)
	if err != nil {
		return nil, err
	}
	out := Fact{DType: d, Shape: shape}
	n := count(shape)
	if !consts || shape == nil || n < 0 || n > maxConst || n*int64(len(idx)) > 16*maxConst || c.n.Op != "Where" && !c.exact() {
		return one(out)
	}
	pick := func(i int, k int64) float64 {
		f := c.at(i)
		off, scale := int64(0), n
		rem := k
		for a := range shape {
			scale /= max(shape[a], 1)
			pos := rem / max(scale, 1)
			rem %= max(scale, 1)
			if j := a - (len(shape) - len(f.Shape)); j >= 0 {
				if f.Shape[j] == 1 {
					pos = 0
				}
				off = off*f.Shape[j] + pos
			}
		}
		return f.Const[off]
	}
	for k := range n {
		switch {
		case c.n.Op == "Where":
			if pick(0, k) != 0 {
				out.Const = append(out.Const, pick(1, k))
			} else {
				out.Const = append(out.Const, pick(2, k))
			}
		case f != nil:
			v := pick(0, k)
			for _, i := range idx[1:] {
				v = round(d, f(v, pick(i, k)))
			}
			out.Const = append(out.Const, v)
		default:
			return one(out)
		}
	}
	return one(out)
}

// exact reports whether float64 holds the inputs' content as it is: not so for
// integers from 2^53 on, which are known near enough to be the end of a slice.
func (c call) exact() bool {
	for _, f := range c.in {
		if !f.DType.IsFloat() && slices.ContainsFunc(f.Const, func(v float64) bool { return math.Abs(v) >= 1<<53 }) {
			return false
		}
	}
	return true
}
