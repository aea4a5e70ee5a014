package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/dynamics"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// studyFlags are common to dynamics and phases: the networks are many, the data is one.
type studyFlags struct {
	modelFlags
	engineFlags
	dataFlags
	train, test []string
	output, to  string
	k           int
	memory      float64
	force       bool
	plot        plotFlag
}

func (f *studyFlags) add(fs *pflag.FlagSet) {
	f.modelFlags.add(fs)
	f.addSites(fs)
	f.addBackend(fs)
	f.addOptions(fs)
	f.addAllowRandom(fs)
	f.addPrecision(fs)
	f.addBatch(fs)
	f.dataFlags.add(fs)
	f.addDecoders(fs)
	fs.StringArrayVar(&f.train, "train", nil, "")
	fs.StringArrayVar(&f.test, "test", nil, "")
	fs.StringVarP(&f.output, "output", "o", "", "")
	fs.StringVar(&f.to, "output-format", "parquet", "")
	fs.IntVarP(&f.k, "neighbors", "k", 9, "")
	fs.Float64Var(&f.memory, "memory", 8, "")
	fs.BoolVar(&f.force, "force", false, "")
	f.plot.add(fs)
}

func (f *studyFlags) check() error {
	switch {
	case f.output == "":
		return usagef("say where to work: -o DIR")
	case len(f.train) == 0 || len(f.test) == 0:
		return usagef("give --train DATA and --test DATA")
	case f.k < 1 || !(f.memory > 0):
		return usagef("-k %d, --memory %g: want 1 or more, and more than 0", f.k, f.memory)
	}
	return f.plot.check(f.output, true, slices.Concat(f.train, f.test)...) // the same command goes on, and draws anew
}

// study opens the data for the first of the models that can be read, chooses the engine,
// and fills in what the flags say.
func (f *studyFlags) study(c *cobra.Command, models []string) (*dynamics.Study, error) {
	m, err := f.load(models[0])
	for i := 1; m == nil && i < len(models); i++ {
		m, _ = f.load(models[i])
	}
	if m == nil {
		return nil, err // of the first
	}
	sample, err := f.sample(m)
	if err != nil {
		return nil, err
	}
	s := &dynamics.Study{Load: f.load, Threads: f.threads, MaxBytes: int64(f.memory * (1 << 30)), Words: withFlags,
		Say: func(format string, args ...any) { note(c, format, args...) }}
	d := f.dataFlags
	d.random = 0
	if s.Train, sample, err = d.open(c, m, f.train, sample); err != nil {
		return nil, err
	}
	if s.Test, _, err = d.open(c, m, f.test, sample); err != nil {
		return nil, err
	}
	if s.Backend, s.Engine, err = f.choose(c); err != nil {
		return nil, err
	}
	if s.Workers = f.decoders; s.Workers == 0 {
		s.Workers = runtime.GOMAXPROCS(0)
	}
	s.Settings = dynamics.Settings{Layout: dynamics.Layout, Globs: f.sites, MaxPool: f.maxPool, Gemm: f.gemm,
		Precision: f.precision, Batch: f.batchFor(sample, 0), K: f.k}
	if s.Settings.Train, err = dynamics.Mark(c.Context(), s.Train, s.Workers); err != nil {
		return nil, fmt.Errorf("reading the training set: %w", err)
	}
	if s.Settings.Test, err = dynamics.Mark(c.Context(), s.Test, s.Workers); err != nil {
		return nil, fmt.Errorf("reading the test set: %w", err)
	}
	return s, nil
}

// manifestOf is the manifest of a table.
func manifestOf(c *cobra.Command, s *dynamics.Study, fingerprint string, records []*dynamics.Record) *result.Manifest {
	m := result.NewManifest(c.Name(), commandLine(c))
	m.Fingerprint, m.Settings = fingerprint, &s.Settings
	train, test := result.DataOf(s.Train), result.DataOf(s.Test)
	m.Study = &result.Study{Train: train, Test: test, Networks: []result.Network{}}
	if s.Engine.AllowRandom {
		m.Notes = append(m.Notes, "networks that draw random numbers or are in training mode were allowed: their figures change from run to run")
	}
	for _, r := range records {
		m.Networks = append(m.Networks, result.Network{Path: r.Path, SHA256: r.SHA256, Backend: r.Backend, Version: r.Version,
			Device: r.Device, Failed: r.Failed, Error: r.Error, Seconds: r.Seconds})
	}
	return m
}

// studySummary is the contract of --json.
type studySummary struct {
	Output   string         `json:"output"`
	Tables   []string       `json:"tables"`
	Networks int            `json:"networks"`
	Measured int            `json:"measured"`
	Kept     int            `json:"kept"`
	Failed   []studyFailure `json:"failed"`
	Lost     int            `json:"items_failed"`
	// Thresholds and Cells are those of phases.
	Thresholds *dynamics.Thresholds `json:"thresholds,omitempty"`
	Cells      []dynamics.Cell      `json:"cells,omitempty"`
}

type studyFailure struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

func (f *studyFlags) summary(out *dynamics.Outcome, tables ...string) *studySummary {
	s := &studySummary{Output: f.output, Tables: tables, Networks: len(out.Records), Measured: out.Measured, Kept: out.Kept, Failed: []studyFailure{}}
	for _, r := range out.Records {
		if r.Error != "" {
			s.Failed = append(s.Failed, studyFailure{r.Path, r.Error})
		}
		s.Lost = max(s.Lost, r.Failed)
	}
	return s
}

// show prints the summary, or print's table, and says by its error what was not measured.
func (s *studySummary) show(c *cobra.Command, asJSON bool, print func(io.Writer)) error {
	if err := show(c, asJSON, s, print); err != nil {
		return err
	}
	if !asJSON {
		note(c, "%s: %d measured, %d measured before, %d failed; %s", text.Count(s.Networks, "network"), s.Measured, s.Kept,
			len(s.Failed), strings.Join(s.Tables, ", "))
	}
	switch {
	case len(s.Failed) > 0 && len(s.Failed) == s.Networks:
		return noneUsed{result.Summary{Items: s.Networks, Failed: s.Networks, Errors: []string{s.Failed[0].Error}}, "network"}
	case len(s.Failed) > 0:
		return partly{fmt.Errorf("%d of %s could not be "+
			"measured; their rows say why\n  %s", len(s.Failed), text.Count(s.Networks, "network"), s.Failed[0].Error)}
	case s.Lost > 0:
		return partly{fmt.Errorf("%s could not be used and %s left out of every figure", text.Count(s.Lost, "item"), text.Are(s.Lost))}
	}
	return nil
}

// stopped is err, or what to do after an interruption.
func stopped(c *cobra.Command, err error) error {
	if c.Context().Err() != nil {
		return errors.New("interrupted; what was measured is kept, and the same command goes on")
	}
	return err
}
