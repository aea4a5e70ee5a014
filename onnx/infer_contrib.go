package onnx

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// contribRules are of the operators that ONNX Runtime adds to ONNX's, and makes of ONNX's
// when it optimizes a model, and of the classical models in ai.onnx.ml.
func contribRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for op, rule := range map[string]func(call) ([]Fact, error){
		"FusedConv": conv, "FusedGemm": gemm, "NhwcConv": channelsLast(conv), "NhwcFusedConv": channelsLast(conv), "NhwcMaxPool": channelsLast(pool),
		"MaxpoolWithMask": pool, "FusedMatMul": fusedMatMul, "TransposeMatMul": fusedMatMul, "FusedMatMulActivation": fusedMatMul, "GemmFastGelu": matMul,
		"BiasSplitGelu": biasSplitGelu, "BiasDropout": dropout, "SkipLayerNormalization": skipNorm, "SkipSimplifiedLayerNormalization": skipNorm,
		"SkipGroupNorm": func(c call) ([]Fact, error) { return []Fact{c.same(0), c.same(0)}, nil }, "EmbedLayerNormalization": embed,
		"Attention": packedAttention(1, 4, 0), "PackedAttention": packedAttention(1, -1, 0), "MultiHeadAttention": multiHead, "GroupQueryAttention": groupQuery,
		"DynamicQuantizeLSTM": recurrent, "ExpandDims": expandDims, "CDist": cdist, "Range": rangeOf, "Pad": pad, "GridSample": gridSample,
	} {
		rules["com.microsoft."+op] = rule
	}
	for _, op := range []string{"Gelu", "FastGelu", "BiasGelu", "QuickGelu", "BiasAdd", "BiasSoftmax", "GroupNorm", "RotaryEmbedding", "LongformerAttention",
		"Inverse", "Trilu", "MoE", "QMoE"} {
		rules["com.microsoft."+op] = likeFirst
	}
	for op, rule := range map[string]func(call) ([]Fact, error){
		"Binarizer": likeFirst, "Imputer": likeFirst,
		"Scaler": likeFirstSingle, "Normalizer": likeFirstSingle,
		"LinearRegressor": regressor("targets"), "TreeEnsembleRegressor": regressor("n_targets"), "SVMRegressor": regressor(""),
	} {
		rules["ai.onnx.ml."+op] = rule
	}
	return rules
}

// fusedMatMul can take either matrix with its last two axes exchanged, and before that
// its first axis as the one before the last.
func fusedMatMul(c call) ([]Fact, error) {
	c.in = slices.Clone(c.in)
	for i, side := range []string{"A", "B"} {
		if i >= len(c.in) {
			break
		}
		s := slices.Clone(c.in[i].Shape)
		n := len(s)
		if n > 2 && c.n.Int("transBatch"+side, 0) != 0 {
			s = slices.Concat(s[1:n-1], s[:1], s[n-1:])
		}
		if n > 1 && c.n.Int("trans"+side, 0) != 0 {
			s[n-2], s[n-1] = s[n-1], s[n-2]
		}
		c.in[i].Shape = s
	}
	return matMul(c)
}

func biasSplitGelu(c call) ([]Fact, error) {
	f := c.same(0)
	if n := len(f.Shape); n > 0 {
		f.Shape = slices.Clone(f.Shape)
		f.Shape[n-1] = quotient(f.Shape[n-1], 2)
	}
	return one(f)
}

// skipNorm is the result, two statistics that are made in training, and the sum.
func skipNorm(c call) ([]Fact, error) {
	return []Fact{c.same(0), {DType: tensor.Float32}, {DType: tensor.Float32}, c.same(0)}, nil
}

// embed is BERT's embedding of words: the result, where the words end, and the sum.
func embed(c call) ([]Fact, error) {
	ids, words := c.at(0).Shape, c.at(2).Shape
	f, ends := Fact{DType: c.at(2).DType}, Fact{DType: tensor.Int32}
	if len(ids) == 2 && len(words) == 2 {
		f.Shape, ends.Shape = []int64{ids[0], ids[1], words[1]}, ids[:1]
	}
	return []Fact{f, ends, f}, nil
}

func expandDims(c call) ([]Fact, error) {
	f := c.same(0)
	as := c.at(1).Const
	if f.Shape == nil || len(as) != 1 {
		return one(Fact{DType: f.DType})
	}
	a, err := axis(toInts(as)[0], len(f.Shape)+1)
	if err != nil {
		return nil, err
	}
	f.Shape = slices.Insert(slices.Clone(f.Shape), a, 1)
	return one(f)
}

func cdist(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	if a, b := c.at(0).Shape, c.at(1).Shape; len(a) == 2 && len(b) == 2 {
		f.Shape = []int64{a[0], b[0]}
	}
	return one(f)
}

func gridSample(c call) ([]Fact, error) {
	x, grid := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil || grid == nil {
		return one(f)
	}
	if len(x) < 3 || len(grid) != len(x) {
		return nil, fmt.Errorf("an input of shape %v and a grid of %v", x, grid)
	}
	f.Shape = slices.Concat(x[:2], grid[1:len(grid)-1])
	return one(f)
}

func likeFirstSingle(c call) ([]Fact, error) {
	return one(Fact{DType: tensor.Float32, Shape: c.at(0).Shape})
}

// regressor has a row of the attribute's length for each of the first axis.
func regressor(targets string) func(call) ([]Fact, error) {
	return func(c call) ([]Fact, error) {
		f := Fact{DType: tensor.Float32}
		if x := c.at(0).Shape; len(x) == 2 {
			f.Shape = []int64{x[0], c.n.Int(targets, 1)}
		}
		return one(f)
	}
}
