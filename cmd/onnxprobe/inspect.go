package main

import (
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

func newInspect() *cobra.Command {
	var mf modelFlags
	var ef engineFlags
	var engines bool
	ofEngines := pflag.NewFlagSet("engines", pflag.ContinueOnError)
	c := command("inspect", exactly(1, "one model"))
	c.RunE = func(c *cobra.Command, args []string) error {
		o, err := ef.options()
		if err != nil {
			return err
		}
		if f := firstChanged(ofEngines); f != "" && !engines {
			return usagef("--%s goes with --engines, which tries the engines on the model; add it, or leave --%s out", f, f)
		}
		m, sample, err := mf.loaded(args[0])
		if err != nil {
			return err
		}
		found, err := probes.Inspect(m, probes.AttachOptions{Sites: mf.siteOptions(), Sample: sample}, withFlags)
		if err != nil {
			return err
		}
		var asked []engine.Backend
		for _, b := range backends.All {
			if !engines {
				found.Backends = append(found.Backends, probes.Trial{Name: b.Name()})
			} else if ef.backend == backends.Auto || ef.backend == b.Name() {
				asked = append(asked, ef.apart(b, o))
			}
		}
		if len(asked) > 0 {
			if ef.mode() == isolate.Yes && (!isolate.Supported || isolate.Missing() != "") {
				return asked[0].Available(o)
			}
			ef.noteIsolation(c, asked[0])
		}
		if err := found.Try(c.Context(), asked, o); err != nil {
			return err
		}
		err = show(c, mf.json, found, func(w io.Writer) { found.Print(w, "--engines", "--include-maxpool") })
		if bends := site.Bends(found.Unwatched); err == nil && mf.strictSites && len(bends) > 0 {
			return &site.StrictError{Bends: bends}
		}
		return err
	}
	mf.addSites(c.Flags())
	mf.add(c.Flags())
	c.Flags().BoolVar(&engines, "engines", false, "")
	ef.addBackend(ofEngines)
	ef.addOptions(ofEngines)
	c.Flags().AddFlagSet(ofEngines)
	hide(c.Flags(), "GPU")
	return c
}

// loaded is the model of a file, and the shape of its samples that the flags say, nil for none.
func (f *modelFlags) loaded(path string) (m *onnx.Model, sample []int, err error) {
	if m, err = f.load(path); err == nil {
		sample, err = f.sample(m)
	}
	return m, sample, err
}

// firstChanged is the name of a flag of fs that was given, "" for none.
func firstChanged(fs *pflag.FlagSet) (name string) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed && name == "" {
			name = f.Name
		}
	})
	return name
}
