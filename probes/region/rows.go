package region

import (
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Source gives the regions of the items of a dataset.
type Source interface {
	// Has reports whether item i has regions.
	Has(i int) bool
	// Regions is those of item i, a picture of the given size, and the errors of those
	// that cannot be used.
	Regions(i int, size picture.Size) ([]Region, []error)
}

// RowOptions say what Rows writes for each region.
type RowOptions struct {
	Rule Rule
	// Channels writes the channel codes of the sites, "channels": a bit is set where the
	// channel's is set at one position inside, and at Share of them. They have one
	// length, so that regions of any size and place can be compared by them.
	Channels bool
	Share    float64
	// Sketch writes that many bits of the region code, drawn with Seed: see Sketch.
	Sketch int
	Seed   uint64
	// Code writes the region code in hex, "region_code".
	Code bool
	// Radii are those of the column "changed", of probes.Complexity, where there is one.
	Radii []float64
	// Words, when not nil, say the error of a region in its row, as probes.RunOptions.Words
	// does that of an item.
	Words func(error) string
}

// Rows is a sink that turns rows of items into rows of their regions, for another one.
// It is given the columns of a run with the probe Code of all sites, or
// Complexity with Changed set, or both, and writes for each region:
//
//	id, image, path  IMAGE#REGION, the item's ID, and its file
//	region, label    the region's ID and class
//	score            how sure what found it was, where the source is Scored
//	crowd            whether it stands for many objects, where the source is Crowded
//	x0, y0, x1, y1   its box in pixels of the picture, of a mask the box around it
//	kept             the fraction of it that the model sees: see Project
//	units            how many units lie inside, of all sites
//	status, error    "ok", or "error" and why
//	warning          what is doubtful about the picture, else null
//	selection        the id of the set of units: region codes, and what is made of them,
//	                 can be compared only where it is the same
//	digest           the digest of the region code: see Digest
//
// and what RowOptions ask for, and with Agree its "agreement"; of local complexity, for each radius, "complexity", and
// for each site "count" and "fraction" of the units inside, named as probes.Complexity does. Sites without positions are
// left out. An item that failed, a region that the model does not see or that has no
// units, and one that the source cannot give, is a row with an error; items without
// regions have no row.
type Rows struct {
	to      result.Sink
	where   func(i int) (picture.Geometry, error)
	from    Source
	o       RowOptions
	sites   []rowSite
	layouts []Layout // of all sites
	width   int      // of a whole code
	next    int      // the item of the next row
	sum     RowSummary
	rows    rowColumns
	agree   *Reference      // that rows are compared with, or nil
	needed  bool            // the columns were seen to be those that there have to be
	tiled   bool            // the items are tiles, which show parts of pictures
	parts   *Parts          // that the rows are of, or nil
	last    int             // the picture of the last of them
	others  []result.Column // of the run over them, without rows
}

// rowSite is a site with positions, and its place in the whole code.
type rowSite struct {
	*Layout
	offset, bytes int
}

// RowSummary counts what Rows has written.
type RowSummary struct {
	// Regions is the number of rows, Failed that of those with an error.
	Regions int `json:"regions"`
	Failed  int `json:"failed"`
	// Pictures is the number of items with regions, Without that of those that have
	// none and so no row.
	Pictures int `json:"pictures"`
	Without  int `json:"pictures_without_regions"`
	// Errors are the first few.
	Errors []string `json:"errors,omitempty"`
	// Cropped counts the regions of which preprocessing cuts something off; nil for none.
	Cropped *Cropped `json:"cropped,omitempty"`
	// LeftOut counts by reason what the source leaves out of the pictures' regions, and Noted
	// what it notes of others.
	LeftOut Counts `json:"left_out,omitempty"`
	Noted   Counts `json:"noted,omitempty"`
}

// Cropped counts the regions of which a crop leaves a part, or nothing.
type Cropped struct {
	Partly int `json:"partly"`
	Wholly int `json:"wholly"`
	// Input is the size that the crop leaves of the last of them.
	Input picture.Size `json:"input"`
}

// Remedy says how many regions are cut off, and names the settings that keep them: see
// onnx.RemedyError. It is nil where there are none.
func (c *Cropped) Remedy() error {
	if c == nil {
		return nil
	}
	return whole(c.Input, "the crop to %s pixels (height x width) cuts regions off, %d in part and %d wholly", c.Input, c.Partly, c.Wholly)
}

// whole is an error that showing the whole picture would mend, in an input of a size.
func whole(input picture.Size, format string, args ...any) error {
	err := fmt.Errorf(format+"; to keep all, resize the whole picture to what the model takes, and crop nothing", args...)
	return onnx.Remedy(err, "picture.Preprocess.Resize="+input.String(), "picture.Preprocess.Crop=none")
}

// Add adds what another run has written.
func (s *RowSummary) Add(o RowSummary) {
	if c := o.Cropped; c != nil {
		s.crop(c.Input, c.Partly, c.Wholly)
	}
	s.Regions, s.Failed = s.Regions+o.Regions, s.Failed+o.Failed
	s.Pictures, s.Without = s.Pictures+o.Pictures, s.Without+o.Without
	s.LeftOut, s.Noted = s.LeftOut.Add(o.LeftOut), s.Noted.Add(o.Noted)
	s.Errors = append(s.Errors, o.Errors[:min(len(o.Errors), max(10-len(s.Errors), 0))]...)
}

// crop counts regions that a crop cuts.
func (s *RowSummary) crop(input picture.Size, partly, wholly int) {
	if s.Cropped == nil {
		s.Cropped = &Cropped{}
	}
	c := s.Cropped
	c.Partly, c.Wholly, c.Input = c.Partly+partly, c.Wholly+wholly, input
}

// NewRows is a sink before another one, for a run of the sites that layouts are of
// (Map gives them). where is the geometry of an item's picture, as dataset.GeometryOf
// has it. It is an error when no site has positions.
func NewRows(to result.Sink, sites []site.Site, layouts []Layout, where func(i int) (picture.Geometry, error), from Source, o RowOptions) (*Rows, error) {
	if len(sites) != len(layouts) {
		return nil, fmt.Errorf("rows of regions: %d layouts for %d sites", len(layouts), len(sites))
	}
	if !(o.Share >= 0 && o.Share <= 1) || o.Sketch < 0 {
		return nil, fmt.Errorf("rows of regions: a share of %g and a sketch of %d bits; want a share from 0 to 1, and 0 bits or more", o.Share, o.Sketch)
	}
	r := &Rows{to: to, where: where, from: from, o: o, layouts: layouts}
	_, r.tiled = from.(*tileSource)
	for i := range sites {
		if layouts[i].Reason == "" {
			r.sites = append(r.sites, rowSite{&layouts[i], r.width, sites[i].Bytes()})
		}
		r.width += sites[i].Bytes()
	}
	if len(r.sites) == 0 {
		why := ""
		if len(layouts) > 0 {
			why = fmt.Sprintf("; %s: %s", layouts[0].Site, layouts[0].Reason)
		}
		return nil, fmt.Errorf("rows of regions: no site has positions on the picture%s", why)
	}
	r.rows = rowColumns{heads: headsOf(from, &r.sum), of: r}
	return r, nil
}

// Describe says in a manifest which channels each site has in channel codes of regions.
func Describe(m *result.Manifest, layouts []Layout) {
	for i := range layouts {
		if l := &layouts[i]; l.Reason == "" {
			m.Sites[i].RegionChannels = l.Channels
		}
	}
}

// Describe says in the manifest of the run which channels each site has.
func (r *Rows) Describe(m *result.Manifest) { Describe(m, r.layouts) }

// Summary is what was written so far.
func (r *Rows) Summary() RowSummary {
	s, from := r.sum, r.from
	if r.parts != nil {
		from = r.parts.from
	}
	s.LeftOut, s.Noted = LeftOut(from), Noted(from)
	return s
}

// Fail writes the row of a region that belongs to no item.
func (r *Rows) Fail(id string, err error) error {
	if !r.needed {
		return errors.New("rows of regions: a fault before any item")
	}
	if r.parts != nil {
		return r.failPart(id, err)
	}
	r.rows.fail(entry{id: id}, err)
	return r.flush(0)
}

// Commit completes the sink behind.
func (r *Rows) Commit(manifest any) error { return r.to.Commit(manifest) }

// Abort removes what the sink behind has written.
func (r *Rows) Abort() error { return r.to.Abort() }

// maxRows bounds the rows that are gathered before they are written.
const maxRows = 256

// flush writes the rows gathered, if there are at least so many.
func (r *Rows) flush(least int) error {
	if r.rows.n < least {
		return nil
	}
	cols := r.rows.columns()
	r.rows = rowColumns{heads: heads{scored: r.rows.scored, crowds: r.rows.crowds, sum: &r.sum}, of: r, coded: r.rows.coded, crossed: r.rows.crossed}
	return r.to.Write(cols)
}

// Write takes the rows of a batch of items, in the order of the dataset.
func (r *Rows) Write(cols []result.Column) error {
	if r.parts != nil {
		return r.writeParts(cols)
	}
	in, err := r.batch(cols)
	if err != nil {
		return err
	}
	for k := range in.id {
		if err := r.item(in, k); err != nil {
			return err
		}
	}
	return r.flush(0)
}

// batch is the columns of a batch that are read.
type batch struct {
	id, path, status, message, warning []string
	code, changed                      []byte // nil where they are not there
}

// textsOf are the texts of a batch.
func textsOf(cols []result.Column) (b batch) {
	texts := map[string]*[]string{"id": &b.id, "path": &b.path, "status": &b.status, "error": &b.message, "warning": &b.warning}
	for _, c := range cols {
		if to := texts[c.Name]; to != nil {
			*to, _ = c.Values.([]string)
		}
	}
	return b
}

func (r *Rows) batch(cols []result.Column) (b batch, err error) {
	b = textsOf(cols)
	for _, c := range cols {
		switch c.Name {
		case "code":
			b.code, _ = c.Values.([]byte)
		case "changed":
			b.changed, _ = c.Values.([]byte)
		}
	}
	n := len(b.id)
	if b.code == nil && b.changed == nil || len(b.path) != n || len(b.status) != n || len(b.message) != n || len(b.warning)%max(n, 1) != 0 ||
		b.code != nil && len(b.code) != n*r.width || b.changed != nil && len(b.changed) != n*r.width*len(r.o.Radii) {
		return b, fmt.Errorf("rows of regions: the batch does not hold %d whole codes of %d bytes, or what changed at "+
			"%d radii; want those of Code, or of Complexity with Changed", n, r.width, len(r.o.Radii))
	}
	r.needed, r.rows.coded, r.rows.crossed = true, b.code != nil, b.changed != nil
	return b, nil
}

// item gathers the rows of an item's regions.
func (r *Rows) item(in batch, k int) error {
	i := r.next
	r.next++
	if !r.from.Has(i) {
		r.sum.Without++
		return nil
	}
	whole := entry{id: in.id[k], image: in.id[k], path: in.path[k]}
	if len(in.warning) > 0 {
		whole.warning = in.warning[k]
	}
	var g picture.Geometry
	var err error
	if in.status[k] != "ok" {
		err = errors.New(in.message[k])
	} else if g, err = r.where(i); Machine(err) != nil {
		return err
	}
	if err != nil {
		r.sum.Pictures++
		r.rows.fail(whole, err)
		return nil
	}
	regions, faults := r.from.Regions(i, g.Picture)
	if lost := Machine(faults...); lost != nil {
		return fmt.Errorf("picture %q: %w", whole.image, lost)
	}
	if len(regions)+len(faults) == 0 {
		r.sum.Without++
		return nil
	}
	r.sum.Pictures++
	for n, fault := range faults {
		at := whole
		at.id = fmt.Sprintf("%s#!%d", whole.image, n+1)
		r.rows.fail(at, fault)
		if err := r.flush(maxRows); err != nil {
			return err
		}
	}
	var code, changed []byte
	if in.code != nil {
		code = in.code[k*r.width : (k+1)*r.width]
	}
	if n := r.width * len(r.o.Radii); in.changed != nil {
		changed = in.changed[k*n : (k+1)*n]
	}
	names := rowNames{}
	for n := range regions {
		at := whole
		at.take(&regions[n])
		at.id = names.next(at.id)
		if err := r.region(&at, g, regions[n], code, changed); err != nil {
			if r.o.Words != nil {
				err = errors.New(r.o.Words(err))
			}
			r.rows.fail(at, err)
		}
		if err := r.flush(maxRows); err != nil {
			return err
		}
	}
	return nil
}

// Machine is the one of faults that is the machine's and says nothing of an item, or nil.
// An engine that went beyond a limit says no more.
func Machine(faults ...error) error {
	for _, err := range faults {
		var lost *engine.LostError
		if dataset.FaultOf(err) == dataset.MachineFault || errors.As(err, &lost) && !lost.Crashed() {
			return err
		}
	}
	return nil
}

// region gathers the row of one region of an item.
func (r *Rows) region(at *entry, g picture.Geometry, of Region, code, changed []byte) error {
	cx, cy, err := at.see(g, of, r.tiled)
	if err != nil {
		return err
	}
	m, err := of.project(g, cx, cy)
	if err != nil {
		return err
	}
	selected := make([]*Selection, len(r.sites))
	for i, s := range r.sites {
		if selected[i], err = s.Units(m, r.o.Rule); err != nil {
			return err
		}
		at.units += selected[i].Units
	}
	if at.units == 0 {
		return fmt.Errorf("region %q: no unit of any site lies inside by the rule %q; the rule %q takes more", of.ID, r.o.Rule, Any)
	}
	r.rows.row(*at, selected, code, changed)
	return nil
}

// Scored says whether a source gives regions with a Score: it has a method of that name
// then, which says so before any region is asked for.
func Scored(from any) bool {
	s, ok := from.(interface{ Scored() bool })
	return ok && s.Scored()
}

// Scored is that of the pictures' source.
func (s *tileSource) Scored() bool { return Scored(s.from) }

// Crowded says whether a source gives regions that are a Crowd, as Scored does.
func Crowded(from any) bool {
	s, ok := from.(interface{ Crowded() bool })
	return ok && s.Crowded()
}

// Crowded is that of the pictures' source.
func (s *tileSource) Crowded() bool { return Crowded(s.from) }
