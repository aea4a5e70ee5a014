package rewrite

import "github.com/onnxprobe/onnxprobe/onnx"

// lower lowers one operator: it adds nodes of the dialect and returns the value that the
// node's first output is; further outputs it binds itself. Its node's inputs are as the
// new graph names them, trailing omitted ones cut off. An error made by left leaves the
// node as it was.
type lower func(*lowering, *onnx.Node) (string, error)

// lowerings says how each operator is lowered, of every version of ONNX's operators
// up to 25. One of another domain is named with it.
var lowerings map[string]lower

func init() {
	lowerings = map[string]lower{
		"LeakyRelu": unary("alpha"), "Elu": unary("alpha"), "Celu": unary("alpha"), "ThresholdedRelu": unary("alpha"),
		"HardSigmoid": unary("alpha", "beta"), "Gelu": unary("approximate"), "IsInf": unary("detect_negative", "detect_positive"),
		"Selu": selu,

		"Mod": binary("fmod"), "Pow": pow, "PRelu": prelu,
		"Max": chain("Max"), "Min": chain("Min"), "Sum": chain("Add"), "Mean": mean,
		"Clip": clip, "Where": where, "Cast": castTo, "CastLike": castTo,
		"Identity": identity, "Dropout": dropout,
		"Swish": swish(1), "Shrink": shrink,
		"com.microsoft.Gelu": gelu("none"), "com.microsoft.BiasGelu": gelu("none"), "com.microsoft.FastGelu": gelu("tanh"),
		"com.microsoft.QuickGelu": swish(1.702),

		"Conv": conv, "ConvTranspose": convTranspose, "MaxPool": pool, "AveragePool": pool,
		"GlobalAveragePool": globalPool("ReduceMean"), "GlobalMaxPool": globalPool("ReduceMax"),
		"MatMul": matMul, "MatMulInteger": matMulInteger, "Gemm": gemm, "Einsum": einsum,

		"BatchNormalization": batchNorm, "LayerNormalization": layerNorm, "InstanceNormalization": instanceNorm,
		"GroupNormalization": groupNorm, "MeanVarianceNormalization": meanVariance, "LpNormalization": lpNorm,
		"RMSNormalization": rmsNorm, "SimplifiedLayerNormalization": rmsNorm,
		"LRN": lrn,

		"Softmax": softmax, "LogSoftmax": softmax,
		"ReduceSum": reduces("ReduceSum"), "ReduceMean": reduces("ReduceMean"), "ReduceMax": reduces("ReduceMax"),
		"ReduceMin": reduces("ReduceMin"), "ReduceProd": reduces("ReduceProd"),
		"ReduceL1": reduction(reduceL1, false), "ReduceL2": reduction(reduceL2, false), "ReduceSumSquare": reduction(reduceSumSquare, false),
		"ReduceLogSum": reduction(reduceLogSum, false), "ReduceLogSumExp": reduction(reduceLogSumExp, false),
		"ArgMax": argument, "ArgMin": argument, "CumSum": cumSum,

		"Reshape": reshaped, "Flatten": reshaped,
		"Squeeze": reshaped, "Unsqueeze": reshaped,
		"Transpose": transposed, "Concat": concat, "Slice": sliced,
		"Split": split, "Gather": gather, "Expand": expand,
		"Tile": tile, "Pad": padded, "Trilu": trilu,
		"DepthToSpace": depthToSpace, "SpaceToDepth": spaceToDepth,
		"Resize": resize, "Upsample": resize,

		"Constant": madeConstant, "ConstantOfShape": constantOfShape,
		"EyeLike": eyeLike, "Range": ranged,
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
