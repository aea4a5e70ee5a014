package onnx

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// quantizedRules are of operators whose tensors come with scales and zero points, and
// which else compute what the operator without them does.
func quantizedRules() map[string]func(call) ([]Fact, error) {
	typed := func(rule func(call) ([]Fact, error), d func(call) tensor.DType) func(call) ([]Fact, error) {
		return func(c call) ([]Fact, error) {
			out, err := rule(c)
			if len(out) > 0 {
				out = []Fact{{DType: d(c), Shape: out[0].Shape}}
			}
			return out, err
		}
	}
	of := func(i int) func(call) tensor.DType { return func(c call) tensor.DType { return c.at(i).DType } }
	is := func(d tensor.DType) func(call) tensor.DType { return func(call) tensor.DType { return d } }
	pairs := func(rule func(call) ([]Fact, error), op string, in ...int) func(call) ([]Fact, error) {
		return func(c call) ([]Fact, error) { return rule(c.as(op, in...)) }
	}
	sum := func(c call) ([]Fact, error) { return elementwise(c, c.at(0).DType, nil, 0, 1) }
	product, filter := pairs(matMul, "MatMul", 0, 1), lastChannels(pairs(conv, "QLinearConv", 0, 3))
	rules := map[string]func(call) ([]Fact, error){
		"QuantizeLinear": quantize, "DequantizeLinear": dequantize, "DynamicQuantizeLinear": dynamicQuantize,
		"QLinearConv": typed(filter, of(7)), "QLinearMatMul": typed(pairs(matMul, "MatMul", 0, 3), of(7)),
	}
	for _, op := range []string{"QuantizeLinear", "DequantizeLinear", "QLinearConv"} {
		rules["com.microsoft."+op] = rules[op]
	}
	for op, rule := range map[string]func(call) ([]Fact, error){
		"DynamicQuantizeMatMul": typed(product, of(0)), "MatMulIntegerToFloat": typed(product, of(2)), "MatMulInteger16": typed(product, is(tensor.Int32)),
		"MatMulNBits": narrowMatMul, "MatMulBnb4": narrowMatMul,
		"QGemm": typed(pairs(gemm, "Gemm", 0, 3, 6), func(c call) tensor.DType {
			if c.n.Input(8) == "" {
				return c.at(1).DType
			}
			return c.at(8).DType
		}),
		"QAttention": packedAttention(1, 8, 3),
		"QLinearAdd": pairs(sum, "Add", 0, 3), "QLinearMul": pairs(sum, "Mul", 0, 3),
		"QLinearWhere": func(c call) ([]Fact, error) { return elementwise(c.as("", 0, 1, 4), c.at(1).DType, nil, 0, 1, 2) },
		"QLinearConcat": func(c call) ([]Fact, error) {
			var in []int
			for i := 2; i < len(c.in); i += 3 {
				in = append(in, i)
			}
			return concat(c.as("Concat", in...))
		},
		"QLinearSigmoid": likeFirst, "QLinearLeakyRelu": likeFirst, "QLinearSoftmax": likeFirst,
		"QLinearAveragePool": lastChannels(pairs(pool, "AveragePool", 0)), "QLinearGlobalAveragePool": lastChannels(pairs(globalPool, "GlobalAveragePool", 0)),
		"QLinearReduceMean": func(c call) ([]Fact, error) { return reduce(c.as("ReduceMean", 0), c.n.Ints("axes"), c.at(0).DType) },
	} {
		rules["com.microsoft."+op] = rule
	}
	return rules
}

// as is the call of another operator with some of the inputs, of unknown content.
func (c call) as(op string, in ...int) call {
	n := *c.n
	n.Op, n.Inputs = op, nil
	k := call{inferrer: c.inferrer, n: &n}
	for _, i := range in {
		n.Inputs = append(n.Inputs, c.n.Input(i))
		k.in = append(k.in, c.same(i))
	}
	return k
}

// lastChannels is a rule where the channels are the last axis of the input and of the
// output, if the node says so.
func lastChannels(rule func(call) ([]Fact, error)) func(call) ([]Fact, error) {
	return func(c call) ([]Fact, error) {
		x := c.at(0).Shape
		if c.n.Int("channels_last", 0) == 0 || len(x) < 2 {
			return rule(c)
		}
		return channelsLast(rule)(c)
	}
}

// channelsLast is lastChannels for operators that know of nothing else.
func channelsLast(rule func(call) ([]Fact, error)) func(call) ([]Fact, error) {
	return func(c call) ([]Fact, error) {
		if x := c.at(0).Shape; len(x) > 1 {
			c.in = slices.Clone(c.in)
			c.in[0].Shape = slices.Concat(x[:1], x[len(x)-1:], x[1:len(x)-1])
		}
		out, err := rule(c)
		for i, f := range out {
			if s := f.Shape; len(s) > 1 {
				out[i].Shape = slices.Concat(s[:1], s[2:], s[1:2])
			}
		}
		return out, err
	}
}

func quantize(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Uint8, Shape: c.at(0).Shape}
	if c.at(2).DType != 0 {
		f.DType = c.at(2).DType
	} else if d := c.n.Int("output_dtype", 0); d != 0 {
		f.DType = tensor.DType(d)
	}
	return one(f)
}

func dequantize(c call) ([]Fact, error) {
	f := Fact{DType: c.at(1).DType, Shape: c.at(0).Shape}
	if d := c.n.Int("output_dtype", 0); d != 0 {
		f.DType = tensor.DType(d)
	}
	return one(f)
}

func dynamicQuantize(c call) ([]Fact, error) {
	return []Fact{{DType: tensor.Uint8, Shape: c.at(0).Shape}, {DType: tensor.Float32, Shape: []int64{}}, {DType: tensor.Uint8, Shape: []int64{}}}, nil
}

// narrowMatMul is a product with a weight of [K, N] in blocks of a few bits, of which
// attributes tell the shape.
func narrowMatMul(c call) ([]Fact, error) {
	f := c.same(0)
	if n := len(f.Shape); n > 0 {
		f.Shape = slices.Clone(f.Shape)
		f.Shape[n-1] = c.n.Int("N", -1)
	}
	return one(f)
}
