package main

import (
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

func newHashFinish() *cobra.Command {
	var asJSON, allow bool
	var plot plotFlag
	c := command("hash_finish", exactly(1, "one folder"))
	c.Flags().BoolVar(&asJSON, "json", false, "")
	c.Flags().BoolVar(&allow, "allow-failed", false, "")
	plot.add(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := plot.check(args[0], true); err != nil {
			return err
		}
		p, err := load(c, args[0])
		if err != nil {
			return err
		}
		return plot.file(c, finish(c, p, allow, asJSON), p.Dir())
	}
	return c
}

func finish(c *cobra.Command, p *jobs.Plan, allow, asJSON bool) error {
	s, err := p.Finish(allow, nil)
	if err != nil {
		return settle(err)
	}
	if asJSON {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(s); err != nil {
			return err
		}
	}
	note(c, "%s in %s, %s: %s", text.Count(s.Finished, "item"), text.Count(s.Done, "shard"), text.Size(s.Bytes), filepath.Join(p.Dir(), "manifest.json"))
	noteWarnings(c, s.Warnings)
	if n := len(s.Aside); n > 0 {
		note(c, "without %s that %s set aside: %s", text.Count(n, "shard"), text.Are(n), text.Numbered(s.Aside))
	}
	if r := s.Regions; r != nil {
		note(c, "%s of %s, %d of them failed; %s without regions", text.Count(r.Regions, "region"),
			text.Count(r.Pictures, "picture"), r.Failed, text.Count(r.Without, "picture"))
		noteCrop(c, *r)
	}
	if err := s.AllFailed(); err != nil {
		return err
	}
	if r := s.Regions; r != nil && r.Failed > 0 {
		return regionsFailed(*r)
	}
	if s.Failed > 0 {
		return someFailed{result.Summary{Items: s.Finished, Failed: s.Failed, Errors: s.Errors}}
	}
	return nil
}

// settle gives a job's errors their exit codes.
func settle(err error) error {
	var aside jobs.AsideError
	var lacks *jobs.IncompleteError
	var lost *jobs.LostError
	var un *jobs.UnreachableError
	if errors.As(err, &un) || errors.As(err, &lost) { // trying again is of no use
		return usageError{err}
	}
	if errors.As(err, &aside) || errors.As(err, &lacks) && len(lacks.Missing) == 0 && len(lacks.Bad) == 0 {
		return partly{err}
	}
	return err
}

// partly ends a job that is as done as it can be, with parts set aside.
type partly struct{ error }

func (e partly) Unwrap() error { return e.error }
