package onnx

import "github.com/onnxprobe/onnxprobe/onnx/tensor"

// inference says what each operator's outputs look like. Operators of every
// opset are covered where the rule is the same or can tell them apart. One of another
// domain than ONNX's own is named with it.
var inference = map[string]func(call) ([]Fact, error){}

func init() {
	for _, rules := range []map[string]func(call) ([]Fact, error){
		alike(), constantRules(), unaryRules(), arithmeticRules(), comparisonRules(), logicRules(), variadicRules(), reductionRules(),
		quantizedRules(), selectionRules(), contribRules(), {
			"Cast": cast, "CastLike": castLike, "Where": where,
			"Conv": conv, "ConvInteger": conv, "DeformConv": func(c call) ([]Fact, error) { return conv(c.as("DeformConv", 0, 1)) },
			"ConvTranspose": convTranspose, "RoiAlign": roiAlign,
			"MaxPool": pool, "AveragePool": pool, "LpPool": pool,
			"GlobalAveragePool": globalPool, "GlobalMaxPool": globalPool, "GlobalLpPool": globalPool,
			"Gemm": gemm, "MatMul": matMul, "MatMulInteger": matMul, "Einsum": einsum,
			"Flatten": flatten, "Reshape": reshape, "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
			"Concat": concat, "Split": split, "Slice": slice,
			"Expand": expand, "Tile": tile, "Pad": pad, "Resize": resize, "Upsample": resize,
			"DepthToSpace": depthToSpace, "SpaceToDepth": spaceToDepth, "Dropout": dropout,
			"RNN": recurrent, "GRU": recurrent, "LSTM": recurrent, "Attention": attention, "GridSample": gridSample,
			"SwiGLU":       func(c call) ([]Fact, error) { return elementwise(c, c.at(0).DType, nil, 0, 1) },
			"RandomNormal": drawn, "RandomUniform": drawn, "RandomNormalLike": randomLike, "RandomUniformLike": randomLike, "Bernoulli": randomLike,
		},
	} {
		for op, rule := range rules {
			if inference[op] != nil {
				panic("two rules infer " + op)
			}
			inference[op] = rule
		}
	}
}

// alike are the operators whose output, or first output, is like the first input.
func alike() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for _, op := range []string{"LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "HardSigmoid",
		"HardSwish", "Gelu", "Mish", "Swish", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "Hardmax", "Erf", "Exp",
		"Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
		"BitShift", "Shrink", "LRN", "LpNormalization",
		"InstanceNormalization", "MeanVarianceNormalization", "CumSum", "Trilu", "ScatterND", "ScatterElements", "Scatter",
		"ReverseSequence", "LayerNormalization", "GroupNormalization", "BatchNormalization",
		"RMSNormalization", "SimplifiedLayerNormalization", "RotaryEmbedding", "TensorScatter", "BitwiseNot"} {
		rules[op] = likeFirst
	}
	rules["Identity"] = func(c call) ([]Fact, error) { return one(c.at(0)) }
	return rules
}

func one(f Fact) ([]Fact, error) { return []Fact{f}, nil }

// same is an output of input i's type and shape, of unknown content.
func (c call) same(i int) Fact { return Fact{DType: c.at(i).DType, Shape: c.at(i).Shape} }

func likeFirst(c call) ([]Fact, error) { return one(c.same(0)) }

func likeSecond(c call) ([]Fact, error) {
	return one(Fact{DType: c.at(0).DType, Shape: c.at(1).Shape})
}

func dropout(c call) ([]Fact, error) {
	return []Fact{c.same(0), {DType: tensor.Bool, Shape: c.at(0).Shape}}, nil
}
