package probes

import (
	"context"
	"fmt"
	"slices"

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

// tally gathers the vertices of one item at one radius.
type tally struct {
	radius, seen  int
	first, second []byte // codes of the reference vertex: above, and below for sign3
	differ        []byte // bits that were not the same at every vertex
}

// Complexity measures local complexity for every item of a dataset and writes a
// row for each, in order: per radius the total number of units whose bit is not
// the same at all vertices, and per site that number and its fraction of the
// site's units. Vertices go through the network in the batch dimension, several
// items to a batch where they fit; at no time does more than a batch of them
// exist.
func (r *Prober) Complexity(ctx context.Context, ds dataset.Dataset, nb Neighborhood, sink Sink, o RunOptions) (Summary, error) {
	p := r.Plan
	dim := tensor.Count(p.Fit.Sample)
	if nb.Frame == nil || nb.Frame.Dim != dim {
		return Summary{}, fmt.Errorf("the frame has directions of %d dimensions, the model's samples have %d", nb.Frame.Dim, dim)
	}
	if len(nb.Radii) == 0 {
		return Summary{}, fmt.Errorf("local complexity needs a radius")
	}
	scaled := make([][]float32, len(nb.Radii))
	for i, radius := range nb.Radii {
		if !(radius > 0) {
			return Summary{}, fmt.Errorf("a radius of %g; it must be positive", radius)
		}
		scaled[i] = make([]float32, len(nb.Frame.Data))
		for k, v := range nb.Frame.Data {
			scaled[i][k] = float32(radius) * v
		}
	}
	c := &counter{r: r, nb: nb, width: p.CodeBytes(), in: make([]float32, r.Batch*dim)}
	c.codes, c.below = make([]byte, r.Batch*c.width), make([]byte, r.Batch*c.width)

	const chunk = 32 // rows written at a time
	rows := &rows{}
	counts := make([]int64, 0, chunk*len(nb.Radii)*len(p.Sites))
	sum := Summary{}
	flush := func() error {
		if rows.n == 0 {
			return nil
		}
		err := sink.Write(append(rows.columns(), p.complexityColumns(nb, counts, rows.failed)...))
		rows.reset()
		counts = counts[:0]
		return err
	}
	// Items enter the network in batches of vertices; their results come out in
	// order, so a queue of the items under way is enough.
	var queue []*pendingItem
	settle := func(all bool) error {
		for len(queue) > 0 && (queue[0].left == 0 || all && queue[0].err != nil) {
			it := queue[0]
			queue = queue[1:]
			if it.err == nil && it.nan {
				it.err = errNaN
			}
			rows.add(it.item, it.err)
			if it.err != nil {
				clear(it.counts)
			}
			counts = append(counts, it.counts...)
			sum.count(it.err)
			o.progress(sum)
			if rows.n == chunk {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for b, err := range dataset.Batches(ctx, ds, 1, o.workers()) {
		if err != nil {
			return sum, err
		}
		it := &pendingItem{item: b.Items[0], err: b.Errs[0], counts: make([]int64, len(nb.Radii)*len(p.Sites))}
		queue = append(queue, it)
		if it.err == nil {
			it.left = len(nb.Radii)
			x := tensor.Data[float32](b.Input)[:dim]
			for ri := range nb.Radii {
				t := &tally{radius: ri, differ: make([]byte, c.width)}
				for j := range nb.vertices() {
					nb.vertex(c.in[c.n*dim:(c.n+1)*dim], x, scaled[ri], j)
					if err := c.push(ctx, it, t); err != nil {
						return sum, err
					}
				}
			}
		}
		if err := settle(false); err != nil {
			return sum, err
		}
	}
	if err := c.flush(ctx); err != nil {
		return sum, err
	}
	if err := settle(true); err != nil {
		return sum, err
	}
	return sum, flush()
}

// pendingItem is an item some of whose vertices are still to be run.
type pendingItem struct {
	item   dataset.Item
	err    error
	nan    bool
	left   int // radii
	counts []int64
}

// counter runs vertices and counts what changes among them.
type counter struct {
	r            *Prober
	nb           Neighborhood
	width        int
	in           []float32
	n            int // vertices waiting in in
	of           []*tally
	whose        []*pendingItem
	codes, below []byte
}

func (c *counter) push(ctx context.Context, it *pendingItem, t *tally) error {
	c.of, c.whose = append(c.of, t), append(c.whose, it)
	if c.n++; c.n == c.r.Batch {
		return c.flush(ctx)
	}
	return nil
}

func (c *counter) flush(ctx context.Context) error {
	if c.n == 0 {
		return nil
	}
	p := c.r.Plan
	dim := tensor.Count(p.Fit.Sample)
	clear(c.in[c.n*dim:])
	out, err := c.r.Run(ctx, tensor.Of(c.in, append([]int{c.r.Batch}, p.Fit.Sample...)...))
	if err != nil {
		return err
	}
	c.r.codes(c.codes, out, "code")
	if p.options.Sign3 {
		c.r.codes(c.below, out, "below")
	}
	nan := c.r.nan(out)
	for i := range c.n {
		t, it := c.of[i], c.whose[i]
		code, below := c.codes[i*c.width:(i+1)*c.width], c.below[i*c.width:(i+1)*c.width]
		it.nan = it.nan || nan[i]
		if t.seen == 0 {
			t.first = slices.Clone(code)
			if p.options.Sign3 {
				t.second = slices.Clone(below)
			}
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
				it.counts[t.radius*len(p.Sites)+s] = int64(changed(t.differ[offset:offset+site.Bytes()], site.Units, site.Planes()))
				offset += site.Bytes()
			}
			it.left--
		}
	}
	c.n, c.of, c.whose = 0, c.of[:0], c.whose[:0]
	return nil
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
		{Name: "count", Values: slices.Clone(counts), Width: radii * sites, Parts: perSite, Null: failed},
		{Name: "fraction", Values: fraction, Width: radii * sites, Parts: perSite, Null: failed},
	}
}
