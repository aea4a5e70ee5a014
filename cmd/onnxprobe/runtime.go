package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

func newRuntime() *cobra.Command {
	c := command("runtime", nil)
	c.AddCommand(newRuntimeInstall(), newRuntimeList())
	return c
}

func newRuntimeInstall() *cobra.Command {
	var o install.Options
	c := command("runtime_install", exactly(0, "no arguments"))
	c.Example = strings.ReplaceAll(c.Example, "VERSION", install.Pinned)
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.All && !o.CUDA {
			return usagef("--all-libraries goes with --cuda")
		}
		o.Log = c.ErrOrStderr()
		if quiet(c) {
			o.Log = io.Discard
		}
		if o.From != "" {
			// Said even where an installed runtime leaves nothing to do.
			if _, err := os.Stat(o.From); err != nil {
				return fmt.Errorf("installing ONNX Runtime from %q: %w", o.From, err)
			}
		}
		path, err := install.Install(c.Context(), o)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), path)
		return nil
	}
	c.Flags().StringVar(&o.From, "from", "", "")
	c.Flags().BoolVar(&o.CUDA, "cuda", false, "")
	c.Flags().BoolVar(&o.All, "all-libraries", false, "")
	c.Flags().StringVar(&o.Client, "client", "", "")
	return c
}

func newRuntimeList() *cobra.Command {
	var asJSON bool
	var device string
	c := command("runtime_list", exactly(0, "no arguments"))
	c.RunE = func(c *cobra.Command, args []string) error {
		d := engine.Device{}
		if device != "" {
			var err error
			if d, err = engine.ParseDevice(device); err != nil {
				return usagef("--require: %w", err)
			}
		}
		pieces := ort.Inventory()
		if err := show(c, asJSON, pieces, func(w io.Writer) { text.Table(w, pieceRows(pieces)) }); err != nil {
			return err
		}
		if device != "" {
			return ort.Check(pieces, d)
		}
		said := map[string]bool{"": true}
		for _, p := range pieces { // how to come by what is missing
			if !said[p.Remedy] {
				said[p.Remedy] = true
				note(c, "%s: %s%s", p.Name, p.Remedy, flags(p.Options))
			}
		}
		return nil
	}
	c.Flags().BoolVar(&asJSON, "json", false, "")
	c.Flags().StringVar(&device, "require", "", "")
	return c
}

// noteLibrary says which shared library runs models, unless it is what "runtime install" put
// there, and which were passed over for it.
func noteLibrary(c *cobra.Command, b engine.Backend) {
	l, ok := b.(engine.Librarian)
	if !ok {
		return
	}
	used := l.Library()
	for _, passed := range used.Passed {
		noteOnce(c, fmt.Sprintf("passed over: %s", passed))
	}
	if used.From != "" {
		noteOnce(c, fmt.Sprintf("library: %s, version %s (%s)", used.Path, b.Version(), used.From))
	}
}

func pieceRows(pieces []ort.Piece) [][]string {
	rows := [][]string{{"PIECE", "VERSION", "FROM", "PATH", "STATE"}}
	for _, p := range pieces {
		name, state := p.Name, "usable"
		if p.Soname != "" {
			name += " " + p.Soname
		}
		switch {
		case p.Usable && p.Name == "ONNX Runtime" && p.CUDA:
			state = "usable, with CUDA"
		case !p.Usable && p.Optional:
			state = "not needed by most models: " + p.Why
		case !p.Usable:
			state = "missing: " + p.Why
			if p.Path != "" {
				state = "not usable: " + p.Why
			}
		}
		rows = append(rows, []string{name, p.Version, p.From, p.Path, state})
	}
	return rows
}
