package probes

import (
	"fmt"
	"math/bits"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// window is the geometry of a MaxPool. A unit's code is the position of the
// element it takes within its window, counted in row-major order, written in
// planes bits, the lowest first.
type window struct {
	node                      *onnx.Node
	size, out                 []int64 // spatial, of the input and the output
	kernel, strides, dil, pad []int64 // pad: before
	planes                    int
}

func newWindow(s *Site, x []int64, facts map[string]onnx.Fact) (*window, []int64, error) {
	node := s.bend.Inner
	if len(node) != 1 || len(x) < 3 || len(x) > 10 {
		return nil, nil, fmt.Errorf("site %s: a MaxPool over a value of shape %v", s.Name, x)
	}
	n := node[0]
	out := facts[n.Outputs[0]]
	k := len(x) - 2
	if !out.Known() || len(out.Shape) != len(x) {
		return nil, nil, fmt.Errorf("the shape of site %s cannot be told from the model", s.Name)
	}
	if n.Int("storage_order", 0) != 0 {
		return nil, nil, fmt.Errorf("site %s: a column-major MaxPool is not supported", s.Name)
	}
	w := &window{node: n, size: x[2:], out: out.Shape[2:], kernel: n.Ints("kernel_shape")}
	list := func(name string, absent int64) []int64 {
		v := n.Ints(name)
		for len(v) < k {
			v = append(v, absent)
		}
		return v[:k]
	}
	w.strides, w.dil, w.pad = list("strides", 1), list("dilations", 1), list("pads", 0)
	total := int64(1)
	for i := range k {
		total *= w.kernel[i]
		if total > 1<<16 {
			return nil, nil, fmt.Errorf("site %s: a window of %v is too large to encode", s.Name, w.kernel)
		}
		if auto := n.Str("auto_pad", "NOTSET"); auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			need := max((w.out[i]-1)*w.strides[i]+(w.kernel[i]-1)*w.dil[i]+1-w.size[i], 0)
			if w.pad[i] = need / 2; auto == "SAME_LOWER" {
				w.pad[i] = (need + 1) / 2
			}
		} else if auto == "VALID" {
			w.pad[i] = 0
		}
	}
	w.planes = max(bits.Len64(uint64(total-1)), 1)
	return w, out.Shape, nil
}

// AppendWindow appends to dst the elements that unit u of a MaxPool takes the
// largest of, in the window's order: their places in the item's pooled value, in
// row-major order. Elements in the padding are left out. Other sites have none.
func (s *Site) AppendWindow(dst []int, u int) []int {
	w := s.window
	if w == nil {
		return dst
	}
	k := len(w.size)
	var corner, at [8]int64
	if k > len(at) {
		panic(fmt.Sprintf("probes: a MaxPool over %d axes", k))
	}
	for a := k - 1; a >= 0; a-- {
		n := int(w.out[a])
		corner[a] = int64(u%n)*w.strides[a] - w.pad[a]
		u /= n
	}
	for {
		place, inside := u, true
		for a := range k {
			c := corner[a] + at[a]*w.dil[a]
			inside = inside && c >= 0 && c < w.size[a]
			place = place*int(w.size[a]) + int(c)
		}
		if inside {
			dst = append(dst, place)
		}
		a := k - 1
		for ; a >= 0; a-- {
			if at[a]++; at[a] < w.kernel[a] {
				break
			}
			at[a] = 0
		}
		if a < 0 {
			return dst
		}
	}
}

// planesOf adds the nodes that turn the operator's Indices output, positions in
// the whole input, into planes of bits.
func (w *window) planesOf(p *packer) []string {
	e := p.e
	n := e.Graph.Nodes[indexOf(e.Graph.Nodes, w.node)]
	for len(n.Outputs) < 2 {
		n.Outputs = append(n.Outputs, "")
	}
	if n.Outputs[1] == "" {
		n.Outputs[1] = e.Name("indices")
	}
	num := func(v int64) string { return e.Const(tensor.Of([]int64{v}, 1)) }
	area := int64(1)
	for _, d := range w.size {
		area *= d
	}
	// Of numbers that are not negative; Mod came with opset 10.
	mod := func(x string, by int64) string {
		return e.Op("Sub", nil, x, e.Op("Mul", nil, e.Op("Div", nil, x, num(by)), num(by)))
	}
	rest := mod(n.Outputs[1], area)
	pos, weight := "", int64(1)
	for a := len(w.size) - 1; a >= 0; a-- {
		q := e.Op("Div", nil, rest, num(w.size[a]))
		coord := e.Op("Sub", nil, rest, e.Op("Mul", nil, q, num(w.size[a])))
		rest = q
		base := make([]int64, w.out[a])
		for i := range base {
			base[i] = int64(i)*w.strides[a] - w.pad[a]
		}
		shape := make([]int, len(w.size)-a)
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = len(base)
		in := e.Op("Sub", nil, coord, e.Const(tensor.Of(base, shape...)))
		if w.dil[a] != 1 {
			in = e.Op("Div", nil, in, num(w.dil[a]))
		}
		in = e.Op("Mul", nil, in, num(weight))
		if weight *= w.kernel[a]; pos == "" {
			pos = in
		} else {
			pos = e.Op("Add", nil, pos, in)
		}
	}
	var planes []string
	for j := range w.planes {
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
