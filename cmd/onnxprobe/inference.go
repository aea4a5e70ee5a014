package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// inference is what the verbs that put a dataset through a model share: flags, and the
// way from them to a result with its manifest.
type inference struct {
	modelFlags
	engineFlags
	dataFlags
	output string
	force  bool
	seed   uint64
	// regions, where they are asked for, make rows of regions of those of items; each is
	// what these hold.
	regions regionFlags
	each    region.RowOptions
}

func (f *inference) add(c *cobra.Command) {
	fs := c.Flags()
	f.several = true
	f.modelFlags.add(fs)
	f.addBackend(fs)
	f.addOptions(fs)
	f.addAllowRandom(fs)
	f.addPrecision(fs)
	f.addBatch(fs)
	f.dataFlags.add(fs)
	f.addDecoders(fs)
	f.others = &otherFlags{}
	f.others.add(fs)
	f.regions.add(fs)
	f.regions.model.of(&f.modelFlags, &f.dataFlags)
	fs.StringVarP(&f.output, "output", "o", "", "")
	fs.BoolVar(&f.force, "force", false, "")
	fs.Uint64Var(&f.seed, "seed", 0, "")
}

// measured is what a verb measures of each item.
type measured struct {
	// probes makes the probes, once the model and the data are known.
	probes func(m *onnx.Model, ds dataset.Dataset) ([]probes.Probe, error)
	// settings are those that the manifest has beside the probes'.
	settings map[string]any
	// array is the column that a .npy file holds.
	array string
	// to is where results go when no file was asked for.
	to result.Sink
	// through, when not nil, puts another sink in front of the rows.
	through func(r *probes.Prober, ds dataset.Dataset, rows *region.Rows, to result.Sink) (result.Sink, error)
}

// run measures what is asked for and writes it.
func (f *inference) run(c *cobra.Command, args []string, what *measured) error {
	if err := f.checkOutput(args); err != nil {
		return err
	}
	q, err := f.request(c, args, what)
	defer f.regions.model.Close()
	if err != nil {
		return err
	}
	r, err := probes.Open(c.Context(), *q)
	if err != nil {
		return refused(err, f.precision == "float64")
	}
	defer r.Close()
	to := what.to
	if to == nil {
		to, err = result.Create(f.output, result.Options{Array: what.array, Force: f.force, Stdout: c.OutOrStdout()})
		if err != nil {
			return err
		}
	}
	defer to.Abort()
	rows, to, err := f.before(c, r, q.Data, to, what)
	if err != nil {
		return err
	}
	show, done := progress(c, q.Data.Len(), c.Name())
	end := closing{inference: f, c: c, rows: rows}
	start := time.Now()
	sum, err := r.Run(c.Context(), q.Data, to, probes.RunOptions{Decoders: f.decoders, Words: withFlags, Progress: show,
		Finish: func(m *result.Manifest) (any, error) {
			done()
			return m, end.check(m)
		}})
	if done(); err != nil {
		return refused(err, false)
	}
	kept.Store(&someKept)
	elapsed(c, sum, start, "item")
	if err := end.print(sum); err != nil {
		return err
	}
	return end.fault
}

// request is what the run is asked for.
func (f *inference) request(c *cobra.Command, args []string, what *measured) (*probes.Request, error) {
	if _, err := f.options(); err != nil {
		return nil, err
	}
	m, err := f.load(args[0])
	if err != nil {
		return nil, err
	}
	sample, err := f.sample(m)
	if err != nil {
		return nil, err
	}
	b, o, err := f.choose(c)
	if err != nil {
		return nil, err
	}
	f.regions.model.on(b, o)
	f.dataFlags.seed, f.others.settings = f.seed, what.settings
	ds, _, err := f.open(c, m, args[1:], sample)
	if err != nil {
		return nil, err
	}
	if f.regions.path != "" {
		if err := f.regions.read(c, what.settings); err != nil {
			return nil, err
		}
	}
	list, err := what.probes(m, ds)
	if err != nil {
		return nil, err
	}
	f.record(what.settings)
	return &probes.Request{Model: m, Data: ds, Probes: list, Sites: f.siteOptions(), Precision: f.precision,
		Backend: b, Options: o, Devices: f.devices, Batch: f.batch, Kind: c.Name(), Command: commandLine(c),
		Seed: f.seed, Settings: what.settings, Say: func(n string) { note(c, "%s", n) }}, nil
}

// before puts sinks in front of to that make rows of regions and draw maps, where they are
// asked for.
func (f *inference) before(c *cobra.Command, r *probes.Prober, ds dataset.Dataset, to result.Sink, what *measured) (
	rows *region.Rows, _ result.Sink, err error) {
	if parts := f.others.parts; parts != nil {
		rows = parts.Rows(to)
		to = rows
	}
	if f.regions.path != "" {
		where, err := f.regions.located(c)
		if err != nil {
			return nil, nil, err
		}
		if f.each.Rule, err = region.ParseRule(f.regions.rule); err != nil {
			return nil, nil, err
		}
		f.each.Seed, f.each.Words = f.seed, withFlags
		if rows, err = where.Rows(r.Plan, ds, to, f.each); err != nil {
			return nil, nil, err
		}
		to = rows
	}
	if what.through != nil {
		to, err = what.through(r, ds, rows, to)
	}
	return rows, to, err
}

// closing is the end of a run.
type closing struct {
	*inference
	c     *cobra.Command
	rows  *region.Rows // nil where rows are of items
	wrote region.RowSummary
	fault error // how the run ends although it has a result
}

// check settles how the run ends, and completes its manifest. It is an error where there
// is no result.
func (f *closing) check(m *result.Manifest) error {
	f.fault = failed(m.Summary.(result.Summary), "item")
	var none noneUsed
	if f.rows != nil {
		from := &f.regions
		if f.others.parts != nil {
			from = &f.others.boxes
		}
		where, err := from.located(f.c)
		if err == nil {
			f.wrote, err = where.Finish(f.rows, m)
		}
		if err != nil {
			return err
		}
		noteCrop(f.c, f.wrote)
		if s := f.rows.Summary(); s.Regions > 0 && s.Failed == s.Regions {
			f.fault = noneUsed{result.Summary{Items: s.Regions, Failed: s.Failed, Errors: s.Errors}, "region"}
		} else if f.wrote.Failed > 0 && !errors.As(f.fault, &none) {
			f.fault = regionsFailed(f.wrote)
		}
	}
	if errors.As(f.fault, &none) && strings.EqualFold(filepath.Ext(f.output), ".npy") {
		return none // an array has no place for what went wrong
	}
	return nil
}

// print says with --json where the result is.
func (f *closing) print(sum result.Summary) error {
	if !f.json || f.output == "" || f.output == "-" {
		return nil
	}
	said := map[string]any{"output": f.output, "manifest": result.ManifestPath(f.output), "summary": sum}
	if f.rows != nil {
		said["regions"] = f.wrote
	}
	return json.NewEncoder(f.c.OutOrStdout()).Encode(said)
}

// checkOutput reports what is wrong with -o before anything is loaded.
func (f *inference) checkOutput(args []string) error {
	if f.output == "" || f.output == "-" {
		return nil
	}
	if err := result.Check(f.output, f.force); err != nil {
		return usageError{err}
	}
	return keep(f.output, args)
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
func (f *inference) needOutput() error {
	if f.output == "" && f.json {
		f.output = "-"
	}
	if f.output == "" {
		return usagef("say where the results go: -o FILE.parquet, FILE.npy or FILE.jsonl, or -o - for standard output")
	}
	return nil
}
