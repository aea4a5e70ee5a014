package site

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

// graphOf makes a model of one input of d floats from a function that adds its
// nodes and returns the output.
func graphOf(t *testing.T, d int, build func(e *rewrite.Edit, x string) string) *onnx.Model {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: int64(d)}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		e.Output(build(e, "x"), tensor.Float32, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
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
		{"dynamo: modules whose names end in numbers", []string{
			"Relu a ['', 'act_1', 'relu']", "Relu b ['', 'act', 'relu_1']", "Relu c ['', 'act_1', 'relu_2']",
		}, []string{"act_1", "act", "act_1_1"}},
		{"TorchScript: a module whose number no call counted", []string{"Relu /relu/Relu", "Relu /relu_2/Relu"}, []string{"relu", "relu_2"}},
		{"TorchScript: a number before what it would count", []string{"Relu /act_1/Relu", "Relu /act/Relu"}, []string{"act_1", "act"}},
		{"TorchScript: a block called twice", []string{"Relu /b/relu/Relu", "Relu /b_1/relu/Relu"}, []string{"b.relu", "b.relu_1"}},
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
		sites, err := Find(m, Options{})
		var got []string
		for _, s := range sites.Sites {
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
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		h := e.Op("Relu", nil, e.Op("Gemm", nil, x, w(e), b(e)))
		h = e.Op("Add", nil, e.Op("MatMul", nil, h, w(e)), b(e))
		h = e.Op("Sigmoid", nil, h)
		return e.Op("MatMul", nil, h, w(e))
	})
	sites, err := Find(m, Options{Gemm: true})
	var ops []string
	for _, s := range sites.Sites {
		ops = append(ops, s.Op)
	}
	if err != nil || !slices.Equal(ops, []string{"Relu", "Linear", "Linear"}) {
		t.Errorf("sites %v, %v", ops, err)
	}
	if sites.Sites[1].Pre == sites.Sites[2].Pre {
		t.Error("both linear sites read one value")
	}
}

// What looks like an activation and is none.
func TestNotActivations(t *testing.T) {
	for _, f := range []struct {
		name  string
		build func(e *rewrite.Edit, x string) string
	}{
		{"a gate: sigmoid of something else", func(e *rewrite.Edit, x string) string {
			return e.Op("Mul", nil, x, e.Op("Sigmoid", nil, e.Op("Softmax", nil, x)))
		}},
		{"LeakyRelu with slope 1", func(e *rewrite.Edit, x string) string {
			return e.Op("LeakyRelu", map[string]any{"alpha": float32(1)}, x)
		}},
		{"a plain sigmoid", func(e *rewrite.Edit, x string) string { return e.Op("Sigmoid", nil, x) }},
		{"an empty Clip", func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, "", "") }},
	} {
		m := graphOf(t, 3, f.build)
		if s, err := Find(m, Options{}); err == nil {
			t.Errorf("%s: found %v", f.name, s)
		} else if !strings.Contains(err.Error(), "no activation that onnxprobe knows") {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

func TestChoosingSites(t *testing.T) {
	m := graphOf(t, 3, func(e *rewrite.Edit, x string) string {
		return e.Op("Relu", nil, e.Op("Abs", nil, e.Op("Relu", nil, x)))
	})
	all, err := Find(m, Options{})
	if err != nil || len(all.Sites) != 3 {
		t.Fatalf("%v, %v", all, err)
	}
	some, err := Find(m, Options{Globs: []string{"Relu*"}})
	if err != nil || len(some.Sites) != 2 {
		t.Errorf("Relu* chooses %v, %v", some, err)
	}
	_, err = Find(m, Options{Globs: []string{"Relu", "layer4*"}})
	if want := `no site matches ["layer4*"]; this model has 3: ["Relu" "Abs" "Relu_1"]`; err == nil || err.Error() != want {
		t.Errorf("a glob that matches nothing: %v, want %s", err, want)
	}
	if _, err = Find(m, Options{Globs: []string{"[a"}}); err == nil {
		t.Error("a malformed glob is accepted")
	}
}

func TestContainersThatAreNotCalledAreFound(t *testing.T) {
	node := func(name string, in ...string) *onnx.Node {
		return &onnx.Node{Op: "MatMul", Name: name, Inputs: in, Outputs: []string{name}}
	}
	g := &onnx.Graph{Nodes: []*onnx.Node{
		node("/bert/layer.0/dense/MatMul", "x", "Q.bert.layer.0.dense.weight"),
		node("/bert/act/MatMul", "x", "onnx::MatMul_7"),
		node("/stem/MatMul", "x", "stem.weight"),
		node("/twice/MatMul", "x", "a.twice.weight"), // one module in two places
		node("/twice/MatMul_1", "x", "b.twice.weight"),
		node("/not/MatMul", "x", "cannot.weight"),
	}}
	for _, n := range g.Nodes {
		g.Initializers = append(g.Initializers, &onnx.Tensor{Name: n.Input(1)})
	}
	want := []string{"Q.bert.layer.0.dense", "Q.bert.act", "stem", "twice", "twice", "not"}
	scopes := scopesOf(g)
	for i, n := range g.Nodes {
		if got := scopes[n].path; got != want[i] {
			t.Errorf("%s is in scope %q, want %q", n.Name, got, want[i])
		}
	}
}
