package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/ort"
)

func newRuntime() *cobra.Command {
	c := &cobra.Command{
		Use:   "runtime",
		Short: "ONNX Runtime for this machine: install, list",
		Example: `  onnxprobe runtime install
  onnxprobe runtime list`,
	}
	c.AddCommand(newRuntimeInstall(), newRuntimeList())
	return c
}

func newRuntimeInstall() *cobra.Command {
	var o ort.InstallOptions
	c := &cobra.Command{
		Use:   "install",
		Short: "Put ONNX Runtime where onnxprobe finds it",
		Long: `Gets the ONNX Runtime library through pip or npm, whichever this machine has, checks
its SHA-256 against the list in this program, and keeps it in the user's cache folder.
Running it again does nothing; running it after an interruption goes on.`,
		Example: `  onnxprobe runtime install
  onnxprobe runtime install --from onnxruntime-` + ort.Pinned + `-cp312-cp312-manylinux_2_28_x86_64.whl`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, args []string) error {
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
			path, err := ort.Install(c.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), path)
			return nil
		},
	}
	c.Flags().StringVar(&o.From, "from", "", "install from a wheel, an npm archive, a library or a folder with one: for machines without a network")
	c.Flags().BoolVar(&o.CUDA, "cuda", false, "the build with the CUDA provider; CUDA and cuDNN themselves are not part of it")
	c.Flags().StringVar(&o.Client, "client", "", "package client to use: pip or npm; either by default")
	return c
}

func newRuntimeList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "The ONNX Runtime libraries on this machine, in the order they are tried",
		Example: "  onnxprobe runtime list --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, args []string) error {
			type entry struct {
				Path    string `json:"path"`
				Version string `json:"version"`
				From    string `json:"from"`
				CUDA    bool   `json:"cuda"`
				Usable  bool   `json:"usable"`
				Why     string `json:"why,omitempty"`
			}
			list := []entry{}
			for _, k := range ort.List() {
				e := entry{Path: k.Path, Version: k.Version, From: k.From, CUDA: k.CUDA, Usable: k.Fault == nil}
				if k.Fault != nil {
					e.Why = k.Fault.Error()
				}
				list = append(list, e)
			}
			w := c.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(w)
				e.SetIndent("", "  ")
				return e.Encode(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(w, "no ONNX Runtime library found; get one with: onnxprobe runtime install")
				return nil
			}
			rows := [][]string{{"VERSION", "FROM", "CUDA", "PATH", "STATE"}}
			for _, e := range list {
				state, cuda := "usable", "no"
				if !e.Usable {
					state = e.Why
				}
				if e.CUDA {
					cuda = "yes"
				}
				rows = append(rows, []string{e.Version, e.From, cuda, e.Path, state})
			}
			table(w, rows)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
