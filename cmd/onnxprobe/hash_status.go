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
	c := command("hash_status", exactly(1, "one folder"))
	c.Flags().BoolVar(&asJSON, "json", false, "")
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
		s.Print(c.OutOrStdout())
		return nil
	}
	return c
}

func newHashVerify() *cobra.Command {
	var asJSON bool
	c := command("hash_verify", exactly(1, "one folder"))
	c.Flags().BoolVar(&asJSON, "json", false, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		v, err := jobs.Verify(args[0], nil)
		if errors.Is(err, fs.ErrNotExist) {
			return noJob(args[0], err)
		}
		if err != nil && len(v.Findings) == 0 {
			return err
		}
		for i, b := range v.Findings {
			v.Findings[i].Remedy += flags(b.RemedyOptions())
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
			done += fmt.Sprintf(", without %s that %s set aside: %s", text.Count(n, "shard"), text.Are(n), text.Numbered(v.Aside))
		}
		note(c, "%s verified, %s", text.Count(v.Done, "shard"), done)
		return nil
	}
	return c
}
