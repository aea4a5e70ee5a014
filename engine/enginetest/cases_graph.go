package enginetest

import (
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// graphCases are what a graph as a whole may do: what it returns, what it names,
// what it reads twice.
func graphCases() []Case {
	var cs table
	const f32, whole = tensor.Float32, tensor.Int64
	x := f([]int{2, 2}, -1, 2, 3, -4)
	relu, twice := f([]int{2, 2}, 0, 2, 3, 0), f([]int{2, 2}, 0, 4, 6, 0)
	cs.add("one value read twice and returned", build(func(b *builder) {
		y := b.op("Relu", "y", []string{b.in("x", f32, -1, 2)})
		b.op("Add", "z", []string{y, y})
		b.outAny("z", f32)
		b.outAny("y", f32)
	}), ts{x}, twice, relu)
	cs.add("every value of a chain is returned", build(func(b *builder) {
		b.op("Relu", "y", []string{b.in("x", f32, -1, 2)})
		b.op("Mul", "z", []string{"y", b.constant("two", scalar(2))})
		b.op("Relu", "last", []string{"z"})
		for _, name := range []string{"y", "z", "last"} {
			b.outAny(name, f32)
		}
	}), ts{x}, relu, twice, twice)
	cs.add("an output that is an input", build(func(b *builder) {
		b.op("Relu", "y", []string{b.in("x", f32, -1, 2)})
		b.outAny("x", f32)
		b.outAny("y", f32)
	}), ts{x}, x, relu)
	cs.add("an output that is a constant", build(func(b *builder) {
		b.op("Relu", "y", []string{b.in("x", f32, -1, 2)})
		b.constant("c", i64(7, 8))
		b.out("c", whole, 2)
		b.outAny("y", f32)
	}), ts{x}, i64(7, 8), relu)
	cs.add("an input that nothing reads", build(func(b *builder) {
		b.in("unread", whole, 1)
		b.op("Relu", "y", []string{b.in("x", f32, -1, 2)})
		b.outAny("y", f32)
	}), ts{i64(5), x}, relu)
	cs.add("a node that nothing reads", build(func(b *builder) {
		b.in("x", f32, -1, 2)
		b.op("Neg", "unread", []string{"x"})
		b.op("Relu", "y", []string{"x"})
		b.outAny("y", f32)
	}), ts{x}, relu)
	// Before IR 4 every initializer is an input too, and not one to be given.
	listed := cs.add("initializers listed among the inputs", build(func(b *builder) {
		w := b.in("w", f32, 2, 2)
		b.in("x", f32, -1, 2)
		b.in("b", f32, 2)
		b.op("Gemm", "y", []string{"x", w, "b"})
		b.constant("w", f([]int{2, 2}, 0, 1, 1, 0))
		b.constant("b", vec(10, 20))
		b.outAny("y", f32)
	}), ts{x}, f([]int{2, 2}, 12, 19, 6, 23)).opset(8)
	listed.Model.IR = 3
	cs.add("constants that nodes hold", build(func(b *builder) {
		b.in("x", f32, -1, 2)
		b.op("Constant", "c", nil, value("value", vec(10, 20)))
		b.op("Constant", "k", nil, float("value_float", 2))
		b.op("Constant", "s", nil, ints("value_ints", -1))
		b.op("Mul", "kx", []string{"k", "x"})
		b.op("Add", "sum", []string{"kx", "c"})
		b.op("Reshape", "y", []string{"sum", "s"})
		b.outAny("y", f32)
		b.outAny("c", f32)
	}), ts{x}, vec(8, 24, 16, 12), vec(10, 20))
	cs.add("an operator on constants alone", build(func(b *builder) {
		b.in("x", f32, -1, 2)
		b.op("Add", "c", []string{b.constant("a", vec(1, 2)), b.constant("b", vec(10, 20))})
		b.op("Add", "y", []string{"x", "c"})
		b.outAny("y", f32)
	}), ts{x}, f([]int{2, 2}, 10, 24, 14, 18))
	cs.add("one Relu before two BatchNormalizations, batch 1", build(func(b *builder) {
		b.op("Relu", "r", []string{b.in("x", f32, -1, 2, 1, 1)})
		for _, c := range []struct {
			out   string
			scale float32
		}{{"p", 2}, {"q", 3}} {
			in := []string{"r"}
			for i, v := range []float32{c.scale, 1, 1, 1} { // scale, bias, mean, variance
				in = append(in, b.constant(c.out+string(rune('0'+i)), vec(v, v)))
			}
			b.op("BatchNormalization", c.out, in, float("epsilon", 0))
		}
		b.op("Add", "y", []string{"p", "q"})
		b.outAny("y", f32)
		b.outAny("r", f32)
	}), ts{f([]int{1, 2, 1, 1}, -5, 4)}, f([]int{1, 2, 1, 1}, -3, 17), f([]int{1, 2, 1, 1}, 0, 4)).near(1e-5, "a reciprocal square root is rounded")
	cs.add("a shortcut around a layer", build(func(b *builder) {
		b.op("Relu", "r", []string{b.in("x", f32, -1, 1, 1, 3)})
		b.op("Conv", "c", []string{"r", b.constant("w", f([]int{1, 1, 1, 3}, 1, 1, 1)), b.constant("b", vec(1))}, ints("pads", 0, 1, 0, 1))
		b.op("Add", "s", []string{"c", "r"})
		b.op("Relu", "y", []string{"s"})
		b.outAny("y", f32)
		b.outAny("c", f32)
	}), ts{f([]int{1, 1, 1, 3}, -1, 2, 3)}, f([]int{1, 1, 1, 3}, 3, 8, 9), f([]int{1, 1, 1, 3}, 3, 6, 6))
	cs.add("silu written out", build(func(b *builder) {
		b.op("Sigmoid", "s", []string{b.in("x", f32, -1)})
		b.op("Mul", "y", []string{"x", "s"})
		b.outAny("y", f32)
	}), ts{vec(0, -200, 200)}, vec(0, 0, 200)).near(1e-6, "a rounded transcendental function")
	cs.add("a view from the shape, as PyTorch writes it", build(func(b *builder) {
		b.op("Shape", "shape", []string{b.in("x", f32, -1, 2, 2)})
		b.op("Gather", "n", []string{"shape", b.constant("zero", tensor.Scalar(int64(0)))})
		b.op("Unsqueeze", "n1", []string{"n", b.constant("axes", i64(0))})
		b.op("Concat", "to", []string{"n1", b.constant("rest", i64(-1))}, integer("axis", 0))
		b.op("Reshape", "y", []string{"x", "to"})
		b.outAny("y", f32)
		b.outAny("to", whole)
	}), ts{count(0, 3, 2, 2)}, count(0, 3, 4), i64(3, -1))
	cs.add("half of the channels, worked out from the shape", build(func(b *builder) {
		b.op("Shape", "shape", []string{b.in("x", f32, -1, 4)})
		b.op("Gather", "c", []string{"shape", b.constant("one", i64(1))})
		b.op("Div", "half", []string{"c", b.constant("two", i64(2))})
		b.op("Slice", "y", []string{"x", "half", "c", "one"})
		b.outAny("y", f32)
	}), ts{count(0, 2, 4)}, f([]int{2, 2}, 2, 3, 6, 7))
	cs.add("a class token for each item", build(func(b *builder) {
		b.op("Shape", "shape", []string{b.in("x", f32, -1, 1, 2)}, integer("start", 0), integer("end", 1))
		b.op("Concat", "to", []string{"shape", b.constant("rest", i64(-1, -1))}, integer("axis", 0))
		b.op("ConstantOfShape", "ones", []string{b.constant("three", i64(3))}, value("value", i64(1)))
		b.op("Equal", "open", []string{"to", b.constant("minus", i64(-1))})
		b.op("Where", "full", []string{"open", "ones", "to"})
		b.op("Expand", "tokens", []string{b.constant("token", f([]int{1, 1, 2}, 8, 9)), "full"})
		b.op("Concat", "y", []string{"tokens", "x"}, integer("axis", 1))
		b.outAny("y", f32)
	}), ts{count(0, 2, 1, 2)}, f([]int{2, 2, 2}, 8, 9, 0, 1, 8, 9, 2, 3))
	cs.add("bits packed into bytes", build(func(b *builder) {
		b.op("Greater", "on", []string{b.in("x", f32, -1, 16), b.constant("knot", scalar(0))})
		b.op("Cast", "ones", []string{"on"}, integer("to", 1))
		b.op("Reshape", "octets", []string{"ones", b.constant("by8", i64(0, -1, 8))})
		b.op("MatMul", "sums", []string{"octets", b.constant("weights", f([]int{8, 1}, 128, 64, 32, 16, 8, 4, 2, 1))})
		b.op("Reshape", "rows", []string{"sums", b.constant("flat", i64(0, -1))})
		b.op("Cast", "code", []string{"rows"}, integer("to", 2))
		b.outAny("code", tensor.Uint8)
	}), ts{f([]int{1, 16}, 1, -1, 0, negz, nan, 2, -3, inf, 9, 9, 9, 9, 9, 9, 9, -inf)}, tensor.Of([]uint8{0x85, 0xfe}, 1, 2))
	dropout := cs.add("dropout of older opsets, its mask unread", build(func(b *builder) {
		b.in("x", f32, -1, 2)
		b.g.Nodes = append(b.g.Nodes, &onnx.Node{Name: "drop", Op: "Dropout", Inputs: []string{"x"},
			Outputs: []string{"d", "mask"}, Attrs: []*onnx.Attr{float("ratio", 0.5)}})
		b.op("Relu", "y", []string{"d"})
		b.outAny("y", f32)
	}), ts{x}, relu)
	dropout.opset(10)
	return cs
}
