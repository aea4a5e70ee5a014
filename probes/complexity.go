package probes

import (
	"context"
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Complexity is local complexity after "Deep Networks Always Grok and Here is Why": how
// many units change their side among the vertices x + r q and x - r q around an item x,
// for every direction q of a frame. The plus block comes first, so the reference vertex
// is x + r q_1.
//
// Its columns are, per radius, in total the number of units whose bit is not the same at
// all vertices, "complexity"; and per site that number, "count", and its fraction of the
// site's units, "fraction". Their parts have the same names however many radii there are:
// of a radius of 0.05 "complexity" has r0.05, and "count" and "fraction" SITE@0.05. Vertices go through the network in the batch dimension,
// several items to a batch where they fit; at no time does more than a batch of them
// exist.
type Complexity struct {
	// Frame has the directions; see NewFrame. It is shared by all items.
	Frame *Frame
	Radii []float64
	// Center adds x itself, as the last vertex.
	Center bool
	// Sign3 counts a value exactly on its knot as a third side, as the authors' code does.
	Sign3 bool
	// Input is the name of the model's input that the frame is over, "" for the one
	// that samples enter by. The other inputs stay as the item has them.
	Input string
	// Changed adds which bits are not the same at all vertices, "changed": for each
	// radius they lie as those of a whole code do.
	Changed bool
	// Each, when not nil, gives every item a frame of its own, with as many directions
	// as Frame; an error is the item's.
	Each func(dataset.Item) (*Frame, error)

	// inGraph, when not nil, overrules where the vertices are made.
	inGraph *bool
}

// About is the probe's row in lists.
func (Complexity) About() About {
	return About{Name: "complexity", Doc: "local complexity: units whose bit is not the same all around the item", Around: true}
}

// Attach asks for the site's code.
func (nb Complexity) Attach(t *Tap) error {
	if t.Code(); nb.Sign3 {
		t.Below()
	}
	return nil
}

// kinds are the outputs that make codes of the vertices.
func (nb *Complexity) kinds() []string {
	if nb.Sign3 {
		return []string{"code", "below"}
	}
	return []string{"code"}
}

// Settings are what the manifest says of the probe.
func (nb Complexity) Settings() map[string]any {
	all := map[string]any{"radius": nb.Radii, "sign3": nb.Sign3, "include_centre": nb.Center,
		"frame": map[string]any{"file": nb.Frame.File, "directions": nb.Frame.Directions, "sha256": nb.Frame.SHA256()}}
	if nb.Input != "" {
		all["frame_input"] = nb.Input
	}
	return all
}

// vertices is the number of points around one item at one radius.
func (nb *Complexity) vertices() int {
	n := 2 * nb.Frame.Directions
	if nb.Center {
		n++
	}
	return n
}

// vertex writes vertex j of x. scaled is the frame times the radius.
func (nb *Complexity) vertex(dst, x, scaled []float32, j int) {
	p, d := nb.Frame.Directions, nb.Frame.Dim
	switch {
	case j < p:
		for i, v := range scaled[j*d : (j+1)*d] {
			dst[i] = x[i] + v
		}
	case j < 2*p:
		for i, v := range scaled[(j-p)*d : (j-p+1)*d] {
			dst[i] = x[i] - v
		}
	default:
		copy(dst, x)
	}
}

// Start readies the probe for a session.
func (nb Complexity) Start(ctx context.Context, r *Prober) (Maker, error) {
	p := r.Plan
	if nb.Frame == nil {
		return nil, errors.New("local complexity needs a frame")
	}
	moved, dim, err := p.Fit.around(nb.Input)
	if err != nil {
		return nil, err
	}
	if nb.Frame.Dim != dim {
		return nil, fmt.Errorf("the frame has directions of %d dimensions, the model's samples have %d", nb.Frame.Dim, dim)
	}
	if len(nb.Radii) == 0 {
		return nil, errors.New("local complexity needs a radius")
	}
	for _, radius := range nb.Radii {
		if !(radius > 0) {
			return nil, fmt.Errorf("a radius of %g; it must be positive", radius)
		}
	}
	m := &counter{r: r, Complexity: nb, moved: moved}
	if !r.inGraph(&nb) {
		m.crossing, err = newHostCrossing(r, &nb, moved)
		return m, err
	}
	g, err := newGraphCrossing(ctx, r, &nb)
	if err != nil {
		return nil, fmt.Errorf("making the vertices in the graph: %w", err)
	}
	m.crossing = g
	return m, nil
}

// counter sends the vertices around items through the network and counts what
// changes among them.
type counter struct {
	Complexity
	r     *Prober
	moved int // the place among Fit.Others of what vertices are made of, -1 for the sample
	crossing
	of   []*tally // whose the vertices of the next run are, one after the other
	idle []*tally
}

// crossing runs vertices: on the host, or in the graph.
type crossing interface {
	// put makes vertex j at the given radius around x the at-th of the next run; t is
	// the tally of x there.
	put(at int, x []float32, radius, j int, t *tally)
	// run runs the vertices put since the last run, whose tallies are of, and shows
	// them what came of it. nan says of which vertices the network made a NaN.
	run(ctx context.Context, of []*tally) (nan []bool, err error)
}

// tally gathers the vertices of one item at one radius.
type tally struct {
	item   *error
	in     *tensor.Tensor // the batch that the item is row row of
	others []*tensor.Tensor
	row    int
	frame  *Frame  // the item's own, or nil
	counts []int64 // of the sites, once all vertices were seen
	bits   []byte  // that changed, then, unless nil
	seen   int
	// some has the bits that were set at any vertex, all those that were at every
	// one: of the codes above the knots, and with Sign3 of those below.
	some, all [2][]byte
}

// see takes in what vertices have in common: the bits that any of them and that all
// of them set, in code k from offset on.
func (t *tally) see(k, offset int, some, all []byte) {
	or(t.some[k][offset:], some)
	and(t.all[k][offset:], all)
}

// Items is how many items fill whole batches with their vertices.
func (c *counter) Items() int {
	a, b := c.r.Batch, c.vertices()*len(c.Radii)
	for b != 0 {
		a, b = b, a%b
	}
	return c.r.Batch / a
}

// crossed is what changed around the items of a batch.
type crossed struct {
	counts []int64 // items by radii by sites
	bits   []byte  // items by radii by code; nil where they are not asked for
}

// Run gives what changed around the batch's items.
func (c *counter) Run(ctx context.Context, s *Batch) (any, error) {
	c.of = c.of[:0] // of a run that crashed
	in := s.Input()
	sites, around := len(c.r.Plan.Sites), in
	others := make([]*tensor.Tensor, len(s.others))
	for k, t := range s.others {
		var err error
		if others[k], err = convert(t, c.r.Plan.Fit.rowsOf(k, c.moved)); err != nil {
			return nil, err
		}
	}
	if c.moved >= 0 {
		around = others[c.moved]
	}
	counts := make([]int64, len(s.items)*len(c.Radii)*sites)
	left := counts
	var bits, rest []byte
	if c.Changed {
		bits = make([]byte, len(s.items)*len(c.Radii)*c.r.Plan.CodeBytes())
		rest = bits
	}
	for i := range s.items {
		var own *Frame
		if c.Each != nil && (s.errs[i] == nil || s.errs[i] == errNaN) {
			var err error
			if own, err = c.Each(s.items[i]); err != nil {
				s.errs[i] = err
			}
		}
		for radius := range c.Radii {
			var mine []int64
			mine, left = left[:sites], left[sites:]
			var changed []byte
			if c.Changed {
				changed, rest = rest[:c.r.Plan.CodeBytes()], rest[c.r.Plan.CodeBytes():]
			}
			if s.errs[i] != nil && s.errs[i] != errNaN {
				continue
			}
			t := c.tally(&s.errs[i], mine, changed)
			t.in, t.others, t.row, t.frame = in, others, i, own
			x := floatRow(around, i)
			for j := range c.vertices() {
				c.put(len(c.of), x, radius, j, t)
				if c.of = append(c.of, t); len(c.of) == c.r.Batch {
					if err := c.flush(ctx); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return crossed{counts, bits}, c.flush(ctx)
}

// tally is a fresh tally, of used memory where there is some.
func (c *counter) tally(item *error, counts []int64, bits []byte) *tally {
	t := &tally{}
	if n := len(c.idle); n > 0 {
		t, c.idle = c.idle[n-1], c.idle[:n-1]
	} else {
		for k := range c.kinds() {
			t.some[k], t.all[k] = make([]byte, c.r.Plan.CodeBytes()), make([]byte, c.r.Plan.CodeBytes())
		}
	}
	for k := range t.some {
		clear(t.some[k])
		for i := range t.all[k] {
			t.all[k][i] = 0xff
		}
	}
	t.item, t.counts, t.bits, t.seen = item, counts, bits, 0
	return t
}

func (c *counter) flush(ctx context.Context) error {
	if len(c.of) == 0 {
		return nil
	}
	nan, err := c.run(ctx, c.of)
	if err != nil {
		return err
	}
	for i, t := range c.of {
		if nan[i] {
			*t.item = errNaN
		}
		if t.seen++; t.seen == c.vertices() {
			t.count(c.r.Plan, len(c.kinds()))
			c.idle = append(c.idle, t)
		}
	}
	c.of = c.of[:0]
	return nil
}

// count counts, site by site, the units with a bit that was not the same at all
// vertices.
func (t *tally) count(p *Plan, kinds int) {
	differ := t.some[0]
	for k := range kinds {
		differs(t.some[k], t.all[k])
		or(differ, t.some[k])
	}
	copy(t.bits, differ)
	offset := 0
	for s := range p.Sites {
		site := &p.Sites[s]
		t.counts[s] = int64(changed(differ[offset:offset+site.Bytes()], site.Units, site.Planes()))
		offset += site.Bytes()
	}
}

// Columns lays out what Run counted.
func (c *counter) Columns(b *Batch) ([]result.Column, error) {
	found := b.Ran().(crossed)
	per, width := len(c.Radii)*len(c.r.Plan.Sites), len(c.Radii)*c.r.Plan.CodeBytes()
	for i, failed := range b.Failed() {
		if failed {
			clear(found.counts[i*per : (i+1)*per])
			if c.Changed {
				clear(found.bits[i*width : (i+1)*width])
			}
		}
	}
	cols := c.layOut(c.r.Plan, found.counts, b.Failed())
	if c.Changed {
		cols = append(cols, result.Column{Name: "changed", Values: found.bits, Width: width, Null: b.Failed()})
	}
	return cols, nil
}

// layOut makes columns of counts, rows by radii by sites.
func (nb *Complexity) layOut(p *Plan, counts []int64, failed []bool) []result.Column {
	radii, sites := len(nb.Radii), len(p.Sites)
	rows := len(counts) / (radii * sites)
	total := make([]int64, rows*radii)
	fraction := make([]float64, len(counts))
	for i, n := range counts {
		total[i/sites] += n
		fraction[i] = float64(n) / float64(p.Sites[i%sites].Units)
	}
	var perRadius, perSite []result.Part
	for _, radius := range nb.Radii {
		perRadius = append(perRadius, result.Part{Name: fmt.Sprintf("r%g", radius), Width: 1})
		for i := range p.Sites {
			perSite = append(perSite, result.Part{Name: fmt.Sprintf("%s@%g", p.Sites[i].Name, radius), Width: 1})
		}
	}
	return []result.Column{
		{Name: "complexity", Values: total, Width: radii, Parts: perRadius, Null: failed},
		{Name: "count", Values: counts, Width: radii * sites, Parts: perSite, Null: failed},
		{Name: "fraction", Values: fraction, Width: radii * sites, Parts: perSite, Null: failed},
	}
}
