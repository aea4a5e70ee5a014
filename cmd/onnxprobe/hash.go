package main

import (
	"errors"

	"github.com/spf13/cobra"

	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
)

func newHash() *cobra.Command {
	var h hashPlan
	var r hashRun
	var allow bool
	var plot plotFlag
	c := command("hash", atLeast(1, "a model and data"))
	h.add(c.Flags())
	r.add(c.Flags())
	r.addPrecision(c.Flags())
	r.addBatch(c.Flags())
	c.Flags().BoolVar(&allow, "allow-failed", false, "")
	plot.add(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := plot.check(h.output, true, args...); err != nil {
			return err
		}
		h.runs = true
		p, err := h.plan(c, &r.engineFlags, args)
		if err != nil {
			return err
		}
		ran := r.run(c, p, p.Slice(0, 1), true, func(res jobs.Result) { reportError(c, res) })
		var aside jobs.AsideError
		if ran != nil && !errors.As(ran, &aside) {
			return ran
		}
		return plot.file(c, finish(c, p, allow, h.json), p.Dir())
	}
	c.AddCommand(newHashPlan(), newHashRun(), newHashStatus(), newHashVerify(), newHashFinish())
	return c
}
