package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/locate"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// regionFlags say where the regions of pictures are, and what lies inside them.
type regionFlags struct {
	path, form, boxes, rule   string
	names, ignore, images     string
	task                      string
	normalised, clip, boxOnly bool
	method                    *segment.Method // that finds them in the pictures, where one does
	model                     *regionModel    // or the model that does
	set                       *annotate.Set   // once it is read; empty where they are found
	items                     bool            // taken by --region-input
}

func (f *regionFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "regions", "", "")
	fs.StringVar(&f.form, "region-format", "auto", "")
	fs.StringVar(&f.rule, "region-rule", region.Nominal.String(), "")
	fs.StringVar(&f.boxes, "region-boxes", "", "")
	fs.BoolVar(&f.normalised, "region-normalized", false, "")
	fs.BoolVar(&f.clip, "region-clip", false, "")
	fs.BoolVar(&f.boxOnly, "region-box-only", false, "")
	fs.StringVar(&f.names, "region-names", "", "")
	fs.StringVar(&f.task, "region-task", "", "")
	fs.StringVar(&f.images, "region-images", "", "")
	fs.StringVar(&f.ignore, "region-ignore", "0", "")
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
		for _, name := range slices.Concat([]string{"region-format", "region-rule", "region-boxes", "region-normalized",
			"region-clip", "region-box-only", "region-names", "region-ignore", "region-images", "region-task"}, modelOnly, others) {
			if changed(name) {
				if name == "channels" {
					return usagef("--channels goes with --regions; of whole pictures hash --channels writes them")
				}
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
	for _, name := range []string{"region-format", "region-boxes", "region-normalized", "region-clip", "region-names", "region-ignore",
		"region-images", "region-task"} {
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
	o := annotate.Options{Format: f.form, Boxes: f.boxes, Normalised: f.normalised, Clip: f.clip, BoxOnly: f.boxOnly, Images: f.images, Task: f.task}
	var err error
	if o.Names, err = regionNames(f.names); err == nil && f.ignore != "0" { // which is nil
		o.Ignore, err = ignored(f.ignore)
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
	settings["regions"] = map[string]any{"file": f.path, "sha256": sum, "format": f.set.Format, "rule": f.rule,
		"noted": f.set.Noted, "left_out": f.set.LeftOut()} // as it is when the settings are written
	note(c, "%s", locate.Opened(f.set, f.path))
	return nil
}

// located are the regions, once read was called; the model that finds them is made ready.
func (f *regionFlags) located(c *cobra.Command) (*locate.Regions, error) {
	r := &locate.Regions{Path: f.path, Set: f.set, Say: func(format string, args ...any) { note(c, format, args...) }}
	var err error
	switch {
	case f.method != nil:
		r.Set, r.Finder = nil, f.method
	case f.model.asked():
		r.Set = nil
		r.Finder, err = f.model.open(c)
	}
	return r, err
}

// source gives the regions of a dataset's pictures.
func (f *regionFlags) source(c *cobra.Command, ds dataset.Dataset) (region.Source, error) {
	r, err := f.located(c)
	if err != nil {
		return nil, err
	}
	return r.Source(ds)
}

// noteCrop says how many regions are cut off, and what keeps them.
func noteCrop(c *cobra.Command, s region.RowSummary) {
	if err := s.Cropped.Remedy(); err != nil {
		note(c, "%s", withFlags(err))
	}
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
	fs.BoolVar(&f.channels, "channels", false, "")
	f.addOwn(fs)
}

// addOwn adds the flags that every verb with channels has not already.
func (f *codeRegions) addOwn(fs *pflag.FlagSet) {
	fs.Float64Var(&f.share, "region-share", 0, "")
	fs.BoolVar(&f.code, "region-code", false, "")
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
