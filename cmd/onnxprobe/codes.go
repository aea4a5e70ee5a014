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
	bySite, noCode bool
	sketch         int
	fragile        float64
	regionCodes    codeRegions
	agree          agreeFlags
	plot           plotFlag
}

func newCodes() *cobra.Command {
	var o codesOptions
	c := &cobra.Command{
		Use:   "codes MODEL DATA... -o OUT",
		Short: "Activation codes, digests, sketches",
		Long: `Runs every item through the model and records on which side of every bend it falls:
one bit a unit and knot, 1 above the knot, packed as numpy.packbits does. The digest is a
128-bit hash of the whole code: items of one digest lie in one linear region, as far as
sites show what bends. What has no site is named; --strict-sites makes it an error. DATA are
folders of images, image and array files, WebDataset tar files, Parquet files with pictures, lists
of paths (see list datasets), glob patterns, ranges in braces, or - for a list on standard input.

With --regions it writes a row for every region of a picture: its box, how many units lie
inside, the digest of their bits, and with --channels the channel codes, one bit a channel,
by which regions of any size and place can be compared (search and dedup --on channels).
With --region-agree every region, and with --map every place of every picture, is compared with one
region by its channels.`,
		Example: `  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet -o codes.parquet
  onnxprobe codes resnet20.onnx test_batch.bin --preprocess cifar10 -o codes.npy --plot codes.html
  onnxprobe codes vit.onnx 'shards/{000000..000150}.tar' --preprocess clip --no-code -o digests.parquet
  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet --regions instances.json --channels -o regions.parquet
  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet --regions instances.json --region-agree cat.jpg#7 --map maps -o alike.parquet
  ls *.png | onnxprobe codes mnist.onnx - --preprocess mnist --sketch 256 --no-code -o -
  python -c "import numpy as n; print(n.unpackbits(n.load('codes.npy'), axis=1).mean())"`,
		Args: atLeast(1, "a model and data"),
	}
	o.add(c)
	fs := c.Flags()
	o.addSites(fs)
	o.addRandom(fs)
	fs.BoolVar(&o.bySite, "by-site", false, "write each site's code as a column of its own")
	fs.BoolVar(&o.noCode, "no-code", false, "leave the code out; write digests, and what else is asked for")
	fs.IntVar(&o.sketch, "sketch", 0, "add a sketch of `K` bits sampled from the code by --seed")
	fs.Float64Var(&o.fragile, "fragile", 0, "count, for each item, the values within this `DISTANCE` of their knot")
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
	if o.noCode && strings.HasSuffix(strings.ToLower(o.output), ".npy") {
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
		if o.regions.path != "" || !o.noCode {
			list = append(list, probes.Code{BySite: o.bySite})
		}
		return list, nil
	}
	return what
}
