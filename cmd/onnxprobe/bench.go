package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/bench"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// benchReport is what bench prints, in a table or as JSON.
type benchReport struct{ bench.Report }

// benchJob are the flags of bench.
type benchJob struct {
	modelFlags
	engineFlags
	sizes      string
	inputs     []string
	seconds    float64
	images     int
	seed       uint64
	complexity bool
	directions int
	radius     float64
	plot       plotFlag
	force      bool
}

func newBench() *cobra.Command {
	var j benchJob
	c := &cobra.Command{
		Use:   "bench MODEL",
		Short: "What codes cost: images a second with and without them",
		Long: `Runs the model plain, and with the codes of all sites packed in the graph, on random input
made beforehand, and prints images a second of both and their ratio. The two take turns, so
that what else the machine does meets both; the figures are the turns' medians with their
10th and 90th percentile, and the ratio is taken turn by turn. With --complexity local
complexity takes turns too, in points a second.

With --json it prints one object: model, sample, sites, units, code_bytes; backend, device,
precision, tf32, tune, threads (0: all cores), seed; machine and versions; best_batch; peak_host_bytes, the
most memory the process ever held; noisy, whether a spread is above a fifth of its median; and
results, for each batch measured:
  batch, turns      the size that ran, and the turns of every variant
  plain, codes, complexity
                    rate {median, p10, p90} in images or points a second; items measured;
                    bytes_in and bytes_out of one image's inputs and outputs; host_bytes and
                    device_bytes, what opening the session and first running it added
  ratio             {median, p10, p90} of codes' rate over plain's
  host_bytes, host_growth_bytes
                    the most memory held while measuring, and how much more of it there was
                    in the second half than in the first
  device_bytes, device_growth_bytes
                    what the device held at the end, and how much more than after the first
                    turns
  notes             what an engine did otherwise than asked, if anything
What is not known, such as a CPU's device_bytes, is left out. Keys may be added.`,
		Example: `  onnxprobe bench resnet50.onnx --batch auto
  onnxprobe bench resnet18.onnx --batch 1,8,32 --device cuda --json
  onnxprobe bench resnet18.onnx --batch 64 --device cuda:all
  onnxprobe bench resnet18.onnx --batch 1,8,32 --plot rates.html
  onnxprobe bench preact_resnet18.onnx --complexity --directions 20 --batch 320
  onnxprobe bench regionblip.onnx --input box=0.1,0.1,0.6,0.9
  onnxprobe bench resnet18.onnx --images 200000`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error { return j.run(c, args[0]) },
	}
	fs := c.Flags()
	j.modelFlags.add(fs)
	j.addSites(fs)
	j.addBackend(fs)
	j.several = true
	j.addOptions(fs)
	j.addAllowRandom(fs)
	j.addPrecision(fs)
	fs.StringVar(&j.sizes, "batch", "", "images of a run: a size, several (1,8,32), or auto to find the best; by the size of a sample if not given")
	fs.StringArrayVar(&j.inputs, "input", nil, "what goes into another input of the model, `NAME=VALUE` (one, or one for each element, for all items); random numbers otherwise; repeatable")
	fs.Float64Var(&j.seconds, "seconds", 10, "how long to measure each batch size")
	fs.IntVar(&j.images, "images", 0, "send so many images through each variant instead, for example to see memory stay flat")
	fs.Uint64Var(&j.seed, "seed", 0, "seed of the input and of the directions")
	fs.BoolVar(&j.complexity, "complexity", false, "measure local complexity too")
	fs.IntVar(&j.directions, "directions", 20, "with --complexity: orthonormal directions; each gives two vertices")
	fs.Float64Var(&j.radius, "radius", 0.005, "with --complexity: distance of the vertices")
	j.plot.add(fs)
	fs.BoolVar(&j.force, "force", false, "replace an existing plot")
	return c
}

// batches are the sizes to measure; nil is to find the best.
func (j *benchJob) batches(sample []int) ([]int, error) {
	switch j.sizes {
	case "auto":
		return nil, nil
	case "":
		return []int{j.batchFor(sample, 0)}, nil
	}
	var sizes []int
	for _, s := range strings.Split(j.sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 || slices.Contains(sizes, n) {
			return nil, usagef("--batch %q: write sizes of 1 or more, each once, as in 1,8,32, or auto", j.sizes)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

func (j *benchJob) run(c *cobra.Command, path string) error {
	if !(j.seconds > 0 && j.seconds <= 1e6) || j.images < 0 {
		return usagef("--seconds is above 0 and --images 0 or more")
	}
	if !(j.radius > 0 && j.radius <= 1e30) {
		return usagef("--radius %g: a radius is positive and finite", j.radius)
	}
	for _, name := range []string{"directions", "radius"} {
		if c.Flags().Changed(name) && !j.complexity {
			return usagef("--%s goes with --complexity", name)
		}
	}
	if err := j.plot.check("", j.force, path); err != nil {
		return err
	}
	if _, err := j.options(); err != nil {
		return err
	}
	if _, err := j.batches(nil); err != nil {
		return err
	}
	m, err := j.load(path)
	if err != nil {
		return err
	}
	sample, err := j.sample(m)
	if err != nil {
		return err
	}
	precise, err := j.precise(m)
	if err != nil {
		return err
	}
	b := bench.Bench{Duration: time.Duration(j.seconds * float64(time.Second)), Images: j.images, Seed: j.seed}
	if b.Codes, err = probes.Attach(precise, probes.AttachOptions{Sites: j.siteOptions(), Sample: sample}); err != nil {
		return err
	}
	if b.Beside, err = j.beside(m); err != nil {
		return err
	}
	if b.Plain, err = probes.Plain(precise, b.Codes.Fit.Sample); err != nil {
		return err
	}
	if b.Backend, b.Options, err = j.choose(c); err != nil {
		return err
	}
	b.Devices = j.devices
	if j.complexity {
		f, err := openFrame("", j.directions, b.Codes.Fit.Sample, j.seed)
		if err != nil {
			return err
		}
		b.Around = probes.Neighborhood{Frame: f, Radii: []float64{j.radius}}
	}
	r := &benchReport{bench.Report{Model: path, Sample: b.Codes.Fit.Sample, Sites: len(b.Codes.Sites), Units: b.Codes.Units(), CodeBytes: b.Codes.CodeBytes(),
		Backend: b.Backend.Name(), Device: j.deviceList(), TF32: b.Options.AllowTF32, Tune: b.Options.Tune, Threads: j.threads, Seed: j.seed,
		Machine: bench.Describe(c.Context(), b.Options.Device), CommandLine: commandLine(c),
		Versions: map[string]string{"onnxprobe": result.Version(), "go": runtime.Version(), b.Backend.Name(): b.Backend.Version()}}}
	r.Precision, _, _ = strings.Cut(b.Codes.Precision(), ",") // what follows is of TF32
	if j.complexity {
		r.Directions, r.Radius = j.directions, j.radius
	}
	if err := j.measure(c, &b, r); err != nil {
		return refused(err, j.precision == "float64")
	}
	noteRandom(c, m)
	var done error
	if j.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		done = e.Encode(r)
	} else {
		r.print(c.OutOrStdout())
	}
	return j.plot.printed(c, done, path, &r.Report)
}

// beside reads what is given for the model's other inputs.
func (j *benchJob) beside(m *onnx.Model) ([]dataset.Side, error) {
	_, ports, err := probes.Inputs(m)
	if err != nil {
		return nil, err
	}
	var sides []dataset.Side
	for _, given := range j.inputs {
		name, value, named := strings.Cut(given, "=")
		if !named {
			name, value = "", given
		}
		p, err := portNamed("input", name, ports)
		if err != nil {
			return nil, err
		}
		s, err := dataset.ConstantSide(p.Name, p.DType, p.Shape, value)
		if err != nil {
			return nil, usageError{err}
		}
		sides = append(sides, s)
	}
	return sides, nil
}

// measure fills in the results.
func (j *benchJob) measure(c *cobra.Command, b *bench.Bench, r *benchReport) error {
	sizes, err := j.batches(r.Sample)
	if err != nil {
		return err
	}
	if sizes == nil {
		best, err := b.Best(c.Context(), func(s string) { note(c, "%s", s) })
		if err != nil {
			return err
		}
		sizes = []int{best}
	}
	var rate float64
	for _, n := range sizes {
		res, err := b.Measure(c.Context(), n)
		if err != nil {
			return err
		}
		if fit := b.Codes.Fit.Note; fit != "" && r.Results == nil {
			note(c, "%s", fit)
		}
		r.Results = append(r.Results, res)
		for _, s := range res.Notes {
			note(c, "%s", s)
		}
		if m := res.Codes.Rate.Median; m > rate {
			rate, r.BestBatch = m, res.Batch
		}
		if res.Noisy() {
			r.Noisy = true
			note(c, "the machine is noisy: at batch %d images a second vary by more than a fifth; read the ratio, and repeat on a quiet machine", res.Batch)
		}
		if res.Batch != n { // a fixed batch is the same for all sizes
			note(c, "the model runs at batch %d only", res.Batch)
			break
		}
	}
	r.PeakBytes = bench.Peak()
	return nil
}

func (r *benchReport) print(w io.Writer) {
	or := func(s, unknown string) string {
		if s == "" {
			return unknown
		}
		return s
	}
	threads := "all cores"
	if r.Threads > 0 {
		threads = count(r.Threads, "thread")
	}
	about := [][]string{
		{"model", fmt.Sprintf("%s: samples %v, %s, %s, codes of %s", r.Model, r.Sample, count(r.Sites, "site"), count(r.Units, "unit"), size(int64(r.CodeBytes)))},
		{"machine", fmt.Sprintf("%s, %s, %s/%s", or(r.Machine.CPU, "a CPU without a name"), count(r.Machine.Cores, "core"), r.Machine.OS, r.Machine.Arch)},
	}
	if r.Machine.GPU != "" {
		about = append(about, []string{"", fmt.Sprintf("%s, driver %s", r.Machine.GPU, r.Machine.Driver)})
	}
	precision := r.Precision
	if r.TF32 {
		precision += " with TF32"
	}
	table(w, append(about, []string{"engine", fmt.Sprintf("%s %s on %s, %s, %s", r.Backend, r.Versions[r.Backend], r.Device, precision, threads)}))
	fmt.Fprintln(w)
	rows := [][]string{{"BATCH", "PLAIN/S", "P10-P90", "CODES/S", "P10-P90", "RATIO", "P10-P90"}}
	if r.Directions > 0 {
		rows[0] = append(rows[0], "POINTS/S", "P10-P90")
	}
	pair := func(s bench.Spread) []string {
		return []string{figure(s.Median), figure(s.P10) + "-" + figure(s.P90)}
	}
	for _, res := range r.Results {
		row := []string{fmt.Sprint(res.Batch)}
		for _, s := range []bench.Spread{res.Plain.Rate, res.Codes.Rate, res.Ratio} {
			row = append(row, pair(s)...)
		}
		if res.Complexity != nil {
			row = append(row, pair(res.Complexity.Rate)...)
		}
		rows = append(rows, row)
	}
	table(w, rows)
	if len(r.Results) > 1 {
		fmt.Fprintf(w, "\nmost images a second with codes at batch %d\n", r.BestBatch)
	}
	fmt.Fprintln(w)
	known := func(n *int64) string {
		if n == nil {
			return "n/a"
		}
		return size(*n)
	}
	rows = [][]string{{"BATCH", "", "BYTES IN", "BYTES OUT", "HOST MEMORY", "DEVICE MEMORY"}}
	for _, res := range r.Results {
		for _, v := range []struct {
			name string
			bench.Variant
		}{{"plain", res.Plain}, {"codes", res.Codes}} {
			rows = append(rows, []string{fmt.Sprint(res.Batch), v.name, size(int64(v.BytesIn)), size(int64(v.BytesOut)), known(v.HostBytes), known(v.DeviceBytes)})
		}
	}
	table(w, rows)
	fmt.Fprintln(w, "\nbytes are of one image; memory is what opening and first running each session added")
	if r.PeakBytes > 0 {
		last := r.Results[len(r.Results)-1]
		fmt.Fprintf(w, "the process held %s at most; over the last %s it grew by %.1f MB\n",
			size(r.PeakBytes), count(last.Plain.Items+last.Codes.Items, "image"), float64(last.Growth)/1e6)
	}
}

// figure is a rate as people read it: without an exponent.
func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
