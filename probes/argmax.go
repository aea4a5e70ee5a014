package probes

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// winners adds the nodes that make planes of bits from which element each unit takes,
// the lowest bit first.
func (p *packer) winners(s *site.Site) []string {
	var pos string
	switch w := s.Window; {
	case w == nil:
		pos = p.choice(s)
	case w.Axes != nil:
		pos = p.along(s, w)
	default:
		pos = p.pooled(w)
	}
	var planes []string
	for j := range s.Planes() {
		bit := p.mod(p.e.Op("Div", nil, pos, p.int(1<<j)), 2)
		planes = append(planes, p.cast(bit, p.plane()))
	}
	return planes
}

func (p *packer) int(v int64) string { return p.e.Const(tensor.Of([]int64{v}, 1)) }

// mod is the remainder of numbers that are not negative; Mod came with opset 10.
func (p *packer) mod(x string, by int64) string {
	return p.e.Op("Sub", nil, x, p.e.Op("Mul", nil, p.e.Op("Div", nil, x, p.int(by)), p.int(by)))
}

// choice is the number of the value that is taken: the first of the largest.
func (p *packer) choice(s *site.Site) string {
	op, better := "Max", "Greater"
	if s.Least() {
		op, better = "Min", "Less"
	}
	best, number := "", ""
	for i, v := range s.Choices() {
		v = p.wide(s, v)
		if best == "" {
			best = v
			continue
		}
		takes := p.cast(p.e.Op(better, nil, v, best), tensor.Int64)
		if best = p.e.Op(op, nil, best, v); number == "" {
			number = takes
			continue
		}
		// i where it takes over, else what it was.
		stays := p.e.Op("Mul", nil, number, p.e.Op("Sub", nil, p.int(1), takes))
		number = p.e.Op("Add", nil, stays, p.e.Op("Mul", nil, takes, p.int(int64(i))))
	}
	return number
}

// along is the place of the largest element along the axes that a reduction takes away.
func (p *packer) along(s *site.Site, w *site.Window) string {
	op := "ArgMax"
	if s.Least() {
		op = "ArgMin"
	}
	x, rank := p.wide(s, s.Pre), len(w.Size)
	axis := func(a int) int64 { // of the item's a-th axis, the batch counted
		if a < w.Batch {
			return int64(a)
		}
		return int64(a + 1)
	}
	perm, stay, size := []int64{int64(w.Batch)}, []int64{p.lead}, int64(1)
	if p.lead == 1 { // one item, whatever its axes mean
		x = p.e.Op("Reshape", nil, x, p.ints(append([]int64{1}, w.Size...)...))
		axis, perm[0] = func(a int) int64 { return int64(a + 1) }, 0
	}
	for a := range rank {
		if !slices.Contains(w.Axes, a) {
			perm, stay = append(perm, axis(a)), append(stay, w.Size[a])
		}
	}
	for a := range rank {
		if slices.Contains(w.Axes, a) {
			perm, size = append(perm, axis(a)), size*w.Size[a]
		}
	}
	x = p.e.Op("Reshape", nil, p.e.Op("Transpose", map[string]any{"perm": perm}, x), p.ints(append(stay, size)...))
	return p.e.Op(op, map[string]any{"axis": len(stay), "keepdims": 0}, x)
}

// pooled is the place in its window from the Indices output of a MaxPool, positions in
// the whole input.
func (p *packer) pooled(w *site.Window) string {
	e := p.e
	n := e.Graph.Nodes[indexOf(e.Graph.Nodes, w.Node)]
	for len(n.Outputs) < 2 {
		n.Outputs = append(n.Outputs, "")
	}
	if n.Outputs[1] == "" {
		n.Outputs[1] = e.Name("indices")
	}
	area := int64(1)
	for _, d := range w.Size {
		area *= d
	}
	rest := p.mod(n.Outputs[1], area)
	pos, weight := "", int64(1)
	for a := len(w.Size) - 1; a >= 0; a-- {
		q := e.Op("Div", nil, rest, p.int(w.Size[a]))
		coord := e.Op("Sub", nil, rest, e.Op("Mul", nil, q, p.int(w.Size[a])))
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
			in = e.Op("Div", nil, in, p.int(w.Dilations[a]))
		}
		in = e.Op("Mul", nil, in, p.int(weight))
		if weight *= w.Kernel[a]; pos == "" {
			pos = in
		} else {
			pos = e.Op("Add", nil, pos, in)
		}
	}
	return pos
}

func indexOf(nodes []*onnx.Node, like *onnx.Node) int {
	for i, n := range nodes {
		if n.Outputs[0] == like.Outputs[0] {
			return i
		}
	}
	panic("probes: a site's node is not in the graph it was found in")
}
