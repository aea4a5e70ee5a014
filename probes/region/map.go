package region

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// maxEdge bounds the height and width of an input whose positions are followed.
const maxEdge = 1 << 13

// maxLine bounds the places of a line and maxTokens those of an axis of tokens.
const (
	maxLine   = 4 * maxEdge
	maxTokens = 1 << 24
)

// maxWork bounds what following a model may cost, in words of sets that are read; a
// word that is made counts as makes. So there are at most 1 GB of them.
const (
	maxWork = 1 << 32
	makes   = 32
)

// mapper follows the positions of values through a graph.
type mapper struct {
	facts  map[string]onnx.Fact
	values map[string]*value
	opset  int64
	work   int64
}

// Map finds the layout of each site, in their order, from the model that the sites
// were found in and the way samples enter it (probes.Plan has both). What is not
// spatial is not an error: its Layout says why. It is one when the input is not a
// picture of at most 8192 x 8192 pixels, or the model's shapes contradict each other.
func Map(m *onnx.Model, fit *probes.Fit, sites []site.Site) ([]Layout, error) {
	batch := int64(max(fit.Batch, 1))
	shape := []int64{batch}
	if fit.Unbatched {
		shape = nil
	}
	for _, d := range fit.Sample {
		shape = append(shape, int64(d))
	}
	in, err := pictureValue(fit, shape)
	if err != nil {
		return nil, err
	}
	facts, err := m.Infer(map[string][]int64{fit.Input: shape})
	if err != nil {
		return nil, fmt.Errorf("mapping units to the picture: %w", err)
	}
	mp := &mapper{facts: facts, values: map[string]*value{fit.Input: in}, opset: m.Opset("")}
	mp.run(m.Graph, sites)
	layouts := make([]Layout, len(sites))
	for i := range sites {
		layouts[i] = mp.layout(&sites[i], in.grid)
	}
	return layouts, nil
}

// pictureValue is the model's input: [C,H,W], [H,W,C] with 1 or 3 channels, or [H,W].
func pictureValue(fit *probes.Fit, shape []int64) (*value, error) {
	s := fit.Sample
	skip := len(shape) - len(s)
	y, x := len(s)-2, len(s)-1
	channels := func(d int) bool { return d == 1 || d == 3 }
	switch {
	case len(s) == 3 && !channels(s[0]) && channels(s[2]):
		y, x = 0, 1
	case len(s) == 3, len(s) == 2 && s[0] > 1 && s[1] > 1:
	default:
		return nil, fmt.Errorf("mapping units to the picture: the input %q takes samples of shape %v, which are no "+
			"pictures; want [C,H,W], [H,W,C] or [H,W]", fit.Input, s)
	}
	h, w := s[y], s[x]
	if h < 1 || w < 1 || h > maxEdge || w > maxEdge {
		return nil, fmt.Errorf("mapping units to the picture: the input %q is of %d x %d pixels (height x width); want 1 to %d each", fit.Input, h, w, maxEdge)
	}
	v := &value{grid: pixels(h, w)}
	for i, d := range shape {
		switch i - skip {
		case y:
			v.axes = append(v.axes, axis{{row, h, 1}})
		case x:
			v.axes = append(v.axes, axis{{column, w, 1}})
		case -1:
			v.axes = append(v.axes, axis{{item, int(d), 1}}.compact())
		default:
			v.axes = append(v.axes, plain(int(d)))
		}
	}
	return v, nil
}

// run follows all nodes, and forgets values that nothing reads any more.
func (mp *mapper) run(g *onnx.Graph, sites []site.Site) {
	left := map[string]int{}
	for i := range sites {
		left[sites[i].Place()]++
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			left[in]++
		}
	}
	for _, n := range g.Nodes {
		outs := mp.node(n)
		for i, o := range n.Outputs {
			if i < len(outs) && outs[i] != nil && o != "" {
				mp.values[o] = outs[i]
			}
		}
		for _, in := range n.Inputs {
			if left[in]--; left[in] == 0 {
				delete(mp.values, in)
			}
		}
	}
}

// call is one node with what is known of its inputs.
type call struct {
	*mapper
	n  *onnx.Node
	in []*value
	v  *value // the first input where it has positions
}

// node follows one node: its outputs' values, nil for constants.
func (mp *mapper) node(n *onnx.Node) []*value {
	c := call{mapper: mp, n: n, in: make([]*value, len(n.Inputs))}
	var data *value
	for i, name := range n.Inputs {
		if c.in[i] = mp.values[name]; c.in[i] != nil && (data == nil || data.grid == nil) {
			data = c.in[i]
		}
	}
	if len(n.Subgraphs()) > 0 { // what they read of the graph around is not looked at
		return c.all(lost("node " + n.String() + " holds graphs, which are not followed"))
	}
	if data == nil || n.IsOp("Shape") || n.IsOp("Size") {
		return nil
	}
	if c.in[0] != nil && c.in[0].grid != nil {
		c.v = c.in[0]
	}
	if data.grid == nil {
		return c.all(lost(data.why))
	}
	rule, known := rules[n.Op]
	if n.Op == "Split" {
		rule, known = nil, true
	}
	if !known || n.Domain != "" && n.Domain != "ai.onnx" && n.Domain != "com.microsoft" {
		return c.all(lost("positions are not followed through node " + n.String()))
	}
	for i, name := range n.Outputs {
		f := mp.facts[name]
		if i == 0 && (!f.Known() || slices.ContainsFunc(f.Shape, func(d int64) bool { return d < 1 || d > 1<<31 })) {
			return c.all(lost("the shape of what node " + n.String() + " makes cannot be told"))
		}
	}
	if mp.work > maxWork {
		return c.all(lost("the maps from units to pixels up to node " + n.String() + " are too large to follow"))
	}
	var outs []*value
	if rule == nil {
		outs = split(c)
	} else if v := rule(c); v != nil {
		outs = []*value{v}
	}
	if len(outs) == 0 {
		return c.all(lost("positions are not followed through node " + n.String()))
	}
	for i, o := range outs {
		if o == nil || o.grid == nil {
			continue
		}
		if shape := c.shape(i); !slices.Equal(shape, o.dims()) {
			outs[i] = lost(fmt.Sprintf("positions are not followed through node %s: it makes shape %v, its positions are of shape %v", n, shape, o.dims()))
			continue
		}
		if o.grid.h() > maxLine || o.grid.w() > maxLine {
			outs[i] = lost(fmt.Sprintf("the grid of node %s has %d x %d positions; at most %d each are followed", n, o.grid.h(), o.grid.w(), maxLine))
		} else if o.grid != data.grid {
			mp.work += makes * int64(o.grid.words())
		}
	}
	return outs
}

// words is the size of a grid's sets.
func (g *grid) words() int {
	n := 0
	for _, t := range append([]field{g.cell}, g.terms...) {
		for _, l := range []line{t.y, t.x} {
			if len(l) > 0 {
				n += len(l) * len(l[0])
			}
		}
	}
	return n
}

func (c call) all(v *value) []*value { return slices.Repeat([]*value{v}, len(c.n.Outputs)) }

// shape is that of output i; of an input with in.
func (c call) shape(i int) []int {
	if i >= len(c.n.Outputs) {
		return nil
	}
	return sizes(c.facts[c.n.Outputs[i]].Shape)
}

func (c call) inShape(i int) []int { return sizes(c.facts[c.n.Input(i)].Shape) }

func sizes(shape []int64) []int {
	out := make([]int, len(shape))
	for i, d := range shape {
		out[i] = int(d)
	}
	return out
}

// ints is a list that newer opsets pass as input i and older ones as an attribute; ok
// is false where it is given and not known.
func (c call) ints(i int, attr string) (v []int64, ok bool) {
	if c.n.Input(i) == "" {
		return c.n.Ints(attr), true
	}
	f := c.facts[c.n.Input(i)]
	if f.Const == nil {
		return nil, false
	}
	for _, x := range f.Const {
		v = append(v, int64(min(max(x, -1<<62), 1<<62)))
	}
	return v, true
}

// axisOf is a possibly negative axis of a value of a rank; ok is false outside it.
func axisOf(a int64, rank int) (int, bool) {
	if a < 0 {
		a += int64(rank)
	}
	return int(a), a >= 0 && a < int64(rank)
}
