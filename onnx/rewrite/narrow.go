package rewrite

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// maxHalf is the largest finite float16.
const maxHalf = 65504

// Narrow turns every floating value and weight of a model into float16, but for its
// inputs and outputs, which keep their types behind casts: whoever runs the result
// feeds and reads it as before. m is not changed. Weights round to the nearest
// float16; finite ones beyond its range become its largest. What ONNX allows in
// float32 alone stays, as in Widen; so do the errors.
func Narrow(m *onnx.Model) (*onnx.Model, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("narrowing the model: %w", err)
	}
	m, err := Inline(m)
	if err != nil {
		return nil, fmt.Errorf("narrowing the model: %w", err)
	}
	out, err := Apply(m, Pass{Name: "narrow", Do: func(e *Edit) error {
		w := &retyping{e.In("narrow"), tensor.Float16}
		was := map[string]tensor.DType{}
		for _, v := range slices.Concat(e.Graph.Inputs, e.Graph.Outputs) {
			was[v.Name] = v.DType
		}
		if err := w.graph(e.Graph, map[string]bool{}); err != nil {
			return err
		}
		w.ends(was)
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("narrowing the model: %w", err)
	}
	return out, nil
}

// ends gives the graph's inputs and outputs the types they had.
func (w *retyping) ends(was map[string]tensor.DType) {
	g, inputs := w.Graph, map[string]bool{}
	consts := map[string]bool{}
	for _, t := range g.Initializers {
		consts[t.Name] = true
	}
	for _, v := range g.Inputs {
		inputs[v.Name] = !consts[v.Name]
		if consts[v.Name] || !w.other(was[v.Name]) {
			continue
		}
		v.DType = was[v.Name]
		inner := w.Name(v.Name)
		reread(g, v.Name, inner)
		g.Nodes = append(g.Nodes, castNode(w.Name("Cast"), v.Name, inner, w.to))
	}
	for _, v := range g.Outputs {
		if !w.other(was[v.Name]) {
			continue
		}
		if v.DType = was[v.Name]; inputs[v.Name] { // handed through
			continue
		}
		inner := w.Name(v.Name)
		reread(g, v.Name, inner)
		for _, n := range g.Nodes {
			for i, o := range n.Outputs {
				if o == v.Name {
					n.Outputs[i] = inner
				}
			}
		}
		for i, t := range g.Initializers {
			if t.Name == v.Name {
				g.Initializers[i] = t.Renamed(inner)
			}
		}
		g.Nodes = append(g.Nodes, castNode(w.Name("Cast"), inner, v.Name, v.DType))
		was[v.Name] = w.to // an output named twice is cast once
	}
}

// reread makes the readers of a value read another.
func reread(g *onnx.Graph, from, to string) {
	for _, n := range g.Nodes {
		for i, in := range n.Inputs {
			if in == from {
				n.Inputs[i] = to
			}
		}
		for _, sub := range n.Subgraphs() {
			reread(sub, from, to)
			for _, v := range sub.Outputs {
				if v.Name == from {
					v.Name = to
				}
			}
		}
	}
}

func castNode(name, from, out string, to tensor.DType) *onnx.Node {
	return &onnx.Node{Name: name, Op: "Cast", Inputs: []string{from}, Outputs: []string{out},
		Attrs: []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, Int: int64(to)}}}
}

func halves(v []float64, shape []int) *tensor.Tensor {
	h := make([]uint16, len(v))
	for i, x := range v {
		if !math.IsInf(x, 0) {
			x = min(max(x, -maxHalf), maxHalf)
		}
		h[i] = tensor.Float32ToHalf(float32(x))
	}
	return &tensor.Tensor{DType: tensor.Float16, Shape: slices.Clone(shape), Data: h}
}
