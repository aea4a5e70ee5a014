package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
)

// load reads the plan of the job in a folder.
func load(dir string) (*jobs.Plan, error) {
	p, err := jobs.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no job: %w; onnxprobe hash plan makes one", dir, err)
	}
	return p, err
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
		p, err := load(args[0])
		if err != nil {
			return err
		}
		s := p.Status()
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
		{"written", size(s.Bytes)},
	}
	if s.Tiles > 0 {
		rows = append(rows, []string{"tiles", grouped(int64(s.Tiles))})
	}
	if r := s.Regions; r != nil {
		rows = append(rows, []string{"regions", fmt.Sprintf("%d of %s, %d failed; %s without", r.Regions, count(r.Pictures, "picture"), r.Failed, count(r.Without, "picture"))})
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
	table(c.OutOrStdout(), append(rows, []string{"finished", done}))
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
		Short: "Hold every file against the SHA-256 of its record",
		Long: `Reads every file of the shards that are done. A shard with a file that is not what its record
says is no longer done, and the next run makes it anew; verify ends with 1 then.`,
		Example: `  onnxprobe hash verify /shared/job || onnxprobe hash run /shared/job`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := load(args[0])
		if err != nil {
			return err
		}
		bad, err := p.Verify(nil)
		if err != nil {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"shards": len(p.Shards), "mismatches": append([]jobs.Mismatch{}, bad...)}); err != nil {
				return err
			}
		}
		for _, b := range bad {
			note(c, "shard %d: %s: %s", b.Shard, b.File, b.Why)
		}
		if len(bad) > 0 {
			return fmt.Errorf("%s %s not what the records say; the next run makes such shards anew", count(len(bad), "file"), are(len(bad)))
		}
		return nil
	}
	return c
}
