package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// compareFlags are the flags of compare.
type compareFlags struct {
	modelFlags
	engineFlags
	dataFlags
	feed                   feedFlags
	a, b, deviceA, deviceB string
	judge                  string // the precision of the judge
	out                    compareOutput
}

func newCompare() *cobra.Command {
	var f compareFlags
	c := command("compare", atLeast(1, "a model and data"))
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args) }
	fs := c.Flags()
	f.out.add(fs)
	f.feed.add(fs, &f.modelFlags, &f.dataFlags)
	f.addSites(fs)
	f.modelFlags.add(fs)
	f.addOptions(fs)
	f.addAllowRandom(fs)
	f.addBatch(fs)
	f.addDecoders(fs)
	f.dataFlags.add(fs)
	fs.StringVarP(&f.a, "a", "a", "ort", "")
	fs.StringVarP(&f.b, "b", "b", "ort,optimize=none", "")
	fs.StringVar(&f.deviceA, "device-a", "", "")
	fs.StringVar(&f.deviceB, "device-b", "", "")
	fs.StringVar(&f.judge, "decide", "", "")
	f.addRandom(fs)
	fs.Uint64Var(&f.seed, "seed", 0, "")
	return c
}

// sides are the two settings as they were written.
func (f *compareFlags) sides(c *cobra.Command) (a, b side, err error) {
	if f.deviceB != "" && !c.Flags().Changed("b") {
		f.b = "ort"
	}
	if a, err = setting("-a", f.a, f.on(f.deviceA)); err != nil {
		return a, b, err
	}
	if b, err = setting("-b", f.b, f.on(f.deviceB)); err != nil {
		return a, b, err
	}
	if !a.onGPU() && !b.onGPU() {
		err = f.gpuFlags.set(&engine.Options{})
	}
	return a, b, err
}

// judged is the setting of the judge, nil where none is asked for.
func (f *compareFlags) judged(c *cobra.Command, m *onnx.Model) (*probes.Setting, error) {
	if f.judge == "" {
		return nil, nil
	}
	j := side{flag: "--decide", text: f.judge, engineFlags: engineFlags{backend: backends.Float64, device: "cpu",
		threads: f.threads, precision: f.judge, allowRandom: f.allowRandom, maxMemory: f.maxMemory, isolate: f.isolate, timeout: f.timeout}}
	s, err := j.choose(c, m)
	s.Batch = 1
	return &s, err
}

func (f *compareFlags) run(c *cobra.Command, args []string) error {
	a, b, err := f.sides(c)
	if err != nil {
		return err
	}
	if f.judge != "" && f.judge != "float64" {
		return usagef("--decide %q: the judge of a comparison computes in float64; "+
			"for a side write -a ENGINE,precision=...", f.judge)
	}
	if err := cmp.Or(f.feed.check(c.Flags().Changed), f.out.check(args)); err != nil {
		return err
	}
	m, sample, err := f.loaded(args[0])
	if err != nil {
		return err
	}
	sa, err := a.choose(c, m)
	if err != nil {
		return err
	}
	sb, err := b.choose(c, m)
	if err != nil {
		return err
	}
	f.feed.regions.model.on(sa.Backend, sa.Options)
	defer f.feed.regions.model.Close()
	ds, sample, err := f.open(c, m, args[1:], sample)
	if err != nil {
		return err
	}
	sa.Batch, sb.Batch = a.batchFor(sample, ds.Len()), b.batchFor(sample, ds.Len())
	o := probes.CompareOptions{RunOptions: probes.RunOptions{Decoders: f.decoders, Words: withFlags}}
	if o.Judge, err = f.judged(c, m); err != nil {
		return err
	}
	start := time.Now()
	progress, done := progress(c, ds.Len(), "comparing")
	o.Progress = progress
	attach := probes.AttachOptions{Sites: f.siteOptions(), Sample: sample}
	d, err := probes.Compare(c.Context(), m, attach, ds, sa, sb, o)
	done()
	if err != nil {
		return refused(err, sa.Double || sb.Double)
	}
	noteRandom(c, m)
	elapsed(c, d.Summary, start, "item")
	fault := failed(d.Summary, "item")
	if none := new(noneUsed); errors.As(fault, none) {
		return fault // sites without a flip would look like agreement
	}
	all := []probes.Setting{sa, sb}
	if o.Judge != nil {
		all = append(all, *o.Judge)
	}
	settings := map[string]any{"a": f.a, "b": f.b, "precision": f.judge, "seed": f.seed}
	if err := f.out.write(c, m, result.DataOf(ds), d, settings, all...); err != nil {
		return err
	}
	if f.out.path != "-" { // whose rows are there
		err = show(c, f.json, d, func(w io.Writer) { d.Print(w, f.a, f.b) })
	}
	return f.out.plot.printed(c, cmp.Or(err, fault), fmt.Sprintf("%s, %s and %s", filepath.Base(args[0]), f.a, f.b), d)
}

// side is one setting, and the flag that it was written after.
type side struct {
	engineFlags
	flag, text string
	host, half bool
	pack       probes.Packing
}

// on is f with another device, where one is given.
func (f engineFlags) on(device string) engineFlags {
	if device != "" {
		f.device = device
	}
	return f
}

func (f *engineFlags) onGPU() bool { return strings.HasPrefix(f.device, "cuda") }

// setting reads "ort,optimize=none,batch=1", changes to what the flags say.
func setting(flag, s string, base engineFlags) (side, error) {
	parts := strings.Split(s, ",")
	sd := side{engineFlags: base, flag: flag, text: s}
	if strings.HasSuffix(strings.ToLower(parts[0]), ".onnx") {
		return sd, usagef("%s %s: a setting is an engine, and compare is of one model. Two checkpoints are compared by their codes: "+
			"onnxprobe codes of each, then onnxprobe evaluate NEW --churn OLD --by-site", flag, s)
	}
	if sd.backend = parts[0]; sd.backend == "" {
		return sd, usagef("%s %q: a setting begins with an engine: %s", flag, s, strings.Join(backends.Names(), ", "))
	}
	var own gpuFlags // what this side says of a GPU; the flags of both are for one that runs there
	for _, kv := range parts[1:] {
		k, v, _ := strings.Cut(kv, "=")
		var err error
		switch k {
		case "device":
			sd.device = v
		case "threads":
			sd.threads, err = wholeNumber(v, 0)
		case "batch":
			sd.batch, err = wholeNumber(v, 1)
		case "optimize":
			sd.optimize = v
		case "precision":
			if sd.precision, sd.half = v, v == "float16"; sd.half {
				sd.precision = ""
			}
		case "tf32":
			if sd.tf32, own.tf32 = v == "on", v == "on"; v != "on" && v != "off" {
				err = fmt.Errorf("TF32 is on or off")
			}
		case "tune":
			sd.tune, own.tune = cmp.Or(v, sd.tune), v
		case "codes":
			switch sd.host, sd.pack = v == "host", probes.PackAuto; v {
			case "graph", "host":
			case "standard":
				sd.pack = probes.PackPortable
			default:
				err = fmt.Errorf("codes are computed in the graph, there with standard operators alone, or on the host: graph, standard or host")
			}
		default:
			err = fmt.Errorf("the keys are device, threads, batch, optimize, precision, tf32, tune and codes")
		}
		if err != nil {
			return sd, usagef("%s %q: %q: %w", flag, s, kv, err)
		}
	}
	if !sd.onGPU() {
		sd.gpuFlags = own
	}
	if _, err := sd.options(); err != nil {
		return sd, fmt.Errorf("%s %q: %w", flag, s, err)
	}
	return sd, nil
}

func wholeNumber(s string, least int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least {
		return 0, fmt.Errorf("want a whole number, %d or more", least)
	}
	return n, nil
}

// choose finds the engine, and leaves the batch open.
func (sd *side) choose(c *cobra.Command, m *onnx.Model) (probes.Setting, error) {
	s := probes.Setting{Host: sd.host, Pack: sd.pack, Double: sd.precision == "float64", Half: sd.half}
	var err error
	if sd.precision == "float32" {
		_, err = sd.precise(m)
	}
	if err == nil {
		s.Backend, s.Options, err = sd.engineFlags.choose(c)
	}
	if err != nil {
		return s, fmt.Errorf("%s %s: %w", sd.flag, sd.text, err)
	}
	return s, nil
}
