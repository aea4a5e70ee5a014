package onnx_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// single is a model of one operator. An input is a type and a shape, a constant, or nil
// for one left out. Where ONNX Runtime has no kernel for a CPU the shapes of the outputs
// are given, from its documentation.
type single struct {
	op     string // DOMAIN.OP outside ONNX's own
	in     []any
	attrs  map[string]any // int, string, float64 or []int64
	outs   int            // 1 when 0
	shapes [][]int64
}

type of struct {
	d     tensor.DType
	shape []int64
}

func f32(shape ...int64) of                   { return of{tensor.Float32, shape} }
func u8(shape ...int64) of                    { return of{tensor.Uint8, shape} }
func i8(shape ...int64) of                    { return of{tensor.Int8, shape} }
func i32(shape ...int64) of                   { return of{tensor.Int32, shape} }
func scale() *tensor.Tensor                   { return tensor.Scalar(float32(.1)) }
func zero() *tensor.Tensor                    { return tensor.Scalar(uint8(3)) }
func list(v ...int64) *tensor.Tensor          { return tensor.Of(v, len(v)) }
func numbers(v ...float32) *tensor.Tensor     { return tensor.Of(v, len(v)) }
func grid(v []int64, s ...int) *tensor.Tensor { return tensor.Of(v, s...) }

func (o single) model() (*onnx.Model, []*tensor.Tensor) {
	m := &onnx.Model{IR: 10, Opsets: []onnx.Opset{{Version: 21}}, Graph: &onnx.Graph{Name: "single"}}
	n := &onnx.Node{Name: "it", Op: o.op}
	if i := strings.LastIndexByte(o.op, '.'); i > 0 {
		n.Domain, n.Op = o.op[:i], o.op[i+1:]
		m.Opsets = append(m.Opsets, onnx.Opset{Domain: n.Domain, Version: map[string]int64{"com.microsoft": 1, "ai.onnx.ml": 3}[n.Domain]})
	}
	var in []*tensor.Tensor
	for i, v := range o.in {
		name := fmt.Sprint("in", i)
		switch v := v.(type) {
		case nil:
			name = ""
		case *tensor.Tensor:
			m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(name, v))
		case of:
			dims, shape := []onnx.Dim{}, []int{}
			for _, d := range v.shape {
				dims, shape = append(dims, onnx.Dim{Size: d}), append(shape, int(d))
			}
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.NewValue(name, v.d, dims))
			t, err := tensor.New(v.d, shape...)
			if err != nil {
				panic(err)
			}
			in = append(in, t)
		}
		n.Inputs = append(n.Inputs, name)
	}
	for name, v := range o.attrs {
		a := &onnx.Attr{Name: name}
		switch v := v.(type) {
		case int:
			a.Type, a.Int = onnx.AttrInt, int64(v)
		case float64:
			a.Type, a.Float = onnx.AttrFloat, float32(v)
		case string:
			a.Type, a.String = onnx.AttrString, []byte(v)
		case []int64:
			a.Type, a.Ints = onnx.AttrInts, v
		case []float32:
			a.Type, a.Floats = onnx.AttrFloats, v
		}
		n.Attrs = append(n.Attrs, a)
	}
	for i := range max(o.outs, 1) {
		name := fmt.Sprint("out", i)
		n.Outputs = append(n.Outputs, name)
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.NewValue(name, tensor.Undefined, nil))
	}
	m.Graph.Nodes = []*onnx.Node{n}
	return m, in
}

type am = map[string]any

func singles() []single {
	var cs []single
	all := func(c ...single) { cs = append(cs, c...) }
	ms := func(op string, attrs am, in ...any) single {
		return single{op: "com.microsoft." + op, in: in, attrs: attrs}
	}
	with := func(c single, outs int) single { c.outs = outs; return c }
	hand := func(c single, shapes ...[]int64) single { c.shapes, c.outs = shapes, len(shapes); return c }
	for _, op := range []string{"Neg", "Abs", "Floor", "Ceil", "Round", "Relu", "Sign", "Reciprocal"} {
		all(single{op: op, in: []any{numbers(-2.5, -.7, .5, 1.5, 3)}})
	}
	all(single{op: "Sqrt", in: []any{numbers(.1, 2, 9)}})
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		gates, outs := map[string]int64{"RNN": 1, "GRU": 3, "LSTM": 4}[op], 2
		if op == "LSTM" {
			outs = 3
		}
		all(with(single{op: op, in: []any{f32(5, 2, 3), f32(1, 4*gates, 3), f32(1, 4*gates, 4)}, attrs: am{"hidden_size": 4}}, outs),
			with(single{op: op, in: []any{f32(5, 2, 3), f32(1, 4*gates, 3), f32(1, 4*gates, 4)}, attrs: am{"direction": "reverse", "hidden_size": 4}}, outs),
			with(single{op: op, in: []any{f32(5, 2, 3), f32(2, 4*gates, 3), f32(2, 4*gates, 4)}, attrs: am{"direction": "bidirectional", "hidden_size": 4}}, outs))
	}
	all(with(single{op: "LSTM", in: []any{f32(2, 5, 3), f32(1, 16, 3), f32(1, 16, 4)}, attrs: am{"hidden_size": 4, "layout": 1}, shapes: [][]int64{{2, 5, 1, 4}, {2, 1, 4}, {2, 1, 4}}}, 3),
		with(single{op: "DynamicQuantizeLinear", in: []any{f32(2, 3)}}, 3),
		single{op: "QuantizeLinear", in: []any{f32(2, 3), scale()}}, single{op: "QuantizeLinear", in: []any{f32(2, 3), scale(), tensor.Scalar(int8(0))}},
		single{op: "DequantizeLinear", in: []any{u8(2, 3), scale(), zero()}},
		single{op: "QLinearConv", in: []any{u8(1, 3, 8, 9), scale(), zero(), u8(4, 3, 3, 3), scale(), zero(), scale(), zero()}, attrs: am{"strides": []int64{2, 1}}},
		single{op: "QLinearMatMul", in: []any{u8(2, 3, 4), scale(), zero(), u8(4, 5), scale(), zero(), scale(), zero()}},
		single{op: "GatherND", in: []any{f32(2, 3, 4, 5), grid(make([]int64, 12), 2, 3, 2)}, attrs: am{"batch_dims": 1}},
		single{op: "GatherND", in: []any{f32(2, 3, 4), grid(make([]int64, 6), 3, 2)}},
		single{op: "OneHot", in: []any{of{tensor.Int64, []int64{2, 3}}, list(7), numbers(0, 1)}, attrs: am{"axis": 1}}, single{op: "OneHot", in: []any{of{tensor.Int64, []int64{2, 3}}, list(7), numbers(0, 1)}},
		single{op: "NonZero", in: []any{grid([]int64{1, 0, 2, 0, 0, 3}, 2, 3)}},
		single{op: "GridSample", in: []any{f32(1, 2, 4, 5), f32(1, 6, 7, 2)}},
		single{op: "RandomNormal", attrs: am{"shape": []int64{2, 3}}}, single{op: "RandomUniform", attrs: am{"shape": []int64{2, 3}, "dtype": 11}},
		single{op: "RandomNormalLike", in: []any{f32(2, 3)}}, single{op: "RandomUniformLike", in: []any{f32(2, 3)}, attrs: am{"dtype": 11}},
		single{op: "Bernoulli", in: []any{f32(2, 3)}, attrs: am{"dtype": 7}}, single{op: "BitwiseNot", in: []any{i32(2, 3)}},
		single{op: "Hardmax", in: []any{f32(2, 3)}}, single{op: "ScatterND", in: []any{f32(2, 3), grid([]int64{1}, 1, 1), f32(1, 3)}},

		single{op: "Clip", in: []any{numbers(-2, .3, 7), scale(), tensor.Scalar(float32(2))}}, single{op: "Clip", in: []any{list(-2, 3, 7), nil, tensor.Scalar(int64(4))}},
		single{op: "Max", in: []any{list(-2, 3), tensor.Scalar(int64(0)), list(1, 1)}}, single{op: "Min", in: []any{numbers(-2, 3), scale(), numbers(1, 1)}},
		single{op: "Sum", in: []any{numbers(.1, 1e8), numbers(.2, -1), numbers(.3, 3)}}, single{op: "Add", in: []any{numbers(.1, 1e8), numbers(.2, -1)}},
		single{op: "Div", in: []any{numbers(1, 7), numbers(3, -2)}}, single{op: "Div", in: []any{list(7, -7), list(2)}},
		single{op: "Mod", in: []any{list(7, -7), list(3)}}, single{op: "Pow", in: []any{numbers(3, .7), numbers(2)}},
		single{op: "Where", in: []any{tensor.Of([]bool{true, false}, 2), numbers(1, 2), scale()}}, single{op: "Cast", in: []any{numbers(-2.7, 2.7)}, attrs: am{"to": 7}},
		single{op: "Range", in: []any{tensor.Scalar(float32(1)), tensor.Scalar(float32(2)), tensor.Scalar(float32(.25))}},
		single{op: "Range", in: []any{tensor.Scalar(int64(5)), tensor.Scalar(int64(-2)), tensor.Scalar(int64(-2))}},
		single{op: "Concat", in: []any{grid([]int64{1, 2}, 2, 1), grid([]int64{3, 4, 5, 6}, 2, 2)}, attrs: am{"axis": -1}},
		single{op: "Gather", in: []any{grid([]int64{1, 2, 3, 4, 5, 6}, 2, 3), list(2, -3)}, attrs: am{"axis": 1}},
		with(single{op: "Split", in: []any{grid([]int64{1, 2, 3, 4, 5, 6}, 2, 3), list(1, 2)}, attrs: am{"axis": 1}}, 2),
		single{op: "Tile", in: []any{grid([]int64{1, 2}, 2, 1), list(2, 3)}}, single{op: "Expand", in: []any{grid([]int64{1, 2}, 2, 1), list(3, 1, 2)}},

		ms("FusedConv", am{"activation": "Relu", "pads": []int64{1, 1, 1, 1}}, f32(1, 3, 8, 9), f32(4, 3, 3, 3), f32(4)),
		ms("FusedGemm", am{"activation": "Relu", "transB": 1}, f32(2, 3), f32(4, 3), f32(4)),
		ms("FusedMatMul", am{"transA": 1, "alpha": .5}, f32(2, 4, 3), f32(2, 4, 5)), ms("FusedMatMul", am{"transB": 1}, f32(2, 3, 4), f32(5, 4)),
		ms("FusedMatMul", am{"transBatchA": 1}, f32(3, 4, 5, 6), f32(4, 5, 6, 7)), ms("FusedMatMul", am{"transBatchB": 1}, f32(5, 6, 3, 4), f32(4, 5, 6, 7)),
		ms("FusedMatMul", am{"transBatchA": 1, "transA": 1}, f32(6, 4, 5, 3), f32(4, 5, 6, 7)), ms("TransposeMatMul", am{"transA": 1}, f32(4, 3), f32(4, 5)),
		hand(ms("FusedMatMulActivation", am{"activation": "Relu"}, f32(2, 3), f32(3, 4)), []int64{2, 4}),
		hand(ms("GemmFastGelu", nil, f32(2, 3), f32(3, 4)), []int64{2, 4}),
		ms("Gelu", nil, f32(2, 3)), ms("FastGelu", nil, f32(2, 3), f32(3)), ms("BiasGelu", nil, f32(2, 3), f32(3)), ms("QuickGelu", am{"alpha": 1.7}, f32(2, 3)),
		hand(ms("BiasAdd", nil, f32(2, 3, 320), f32(320), f32(2, 3, 320)), []int64{2, 3, 320}), hand(ms("BiasSplitGelu", nil, f32(2, 3, 2560), f32(2560)), []int64{2, 3, 1280}),
		hand(ms("BiasSoftmax", am{"axis": 1, "is_inner_broadcast": 0}, f32(2, 3), f32(2, 3)), []int64{2, 3}),
		hand(ms("BiasDropout", nil, f32(2, 3), f32(3)), []int64{2, 3}, []int64{2, 3}),
		ms("SkipLayerNormalization", nil, f32(2, 3, 4), f32(2, 3, 4), f32(4), f32(4)), ms("SkipSimplifiedLayerNormalization", nil, f32(2, 3, 4), f32(2, 3, 4), f32(4)),
		with(ms("EmbedLayerNormalization", am{"mask_index_type": 1}, i32(2, 3), i32(2, 3), f32(9, 4), f32(5, 4), f32(2, 4), f32(4), f32(4), i32(2, 3)), 2),
		ms("Attention", am{"num_heads": 2}, f32(2, 3, 8), f32(8, 24), f32(24)), with(ms("Attention", am{"num_heads": 2}, f32(2, 3, 8), f32(8, 24), f32(24)), 2),
		ms("Attention", am{"num_heads": 2, "qkv_hidden_sizes": []int64{8, 8, 12}}, f32(2, 3, 6), f32(6, 28), f32(28)),
		with(ms("Attention", am{"num_heads": 2}, f32(2, 3, 8), f32(8, 24), f32(24), nil, f32(2, 2, 2, 5, 4)), 2),
		hand(ms("PackedAttention", am{"num_heads": 2}, f32(3, 8), f32(8, 24), f32(24), i32(1, 3), i32(2)), []int64{3, 8}),
		ms("MultiHeadAttention", am{"num_heads": 2}, f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 12)), hand(ms("MultiHeadAttention", am{"num_heads": 2}, f32(2, 3, 2, 3, 4)), []int64{2, 3, 8}),
		ms("MultiHeadAttention", am{"num_heads": 2}, f32(2, 3, 8), f32(2, 2, 5, 4), f32(2, 2, 5, 4)),
		hand(ms("MultiHeadAttention", am{"num_heads": 2}, f32(2, 3, 8), f32(2, 5, 2, 2, 4)), []int64{2, 3, 8}),
		ms("GroupQueryAttention", am{"num_heads": 4, "kv_num_heads": 2}, f32(1, 3, 32), f32(1, 3, 16), f32(1, 3, 16), f32(1, 2, 0, 8), f32(1, 2, 0, 8), tensor.Of([]int32{2}, 1), tensor.Scalar(int32(3))),
		ms("GroupQueryAttention", am{"num_heads": 4, "kv_num_heads": 2}, f32(1, 3, 64), nil, nil, f32(1, 2, 0, 8), f32(1, 2, 0, 8), tensor.Of([]int32{2}, 1), tensor.Scalar(int32(3))),
		ms("RotaryEmbedding", nil, f32(2, 3, 8), grid([]int64{0}, 1), f32(9, 4), f32(9, 4)),
		hand(ms("LongformerAttention", am{"num_heads": 2, "window": 2}, f32(2, 4, 8), f32(8, 24), f32(24), f32(2, 4), f32(8, 24), f32(24), i32(2, 4)), []int64{2, 4, 8}),
		ms("MatMulNBits", am{"K": 32, "N": 5, "bits": 4, "block_size": 32}, f32(2, 3, 32), u8(5, 1, 16), f32(5)),
		ms("MatMulBnb4", am{"K": 32, "N": 4, "block_size": 32, "quant_type": 1}, f32(2, 32), u8(64), f32(4)),
		ms("DynamicQuantizeMatMul", nil, f32(2, 3, 4), u8(4, 5), scale(), zero()),
		ms("MatMulIntegerToFloat", nil, u8(2, 3, 4), u8(4, 5), scale(), scale(), zero(), zero()),
		ms("MatMulInteger16", nil, of{tensor.Int16, []int64{2, 3}}, of{tensor.Int16, []int64{3, 4}}),
		ms("QAttention", am{"num_heads": 2}, u8(2, 3, 8), u8(8, 24), f32(24), scale(), scale(), nil, zero(), zero()),
		with(ms("QAttention", am{"num_heads": 2, "unidirectional": 1}, u8(2, 3, 8), u8(8, 24), f32(24), scale(), scale(), nil, zero(), zero(), f32(2, 2, 2, 5, 4)), 2),
		ms("QGemm", am{"transB": 1}, u8(2, 3), scale(), zero(), u8(4, 3), scale(), zero(), i32(4), scale(), zero()), ms("QGemm", nil, u8(2, 3), scale(), zero(), u8(3, 4), scale(), zero()),
		ms("QLinearAdd", nil, u8(2, 3), scale(), zero(), u8(3), scale(), zero(), scale(), zero()), ms("QLinearMul", nil, u8(2, 3), scale(), zero(), u8(4, 1, 3), scale(), zero(), scale(), zero()),
		ms("QLinearSigmoid", nil, u8(2, 3), scale(), zero(), scale(), zero()), ms("QLinearLeakyRelu", nil, u8(2, 3), scale(), zero(), scale(), zero()),
		ms("QLinearSoftmax", am{"axis": -1, "opset": 13}, u8(2, 3), scale(), zero(), scale(), zero()),
		ms("QLinearGlobalAveragePool", am{"channels_last": 0}, u8(2, 3, 4, 5), scale(), zero(), scale(), zero()),
		ms("QLinearGlobalAveragePool", am{"channels_last": 1}, u8(2, 4, 5, 3), scale(), zero(), scale(), zero()),
		ms("QLinearAveragePool", am{"kernel_shape": []int64{2, 3}, "strides": []int64{2, 1}}, u8(1, 3, 8, 9), scale(), zero(), scale(), zero()),
		ms("QLinearAveragePool", am{"kernel_shape": []int64{2, 3}, "channels_last": 1}, u8(1, 8, 9, 3), scale(), zero(), scale(), zero()),
		ms("QLinearConcat", am{"axis": 1}, scale(), zero(), u8(2, 3), scale(), zero(), u8(2, 4), scale(), zero()),
		ms("QLinearWhere", nil, of{tensor.Bool, []int64{2, 1}}, u8(2, 3), scale(), zero(), u8(3), scale(), zero(), scale(), zero()),
		hand(ms("QLinearReduceMean", am{"axes": []int64{1}, "keepdims": 0}, u8(2, 3), scale(), zero(), scale(), zero()), []int64{2}),
		ms("QLinearConv", am{"channels_last": 1}, u8(1, 8, 9, 3), scale(), zero(), u8(4, 3, 3, 3), scale(), zero(), scale(), zero()),
		ms("QuantizeLinear", nil, f32(2, 3), scale(), zero()), ms("DequantizeLinear", nil, u8(2, 3), scale(), zero()),
		// ONNX Runtime infers these two shapes, from weights as Conv has them, and has no kernel.
		hand(ms("NhwcConv", nil, f32(1, 16, 17, 4), f32(8, 4, 3, 5)), []int64{1, 14, 13, 8}), hand(ms("NhwcFusedConv", nil, f32(1, 16, 17, 4), f32(8, 4, 3, 5)), []int64{1, 14, 13, 8}),
		ms("NhwcMaxPool", am{"kernel_shape": []int64{2, 3}}, u8(1, 8, 9, 3)), ms("MaxpoolWithMask", am{"kernel_shape": []int64{2, 3}}, f32(1, 3, 8, 9), i32(1, 3, 8, 9)),
		hand(ms("GroupNorm", am{"activation": 1, "groups": 2}, f32(1, 4, 5, 8), f32(8), f32(8)), []int64{1, 4, 5, 8}),
		hand(ms("SkipGroupNorm", am{"activation": 1, "groups": 2}, f32(1, 4, 5, 8), f32(8), f32(8), f32(1, 4, 5, 8)), []int64{1, 4, 5, 8}, []int64{1, 4, 5, 8}),
		with(ms("DynamicQuantizeLSTM", am{"hidden_size": 4}, f32(5, 2, 3), i8(1, 3, 16), i8(1, 4, 16), nil, nil, nil, nil, nil, numbers(.1), tensor.Of([]int8{0}, 1), numbers(.1), tensor.Of([]int8{0}, 1)), 3),
		ms("ExpandDims", nil, f32(2, 3), tensor.Scalar(int32(-1))), ms("CDist", am{"metric": "euclidean"}, f32(2, 3), f32(4, 3)),
		ms("Range", nil, tensor.Scalar(int64(1)), tensor.Scalar(int64(8)), tensor.Scalar(int64(3))), ms("Pad", nil, f32(2, 3), list(1, 0, 0, 2)),
		ms("GridSample", nil, f32(1, 2, 4, 5), f32(1, 6, 7, 2)), ms("GatherND", nil, f32(2, 3, 4), grid(make([]int64, 6), 3, 2)),
		ms("Inverse", nil, tensor.Of([]float32{2, 0, 0, 2}, 2, 2)), ms("Trilu", nil, f32(2, 3, 3)),
		ms("MoE", am{"k": 1}, f32(4, 8), f32(4, 2), f32(2, 8, 16), nil, f32(2, 16, 8)),
		hand(ms("QMoE", am{"k": 1}, f32(4, 8), f32(4, 2), u8(2, 8, 8)), []int64{4, 8}),

		single{op: "ai.onnx.ml.Scaler", in: []any{f32(2, 3)}, attrs: am{"scale": []float32{1}, "offset": []float32{0}}},
		single{op: "ai.onnx.ml.Normalizer", in: []any{f32(2, 3)}}, single{op: "ai.onnx.ml.Binarizer", in: []any{f32(2, 3)}, attrs: am{"threshold": .5}},
		single{op: "ai.onnx.ml.Imputer", in: []any{f32(2, 3)}, attrs: am{"imputed_value_floats": []float32{1}}},
		single{op: "ai.onnx.ml.LinearRegressor", in: []any{f32(2, 3)}, attrs: am{"targets": 2, "coefficients": make([]float32, 6)}},
		single{op: "ai.onnx.ml.TreeEnsembleRegressor", in: []any{f32(2, 3)}, attrs: am{"n_targets": 2}},
		hand(single{op: "ai.onnx.ml.SVMRegressor", in: []any{f32(2, 3)}}, []int64{2, 1}),
	)
	return cs
}

// What is inferred of an operator is what ONNX Runtime gives, in type, shape and content.
func TestInferAsRuntime(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	seen := map[string]bool{}
	for i, c := range singles() {
		seen[c.op] = true
		t.Run(fmt.Sprintf("%s/%d", c.op, i), func(t *testing.T) {
			m, in := c.model()
			facts, err := m.Infer(nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.shapes != nil {
				for k, v := range m.Graph.Outputs {
					if f := facts[v.Name]; !slices.Equal(f.Shape, c.shapes[k]) || f.DType == tensor.Undefined {
						t.Errorf("output %d: inferred %s %v, want %v", k, f.DType, f.Shape, c.shapes[k])
					}
				}
				if _, err := run(m, in); err == nil {
					t.Error("ONNX Runtime can run it")
				}
				return
			}
			got, err := run(m, in)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range m.Graph.Outputs {
				f, shape := facts[v.Name], []int64{}
				for _, d := range got[k].Shape {
					shape = append(shape, int64(d))
				}
				if f.DType != got[k].DType || !slices.Equal(f.Shape, shape) {
					t.Errorf("output %d: inferred %s %v, is %s %v", k, f.DType, f.Shape, got[k].DType, shape)
				}
				if constant := len(in) == 0 && len(c.in) > 0; constant && f.Const == nil && !strings.Contains(c.op, ".") {
					t.Errorf("output %d: its elements are not known", k)
				}
				if f.Const != nil && !slices.Equal(f.Const, got[k].Float64s()) {
					t.Errorf("output %d: inferred the elements %v, is %v", k, f.Const, got[k].Float64s())
				}
			}
		})
	}
	for _, op := range onnx.Inferred() {
		if strings.Contains(op, ".") && !seen[op] {
			t.Errorf("%s has no case", op)
		}
	}
}

func run(m *onnx.Model, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	s, err := ort.Backend{}.Prepare(context.Background(), m, engine.Options{Optimize: "none"})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(context.Background(), in)
}
