package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// compareOutput is where the rows of a comparison go, one a site, and its plot.
type compareOutput struct {
	path  string
	force bool
	plot  plotFlag
}

func (f *compareOutput) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.path, "output", "o", "", "write a row for each site to a `FILE`, .parquet or .jsonl; report draws them as a determinism map")
	fs.BoolVar(&f.force, "force", false, "replace existing results")
	f.plot.add(fs)
}

// check reports what is wrong with -o and --plot before anything is loaded.
func (f *compareOutput) check(inputs []string) error {
	if err := newTable(f.path, f.force, inputs); err != nil {
		return err
	}
	return f.plot.check("", f.force, inputs...)
}

// compareManifest says how the rows came about: a manifest as those of other results,
// with both sides in the place of one.
type compareManifest struct {
	Tool     string            `json:"tool"`
	Version  string            `json:"version"`
	Verb     string            `json:"verb"`
	Command  []string          `json:"command"`
	Model    string            `json:"model"`
	SHA256   map[string]string `json:"sha256"`
	Settings map[string]any    `json:"settings"`
	Sides    []compareSide     `json:"sides"` // a, b, and the judge where there is one
	Dataset  result.Data       `json:"dataset"`
	Summary  *probes.Diff      `json:"summary"` // without the sites, which are the rows
	Notes    []string          `json:"notes,omitempty"`
}

type compareSide struct {
	Backend  string `json:"backend"`
	Runtime  string `json:"backend_version"`
	Device   string `json:"device"`
	Threads  int    `json:"threads"`
	Optimize string `json:"optimize,omitempty"`
	TF32     bool   `json:"tf32,omitempty"`
	Tune     string `json:"tune,omitempty"`
	Batch    int    `json:"batch"`
	Codes    string `json:"codes"`
	Float64  bool   `json:"float64,omitempty"`
	Float16  bool   `json:"float16,omitempty"`
}

func sideOf(s probes.Setting) compareSide {
	codes := "graph"
	switch {
	case s.Host:
		codes = "host"
	case s.Pack != probes.PackAuto:
		codes = s.Pack.String()
	}
	o := s.Options
	return compareSide{s.Backend.Name(), s.Backend.Version(), o.Device.String(), o.Threads, o.Optimize, o.AllowTF32, o.Tune, s.Batch, codes, s.Double, s.Half}
}

// write writes the rows, if a file is asked for. a and b are the settings as they were
// written, sides what became of them and of the judge.
func (f *compareOutput) write(c *cobra.Command, m *onnx.Model, data result.Data, d *probes.Diff, settings map[string]any, sides ...probes.Setting) error {
	if f.path == "" {
		return nil
	}
	to, err := result.Create(f.path, result.Options{Force: f.force, Stdout: c.OutOrStdout()})
	if err != nil {
		return err
	}
	defer to.Abort()
	if err := to.Write(d.Columns()); err != nil {
		return err
	}
	whole := *d
	whole.Sites = nil
	mf := &compareManifest{Tool: "onnxprobe", Version: result.Version(), Verb: c.Name(), Command: commandLine(c), Model: m.Path, Settings: settings, Dataset: data, Summary: &whole}
	if mf.SHA256, err = m.Sum256(); err != nil {
		return err
	}
	if n := engine.RandomNote(m.RandomNodes()); n != "" {
		mf.Notes = []string{n}
	}
	for _, s := range sides {
		mf.Sides = append(mf.Sides, sideOf(s))
	}
	return commit(to, mf)
}
