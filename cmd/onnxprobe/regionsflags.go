package main

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// regionFlags say where the regions of pictures are, and what lies inside them.
type regionFlags struct {
	path, form, boxes, rule   string
	names, ignore             string
	normalised, clip, boxOnly bool
	method                    *segment.Method // that finds them in the pictures, where one does
	model                     *regionModel    // or the model that does
	set                       *annotate.Set   // once it is read; empty where they are found
	items                     bool            // taken by --region-input
}

// rowForEach begins what --regions says of itself.
const rowForEach = "write a row for each region of a picture: "

func (f *regionFlags) add(fs *pflag.FlagSet) {
	var forms []string
	for _, k := range annotate.Formats {
		forms = append(forms, k.Name)
	}
	fs.StringVar(&f.path, "regions", "", rowForEach+"boxes or masks in a `FILE|DIR`, or found in the picture itself: slic:N (about N super-pixels), lines (lines of text of a page), boxes:MODEL.onnx (a detector) or labels:MODEL.onnx (a segmentation network or human parser); a file of such a name is ./lines")
	fs.StringVar(&f.form, "region-format", "auto", "format of --regions: auto, "+strings.Join(forms, ", "))
	fs.StringVar(&f.rule, "region-rule", region.Nominal.String(), "which units lie inside: nominal (their cell of the strides' grid meets the region), any (a pixel that they depend on does) or all (all those do)")
	fs.StringVar(&f.boxes, "region-boxes", "", "what four numbers of a CSV or JSON Lines box, or of a detector's, are: xyxy, xywh or cxcywh; by default what the header says, or xyxy")
	fs.BoolVar(&f.normalised, "region-normalized", false, "the numbers of CSV and JSON Lines boxes are fractions of width and height; those of a detector, of its input's")
	fs.BoolVar(&f.clip, "region-clip", false, "cut boxes that reach beyond the picture, instead of refusing them")
	fs.BoolVar(&f.boxOnly, "region-box-only", false, "take the boxes of regions that have masks too")
	fs.StringVar(&f.names, "region-names", "", "names of labels, for label maps, YOLO, boxes:MODEL and labels:MODEL: a text `FILE`, one a line, the first of label 0")
	fs.StringVar(&f.ignore, "region-ignore", "0", "`LABELS` that are no region, of label maps, labels:MODEL and, if given, boxes:MODEL, separated by commas; none keeps all")
	f.model = &regionModel{}
	f.model.add(fs)
}

// found says whether regions are found in the pictures themselves.
func (f *regionFlags) found() bool { return f.method != nil || f.model.asked() }

// check reports flags that do not go together; others are those that go with --regions
// besides its own.
func (f *regionFlags) check(changed func(string) bool, others ...string) error {
	if f.items {
		return nil
	}
	if f.path == "" {
		for _, name := range slices.Concat([]string{"region-format", "region-rule", "region-boxes", "region-normalized", "region-clip", "region-box-only", "region-names", "region-ignore"}, modelOnly, others) {
			if changed(name) {
				return usagef("--%s goes with --regions", name)
			}
		}
		return nil
	}
	if _, err := region.ParseRule(f.rule); err != nil {
		return usagef("--region-rule: %w", err)
	}
	return f.parse(changed)
}

// parse finds out whether regions are annotated or found by a method or a model.
func (f *regionFlags) parse(changed func(string) bool) (err error) {
	if f.method, err = segment.ParseMethod(f.path); err != nil {
		return usagef("--regions: %w", err)
	}
	if err := f.model.parse(f, changed); err != nil {
		return err
	}
	for _, name := range []string{"region-format", "region-boxes", "region-normalized", "region-clip", "region-names", "region-ignore"} {
		if f.found() && changed(name) && !f.model.takes(name) {
			return usagef("--%s does not go with --regions %s, which finds regions in the pictures", name, f.path)
		}
	}
	if f.method != nil {
		f.method.BoxOnly = f.boxOnly
	}
	return nil
}

// without reports flags that --regions has no use for.
func (f *regionFlags) without(changed func(string) bool, why string, names ...string) error {
	for _, name := range names {
		if f.path != "" && changed(name) {
			return usagef("--%s does not go with --regions: %s", name, why)
		}
	}
	return nil
}

func (f *regionFlags) options() (annotate.Options, error) {
	o := annotate.Options{Format: f.form, Boxes: f.boxes, Normalised: f.normalised, Clip: f.clip, BoxOnly: f.boxOnly}
	var err error
	if o.Names, err = regionNames(f.names); err == nil && f.ignore != "0" { // which is nil
		o.Ignore, err = labelList(f.ignore)
	}
	return o, err
}

// read reads the regions, and says in the settings which they are.
func (f *regionFlags) read(c *cobra.Command, settings map[string]any) error {
	switch {
	case f.method != nil:
		f.set = &annotate.Set{Format: f.path}
		settings["regions"] = map[string]any{"method": f.method, "rule": f.rule}
		return nil
	case f.model.asked():
		f.set = &annotate.Set{Format: f.path}
		if err := f.model.load(f); err != nil {
			return err
		}
		settings["regions"] = map[string]any{"model": f.model.settings, "rule": f.rule}
		return nil
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.set, err = annotate.Open(f.path, o); err != nil {
		return usageError{err}
	}
	sum, err := f.set.Sum256()
	if err != nil {
		return err
	}
	settings["regions"] = map[string]any{"file": f.path, "sha256": sum, "format": f.set.Format, "rule": f.rule}
	note(c, "%s of %s in %s, read as %s", count(f.set.Regions(), "region"), count(f.set.Len(), "picture"), f.path, f.set.Format)
	return nil
}

// match finds the pictures of a dataset that the regions are of, and says which are not
// there.
func (f *regionFlags) match(c *cobra.Command, ds dataset.Dataset) (*annotate.Matched, error) {
	m := f.set.Match(ds)
	if f.found() {
		return m, nil
	}
	if n := m.Faults.Count; n > 0 {
		note(c, "annotated pictures that stand for none of the dataset's and are left out: %d of %d: %v", n, f.set.Len(), m.Faults.Rows[0])
	}
	from := m.Source()
	for i := range ds.Len() {
		if from.Has(i) {
			return m, nil
		}
	}
	if f.set.Faults.Count > 0 { // their rows say it
		return m, nil
	}
	return nil, fmt.Errorf("no picture of %d has a region in %s, which has %s of %s; pictures are told by their paths or file names", ds.Len(), f.path, count(f.set.Regions(), "region"), count(f.set.Len(), "picture"))
}

// source gives the regions of a dataset's pictures, and to tiles those of their
// pictures that meet them.
func (f *regionFlags) source(c *cobra.Command, ds dataset.Dataset) (region.Source, error) {
	pictures := picturesOf(ds)
	var from region.Source
	if f.found() {
		find, err := f.finder(c)
		if err != nil {
			return nil, err
		}
		from = segment.Source(find, func(i int) (image.Image, error) { return dataset.Picture(pictures, i) })
	} else {
		m, err := f.match(c, pictures)
		if err != nil {
			return nil, err
		}
		from = m.Source()
	}
	return region.OfTiles(ds, from), nil
}

// picturesOf is the pictures of a dataset, whole where its items are tiles.
func picturesOf(ds dataset.Dataset) dataset.Dataset {
	if pictures, _, tiled := dataset.Untiled(ds); tiled {
		return pictures
	}
	return ds
}

func (f *regionFlags) finder(c *cobra.Command) (segment.Finder, error) {
	if f.method != nil {
		return f.method, nil
	}
	return f.model.open(c)
}

// rows is a sink of rows of regions before another one.
func (f *regionFlags) rows(c *cobra.Command, p *probes.Plan, ds dataset.Dataset, to result.Sink, o region.RowOptions) (*region.Rows, error) {
	layouts, err := layoutsOf(c, p)
	if err != nil {
		return nil, err
	}
	if o.Rule, err = region.ParseRule(f.rule); err != nil {
		return nil, err
	}
	where := func(i int) (picture.Geometry, error) { return dataset.GeometryOf(ds, i) }
	from, err := f.source(c, ds)
	if err != nil {
		return nil, err
	}
	return region.NewRows(to, p.Sites, layouts, where, from, o)
}

// maps is a sink that draws heat maps to a folder before another one, with the regions
// where there are some.
func (f *regionFlags) maps(c *cobra.Command, p *probes.Plan, ds dataset.Dataset, to result.Sink, dir string) (result.Sink, error) {
	layouts, err := region.Map(p.Source(), &p.Fit, p.Sites)
	if err != nil {
		return nil, err
	}
	var from region.Source
	switch {
	case f.found():
		if from, err = f.source(c, ds); err != nil {
			return nil, err
		}
	case f.set != nil: // rows says which are not there
		from = region.OfTiles(ds, f.set.Match(picturesOf(ds)).Source())
	}
	return overlay.NewMaps(to, dir, p.Sites, layouts, ds, from, f.set != nil)
}

// layoutsOf maps the sites to the picture, and names those that have no place on it.
func layoutsOf(c *cobra.Command, p *probes.Plan) ([]region.Layout, error) {
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
	if len(left) > 0 {
		note(c, "%d of %s have no place on the picture and are left out of regions: %s", len(left), count(len(layouts), "site"), firstOf(left, 5))
	}
	return layouts, nil
}

// firstOf is the first of some texts, and how many more there are.
func firstOf(texts []string, most int) string {
	s := strings.Join(texts[:min(most, len(texts))], ", ")
	if n := len(texts) - most; n > 0 {
		s += fmt.Sprintf(", and %d more", n)
	}
	return s
}

// finish writes the rows of annotations that could not be read, and says what was
// written.
func (f *regionFlags) finish(c *cobra.Command, rows *region.Rows) (region.RowSummary, error) {
	for _, fault := range f.set.Faults.Rows {
		if err := rows.Fail(fmt.Sprintf("%s:%d", fault.File, fault.Line), fault); err != nil {
			return rows.Summary(), err
		}
	}
	s := rows.Summary()
	if n := f.set.Faults.Count - len(f.set.Faults.Rows); n > 0 {
		s.Failed += n
		note(c, "%s of %s cannot be read", count(n, "more row"), f.path)
	}
	note(c, "%s of %s; %s without regions", count(s.Regions-s.Failed, "region"), count(s.Pictures, "picture"), count(s.Without, "picture"))
	return s, nil
}

// regionsFailed is the end of a run some of whose regions could not be used.
func regionsFailed(s region.RowSummary) error {
	return someFailed{result.Summary{Items: s.Regions, Failed: s.Failed, Errors: s.Errors}}
}

// codeRegions are the flags of what codes writes of a region.
type codeRegions struct {
	channels, code bool
	share          float64
}

func (f *codeRegions) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.channels, "channels", false, "with --regions: write one bit for each channel of a site, whether it is above the knot at a position inside")
	f.addOwn(fs)
}

// addOwn adds the flags that every verb with channels has not already.
func (f *codeRegions) addOwn(fs *pflag.FlagSet) {
	fs.Float64Var(&f.share, "region-share", 0, "with --regions and --channels: above the knot at this share of the positions inside, 0 to 1")
	fs.BoolVar(&f.code, "region-code", false, "with --regions: write the bits of the units inside, as hex")
}

// own reports what is wrong with them.
func (f *codeRegions) own(changed func(string) bool) error {
	if !(f.share >= 0 && f.share <= 1) {
		return usagef("--region-share %g: a share is from 0 to 1", f.share)
	}
	if changed("region-share") && !f.channels {
		return usagef("--region-share goes with --channels")
	}
	return nil
}

// check reports what is wrong with the flags of codes, and says in j what is asked for.
func (f *codeRegions) check(c *cobra.Command, j *inference, sketch int) error {
	changed := c.Flags().Changed
	if err := j.regions.check(changed, "channels", "region-share", "region-code"); err != nil {
		return err
	}
	if err := f.own(changed); err != nil {
		return err
	}
	if err := j.regions.without(changed, "it is of whole pictures", "by-site", "fragile", "random"); err != nil {
		return err
	}
	if j.regions.path != "" && strings.HasSuffix(strings.ToLower(j.output), ".npy") && !f.channels {
		return usagef("a .npy file of regions holds their channel codes; give --channels, or write .parquet or .jsonl")
	}
	j.each = region.RowOptions{Channels: f.channels, Share: f.share, Sketch: sketch, Code: f.code}
	return nil
}
