package region

import (
	"fmt"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Parts are the regions of a dataset's pictures as items of their own, IMAGE#REGION, each
// the whole picture, with the region for Frame to stay inside of.
type Parts struct {
	// Items is the dataset.
	Items dataset.Dataset

	of   dataset.Dataset
	from Source
	refs map[string]part // by id

	mu   sync.Mutex
	last string // whose regions these are
	seen []Region
}

type part struct {
	picture, region int
	err             error
}

// NewParts looks through the pictures of ds. A region that cannot be used is an item
// whose frame is its error; pictures without regions are no items.
func NewParts(ds dataset.Dataset, from Source) (*Parts, error) {
	p := &Parts{of: ds, from: from, refs: map[string]part{}}
	var refs []part
	items, err := choose(ds, from, func(_ picture.Geometry, i, k int, _ *Region, err error) {
		refs = append(refs, part{picture: i, region: k, err: err})
	})
	if err != nil {
		return nil, err
	}
	p.Items = items
	for k, r := range refs {
		p.refs[p.Items.Item(k).ID] = r
	}
	return p, nil
}

// Frame is f restricted to the elements of the input that show an item's region, for
// probes.Neighborhood.Each.
func (p *Parts) Frame(it dataset.Item, f *probes.Frame) (*probes.Frame, error) {
	r, ok := p.refs[it.ID]
	switch {
	case !ok:
		return nil, fmt.Errorf("no region is called %q", it.ID)
	case r.err != nil:
		return nil, r.err
	}
	g, err := dataset.GeometryOf(p.of, r.picture)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	regions := p.seen
	if id := p.of.Item(r.picture).ID; id != p.last || regions == nil {
		regions, _ = p.from.Regions(r.picture, g.Picture)
		p.last, p.seen = id, regions
	}
	p.mu.Unlock()
	if r.region >= len(regions) {
		return nil, fmt.Errorf("region %d: the picture had more regions when they were counted than it has now, %d", r.region, len(regions))
	}
	mask, _, err := Project(g, regions[r.region])
	if err != nil {
		return nil, err
	}
	// A picture's sample is [C,H,W], or [H,W,C] for models converted from TensorFlow.
	shape := p.Items.Shape()
	if len(shape) != 3 {
		return nil, fmt.Errorf("samples of shape %v are no pictures", shape)
	}
	plane, channels, last := g.Input.H*g.Input.W, shape[0], false
	if shape[1] != g.Input.H || shape[2] != g.Input.W {
		channels, last = shape[2], true
	}
	if channels*plane != f.Dim {
		return nil, fmt.Errorf("the frame is over %d elements, a picture has %d", f.Dim, channels*plane)
	}
	inside := make([]bool, f.Dim)
	mask.Each(func(y, x int) {
		for c := range channels {
			if at := y*g.Input.W + x; last {
				inside[at*channels+c] = true
			} else {
				inside[c*plane+at] = true
			}
		}
	})
	return f.Within(inside)
}
