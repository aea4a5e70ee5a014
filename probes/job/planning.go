package job

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Request is what New makes a plan of.
type Request struct {
	Model    *onnx.Model
	Probed   *probes.Plan
	Settings Settings // Layout, Model, Sample, Sites and Data.JPEG are filled in
	Data     dataset.Dataset
	// ShardSize is the number of items of a shard, 0 for the one that ShardSize gives; Limit
	// that of all if not 0.
	ShardSize, Limit int
	AllowLinks       bool
	Command          []string
	// Sides are what lies beside all items of Data.
	Sides []dataset.Side
	// Regions is the path of the annotations, and Matched those of Data, where
	// Settings.Regions asks for their rows.
	Regions string
	Matched *annotate.Matched
}

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
	if p.ShardSize == 0 {
		n := r.Data.Len()
		if r.Limit > 0 {
			n = min(n, r.Limit)
		}
		p.ShardSize = ShardSize(n)
	}
	s := &p.Settings
	s.Data.JPEG = picture.JPEGDecoder
	s.Layout, s.Model, s.Sample = Layout, slices.Sorted(maps.Values(sums)), r.Data.Shape()
	for i := range r.Probed.Sites {
		site := &r.Probed.Sites[i]
		s.Sites = append(s.Sites, fmt.Sprintf("%s:%d:%d", site.Name, site.Units, site.Planes()))
	}
	if p.Manifest, err = r.Probed.NewManifest(r.Model); err != nil {
		return nil, err
	}
	p.Manifest.Kind, p.Manifest.Batch = "hash", s.Batch
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
		}
	}
	return p, nil
}
