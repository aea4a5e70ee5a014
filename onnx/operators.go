package onnx

import "strings"

// Operator is what the project knows of one operator: facts, no functions. Packages
// that compute with operators keep functions of their own by its name; their tests
// range over Operators and fail where a fact demands one that is missing.
type Operator struct {
	// Name is the operator's; one of another domain than ONNX's own is named with it:
	// com.microsoft.Gelu.
	Name string
	// Affine holds the inputs in which, taken together, the outputs are affine while
	// the others stay as they are.
	Affine Inputs
	// Traits are what else holds of it.
	Traits Trait
	// Verdict is what is said of a node that is not affine in what comes from the data.
	Verdict Verdict
	// Why is the reason beside a Verdict, where the operator's name does not say it.
	Why string
}

// Inputs is a set of an operator's inputs: bit i stands for the i-th.
type Inputs uint32

// Sets of inputs.
const (
	First  Inputs = 1 << 0
	Second Inputs = 1 << 1
	Third  Inputs = 1 << 2
	All    Inputs = 1<<32 - 1
)

// Has says whether the i-th input is in the set.
func (s Inputs) Has(i int) bool { return s == All || i < 32 && s&(1<<i) != 0 }

// Trait is a set of facts.
type Trait uint16

// The facts.
const (
	// Bilinear is affine in each of two factors (all inputs of an Einsum) while the
	// others stay as they are; what Affine holds is added to the product.
	Bilinear Trait = 1 << iota
	// Piecewise is piecewise linear: it bends.
	Piecewise
	// Smooth is curved, everywhere or over whole pieces.
	Smooth
	// Step is piecewise constant: its output says on which piece the input is.
	Step
	// Grid rounds its input, which its output stands for.
	Grid
	// Moves only moves data: every element of its output is one of an input, or a
	// constant.
	Moves
	// Window reads windows of its input's spatial axes.
	Window
	// Random draws random numbers; some operators only where an attribute says so.
	Random
	// Body computes graphs that it holds.
	Body
	// Shaped has an output whose shape follows from its inputs' shapes, constants and
	// attributes.
	Shaped
	// HidesNaN may make a number of a NaN, or a choice.
	HidesNaN
	// Lowered is run by the pure-Go engine, in the forms that its lowering takes.
	Lowered
)

// Verdict is what a survey says of a node.
type Verdict uint8

// The verdicts.
const (
	// None: nothing; the operator bends nothing by itself. Where it is no longer affine,
	// as a product of two computed values, it is smooth.
	None Verdict = iota
	// AsSite: a site, or a bend that has none and is named.
	AsSite
	// AsSmooth: counted as smooth.
	AsSmooth
	// Named: a bend that has no site and is named.
	Named
	// Watched: a site where the user asks for it, else named.
	Watched
)

// OperatorNamed is the row of that name; nil where there is none.
func OperatorNamed(name string) *Operator { return operators[name] }

// Operator is the row of the node's operator; nil for one that is not in Operators.
func (n *Node) Operator() *Operator { return operators[n.FullOp()] }

// FullOp names the node's operator as Operators does: with its domain where it is
// not ONNX's own.
func (n *Node) FullOp() string { return n.Callee().Operator() }

var operators = func() map[string]*Operator {
	by := map[string]*Operator{}
	for i := range Operators {
		if by[Operators[i].Name] != nil {
			panic("two rows for the operator " + Operators[i].Name)
		}
		by[Operators[i].Name] = &Operators[i]
	}
	return by
}()

// Operators is the table of every operator that the project knows anything of, of all
// versions of ONNX's own up to 25. To teach it one, add a row; tests say which
// functions the facts demand.
var Operators = rows

var rows = func() []Operator {
	var all []Operator
	// add adds a row for each name of a list.
	add := func(names string, affine Inputs, traits Trait, v Verdict, why ...string) {
		for _, name := range strings.Fields(names) {
			all = append(all, Operator{name, affine, traits, v, strings.Join(why, "")})
		}
	}
	const run = Shaped | Lowered

	// Activations.
	add("Relu LeakyRelu PRelu HardSigmoid Abs Clip Max Min", 0, Piecewise|run, AsSite)
	add("ThresholdedRelu Shrink", 0, Piecewise|HidesNaN|run, AsSite)
	add("HardSwish Elu Selu Celu", 0, Piecewise|Smooth|run, AsSite)
	add("Gelu Swish Mish Softplus Softsign Tanh", 0, Smooth|run, AsSite)
	add("com.microsoft.Gelu com.microsoft.FastGelu com.microsoft.BiasGelu com.microsoft.QuickGelu", 0, Smooth|run, AsSite)
	add("Sign", 0, Step|run, AsSite)
	add("Greater Less GreaterOrEqual LessOrEqual", 0, Step|HidesNaN|run, AsSite)
	add("ReduceMax ReduceMin", 0, Piecewise|HidesNaN|run, AsSite)
	add("ReduceL1", 0, Piecewise|run, AsSite)
	add("GlobalMaxPool", 0, Piecewise|Window|HidesNaN|run, AsSite)
	add("MaxPool", 0, Piecewise|Window|HidesNaN|run, Watched)

	// Affine, and what only moves data.
	add("Add Sub Sum Mean", All, run, None)
	add("Neg GlobalAveragePool", First, run, None)
	add("ReduceSum ReduceMean CumSum", First, run, None)
	add("AveragePool", First, Window|run, None)
	add("Dropout", First, Moves|Random|run, None)
	add("Identity Cast CastLike Reshape Flatten Squeeze Unsqueeze Transpose Split Gather Expand Tile Trilu DepthToSpace SpaceToDepth Slice",
		First, Moves|run, None)
	add("Concat", All, Moves|run, None)
	add("Pad", First|Third, Moves|run, None)
	add("Where", Second|Third, Moves|run, None)
	add("Resize Upsample", First, run, None)
	add("GatherElements GatherND ReverseSequence Compress", First, Moves|Shaped, None)
	add("CenterCropPad", First, Moves, None)
	add("ScatterElements ScatterND Scatter TensorScatter", First|Third, Moves|Shaped, None)
	add("BatchNormalization", First, Random|run, None)
	add("Col2Im AffineGrid DFT STFT", First, 0, None)
	add("Constant ConstantOfShape EyeLike Range", 0, Moves|run, None)
	add("Shape Size", 0, Shaped, None)
	add("SequenceConstruct SequenceAt SequenceInsert SequenceErase SequenceEmpty SequenceLength SplitToSequence "+
		"ConcatFromSequence Optional OptionalGetElement OptionalHasElement",
		All, Moves, None)
	add("HannWindow HammingWindow BlackmanWindow MelWeightMatrix", 0, 0, None)

	// Products.
	add("Mul", 0, Bilinear|run, None)
	add("MatMul Einsum", 0, Bilinear|run, None)
	add("Gemm", Third, Bilinear|run, None)
	add("Conv ConvTranspose", Third, Bilinear|Window|run, None)
	add("Div", First, run, None)
	add("com.microsoft.FusedMatMul", 0, Bilinear|Shaped, None)
	add("com.microsoft.TransposeMatMul", 0, Bilinear|Shaped, None)
	add("com.microsoft.MatMulNBits com.microsoft.MatMulBnb4", First, Shaped, None)
	add("com.microsoft.BiasDropout", First|Second|Third, Shaped, None)
	add("com.microsoft.Trilu com.microsoft.ExpandDims com.microsoft.GatherND com.microsoft.Range com.microsoft.Pad", First|Third, Moves|Shaped, None)

	// Curved by nature.
	add("Sigmoid Erf Exp Log Sqrt Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Pow", 0, Smooth|run, AsSmooth)
	add("Softmax LogSoftmax LayerNormalization InstanceNormalization GroupNormalization RMSNormalization "+
		"SimplifiedLayerNormalization MeanVarianceNormalization LpNormalization LRN",
		0, Smooth|run, AsSmooth)
	add("ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare ReduceProd", 0, Smooth|run, AsSmooth)
	add("LpPool GlobalLpPool", 0, Smooth|Window|Shaped, AsSmooth)
	add("CumProd Det NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", 0, Smooth, AsSmooth)
	add("SwiGLU", 0, Smooth|Shaped, AsSmooth)
	add("Attention RotaryEmbedding", 0, Smooth|Shaped, AsSmooth)
	add("LinearAttention CausalConvWithState ai.onnx.preview.FlexAttention", 0, Smooth, AsSmooth)
	add("LSTM GRU RNN", 0, Smooth|Shaped, AsSmooth)
	add("com.microsoft.SkipLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization "+
		"com.microsoft.EmbedLayerNormalization com.microsoft.Attention com.microsoft.MultiHeadAttention "+
		"com.microsoft.GroupQueryAttention com.microsoft.BiasSoftmax com.microsoft.RotaryEmbedding com.microsoft.BiasSplitGelu",
		0, Smooth|Shaped, AsSmooth)
	add("com.microsoft.GroupNorm com.microsoft.SkipGroupNorm com.microsoft.CDist com.microsoft.PackedAttention "+
		"com.microsoft.LongformerAttention com.microsoft.Inverse com.microsoft.GemmFastGelu",
		0, Smooth|Shaped, AsSmooth)

	// Steps and orders that no site shows.
	add("Floor Ceil Round Mod", 0, Grid|run, Named)
	add("Equal ArgMax ArgMin", 0, Step|run, Named)
	add("Not And Or Xor", 0, Step|run, None)
	add("IsNaN IsInf", 0, Step|run, None)
	add("BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor", 0, Step|Shaped, None)
	add("BitCast", 0, Step, Named)
	add("TopK", 0, Piecewise|Shaped, Named, "which elements are the largest")
	add("Hardmax OneHot", 0, Step|Shaped, Named)
	add("NonZero NonMaxSuppression Unique", 0, Step|Shaped, Named, "what it finds depends on the values")
	add("MaxRoiPool MaxUnpool", 0, Piecewise, Named, "the winner of each window")
	add("com.microsoft.MaxpoolWithMask", 0, Piecewise|Window|Shaped, Named, "the winner of each window")
	add("com.microsoft.MoE com.microsoft.QMoE", 0, Piecewise|Smooth|Shaped, Named, "which experts are the best")
	add("RoiAlign", First, Shaped, Named, "where it reads depends on the boxes")
	add("GridSample DeformConv com.microsoft.GridSample", First, Shaped, Named, "where it reads depends on the values")
	add("TfIdfVectorizer StringNormalizer StringConcat StringSplit RegexFullMatch ImageDecoder", 0, Step, Named)

	// Quantized arithmetic.
	const grid = "quantizer: rounds to the grid of its scale and clamps at its ends, where an activation may have been folded into it"
	add("QuantizeLinear com.microsoft.QuantizeLinear", 0, Grid|Shaped, AsSmooth, grid)
	add("DynamicQuantizeLinear", 0, Grid|Shaped, AsSmooth, "quantizer: rounds to the grid of its scale, which the values of the whole run decide")
	add("DequantizeLinear com.microsoft.DequantizeLinear", First, Shaped, None)
	add("MatMulInteger", 0, Bilinear|run, None)
	add("com.microsoft.MatMulInteger16", 0, Bilinear|Shaped, None)
	add("ConvInteger", 0, Bilinear|Window|Shaped, None)
	const operator = "a quantized operator: what it folds of activations, rounding and clamping cannot be seen; " +
		"quantize in the QDQ format (QuantizeLinear and DequantizeLinear) instead"
	add("QLinearConv QLinearMatMul com.microsoft.QLinearAdd com.microsoft.QLinearMul com.microsoft.QLinearSigmoid "+
		"com.microsoft.QLinearLeakyRelu com.microsoft.QLinearSoftmax com.microsoft.QLinearGlobalAveragePool "+
		"com.microsoft.QLinearAveragePool com.microsoft.QLinearConcat com.microsoft.QGemm",
		0, Grid|Shaped, Named, operator)
	add("com.microsoft.QLinearConv com.microsoft.QLinearReduceMean com.microsoft.QLinearWhere "+
		"com.microsoft.QAttention com.microsoft.DynamicQuantizeLSTM", 0, Grid|Shaped, Named, operator)
	add("com.microsoft.QLinearConvTranspose com.microsoft.QOrderedMatMul", 0, Grid, Named, operator)
	add("com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulIntegerToFloat", 0, Grid|Shaped, AsSmooth, grid)

	// Layouts of one machine.
	const layout = "a layout of ONNX Runtime's for one machine; save the model at the extended level of its optimizer, or the original"
	add("com.microsoft.nchwc.Conv com.microsoft.nchwc.MaxPool com.microsoft.nchwc.AveragePool "+
		"com.microsoft.nchwc.GlobalMaxPool com.microsoft.nchwc.GlobalAveragePool com.microsoft.nchwc.Upsample",
		0, Piecewise|Window, Named, layout)
	add("com.microsoft.NhwcConv com.microsoft.NhwcMaxPool com.microsoft.NhwcFusedConv", 0, Piecewise|Window|Shaped, Named, layout)
	add("com.microsoft.nchwc.ReorderInput com.microsoft.nchwc.ReorderOutput", First, Moves, None)

	// What takes fused activations apart; see rewrite.Unfuse.
	const fused = "a fused operator in a form that is not taken apart"
	add("com.microsoft.FusedConv com.microsoft.FusedGemm", 0, Piecewise|Shaped, Named, fused)
	add("com.microsoft.FusedMatMulActivation", 0, Piecewise|Shaped, Named, fused)
	add("com.microsoft.BiasAdd", All, Shaped, None)

	// Random numbers, and graphs held.
	add("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli", 0, Random|Shaped, Named, "random numbers")
	add("Multinomial", 0, Random, Named, "random numbers")
	add("If Loop Scan SequenceMap", 0, Body, Named, "what its body does is not looked into")

	// Classical models behind a network.
	add("ai.onnx.ml.Scaler", First, Shaped, None)
	add("ai.onnx.ml.LinearRegressor", 0, Smooth|Shaped, AsSmooth)
	add("ai.onnx.ml.ArrayFeatureExtractor ai.onnx.ml.FeatureVectorizer", First, 0, None)
	add("ai.onnx.ml.Normalizer", 0, Piecewise|Smooth|Shaped, Named, "the largest element, or a norm")
	add("ai.onnx.ml.SVMRegressor", 0, Smooth|Shaped, AsSmooth)
	add("ai.onnx.ml.LinearClassifier ai.onnx.ml.SVMClassifier", 0, Step|Smooth, Named, "the class that it chooses")
	add("ai.onnx.ml.Binarizer ai.onnx.ml.TreeEnsembleRegressor ai.onnx.ml.Imputer", 0, Step|Shaped, Named)
	add("ai.onnx.ml.TreeEnsemble ai.onnx.ml.TreeEnsembleClassifier ai.onnx.ml.LabelEncoder "+
		"ai.onnx.ml.OneHotEncoder ai.onnx.ml.CastMap ai.onnx.ml.CategoryMapper ai.onnx.ml.DictVectorizer ai.onnx.ml.ZipMap",
		0, Step, Named)
	return all
}()
