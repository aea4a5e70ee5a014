package benchmarks

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// BenchmarkEngines runs ResNet-18 at 224 pixels, batch 1, on one thread, on ONNX
// Runtime and on the pure-Go engine in turn, and reports the median of each and
// the ratio of the two, which is the figure to quote. The models that
// ONNXPROBE_BENCH_MODELS holds are run as well.
//
//	go test ./benchmarks -run '^$' -bench Engines -benchtime 20x
func BenchmarkEngines(b *testing.B) {
	files := []string{"../testdata/models/structure/resnet18_dynamo.onnx", "../testdata/models/structure/resnet18_torchscript.onnx"}
	if dir := os.Getenv("ONNXPROBE_BENCH_MODELS"); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, more...)
	}
	for _, file := range files {
		b.Run(strings.TrimSuffix(filepath.Base(file), ".onnx"), func(b *testing.B) { engines(b, file) })
	}
}

func engines(b *testing.B, file string) {
	o := engine.Options{Threads: 1}
	enginetest.Need(b, ort.Backend{}, o)
	m, err := onnx.LoadWith(file, onnx.LoadOptions{NoData: strings.Contains(file, "structure")})
	if err != nil {
		b.Fatal(err)
	}
	weigh(m)
	var shape []int
	for i, d := range m.Graph.Inputs[0].Shape {
		if i == 0 || d.Size < 0 {
			d.Size = 1
		}
		shape = append(shape, int(d.Size))
	}
	x := make([]float32, tensor.Count(shape))
	for i := range x {
		x[i] = rand.Float32()*2 - 1
	}
	in := []*tensor.Tensor{tensor.Of(x, shape...)}
	var sessions []engine.Session
	for _, e := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
		s, err := e.Prepare(context.Background(), m, o)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	var outs [2]*tensor.Tensor
	var times [2][]time.Duration
	round := func() {
		for i, s := range sessions {
			start := time.Now()
			out, err := s.Run(context.Background(), in)
			if err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(start))
			outs[i] = out[0]
		}
	}
	round()
	round()
	// Speed is worth nothing where the numbers differ.
	if err := enginetest.Close(outs[1], outs[0], enginetest.Alike); err != nil {
		b.Fatal(err)
	}
	times = [2][]time.Duration{}
	for b.Loop() {
		round()
	}
	theirs, ours := median(times[0]), median(times[1])
	b.ReportMetric(0, "ns/op") // the sum of the two says nothing
	b.ReportMetric(theirs.Seconds()*1e3, "ort-ms")
	b.ReportMetric(ours.Seconds()*1e3, "gorgonia-ms")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "gorgonia/ort")
}

// weigh gives random weights to what a structure file leaves out, of a size that
// lets activations neither grow nor vanish.
func weigh(m *onnx.Model) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, t := range m.Graph.Initializers {
		if t.External == nil {
			continue
		}
		shape, into := make([]int, len(t.Dims)), 1
		for k, d := range t.Dims {
			shape[k] = int(d)
			if k > 0 {
				into *= int(d)
			}
		}
		if t.DType != tensor.Float32 { // places in a table: the first is always one
			zeros, err := tensor.New(t.DType, shape...)
			if err != nil {
				panic(err)
			}
			m.Graph.Initializers[i] = onnx.NewTensor(t.Name, zeros)
			continue
		}
		v := make([]float32, tensor.Count(shape))
		for k := range v {
			if v[k] = float32(rng.NormFloat64() * math.Sqrt(2/float64(into))); len(shape) == 1 {
				v[k] = 1 + rng.Float32() // BatchNormalization's, of which a variance is not negative
			}
		}
		m.Graph.Initializers[i] = onnx.NewTensor(t.Name, tensor.Of(v, shape...))
	}
}
