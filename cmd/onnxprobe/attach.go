package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

func newAttach() *cobra.Command {
	var mf modelFlags
	var out string
	var sign3, force bool
	var fragile float64
	c := command("attach", exactly(1, "one model"))
	c.RunE = func(c *cobra.Command, args []string) error {
		if out == "" {
			return usagef("say where to write the probed model: -o PROBED.onnx")
		}
		if err := distance("fragile", fragile); err != nil {
			return err
		}
		if err := keep(out, args); err != nil {
			return err
		}
		if out == "-" {
			return usagef("-o -: a model goes to a file, not to standard output; name one")
		}
		if err := newFile(out, force); err != nil {
			return usageError{err}
		}
		m, sample, err := mf.loaded(args[0])
		if err != nil {
			return err
		}
		for _, f := range m.ExternalFiles() {
			if err := keep(out, []string{filepath.Join(m.Dir, filepath.FromSlash(f))}); err != nil {
				return err
			}
		}
		list := []probes.Probe{probes.Code{Below: sign3}}
		if fragile > 0 {
			list = append(list, probes.Fragile{Within: fragile})
		}
		plan, err := probes.Attach(m, probes.AttachOptions{Sites: mf.siteOptions(), Sample: sample, Probes: list})
		if err != nil {
			return err
		}
		noteRandom(c, m)
		if plan.Fit.Freed {
			note(c, "the export fixes the batch at 1; the probed model's is free. onnxprobe codes checks on the engine that the numbers stay the same")
		}
		for _, n := range []string{plan.Fit.FoldedNote(), plan.Fit.Note, result.UnwatchedNote(plan.Unwatched)} {
			if n != "" {
				note(c, "%s", n)
			}
		}
		probed := probes.Strip(plan.Model)
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return fmt.Errorf("making the folder for %s: %w", out, err)
		}
		if err := keeping(probed.Save(out)); err != nil {
			return err
		}
		if mf.json {
			return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"model": out, "sites": plan.Sites, "units": plan.Units(), "code_bytes": plan.CodeBytes()})
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s, a code of %s an item\n", out, text.Count(len(plan.Sites), "site"),
			text.Count(plan.Units(), "unit"), text.Count(plan.CodeBytes(), "byte"))
		return nil
	}
	mf.addSites(c.Flags())
	mf.add(c.Flags())
	c.Flags().StringVarP(&out, "output", "o", "", "")
	c.Flags().BoolVar(&sign3, "sign3", false, "")
	c.Flags().Float64Var(&fragile, "fragile", 0, "")
	c.Flags().BoolVar(&force, "force", false, "")
	return c
}
