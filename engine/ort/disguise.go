//go:build cgo

package ort

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// disguised is a node that looks like a Relu: what it is, and the constants that it reads
// besides its value, nil for one that is left out.
type disguised struct {
	node   *onnx.Node
	consts []*tensor.Tensor
}

// disguise gives a Clip or LeakyRelu that would be part of a convolution, were its value
// not packed, the look of a Relu, and returns what is hidden by the names of the Relus. By
// itself neither is among the activations that ONNX Runtime applies to values in blocks: it
// would put them in the usual order, and what follows would add them up in another order,
// too.
func disguise(m *onnx.Model) (*onnx.Model, map[string]disguised, error) {
	all := map[string]disguised{}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "disguise", Do: func(e *rewrite.Edit) error {
		ix, shown := e.Graph.Index(), shownOf(e.Graph)
		for _, n := range e.Graph.Nodes {
			if !n.IsOp("Clip") && !n.IsOp("LeakyRelu") || !slices.ContainsFunc(ix.Readers[n.Input(0)], isSignPack) || !endsConv(ix, shown, n) {
				continue
			}
			consts, ok := constants(e.Model, ix, n.Inputs[1:])
			if !ok {
				continue
			}
			was := *n
			*n = onnx.Node{Name: e.Name("onnxprobe.hidden"), Op: "Relu", Inputs: n.Inputs[:1], Outputs: n.Outputs}
			all[n.Name] = disguised{&was, consts}
		}
		return nil
	}})
	return m, all, err
}

// endsConv says whether ONNX Runtime would make n part of a convolution but for what
// SignPack reads: all between is constant.
func endsConv(ix *onnx.Index, shown map[string]bool, n *onnx.Node) bool {
	for {
		x := n.Input(0)
		if ix.Const[x] != nil {
			x = n.Input(1)
		}
		if shown[x] || slices.ContainsFunc(ix.Readers[x], func(r *onnx.Node) bool { return r != n && !isSignPack(r) }) {
			return false
		}
		n = ix.Maker[x]
		switch {
		case n == nil:
			return false
		case n.IsOp("Conv"):
			return true
		case n.IsOp("BatchNormalization"):
		case n.IsOp("Add") || n.IsOp("Mul"):
			if ix.Const[n.Input(0)] == nil && ix.Const[n.Input(1)] == nil {
				return false
			}
		default:
			return false
		}
	}
}

// undisguise puts what is hidden back, wherever its value lies now.
func undisguise(e *rewrite.Edit, all map[string]disguised) error {
	found := 0
	for _, n := range e.Graph.Nodes {
		h, ok := all[n.Name]
		if !ok || !n.IsOp("Relu") {
			continue
		}
		found++
		n.Op, n.Attrs = h.node.Op, h.node.Attrs
		for _, c := range h.consts {
			name := ""
			if c != nil {
				name = e.Const(c)
			}
			n.Inputs = append(n.Inputs, name)
		}
	}
	if found != len(all) {
		return fmt.Errorf("of %d nodes in disguise %d are left", len(all), found)
	}
	return nil
}
