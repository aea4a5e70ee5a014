package main

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/partition"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// affineFlags are the flags of affine.
type affineFlags struct {
	modelFlags
	engineFlags
	dataFlags
	index      int
	rows       []int
	all, force bool
	value      string
	frameInput string
	output     string
	feed       feedFlags
	plot       plotFlag
}

func newAffine() *cobra.Command {
	var f affineFlags
	c := command("affine", atLeast(1, "a model and one item"))
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args[0], args[1:]) }
	fs := c.Flags()
	f.modelFlags.add(fs)
	fs.StringArrayVar(&f.sites, "sites", nil, "")
	f.addBackend(fs)
	f.addOptions(fs)
	f.addAllowRandom(fs)
	f.dataFlags.add(fs)
	f.addRandom(fs)
	f.feed.add(fs, &f.modelFlags, &f.dataFlags)
	fs.StringVar(&f.frameInput, "frame-input", "", "")
	fs.StringVar(&f.precision, "precision", "float64", "")
	fs.IntVar(&f.index, "index", -1, "")
	fs.IntSliceVar(&f.rows, "row", nil, "")
	fs.StringVar(&f.value, "value", "", "")
	fs.BoolVar(&f.all, "all-rows", false, "")
	fs.StringVarP(&f.output, "output", "o", "", "")
	fs.BoolVar(&f.force, "force", false, "")
	fs.Uint64Var(&f.seed, "seed", 0, "")
	f.plot.add(fs)
	return c
}

// check reports what is wrong with the flags before anything is loaded.
func (f *affineFlags) check(c *cobra.Command, inputs []string) error {
	if f.all && len(f.rows) > 0 {
		return usagef("give --row or --all-rows, not both")
	}
	return cmp.Or(f.feed.check(c.Flags().Changed), f.checkOutput(inputs), f.plot.check(f.output, f.force, inputs...))
}

func (f *affineFlags) checkOutput(inputs []string) error {
	if f.output == "" {
		return nil
	}
	if ext := strings.ToLower(filepath.Ext(f.output)); ext != ".npz" && ext != ".npy" {
		return usagef("writing %q: extension %q names no format; use .npz, or .npy for the weight alone", f.output, ext)
	}
	return newOutput("-o", f.output, f.force, inputs)
}

func (f *affineFlags) run(c *cobra.Command, model string, sources []string) error {
	if err := f.check(c, append([]string{model}, sources...)); err != nil {
		return err
	}
	d, eo, err := f.differentiator(c)
	if err != nil {
		return err
	}
	m, sample, err := f.loaded(model)
	if err != nil {
		return err
	}
	if err := f.checkModel(m); err != nil {
		return err
	}
	f.feed.regions.model.on(d, eo)
	defer f.feed.regions.model.Close()
	ds, sample, err := f.dataFlags.open(c, m, sources, sample)
	if err != nil {
		return err
	}
	if ds, err = f.one(ds, c.Flags().Changed("index")); err != nil {
		return err
	}
	mp, err := partition.Open(c.Context(), m, d, eo, partition.Options{
		Sites: f.sites, Sample: sample, Input: f.frameInput, Output: f.value, Float32: f.precision == "float32"})
	if none := new(partition.OutputError); errors.As(err, &none) {
		return usagef("--value: %w", err)
	}
	if err != nil {
		return err
	}
	defer mp.Close()
	noteRandom(c, m)
	x, held, err := mp.Item(ds, 0)
	if err != nil {
		return err
	}
	a, err := mp.At(c.Context(), x, partition.Query{Rows: f.rows, All: f.all, Held: held})
	if row := new(partition.RowError); errors.As(err, &row) {
		return usagef("--row %d: %w", row.Row, err)
	}
	if size := new(partition.SizeError); errors.As(err, &size) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if f.output != "" {
		p := &probes.Prober{Plan: mp.Plan, Batch: 1, Backend: d, Options: eo}
		if err := f.save(c, m, p, ds, a, x, mp.Shape()); err != nil {
			return err
		}
	}
	shown := struct { // the contract of --json
		Model string `json:"model"`
		Item  string `json:"item"`
		File  string `json:"file,omitempty"`
		*partition.Affine
	}{model, ds.Item(0).ID, f.output, a}
	done := show(c, f.json, shown, func(w io.Writer) { a.Print(w, "--row") })
	return f.plot.printed(c, done, shown.Item, shown)
}

// checkModel holds the flags that name something of the model against it.
func (f *affineFlags) checkModel(m *onnx.Model) error {
	if f.precision == "float32" {
		if _, err := f.precise(m); err != nil {
			return err
		}
	}
	v, ports, err := probes.Inputs(m)
	if err == nil && f.frameInput != "" && f.frameInput != v.Name {
		_, err = portNamed("frame-input", f.frameInput, ports)
	}
	return err
}

// one is the one item of a dataset that was asked for.
func (f *affineFlags) one(ds dataset.Dataset, chosen bool) (dataset.Dataset, error) {
	n := ds.Len()
	switch {
	case !chosen && n != 1:
		return nil, usagef("affine takes one item, and the data has %d; choose one with --index 0 to %d", n, n-1)
	case !chosen:
		return ds, nil
	case f.index < 0 || f.index >= n:
		return nil, usagef("--index %d: the data has %s, counted from 0", f.index, text.Count(n, "item"))
	}
	return dataset.Range(ds, f.index, f.index+1)
}

// save writes the map at x with its manifest beside it.
func (f *affineFlags) save(c *cobra.Command, m *onnx.Model, p *probes.Prober, ds dataset.Dataset, a *partition.Affine,
	x []float64, sample []int) error {
	mf, err := p.NewManifest(m)
	if err != nil {
		return err
	}
	data := result.DataOf(ds)
	mf.Kind, mf.Command, mf.Dataset = c.Name(), commandLine(c), &data
	settings := map[string]any{"item": ds.Item(0).ID, "index": max(f.index, 0), "map": a,
		"seed": f.seed, "exif": f.exif}
	mf.Settings, mf.Summary = settings, result.Summary{Items: 1}
	maps.Copy(settings, f.feed.others.settings)
	if f.frameInput != "" {
		settings["frame_input"] = f.frameInput
	}
	f.record(settings)
	return save(f.output, f.force, mf, func(w io.Writer) error {
		arrays := a.Arrays(x, sample)
		if strings.EqualFold(filepath.Ext(f.output), ".npy") {
			return tensor.WriteNpy(w, arrays[0].Array)
		}
		return tensor.WriteNpz(w, arrays...)
	})
}
