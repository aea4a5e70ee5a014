// Package locate says where the regions of a dataset's pictures are: in annotations, or
// where a method or a model finds them in the pictures themselves.
package locate

import (
	"fmt"
	"image"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Regions are those of pictures: annotated ones, or what Finder finds.
type Regions struct {
	// Path is what the user calls them, for messages.
	Path string
	// Set has those that are annotated; nil where Finder finds them.
	Set    *annotate.Set
	Finder segment.Finder
	// Say is told what a person should know.
	Say func(format string, args ...any)
}

// pictures are those of a dataset, whole where its items are tiles.
func pictures(ds dataset.Dataset) dataset.Dataset {
	if whole, _, tiled := dataset.Untiled(ds); tiled {
		return whole
	}
	return ds
}

// Opened says what a set holds that was read from path, and by reason what it leaves out.
func Opened(s *annotate.Set, path string) string {
	said := fmt.Sprintf("%s of %s in %s, read as %s", text.Count(s.Regions(), "region"), text.Count(s.Len(), "picture"), path, s.Format)
	if len(s.Noted) > 0 {
		said += fmt.Sprintf("; of note: %s", s.Noted)
	}
	if bad := s.Faults; bad.Count > 0 {
		said += fmt.Sprintf("; left out: %s; the first: %v", bad.ByReason, bad.Rows[0])
	}
	return said
}

// Match finds the pictures of a dataset that annotated regions are of, and says which are not
// there. It is an error where no picture has one.
func (r *Regions) Match(ds dataset.Dataset) (*annotate.Matched, error) {
	m := r.Set.Match(ds)
	if n := m.Faults.Count; n > 0 {
		r.Say("annotated pictures that stand for none of the dataset's and are left out: %d of %d (%s): %v",
			n, r.Set.Len(), m.Faults.ByReason, m.Faults.Rows[0])
	}
	if m.Own > 0 {
		r.Say("%s: %d", annotate.OwnName, m.Own)
	}
	from := m.Source()
	for i := range ds.Len() {
		if from.Has(i) {
			return m, nil
		}
	}
	if r.Set.Faults.Count > 0 { // their rows say it
		return m, nil
	}
	return nil, fmt.Errorf("no picture of %d has a region in %s, which has %s of %s; pictures are told by their paths or file names",
		ds.Len(), r.Path, text.Count(r.Set.Regions(), "region"), text.Count(r.Set.Len(), "picture"))
}

// Source gives the regions of a dataset's pictures, and to tiles those of their pictures that
// meet them.
func (r *Regions) Source(ds dataset.Dataset) (region.Source, error) {
	whole := pictures(ds)
	if r.Set == nil {
		find := func(i int) (image.Image, error) { return dataset.Picture(whole, i) }
		return region.OfTiles(ds, segment.Source(r.Finder, find)), nil
	}
	m, err := r.Match(whole)
	if err != nil {
		return nil, err
	}
	return region.OfTiles(ds, m.Source()), nil
}

// Rows is a sink of rows of regions before another one, for a run of a plan.
func (r *Regions) Rows(p *probes.Plan, ds dataset.Dataset, to result.Sink, o region.RowOptions) (*region.Rows, error) {
	layouts, err := Layouts(p, r.Say)
	if err != nil {
		return nil, err
	}
	from, err := r.Source(ds)
	if err != nil {
		return nil, err
	}
	where := func(i int) (picture.Geometry, error) { return dataset.GeometryOf(ds, i) }
	return region.NewRows(to, p.Sites, layouts, where, from, o)
}

// Finish writes rows of the annotations that could not be read, and says what was written,
// also among the settings of the run's manifest.
func (r *Regions) Finish(rows *region.Rows, m *result.Manifest) (region.RowSummary, error) {
	var faults annotate.Faults
	if r.Set != nil {
		faults = r.Set.Faults
	}
	for _, f := range faults.Rows {
		if err := rows.Fail(f.Place(), f); err != nil {
			return rows.Summary(), err
		}
	}
	s := rows.Summary()
	if n := faults.Count - len(faults.Rows); n > 0 {
		s.Failed += n
		r.Say("%s of %s cannot be read", text.Count(n, "more row"), r.Path)
	}
	if r.Set != nil {
		if left := r.Set.LeftOut().Counts(); len(left) > 0 {
			r.Say("left out of %s: %s", r.Path, left)
		}
	} else if about, ok := m.Settings.(map[string]any)["regions"].(map[string]any); ok {
		SayFound(r.Say, r.Path, about, s.LeftOut, s.Noted)
	}
	r.Say("%s of %s; %s without regions", text.Count(s.Regions-s.Failed, "region"), text.Count(s.Pictures, "picture"), text.Count(s.Without, "picture"))
	rows.Describe(m)
	m.Settings.(map[string]any)["region_rows"] = s
	return s, nil
}

// SayFound says what a model leaves out of the regions in pictures and notes of the others,
// also in about, what the manifest says of them.
func SayFound(say func(format string, args ...any), path string, about map[string]any, left, noted region.Counts) {
	about["left_out"], about["noted"] = left, noted
	if len(left) > 0 {
		say("left out of %s: %s", path, left)
	}
	if len(noted) > 0 {
		say("of note in %s: %s", path, noted)
	}
}

// Maps is a sink that draws heat maps to a folder before another one: of how sites change, with
// the regions. r is nil where there are none, and parts where no region is an item.
func Maps(r *Regions, parts *region.Parts, p *probes.Plan, ds dataset.Dataset, to result.Sink, dir string) (result.Sink, error) {
	layouts, err := region.Map(p.Source(), &p.Fit, p.Sites)
	if err != nil {
		return nil, err
	}
	var from region.Source
	switch {
	case parts != nil:
		from = parts
	case r == nil:
	case r.Set == nil:
		if from, err = r.Source(ds); err != nil {
			return nil, err
		}
	default: // Rows says which are not there
		from = region.OfTiles(ds, r.Set.Match(pictures(ds)).Source())
	}
	return overlay.NewMaps(to, dir, p.Sites, layouts, ds, from, r != nil)
}

// Layouts maps the sites of a plan to the picture, and tells say which have no place on it.
func Layouts(p *probes.Plan, say func(format string, args ...any)) ([]region.Layout, error) {
	layouts, err := region.Map(p.Source(), &p.Fit, p.Sites)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, l := range layouts {
		if l.Reason != "" {
			left = append(left, fmt.Sprintf("%s (%s)", l.Site, l.Reason))
		}
	}
	if n := len(left); n > 0 {
		say("%d of %s have no place on the picture and are left out of regions: %s", n, text.Count(len(layouts), "site"), text.First(left, 5))
	}
	return layouts, nil
}
