package main

import (
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
)

// inputs opens the data, and says in the settings how.
func (h *hashPlan) inputs(c *cobra.Command, s *jobs.Settings, v *onnx.Value, sample []int, args []string) (
	sources []string, ds dataset.Dataset, err error) {
	if h.limit < 0 || h.random < 0 {
		return nil, nil, usagef("--limit and --random are 0 or more")
	}
	if sample == nil {
		sample = probes.SampleShape(v)
	}
	if h.random > 0 {
		h.dataFlags.seed = s.Seed
		ds, err := h.points(args, sample)
		s.Data.Points = &jobs.Points{Low: h.low, High: h.high, Seed: s.Seed}
		return nil, ds, err
	}
	if len(args) == 0 {
		return nil, nil, usagef("say what to run the model on; see %s --help", c.CommandPath())
	}
	if sources, err = dataset.Expand(args, c.InOrStdin()); err != nil {
		return nil, nil, err
	}
	o, err := h.reading(c, v, sample)
	if err != nil {
		return nil, nil, err
	}
	if ds, err = dataset.Open(sources, o); err != nil {
		return nil, nil, err
	}
	s.Data = jobs.Data{Layout: h.layout, Column: h.column, Pixels: h.pixels, Preprocess: o.Preprocess, EXIF: h.exif, MaxPixels: h.maxPixels,
		IgnoreTime: h.noTimes}
	if p := o.Preprocess; p != nil {
		named := *p
		named.Name = filepath.Base(p.Name)
		s.Data.Preprocess = &named
	}
	noteSources(c, ds)
	noteClasses(c, ds)
	if err := h.preprocessed(ds, o); err != nil || h.others.tiles == 0 {
		return sources, ds, err
	}
	s.Tiles = &dataset.Tiling{Max: h.others.tiles, Thumbnail: h.others.thumbnail}
	if err := s.Tiles.Check(ds); err != nil {
		return nil, nil, usageError{err}
	}
	return sources, ds, nil
}

// beside reads what goes into the model's other inputs, and says in the settings where
// a region's box goes.
func (h *hashPlan) beside(c *cobra.Command, ds dataset.Dataset, ports []probes.Input, s *jobs.Settings) ([]dataset.Side, error) {
	var err error
	for _, given := range h.others.inputs {
		if ds, err = h.others.feedOne(c, ds, ports, given); err != nil {
			return nil, err
		}
	}
	sides := dataset.Sides(ds)
	for _, side := range sides {
		switch {
		case side.Shared:
		case h.mode == string(jobs.Extend):
			return nil, usagef("--input %s=%s does not go with --mode extend: its rows are those of the items that the "+
				"job was planned with; plan a job of its own", side.Name, side.From)
		case h.others.tiles > 0:
			return nil, usagef("--input %s=%s has a row for each item, and with --tiles the items are tiles, which are "+
				"counted when pictures are read; give one value for all", side.Name, side.From)
		case h.others.box != "":
			return nil, usagef("--input %s=%s has a row for each item, and with --region-input the items are regions, "+
				"which are found when pictures are read; give one value for all", side.Name, side.From)
		}
	}
	if h.others.box == "" {
		return sides, complete(sides, ports)
	}
	in, err := h.others.boxInput(ports)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(sides, func(side dataset.Side) bool { return side.Name == in.Name }) {
		return nil, usagef("the input %q is given twice, by --input and by --region-input", in.Name)
	}
	s.Boxes = &jobs.Boxes{Input: in.Name, DType: in.DType.String(), Units: in.Units}
	return sides, complete(append(slices.Clone(sides), dataset.Side{Name: in.Name}), ports)
}

// checkOthers reports what is wrong with the flags of other inputs. h.regions stays:
// a job finds them shard by shard.
func (h *hashPlan) checkOthers() error {
	regions := h.regions
	if err := h.others.take(&regions, h.changed); err != nil {
		return err
	}
	items, flag := "regions", "region-input"
	if h.others.box == "" {
		if items, flag = "tiles", "tiles"; h.others.tiles == 0 {
			return nil
		}
	}
	for name, why := range map[string]string{
		"limit": "a job counts pictures, and the items are their " + items + "; give fewer pictures",
		"faiss": "an index has a vector for " +
			"each planned item, and how many " + items + " there are is known when pictures are read; search reads the job's folder as it is",
		"random": "random points have no " + items,
	} {
		if h.changed(name) {
			return usagef("--%s does not go with --%s: %s", name, flag, why)
		}
	}
	return nil
}
