package probes_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Digests and sketches of pictures, kept in memory. result.Create writes them to a file
// instead, and backends.Choose takes ONNX Runtime where it is installed.
func ExampleRun() {
	model, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	check(err)
	prepared, err := picture.ParsePreprocess("mnist-01")
	check(err)
	digits, err := dataset.Open([]string{"../testdata/images/digits/3"}, dataset.Options{Preprocess: &prepared})
	check(err)
	out := result.Memory()
	sum, err := probes.Run(context.Background(), probes.Request{Model: model, Data: digits, Backend: gorgonia.Backend{},
		Probes: []probes.Probe{probes.Digest{}, probes.Sketch{Bits: 16, Seed: 1}}}, out)
	check(err)
	regions := map[string]bool{}
	check(out.Read(func(name string) bool { return name == "digest" }, func(cols []result.Column) error {
		for _, d := range cols[0].Values.([]string) {
			regions[d] = true
		}
		return nil
	}))
	fmt.Println(sum.Items, "pictures,", sum.Failed, "failed,", len(regions), "regions")
	// Output: 10 pictures, 0 failed, 10 regions
}

// A probed model is an ordinary ONNX file, whose outputs any runtime gives.
func ExampleAttach() {
	model, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	check(err)
	plan, err := probes.Attach(model, probes.AttachOptions{})
	check(err)
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "probed.onnx")
	check(probes.Strip(plan.Model).Save(path))
	probed, err := onnx.Load(path)
	check(err)
	session, err := gorgonia.Backend{}.Prepare(context.Background(), probed, engine.Options{})
	check(err)
	defer session.Close()
	for _, p := range session.Outputs() {
		fmt.Println(p.Name, p.DType)
	}
	// Output:
	// logits float32
	// onnxprobe.code/relu1 uint8
	// onnxprobe.code/relu2 uint8
}

// Local complexity of ten pictures: how many units do not have one side at all of eight
// points at a distance from each. The frame is the same for all.
func ExampleComplexity() {
	model, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	check(err)
	prepared, err := picture.ParsePreprocess("mnist-01")
	check(err)
	digits, err := dataset.Open([]string{"../testdata/images/digits/3"}, dataset.Options{Preprocess: &prepared})
	check(err)
	frame, err := probes.NewFrame(4, 64, 0)
	check(err)
	out := result.Memory()
	_, err = probes.Run(context.Background(), probes.Request{Model: model, Data: digits, Backend: gorgonia.Backend{},
		Probes: []probes.Probe{probes.Complexity{Frame: frame, Radii: []float64{0.01, 0.1}}}}, out)
	check(err)
	var near, far int64
	check(out.Read(func(name string) bool { return name == "complexity" }, func(batch []result.Column) error {
		values := batch[0].Values.([]int64) // a value for each item and radius
		for i := 0; i < len(values); i += 2 {
			near, far = near+values[i], far+values[i+1]
		}
		return nil
	}))
	fmt.Println("within 0.01 of ten pictures", near, "units change their side, within 0.1", far)
	// Output: within 0.01 of ten pictures 1 units change their side, within 0.1 16
}
