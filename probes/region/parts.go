package region

import (
	"fmt"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Parts are the regions of a dataset's pictures as items of their own, each the whole
// picture, called as the rows of regions are: IMAGE#REGION. What is wrong with regions is an
// item with an error, IMAGE#!1, and so is a picture that cannot be read, IMAGE; pictures
// without regions are no items.
type Parts struct {
	// Items is the dataset.
	Items dataset.Dataset

	of      dataset.Dataset
	from    Source
	all     []part
	number  map[string]int // of an item, by its ID
	without int            // pictures
	none    bool           // the one item stands for none

	mu   sync.Mutex
	last string // whose regions these are
	seen []Region
}

// part is one of them: a region, or what is none and why.
type part struct {
	picture, nth int // of the dataset, and of the picture
	err          error
	entry        // what its row says besides id and path
}

// NewParts looks through the pictures of ds; Frame is then the error of a region that cannot
// be used. Without any region the error is ErrNone.
func NewParts(ds dataset.Dataset, from Source) (*Parts, error) {
	p := &Parts{of: ds, from: from}
	return p, p.choose(func(picture.Geometry, *Region) error { return nil })
}

// choose makes the items. Of each it calls use, with a region or nil where it has an error
// already; else that of use is the item's.
func (p *Parts) choose(use func(g picture.Geometry, r *Region) error) error {
	var choices []dataset.Choice
	tiled := dataset.IsTiled(p.of)
	for i := range p.of.Len() {
		if !p.from.Has(i) {
			p.without++
			continue
		}
		image := p.of.Item(i).ID
		add := func(name string, g picture.Geometry, at part, r *Region) {
			choices = append(choices, dataset.Choice{Of: i, Name: name})
			at.picture, at.image = i, image
			if at.err != nil {
				r = nil
			}
			if err := use(g, r); err != nil {
				at.err = err
			}
			p.all = append(p.all, at)
		}
		g, err := dataset.GeometryOf(p.of, i)
		var regions []Region
		faults := []error{err}
		if err == nil {
			regions, faults = p.from.Regions(i, g.Picture)
		}
		if lost := Machine(faults...); lost != nil {
			return fmt.Errorf("looking for the regions of picture %q: %w", p.of.Item(i).ID, lost)
		}
		if err != nil {
			add("", g, part{err: err}, nil)
			continue
		}
		if len(regions)+len(faults) == 0 {
			p.without++
		}
		for k, err := range faults {
			add(fmt.Sprintf("#!%d", k+1), g, part{err: err}, nil)
		}
		names := rowNames{}
		for k := range regions {
			at := part{nth: k}
			at.take(&regions[k])
			_, _, at.err = at.see(g, regions[k], tiled)
			add(names.next("#"+regions[k].ID), g, at, &regions[k])
		}
	}
	if len(choices) == 0 {
		return ErrNone
	}
	var err error
	p.Items, err = dataset.Choose(p.of, choices)
	p.number = map[string]int{}
	for k := range p.all {
		p.number[p.Items.Item(k).ID] = k
	}
	return err
}

// Has reports whether item i is a region, as a Source of the items does.
func (p *Parts) Has(i int) bool { return p.all[i].box != nil }

// Regions is the box of item i.
func (p *Parts) Regions(i int, _ picture.Size) ([]Region, []error) {
	at := &p.all[i]
	return []Region{{ID: at.region, Label: at.label, Box: *at.box, Score: at.score}}, nil
}

// Frame is f restricted to the elements of the input that show an item's region, for
// probes.Complexity.Each.
func (p *Parts) Frame(it dataset.Item, f *probes.Frame) (*probes.Frame, error) {
	k, ok := p.number[it.ID]
	if !ok {
		return nil, fmt.Errorf("no region is called %q", it.ID)
	}
	r := &p.all[k]
	if r.err != nil {
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
	if r.nth >= len(regions) {
		return nil, fmt.Errorf("region %d: the picture had more regions when they were counted than it has now, %d", r.nth, len(regions))
	}
	mask, _, err := Project(g, regions[r.nth])
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
