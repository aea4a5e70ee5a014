package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// build is the contract of version --json.
type build struct {
	// Version is the tag or the commit that the program was built from.
	Version  string   `json:"version"`
	Commit   string   `json:"commit,omitempty"`
	Time     string   `json:"time,omitempty"`     // of the commit
	Modified bool     `json:"modified,omitempty"` // files were changed since
	Go       string   `json:"go"`
	System   string   `json:"system"`
	Engines  []string `json:"engines"` // that it was built with
}

func newVersion() *cobra.Command {
	var asJSON bool
	c := command("version", exactly(0, "no arguments"))
	c.RunE = func(c *cobra.Command, args []string) error {
		b := built()
		return show(c, asJSON, b, func(w io.Writer) {
			fmt.Fprintln(w, "onnxprobe", b.Version)
			if b.Commit != "" {
				changed := ""
				if b.Modified {
					changed = ", with changes"
				}
				fmt.Fprintf(w, "commit %s of %s%s\n", b.Commit, b.Time, changed)
			}
			fmt.Fprintf(w, "%s, %s, engines %v\n", b.Go, b.System, b.Engines)
		})
	}
	c.Flags().BoolVar(&asJSON, "json", false, "")
	return c
}

func built() build {
	b := build{Version: result.Version(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	for _, e := range backends.All {
		if ort.Built || e != engine.Backend(ort.Backend{}) {
			b.Engines = append(b.Engines, e.Name())
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return b
}
