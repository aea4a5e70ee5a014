package probes

import (
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// chain makes a graph of nodes one after the other; a node is "Op name", with
// the dynamo exporter's scopes after a space where it has them.
func chain(nodes ...string) *onnx.Model {
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{
		Inputs: []*onnx.Value{onnx.NewValue("v0", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 4}})}}}
	for i, s := range nodes {
		f := strings.SplitN(s, " ", 3)
		n := &onnx.Node{Op: f[0], Inputs: []string{"v" + string(rune('0'+i))}, Outputs: []string{"v" + string(rune('1'+i))}}
		if len(f) > 1 {
			n.Name = f[1]
		}
		if len(f) > 2 {
			n.Meta = []onnx.Prop{{Key: "pkg.torch.onnx.name_scopes", Value: f[2]}}
		}
		m.Graph.Nodes = append(m.Graph.Nodes, n)
	}
	return m
}

func TestSiteNames(t *testing.T) {
	for _, c := range []struct {
		why   string
		nodes []string
		want  []string
	}{
		{"dynamo: a module called twice", []string{
			"Relu node_relu ['', 'layer1', 'layer1.0', 'layer1.0.relu', 'relu']",
			"Conv node_conv ['', 'layer1', 'layer1.0', 'layer1.0.conv', 'conv']",
			"Relu node_relu_1 ['', 'layer1', 'layer1.0', 'layer1.0.relu', 'relu_1']",
		}, []string{"layer1.0.relu", "layer1.0.relu_1"}},
		{"dynamo: functional calls in a module that holds others", []string{
			"Relu a ['', 'block', 'relu_7']", "Conv b ['', 'block', 'block.conv', 'conv']", "Relu c ['', 'block', 'relu_8']",
		}, []string{"block.relu", "block.relu_1"}},
		{"dynamo: a functional call in the model itself", []string{"Relu a ['', 'relu']"}, []string{"relu"}},
		{"dynamo: quotes that Python's repr chooses", []string{`Relu a ["", 'it', "it's", 'relu']`}, []string{"it's"}},
		{"TorchScript: a module called twice", []string{
			"Relu /layer1/layer1.0/relu/Relu", "Conv /layer1/layer1.0/conv/Conv", "Relu /layer1/layer1.0/relu_1/Relu",
		}, []string{"layer1.0.relu", "layer1.0.relu_1"}},
		{"TorchScript: containers in containers", []string{"Clip /features/features.1/block/block.0/block.0.2/Clip"}, []string{"features.1.block.0.2"}},
		{"TorchScript: functional calls", []string{
			"Relu /block/Relu", "Conv /block/conv/Conv", "Relu /block/Relu_1",
		}, []string{"block.relu", "block.relu_1"}},
		{"TorchScript: a count that tells a module from another of its name", []string{
			"Conv /relu/Conv", "Relu /relu_1/Relu",
		}, []string{"relu"}},
		{"TorchScript: a module whose own name ends in a number", []string{"Relu /act_1/Relu", "Conv /c/Conv", "Relu /act_2/Relu"}, []string{"act_1", "act_2"}},
		{"neither: the node's name", []string{"Relu Relu_5", "Relu strange/Relu"}, []string{"Relu_5", "strange/Relu"}},
		{"a slash is not a scope", []string{"Relu /odd/name"}, []string{"/odd/name"}},
		{"nothing at all: the value's name", []string{"Relu"}, []string{"v1"}},
		{"nodes of one name", []string{"Relu x", "Relu x"}, []string{"x", "x_1"}},
	} {
		m := chain(c.nodes...)
		for _, n := range m.Graph.Nodes {
			if n.Op == "Clip" {
				m.Graph.Initializers = []*onnx.Tensor{onnx.NewTensor("lo", tensor.Scalar(float32(0))), onnx.NewTensor("hi", tensor.Scalar(float32(6)))}
				n.Inputs = append(n.Inputs, "lo", "hi")
			}
		}
		sites, err := Sites(m, SiteOptions{})
		var got []string
		for _, s := range sites {
			got = append(got, s.Name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.why, got, err, c.want)
		}
	}
}

// The authors' local complexity of MLPs counts linear layers; with --include-gemm
// those that no activation follows are sites, logits included.
func TestLinearSites(t *testing.T) {
	w := func(e *rewrite.Edit) string { return e.Const(tensor.Of(make([]float32, 9), 3, 3)) }
	b := func(e *rewrite.Edit) string { return e.Const(tensor.Of([]float32{1, 2, 3}, 3)) }
	m := network(t, 3, func(e *rewrite.Edit, x string) string {
		h := e.Op("Relu", nil, e.Op("Gemm", nil, x, w(e), b(e)))
		h = add(e, e.Op("MatMul", nil, h, w(e)), b(e))
		h = e.Op("Sigmoid", nil, h)
		return e.Op("MatMul", nil, h, w(e))
	})
	sites, err := Sites(m, SiteOptions{Gemm: true})
	var ops []string
	for _, s := range sites {
		ops = append(ops, s.Op)
	}
	if err != nil || !slices.Equal(ops, []string{"Relu", "Linear", "Linear"}) {
		t.Errorf("sites %v, %v", ops, err)
	}
	if sites[1].Pre == sites[2].Pre {
		t.Error("both linear sites read one value")
	}
}

// Probes stand last place first: see attach.
func TestTapsStandLastPlaceFirst(t *testing.T) {
	m := network(t, 8, func(e *rewrite.Edit, x string) string {
		return e.Op("Relu", nil, e.Op("LeakyRelu", nil, e.Op("Relu", nil, x)))
	})
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, n := range p.Model.Graph.Nodes {
		if f := strings.Split(n.Name, "/"); f[0] == "onnxprobe" && !slices.Contains(order, f[1]) {
			order = append(order, f[1])
		}
	}
	if want := []string{"Relu_1", "LeakyRelu", "Relu"}; !slices.Equal(order, want) {
		t.Errorf("probes are written in the order %q, want %q", order, want)
	}
	for i, v := range p.Model.Graph.Outputs[1:] {
		if want := []string{"Relu", "LeakyRelu", "Relu_1"}[i]; v.Name != "onnxprobe.code/"+want {
			t.Errorf("output %d is %q, want that of %s", i+1, v.Name, want)
		}
	}
}
