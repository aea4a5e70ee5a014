//go:build cgo

package ort

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
)

// scale multiplies the channels of values in blocks, as squeeze-and-excitation does:
//
//	y = Scale(x, factors)
//
// ONNX Runtime has no such operator: it puts values and factors in the usual order, and
// the product in blocks again. Like ActPack it is no part of a model.
const scale = "Scale"

// scaled makes a Scale of each Mul of values by a factor for each channel, where all three
// would be in blocks but for it. m is the model before it was optimised, in which the
// values have their names and shapes.
func scaled(e *rewrite.Edit, m *onnx.Model) {
	facts, _ := m.Infer(numbered(m)) // a value of unknown shape stays as it is
	column := func(v string) bool {
		s := facts[v].Shape
		return len(s) == 4 && s[2] == 1 && s[3] == 1
	}
	items := func(v string) int64 { return facts[v].Shape[0] }
	ix, shown := e.Graph.Index(), shownOf(e.Graph)
	renamed, gone := map[string]string{}, map[*onnx.Node]bool{}
	for _, n := range e.Graph.Nodes {
		if !n.IsOp("Mul") || shown[n.Outputs[0]] {
			continue
		}
		x, factors := n.Input(0), n.Input(1)
		if column(x) {
			x, factors = factors, x
		}
		if len(facts[x].Shape) != 4 || !column(factors) {
			continue
		}
		if n := items(factors); n != 1 && (n < 0 || n != items(x)) {
			continue
		}
		a, b, readers := ix.Maker[x], ix.Maker[factors], ix.Readers[n.Outputs[0]]
		if !usualOrder(a) || !usualOrder(b) || a.Int("channels", 0) != b.Int("channels", 0) || slices.ContainsFunc(readers, func(r *onnx.Node) bool {
			return r.Domain != nchwc || r.Op != "ReorderInput" || r.Int("channels_last", 0) != 0
		}) {
			continue
		}
		for _, r := range readers {
			renamed[r.Outputs[0]] = n.Outputs[0]
			gone[r] = true
		}
		*n = onnx.Node{Name: n.Name, Op: scale, Domain: engine.Domain, Inputs: []string{a.Input(0), b.Input(0)}, Outputs: n.Outputs, Attrs: blocks(a)}
	}
	e.Graph.Nodes = slices.DeleteFunc(e.Graph.Nodes, func(n *onnx.Node) bool { return gone[n] })
	for _, n := range e.Graph.Nodes {
		for i, in := range n.Inputs {
			if to := renamed[in]; to != "" {
				n.Inputs[i] = to
			}
		}
	}
}

// numbered are the shapes of a model's inputs, with a number for each number of items that
// is open: two of them need not be the same.
func numbered(m *onnx.Model) map[string][]int64 {
	shapes, names, taken := map[string][]int64{}, map[string]int64{}, map[int64]bool{}
	for _, v := range m.Graph.Inputs {
		if len(v.Shape) > 0 {
			taken[v.Shape[0].Size] = true
		}
	}
	next := int64(100)
	for _, v := range m.Graph.Inputs {
		if len(v.Shape) == 0 {
			continue
		}
		shape := make([]int64, len(v.Shape))
		for k, d := range v.Shape {
			shape[k] = -1
			if d.Size >= 0 && d.Param == "" {
				shape[k] = d.Size
			}
		}
		if shape[0] < 0 {
			name := v.Shape[0].Param
			if name == "" {
				name = v.Name + "[0]"
			}
			for names[name] == 0 {
				if next++; !taken[next] {
					names[name] = next
				}
			}
			shape[0] = names[name]
		}
		shapes[v.Name] = shape
	}
	return shapes
}
