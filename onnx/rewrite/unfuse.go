package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Unfuse takes apart what ONNX Runtime's optimizer has fused into a layer and that a
// probe has to see: the activation of a FusedConv or FusedGemm, the bias of a BiasGelu or
// FastGelu. The new nodes are named by the values that the fused ones make. It returns m
// itself where there is nothing to take apart; a form that it does not know stays.
func Unfuse(m *onnx.Model) (*onnx.Model, error) {
	if !slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return apart(n) != nil }) {
		return m, nil
	}
	out, err := Apply(m, Pass{Name: "unfuse", Do: func(e *Edit) error {
		for _, n := range slices.Clone(e.Graph.Nodes) {
			if do := apart(n); do != nil {
				do(e, n)
			}
		}
		return nil
	}, Shows: "its fused operators are taken apart"})
	if err != nil {
		return nil, fmt.Errorf("taking fused operators apart: %w", err)
	}
	return out, nil
}

// Plain is m with its functions inlined and fused operators taken apart, Inline and
// Unfuse: every bend is then a node of its own, as site.Find wants it. It returns m itself
// where there is nothing to do.
func Plain(m *onnx.Model) (*onnx.Model, error) {
	m, err := Inline(m)
	if err != nil {
		return nil, err
	}
	return Unfuse(m)
}

// apart is what takes a node apart, nil for one that is not fused.
func apart(n *onnx.Node) func(e *Edit, n *onnx.Node) {
	if len(n.Outputs) != 1 || n.Op == "FastGelu" && n.Input(1) == "" {
		return nil
	}
	return unfused[n.FullOp()]
}

// unfused takes a node apart, in its place, by the operator's name.
var unfused = map[string]func(e *Edit, n *onnx.Node){
	"com.microsoft.FusedConv": unfuseConv, "com.microsoft.FusedGemm": unfuseGemm,
	"com.microsoft.BiasGelu": unfuseBias, "com.microsoft.FastGelu": unfuseBias,
}

// behind moves what n makes behind new nodes: n gets an output of its own, and the last
// node, which reads it, makes what n did.
func (e *Edit) behind(n, last *onnx.Node) {
	last.Outputs = []string{n.Outputs[0]}
	last.Name = madeBy(n.Outputs[0])
	n.Name = strings.TrimPrefix(n.Name, "fused ")
	e.Graph.Nodes = append(e.Graph.Nodes, last)
	n.Outputs[0] = e.Name(last.Name + "/fused")
}

// madeBy is the name of the node that made a value before it was fused, by the value's:
// TorchScript's exporter writes /layer1/relu/Relu_output_0.
func madeBy(value string) string {
	if node, ok := strings.CutSuffix(value, "_output_0"); ok && strings.HasPrefix(node, "/") {
		return node
	}
	return value
}

// activationNode is the node of a fused activation and its parameters, which stand for
// the attributes in this order; nil for one that is not known.
func (e *Edit) activationNode(op string, params []float32) *onnx.Node {
	names, known := map[string][]string{"Relu": nil, "Sigmoid": nil, "Tanh": nil, "Softplus": nil, "Softsign": nil, "HardSwish": nil,
		"LeakyRelu": {"alpha"}, "Elu": {"alpha"}, "ThresholdedRelu": {"alpha"}, "Selu": {"alpha", "gamma"},
		"HardSigmoid": {"alpha", "beta"}, "Clip": {"min", "max"}}[op]
	if !known {
		return nil
	}
	n := &onnx.Node{Op: op, Inputs: []string{""}}
	for i, p := range params[:min(len(params), len(names))] {
		if op == "Clip" && e.Model.Opset("") >= 11 {
			n.Inputs = append(n.Inputs, e.Const(tensor.Scalar(p)))
		} else {
			n.Attrs = append(n.Attrs, &onnx.Attr{Name: names[i], Type: onnx.AttrFloat, Float: p})
		}
	}
	return n
}

// take removes attributes from a node.
func take(n *onnx.Node, names ...string) {
	n.Attrs = slices.DeleteFunc(n.Attrs, func(a *onnx.Attr) bool { return slices.Contains(names, a.Name) })
}

// unfuseConv: activation(Conv(x, w, b) + z).
func unfuseConv(e *Edit, n *onnx.Node) {
	act := n.Str("activation", "")
	var params []float32
	if a := n.Attr("activation_params"); a != nil {
		params = a.Floats
	}
	var last *onnx.Node
	if act != "" {
		if last = e.activationNode(act, params); last == nil {
			return
		}
	}
	z := n.Input(3)
	take(n, "activation", "activation_params")
	n.Op, n.Domain = "Conv", ""
	if len(n.Inputs) > 3 {
		n.Inputs = n.Inputs[:3]
	}
	if last != nil {
		e.behind(n, last)
	}
	sum := n.Outputs[0]
	if z != "" {
		add := &onnx.Node{Op: "Add", Name: e.Name(n.Name + "/Add"), Inputs: []string{"", z}, Outputs: []string{sum}}
		n.Outputs[0] = e.Name(n.Name + "/sum")
		add.Inputs[0] = n.Outputs[0]
		e.Graph.Nodes = append(e.Graph.Nodes, add)
	}
	if last != nil {
		last.Inputs[0] = sum
	}
}

// unfuseGemm: activation(Gemm(a, b, c)).
func unfuseGemm(e *Edit, n *onnx.Node) {
	var params []float32
	op := n.Str("activation", "")
	for _, name := range []string{"activation_alpha", "activation_beta", "activation_gamma"} {
		if a := n.Attr(name); a != nil && !(op == "Selu" && name == "activation_beta") {
			params = append(params, a.Float)
		}
	}
	var last *onnx.Node
	if op != "" {
		if last = e.activationNode(op, params); last == nil {
			return
		}
	}
	take(n, "activation", "activation_alpha", "activation_beta", "activation_gamma")
	n.Op, n.Domain = "Gemm", ""
	if last != nil {
		e.behind(n, last)
		last.Inputs[0] = n.Outputs[0]
	}
}

// unfuseBias: Gelu(x + bias), exact or by tanh.
func unfuseBias(e *Edit, n *onnx.Node) {
	last := &onnx.Node{Op: map[string]string{"BiasGelu": "Gelu", "FastGelu": "FastGelu"}[n.Op], Domain: n.Domain, Inputs: []string{""}}
	n.Op, n.Domain = "Add", ""
	e.behind(n, last)
	last.Inputs[0] = n.Outputs[0]
	last.Meta = slices.Clone(n.Meta)
}
