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
	use      func(r *probes.Prober, ds dataset.Dataset, to result.Sink, o probes.RunOptions) (result.Summary, error)
	settings map[string]any
	// vertices fill batches, many of an item.
	vertices bool
	// array is the column that a .npy file holds.
	array string
	// regions, where they are asked for, make rows of regions of those of items.
	regions regionFlags
	ofRows  region.RowOptions
	rows    *region.Rows // then, before use
}

func (j *job) add(c *cobra.Command) {
	fs := c.Flags()
	j.several = true
	j.modelFlags.add(fs)
	j.addBackend(fs)
	j.addOptions(fs)
	j.addAllowRandom(fs)
	j.addPrecision(fs)
	j.addBatch(fs)
	j.dataFlags.add(fs)
	j.addDecoders(fs)
	j.others = &otherFlags{}
	j.others.add(fs)
	j.regions.add(fs)
	j.regions.model.of(&j.modelFlags, &j.dataFlags)
	fs.StringVarP(&j.output, "output", "o", "", "the `FILE` to write: .parquet, .npy or .jsonl; - is JSON Lines on standard output")
	fs.BoolVar(&j.force, "force", false, "replace an existing result")
	fs.Uint64Var(&j.seed, "seed", 0, "seed of everything drawn at random")
}

// run does the job. to is where results go when no file was asked for.
func (j *job) run(c *cobra.Command, args []string, to result.Sink) error {
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
	b, o, err := j.choose(c)
	if err != nil {
		return err
	}
	j.regions.model.on(b, o)
	defer j.regions.model.Close()
	j.dataFlags.seed, j.others.settings = j.seed, j.settings
	ds, sample, err := j.open(c, m, args[1:], sample)
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
		if to, err = result.Create(j.output, result.Options{Array: j.array, Force: j.force, Stdout: c.OutOrStdout()}); err != nil {
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
		j.rows, to = rows, rows
	}
	items := ds.Len()
	if j.vertices {
		items = 0
	}
	r, err := plan.OpenOn(c.Context(), b, o, j.devices, j.batchFor(sample, items))
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
	data := manifestData(ds, j.random > 0)
	mf.Kind, mf.Command, mf.Settings, mf.Dataset = c.Name(), commandLine(c), j.settings, &data
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
	sum, err := j.use(r, ds, to, probes.RunOptions{Workers: j.decoders, Progress: show})
	done()
	for _, n := range r.Notes() {
		note(c, "%s", n)
		mf.Notes = append(mf.Notes, n)
	}
	if err != nil {
		return err
	}
	mf.Summary = sum
	fault := failed(sum, "item")
	var ofRows region.RowSummary
	if rows != nil {
		if ofRows, err = j.regions.finish(c, rows); err != nil {
			return err
		}
		j.settings["region_rows"] = ofRows
		var none noneUsed
		if s := rows.Summary(); s.Regions > 0 && s.Failed == s.Regions {
			fault = noneUsed{result.Summary{Items: s.Regions, Failed: s.Failed, Errors: s.Errors}, "region"}
		} else if ofRows.Failed > 0 && !errors.As(fault, &none) {
			fault = regionsFailed(ofRows)
		}
	}
	var none noneUsed
	if errors.As(fault, &none) && strings.EqualFold(filepath.Ext(j.output), ".npy") {
		return none // an array has no place for what went wrong
	}
	if err := commit(to, mf); err != nil {
		return err
	}
	elapsed(c, sum, start, "item")
	if j.json && j.output != "" && j.output != "-" {
		said := map[string]any{"output": j.output, "manifest": result.ManifestPath(j.output), "summary": sum}
		if rows != nil {
			said["regions"] = ofRows
		}
		if err := json.NewEncoder(c.OutOrStdout()).Encode(said); err != nil {
			return err
		}
	}
	return fault
}

// checkOutput reports what is wrong with -o before anything is loaded.
func (j *job) checkOutput(args []string) error {
	if j.output == "" || j.output == "-" {
		return nil
	}
	if err := result.Check(j.output, j.force); err != nil {
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
