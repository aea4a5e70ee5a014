package benchmarks

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
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

// packed are the networks whose packing is measured, and their batches. They have no
// weights of their own: no time here depends on them.
var packed = []struct {
	model string
	batch int
}{
	{"resnet18_dynamo", 8}, {"resnet50_dynamo", 8}, {"preact_resnet18_dynamo", 320},
	{"mobilenet_v2_dynamo", 8}, {"mobilenet_v3_small_dynamo", 8}, {"efficientnet_b0_dynamo", 8},
	{"convnext_tiny_dynamo", 2}, {"swin_t_dynamo", 2}, {"vit_b_16_dynamo", 1},
}

// structure is one of them, with random weights.
func structure(tb testing.TB, name string) *onnx.Model {
	file := filepath.Join("..", "testdata", "models", "structure", name+".onnx")
	m, err := onnx.LoadWith(file, onnx.LoadOptions{NoData: true})
	if err != nil {
		tb.Fatal(err)
	}
	weigh(m)
	return m
}

// BenchmarkPacking runs plain inference, inference with the codes of all sites
// packed by standard operators, and the same packed by operators of ours, the
// three taking turns and giving their outputs back. It reports the medians of the
// rounds' ratios, which are the figures to quote: of the time that passes on all
// threads, and, where the system tells it, of the processor's time on one thread,
// which other work on the machine disturbs less.
//
//	go test ./benchmarks -run '^$' -bench Packing -benchtime 30x
func BenchmarkPacking(b *testing.B) {
	for _, c := range packed {
		b.Run(c.model, func(b *testing.B) { packing(b, structure(b, c.model), c.batch) })
	}
}

func packing(b *testing.B, m *onnx.Model, batch int) {
	enginetest.Need(b, ort.Backend{}, engine.Options{})
	models, shape := []*onnx.Model{m}, []int(nil)
	for _, form := range []probes.Packing{probes.PackUnsigned, probes.PackOperator} {
		plan, err := probes.Attach(m, probes.AttachOptions{Pack: form})
		if err != nil {
			b.Fatal(err)
		}
		models, shape = append(models, plan.Model), append([]int{batch}, plan.Fit.Sample...)
	}
	in := tensor.Of(noise(tensor.Count(shape), 1), shape...)
	runtime.LockOSThread() // whose time is taken
	defer runtime.UnlockOSThread()
	turns := func(threads int, now func() time.Duration) (round func(), times [][]time.Duration) {
		var vs []variant
		for _, m := range models {
			s, err := ort.Backend{}.Prepare(b.Context(), m, engine.Options{Threads: threads})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			vs = append(vs, variant{session: s, in: in, after: s.(engine.Recycler).Recycle})
		}
		times = make([][]time.Duration, len(vs))
		first := 0
		round = func() {
			for k := range vs {
				i := (first + k) % len(vs)
				start := now()
				vs[i].run(b)
				times[i] = append(times[i], now()-start)
			}
			first++
		}
		round()
		round()
		clear(times)
		return round, times
	}
	start := time.Now()
	wall, times := turns(0, func() time.Duration { return time.Since(start) })
	alone, cpu := func() {}, [][]time.Duration(nil)
	if threadTime != nil {
		alone, cpu = turns(1, threadTime)
	}
	for b.Loop() {
		wall()
		alone()
	}
	b.ReportMetric(0, "ns/op") // the sum of all says nothing
	b.ReportMetric(float64(batch)/median(times[0]).Seconds(), "plain-images/s")
	b.ReportMetric(ratio(times, 1), "standard/plain")
	b.ReportMetric(ratio(times, 2), "operator/plain")
	if cpu != nil {
		b.ReportMetric(ratio(cpu, 2), "operator/plain-cpu")
	}
}

// ratio is the median of variant i's time over the first's in the same round, which
// other work on the machine touches alike.
func ratio(times [][]time.Duration, i int) float64 {
	rs := make([]float64, len(times[0]))
	for k, plain := range times[0] {
		rs[k] = times[i][k].Seconds() / plain.Seconds()
	}
	slices.Sort(rs)
	return rs[len(rs)/2]
}

// noise are n values from -scale to scale.
func noise(n int, scale float32) []float32 {
	rng := rand.New(rand.NewPCG(5, 6))
	x := make([]float32, n)
	for i := range x {
		x[i] = (rng.Float32()*2 - 1) * scale
	}
	return x
}
