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
	fs.StringVarP(&f.path, "output", "o", "", "")
	fs.BoolVar(&f.force, "force", false, "")
	f.plot.add(fs)
}

// check reports what is wrong with -o and --plot before anything is loaded.
func (f *compareOutput) check(inputs []string) error {
	if err := newTable(f.path, f.force, inputs); err != nil {
		return err
	}
	return f.plot.check("", f.force, inputs...)
}

func sideOf(s probes.Setting) result.Side {
	codes := "graph"
	switch {
	case s.Host:
		codes = "host"
	case s.Pack != probes.PackAuto:
		codes = s.Pack.String()
	}
	o := s.Options
	return result.Side{Backend: s.Backend.Name(), Runtime: s.Backend.Version(), Device: o.Device.String(), Threads: o.Threads,
		Optimize: o.Optimize, TF32: o.AllowTF32, Tune: o.Tune, Batch: s.Batch, Codes: codes, Float64: s.Double, Float16: s.Half}
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
	mf := result.NewManifest(c.Name(), commandLine(c))
	mf.Model, mf.Settings, mf.Dataset, mf.Summary = m.Path, settings, &data, &whole
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
