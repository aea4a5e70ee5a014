package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/report"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// plotFlag is --plot, which every verb with a result has: what report shows of it.
type plotFlag struct {
	path  string
	force bool
	rows  int // of pictures, on a page
	// flag is --plot itself: of one given as --html every file is a page.
	flag *pflag.Flag
	// manifest is beside the plot; nil for one of nothing but the command.
	manifest *result.Manifest
}

var plotFormats = []string{".svg", ".png", ".html"}

func (f *plotFlag) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "plot", "", "")
	f.flag = fs.Lookup("plot")
}

// kind is the extension of what is drawn.
func (f *plotFlag) kind() string {
	if slices.Equal(f.flag.Annotations[givenAs], []string{"html", f.path}) {
		return ".html"
	}
	return strings.ToLower(filepath.Ext(f.path))
}

// check reports what is wrong with --plot before anything is done. output is where the
// result itself goes, "" where it is printed; force replaces an earlier plot.
func (f *plotFlag) check(output string, force bool, inputs ...string) error {
	if f.path == "" {
		return nil
	}
	f.force = force
	if ext := f.kind(); !slices.Contains(plotFormats, ext) {
		return usagef("--plot %q: its extension, %q, is of no figure; the choices are %s", f.path, ext, strings.Join(plotFormats, ", "))
	}
	if output == "-" {
		return usagef("--plot draws what a file holds, and -o - keeps none; give -o a FILE")
	}
	if output != "" && filepath.Clean(output) == filepath.Clean(f.path) {
		return usagef("--plot and -o name one file, %s", output)
	}
	return newOutput("--plot", f.path, force, inputs)
}

// file draws the result that a verb has written to files or a folder. done is how the verb
// ended, and what is returned when the plot could be drawn.
func (f *plotFlag) file(c *cobra.Command, done error, paths ...string) error {
	return f.draw(c, done, func(o report.Options) (*report.Page, error) {
		return report.Collect(c.Context(), paths, o)
	})
}

// printed draws the result that a verb prints with --json, called name.
func (f *plotFlag) printed(c *cobra.Command, done error, name string, result any) error {
	return f.draw(c, done, func(o report.Options) (*report.Page, error) {
		return report.Document(c.Context(), name, result, o)
	})
}

func (f *plotFlag) draw(c *cobra.Command, done error, page func(report.Options) (*report.Page, error)) error {
	if f.path == "" || !written(done) {
		return done
	}
	p, err := page(report.Options{MaxBytes: 8 << 30, Pictures: f.rows})
	if err == nil {
		err = f.save(c, p)
	}
	if err != nil {
		return fmt.Errorf("--plot %s: %w; the result itself is written", f.path, err)
	}
	return done
}

// written says of how a verb ended that there is a result.
func written(err error) bool {
	switch err.(type) {
	case nil, someFailed, partly:
		return true
	}
	return false
}

func (f *plotFlag) save(c *cobra.Command, p *report.Page) error {
	if len(p.Sections) == 0 {
		if len(p.Skipped) > 0 {
			return fmt.Errorf("%s cannot be shown: %s", p.Skipped[0].Path, p.Skipped[0].Reason)
		}
		return report.ErrNoData
	}
	write, said, err := p.Draw(f.kind())
	if err != nil {
		return err
	}
	if f.manifest == nil {
		f.manifest = result.NewManifest(c.Name(), commandLine(c))
	}
	if err := save(f.path, f.force, f.manifest, write); err != nil {
		return err
	}
	note(c, "plot: %s%s", f.path, said)
	return nil
}
