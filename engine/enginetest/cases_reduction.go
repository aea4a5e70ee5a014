package enginetest

import (
	"math"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// reductionCases take an axis away, or normalise along one.
func reductionCases() []Case {
	var cs table
	x := count(1, 2, 3, 2) // 1..12
	no := integer("keepdims", 0)
	cs.op("reducemean", "ReduceMean", ts{x}, f([]int{2, 1, 2}, 3, 4, 9, 10), ints("axes", 1))
	cs.op("reducemean, axis gone", "ReduceMean", ts{x}, f([]int{2, 2}, 3, 4, 9, 10), ints("axes", 1), no)
	cs.op("reducemean of two axes", "ReduceMean", ts{x}, f([]int{2}, 3.5, 9.5), ints("axes", 1, 2), no)
	cs.op("reducemean of the last two, counted from behind", "ReduceMean", ts{x}, f([]int{2, 1, 1}, 3.5, 9.5), ints("axes", -1, -2))
	cs.op("reducemean of outer axes", "ReduceMean", ts{x}, f([]int{2}, 6, 7), ints("axes", 0, 1), no)
	cs.op("reducemean of axes not together", "ReduceMean", ts{x}, f([]int{3}, 4.5, 6.5, 8.5), ints("axes", 0, 2), no)
	cs.op("reducemean of all", "ReduceMean", ts{x}, f([]int{1, 1, 1}, 6.5))
	cs.op("reducemean, axes an input", "ReduceMean", ts{x, i64(-1)}, f([]int{2, 3}, 1.5, 3.5, 5.5, 7.5, 9.5, 11.5), no).opset(18)
	cs.op("reducesum", "ReduceSum", ts{x, i64(1)}, f([]int{2, 2}, 9, 12, 27, 30), no)
	cs.op("reducesum of older opsets", "ReduceSum", ts{x}, f([]int{2, 1, 2}, 9, 12, 27, 30), ints("axes", -2)).opset(11)
	cs.op("reducesum of no axes is of all", "ReduceSum", ts{x, i64()}, f([]int{1, 1, 1}, 78))
	cs.op("reducesum of no axes, told to do nothing", "ReduceSum", ts{x, i64()}, x, integer("noop_with_empty_axes", 1))
	cs.op("a sum to a scalar", "ReduceSum", ts{count(1, 2, 3)}, scalar(21), no)
	cs.op("reducemax", "ReduceMax", ts{f([]int{2, 3}, -3, -1, -2, 5, 4, 6)}, f([]int{2}, -1, 6), ints("axes", 1), no)
	cs.op("reducemax, first axis", "ReduceMax", ts{f([]int{2, 3}, -3, -1, -2, 5, -4, -6)}, f([]int{1, 3}, 5, -1, -2), ints("axes", 0))
	cs.op("reducemin", "ReduceMin", ts{f([]int{2, 3}, -3, -1, -2, 5, 4, 6)}, f([]int{2, 1}, -3, 4), ints("axes", 1))
	cs.op("reduceprod", "ReduceProd", ts{count(1, 2, 3)}, f([]int{2}, 6, 120), ints("axes", 1), no)
	cs.op("reducel1", "ReduceL1", ts{f([]int{1, 3}, -3, 4, 0)}, vec(7), ints("axes", 1), no)
	cs.op("reducel2", "ReduceL2", ts{f([]int{1, 3}, -3, 4, 0)}, vec(5), ints("axes", 1), no)
	cs.op("reducesumsquare", "ReduceSumSquare", ts{f([]int{1, 3}, -3, 4, 0)}, vec(25), ints("axes", 1), no)
	ln3 := float32(math.Log(3))
	cs.op("reducelogsumexp", "ReduceLogSumExp", ts{f([]int{2, 2}, 0, ln3, 1000, 1000+ln3)}, f([]int{2},
		float32(math.Log(4)), float32(1000+math.Log(4))), ints("axes", 1), no).
		near(1e-4, "exp and log are rounded, and a float32 near 1000 has steps of 6e-5")

	in := f([]int{2, 3}, 1, 3, 3, 9, 8, 7)
	cs.op("argmax", "ArgMax", ts{in}, shaped(i64(1, 0), 2, 1), integer("axis", 1))
	cs.op("argmax, first axis", "ArgMax", ts{in}, i64(1, 1, 1), integer("axis", 0), no)
	cs.op("argmax, axis from behind, the last of equals", "ArgMax", ts{in}, i64(2, 0), integer("axis", -1), no, integer("select_last_index", 1))
	cs.op("argmin", "ArgMin", ts{in}, i64(0, 2), integer("axis", 1), no)
	cs.parts("topk", "TopK", ts{f([]int{2, 3}, 1, 5, 3, 9, 7, 8), i64(2)}, ts{f([]int{2, 2}, 5, 3, 9, 8), shaped(i64(1, 2, 0, 2), 2, 2)})
	cs.parts("topk, the smallest, by columns", "TopK", ts{f([]int{2, 2}, 1, 5, 3, 4), i64(1)}, ts{f([]int{1, 2}, 1, 4), shaped(i64(0, 1), 1, 2)},
		integer("largest", 0), integer("axis", 0))

	why := "exp and log are rounded"
	logits := f([]int{1, 2, 2}, 0, 0, 0, ln3)
	cs.op("softmax over the last axis", "Softmax", ts{logits}, f([]int{1, 2, 2}, 0.5, 0.5, 0.25, 0.75), integer("axis", -1)).near(1e-6, why)
	cs.op("softmax, axis left out", "Softmax", ts{logits}, f([]int{1, 2, 2}, 0.5, 0.5, 0.25, 0.75)).near(1e-6, why)
	cs.op("softmax over an inner axis", "Softmax", ts{logits}, f([]int{1, 2, 2}, 0.5, 0.25, 0.5, 0.75), integer("axis", 1)).near(1e-6, why)
	cs.op("softmax over the channels of pictures", "Softmax", ts{f([]int{1, 2, 1, 2}, 0, ln3, 0, 0)}, f([]int{1, 2,
		1, 2}, 0.5, 0.75, 0.5, 0.25), integer("axis", 1)).near(1e-6, why)
	cs.op("softmax over the first axis", "Softmax", ts{f([]int{2, 2}, 0, 0, 0, ln3)}, f([]int{2, 2}, 0.5, 0.25, 0.5, 0.75), integer("axis", 0)).near(1e-6, why)
	// Before opset 13 everything from the axis on is one row.
	cs.op("softmax of older opsets", "Softmax", ts{logits}, f([]int{1, 2, 2}, 1.0/6, 1.0/6, 1.0/6, 0.5)).opset(12).near(1e-6, why)
	cs.op("softmax of older opsets over the last axis", "Softmax", ts{logits}, f([]int{1, 2, 2}, 0.5, 0.5, 0.25,
		0.75), integer("axis", 2)).opset(12).near(1e-6, why)
	cs.op("softmax of large numbers", "Softmax", ts{f([]int{1, 3}, 1000, 1000, -1000)}, f([]int{1, 3}, 0.5, 0.5, 0)).near(1e-6, why)
	cs.op("softmax of a mask", "Softmax", ts{f([]int{1, 3}, 0, -inf, 0)}, f([]int{1, 3}, 0.5, 0, 0.5)).near(1e-6, why)
	lg := func(p ...float64) []float32 {
		v := make([]float32, len(p))
		for i := range p {
			v[i] = float32(math.Log(p[i]))
		}
		return v
	}
	cs.op("logsoftmax", "LogSoftmax", ts{logits}, f([]int{1, 2, 2}, lg(0.5, 0.5, 0.25, 0.75)...)).near(1e-6, why)
	cs.op("logsoftmax over an inner axis", "LogSoftmax", ts{logits}, f([]int{1, 2, 2}, lg(0.5, 0.25, 0.5, 0.75)...), integer("axis", 1)).near(1e-6, why)
	cs.op("logsoftmax of older opsets", "LogSoftmax", ts{logits}, f([]int{1, 2, 2}, lg(1.0/6, 1.0/6, 1.0/6, 0.5)...)).opset(12).near(1e-6, why)
	cs.op("logsoftmax of large numbers", "LogSoftmax", ts{f([]int{1, 2}, 1000, 0)}, f([]int{1, 2}, 0, -1000))
	cs.op("hardmax", "Hardmax", ts{f([]int{2, 3}, 1, 3, 3, 9, 8, 7)}, f([]int{2, 3}, 0, 1, 0, 1, 0, 0))
	return cs
}

// normCases are the normalisations. With an epsilon of 0 they are exact on these
// numbers.
func normCases() []Case {
	var cs table
	eps := float("epsilon", 0)
	why := "a reciprocal square root is rounded"
	// (x - mean) / sqrt(var) * scale + bias: x + 7 and 3x - 9.
	bn := ts{f([]int{1, 2, 1, 2}, 1, 5, -1, 2), vec(2, 9), vec(10, 0), vec(3, 3), vec(4, 9)}
	cs.op("batchnormalization", "BatchNormalization", bn, f([]int{1, 2, 1, 2}, 8, 12, -12, -3), eps).near(1e-5, why)
	cs.op("batchnormalization, epsilon counts", "BatchNormalization", ts{bn[0], bn[1], bn[2], bn[3], vec(3, 8)},
		f([]int{1, 2, 1, 2}, 8, 12, -12, -3), float("epsilon", 1)).near(1e-5, why)
	cs.op("batchnormalization of rows", "BatchNormalization", ts{f([]int{2, 2}, 1, -1, 5, 2), bn[1], bn[2], bn[3],
		bn[4]}, f([]int{2, 2}, 8, -12, 12, -3), eps).near(1e-5, why)
	cs.op("batchnormalization of sequences", "BatchNormalization", ts{f([]int{1, 2, 2}, 1, 5, -1, 2), bn[1], bn[2],
		bn[3], bn[4]}, f([]int{1, 2, 2}, 8, 12, -12, -3), eps).near(1e-5, why)
	cs.both("batchnormalization by inputs", "BatchNormalization", bn, f([]int{1, 2, 1, 2}, 8, 12, -12, -3), eps).near(1e-5, why)
	cs.op("batchnormalization, epsilon left out", "BatchNormalization", ts{f([]int{1, 1, 1, 1}, 1), vec(1), vec(0),
		vec(0), vec(0)}, f([]int{1, 1, 1, 1}, float32(1/math.Sqrt(1e-5)))).near(1e-3, why)

	rows := f([]int{2, 2}, 1, 3, -2, 6) // mean 2, deviation 1; mean 2, deviation 4
	cs.op("layernormalization", "LayerNormalization", ts{rows, vec(2, 3), vec(10, 20)}, f([]int{2, 2}, 8, 23, 8, 23), eps).near(1e-5, why)
	cs.op("layernormalization without a bias", "LayerNormalization", ts{rows, vec(2, 3)}, f([]int{2, 2}, -2, 3, -2, 3), eps).near(1e-5, why)
	cs.op("layernormalization, epsilon counts", "LayerNormalization", ts{rows, vec(1, 1)}, f([]int{2, 2}, -0.5, 0.5,
		float32(-4/math.Sqrt(19)), float32(4/math.Sqrt(19))), float("epsilon", 3)).near(1e-5, why)
	cs.op("layernormalization of two axes", "LayerNormalization", ts{f([]int{1, 2, 2}, 1, 1, 3, 3), f([]int{2, 2}, 1,
		2, 3, 4)}, f([]int{1, 2, 2}, -1, -2, 3, 4), eps, integer("axis", 1)).near(1e-5, why)
	cs.op("layernormalization of a far-off mean", "LayerNormalization", ts{f([]int{1, 2}, 10001, 10003), vec(1, 1)},
		f([]int{1, 2}, -1, 1), eps).near(1e-3, "the variance of large numbers cancels")
	pic := f([]int{1, 2, 1, 2}, 1, 3, -2, 6)
	cs.op("instancenormalization", "InstanceNormalization", ts{pic, vec(2, 3), vec(10, 20)}, f([]int{1, 2, 1, 2}, 8, 12, 17, 23), eps).near(1e-5, why)
	cs.op("groupnormalization, one group", "GroupNormalization", ts{f([]int{1, 2, 1, 2}, 1, 1, 3, 3), vec(2, 3),
		vec(10, 20)}, f([]int{1, 2, 1, 2}, 8, 8, 23, 23), eps, integer("num_groups", 1)).opset(21).near(1e-5, why)
	cs.op("groupnormalization, two groups", "GroupNormalization", ts{f([]int{1, 4, 1, 1}, 1, 3, -2, 6), vec(1, 2, 3,
		4), vec(0, 0, 0, 10)}, f([]int{1, 4, 1, 1}, -1, 2, -3, 14), eps, integer("num_groups", 2)).opset(21).near(1e-5, why)
	cs.op("lpnormalization", "LpNormalization", ts{f([]int{2, 2}, 3, 4, 0, -2)}, f([]int{2, 2}, 0.6, 0.8, 0, -1),
		integer("axis", 1), integer("p", 2)).near(1e-6, why)
	// alpha/size = 1, bias 1, beta 1: x / (1 + the sum of squares of neighbours).
	cs.op("lrn", "LRN", ts{f([]int{1, 3, 1, 1}, 1, 2, 3)}, f([]int{1, 3, 1, 1}, 1.0/6, 2.0/15, 3.0/14),
		integer("size", 3), float("alpha", 3), float("beta", 1), float("bias", 1)).near(1e-6, "quotients are rounded")
	return cs
}

// matrixCases are the products.
func matrixCases() []Case {
	var cs table
	a, w := f([]int{1, 2}, 1, 2), f([]int{3, 2}, 1, 2, 3, 4, 5, 6)
	cs.op("gemm", "Gemm", ts{a, w, vec(100, 200, 300)}, f([]int{1, 3}, 60, 122, 184), float("alpha", 2), float("beta", 0.5), integer("transB", 1))
	cs.op("gemm without a bias", "Gemm", ts{a, w}, f([]int{1, 3}, 5, 11, 17), integer("transB", 1))
	two := count(1, 2, 2)
	cs.op("gemm transA", "Gemm", ts{count(1, 2, 3), f([]int{2, 1}, 1, 10)}, f([]int{3, 1}, 41, 52, 63), integer("transA", 1))
	cs.op("gemm transA and transB", "Gemm", ts{count(1, 2, 3), f([]int{1, 2}, 1, 10)}, f([]int{3, 1}, 41, 52, 63), integer("transA", 1), integer("transB", 1))
	for _, c := range []struct {
		name string
		bias *tensor.Tensor
		want []float32
	}{
		{"whole", count(10, 2, 2), []float32{11, 13, 15, 17}}, {"row", vec(10, 20), []float32{11, 22, 13, 24}}, {"1xN",
			f([]int{1, 2}, 10, 20), []float32{11, 22, 13, 24}},
		{"column", f([]int{2, 1}, 10, 20), []float32{11, 12, 23, 24}}, {"scalar", scalar(10), []float32{11, 12, 13,
			14}}, {"single", vec(10), []float32{11, 12, 13, 14}},
	} {
		cs.op("gemm with a "+c.name+" bias", "Gemm", ts{two, f([]int{2, 2}, 1, 0, 0, 1), c.bias}, f([]int{2, 2}, c.want...))
	}
	cs.both("gemm by inputs", "Gemm", ts{two, two, vec(100, 200)}, f([]int{2, 2}, 107, 210, 115, 222))
	cs.both("matmul of stacks", "MatMul", ts{count(1, 2, 1, 2), count(1, 2, 2, 1)}, f([]int{2, 1, 1}, 5, 25))
	cs.both("matmul of heads", "MatMul", ts{mixed(4, 1, 2, 3, 4, 5), mixed(4, 2, 2, 3, 5, 2)}, product(mixed(4, 1, 2, 3, 4, 5), mixed(4, 2, 2, 3, 5, 2)))
	cs.both("matmul of stacks that broadcast", "MatMul", ts{mixed(4, 1, 2, 1, 2, 3), mixed(4, 2, 1, 3, 3, 2)},
		product(mixed(4, 1, 2, 1, 2, 3), mixed(4, 2, 1, 3, 3, 2)))
	cs.op("matmul of a stack by one matrix", "MatMul", ts{mixed(4, 1, 2, 3, 4), mixed(4, 2, 4, 5)}, product(mixed(4, 1, 2, 3, 4), mixed(4, 2, 4, 5)))
	cs.both("matmul of one matrix by a stack", "MatMul", ts{mixed(4, 1, 3, 4), mixed(4, 2, 2, 4, 5)}, product(mixed(4, 1, 3, 4), mixed(4, 2, 2, 4, 5)))
	cs.op("matmul of no round size", "MatMul", ts{mixed(4, 3, 37, 131), mixed(4, 4, 131, 67)}, product(mixed(4, 3, 37, 131), mixed(4, 4, 131, 67)))
	cs.both("matmul of a row by a column", "MatMul", ts{vec(1, 2), vec(3, 4)}, scalar(11))
	cs.both("matmul of a vector by a matrix", "MatMul", ts{vec(1, 10), count(1, 2, 3)}, vec(41, 52, 63))
	cs.both("matmul of a matrix by a vector", "MatMul", ts{count(1, 3, 2), vec(1, 10)}, vec(21, 43, 65))
	cs.both("matmul of a vector by a stack", "MatMul", ts{vec(1, 10), count(1, 2, 2, 1)}, f([]int{2, 1}, 21, 43))
	cs.both("matmul of a stack by a vector", "MatMul", ts{count(1, 2, 1, 2), vec(1, 10)}, f([]int{2, 1}, 21, 43))
	cs.both("matmul over nothing", "MatMul", ts{f([]int{2, 0}), f([]int{0, 2})}, f([]int{2, 2}, 0, 0, 0, 0))
	u, s := tensor.Of([]uint8{200, 3, 1, 255}, 2, 2), tensor.Of([]int8{-1, 2, 3, -128}, 2, 2)
	cs.op("matmulinteger", "MatMulInteger", ts{u, s}, tensor.Of([]int32{-191, 16, 764, -32638}, 2, 2))
	cs.op("matmulinteger with zero points", "MatMulInteger", ts{u, s, tensor.Scalar(uint8(100)),
		tensor.Scalar(int8(1))}, tensor.Of([]int32{-394, 12613, 508, -20094}, 2, 2))
	cs.op("matmulinteger, zero point of a alone", "MatMulInteger", ts{u, tensor.Of([]uint8{1, 0, 0, 1}, 2, 2),
		tensor.Scalar(uint8(100))}, tensor.Of([]int32{100, -97, -99, 155}, 2, 2))
	cs.both("einsum", "Einsum", ts{count(1, 1, 2, 2), count(1, 1, 2, 2)}, f([]int{1, 2, 2}, 5, 11, 11, 25), text("equation", "bij,bkj->bik"))
	return cs
}

// product multiplies the last two axes, row by column, and broadcasts the others.
func product(a, b *tensor.Tensor) *tensor.Tensor {
	// Each row of a against each column of b is a broadcast product summed over its
	// last axis.
	m, k, n := a.Shape[len(a.Shape)-2], a.Shape[len(a.Shape)-1], b.Shape[len(b.Shape)-1]
	cols := make([]float32, 0, len(tensor.Data[float32](b)))
	for s := 0; s < len(tensor.Data[float32](b)); s += k * n {
		for j := range n {
			for i := range k {
				cols = append(cols, tensor.Data[float32](b)[s+i*n+j])
			}
		}
	}
	as := append(append([]int{}, a.Shape[:len(a.Shape)-2]...), m, 1, k)
	bs := append(append([]int{}, b.Shape[:len(b.Shape)-2]...), 1, n, k)
	all := broadcast(shaped(a, as...), tensor.Of(cols, bs...), func(x, y float32) float32 { return x * y })
	sums := make([]float32, len(tensor.Data[float32](all))/k)
	for i, v := range tensor.Data[float32](all) {
		sums[i/k] += v
	}
	return tensor.Of(sums, all.Shape[:len(all.Shape)-1]...)
}
