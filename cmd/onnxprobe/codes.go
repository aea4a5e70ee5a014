package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// codesOptions are what codes is asked for.
type codesOptions struct {
	inference
	bySite, code bool
	sketch       int
	fragile      float64
	regionCodes  codeRegions
	agree        agreeFlags
	plot         plotFlag
}

func newCodes() *cobra.Command {
	var o codesOptions
	c := command("codes", atLeast(1, "a model and data"))
	o.add(c)
	fs := c.Flags()
	o.addSites(fs)
	o.addRandom(fs)
	fs.BoolVar(&o.bySite, "by-site", false, "")
	fs.BoolVar(&o.code, "code", true, "")
	fs.IntVar(&o.sketch, "sketch", 0, "")
	fs.Float64Var(&o.fragile, "fragile", 0, "")
	o.regionCodes.add(fs)
	o.agree.add(fs)
	o.plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.check(c, args); err != nil {
			return err
		}
		results := []string{o.output}
		if o.agree.maps != "" {
			results = append(results, o.agree.maps)
		}
		return o.plot.file(c, o.run(c, args, o.measured(c)), results...)
	}
	return c
}

// check reports what is wrong with the flags before anything is loaded.
func (o *codesOptions) check(c *cobra.Command, args []string) error {
	if err := o.needOutput(); err != nil {
		return err
	}
	if c.Flags().Changed("code") && o.code && o.regions.path != "" && o.others.box == "" {
		return usagef("--code is of whole pictures; of regions --region-code writes the bits of the units inside")
	}
	if o.sketch < 0 {
		return usagef("--sketch %d: 0 or more", o.sketch)
	}
	if err := distance("fragile", o.fragile); err != nil {
		return err
	}
	if err := o.others.take(&o.regions, c.Flags().Changed); err != nil {
		return err
	}
	if err := o.regionCodes.check(c, &o.inference, o.sketch); err != nil {
		return err
	}
	if err := o.agree.check(&o.regions); err != nil {
		return err
	}
	if !o.code && strings.HasSuffix(strings.ToLower(o.output), ".npy") {
		return usagef("a .npy file holds the code; write .parquet or .jsonl without it")
	}
	return o.plot.check(o.output, o.force, args...)
}

// measured is what codes measures.
func (o *codesOptions) measured(c *cobra.Command) *measured {
	what := &measured{array: "code", settings: map[string]any{"sketch": o.sketch}}
	if o.regions.path != "" {
		what.array = "channels"
	}
	if o.each.Channels {
		what.settings["channel_share"] = o.each.Share
	}
	if o.agree.with != "" {
		what.through = func(r *probes.Prober, ds dataset.Dataset, rows *region.Rows, to result.Sink) (result.Sink, error) {
			return o.agree.compare(c, r, ds, rows, to, what.settings, o.regions.rule)
		}
	}
	what.probes = func(*onnx.Model, dataset.Dataset) ([]probes.Probe, error) {
		list := []probes.Probe{probes.Digest{}}
		if o.fragile > 0 {
			list = append(list, probes.Fragile{Within: o.fragile})
		}
		if o.sketch > 0 && o.regions.path == "" {
			list = append(list, probes.Sketch{Bits: o.sketch, Seed: o.seed})
		}
		if o.regions.path != "" || o.code {
			list = append(list, probes.Code{BySite: o.bySite})
		}
		return list, nil
	}
	return what
}
