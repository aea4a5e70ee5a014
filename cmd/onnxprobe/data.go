package main

import (
	"cmp"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// dataFlags say what goes into the model.
type dataFlags struct {
	preprocess, format, layout, column     string
	pixels                                 string
	resize, crop, mean, std, interpolation string
	scale                                  float64
	exif                                   bool
	maxPixels                              int64
	decoders, limit                        int
	random                                 int
	low, high                              float64
	seed                                   uint64
	others                                 *otherFlags // of a verb that feeds several inputs
}

func (f *dataFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.preprocess, "preprocess", "", "")
	fs.StringVar(&f.resize, "resize", "", "")
	fs.StringVar(&f.crop, "crop", "", "")
	fs.StringVar(&f.mean, "mean", "", "")
	fs.StringVar(&f.std, "std", "", "")
	fs.StringVar(&f.interpolation, "interpolation", "", "")
	fs.Float64Var(&f.scale, "scale", 0, "")
	fs.StringVar(&f.format, "format", "auto", "")
	fs.StringVar(&f.pixels, "pixels", "", "")
	fs.StringVar(&f.column, "column", "", "")
	fs.StringVar(&f.layout, "layout", "auto", "")
	fs.BoolVar(&f.exif, "exif", false, "")
	fs.Int64Var(&f.maxPixels, "max-pixels", 0, "")
	fs.IntVar(&f.limit, "limit", 0, "")
}

// addDecoders adds the number of goroutines that read, to verbs that run the model at once.
func (f *dataFlags) addDecoders(fs *pflag.FlagSet) {
	fs.IntVar(&f.decoders, "decoders", 0, "")
}

// addRandom adds points drawn at random as a kind of data.
func (f *dataFlags) addRandom(fs *pflag.FlagSet) {
	fs.IntVar(&f.random, "random", 0, "")
	fs.Float64Var(&f.low, "low", 0, "")
	fs.Float64Var(&f.high, "high", 1, "")
}

func numbers(flag, s string) ([]float64, error) {
	if s == "" {
		return nil, nil
	}
	var out []float64
	for _, p := range strings.Split(s, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil {
			return nil, usagef("--%s %q: %q is not a number", flag, s, p)
		}
		out = append(out, v)
	}
	return out, nil
}

// settings is the preprocessing that was asked for; nil when none was.
func (f *dataFlags) settings() (*picture.Preprocess, error) {
	o := picture.Overrides{Resize: f.resize, Crop: f.crop, Interpolation: f.interpolation, Scale: f.scale}
	var err error
	if o.Mean, err = numbers("mean", f.mean); err != nil {
		return nil, err
	}
	if o.Std, err = numbers("std", f.std); err != nil {
		return nil, err
	}
	changed := o.Resize != "" || o.Crop != "" || o.Interpolation != "" || o.Scale != 0 || o.Mean != nil || o.Std != nil
	if f.preprocess == "" && !changed {
		return nil, nil
	}
	p, err := picture.ParsePreprocess(cmp.Or(f.preprocess, "none"))
	if err == nil {
		p, err = p.With(o)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return &p, nil
}

// open makes the dataset and settles the shape of a sample, which the model may
// leave open: sample is what --input-size says, or nil.
func (f *dataFlags) open(c *cobra.Command, m *onnx.Model, sources []string, sample []int) (dataset.Dataset, []int, error) {
	if f.decoders < 0 || f.limit < 0 || f.random < 0 {
		return nil, nil, usagef("--decoders, --limit and --random are 0 or more")
	}
	if f.decoders == 0 {
		f.decoders = runtime.GOMAXPROCS(0)
	}
	v, ports, err := inputsOf(m, f.others)
	if err != nil {
		return nil, nil, err
	}
	input := sample
	if input == nil {
		input = probes.SampleShape(v)
	}
	if f.random > 0 {
		ds, err := f.points(sources, input)
		if err == nil && f.others != nil {
			ds, err = f.others.feed(c, ds, ports)
		}
		return ds, input, err
	}
	if len(sources) == 0 {
		return nil, nil, usagef("say what to run the model on; see %s --help", c.CommandPath())
	}
	o, err := f.reading(c, v, input)
	if err != nil {
		return nil, nil, err
	}
	ds, err := dataset.Open(sources, o)
	if err != nil {
		return nil, nil, err
	}
	if err := f.preprocessed(ds, o); err != nil {
		return nil, nil, err
	}
	noteSources(c, ds)
	noteClasses(c, ds)
	if f.others != nil {
		if ds, err = f.others.feed(c, ds, ports); err != nil {
			return nil, nil, err
		}
	}
	if f.limit > 0 && f.limit < ds.Len() {
		if ds, err = dataset.Range(ds, 0, f.limit); err != nil {
			return nil, nil, err
		}
	}
	return ds, ds.Shape(), nil
}

// points are the random points that were asked for, in place of sources.
func (f *dataFlags) points(sources []string, input []int) (dataset.Dataset, error) {
	switch {
	case len(sources) > 0:
		return nil, usagef("give data or --random, not both")
	case !(f.low < f.high) || math.IsInf(f.high-f.low, 0):
		return nil, usagef("--low %g is not below --high %g, both finite", f.low, f.high)
	case input == nil || slices.Contains(input, -1):
		return nil, usagef("the model leaves the shape of its input open; give --input-size")
	}
	return dataset.Random(f.random, input, f.low, f.high, f.seed), nil
}

// reading is how sources are opened for a model's input v of a sample's shape.
func (f *dataFlags) reading(c *cobra.Command, v *onnx.Value, input []int) (dataset.Options, error) {
	p, err := f.settings()
	if err != nil {
		return dataset.Options{}, err
	}
	o := dataset.Options{Format: f.format, Layout: f.layout, Preprocess: p, Input: input, EXIF: f.exif,
		Pixels: f.pixels, MaxPixels: f.maxPixels, Column: f.column, Stdin: c.InOrStdin()}
	if v.DType == tensor.Uint8 && p == nil {
		o.Preprocess = &picture.Preprocess{Name: "pixels", Scale: 1} // the model takes pixels as they are
	}
	notePreprocess(c, p)
	return o, nil
}

// notePreprocess says what is to be known of how a file was read.
func notePreprocess(c *cobra.Command, p *picture.Preprocess) {
	if p != nil && p.Note != "" {
		note(c, "%s: %s", p.Name, p.Note)
	}
}

// noteSources says what inputs lose on their way in, and what is left out.
func noteSources(c *cobra.Command, ds dataset.Dataset) {
	about := dataset.Describe(ds)
	for _, l := range about.Left {
		note(c, "%s is read as %s, and what is of another kind is left out: %s", l.Folder, l.Format, l)
	}
	for _, s := range about.Sources {
		if s.Unlabelled != "" {
			note(c, "%s: labels: %s", s.Path, s.Unlabelled)
		}
		if s.RoundedFrom != "" {
			note(c, "%s holds %s, which is rounded to float32: inputs are float32 in every precision", s.Path, s.RoundedFrom)
		}
	}
}

// noteClasses says of items from several folders that none has a label, since that of class
// folders is had by the folder above them alone.
func noteClasses(c *cobra.Command, ds dataset.Dataset) {
	folders := map[string]bool{}
	for i := range min(ds.Len(), 1000) {
		it := ds.Item(i)
		if it.Path == "" || it.Label >= 0 {
			return
		}
		folders[filepath.Dir(it.Path)] = true
	}
	if len(folders) > 1 {
		note(c, "no item has a label: folders are classes where the folder that holds them is given, and a list (CSV) can have a column class")
	}
}

// preprocessed reports pictures that nobody said how to preprocess, and flags without a use.
func (f *dataFlags) preprocessed(ds dataset.Dataset, o dataset.Options) error {
	if err := dataset.Unused(ds, o); err != nil {
		return usageError{err}
	}
	if o.Preprocess != nil {
		return nil
	}
	for _, s := range dataset.Describe(ds).Sources {
		if s.Preprocess != nil {
			return usagef("say how pictures become inputs, as when the model was trained: --preprocess %s, or a JSON "+
				"file; --preprocess none takes pixels / 255. See list presets", picture.Suggest(o.Input))
		}
	}
	return nil
}

// record says in a manifest's settings how data was read.
func (f *dataFlags) record(settings map[string]any) {
	if f.exif {
		settings["exif"] = true
	}
	for name, value := range map[string]string{"pixels": f.pixels, "column": f.column} {
		if value != "" {
			settings[name] = value
		}
	}
	if f.random > 0 {
		settings["random"], settings["low"], settings["high"] = f.random, f.low, f.high
	}
}

// distance checks a flag that is a distance, 0 for none.
func distance(flag string, d float64) error {
	if !(d >= 0) || math.IsInf(d, 0) {
		return usagef("--%s %g: a distance is 0 or more, and finite", flag, d)
	}
	return nil
}
