package probes

import (
	"context"
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Neighborhood is where local complexity is measured: the vertices x + r q and
// x - r q for every direction q of the frame, after "Deep Networks Always Grok and
// Here is Why". The plus block comes first, so the reference vertex is x + r q_1.
type Neighborhood struct {
	Frame *Frame
	Radii []float64
	// Centre adds x itself, as the last vertex.
	Centre bool
}

// vertices is the number of points around one item at one radius.
func (nb *Neighborhood) vertices() int {
	n := 2 * nb.Frame.Directions
	if nb.Centre {
		n++
	}
	return n
}

// vertex writes vertex j of x. scaled is the frame times the radius.
func (nb *Neighborhood) vertex(dst, x, scaled []float32, j int) {
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

// Complexity measures local complexity for every item of a dataset and writes a
// row for each, in order; see ComplexityColumns.
func (r *Prober) Complexity(ctx context.Context, ds dataset.Dataset, nb Neighborhood, sink Sink, o RunOptions) (Summary, error) {
	return r.Write(ctx, ds, sink, o, ComplexityColumns{nb})
}

// ComplexityColumns are an item's local complexity, per radius: in total the number
// of units whose bit is not the same at all vertices, "complexity"; and per site
// that number, "count", and its fraction of the site's units, "fraction". Vertices
// go through the network in the batch dimension, several items to a batch where
// they fit; at no time does more than a batch of them exist.
type ComplexityColumns struct{ Neighborhood }

func (c ComplexityColumns) start(r *Prober) (maker, error) {
	p, nb := r.Plan, c.Neighborhood
	dim := tensor.Count(p.Fit.Sample)
	if nb.Frame == nil {
		return nil, errors.New("local complexity needs a frame")
	}
	if nb.Frame.Dim != dim {
		return nil, fmt.Errorf("the frame has directions of %d dimensions, the model's samples have %d", nb.Frame.Dim, dim)
	}
	if len(nb.Radii) == 0 {
		return nil, errors.New("local complexity needs a radius")
	}
	m := &counter{r: r, nb: nb, width: p.CodeBytes(), in: make([]float32, r.Batch*dim)}
	for _, radius := range nb.Radii {
		if !(radius > 0) {
			return nil, fmt.Errorf("a radius of %g; it must be positive", radius)
		}
		scaled := make([]float32, len(nb.Frame.Data))
		for k, v := range nb.Frame.Data {
			scaled[k] = float32(radius) * v
		}
		m.scaled = append(m.scaled, scaled)
	}
	m.codes, m.below = make([]byte, r.Batch*m.width), make([]byte, r.Batch*m.width)
	return m, nil
}

// counter runs the vertices around items and counts what changes among them.
type counter struct {
	r            *Prober
	nb           Neighborhood
	width        int
	scaled       [][]float32 // the frame times each radius
	in           []float32
	of           []*tally // whose the vertices in in are, one after the other
	idle         []*tally
	codes, below []byte
}

// tally gathers the vertices of one item at one radius.
type tally struct {
	item          *error
	counts        []int64 // of the sites, once all vertices were seen
	seen          int
	first, second []byte // codes of the reference vertex: above, and below for sign3
	differ        []byte // bits that were not the same at every vertex
}

// outputs: so many items fill whole batches with their vertices.
func (c *counter) outputs() (bool, int) {
	a, b := c.r.Batch, c.nb.vertices()*len(c.nb.Radii)
	for b != 0 {
		a, b = b, a%b
	}
	return false, c.r.Batch / a
}

// infer gives the counts of the batch's items: items by radii by sites.
func (c *counter) infer(ctx context.Context, in *tensor.Tensor, s *step) (any, error) {
	dim, sites := tensor.Count(c.r.Plan.Fit.Sample), len(c.r.Plan.Sites)
	counts := make([]int64, len(s.items)*len(c.nb.Radii)*sites)
	left := counts
	for i := range s.items {
		for _, scaled := range c.scaled {
			var mine []int64
			mine, left = left[:sites], left[sites:]
			if s.errs[i] != nil && s.errs[i] != errNaN {
				continue
			}
			t := c.tally(&s.errs[i], mine)
			x := tensor.Data[float32](in)[i*dim : (i+1)*dim]
			for j := range c.nb.vertices() {
				c.nb.vertex(c.in[len(c.of)*dim:(len(c.of)+1)*dim], x, scaled, j)
				if c.of = append(c.of, t); len(c.of) == c.r.Batch {
					if err := c.flush(ctx); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return counts, c.flush(ctx)
}

// tally is a fresh tally, of used memory where there is some.
func (c *counter) tally(item *error, counts []int64) *tally {
	t := &tally{first: make([]byte, c.width), differ: make([]byte, c.width)}
	if c.r.Plan.options.Sign3 && len(c.idle) == 0 {
		t.second = make([]byte, c.width)
	}
	if n := len(c.idle); n > 0 {
		t, c.idle = c.idle[n-1], c.idle[:n-1]
		clear(t.differ)
	}
	t.item, t.counts, t.seen = item, counts, 0
	return t
}

func (c *counter) flush(ctx context.Context) error {
	if len(c.of) == 0 {
		return nil
	}
	p := c.r.Plan
	clear(c.in[len(c.of)*tensor.Count(p.Fit.Sample):])
	out, err := c.r.Run(ctx, tensor.Of(c.in, append([]int{c.r.Batch}, p.Fit.Sample...)...))
	if err != nil {
		return err
	}
	c.r.codes(c.codes, out, "code")
	if p.options.Sign3 {
		c.r.codes(c.below, out, "below")
	}
	nan := c.r.nan(out)
	for i, t := range c.of {
		code, below := c.codes[i*c.width:(i+1)*c.width], c.below[i*c.width:(i+1)*c.width]
		if nan[i] {
			*t.item = errNaN
		}
		if t.seen == 0 {
			copy(t.first, code)
			copy(t.second, below)
		} else {
			orXor(t.differ, t.first, code)
			if p.options.Sign3 {
				orXor(t.differ, t.second, below)
			}
		}
		if t.seen++; t.seen == c.nb.vertices() {
			offset := 0
			for s := range p.Sites {
				site := &p.Sites[s]
				t.counts[s] = int64(changed(t.differ[offset:offset+site.Bytes()], site.Units, site.Planes()))
				offset += site.Bytes()
			}
			c.idle = append(c.idle, t)
		}
	}
	c.of = c.of[:0]
	return nil
}

func (c *counter) columns(s *step, state any) ([]Column, error) {
	counts := state.([]int64)
	per := len(c.nb.Radii) * len(c.r.Plan.Sites)
	for i, failed := range s.rows.failed {
		if failed {
			clear(counts[i*per : (i+1)*per])
		}
	}
	return c.r.Plan.complexityColumns(c.nb, counts, s.rows.failed), nil
}

// orXor sets in dst the bits in which a and b differ.
func orXor(dst, a, b []byte) {
	for i := range dst {
		dst[i] |= a[i] ^ b[i]
	}
}

// complexityColumns lays out counts, rows by radii by sites.
func (p *Plan) complexityColumns(nb Neighborhood, counts []int64, failed []bool) []Column {
	radii, sites := len(nb.Radii), len(p.Sites)
	rows := len(counts) / (radii * sites)
	total := make([]int64, rows*radii)
	fraction := make([]float64, len(counts))
	for i, n := range counts {
		total[i/sites] += n
		fraction[i] = float64(n) / float64(p.Sites[i%sites].Units)
	}
	var perRadius, perSite []Part
	for _, radius := range nb.Radii {
		at := ""
		if radii > 1 {
			at = fmt.Sprintf("@%g", radius)
			perRadius = append(perRadius, Part{fmt.Sprintf("r%g", radius), 1})
		}
		for i := range p.Sites {
			perSite = append(perSite, Part{p.Sites[i].Name + at, 1})
		}
	}
	width := 0
	if radii > 1 {
		width = radii
	}
	return []Column{
		{Name: "complexity", Values: total, Width: width, Parts: perRadius, Null: failed},
		{Name: "count", Values: counts, Width: radii * sites, Parts: perSite, Null: failed},
		{Name: "fraction", Values: fraction, Width: radii * sites, Parts: perSite, Null: failed},
	}
}
