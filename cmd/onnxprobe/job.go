package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// job is what the verbs that send a dataset through a model share: flags, and the
// way from them to a result with its manifest.
type job struct {
	modelFlags
	engineFlags
	dataFlags
	output string
	force  bool
	seed   uint64
	// attach makes the plan, use runs it; settings go into the manifest.
	attach   func(m *onnx.Model, sample []int) (*probes.Plan, error)
	use      func(r *probes.Prober, ds dataset.Dataset, to probes.Sink, o probes.RunOptions) (probes.Summary, error)
	settings map[string]any
	// array is the column that a .npy file holds.
	array string
	// regions, where they are asked for, make rows of regions of those of items.
	regions regionFlags
	ofRows  region.RowOptions
}

func (j *job) add(c *cobra.Command) {
	fs := c.Flags()
	j.several = true
	j.modelFlags.add(fs)
	j.addBackend(fs)
	j.addOptions(fs)
	j.addPrecision(fs)
	j.addBatch(fs)
	j.dataFlags.add(fs)
	j.others = &otherFlags{}
	j.others.add(fs)
	j.regions.add(fs)
	fs.StringVarP(&j.output, "output", "o", "", "the `FILE` to write: .parquet, .npy or .jsonl; - is JSON Lines on standard output")
	fs.BoolVar(&j.force, "force", false, "replace an existing result")
	fs.Uint64Var(&j.seed, "seed", 0, "seed of everything drawn at random")
}

// run does the job. to is where results go when no file was asked for.
func (j *job) run(c *cobra.Command, args []string, to probes.Sink) error {
	if err := j.checkOutput(args); err != nil {
		return err
	}
	if _, err := j.options(); err != nil {
		return err
	}
	m, err := j.load(args[0])
	if err != nil {
		return err
	}
	sample, err := j.sample(m)
	if err != nil {
		return err
	}
	j.dataFlags.seed, j.others.settings = j.seed, j.settings
	ds, sample, err := j.open(c, m, args[1:], sample)
	if err != nil {
		return err
	}
	b, o, err := j.choose(c)
	if err != nil {
		return err
	}
	precise, err := j.precise(m)
	if err != nil {
		return err
	}
	plan, err := j.attach(precise, sample)
	if err != nil {
		return err
	}
	if j.regions.path != "" {
		if err := j.regions.read(c, j.settings); err != nil {
			return err
		}
	}
	if to == nil {
		if to, err = sink.Create(j.output, sink.Options{Array: j.array, Force: j.force, Stdout: c.OutOrStdout()}); err != nil {
			return err
		}
	}
	defer to.Abort()
	var rows *region.Rows
	if j.regions.path != "" {
		j.ofRows.Seed = j.seed
		if rows, err = j.regions.rows(c, precise, plan, ds, to, j.ofRows); err != nil {
			return err
		}
		to = rows
	}
	r, err := plan.OpenOn(c.Context(), b, o, j.devices, j.batchFor(sample))
	if err != nil {
		return refused(err, j.precision == "float64")
	}
	defer r.Close()
	if plan.Fit.Note != "" {
		note(c, "%s", plan.Fit.Note)
	}
	mf, err := r.NewManifest(m)
	if err != nil {
		return err
	}
	for _, n := range mf.Notes {
		if n != plan.Fit.Note {
			note(c, "%s", n)
		}
	}
	mf.Verb, mf.Command, mf.Settings, mf.Dataset = c.Name(), commandLine(c), j.settings, manifestData(ds, j.random > 0)
	j.settings["seed"] = j.seed
	if j.exif {
		j.settings["exif"] = true
	}
	if j.column != "" {
		j.settings["column"] = j.column
	}
	if j.random > 0 {
		j.settings["random"], j.settings["low"], j.settings["high"] = j.random, j.low, j.high
	}
	start := time.Now()
	show, done := progress(c, ds.Len(), c.Name())
	sum, err := j.use(r, ds, to, probes.RunOptions{Workers: j.workers, Progress: show})
	done()
	if err != nil {
		return err
	}
	mf.Summary = sum
	var ofRows region.RowSummary
	if rows != nil {
		if ofRows, err = j.regions.finish(c, rows); err != nil {
			return err
		}
		j.settings["region_rows"] = ofRows
	}
	if err := to.Commit(mf); err != nil {
		return err
	}
	elapsed(c, sum, start, "items")
	if j.json && j.output != "" && j.output != "-" {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"output": j.output,
			"manifest": sink.ManifestPath(j.output), "summary": sum}); err != nil {
			return err
		}
	}
	if ofRows.Failed > 0 {
		return regionsFailed(ofRows)
	}
	if sum.Failed > 0 {
		return someFailed{sum}
	}
	return nil
}

// checkOutput reports what is wrong with -o before anything is loaded.
func (j *job) checkOutput(args []string) error {
	if j.output == "" || j.output == "-" {
		return nil
	}
	if err := sink.Check(j.output, j.force); err != nil {
		return usageError{err}
	}
	return keep(j.output, args)
}

// keep refuses to write a result over what it is made from.
func keep(output string, inputs []string) error {
	out, err := os.Stat(output)
	if err != nil {
		return nil
	}
	for _, path := range inputs {
		if in, err := os.Stat(path); err == nil && os.SameFile(in, out) {
			return usagef("%s is what the result would be made from; write it elsewhere", output)
		}
	}
	return nil
}

// needOutput reports a missing -o; --json alone stands for standard output.
func (j *job) needOutput() error {
	if j.output == "" && j.json {
		j.output = "-"
	}
	if j.output == "" {
		return usagef("say where the results go: -o FILE.parquet, FILE.npy or FILE.jsonl, or -o - for standard output")
	}
	return nil
}

func newCodes() *cobra.Command {
	var j job
	var perSite, noCode bool
	var bits int
	var fragile float64
	var ofRegions codeRegions
	c := &cobra.Command{
		Use:   "codes MODEL DATA... -o OUT",
		Short: "Activation codes, digests, sketches",
		Long: `Runs every item through the model and records on which side of every bend it falls:
one bit a unit and knot, 1 above the knot, packed as numpy.packbits does. The digest is a
128-bit hash of the whole code: items of one digest lie in one linear region. DATA are
folders of images, image and array files, WebDataset tar files, Parquet files with pictures, lists
of paths (see list datasets), glob patterns, ranges in braces, or - for a list on standard input.

With --regions it writes a row for every region of a picture: its box, how many units lie
inside, the digest of their bits, and with --channels the channel codes, one bit a channel,
by which regions of any size and place can be compared (search and dedup --on channels).`,
		Example: `  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet -o codes.parquet
  onnxprobe codes resnet20.onnx test_batch.bin --preprocess cifar10 -o codes.npy
  onnxprobe codes vit.onnx 'shards/{000000..000150}.tar' --preprocess clip --no-code -o digests.parquet
  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet --regions instances.json --channels -o regions.parquet
  ls *.png | onnxprobe codes mnist.onnx - --preprocess mnist --sketch 256 --no-code -o -
  python -c "import numpy as n; print(n.unpackbits(n.load('codes.npy'), axis=1).mean())"`,
		Args: atLeast(1, "a model and data"),
	}
	j.add(c)
	fs := c.Flags()
	j.addSites(fs)
	j.addRandom(fs)
	fs.BoolVar(&perSite, "per-site", false, "write each site's code as a column of its own")
	fs.BoolVar(&noCode, "no-code", false, "leave the code out; write digests, and what else is asked for")
	fs.IntVar(&bits, "sketch", 0, "add a sketch of `K` bits sampled from the code by --seed")
	fs.Float64Var(&fragile, "fragile", 0, "count, for each item, the values within this `DISTANCE` of their knot")
	ofRegions.add(fs)
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
		if noCode && strings.HasSuffix(strings.ToLower(j.output), ".npy") {
			return usagef("a .npy file holds the code; write .parquet or .jsonl without it")
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
		j.use = func(r *probes.Prober, ds dataset.Dataset, to probes.Sink, o probes.RunOptions) (sum probes.Summary, err error) {
			co := probes.CodeOptions{RunOptions: o, Full: !noCode, PerSite: perSite && !noCode}
			if j.regions.path != "" {
				co.Full = true
				return r.Codes(c.Context(), ds, to, co)
			}
			if bits > 0 {
				if co.Sketch, err = r.Plan.NewSketch(bits, j.seed); err != nil {
					return sum, usageError{err}
				}
			}
			return r.Codes(c.Context(), ds, to, co)
		}
		return j.run(c, args, nil)
	}
	return c
}

func newComplexity() *cobra.Command {
	var j job
	var radii []float64
	var directions int
	var sign3, centre bool
	var frame, save, around, maps string
	var precise *onnx.Model
	c := &cobra.Command{
		Use:   "complexity MODEL DATA... -o OUT",
		Short: "Local complexity",
		Long: `Counts, for every item and site, the units whose bit is not the same at all vertices of a
small cross-polytope around the item: x + r q and x - r q for every direction q of an
orthonormal frame that all items share ("Deep Networks Always Grok and Here is Why").

With --regions it counts, for every region of a picture, the units inside; the vertices move
the whole picture.`,
		Example: `  onnxprobe complexity resnet18.onnx data_batch_1.bin --preprocess cifar10 --limit 1024 -o lc.parquet
  onnxprobe complexity mlp.onnx --random 1000 --radius 0.05,0.5 --include-gemm -o lc.jsonl
  onnxprobe complexity mlp.onnx t10k-images-idx3-ubyte.gz --preprocess mnist-01 --frame frame.npy --sign3 -o lc.npy
  onnxprobe complexity resnet18.onnx photos/ --preprocess imagenet --regions instances.json --map maps -o lc.parquet`,
		Args: atLeast(1, "a model and data"),
	}
	j.add(c)
	fs := c.Flags()
	j.addSites(fs)
	j.addRandom(fs)
	fs.Float64SliceVar(&radii, "radius", []float64{0.005}, "distance of the vertices, in the units of the model's input; several give several counts")
	fs.IntVar(&directions, "directions", 20, "orthonormal directions; each gives two vertices")
	fs.BoolVar(&sign3, "sign3", false, "count a value exactly on its knot as a third side, as the authors' code does")
	fs.BoolVar(&centre, "include-centre", false, "make the item itself a vertex too")
	fs.StringVar(&frame, "frame", "", "read the directions from a .npy `FILE` [P, ...] instead of drawing them")
	fs.StringVar(&save, "save-frame", "", "write the directions to a .npy `FILE`")
	fs.StringVar(&around, "frame-input", "", "`NAME` of the input that the vertices move, of a model with several; by default the picture's")
	fs.StringVar(&maps, "map", "", "draw for every picture, with its regions, where the units lie that change at the first radius: PNG files in a `DIR`")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := j.needOutput(); err != nil {
			return err
		}
		for i, r := range radii {
			if !(r > 0) || math.IsInf(r, 0) {
				return usagef("--radius %g: a radius is positive and finite", r)
			}
			if slices.Contains(radii[:i], r) {
				return usagef("--radius %g is given twice", r)
			}
		}
		if frame != "" && fs.Changed("directions") {
			return usagef("--frame has its own number of directions; leave --directions out")
		}
		if err := j.others.take(&j.regions, fs.Changed); err != nil {
			return err
		}
		if err := j.regions.check(fs.Changed); err != nil {
			return err
		}
		if err := j.regions.without(fs.Changed, "random points have none", "random"); err != nil {
			return err
		}
		j.ofRows.Radii = radii
		if save != "" {
			if _, err := os.Lstat(save); err == nil && !j.force {
				return usagef("--save-frame: %s exists; --force replaces it", save)
			}
			if err := keep(save, append(args, frame)); err != nil {
				return err
			}
		}
		j.array = "count"
		j.settings = map[string]any{"radius": radii, "sign3": sign3, "include_centre": centre}
		if around != "" {
			j.settings["frame_input"] = around
		}
		j.attach = func(m *onnx.Model, sample []int) (*probes.Plan, error) {
			precise = m
			return probes.Attach(m, probes.AttachOptions{Sites: j.siteOptions(), Sample: sample, Sign3: sign3})
		}
		j.use = func(r *probes.Prober, ds dataset.Dataset, to probes.Sink, o probes.RunOptions) (probes.Summary, error) {
			shape, err := r.Plan.FrameShape(around)
			if err != nil {
				return probes.Summary{}, usagef("--frame-input: %w", err)
			}
			if n := tensor.Count(shape); !fs.Changed("directions") && n < directions {
				directions = n // of a box there are 4
			}
			f, err := openFrame(frame, directions, shape, j.seed)
			if err == nil && save != "" {
				err = saveFrame(save, f)
			}
			if err != nil {
				return probes.Summary{}, err
			}
			j.settings["frame"] = map[string]any{"file": frame, "directions": f.Directions, "sha256": f.SHA256()}
			nb := probes.Neighborhood{Frame: f, Radii: radii, Centre: centre, Input: around}
			if maps != "" {
				if to, err = j.regions.maps(c, precise, r.Plan, ds, to, maps); err != nil {
					return probes.Summary{}, err
				}
			}
			return r.Write(c.Context(), ds, to, o, probes.ComplexityColumns{Neighborhood: nb, Changed: j.regions.path != "" || maps != ""})
		}
		return j.run(c, args, nil)
	}
	return c
}

func newRun() *cobra.Command {
	var j job
	var top int
	var softmax bool
	var labels string
	c := &cobra.Command{
		Use:   "run MODEL DATA... [-o OUT]",
		Short: "Plain inference",
		Long: `Runs every item through the model. Without -o it prints the highest entries of the
model's first output for every item; with -o it writes the outputs themselves as well.`,
		Example: `  onnxprobe run resnet50.onnx dog.jpg --preprocess imagenet-v2 --softmax --labels imagenet_classes.txt
  onnxprobe run resnet20.onnx test_batch.bin --preprocess cifar10 -o logits.npy`,
		Args: atLeast(1, "a model and data"),
	}
	j.add(c)
	fs := c.Flags()
	j.addRandom(fs)
	fs.IntVar(&top, "top", 5, "how many of the highest entries to name")
	fs.BoolVar(&softmax, "softmax", false, "turn the first output into probabilities")
	fs.StringVar(&labels, "labels", "", "names of the entries: a text `FILE`, one a line")
	c.RunE = func(c *cobra.Command, args []string) error {
		if top < 0 {
			return usagef("--top %d: 0 or more", top)
		}
		if err := j.others.take(&j.regions, fs.Changed); err != nil {
			return err
		}
		if j.regions.path != "" {
			return usagef("--regions of run goes with --box-input, for a model that takes a box")
		}
		if err := j.regions.check(fs.Changed); err != nil {
			return err
		}
		names, err := readLabels(labels)
		if err != nil {
			return err
		}
		j.attach = func(m *onnx.Model, sample []int) (*probes.Plan, error) {
			j.array = m.Graph.Outputs[0].Name
			return probes.Plain(m, sample)
		}
		j.settings = map[string]any{"top": top, "softmax": softmax, "labels": labels}
		j.use = func(r *probes.Prober, ds dataset.Dataset, to probes.Sink, o probes.RunOptions) (probes.Summary, error) {
			return r.Outputs(c.Context(), ds, to, probes.OutputOptions{RunOptions: o, Top: top, Softmax: softmax, Labels: names, Full: j.output != ""})
		}
		var to probes.Sink
		switch {
		case j.output == "" && j.json:
			j.output = "-"
		case j.output == "":
			to = &printer{w: bufio.NewWriter(c.OutOrStdout()), labels: names}
		}
		return j.run(c, args, to)
	}
	return c
}

func readLabels(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
	}
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n"), "\n"), nil
}
