package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/report"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// reportFlags are those of report.
type reportFlags struct {
	report.Options
	output, title, figures string
	memory                 float64
	force, verbose         bool
}

func newReport() *cobra.Command {
	var f reportFlags
	c := command("report", atLeast(1, "results, or folders of them"))
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "report.html", "")
	fs.StringVar(&f.title, "title", "", "")
	fs.StringVar(&f.figures, "figures", "", "")
	fs.IntVar(&f.Sample, "sample", 1000, "")
	fs.Uint64Var(&f.Seed, "seed", 0, "")
	fs.IntVar(&f.Threads, "threads", 0, "")
	fs.Float64Var(&f.memory, "memory", 8, "")
	fs.BoolVar(&f.force, "force", false, "")
	fs.BoolVar(&f.verbose, "verbose", false, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case f.Sample < 2 || f.Sample > report.MaxItems:
			return usagef("--sample %d: want 2 to %d", f.Sample, report.MaxItems)
		case !(f.memory > 0):
			return usagef("--memory %g: want more than 0", f.memory)
		case f.Threads < 0:
			return usagef("--threads %d: want 0 or more", f.Threads)
		}
		if ext := strings.ToLower(filepath.Ext(f.output)); ext != ".html" && ext != ".htm" {
			return usagef("-o %s: the page is HTML, so its name ends with .html; --figures DIR writes figures as SVG and PNG", f.output)
		}
		if err := newOutput("-o", f.output, f.force, args); err != nil {
			return err
		}
		return f.run(c, args)
	}
	return c
}

func (f *reportFlags) run(c *cobra.Command, paths []string) error {
	f.MaxBytes = int64(f.memory * (1 << 30))
	f.Say = func(path string) { note(c, "reading %s", path) }
	start := time.Now()
	page, err := report.Collect(c.Context(), paths, f.Options)
	if err != nil {
		return err
	}
	noteUnshown(c, page, f.verbose)
	if len(page.Sections) == 0 {
		return fmt.Errorf("no file of %d holds a result that can be shown", len(page.Skipped))
	}
	if page.Title = f.title; f.title == "" {
		page.Title = "Report on " + filepath.Base(paths[0])
	}
	figures := 0
	for _, s := range page.Sections {
		for _, f := range s.Figures {
			if f.Says() == "" {
				figures++
			}
		}
	}
	said := text.Count(len(page.Sections), "result") + ", " + text.Count(figures, "figure")
	if k := len(page.Skipped); k > 0 {
		said += fmt.Sprintf("; %s %s not shown", text.Count(k, "file"), text.Are(k))
	}
	page.Summary = []string{said + fmt.Sprintf(". Made by onnxprobe %s.", result.Version())}
	m := result.NewManifest(c.Name(), commandLine(c))
	m.Settings = map[string]any{"sample": f.Sample, "seed": f.Seed}
	if f.figures != "" {
		if err = page.WriteFigures(f.figures, f.force); errors.Is(err, fs.ErrExist) {
			return usagef("--figures: %w; --force replaces it", err)
		} else if err != nil {
			return fmt.Errorf("--figures: %w", err)
		}
	}
	if err := save(f.output, f.force, m, func(w io.Writer) error { return report.WritePage(w, *page) }); err != nil {
		return err
	}
	note(c, "%s, in %s: %s", said, time.Since(start).Round(time.Millisecond), f.output)
	return nil
}

// noteUnshown says how many files are not shown for which reasons.
func noteUnshown(c *cobra.Command, page *report.Page, verbose bool) {
	if verbose {
		for _, s := range page.Skipped {
			note(c, "not shown: %s: %s", s.Path, s.Reason)
		}
		return
	}
	const most = 4
	groups := page.Unshown()
	for i, g := range groups {
		switch {
		case i == most:
			note(c, "not shown for %s; the page and --verbose name all files", text.Count(len(groups)-most, "other reason"))
			return
		case len(g.Paths) == 1:
			note(c, "not shown: %s: %s", g.Paths[0], g.Reason)
		default:
			note(c, "not shown: %d files, such as %s: %s", len(g.Paths), g.Paths[0], g.Reason)
		}
	}
}
