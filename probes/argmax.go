package probes

import (
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// winners adds the nodes that turn the Indices output of a MaxPool, positions in the
// whole input, into planes of bits.
func (p *packer) winners(s *site.Site) []string {
	e, w := p.e, s.Window
	n := e.Graph.Nodes[indexOf(e.Graph.Nodes, w.Node)]
	for len(n.Outputs) < 2 {
		n.Outputs = append(n.Outputs, "")
	}
	if n.Outputs[1] == "" {
		n.Outputs[1] = e.Name("indices")
	}
	num := func(v int64) string { return e.Const(tensor.Of([]int64{v}, 1)) }
	area := int64(1)
	for _, d := range w.Size {
		area *= d
	}
	// Of numbers that are not negative; Mod came with opset 10.
	mod := func(x string, by int64) string {
		return e.Op("Sub", nil, x, e.Op("Mul", nil, e.Op("Div", nil, x, num(by)), num(by)))
	}
	rest := mod(n.Outputs[1], area)
	pos, weight := "", int64(1)
	for a := len(w.Size) - 1; a >= 0; a-- {
		q := e.Op("Div", nil, rest, num(w.Size[a]))
		coord := e.Op("Sub", nil, rest, e.Op("Mul", nil, q, num(w.Size[a])))
		rest = q
		base := make([]int64, w.Out[a])
		for i := range base {
			base[i] = int64(i)*w.Strides[a] - w.Pads[a]
		}
		shape := make([]int, len(w.Size)-a)
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = len(base)
		in := e.Op("Sub", nil, coord, e.Const(tensor.Of(base, shape...)))
		if w.Dilations[a] != 1 {
			in = e.Op("Div", nil, in, num(w.Dilations[a]))
		}
		in = e.Op("Mul", nil, in, num(weight))
		if weight *= w.Kernel[a]; pos == "" {
			pos = in
		} else {
			pos = e.Op("Add", nil, pos, in)
		}
	}
	var planes []string
	for j := range s.Planes() {
		bit := mod(e.Op("Div", nil, pos, num(1<<j)), 2)
		planes = append(planes, p.cast(bit, p.plane()))
	}
	return planes
}

func indexOf(nodes []*onnx.Node, like *onnx.Node) int {
	for i, n := range nodes {
		if n.Outputs[0] == like.Outputs[0] {
			return i
		}
	}
	panic("probes: a site's node is not in the graph it was found in")
}
