package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/report"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newReport() *cobra.Command {
	var o report.Options
	var out, title, figures string
	var memory float64
	var force, verbose bool
	c := &cobra.Command{
		Use:   "report DIR|FILES... -o REPORT.html",
		Short: "Figures and tables of results, on one page",
		Long: `Looks at results and draws what they hold, on one HTML page that needs no network, no
script and no other file: codes (use of bits by site, Hamming distances within and between
classes, a map of the codes), local complexity (by item, site and radius, and the maps over
pictures that complexity --map draws), evaluations, comparisons, affine maps, benchmarks,
batch jobs, searches, duplicates, training dynamics and phases. Folders are looked through,
and what cannot be shown is listed with the reason. The verbs' own --plot draws the same of
one result.

Distances are those of all pairs of --sample items, drawn with --seed where there are more.
--figures writes each figure as SVG and PNG too, for papers and slides; figures are the
same to the byte for the same results. Colours are told apart by the colour-blind, and the
page follows the reader's choice of light or dark.`,
		Example: `  onnxprobe report results/ -o report.html
  onnxprobe report codes.parquet complexity.parquet evaluate.json -o report.html --title "ResNet-18"
  onnxprobe report dynamics/ -o dynamics.html --figures figures/`,
		Args: atLeast(1, "results, or folders of them"),
	}
	fs := c.Flags()
	fs.StringVarP(&out, "output", "o", "report.html", "the page, an HTML `FILE`")
	fs.StringVar(&title, "title", "", "title of the page")
	fs.StringVar(&figures, "figures", "", "write each figure to a `DIR` as SVG and PNG")
	fs.IntVar(&o.Sample, "sample", 1000, fmt.Sprintf("items whose distances are drawn, %d at the most", report.MaxItems))
	fs.Uint64Var(&o.Seed, "seed", 0, "seed of --sample")
	fs.IntVar(&o.Threads, "threads", 0, "threads; 0 takes all cores")
	fs.Float64Var(&memory, "memory", 8, "the most `GiB` of memory that codes may take")
	fs.BoolVar(&force, "force", false, "replace existing files")
	fs.BoolVar(&verbose, "verbose", false, "name every file that is not shown, not only how many there are")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.Sample < 2 || o.Sample > report.MaxItems {
			return usagef("--sample %d: want 2 to %d", o.Sample, report.MaxItems)
		}
		if !(memory > 0) {
			return usagef("--memory %g: want more than 0", memory)
		}
		if o.Threads < 0 {
			return usagef("--threads %d: want 0 or more", o.Threads)
		}
		if err := newFile(out, force); err != nil {
			return usagef("-o: %w", err)
		}
		if err := keep(out, args); err != nil {
			return err
		}
		o.MaxBytes = int64(memory * (1 << 30))
		o.Say = func(path string) { note(c, "reading %s", path) }
		start := time.Now()
		page, err := report.Collect(c.Context(), args, o)
		if err != nil {
			return err
		}
		noteUnshown(c, page, verbose)
		if len(page.Sections) == 0 {
			return fmt.Errorf("no file of %d holds a result that can be shown", len(page.Skipped))
		}
		page.Title = title
		if title == "" {
			page.Title = "Report on " + filepath.Base(args[0])
		}
		n := 0
		for _, s := range page.Sections {
			n += len(s.Figures)
		}
		said := count(len(page.Sections), "result") + ", " + count(n, "figure")
		if k := len(page.Skipped); k > 0 {
			said += fmt.Sprintf("; %s %s not shown", count(k, "file"), are(k))
		}
		page.Summary = []string{said + fmt.Sprintf(". Made by onnxprobe %s.", result.Version())}
		m := result.NewManifest(c.Name(), commandLine(c))
		m.Settings = map[string]any{"sample": o.Sample, "seed": o.Seed}
		if figures != "" {
			if err := writeFigures(figures, force, page); err != nil {
				return err
			}
		}
		if err := save(out, force, m, func(w io.Writer) error { return report.WritePage(w, *page) }); err != nil {
			return err
		}
		note(c, "%s, in %s: %s", said, time.Since(start).Round(time.Millisecond), out)
		return nil
	}
	return c
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
			note(c, "not shown for %s; the page and --verbose name all files", count(len(groups)-most, "other reason"))
			return
		case len(g.Paths) == 1:
			note(c, "not shown: %s: %s", g.Paths[0], g.Reason)
		default:
			note(c, "not shown: %d files, such as %s: %s", len(g.Paths), g.Paths[0], g.Reason)
		}
	}
}

// writeFigures writes every figure as SVG and PNG.
func writeFigures(dir string, force bool, page *report.Page) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	for _, s := range page.Sections {
		for _, f := range s.Figures {
			for ext, write := range map[string]func(io.Writer) error{".svg": f.SVG, ".png": f.PNG} {
				path := filepath.Join(dir, f.Name+ext)
				if err := newFile(path, force); err != nil {
					return usagef("--figures: %w", err)
				}
				if err := result.Put(path, write); err != nil {
					return fmt.Errorf("--figures: %w", err)
				}
			}
		}
	}
	return nil
}
