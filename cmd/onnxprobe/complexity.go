package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/locate"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// complexityOptions are what complexity is asked for.
type complexityOptions struct {
	inference
	radii         []float64
	directions    int
	drawn         bool // nobody says how many directions
	sign3, center bool
	frame, save   string
	around, maps  string
	plot          plotFlag
}

func newComplexity() *cobra.Command {
	var o complexityOptions
	c := command("complexity", atLeast(1, "a model and data"))
	o.add(c)
	fs := c.Flags()
	o.addSites(fs)
	o.addRandom(fs)
	fs.Float64SliceVar(&o.radii, "radius", []float64{0.005}, "")
	fs.IntVar(&o.directions, "directions", 20, "")
	fs.BoolVar(&o.sign3, "sign3", false, "")
	fs.BoolVar(&o.center, "include-center", false, "")
	fs.StringVar(&o.frame, "frame", "", "")
	fs.StringVar(&o.save, "save-frame", "", "")
	fs.StringVar(&o.around, "frame-input", "", "")
	fs.BoolVar(&o.others.frame, "region-frame", false, "")
	fs.StringVar(&o.maps, "map", "", "")
	o.plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.check(c, args); err != nil {
			return err
		}
		results := []string{o.output}
		if o.maps != "" {
			results = append(results, o.maps)
		}
		return o.plot.file(c, o.run(c, args, o.measured(c)), results...)
	}
	return c
}

// check reports what is wrong with the flags before anything is loaded.
func (o *complexityOptions) check(c *cobra.Command, args []string) error {
	changed := c.Flags().Changed
	if err := o.needOutput(); err != nil {
		return err
	}
	for i, r := range o.radii {
		if !(r > 0) || math.IsInf(r, 0) {
			return usagef("--radius %g: a radius is positive and finite", r)
		}
		if slices.Contains(o.radii[:i], r) {
			return usagef("--radius %g is given twice", r)
		}
	}
	if o.drawn = !changed("directions"); o.frame != "" && !o.drawn {
		return usagef("--frame has its own number of directions; leave --directions out")
	}
	if o.frame != "" && changed("seed") && o.random == 0 {
		return usagef("--seed changes nothing here: --frame has the directions")
	}
	if o.others.frame && (o.maps != "" || o.random > 0) {
		return usagef("--region-frame goes with neither --map nor --random")
	}
	if o.others.frame && o.around != "" {
		return usagef("--region-frame does not go with --frame-input")
	}
	if err := o.others.take(&o.regions, changed); err != nil {
		return err
	}
	if err := o.regions.check(changed); err != nil {
		return err
	}
	if err := o.regions.without(changed, "random points have none", "random"); err != nil {
		return err
	}
	if o.save != "" {
		if filepath.Clean(o.save) == filepath.Clean(o.output) {
			return usagef("--save-frame and -o name one file, %s", o.output)
		}
		if _, err := os.Lstat(o.save); err == nil && !o.force {
			return usagef("--save-frame: %s exists; --force replaces it", o.save)
		}
		if err := keep(o.save, append(args, o.frame)); err != nil {
			return err
		}
	}
	o.each.Radii = o.radii
	return o.plot.check(o.output, o.force, args...)
}

// measured is what complexity measures.
func (o *complexityOptions) measured(c *cobra.Command) *measured {
	what := &measured{array: "count", settings: map[string]any{}}
	var used *probes.Frame
	what.probes = func(m *onnx.Model, ds dataset.Dataset) ([]probes.Probe, error) {
		shape, err := probes.FrameShape(m, o.around, ds.Shape())
		if err != nil {
			return nil, usagef("--frame-input: %w", err)
		}
		if n := tensor.Count(shape); o.drawn && n < o.directions {
			o.directions = n // of a box there are 4
		}
		f, err := openFrame(o.frame, o.directions, shape, o.seed)
		if err != nil {
			return nil, err
		}
		used = f
		p := probes.Complexity{Frame: f, Radii: o.radii, Center: o.center, Sign3: o.sign3, Input: o.around,
			Changed: o.regions.path != "" || o.maps != ""}
		if parts := o.others.parts; o.others.frame {
			p.Each = func(it dataset.Item) (*probes.Frame, error) { return parts.Frame(it, f) }
		}
		return []probes.Probe{p}, nil
	}
	if o.maps != "" || o.save != "" {
		what.through = func(r *probes.Prober, ds dataset.Dataset, _ *region.Rows, to result.Sink) (result.Sink, error) {
			if o.save != "" {
				if err := saveFrame(o.save, used); err != nil || o.maps == "" {
					return to, err
				}
			}
			var where *locate.Regions
			if o.regions.path != "" {
				var err error
				if where, err = o.regions.located(c); err != nil {
					return nil, err
				}
			}
			return locate.Maps(where, o.others.parts, r.Plan, ds, to, o.maps)
		}
	}
	return what
}
