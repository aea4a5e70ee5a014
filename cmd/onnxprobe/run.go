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
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newRun() *cobra.Command {
	var j job
	var top int
	var softmax bool
	var labels string
	c := &cobra.Command{
		Use:   "run MODEL DATA... [-o OUT]",
		Short: "Plain inference",
		Long: `Runs every item through the model. Without -o it prints the highest entries of the
model's first output for every item; with -o it writes the outputs themselves as well.`,
		Example: `  onnxprobe run resnet50.onnx dog.jpg --preprocess imagenet-v2 --softmax --labels imagenet_classes.txt
  onnxprobe run resnet20.onnx test_batch.bin --preprocess cifar10 -o logits.npy`,
		Args: atLeast(1, "a model and data"),
	}
	j.add(c)
	fs := c.Flags()
	j.addRandom(fs)
	fs.IntVar(&top, "top", 5, "how many of the highest entries to name")
	fs.BoolVar(&softmax, "softmax", false, "turn the first output into probabilities")
	fs.StringVar(&labels, "labels", "", "names of the entries: a text `FILE`, one a line")
	c.RunE = func(c *cobra.Command, args []string) error {
		if top < 0 {
			return usagef("--top %d: 0 or more", top)
		}
		if err := j.others.take(&j.regions, fs.Changed); err != nil {
			return err
		}
		if j.regions.path != "" {
			return usagef("--regions of run goes with --region-input, for a model that takes a box")
		}
		if err := j.regions.check(fs.Changed); err != nil {
			return err
		}
		names, err := readLabels(labels)
		if err != nil {
			return err
		}
		j.attach = func(m *onnx.Model, sample []int) (*probes.Plan, error) {
			j.array = m.Graph.Outputs[0].Name
			return probes.Plain(m, sample)
		}
		j.settings = map[string]any{"top": top, "softmax": softmax, "labels": labels}
		j.use = func(r *probes.Prober, ds dataset.Dataset, to result.Sink, o probes.RunOptions) (result.Summary, error) {
			return r.Outputs(c.Context(), ds, to, probes.OutputOptions{RunOptions: o, Top: top, Softmax: softmax, Labels: names, Full: j.output != ""})
		}
		var to result.Sink
		switch {
		case j.output == "" && j.json:
			j.output = "-"
		case j.output == "":
			to = &printer{w: bufio.NewWriter(c.OutOrStdout()), labels: names}
		}
		return j.run(c, args, to)
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
