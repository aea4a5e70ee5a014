package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/bench"
)

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
	radii      []float64
	plot       plotFlag
	force      bool
}

func newBench() *cobra.Command {
	var j benchJob
	c := command("bench", exactly(1, "one model"))
	c.RunE = func(c *cobra.Command, args []string) error { return j.run(c, args[0]) }
	fs := c.Flags()
	j.modelFlags.add(fs)
	j.addSites(fs)
	j.addBackend(fs)
	j.several = true
	j.addOptions(fs)
	j.addAllowRandom(fs)
	j.addPrecision(fs)
	fs.StringVar(&j.sizes, "batches", "", "")
	fs.StringArrayVar(&j.inputs, "input", nil, "")
	fs.Float64Var(&j.seconds, "seconds", 10, "")
	fs.IntVar(&j.images, "images", 0, "")
	fs.Uint64Var(&j.seed, "seed", 0, "")
	fs.BoolVar(&j.complexity, "complexity", false, "")
	fs.IntVar(&j.directions, "directions", 20, "")
	fs.Float64SliceVar(&j.radii, "radius", []float64{0.005}, "")
	j.plot.add(fs)
	fs.BoolVar(&j.force, "force", false, "")
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
			return nil, usagef("--batches %q: write sizes of 1 or more, each once, as in 1,8,32, or auto", j.sizes)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// check reports what is wrong with the flags before anything is loaded.
func (j *benchJob) check(c *cobra.Command, path string) error {
	switch {
	case !(j.seconds > 0 && j.seconds <= 1e6) || j.images < 0:
		return usagef("--seconds is above 0 and --images 0 or more")
	case len(j.radii) != 1 || !(j.radii[0] > 0 && j.radii[0] <= 1e30):
		return usagef("--radius %v: bench takes one radius, positive and finite", j.radii)
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
	_, err := j.batches(nil)
	return err
}

func (j *benchJob) run(c *cobra.Command, path string) error {
	if err := j.check(c, path); err != nil {
		return err
	}
	m, sample, err := j.loaded(path)
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
		b.Around = probes.Complexity{Frame: f, Radii: j.radii}
	}
	sizes, err := j.batches(b.Codes.Fit.Sample)
	if err != nil {
		return err
	}
	r, err := b.Report(c.Context(), sizes, func(said string) { note(c, "%s", said) })
	if err != nil {
		return refused(err, j.precision == "float64")
	}
	r.Model, r.CommandLine = path, commandLine(c)
	noteRandom(c, m)
	return j.plot.printed(c, show(c, j.json, r, r.Print), path, r)
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
