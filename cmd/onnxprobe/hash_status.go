package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// load reads the plan of the job in a folder.
func load(c *cobra.Command, dir string) (*jobs.Plan, error) {
	p, err := jobs.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noJob(dir, err)
	}
	if err == nil && p.Changed != nil {
		note(c, "%s: %v; onnxprobe hash verify says what to do", filepath.Join(dir, "plan.json"), p.Changed)
	}
	return p, err
}

func noJob(dir string, err error) error {
	return fmt.Errorf("%s holds no job: %w; onnxprobe hash plan makes one", dir, err)
}

func newHashStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status DIR",
		Short:   "How far a job is",
		Example: `  onnxprobe hash status /shared/job --json`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := load(c, args[0])
		if err != nil {
			return err
		}
		s, err := p.Status()
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(s)
		}
		printStatus(c, s)
		return nil
	}
	return c
}

func printStatus(c *cobra.Command, s jobs.Status) {
	rows := [][]string{
		{"shards done", fmt.Sprintf("%d of %d", s.Done, s.Shards)},
		{"missing", numbered(s.Missing)},
		{"of these, running here", numbered(s.Running)},
		{"set aside", numbered(s.Aside)},
		{"items", fmt.Sprintf("%d of %d, %d failed", s.Finished, s.Items, s.Failed)},
		{"written", text.Size(s.Bytes)},
	}
	if s.Tiles > 0 {
		rows = append(rows, []string{"tiles", text.Grouped(int64(s.Tiles))})
	}
	if r := s.Regions; r != nil {
		rows = append(rows, []string{"regions", fmt.Sprintf("%d of %s, %d failed; %s without", r.Regions, text.Count(r.Pictures, "picture"), r.Failed, text.Count(r.Without, "picture"))})
	}
	if s.ItemsPerSecond > 0 {
		t := s.Seconds
		rows = append(rows, []string{"rate", fmt.Sprintf("%.4g items a second and worker", s.ItemsPerSecond)},
			[]string{"seconds", fmt.Sprintf("%.1f: reading %.1f, decoding %.1f, inference %.1f, waiting for items %.1f, writing %.1f", t.Total, t.Read, t.Decode, t.Infer, t.Wait, t.Write)})
	}
	done := "no"
	if s.Success {
		done = "yes"
	}
	text.Table(c.OutOrStdout(), append(rows, []string{"finished", done}))
	for _, e := range s.Errors[:min(3, len(s.Errors))] {
		fmt.Fprintln(c.OutOrStdout(), "  "+e)
	}
}

func numbered(v []int) string {
	if len(v) == 0 {
		return "0"
	}
	s := fmt.Sprint(v[:min(len(v), 10)])
	if len(v) > 10 {
		s += " …"
	}
	return fmt.Sprintf("%d: %s", len(v), s)
}

func newHashVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Hold every file of the job against its record and the plan",
		Long: `Reads every file that the job wrote: the plan and its names, the frame, each shard's data,
companions and record, and what finish wrote. One that is missing, cut, changed or another's is
named with its remedy, and verify ends with 1: _SUCCESS is removed, and a shard that is not whole
is no longer done, so that the next run makes it anew. So are files named that are not the job's and would be
read as its data. Where verify itself cannot read it ends with 1 and changes nothing.`,
		Example: `  onnxprobe hash verify /shared/job || onnxprobe hash run /shared/job`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		v, err := jobs.Verify(args[0], nil)
		if errors.Is(err, fs.ErrNotExist) {
			return noJob(args[0], err)
		}
		if err != nil && len(v.Findings) == 0 {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(c.OutOrStdout()).Encode(v); err != nil {
				return err
			}
		}
		for _, b := range v.Findings {
			note(c, "%s", b)
		}
		if n := len(v.Foreign); n > 0 {
			note(c, "%s %s not the job's: %s", text.Count(n, "file"), text.Are(n), strings.Join(v.Foreign[:min(n, 10)], ", "))
		}
		if err != nil {
			return err
		}
		if n := len(v.Findings); n > 0 {
			return fmt.Errorf("%s %s not right, and the job is not finished; what to do about each is said above", text.Count(n, "file"), text.Are(n))
		}
		done := "and the job is finished"
		if !v.Finished {
			done = "and the job is not finished"
			if n := len(v.Missing); n > 0 {
				done = fmt.Sprintf("and %s %s not done yet", text.Count(n, "shard"), text.Are(n))
			}
		}
		if n := len(v.Aside); n > 0 {
			done += fmt.Sprintf(", without %s that %s set aside: %s", text.Count(n, "shard"), text.Are(n), numbered(v.Aside))
		}
		note(c, "%s verified, %s", text.Count(v.Done, "shard"), done)
		return nil
	}
	return c
}
