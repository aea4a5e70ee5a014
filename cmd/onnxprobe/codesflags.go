package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// codesFlags are common to the verbs that read codes and write what they say.
type codesFlags struct {
	on, output, html string
	threads          int
	memory           float64
	sheet            int
	force, json      bool
	logits           bool // what the network predicted is read too
}

func (f *codesFlags) add(fs *pflag.FlagSet, on string) {
	fs.StringVar(&f.on, "on", "", on)
	fs.StringVarP(&f.output, "output", "o", "", "the `FILE` to write: .parquet or .jsonl; - is JSON Lines on standard output")
	fs.StringVar(&f.html, "html", "", "write a contact sheet with the pictures in it, one HTML `FILE`")
	fs.IntVar(&f.sheet, "sheet", 200, "rows of the contact sheet, at most")
	fs.IntVar(&f.threads, "threads", 0, "threads that compare; 0 takes all cores")
	fs.Float64Var(&f.memory, "memory", 8, "the most `GiB` of memory that codes may take")
	fs.BoolVar(&f.force, "force", false, "replace existing results")
	fs.BoolVar(&f.json, "json", false, "print JSON instead of tables")
}

// check reports what is wrong with the flags before anything is read.
func (f *codesFlags) check(inputs []string) error {
	switch f.on {
	case "", encoding.Sketch, encoding.Code, encoding.Digest, encoding.Channels:
	default:
		return usagef("--on %q: the choices are sketch, code, channels and digest", f.on)
	}
	if f.threads < 0 {
		return usagef("--threads %d: 0 or more", f.threads)
	}
	if !(f.memory > 0) {
		return usagef("--memory %g: more than 0", f.memory)
	}
	if f.sheet < 1 {
		return usagef("--sheet %d: 1 or more", f.sheet)
	}
	if f.output != "" && f.output != "-" {
		if strings.EqualFold(filepath.Ext(f.output), ".npy") {
			return usagef("writing %q: the results are no array; use .parquet or .jsonl", f.output)
		}
		if err := result.Check(f.output, f.force); err != nil {
			return usageError{err}
		}
	}
	if f.html != "" {
		if err := newFile(f.html, f.force); err != nil {
			return usagef("--html: %w", err)
		}
	}
	for _, out := range []string{f.output, f.html} {
		if err := keep(out, inputs); err != nil {
			return err
		}
	}
	if f.html != "" && f.html == f.output {
		return usagef("--html and -o name one file, %s", f.html)
	}
	return nil
}

// newFile is an error when path exists, unless force is set.
func newFile(path string, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s exists; --force replaces it", path)
	}
	return nil
}

// open reads codes, and notes what is to be known of them.
func (f *codesFlags) open(c *cobra.Command, path, on string, names bool) (*encoding.Codes, error) {
	codes, err := encoding.Open(path, encoding.OpenOptions{On: on, MaxBytes: int64(f.memory * (1 << 30)), Names: names, Logits: f.logits})
	var large *encoding.TooLargeError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w; raise --memory, or compare sketches, which codes --sketch writes", err)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range codes.Notes {
		note(c, "%s", n)
	}
	if codes.Failed > 0 && codes.Len() == 0 {
		return nil, fmt.Errorf("none of %s of %s has a %s: its rows say why", count(codes.Failed, "item"), path, codes.On)
	}
	if codes.Failed > 0 {
		note(c, "%d of %s of %s have no %s and are left out", codes.Failed, count(codes.Failed+codes.Len(), "item"), path, codes.On)
	}
	return codes, nil
}

// tile is an item of a contact sheet.
func tile(c *encoding.Codes, row int, caption string) encoding.Tile {
	t := encoding.Tile{ID: c.ID(row), Path: c.Path(row), From: c.Origin, Caption: caption}
	if r, ok := c.Region(row); ok {
		if t.Of = &r; r.Label != "" {
			t.Caption += " (" + r.Label + ")"
		}
	}
	return t
}

// manifestOfCodes is the manifest of a result made from codes.
func manifestOfCodes(c *cobra.Command, settings map[string]any, codes ...*encoding.Codes) *result.Manifest {
	m := result.NewManifest(c.Name(), commandLine(c))
	m.Settings = settings
	for _, x := range codes {
		in := result.Input{Path: x.Name, On: x.On, Items: x.Len(), Failed: x.Failed, Bits: x.Bits, Full: x.FullBits}
		if x.Origin != nil {
			in.Manifest = x.Origin
		}
		m.Inputs = append(m.Inputs, in)
	}
	return m
}

// writeSheet writes the contact sheet, if one is asked for.
func (f *codesFlags) writeSheet(m *result.Manifest, title string, notes []string, strips iter.Seq[encoding.Strip]) error {
	if f.html == "" {
		return nil
	}
	return save(f.html, f.force, m, func(w io.Writer) error {
		return encoding.WriteSheet(w, title, notes, strips)
	})
}

// share is how far a comparison is, for someone who looks.
func shareDone(c *cobra.Command, what string) (func(float64), func()) {
	show, done := progress(c, 1000, what)
	if show == nil {
		return nil, done
	}
	return func(d float64) { show(result.Summary{Items: int(d * 1000)}) }, done
}

// save writes a result to the file that -o names, if it names one.
func (f *codesFlags) save(c *cobra.Command, m *result.Manifest, write func(result.Sink) error) error {
	if f.output == "" {
		return nil
	}
	to, err := result.Create(f.output, result.Options{Force: f.force, Stdout: c.OutOrStdout()})
	if err != nil {
		return err
	}
	defer to.Abort()
	if err := write(to); err != nil {
		return err
	}
	return commit(to, m)
}
