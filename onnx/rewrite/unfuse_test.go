package rewrite_test

import (
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Numbers of a fused operator are checked when it is taken apart.
func TestUnfuseBlamesTheModel(t *testing.T) {
	broken := graph(17, sh{1, 1, 4, 4}, map[string]*tensor.Tensor{"w": ramp(1, 1, 2, 2)}, "y", "y = FusedConv x w activation=Relu strides=0,0")
	broken.Opsets, broken.Graph.Nodes[0].Domain = append(broken.Opsets, onnx.Opset{Domain: "com.microsoft", Version: 1}), "com.microsoft"
	const blamed = "the model is broken, which shows once its fused operators are taken apart: node Conv "
	if _, err := rewrite.Unfuse(broken); err == nil || !strings.Contains(err.Error(), blamed) {
		t.Errorf("got %v, want %q", err, blamed)
	}
}

// What ONNX Runtime's optimizer fused computes the same when it is taken apart, and its
// activation is a node of its own, named as before it was fused.
func TestUnfuse(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	image := sh{2, 3, 5, 5}
	w := onnx.NewTensor("w", tensor.Of(waves(4*3*3*3), 4, 3, 3, 3))
	b := onnx.NewTensor("b", tensor.Of(waves(4), 4))
	z := onnx.NewTensor("z", tensor.Of(waves(2*4*3*3), 2, 4, 3, 3))
	m := onnx.NewTensor("m", tensor.Of(waves(5*4), 5, 4))
	row := onnx.NewTensor("row", tensor.Of(waves(5), 5))
	for _, c := range []struct {
		name, op string
		opset    int64
		shape    sh
		inputs   []string
		attrs    []*onnx.Attr
		last     string // the activation, "" where none is
		nodes    int
	}{
		{"relu", "FusedConv", 17, image, []string{"x", "w", "b"}, []*onnx.Attr{attr("activation", "Relu")}, "Relu", 2},
		{"leaky", "FusedConv", 17, image, []string{"x", "w"}, []*onnx.Attr{attr("activation", "LeakyRelu"), attr("activation_params", []float32{.3})}, "LeakyRelu", 2},
		{"a clamp", "FusedConv", 17, image, []string{"x", "w", "b"}, []*onnx.Attr{attr("activation", "Clip"), attr("activation_params", []float32{-.5, .75})}, "Clip", 2},
		{"a clamp of older opsets", "FusedConv", 9, image, []string{"x", "w", "b"}, []*onnx.Attr{attr("activation", "Clip"), attr("activation_params", []float32{-.5, .75})}, "Clip", 2},
		{"hard sigmoid", "FusedConv", 17, image, []string{"x", "w", "b"}, []*onnx.Attr{attr("activation", "HardSigmoid"), attr("activation_params", []float32{.25, .4})}, "HardSigmoid", 2},
		{"a sum and relu", "FusedConv", 17, image, []string{"x", "w", "b", "z"}, []*onnx.Attr{attr("activation", "Relu")}, "Relu", 3},
		{"a sum alone", "FusedConv", 17, image, []string{"x", "w", "b", "z"}, nil, "", 2},
		{"gemm", "FusedGemm", 17, sh{2, 5}, []string{"x", "m"}, []*onnx.Attr{attr("activation", "Relu")}, "Relu", 2},
		{"gemm, leaky", "FusedGemm", 17, sh{2, 5}, []string{"x", "m"}, []*onnx.Attr{attr("activation", "LeakyRelu"), attr("activation_alpha", 0.3)}, "LeakyRelu", 2},
		{"gemm, hard sigmoid", "FusedGemm", 17, sh{2, 5}, []string{"x", "m"}, []*onnx.Attr{attr("activation", "HardSigmoid"), attr("activation_alpha", 0.3), attr("activation_beta", 0.4)}, "HardSigmoid", 2},
		{"gemm, selu", "FusedGemm", 17, sh{2, 5}, []string{"x", "m"}, []*onnx.Attr{attr("activation", "Selu"), attr("activation_alpha", 1.6), attr("activation_gamma", 1.2)}, "Selu", 2},
		{"a bias and gelu", "BiasGelu", 17, sh{2, 5}, []string{"x", "row"}, nil, "Gelu", 2},
		{"a bias and gelu by tanh", "FastGelu", 17, sh{2, 5}, []string{"x", "row"}, nil, "FastGelu", 2},
		{"gelu by tanh alone", "FastGelu", 17, sh{2, 5}, []string{"x"}, nil, "FastGelu", 1},
	} {
		for _, value := range []string{"/layer1/act/Mul_output_0", "relu_7"} {
			model := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: c.opset}, {Domain: "com.microsoft", Version: 1}}, Graph: &onnx.Graph{Name: "g",
				Inputs: []*onnx.Value{declare("x", c.shape)}, Outputs: []*onnx.Value{onnx.NewValue(value, tensor.Float32, nil)},
				Initializers: []*onnx.Tensor{w, b, z, m, row},
				Nodes:        []*onnx.Node{{Op: c.op, Domain: "com.microsoft", Name: "fused /layer1/conv/Conv", Inputs: c.inputs, Outputs: []string{value}, Attrs: c.attrs}}}}
			apart, err := rewrite.Unfuse(model)
			if err != nil {
				t.Fatal(err)
			}
			nodes := apart.Graph.Nodes
			last := nodes[len(nodes)-1]
			if len(nodes) != c.nodes || c.last != "" && last.Op != c.last {
				t.Fatalf("%s: %d nodes, the last %s; want %d and %s", c.name, len(nodes), last, c.nodes, c.last)
			}
			if want := map[string]string{"relu_7": "relu_7"}[value]; c.nodes > 1 && c.last != "" && last.Name != want && last.Name != "/layer1/act/Mul" {
				t.Errorf("%s: the activation is called %q", c.name, last.Name)
			}
			if (apart == model) != (c.nodes == 1) {
				t.Errorf("%s: a copy is made of what stays", c.name)
			}
			if model.Graph.Nodes[0].Op != c.op {
				t.Errorf("%s: the model was changed", c.name)
			}
			in := []*tensor.Tensor{tensor.Of(waves(tensor.Count(plainInts(c.shape))), plainInts(c.shape)...)}
			want, err := run(model, in)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := run(apart, in)
			if err != nil {
				t.Fatalf("%s, taken apart: %v", c.name, err)
			}
			if err := enginetest.Equal(got, want, 1e-6); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	unknown := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}, {Domain: "com.microsoft", Version: 1}}, Graph: &onnx.Graph{Name: "g",
		Inputs: []*onnx.Value{declare("x", sh{2, 5})}, Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}, Initializers: []*onnx.Tensor{m},
		Nodes: []*onnx.Node{{Op: "FusedGemm", Domain: "com.microsoft", Inputs: []string{"x", "m"}, Outputs: []string{"y"}, Attrs: []*onnx.Attr{attr("activation", "Strange")}}}}}
	if out, err := rewrite.Unfuse(unknown); err != nil || len(out.Graph.Nodes) != 1 || out.Graph.Nodes[0].Op != "FusedGemm" {
		t.Errorf("an unknown activation: %v", err)
	}
}

// waves are n numbers of both signs.
func waves(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32((i*7)%11-5) / 4
	}
	return v
}

func plainInts(s sh) []int {
	v := make([]int, len(s))
	for i, d := range s {
		v[i] = int(d)
	}
	return v
}

func declare(name string, s sh) *onnx.Value {
	var dims []onnx.Dim
	for _, d := range s {
		dims = append(dims, onnx.Dim{Size: int64(d)})
	}
	return onnx.NewValue(name, tensor.Float32, dims)
}
