package benchmarks

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// BenchmarkPacking runs plain inference, inference with the codes of all sites
// packed by standard operators, and the same packed by the operator SignPack, the
// three taking turns. It reports the medians of the rounds' ratios, which are the
// figures to quote. The weights are random: no time here depends on them.
//
//	go test ./benchmarks -run '^$' -bench Packing -benchtime 30x
func BenchmarkPacking(b *testing.B) {
	for _, c := range []struct {
		model string
		batch int
	}{{"resnet18_dynamo", 8}, {"resnet50_dynamo", 8}, {"preact_resnet18_dynamo", 320}, {"mobilenet_v3_small_dynamo", 8}, {"vit_b_16_dynamo", 1}} {
		b.Run(c.model, func(b *testing.B) {
			file := filepath.Join("..", "testdata", "models", "structure", c.model+".onnx")
			m, err := onnx.LoadWith(file, onnx.LoadOptions{NoData: true})
			if err != nil {
				b.Fatal(err)
			}
			weigh(m)
			packing(b, m, c.batch)
		})
	}
}

func packing(b *testing.B, m *onnx.Model, batch int) {
	enginetest.Need(b, ort.Backend{}, engine.Options{})
	portable, err := probes.Attach(m, probes.AttachOptions{Pack: probes.PackUnsigned})
	if err != nil {
		b.Fatal(err)
	}
	operator, err := probes.Attach(m, probes.AttachOptions{Pack: probes.PackOperator})
	if err != nil {
		b.Fatal(err)
	}
	shape := append([]int{batch}, operator.Fit.Sample...)
	x := make([]float32, tensor.Count(shape))
	for i := range x {
		x[i] = rand.Float32()*2 - 1
	}
	var vs []variant
	for _, m := range []*onnx.Model{m, portable.Model, operator.Model} {
		s, err := ort.Backend{}.Prepare(context.Background(), m, engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		vs = append(vs, variant{session: s, in: tensor.Of(x, shape...)})
	}
	times := make([][]time.Duration, len(vs))
	round := func() {
		for i, v := range vs {
			start := time.Now()
			v.run(b)
			times[i] = append(times[i], time.Since(start))
		}
	}
	round()
	round()
	clear(times)
	for b.Loop() {
		round()
	}
	ratio := func(i int) float64 { // of the two in one round, which other work on the machine touches alike
		rs := make([]float64, len(times[0]))
		for k, plain := range times[0] {
			rs[k] = times[i][k].Seconds() / plain.Seconds()
		}
		slices.Sort(rs)
		return rs[len(rs)/2]
	}
	standard, ours := ratio(1), ratio(2)
	b.ReportMetric(0, "ns/op") // the sum of the three says nothing
	b.ReportMetric(float64(batch)/median(times[0]).Seconds(), "plain-images/s")
	b.ReportMetric(standard, "standard/plain")
	b.ReportMetric(ours, "operator/plain")
}
