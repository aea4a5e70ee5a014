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
	c := &cobra.Command{
		Use:   "phases TABLE.csv --train DATA --test DATA -o DIR",
		Short: "The activation hash phase chart: regimes of expressivity over size, time and samples",
		Long: `Reads a table of networks with the columns path (relative to the table) and at least one of
size, time and samples, measures the redundancy of each network's codes on both sets and K-NN
accuracy from the training to the test set, and sorts every setting of every pair of axes into
a regime of "Neural networks behave as hash encoders":

  under-expressive         redundancy, the larger of both sets', is above --redundant
  sufficiently-expressive  redundancy is at most --unique, and K-NN accuracy changes by no more
                           than --saturated to the next larger setting on either axis (of the
                           largest: from the next smaller)
  critically-expressive    what lies between
  undecided                redundancy is at most --unique, and there is no setting beside it

The paper gives no numbers that divide the regimes: these thresholds are onnxprobe's own.
Networks of one setting count with their mean. DIR holds a record model-HASH.json for each
network, models.parquet (.jsonl, .csv) with its figures, and phases.parquet with the regimes;
the same command goes on where it was stopped, and takes in networks that have come since. A
network that cannot be measured is a row with its error; the exit code is 3 then.`,
		Example: `  onnxprobe phases models.csv --train train.npz --test test.npz -o chart
  onnxprobe phases models.csv --train train/ --test test/ --preprocess mnist-01 --redundant 0.1 --json -o chart

  models.csv:
    path,size,time
    width20-epoch1.onnx,20,1
    width40-epoch1.onnx,40,1`,
		Args: exactly(1, "one table of networks"),
	}
	fs := c.Flags()
	f.add(fs)
	fs.Float64Var(&t.Redundant, "redundant", t.Redundant, "redundancy above which a network is under-expressive (ours)")
	fs.Float64Var(&t.Unique, "unique", t.Unique, "redundancy up to which it may be sufficiently expressive (ours)")
	fs.Float64Var(&t.Saturated, "saturated", t.Saturated, "largest change of K-NN accuracy of a sufficiently expressive network (ours)")
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
