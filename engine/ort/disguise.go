//go:build cgo

package ort

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// disguised is a node in the look of another: what it is, and the constants that it reads
// besides its value, nil for one that is left out.
type disguised struct {
	node   *onnx.Node
	consts []*tensor.Tensor
}

// disguise gives a Clip or LeakyRelu that would be part of a convolution, were its value
// not packed, the look of a HardSigmoid, and returns what is hidden by the nodes' names. By
// itself neither is among the activations that ONNX Runtime applies to values in blocks: it
// would put them in the usual order, and what follows would add them up in another order,
// too. Each has a slope of its own, so that none is taken for another one, or for a
// HardSigmoid of the model.
func disguise(ctx context.Context, m *onnx.Model, f sessionFiles, o engine.Options) (*onnx.Model, map[string]disguised, error) {
	all := map[string]disguised{}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "name", Do: func(e *rewrite.Edit) error {
		ix := e.Graph.Index()
		for _, n := range e.Graph.Nodes {
			fits := n.IsOp("Clip") && len(n.Inputs) <= 3 || n.IsOp("LeakyRelu") && len(n.Inputs) == 1 // else ONNX Runtime refuses it
			if !fits || !slices.ContainsFunc(ix.Readers[n.Input(0)], isSignPack) {
				continue
			}
			if consts, ok := constants(e.Model, ix, n.Inputs[1:]); ok {
				n.Name = e.Name("onnxprobe.hidden")
				was := *n
				all[n.Name] = disguised{&was, consts}
			}
		}
		return nil
	}})
	if err != nil || len(all) == 0 {
		return m, nil, err
	}
	plain, err := rewrite.Apply(m, rewrite.Pass{Name: "unpack", Do: unpack})
	if err != nil {
		return nil, nil, err
	}
	opt, done, err := optimised(ctx, plain, f, o)
	if err != nil { // nothing is hidden then
		return m, nil, nil
	}
	defer done()
	for _, n := range opt.Graph.Nodes { // which is no part of a convolution
		delete(all, n.Name)
	}
	m, err = rewrite.Apply(m, rewrite.Pass{Name: "disguise", Do: func(e *rewrite.Edit) error {
		hidden := uint32(0)
		for _, n := range e.Graph.Nodes {
			if all[n.Name].node == nil {
				continue
			}
			slope := math.Float32frombits(0x3e5eed5e + hidden)
			hidden++
			n.Op, n.Inputs, n.Attrs = "HardSigmoid", n.Inputs[:1], []*onnx.Attr{{Name: "alpha", Type: onnx.AttrFloat, Float: slope}}
		}
		return nil
	}})
	return m, all, err
}

// unpack takes every SignPack out of a graph, and what is made of it.
func unpack(e *rewrite.Edit) error {
	gone := map[string]bool{}
	e.Graph.Nodes = slices.DeleteFunc(e.Graph.Nodes, func(n *onnx.Node) bool {
		out := isSignPack(n) || slices.ContainsFunc(n.Inputs, func(in string) bool { return gone[in] })
		for _, o := range n.Outputs {
			gone[o] = gone[o] || out && o != ""
		}
		return out
	})
	e.Graph.Outputs = slices.DeleteFunc(e.Graph.Outputs, func(v *onnx.Value) bool { return gone[v.Name] })
	return nil
}

// undisguise puts what is hidden back, wherever its value lies now.
func undisguise(e *rewrite.Edit, all map[string]disguised) error {
	found := 0
	for _, n := range e.Graph.Nodes {
		h, ok := all[n.Name]
		if !ok || !n.IsOp("HardSigmoid") {
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
