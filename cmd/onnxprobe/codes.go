package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newCodes() *cobra.Command {
	var j job
	var perSite, noCode bool
	var bits int
	var fragile float64
	var ofRegions codeRegions
	var agree agreeFlags
	var plot plotFlag
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
	j.add(c)
	fs := c.Flags()
	j.addSites(fs)
	j.addRandom(fs)
	fs.BoolVar(&perSite, "by-site", false, "write each site's code as a column of its own")
	fs.BoolVar(&noCode, "no-code", false, "leave the code out; write digests, and what else is asked for")
	fs.IntVar(&bits, "sketch", 0, "add a sketch of `K` bits sampled from the code by --seed")
	fs.Float64Var(&fragile, "fragile", 0, "count, for each item, the values within this `DISTANCE` of their knot")
	ofRegions.add(fs)
	agree.add(fs)
	plot.add(fs)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := j.needOutput(); err != nil {
			return err
		}
		if bits < 0 {
			return usagef("--sketch %d: 0 or more", bits)
		}
		if err := distance("fragile", fragile); err != nil {
			return err
		}
		if err := j.others.take(&j.regions, fs.Changed); err != nil {
			return err
		}
		if err := ofRegions.check(c, &j, &bits); err != nil {
			return err
		}
		if err := agree.check(&j.regions); err != nil {
			return err
		}
		if noCode && strings.HasSuffix(strings.ToLower(j.output), ".npy") {
			return usagef("a .npy file holds the code; write .parquet or .jsonl without it")
		}
		if err := plot.check(j.output, j.force, args...); err != nil {
			return err
		}
		if j.array = "code"; j.regions.path != "" {
			j.array = "channels"
		}
		j.settings = map[string]any{"sketch": bits, "fragile": fragile}
		if j.ofRows.Channels {
			j.settings["channel_share"] = j.ofRows.Share
		}
		j.attach = func(m *onnx.Model, sample []int) (*probes.Plan, error) {
			return probes.Attach(m, probes.AttachOptions{Sites: j.siteOptions(), Sample: sample, Fragile: fragile})
		}
		j.use = func(r *probes.Prober, ds dataset.Dataset, to result.Sink, o probes.RunOptions) (sum result.Summary, err error) {
			co := probes.CodeOptions{RunOptions: o, Full: !noCode, PerSite: perSite && !noCode}
			if j.regions.path != "" {
				co.Full = true
				if agree.with != "" {
					if to, err = agree.compare(c, &j, r, ds, to); err != nil {
						return sum, err
					}
				}
				return r.Codes(c.Context(), ds, to, co)
			}
			if bits > 0 {
				if co.Sketch, err = r.Plan.NewSketch(bits, j.seed); err != nil {
					return sum, usageError{err}
				}
			}
			return r.Codes(c.Context(), ds, to, co)
		}
		results := []string{j.output}
		if agree.maps != "" {
			results = append(results, agree.maps)
		}
		return plot.file(c, j.run(c, args, nil), results...)
	}
	return c
}
