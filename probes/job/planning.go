package job

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Request is what New makes a plan of.
type Request struct {
	Model *onnx.Model
	// Settings are what is asked for; New fills in Layout, Model, Sample, Sites and
	// Data.JPEG, and where nobody says Batch.
	Settings Settings
	Data     dataset.Dataset
	// ShardSize is the number of items of a shard, 0 for that of Old, else the one that
	// the function ShardSize gives; Limit that of all if not 0.
	ShardSize, Limit int
	// Old is the job that the plan is to go on with, nil for none: a batch that nobody says
	// is its.
	Old *Plan
	// FewBits lets the sketch be of fewer bits than Settings say, where a code has fewer.
	FewBits bool
	// StrictSites makes a bend without a site an error.
	StrictSites bool
	AllowLinks  bool
	Command     []string
	// Sides are what lie beside all items of Data.
	Sides []dataset.Side
	// Regions is the path of the annotations, and Matched those of Data, where
	// Settings.Regions asks for their rows.
	Regions string
	Matched *annotate.Matched
}

// SettingsError says that settings do not go together, or not with the model.
type SettingsError struct{ error }

func (e *SettingsError) Unwrap() error { return e.error }

// ShardSize is how many items a shard has where nobody says: a 64th of all, within 16 and
// 10,000. It comes of their count alone, so that any machine plans the same.
func ShardSize(items int) int { return min(max((items+63)/64, 16), 10_000) }

// New plans a job. The inputs are counted, not read.
func New(r Request) (*Plan, error) {
	sums, err := r.Model.Sum256()
	if err != nil {
		return nil, err
	}
	p := &Plan{Tool: result.Version(), Command: r.Command, Model: r.Model.Path, AllowLinks: r.AllowLinks, ShardSize: r.ShardSize,
		Settings: r.Settings, Classes: dataset.Describe(r.Data).Classes}
	probed, err := r.settle(p)
	if err != nil {
		return nil, err
	}
	s := &p.Settings
	s.Data.JPEG = picture.JPEGDecoder
	s.Layout, s.Model, s.Sample = Layout, slices.Sorted(maps.Values(sums)), r.Data.Shape()
	if s.Complexity != nil {
		c := *s.Complexity
		c.ByRadius = len(c.Radii) == 1
		s.Complexity = &c
	}
	for i := range probed.Sites {
		site := &probed.Sites[i]
		s.Sites = append(s.Sites, fmt.Sprintf("%s:%d:%d", site.Name, site.Units, site.Planes()))
	}
	if p.Manifest, err = probed.NewManifest(r.Model); err != nil {
		return nil, err
	}
	p.Manifest.Kind, p.Manifest.Batch = "hash", s.Batch
	if s.OfRegions() {
		layouts, err := region.Map(probed.Source(), &probed.Fit, probed.Sites)
		if err != nil {
			return nil, err
		}
		region.Describe(p.Manifest, layouts)
	}
	if err := p.noteSides(r.Data.Len(), r.Sides); err != nil {
		return nil, err
	}
	if err := p.add(r.Data, r.Limit); err != nil {
		return nil, err
	}
	if s.Regions != nil {
		p.Regions = r.Regions
		p.place(r.Matched)
		if r.Matched != nil {
			p.Annotated = r.Matched.Set().Digest()
			p.LeftOut = r.Matched.Set().LeftOut().Counts()
		}
	}
	return p, nil
}

// settle chooses what nobody says: how large shards and batches are; and holds the settings
// against the model, which it attaches.
func (r *Request) settle(p *Plan) (*probes.Plan, error) {
	s := &p.Settings
	precise, err := probes.Precise(r.Model, s.Precision)
	if err != nil {
		return nil, err
	}
	probed, err := s.Attach(precise, r.Data.Shape())
	if err != nil {
		return nil, err
	}
	if bends := site.Bends(probed.Unwatched); r.StrictSites && len(bends) > 0 {
		return nil, &site.StrictError{Bends: bends}
	}
	counted := r.ShardSize == 0 && r.Old == nil
	switch n := r.Data.Len(); {
	case p.ShardSize > 0:
	case r.Old != nil:
		p.ShardSize = r.Old.ShardSize
	case r.Limit > 0:
		p.ShardSize = ShardSize(min(n, r.Limit))
	default:
		p.ShardSize = ShardSize(n)
	}
	switch n := probes.BatchFor(r.Data.Shape()); {
	case s.Batch > 0:
	case r.Old != nil && r.ShardSize == 0:
		s.Batch = r.Old.Settings.Batch
	case counted && n < 64: // of smaller samples padding costs next to nothing
		s.Batch = filling(p.ShardSize, n)
	default:
		s.Batch = n
	}
	if probed.Fit.Batch > 0 {
		s.Batch = probed.Fit.Batch
	}
	if bits := probed.Bits() / 8 * 8; r.FewBits && s.Sketch > bits {
		s.Sketch = bits
	}
	if err := s.Check(probed); err != nil {
		return nil, &SettingsError{err}
	}
	return probed, nil
}

// filling is the batch size, at most so large and more than half of that, with which the
// last batch of a shard is padded least; the largest of several.
func filling(shard, most int) int {
	best, least := most, shard
	for b := most; b > most/2; b-- {
		if pad := (b - shard%b) % b; pad < least {
			best, least = b, pad
		}
	}
	return best
}
