package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
)

// runOptions are what run is asked for.
type runOptions struct {
	inference
	top     int
	softmax bool
	labels  string
}

func newRun() *cobra.Command {
	var o runOptions
	c := command("run", atLeast(1, "a model and data"))
	o.add(c)
	fs := c.Flags()
	o.addRandom(fs)
	hide(fs, "Regions", "regions", "region-input")
	fs.IntVar(&o.top, "top", 5, "")
	fs.BoolVar(&o.softmax, "softmax", false, "")
	fs.StringVar(&o.labels, "labels", "", "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.top < 0 {
			return usagef("--top %d: 0 or more", o.top)
		}
		if err := o.others.take(&o.regions, fs.Changed); err != nil {
			return err
		}
		if o.regions.path != "" {
			return usagef("--regions of run goes with --region-input, for a model that takes a box")
		}
		if err := o.regions.check(fs.Changed); err != nil {
			return err
		}
		names, err := readLabels(o.labels)
		if err != nil {
			return err
		}
		if o.output == "" && o.json {
			o.output = "-"
		}
		p := probes.Outputs{Top: o.top, Softmax: o.softmax, Labels: names, Full: o.output != ""}
		what := measured{settings: map[string]any{"labels": o.labels}}
		what.probes = func(m *onnx.Model, _ dataset.Dataset) ([]probes.Probe, error) {
			what.array = m.Graph.Outputs[0].Name
			return []probes.Probe{p}, nil
		}
		if o.output == "" {
			what.to = &printer{w: bufio.NewWriter(c.OutOrStdout()), labels: names}
		}
		return o.run(c, args, &what)
	}
	return c
}

func readLabels(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
	}
	return strings.Split(strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n"), "\n"), nil
}
