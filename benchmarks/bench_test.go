// Package benchmarks measures what probing costs: plain inference, inference with
// all codes packed in the graph, and the same by float outputs packed outside it.
//
// Numbers of one machine mean little on another; their ratio within one run does.
// TestRatios interleaves the variants and prints medians side by side:
//
//	ONNXPROBE_BENCH_MODELS=/path/to/exports go test ./benchmarks -run TestRatios -v
package benchmarks

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// models are the shipped ones and those that ONNXPROBE_BENCH_MODELS holds.
func models(tb testing.TB) []string {
	files := []string{"../testdata/models/resnet_basic_dynamo.onnx", "../testdata/models/mobilenet_dynamo.onnx", "../testdata/models/vit_dynamo.onnx"}
	if dir := os.Getenv("ONNXPROBE_BENCH_MODELS"); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
		if err != nil {
			tb.Fatal(err)
		}
		files = append(files, more...)
	}
	return files
}

type variant struct {
	name    string
	session engine.Session
	in      *tensor.Tensor
	after   func([]*tensor.Tensor)
}

const batch = 8

func variants(tb testing.TB, file string) []variant {
	enginetest.Need(tb, ort.Backend{}, engine.Options{})
	m, err := onnx.Load(file)
	if err != nil {
		tb.Fatal(err)
	}
	codes, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	floats, err := probes.Attach(m, probes.AttachOptions{Values: true})
	if err != nil {
		tb.Fatal(err)
	}
	shape := append([]int{batch}, codes.Fit.Sample...)
	x := make([]float32, tensor.Count(shape))
	for i := range x {
		x[i] = rand.Float32()*2 - 1
	}
	in := tensor.Of(x, shape...)
	var vs []variant
	for _, v := range []struct {
		name  string
		model *onnx.Model
		after func([]*tensor.Tensor)
	}{{"plain", m, nil}, {"codes", codes.Model, nil}, {"floats", floats.Model, func(out []*tensor.Tensor) {
		for _, t := range out[codes.Own:] {
			pack(tensor.Data[float32](t))
		}
	}}} {
		s, err := ort.Backend{}.Prepare(v.model, engine.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { s.Close() })
		vs = append(vs, variant{v.name, s, in, v.after})
	}
	return vs
}

// pack is the branch-free loop a careful user would write outside the graph.
func pack(v []float32) []byte {
	out := make([]byte, (len(v)+7)/8)
	for i := 0; i+8 <= len(v); i += 8 {
		var b byte
		for k, x := range v[i : i+8 : i+8] {
			bit := byte(0)
			if x > 0 {
				bit = 1
			}
			b |= bit << (7 - k)
		}
		out[i/8] = b
	}
	return out
}

func (v variant) run(tb testing.TB) {
	out, err := v.session.Run(context.Background(), []*tensor.Tensor{v.in})
	if err != nil {
		tb.Fatal(err)
	}
	if v.after != nil {
		v.after(out)
	}
}

func BenchmarkCodes(b *testing.B) {
	for _, file := range models(b) {
		for _, v := range variants(b, file) {
			b.Run(strings.TrimSuffix(filepath.Base(file), ".onnx")+"/"+v.name, func(b *testing.B) {
				v.run(b)
				for b.Loop() {
					v.run(b)
				}
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

// TestRatios prints images a second of the variants, interleaved so that all meet
// the same machine. It asserts nothing: a time is no test.
func TestRatios(t *testing.T) {
	if os.Getenv("ONNXPROBE_BENCH_MODELS") == "" {
		t.Skip("set ONNXPROBE_BENCH_MODELS to a folder of exports; testdata/export/torchvision_models.py makes them")
	}
	t.Logf("%s/%s, %d processors, ONNX Runtime %s, batch %d", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), ort.Backend{}.Version(), batch)
	for _, file := range models(t) {
		vs := variants(t, file)
		times := make([][]time.Duration, len(vs))
		for round := range 13 {
			for i, v := range vs {
				start := time.Now()
				v.run(t)
				if round >= 2 {
					times[i] = append(times[i], time.Since(start))
				}
			}
		}
		var plain time.Duration
		for i, v := range vs {
			slices.Sort(times[i])
			median := times[i][len(times[i])/2]
			if i == 0 {
				plain = median
			}
			t.Logf("%-32s %-7s %8.1f images/s  %.3f of plain's time", filepath.Base(file), v.name, batch/median.Seconds(), median.Seconds()/plain.Seconds())
		}
	}
}
