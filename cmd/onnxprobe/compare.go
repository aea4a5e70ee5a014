package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
)

func newCompare() *cobra.Command {
	var mf modelFlags
	var ef engineFlags
	var df dataFlags
	var feed feedFlags
	var a, b, deviceA, deviceB, precision string
	var out compareOutput
	c := &cobra.Command{
		Use:   "compare MODEL DATA... -a X -b Y",
		Short: "Bits that differ between two engines or settings, with margins",
		Long: `Runs the same items through two settings and counts, site by site, the bits that
differ and how far from their knot the values behind them lie. A setting is an engine
and changes to it: "ort", "ort,optimize=none", "ort,threads=1,batch=1",
"ort,device=cuda:0", "ort,device=cuda:0,tf32=on,tune=exhaustive". With "precision=float64"
the side runs the model widened to float64, with "precision=float16" narrowed to float16,
but for its inputs and outputs. --device-a and --device-b are short for device=... in -a
and -b. Settings of a GPU, such as --allow-tf32, are for the sides that run on one.
With "codes=host" the codes are computed outside the graph, from the float values before
the activations: the check of the packing itself. With "codes=standard" they are packed in
the graph, but by standard operators, where ONNX Runtime on a CPU has a faster one of ours.

With --precision float64 the pure-Go engine finds in float64 the value behind every bit on
which the sides differ, and decides for the side whose bit is that value's. The margins are
its distances to the knot then.

How far codes can be trusted across machines: one library, device, batch and number of
threads gives the same bits again. Another device, library, batch or precision adds up in
another order, and every value that lies within that rounding of its knot may change
sides. The largest margin of a site, of its scale, is how far that went here: some 1e-7
between engines on a small network in float32, 4e-4 with float16. Bits further from their
knot than that agreed; "codes --fragile DISTANCE" counts the others.`,
		Example: `  onnxprobe compare resnet18.onnx photos/ --preprocess imagenet -a ort -b ort,optimize=none
  onnxprobe compare resnet18.onnx photos/ --preprocess imagenet -a ort -b gorgonia --precision float64
  onnxprobe compare resnet18.onnx --random 64 -a ort -b gorgonia,precision=float64
  onnxprobe compare resnet18.onnx --random 64 -a ort -b ort,codes=host -o flips.parquet --plot flips.html
  onnxprobe compare resnet18.onnx --random 64 -a ort -b ort,codes=standard
  onnxprobe compare regionblip.onnx photos/ --preprocess regionblip --regions coco.json --region-input box=xyxy01 -a ort -b gorgonia
  onnxprobe compare resnet18.onnx photos/ --preprocess imagenet --device-a cpu --device-b cuda:0
  onnxprobe compare resnet18.onnx photos/ --preprocess imagenet -a ort -b ort,device=cuda:0,tf32=on,precision=float16`,
		Args: atLeast(1, "a model and data"),
		RunE: func(c *cobra.Command, args []string) error {
			if deviceB != "" && !c.Flags().Changed("b") {
				b = "ort"
			}
			fa, err := setting("-a", a, ef.on(deviceA))
			if err != nil {
				return err
			}
			fb, err := setting("-b", b, ef.on(deviceB))
			if err != nil {
				return err
			}
			if !fa.onGPU() && !fb.onGPU() {
				if err := ef.gpuFlags.set(&engine.Options{}); err != nil {
					return err
				}
			}
			if precision != "" && precision != "float64" {
				return usagef("--precision %q: the judge of a comparison computes in float64; for a side write -a ENGINE,precision=...", precision)
			}
			if err := feed.check(c.Flags().Changed); err != nil {
				return err
			}
			if err := out.check(args); err != nil {
				return err
			}
			m, err := mf.load(args[0])
			if err != nil {
				return err
			}
			sample, err := mf.sample(m)
			if err != nil {
				return err
			}
			sa, err := fa.choose(c, m)
			if err != nil {
				return fmt.Errorf("-a %s: %w", a, err)
			}
			sb, err := fb.choose(c, m)
			if err != nil {
				return fmt.Errorf("-b %s: %w", b, err)
			}
			feed.regions.model.on(sa.Backend, sa.Options)
			defer feed.regions.model.Close()
			ds, sample, err := df.open(c, m, args[1:], sample)
			if err != nil {
				return err
			}
			sa.Batch, sb.Batch = fa.batchFor(sample, ds.Len()), fb.batchFor(sample, ds.Len())
			o := probes.CompareOptions{RunOptions: probes.RunOptions{Decoders: df.decoders}}
			if precision != "" {
				j := side{engineFlags: engineFlags{backend: backends.Float64, device: "cpu", threads: ef.threads, batch: 1, precision: precision, allowRandom: ef.allowRandom, maxMemory: ef.maxMemory}}
				judge, err := j.choose(c, m)
				if err != nil {
					return fmt.Errorf("--precision %s: %w", precision, err)
				}
				judge.Batch = j.batch
				o.Judge = &judge
			}
			start := time.Now()
			show, done := progress(c, ds.Len(), "comparing")
			o.Progress = show
			d, err := probes.Compare(c.Context(), m, probes.AttachOptions{Sites: mf.siteOptions(), Sample: sample}, ds, sa, sb, o)
			done()
			if err != nil {
				return refused(err, sa.Double || sb.Double)
			}
			noteRandom(c, m)
			elapsed(c, d.Summary, start, "item")
			fault := failed(d.Summary, "item")
			var none noneUsed
			if errors.As(fault, &none) {
				return none // sites without a flip would look like agreement
			}
			sides := []probes.Setting{sa, sb}
			if o.Judge != nil {
				sides = append(sides, *o.Judge)
			}
			settings := map[string]any{"a": a, "b": b, "precision": precision, "seed": df.seed}
			if err := out.write(c, m, manifestData(ds, df.random > 0), d, settings, sides...); err != nil {
				return err
			}
			switch {
			case out.path == "-": // the rows are there
			case mf.json:
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(d)
			default:
				printDiff(c, d, a, b)
			}
			if err == nil {
				err = fault
			}
			return out.plot.printed(c, err, fmt.Sprintf("%s, %s and %s", filepath.Base(args[0]), a, b), d)
		},
	}
	out.add(c.Flags())
	feed.add(c.Flags(), &mf, &df)
	mf.addSites(c.Flags())
	mf.add(c.Flags())
	ef.addOptions(c.Flags())
	ef.addAllowRandom(c.Flags())
	ef.addBatch(c.Flags())
	df.add(c.Flags())
	c.Flags().StringVarP(&a, "a", "a", "ort", "one `SETTING`")
	c.Flags().StringVarP(&b, "b", "b", "ort,optimize=none", "the other `SETTING`")
	c.Flags().StringVar(&deviceA, "device-a", "", "the `DEVICE` of -a")
	c.Flags().StringVar(&deviceB, "device-b", "", "the `DEVICE` of -b, which is ort then unless it is given")
	c.Flags().StringVar(&precision, "precision", "", "float64: decide in it, on the pure-Go engine, which side is right")
	df.addRandom(c.Flags())
	c.Flags().Uint64Var(&df.seed, "seed", 0, "seed of --random")
	return c
}

// side is one setting as it was written.
type side struct {
	engineFlags
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
	sd := side{engineFlags: base}
	if parts[0] == "" {
		return sd, usagef("%s %q: a setting begins with an engine: %s", flag, s, strings.Join(backends.Names(), ", "))
	}
	sd.backend = parts[0]
	flags, own := sd.gpuFlags, false // what was given for both sides; whether this one says its tf32
	sd.gpuFlags = gpuFlags{}
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
			if sd.tf32 = v == "on"; v != "on" && v != "off" {
				err = fmt.Errorf("TF32 is on or off")
			}
			own = true
		case "tune":
			sd.tune = v
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
	if sd.onGPU() {
		given := sd.gpuFlags
		if sd.gpuFlags = flags; own {
			sd.tf32 = given.tf32
		}
		if given.tune != "" {
			sd.tune = given.tune
		}
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
	if sd.precision == "float32" {
		if _, err := sd.precise(m); err != nil {
			return probes.Setting{}, err
		}
	}
	b, o, err := sd.engineFlags.choose(c)
	return probes.Setting{Backend: b, Options: o, Host: sd.host, Pack: sd.pack, Double: sd.precision == "float64", Half: sd.half}, err
}

func printDiff(c *cobra.Command, d *probes.Diff, a, b string) {
	header := []string{"SITE", "BITS", "FLIPS", "ITEMS", "LARGEST MARGIN", "OF SCALE"}
	if d.Judge != "" {
		header = append(header, "FOR A", "FOR B")
	}
	rows := [][]string{header}
	var bits, flips int64
	for _, s := range d.Sites {
		bits, flips = bits+s.Bits, flips+s.Flips
		margin, of := "", ""
		if s.Flips > 0 {
			margin = fmt.Sprintf("%.3g", s.Margin)
			if s.Scale > 0 {
				of = fmt.Sprintf("%.2g", s.Margin/s.Scale)
			}
		}
		row := []string{s.Site, grouped(s.Bits), grouped(s.Flips), fmt.Sprint(s.Items), margin, of}
		if d.Judge != "" && s.Flips > 0 {
			row = append(row, grouped(*s.ForA), grouped(*s.ForB))
		}
		rows = append(rows, row)
	}
	w := c.OutOrStdout()
	table(w, rows)
	fmt.Fprintf(w, "\n%s of %s differ, in %d of %s; the model's own outputs differ by at most %.3g\n",
		grouped(flips), count(bits, "bit"), d.Regions, count(d.Items-d.Failed, "item"), d.Outputs)
	if d.Judge != "" {
		fmt.Fprintf(w, "float64 decides %s for a (%s) and %s for b (%s)\n", grouped(*d.ForA), a, grouped(*d.ForB), b)
	}
}
