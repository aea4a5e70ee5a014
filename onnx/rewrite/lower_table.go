package rewrite

import "github.com/onnxprobe/onnxprobe/onnx"

// row lowers one operator. do adds nodes of the dialect and returns the value that
// the node's first output is; further outputs it binds itself. Its node's inputs
// are as the new graph names them, trailing omitted ones cut off. An error made by
// left leaves the node as it was.
type row struct {
	do func(*lowering, *onnx.Node) (string, error)
	// moves says that the operator only moves data, so that 16-bit floats stay
	// what they are.
	moves bool
}

// lowerings says how each operator is lowered, of every version of ONNX's operators
// up to 25. One of another domain is named with it.
var lowerings map[string]row

func init() {
	lowerings = map[string]row{
		"LeakyRelu": unary("alpha"), "Elu": unary("alpha"), "Celu": unary("alpha"), "ThresholdedRelu": unary("alpha"),
		"HardSigmoid": unary("alpha", "beta"), "Gelu": unary("approximate"), "IsInf": unary("detect_negative", "detect_positive"),
		"Selu": {do: selu},

		"Mod": binary("fmod"), "Pow": {do: pow}, "PRelu": {do: prelu},
		"Max": {do: chain("Max")}, "Min": {do: chain("Min")}, "Sum": {do: chain("Add")}, "Mean": {do: mean},
		"Clip": {do: clip}, "Where": {do: where, moves: true}, "Cast": {do: castTo, moves: true}, "CastLike": {do: castTo, moves: true},
		"Identity": {do: identity, moves: true}, "Dropout": {do: dropout, moves: true},
		"Swish": {do: swish(1)}, "Shrink": {do: shrink},
		"com.microsoft.Gelu": {do: gelu("none")}, "com.microsoft.BiasGelu": {do: gelu("none")}, "com.microsoft.FastGelu": {do: gelu("tanh")},
		"com.microsoft.QuickGelu": {do: swish(1.702)},

		"Conv": {do: conv}, "ConvTranspose": {do: convTranspose}, "MaxPool": {do: pool}, "AveragePool": {do: pool},
		"GlobalAveragePool": {do: globalPool("ReduceMean")}, "GlobalMaxPool": {do: globalPool("ReduceMax")},
		"MatMul": {do: matMul}, "MatMulInteger": {do: matMulInteger}, "Gemm": {do: gemm}, "Einsum": {do: einsum},

		"BatchNormalization": {do: batchNorm}, "LayerNormalization": {do: layerNorm}, "InstanceNormalization": {do: instanceNorm},
		"GroupNormalization": {do: groupNorm}, "MeanVarianceNormalization": {do: meanVariance}, "LpNormalization": {do: lpNorm},
		"RMSNormalization": {do: rmsNorm}, "SimplifiedLayerNormalization": {do: rmsNorm},
		"LRN": {do: lrn},

		"Softmax": {do: softmax}, "LogSoftmax": {do: softmax},
		"ReduceSum": reduces("ReduceSum"), "ReduceMean": reduces("ReduceMean"), "ReduceMax": reduces("ReduceMax"),
		"ReduceMin": reduces("ReduceMin"), "ReduceProd": reduces("ReduceProd"),
		"ReduceL1": reduction(reduceL1, false), "ReduceL2": reduction(reduceL2, false), "ReduceSumSquare": reduction(reduceSumSquare, false),
		"ReduceLogSum": reduction(reduceLogSum, false), "ReduceLogSumExp": reduction(reduceLogSumExp, false),
		"ArgMax": {do: argument}, "ArgMin": {do: argument}, "CumSum": {do: cumSum},

		"Reshape": {do: reshaped, moves: true}, "Flatten": {do: reshaped, moves: true},
		"Squeeze": {do: reshaped, moves: true}, "Unsqueeze": {do: reshaped, moves: true},
		"Transpose": {do: transposed, moves: true}, "Concat": {do: concat, moves: true}, "Slice": {do: sliced, moves: true},
		"Split": {do: split, moves: true}, "Gather": {do: gather, moves: true}, "Expand": {do: expand, moves: true},
		"Tile": {do: tile, moves: true}, "Pad": {do: padded, moves: true}, "Trilu": {do: trilu, moves: true},
		"DepthToSpace": {do: depthToSpace, moves: true}, "SpaceToDepth": {do: spaceToDepth, moves: true},
		"Resize": {do: resize}, "Upsample": {do: resize},

		"Constant": {do: madeConstant, moves: true}, "ConstantOfShape": {do: constantOfShape, moves: true},
		"EyeLike": {do: eyeLike, moves: true}, "Range": {do: ranged, moves: true},
	}
	for _, op := range []string{"Relu", "Sigmoid", "HardSwish", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Abs", "Neg", "Floor", "Ceil",
		"Round", "Sign", "Softplus", "Softsign", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Mish",
		"Not", "IsNaN"} {
		lowerings[op] = unary()
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Xor"} {
		lowerings[op] = binary()
	}
}

func identity(_ *lowering, n *onnx.Node) (string, error) { return n.Input(0), nil }
