package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/dynamics"
)

func newPhases() *cobra.Command {
	var f studyFlags
	t := dynamics.DefaultThresholds
	c := command("phases", exactly(1, "one table of networks"))
	fs := c.Flags()
	f.add(fs)
	fs.Float64Var(&t.Redundant, "redundant", t.Redundant, "")
	fs.Float64Var(&t.Unique, "unique", t.Unique, "")
	fs.Float64Var(&t.Saturated, "saturated", t.Saturated, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		if err := t.Check(); err != nil {
			return usageError{err}
		}
		models, axes, err := dynamics.ReadModels(args[0])
		if err != nil {
			return err
		}
		var files []string
		for _, m := range models {
			files = append(files, m.Path)
		}
		s, err := f.study(c, files)
		if err != nil {
			return err
		}
		print, err := s.Begin(f.output, c.Name(), f.force)
		if err != nil {
			return err
		}
		kept.Store(&someKept) // what was measured
		out, err := s.Evaluate(c.Context(), f.output, print, models)
		if err != nil {
			return stopped(c, err)
		}
		cells := dynamics.Phases(models, axes, out.Records, t)
		m := manifestOf(c, s, print, out.Records)
		m.Thresholds, m.Notes = &t, append(m.Notes, thresholdsNote)
		tables := []string{filepath.Join(f.output, "models."+f.to), filepath.Join(f.output, "phases."+f.to)}
		if err := dynamics.SaveTable(tables[0], dynamics.ModelTable(models, out.Records), m); err != nil {
			return err
		}
		if err := dynamics.SaveTable(tables[1], dynamics.PhaseTable(cells), m); err != nil {
			return err
		}
		sum := f.summary(out, tables...)
		sum.Thresholds, sum.Cells = &t, cells
		note(c, "%s", thresholdsNote)
		return f.plot.file(c, sum.show(c, f.json, func(w io.Writer) { dynamics.PrintPhases(w, cells) }), tables[1])
	}
	return c
}

const thresholdsNote = "the thresholds of the regimes are onnxprobe's own: the paper gives none"
