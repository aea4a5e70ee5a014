package probes_test

import (
	"context"
	"fmt"
	"log"
	"math/bits"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// active is a probe that counts, for each item, the bits that are set in its code.
type active struct{}

func (active) About() probes.About {
	return probes.About{Name: "active", Doc: "how many bits of the code are set"}
}

// Attach asks for the packed code of every site.
func (active) Attach(t *probes.Tap) error {
	t.Code()
	return nil
}

// Start gives what works on one session: this probe keeps nothing between batches.
func (a active) Start(context.Context, *probes.Prober) (probes.Maker, error) { return a, nil }

// Columns makes one value for each item; items that failed have zero codes, and are null.
func (active) Columns(b *probes.Batch) ([]result.Column, error) {
	count, codes := make([]int64, b.Len()), b.Codes()
	for i := range count {
		for _, c := range codes[i*b.CodeBytes() : (i+1)*b.CodeBytes()] {
			count[i] += int64(bits.OnesCount8(c))
		}
	}
	return []result.Column{{Name: "active", Values: count, Null: b.Failed()}}, nil
}

// A probe of the program's own, run beside one of this package on points around zero.
func ExampleProbe() {
	model, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		log.Fatal(err)
	}
	out := result.Memory()
	_, err = probes.Run(context.Background(), probes.Request{Model: model, Backend: gorgonia.Backend{},
		Data: dataset.Random(3, []int{1, 8, 8}, -1, 1, 7), Probes: []probes.Probe{active{}, probes.Digest{}}}, out)
	if err != nil {
		log.Fatal(err)
	}
	err = out.Read(func(name string) bool { return name == "active" }, func(batch []result.Column) error {
		fmt.Println(batch[0].Values, "of 108 units are above their knot")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: [62 61 68] of 108 units are above their knot
}
