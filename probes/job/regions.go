package job

import (
	"errors"
	"fmt"
	"image"
	"os"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/predict"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Regions say that rows are of regions of pictures. Where these are, Plan.Regions says.
type Regions struct {
	SHA256 string `json:"sha256"`
	// Method finds the regions in the pictures, or Model does, where there are no
	// annotations.
	Method  *segment.Method   `json:"method,omitempty"`
	Model   *predict.Settings `json:"model,omitempty"`
	Options annotate.Options  `json:"options"`
	Rule    string            `json:"rule"`
	Code    bool              `json:"code,omitempty"`
}

// checkRegions reports settings that do not go with regions.
func (s *Settings) checkRegions() error {
	switch {
	case s.Regions == nil:
		return nil
	case s.Boxes != nil && s.FAISS:
		return errors.New("a FAISS index has a vector for each planned item, and how many regions there are is known " +
			"when pictures are read; search reads the job's folder as it is")
	case s.Boxes != nil: // rows are of whole codes
	case s.Code || s.CodeSites != nil || s.Logits || s.FAISS:
		return errors.New("codes of whole pictures, logits and a FAISS index have no place in rows of regions")
	case s.Data.Points != nil:
		return errors.New("random points have no regions")
	}
	_, err := region.ParseRule(s.Regions.Rule)
	return err
}

// place says in each shard which annotated pictures its items are, so that a worker
// need not know the items of the others.
func (p *Plan) place(m *annotate.Matched) {
	first := 0
	for k := range p.Shards {
		s := &p.Shards[k]
		for i := range s.Items {
			if of := m.Pictures(first + i); len(of) > 0 {
				if s.Regions == nil { // which is what a plan without any is read as
					s.Regions = map[int][]int{}
				}
				s.Regions[i] = of
			}
		}
		first += s.Items
	}
	p.seal()
}

// located is what a worker needs to make rows of regions.
type located struct {
	set     *annotate.Set
	find    segment.Finder // where there is no set
	layouts []region.Layout
	options region.RowOptions
}

// locate reads the regions of the plan.
func (p *Plan) locate(layouts []region.Layout, find segment.Finder) (*located, error) {
	s := p.Settings.Regions
	if s == nil {
		return nil, nil
	}
	if layouts == nil && p.Settings.Boxes == nil {
		return nil, errors.New("the job is of regions, and no layouts of the sites were given")
	}
	l := &located{find: find, layouts: layouts}
	var err error
	switch {
	case s.Method != nil:
		l.find = s.Method
	case s.Model != nil && find == nil:
		return nil, errors.New("the job's regions are found by a model, and none was given")
	case s.Model == nil:
		if l.set, err = p.annotations(); err != nil {
			return nil, err
		}
	}
	l.options = region.RowOptions{Channels: p.Settings.Channels, Share: p.Settings.ChannelShare, Sketch: p.Settings.Sketch, Seed: p.Settings.Seed, Code: s.Code}
	if c := p.Settings.Complexity; c != nil {
		l.options.Radii = c.Radii
	}
	l.options.Rule, err = region.ParseRule(s.Rule)
	return l, err
}

// annotations reads those that the job was planned for.
func (p *Plan) annotations() (*annotate.Set, error) {
	path := p.RegionsPath()
	o := p.Settings.Regions.Options
	if o.Images != "" {
		o.Images = p.find(o.Images)
	}
	set, err := annotate.Open(path, o)
	if err != nil {
		if _, lost := os.Stat(path); lost != nil {
			err = unreachable(path, lost)
		}
		return nil, err
	}
	sum, err := set.Sum256()
	if err != nil {
		return nil, err
	}
	if p.Annotated != "" && sum == p.Settings.Regions.SHA256 && set.Digest() != p.Annotated {
		return nil, fmt.Errorf("the regions in %s were read otherwise when the job was planned, though they are the same: plan the job anew", path)
	}
	if sum != p.Settings.Regions.SHA256 {
		return nil, InputError{fmt.Errorf("the regions in %s are not those that the job was planned for: their "+
			"SHA-256 is another; put them back and run it again, or plan anew", p.Regions)}
	}
	return set, nil
}

// rows is a sink of rows of the regions of a shard's items, d being those that are planned.
func (w *Worker) rows(to result.Sink, s *Shard, d *data, items dataset.Dataset) (*region.Rows, error) {
	l := w.located
	from, err := l.source(s, d)
	if err != nil {
		return nil, err
	}
	where := func(i int) (picture.Geometry, error) { return dataset.GeometryOf(items, i) }
	o := l.options
	o.Words = w.options.Words
	return region.NewRows(to, w.prober.Plan.Sites, l.layouts, where, region.OfTiles(items, from), o)
}

// source gives the regions of a shard's items.
func (l *located) source(s *Shard, d *data) (region.Source, error) {
	if l.set == nil {
		return segment.Source(l.find, func(i int) (image.Image, error) { return dataset.Picture(d, i) }), nil
	}
	m, err := l.set.Restore(s.Regions)
	if err != nil {
		return nil, fmt.Errorf("the regions of the shard: %w", err)
	}
	return m.Source(), nil
}
