// Package benchmarks measures what probing costs: plain inference, inference with
// all codes packed in the graph, and the same by float outputs packed outside it.
//
// Numbers of one machine mean little on another; their ratio within one run does.
// TestRatios interleaves the variants and prints medians side by side:
//
//	ONNXPROBE_BENCH_MODELS=/path/to/exports go test ./benchmarks -run TestRatios -v
//
// With ONNXPROBE_BENCH_PYTHON, a Python that has torch and torchvision, it runs
// hooks.py beside them: PyTorch's eager forward hooks with packbits.
package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
	codes, err := probes.Attach(m, probes.AttachOptions{Pack: probes.PackOperator})
	if err != nil {
		tb.Fatal(err)
	}
	floats, err := probes.Attach(m, probes.AttachOptions{Probes: []probes.Probe{floats{}}})
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
		s, err := ort.Backend{}.Prepare(context.Background(), v.model, engine.Options{})
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
		t.Run(strings.TrimSuffix(filepath.Base(file), ".onnx"), func(t *testing.T) { ratios(t, file) })
	}
}

func ratios(t *testing.T, file string) {
	vs := variants(t, file)
	var times [3][]time.Duration
	// The float variant writes so much that it would disturb what runs after it,
	// so it has rounds of its own, between which plain inference runs too.
	round := func(which ...int) {
		for _, i := range which {
			start := time.Now()
			vs[i].run(t)
			times[i] = append(times[i], time.Since(start))
		}
	}
	round(0, 1, 2)
	clear(times[:])
	for range 11 {
		round(0, 1)
	}
	ratio := func(i int) { report(t, vs[i].name, median(times[i]), median(times[0])) }
	ratio(0)
	ratio(1)
	times[0] = nil
	for range 7 {
		round(0, 2)
	}
	ratio(2)
	peer(t, file, median(times[0]))
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func report(t *testing.T, name string, d, plain time.Duration) {
	t.Logf("%-22s %8.1f images/s  %.3f of plain's time", name, batch/d.Seconds(), d.Seconds()/plain.Seconds())
}

// peer runs the same network in PyTorch, where the script knows it.
func peer(t *testing.T, file string, plain time.Duration) {
	python := os.Getenv("ONNXPROBE_BENCH_PYTHON")
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".onnx"), "_")
	if python == "" || !slices.Contains([]string{"resnet18", "resnet50", "preact"}, name) {
		return
	}
	for _, mode := range []string{"plain", "hooks"} {
		out, err := exec.Command(python, "hooks.py", "--model", name, "--mode", mode, "--batch", fmt.Sprint(batch),
			"--threads", fmt.Sprint(runtime.NumCPU()), "--images", "64").Output()
		if err != nil {
			t.Fatalf("running hooks.py: %v", err)
		}
		var r struct {
			Name   string
			Images float64 `json:"images_per_s"`
		}
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("reading what hooks.py printed: %v", err)
		}
		report(t, r.Name, time.Duration(float64(batch)/r.Images*float64(time.Second)), plain)
	}
}

// floats is a probe that gives the values before the activations.
type floats struct{ probes.Outputs }

func (floats) Attach(t *probes.Tap) error {
	t.Output("value", tensor.Float32, []int{t.Site.Units}, func() string { return t.Rows(t.Values()) })
	return nil
}
