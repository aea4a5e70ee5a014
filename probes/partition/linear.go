package partition

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// affine lists the operators whose output is affine in all of their inputs that
// depend on the data; bilinear those where that holds while only one of them does.
var (
	affine = set("Add", "Sub", "Sum", "Mean", "Neg", "Concat", "Identity", "Dropout", "Reshape", "Flatten", "Transpose", "Squeeze",
		"Unsqueeze", "Slice", "Gather", "GatherElements", "GatherND", "Split", "Expand", "Tile", "Pad", "AveragePool", "GlobalAveragePool",
		"ReduceSum", "ReduceMean", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "BatchNormalization", "CumSum", "Trilu", "Col2Im")
	bilinear = set("Mul", "MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum")
	// stepwise operators are piecewise affine, with boundaries that no site shows.
	stepwise = set("GlobalMaxPool", "ReduceMax", "ReduceMin", "Max", "Min", "MaxPool", "Where", "Sign", "Floor", "Ceil", "Round", "Greater", "Less",
		"GreaterOrEqual", "LessOrEqual", "Equal", "And", "Or", "Not", "Xor", "ArgMax", "ArgMin", "TopK", "Hardmax", "Shrink", "Cast")
	// curved activations are more than lines between their knots.
	curved = set("HardSwish", "Elu", "Selu", "Celu")
)

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// survey looks for what keeps the output from being piecewise affine in the
// input, and for boundaries that no site shows: bent are sites and nodes of the
// first kind, unwatched nodes of the second.
func survey(m *onnx.Model, input, output string, sites []site.Site) (bent, unwatched []string) {
	covered := map[*onnx.Node]*site.Site{}
	for i := range sites {
		for _, n := range sites[i].Nodes() {
			covered[n] = &sites[i]
		}
	}
	// What the output depends on.
	needed := map[string]bool{output: true}
	for _, n := range slices.Backward(m.Graph.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
			continue
		}
		for _, v := range reads(n) {
			needed[v] = true
		}
	}
	data := map[string]bool{input: true}
	for _, n := range m.Graph.Nodes {
		var from []int
		for i, v := range n.Inputs {
			if data[v] {
				from = append(from, i)
			}
		}
		hidden := slices.ContainsFunc(reads(n)[len(n.Inputs):], func(v string) bool { return data[v] })
		if len(from) == 0 && !hidden || n.IsOp("Shape") || n.IsOp("Size") {
			continue
		}
		for _, o := range n.Outputs {
			data[o] = o != ""
		}
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
			continue
		}
		if s := covered[n]; s != nil {
			if s.Smooth || curved[s.Op] {
				if name := fmt.Sprintf("%s (%s)", s.Name, s.Op); !slices.Contains(bent, name) {
					bent = append(bent, name)
				}
			}
			continue
		}
		own := n.Domain == "" || n.Domain == "ai.onnx"
		switch {
		case hidden || !own:
			bent = append(bent, n.String())
		case affine[n.Op], bilinear[n.Op] && single(n, from), n.Op == "Div" && slices.Equal(from, []int{0}):
		case n.Op == "Cast" && tensor.DType(n.Int("to", 0)).IsFloat():
		case stepwise[n.Op]:
			unwatched = append(unwatched, n.String())
		default:
			bent = append(bent, n.String())
		}
	}
	return bent, unwatched
}

// single reports whether a product has one factor that depends on the data; what
// Gemm and Conv add to it may depend on it too.
func single(n *onnx.Node, from []int) bool {
	factors := 0
	for _, i := range from {
		if i < 2 || n.Op == "Einsum" {
			factors++
		}
	}
	return factors == 1
}

// reads lists a node's inputs and then the outer values that its subgraphs read.
func reads(n *onnx.Node) []string {
	all := slices.Clone(n.Inputs)
	for _, g := range n.Subgraphs() {
		for _, k := range g.Nodes {
			all = append(all, reads(k)...)
		}
		for _, o := range g.Outputs {
			all = append(all, o.Name)
		}
	}
	return all
}
