package onnx

import (
	"strings"
	"testing"
)

// schemas are ONNX's own operators of versions 1 to 25 and their training drafts' domain
// left out, as onnx.defs.get_all_schemas_with_history lists them in onnx 1.23, with
// those that no version has any more (Scatter, Upsample).
const schemas = `Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
BatchNormalization Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike
CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Conv
ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout
DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow
HardSigmoid HardSwish Hardmax Identity If ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool
MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial Neg
NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or PRelu Pad
Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform
RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan
Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign
SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh
TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor`

func TestEveryOperatorHasARow(t *testing.T) {
	for _, name := range strings.Fields(schemas) {
		if OperatorNamed(name) == nil {
			t.Errorf("no row for %s", name)
		}
	}
}

// The functions by operator that this package keeps are those that the facts demand.
func TestFunctionsFitTheFacts(t *testing.T) {
	for _, o := range Operators {
		if demanded, has := o.Traits&Shaped != 0, inference[o.Name] != nil; demanded != has {
			t.Errorf("%s: Shaped is %v, there is a rule of inference: %v", o.Name, demanded, has)
		}
		if demanded, has := o.Traits&Random != 0, random[o.Name] != nil; demanded != has {
			t.Errorf("%s: Random is %v, there is a rule of randomness: %v", o.Name, demanded, has)
		}
	}
	for name := range inference {
		if OperatorNamed(name) == nil {
			t.Errorf("shapes of %s are inferred, and it has no row", name)
		}
	}
	for name := range random {
		if OperatorNamed(name) == nil {
			t.Errorf("%s is asked whether it is random, and it has no row", name)
		}
	}
}

// Facts that cannot hold together.
func TestFactsAgree(t *testing.T) {
	for _, o := range Operators {
		curved := o.Traits & (Smooth | Piecewise | Step | Grid)
		switch {
		case o.Affine == All && curved != 0, o.Traits&Moves != 0 && curved != 0:
			t.Errorf("%s is affine and is not: %+v", o.Name, o)
		case (o.Verdict == AsSite || o.Verdict == Watched || o.Verdict == AsSmooth) && curved == 0:
			t.Errorf("%s is affine, and its verdict is %d", o.Name, o.Verdict)
		case o.Verdict == None && o.Traits&(Smooth|Piecewise|Grid) != 0:
			t.Errorf("%s bends, and nothing is said of it", o.Name)
		}
	}
}
