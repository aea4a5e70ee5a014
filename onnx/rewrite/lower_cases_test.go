package rewrite_test

import (
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const (
	f16  = tensor.Float16
	i32  = tensor.Int32
	i64  = tensor.Int64
	u8   = tensor.Uint8
	i8   = tensor.Int8
	boo  = tensor.Bool
	once = "ONNX Runtime rounds within the operator too, and this rounds once, to 11 bits"
)

func rowCases() []one {
	var cs []one
	all := func(c ...one) { cs = append(cs, c...) }
	for _, op := range strings.Fields(`Relu Sigmoid HardSwish Tanh Erf Exp Log Sqrt Reciprocal Abs Neg Floor Ceil Round Sign Softplus Softsign
		Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Mish IsNaN LeakyRelu Elu Celu ThresholdedRelu HardSigmoid Gelu IsInf Selu`) {
		all(one{op: op, opset: 20, in: []any{sh{2, 3}}})
	}
	all(
		one{op: "LeakyRelu", opset: 16, in: []any{sh{2, 3}}, attrs: am{"alpha": .3}},
		one{op: "Elu", opset: 6, in: []any{sh{2, 3}}, attrs: am{"alpha": .3}},
		one{op: "Celu", opset: 12, in: []any{sh{2, 3}}, attrs: am{"alpha": .3}},
		one{op: "ThresholdedRelu", opset: 10, in: []any{sh{2, 3}}, attrs: am{"alpha": .3}},
		one{op: "HardSigmoid", opset: 6, in: []any{sh{2, 3}}, attrs: am{"alpha": .3, "beta": .1}},
		one{op: "Selu", opset: 6, in: []any{sh{2, 3}}, attrs: am{"alpha": 2., "gamma": 3.}},
		one{op: "Gelu", opset: 20, in: []any{sh{2, 3}}, attrs: am{"approximate": "tanh"}},
		one{op: "IsInf", opset: 10, in: []any{sh{2, 3}}, attrs: am{"detect_negative": 0}},
		one{op: "Abs", opset: 13, in: []any{of(i32, 4)}},
		one{op: "Relu", opset: 14, in: []any{half(2, 3)}, exact: true},
		one{op: "Tanh", opset: 13, in: []any{half(2, 3)}, loose: 1e-3, why: once},
		one{op: "Not", opset: 13, in: []any{of(boo, 4)}, exact: true},
	)
	for _, op := range strings.Fields("Add Sub Mul Div Pow Greater Less Equal GreaterOrEqual LessOrEqual PRelu") {
		all(one{op: op, opset: 16, in: []any{sh{2, 3}, sh{3}}}, one{op: op, opset: 16, in: []any{sh{2, 3}, floats(1, .5, 2)}})
	}
	for _, op := range strings.Fields("And Or Xor") {
		all(one{op: op, opset: 13, in: []any{of(boo, 2, 3), of(boo, 3)}, exact: true})
	}
	all(
		one{op: "Add", opset: 14, in: []any{half(2, 3), half(3)}, loose: 1e-3, why: once},
		one{op: "Add", opset: 14, in: []any{of(i64, 2, 3), of(i64, 3)}, exact: true},
		one{op: "Pow", opset: 13, in: []any{sh{2, 3}, ints(2)}}, one{op: "Pow", opset: 13, in: []any{of(i32, 2, 3), floats(2)}},
		one{op: "Mod", opset: 13, in: []any{of(i64, 2, 3), ints(2, 3, -2)}}, one{op: "Mod", opset: 13, in: []any{sh{2, 3}, floats(2)}, attrs: am{"fmod": 1}},
		one{op: "PRelu", opset: 9, in: []any{sh{2, 3, 2, 2}, tensor.Of([]float32{.1, .2, .3}, 3, 1, 1)}},
		one{op: "Sum", opset: 8, in: []any{sh{2, 3}, sh{3}, sh{2, 1}}}, one{op: "Sum", opset: 13, in: []any{sh{2, 3}}, exact: true},
		one{op: "Mean", opset: 13, in: []any{sh{2, 3}, sh{3}, sh{2, 1}}}, one{op: "Mean", opset: 13, in: []any{sh{2}}},
		one{op: "Max", opset: 13, in: []any{sh{2, 3}, sh{3}, sh{2, 1}}, exact: true}, one{op: "Min", opset: 13, in: []any{sh{2, 3}, sh{3}}, exact: true},
		one{op: "Max", opset: 13, in: []any{half(2, 3), half(3)}, exact: true},
		one{op: "Clip", opset: 13, in: []any{sh{2, 3}, scalar(-.5), scalar(.5)}, exact: true}, one{op: "Clip", opset: 13, in: []any{sh{2, 3}, "", scalar(.5)}, exact: true},
		one{op: "Clip", opset: 13, in: []any{sh{2, 3}}, exact: true}, one{op: "Clip", opset: 11, in: []any{sh{2, 3}, sh{}}, exact: true},
		one{op: "Clip", opset: 12, in: []any{of(i64, 9), tensor.Scalar(int64(0))}, exact: true}, one{op: "Clip", opset: 6, in: []any{sh{2, 3}}, attrs: am{"min": -.1}, exact: true},
		one{op: "Clip", opset: 12, in: []any{of(u8, 9), "", tensor.Scalar(uint8(9))}, exact: true}, one{op: "Clip", opset: 12, in: []any{of(i8, 9), tensor.Scalar(int8(9))}, exact: true},
		one{op: "Where", opset: 16, in: []any{of(boo, 2, 1), sh{3}, sh{2, 3}}, exact: true},
		one{op: "Cast", opset: 13, in: []any{sh{2, 3}}, attrs: am{"to": 6}, exact: true}, one{op: "Cast", opset: 13, in: []any{sh{2, 3}}, attrs: am{"to": 1}, exact: true},
		one{op: "Cast", opset: 13, in: []any{sh{2, 3}}, attrs: am{"to": 10}, exact: true}, one{op: "Cast", opset: 13, in: []any{half(2, 3)}, attrs: am{"to": 1}, exact: true},
		one{op: "CastLike", opset: 15, in: []any{of(i32, 3), sh{2}}, exact: true},
		one{op: "Identity", opset: 13, in: []any{half(2, 3)}, exact: true}, one{op: "Dropout", opset: 13, in: []any{sh{2, 3}}, exact: true},
		one{op: "Dropout", opset: 13, in: []any{sh{2, 3}, scalar(.3), tensor.Scalar(false)}, exact: true}, one{op: "Dropout", opset: 10, in: []any{sh{2, 3}}, attrs: am{"ratio": .2}, exact: true},
		one{op: "Swish", opset: 24, in: []any{sh{2, 3}}, attrs: am{"alpha": 1.5}}, one{op: "Swish", opset: 24, in: []any{sh{2, 3}}},
		one{op: "Shrink", opset: 9, in: []any{sh{4, 3}}, attrs: am{"lambd": .4, "bias": .2}}, one{op: "Shrink", opset: 9, in: []any{sh{4, 3}}},
		one{op: "com.microsoft.Gelu", opset: 17, in: []any{sh{2, 3}}}, one{op: "com.microsoft.BiasGelu", opset: 17, in: []any{sh{2, 3}, sh{3}}},
		one{op: "com.microsoft.FastGelu", opset: 17, in: []any{sh{2, 3}, floats(1, 2, 3)}}, one{op: "com.microsoft.QuickGelu", opset: 17, in: []any{sh{2, 3}}},
		one{op: "com.microsoft.QuickGelu", opset: 17, in: []any{sh{2, 3}}, attrs: am{"alpha": 1.}},
	)
	all(windowCases()...)
	all(linearCases()...)
	all(shapeCases()...)
	return cs
}

func windowCases() []one {
	var cs []one
	for _, auto := range []string{"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"} {
		a := am{"auto_pad": auto, "strides": []int64{2, 1}, "dilations": []int64{1, 2}}
		if auto == "NOTSET" {
			a["pads"] = []int64{1, 0, 2, 1}
		} else if auto != "VALID" {
			delete(a, "dilations") // ONNX Runtime has no SAME with dilations
		}
		cs = append(cs, one{op: "Conv", opset: 11, in: []any{sh{2, 4, 7, 8}, sh{6, 2, 3, 2}, sh{6}}, attrs: merge(a, am{"group": 2})},
			one{op: "AveragePool", opset: 11, in: []any{sh{2, 3, 7, 8}}, attrs: merge(a, am{"kernel_shape": []int64{3, 2}, "dilations": nil})},
			one{op: "MaxPool", opset: 12, in: []any{sh{2, 3, 7, 8}}, attrs: merge(a, am{"kernel_shape": []int64{3, 2}, "dilations": nil}), exact: true},
			one{op: "ConvTranspose", opset: 11, in: []any{sh{2, 4, 4, 5}, sh{4, 3, 3, 2}, sh{6}}, attrs: merge(a, am{"group": 2, "dilations": nil})})
	}
	return append(cs,
		one{op: "Conv", opset: 11, in: []any{sh{1, 2, 5, 5}, sh{3, 2, 3, 3}}}, one{op: "Conv", opset: 11, in: []any{half(1, 2, 5, 5), half(3, 2, 3, 3)}, loose: 2e-3, why: once},
		one{op: "Conv", opset: 11, in: []any{sh{2, 4, 9}, sh{6, 2, 3}, sh{6}}, attrs: am{"group": 2, "pads": []int64{1, 2}, "strides": []int64{2}}},
		one{op: "ConvTranspose", opset: 11, in: []any{sh{2, 4, 9}, sh{4, 3, 3}}, attrs: am{"pads": []int64{1, 0}, "strides": []int64{2}, "output_padding": []int64{1}}},
		one{op: "ConvTranspose", opset: 11, in: []any{sh{1, 2, 3, 3}, sh{2, 2, 3, 3}}, attrs: am{"strides": []int64{3, 2}, "output_shape": []int64{10, 8}}},
		one{op: "ConvTranspose", opset: 11, in: []any{sh{1, 2, 3, 3}, sh{2, 2, 3, 3}}, attrs: am{"strides": []int64{3, 2}, "output_shape": []int64{8, 6}, "auto_pad": "SAME_UPPER"}},
		one{op: "ConvTranspose", opset: 11, in: []any{sh{1, 2, 3, 3}, sh{2, 2, 3, 3}}, attrs: am{"dilations": []int64{2, 1}, "pads": []int64{1, 1, 0, 2}}},
		one{op: "MaxPool", opset: 12, in: []any{sh{2, 3, 9}}, attrs: am{"kernel_shape": []int64{3}, "strides": []int64{2}, "ceil_mode": 1}, exact: true},
		one{op: "MaxPool", opset: 12, in: []any{sh{2, 3, 9, 9}}, attrs: am{"kernel_shape": []int64{3, 3}, "dilations": []int64{2, 1}}, exact: true},
		one{op: "AveragePool", opset: 10, in: []any{sh{2, 3, 9}}, attrs: am{"kernel_shape": []int64{3}, "pads": []int64{1, 1}, "count_include_pad": 1}},
		one{op: "AveragePool", opset: 19, in: []any{sh{2, 3, 8, 8}}, attrs: am{"kernel_shape": []int64{3, 3}, "strides": []int64{2, 2}, "ceil_mode": 1}},
		one{op: "GlobalAveragePool", opset: 1, in: []any{sh{2, 3, 4, 5}}}, one{op: "GlobalAveragePool", opset: 13, in: []any{sh{2, 3, 4}}},
		one{op: "GlobalMaxPool", opset: 13, in: []any{sh{2, 3, 4, 2, 2}}, exact: true},
		one{op: "BatchNormalization", opset: 15, in: []any{sh{2, 3, 4}, floats(1, 2, 3), floats(.1, .2, .3), floats(-1, 0, 1), floats(.5, 1, 2)}, attrs: am{"epsilon": .01}},
		one{op: "BatchNormalization", opset: 9, in: []any{sh{2, 3}, floats(1, 2, 3), floats(.1, .2, .3), floats(-1, 0, 1), floats(.5, 1, 2)}},
		one{op: "BatchNormalization", opset: 9, in: []any{sh{2, 3, 2, 2}, sh{3}, floats(.1, .2, .3), sh{3}, floats(.5, 1, 2)}},
		one{op: "InstanceNormalization", opset: 6, in: []any{sh{2, 3, 4, 4}, floats(1, 2, 3), sh{3}}}, one{op: "LRN", opset: 13, in: []any{sh{2, 7, 3, 2}}, attrs: am{"size": 3, "alpha": .5, "beta": .6, "bias": 2.}},
		one{op: "LRN", opset: 1, in: []any{sh{1, 3, 2, 2}}, attrs: am{"size": 5}}, one{op: "MeanVarianceNormalization", opset: 13, in: []any{sh{2, 3, 4, 4}}},
		one{op: "MeanVarianceNormalization", opset: 9, in: []any{sh{2, 3, 4}}, attrs: am{"axes": []int64{0, -1}}},
	)
}

func merge(a, b am) am {
	out := am{}
	for _, m := range []am{a, b} {
		for k, v := range m {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

func linearCases() []one {
	w := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	var cs []one
	for _, op := range strings.Fields("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceLogSum") {
		x := any(sh{2, 3, 4})
		if op == "ReduceLogSum" { // of positive numbers
			x = tensor.Of([]float32{1, 2, 3, 4, .5, .1, 1, 1}, 2, 2, 2)
		}
		cs = append(cs, one{op: op, opset: 18, in: []any{x, ints(-1, 0)}}, one{op: op, opset: 18, in: []any{x}, attrs: am{"keepdims": 0}},
			one{op: op, opset: 12, in: []any{x}, attrs: am{"axes": []int64{1}, "keepdims": 0}})
	}
	for _, op := range []string{"Softmax", "LogSoftmax"} {
		cs = append(cs, one{op: op, opset: 13, in: []any{sh{2, 3, 4}}}, one{op: op, opset: 13, in: []any{sh{2, 3, 4}}, attrs: am{"axis": 0}},
			one{op: op, opset: 11, in: []any{sh{2, 3, 4}}}, one{op: op, opset: 11, in: []any{sh{2, 3, 4}}, attrs: am{"axis": 2}}, one{op: op, opset: 13, in: []any{half(2, 3)}, loose: 2e-3, why: once})
	}
	for _, op := range []string{"ArgMax", "ArgMin"} {
		cs = append(cs, one{op: op, opset: 13, in: []any{sh{2, 3, 4}}, attrs: am{"axis": -1, "keepdims": 0}}, one{op: op, opset: 13, in: []any{tensor.Of([]float32{1, 1, 0, 0}, 2, 2)}, attrs: am{"axis": 1, "select_last_index": 1}})
	}
	for _, s := range [][2]sh{{{2, 3}, {3, 4}}, {{3}, {3, 4}}, {{2, 3}, {3}}, {{3}, {3}}, {{5, 2, 3}, {3}}, {{3}, {5, 3, 2}}, {{5, 1, 2, 3}, {4, 3, 2}}} {
		cs = append(cs, one{op: "MatMul", opset: 13, in: []any{s[0], s[1]}})
	}
	for _, eq := range []struct {
		eq   string
		in   []any
		omit bool
	}{{"bhqd,bhkd->bhqk", []any{sh{2, 2, 3, 4}, sh{2, 2, 5, 4}}, false}, {"ij,jk", []any{sh{2, 3}, sh{3, 4}}, false}, {"bij,bjk->kib", []any{sh{2, 3, 4}, sh{2, 4, 5}}, false}, {"ij->j", []any{sh{2, 3}}, false},
		{"ab->ba", []any{sh{2, 3}}, false}, {"abc,cd->ad", []any{sh{2, 3, 4}, sh{4, 5}}, false}, {"i,j->ij", []any{sh{2}, sh{3}}, false}, {"i,i->", []any{sh{3}, sh{3}}, false}} {
		cs = append(cs, one{op: "Einsum", opset: 12, in: eq.in, attrs: am{"equation": eq.eq}})
	}
	return append(cs,
		one{op: "ReduceSum", opset: 13, in: []any{sh{2, 3}}, attrs: am{"noop_with_empty_axes": 1}, exact: true}, one{op: "ReduceMax", opset: 18, in: []any{of(i64, 2, 3), ints(1)}, exact: true},
		one{op: "ReduceMean", opset: 13, in: []any{half(2, 3)}, loose: 2e-3, why: once},
		one{op: "MatMulInteger", opset: 10, in: []any{of(u8, 2, 3), of(i8, 3, 4)}, exact: true}, one{op: "MatMulInteger", opset: 10, in: []any{of(u8, 2, 3), of(i8, 3, 4), tensor.Scalar(uint8(7)), tensor.Of([]int8{1, 2, 3, 4}, 4)}, exact: true},
		one{op: "MatMulInteger", opset: 10, in: []any{of(u8, 2, 3), of(u8, 3, 4), tensor.Scalar(uint8(0))}, exact: true}, one{op: "MatMulInteger", opset: 10, in: []any{of(u8, 2, 3), of(u8, 3, 4), of(u8, 1)}, exact: true},
		one{op: "Gemm", opset: 13, in: []any{sh{2, 3}, sh{3, 4}}}, one{op: "Gemm", opset: 13, in: []any{sh{3, 2}, sh{4, 3}, sh{4}}, attrs: am{"transA": 1, "transB": 1, "alpha": .5, "beta": 2.}},
		one{op: "Gemm", opset: 9, in: []any{sh{4, 3}, w, floats(1, 2)}, attrs: am{"transB": 1, "alpha": .5, "beta": .5}}, one{op: "Gemm", opset: 11, in: []any{w, sh{3, 4}, sh{2, 1}}, attrs: am{"alpha": 3.}},
		one{op: "Gemm", opset: 7, in: []any{sh{4, 3}, w, scalar(1)}, attrs: am{"transB": 1, "beta": 0.}}, one{op: "Gemm", opset: 13, in: []any{half(2, 3), half(3, 4), half(4)}, loose: 2e-3, why: once},
		one{op: "LayerNormalization", opset: 17, in: []any{sh{2, 3, 4}, floats(1, 2, 3, 4), sh{4}}}, one{op: "LayerNormalization", opset: 17, in: []any{sh{2, 3, 4}, tensor.Of([]float32{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, 3, 4)}, attrs: am{"axis": 1, "epsilon": .1}},
		one{op: "LayerNormalization", opset: 17, in: []any{half(2, 4), half(4)}, loose: 2e-3, why: once},
		one{op: "RMSNormalization", opset: 23, in: []any{sh{2, 3, 4}, sh{4}}}, one{op: "SimplifiedLayerNormalization", opset: 17, in: []any{sh{2, 3, 4}, sh{4}}, attrs: am{"epsilon": .1}},
		one{op: "GroupNormalization", opset: 21, in: []any{sh{2, 4, 3, 3}, floats(1, 2, 3, 4), sh{4}}, attrs: am{"num_groups": 2}}, one{op: "GroupNormalization", opset: 18, in: []any{sh{2, 4, 3, 3}, floats(1, 2), sh{2}}, attrs: am{"num_groups": 2}},
		one{op: "LpNormalization", opset: 1, in: []any{sh{2, 3, 4}}}, one{op: "LpNormalization", opset: 1, in: []any{sh{2, 3}}, attrs: am{"p": 1, "axis": 0}}, one{op: "LpNormalization", opset: 1, in: []any{tensor.Of(make([]float32, 4), 2, 2)}},
		one{op: "CumSum", opset: 14, in: []any{sh{2, 7}, ints(1)}}, one{op: "CumSum", opset: 14, in: []any{of(i32, 5, 2), ints(-2)}, attrs: am{"exclusive": 1, "reverse": 1}, exact: true}, one{op: "CumSum", opset: 11, in: []any{sh{1, 3}, tensor.Scalar(int64(0))}, attrs: am{"exclusive": 1}},
	)
}

func shapeCases() []one {
	move := func(op string, opset int64, a am, in ...any) one {
		return one{op: op, opset: opset, in: in, attrs: a, exact: true}
	}
	cs := []one{
		move("Reshape", 13, nil, sh{2, 3, 4}, ints(0, -1)), move("Reshape", 13, nil, sh{1}, ints()), move("Reshape", 14, am{"allowzero": 1}, half(2, 3), ints(3, 2)),
		move("Flatten", 13, nil, sh{2, 3, 4}), move("Flatten", 13, am{"axis": -1}, sh{2, 3, 4}), move("Flatten", 13, am{"axis": 0}, sh{2, 3, 4}),
		move("Squeeze", 13, nil, sh{1, 3, 1}), move("Squeeze", 13, nil, sh{1, 3, 1}, ints(-1)), move("Squeeze", 11, am{"axes": sh{0}}, sh{1, 3, 1}),
		move("Unsqueeze", 13, nil, sh{2, 3}, ints(-1, 0)), move("Unsqueeze", 11, am{"axes": sh{1}}, sh{2, 3}),
		move("Transpose", 13, nil, sh{2, 3, 4}), move("Transpose", 13, am{"perm": sh{1, 0, 2}}, half(2, 3, 4)), move("Transpose", 13, am{"perm": sh{0, 1}}, sh{2, 3}),
		move("Concat", 13, am{"axis": -1}, sh{2, 3}, sh{2, 1}, sh{2, 2}), move("Concat", 13, am{"axis": 0}, sh{2, 3}), move("Concat", 13, am{"axis": 1}, sh{2, 3}, tensor.Of([]float32{}, 2, 0), sh{2, 1}),
		move("Slice", 13, nil, sh{4, 5}, ints(1), ints(3)), move("Slice", 13, nil, sh{4, 5}, ints(-1, 9), ints(-99, 1), ints(0, -1), ints(-1, -2)),
		move("Slice", 13, nil, sh{4, 5}, ints(-1), ints(0), ints(1), ints(-3)), move("Slice", 9, am{"starts": sh{1}, "ends": sh{1 << 62}, "axes": sh{1}}, sh{4, 5}), move("Slice", 10, nil, sh{4, 5}, ints(0), ints(1<<40), ints(1), ints(2)),
		move("Slice", 13, nil, sh{4, 5}, ints(-9), ints(9), ints(1)), move("Slice", 13, nil, half(5), ints(4), ints(-6), ints(0), ints(-1<<40)),
		{op: "Split", opset: 13, in: []any{sh{2, 6}, ints(1, 2, 3)}, attrs: am{"axis": -1}, outs: 3, exact: true}, {op: "Split", opset: 11, in: []any{sh{4, 2}}, outs: 2, exact: true},
		{op: "Split", opset: 18, in: []any{sh{7, 2}}, attrs: am{"num_outputs": 3}, outs: 3, exact: true}, {op: "Split", opset: 13, in: []any{sh{3, 2}, ints(3)}, outs: 1, exact: true},
		{op: "Split", opset: 11, in: []any{sh{2, 6}}, attrs: am{"axis": 1, "split": sh{4, 2}}, outs: 2, exact: true},
		move("Gather", 13, nil, sh{4, 5}, tensor.Of([]int64{0, -1, 2, -4}, 2, 2)), move("Gather", 13, am{"axis": -1}, sh{4, 5}, tensor.Scalar(int64(-2))), move("Gather", 13, nil, sh{4, 5}, of(i32, 3)),
		move("Expand", 13, nil, sh{3, 1}, ints(2, 1, 4)), move("Expand", 13, nil, sh{3, 2}, ints(1)), move("Tile", 13, nil, sh{2, 3}, ints(3, 2)), move("Tile", 13, nil, sh{2, 3}, ints(1, 1)), move("Tile", 6, nil, sh{1, 3}, ints(4, 1)),
		move("Pad", 13, nil, sh{2, 3}, ints(1, 0, 2, 1)), move("Pad", 13, nil, sh{4, 3}, ints(-1, 0, 2, -1), scalar(3)), move("Pad", 18, am{"mode": "reflect"}, sh{4, 3}, ints(1, 2), "", ints(1)),
		move("Pad", 13, am{"mode": "edge"}, sh{2, 3}, ints(1, 1, 2, 1)), move("Pad", 19, am{"mode": "wrap"}, sh{2, 3}, ints(1, 1, 0, 1)), move("Pad", 9, am{"pads": sh{0, 1, 0, 1}, "value": 2.}, sh{2, 3}),
		move("Pad", 18, nil, of(i64, 2, 3), ints(1, 1), "", ints(-2)), move("Pad", 13, nil, sh{2}, ints(0, 0)),
		move("Trilu", 14, nil, sh{2, 3, 4}), move("Trilu", 14, am{"upper": 0}, of(i64, 3, 4), tensor.Scalar(int64(-1))), move("Trilu", 14, nil, sh{3, 3}, tensor.Scalar(int64(99))),
		move("DepthToSpace", 13, am{"blocksize": 2}, sh{2, 8, 3, 2}), move("DepthToSpace", 13, am{"blocksize": 2, "mode": "CRD"}, sh{2, 8, 3, 2}), move("SpaceToDepth", 13, am{"blocksize": 2}, sh{2, 3, 4, 6}),
		move("Constant", 13, am{"value": tensor.Of(make([]float32, 5000), 50, 100)}), move("Constant", 13, am{"value": floats(1, 2)}), move("Constant", 13, am{"value_ints": sh{1, 2}}), move("Constant", 13, am{"value_float": 2.}),
		move("ConstantOfShape", 9, nil, ints(70, 80)), move("ConstantOfShape", 9, am{"value": ints(7)}, ints(2, 3)), move("ConstantOfShape", 9, am{"value": ints(1<<60 + 1)}, ints(2, 3)),
		move("EyeLike", 9, am{"k": 1}, sh{3, 4}), move("EyeLike", 9, am{"k": -1, "dtype": 7}, of(i32, 3, 4)),
		move("Range", 11, nil, tensor.Scalar(int64(1)), tensor.Scalar(int64(9000)), tensor.Scalar(int64(2))), move("Range", 11, nil, scalar(1), scalar(4), scalar(.5)), move("Range", 11, nil, tensor.Scalar(int64(5)), tensor.Scalar(int64(-5)), tensor.Scalar(int64(-2))),
		{op: "Upsample", opset: 9, in: []any{sh{1, 2, 3, 4}, floats(1, 1, 2, 3)}, exact: true}, {op: "Upsample", opset: 7, in: []any{sh{1, 2, 3, 4}}, attrs: am{"mode": "linear", "scales": []float32{1, 1, 2, 2.5}}},
		{op: "Resize", opset: 10, in: []any{sh{1, 2, 5, 4}, floats(1, 1, .6, 2)}, exact: true}, {op: "Resize", opset: 10, in: []any{sh{1, 2, 5, 4}, floats(1, 1, .6, 2)}, attrs: am{"mode": "linear"}},
		{op: "Resize", opset: 18, in: []any{sh{2, 5, 4, 1}, "", "", ints(7, 3)}, attrs: am{"axes": sh{1, 2}}, exact: true},
		{op: "Resize", opset: 13, in: []any{sh{1, 1, 5, 4}, "", floats(1, 1, 1.3, .7)}, attrs: am{"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -.5}},
		{op: "Resize", opset: 13, in: []any{sh{1, 1, 5, 4}, "", floats(1, 1, 2, .5)}, attrs: am{"mode": "cubic"}},
	}
	// Coordinates in the middle of two elements but for rounding.
	for _, how := range strings.Fields("round_prefer_floor round_prefer_ceil floor ceil") {
		for _, where := range strings.Fields("half_pixel asymmetric half_pixel_symmetric") {
			for _, c := range [][2]int64{{20, 6}, {14, 19}, {14, 31}, {7, 2}, {5, 3}, {3, 11}} {
				cs = append(cs, one{op: "Resize", opset: 19, in: []any{sh{1, 1, c[0], 1}, "", "", ints(1, 1, c[1], 1)}, attrs: am{"coordinate_transformation_mode": where, "nearest_mode": how}, exact: true})
			}
		}
	}
	for _, where := range strings.Fields("half_pixel pytorch_half_pixel align_corners asymmetric half_pixel_symmetric") {
		for _, size := range []*tensor.Tensor{ints(1, 2, 7, 9), ints(1, 2, 4, 1), ints(1, 2, 5, 8)} {
			cs = append(cs, one{op: "Resize", opset: 19, in: []any{sh{1, 2, 5, 4}, "", "", size}, attrs: am{"mode": "linear", "coordinate_transformation_mode": where}})
			for _, how := range strings.Fields("round_prefer_floor round_prefer_ceil floor ceil") {
				cs = append(cs, one{op: "Resize", opset: 19, in: []any{sh{1, 2, 5, 4}, "", "", size}, attrs: am{"coordinate_transformation_mode": where, "nearest_mode": how}, exact: true})
			}
		}
	}
	return cs
}
