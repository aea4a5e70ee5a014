package probes

import (
	"bytes"
	"context"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// onCUDA are the settings of a GPU; the test is skipped where there is none.
func onCUDA(t *testing.T) engine.Options {
	t.Helper()
	o := engine.Options{Device: engine.Device{Kind: "cuda"}}
	if err := (ort.Backend{}).Available(o); err != nil {
		t.Skipf("no CUDA device: %v", err)
	}
	return o
}

// Codes on a GPU are the CPU's but for bits within rounding of their knot.
func TestCodesOnCUDA(t *testing.T) {
	gpu := onCUDA(t)
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		o := AttachOptions{}
		plan, err := Attach(m, o)
		if err != nil {
			t.Fatal(err)
		}
		ds := dataset.Random(64, plan.Fit.Sample, -1, 1, 7)
		d, err := Compare(context.Background(), m, o, ds, Setting{Backend: ort.Backend{}, Batch: 16}, Setting{Backend: ort.Backend{}, Options: gpu, Batch: 16}, CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		allowed := 1e-5 // the order of a few thousand float32 sums
		if plan.Fit.DType == tensor.Float16 {
			allowed = 2e-3
		}
		var bits, flips int64
		for _, s := range d.Sites {
			bits, flips = bits+s.Bits, flips+s.Flips
			if s.Flips > 0 && !(s.Margin <= allowed*s.Scale) {
				t.Errorf("site %s: a bit differs whose value is %g of %g from its knot", s.Site, s.Margin, s.Scale)
			}
		}
		t.Logf("%d of %d bits are fragile, in %d of %d items", flips, bits, d.Regions, d.Items)
	})
}

// Ten runs on a GPU, by two sessions in turn, give the same bytes; a recorded graph
// gives them too.
func TestCUDARepeats(t *testing.T) {
	gpu := onCUDA(t)
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		graph := gpu
		graph.CUDAGraph = true
		n := g.arrays["input"].Shape[0]
		x := tensor.Data[float32](g.arrays["input"])
		var first []byte
		for _, o := range []engine.Options{gpu, gpu, graph} {
			plan, err := Attach(m, AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := plan.Open(context.Background(), ort.Backend{}, o, 8)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for range 5 {
				if codes := codesOf(t, r, x, n); first == nil {
					first = codes
				} else if !bytes.Equal(codes, first) {
					t.Fatalf("graph %v: %d bits of a repeated run differ", o.CUDAGraph, Hamming(codes, first))
				}
			}
		}
	})
}

// Vertices that the GPU makes are those of the host.
func TestVerticesOnCUDA(t *testing.T) {
	gpu := onCUDA(t)
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		plan, err := Attach(m, AttachOptions{Pack: PackPortable})
		if err != nil {
			t.Fatal(err)
		}
		r, err := plan.Open(context.Background(), ort.Backend{}, gpu, 64)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		frame, err := NewFrame(4, tensor.Count(plan.Fit.Sample), 3)
		if err != nil {
			t.Fatal(err)
		}
		host, graph := crossings(t, r, pointsOf(g.arrays["input"], min(g.arrays["input"].Shape[0], 16)), Complexity{Frame: frame, Radii: []float64{0.01, 0.3}})
		differ := 0
		for i, n := range host.ints("count") {
			if graph.ints("count")[i] != n {
				differ++
			}
		}
		t.Logf("%d of %d counts differ", differ, len(host.ints("count")))
		if differ > len(host.ints("count"))/100 {
			t.Errorf("%d of %d counts differ", differ, len(host.ints("count")))
		}
	})
}

// What an engine is set to is in the manifest.
func TestManifestOfGPU(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, m, AttachOptions{}, 4)
	for _, c := range []struct {
		o         engine.Options
		precision string
		gpu       *result.GPU
	}{
		{engine.Options{}, "float32, TF32 off", nil},
		{engine.Options{Device: engine.Device{Kind: "cuda", Index: 1}}, "float32, TF32 off", &result.GPU{Tune: "heuristic"}},
		{engine.Options{Device: engine.Device{Kind: "cuda"}, AllowTF32: true, Tune: "exhaustive", MemoryLimit: 7, CUDAGraph: true}, "float32, TF32 allowed",
			&result.GPU{Tune: "exhaustive", Memory: 7, CUDAGraph: true}},
	} {
		r.Options = c.o
		mf, err := r.NewManifest(m)
		if err != nil {
			t.Fatal(err)
		}
		if mf.Precision != c.precision || (mf.GPU == nil) != (c.gpu == nil) || c.gpu != nil && (mf.GPU.Tune != c.gpu.Tune || mf.GPU.Memory != c.gpu.Memory || mf.GPU.CUDAGraph != c.gpu.CUDAGraph) {
			t.Errorf("%+v: precision %q, %+v", c.o, mf.Precision, mf.GPU)
		}
	}
}

// A network narrowed to float16 has the same sites, and only bits near their knot
// differ.
func TestCompareHalf(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		plan, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a := Setting{Backend: ort.Backend{}, Batch: 8}
		b := a
		b.Half = true
		d, err := Compare(context.Background(), m, AttachOptions{}, dataset.Random(8, plan.Fit.Sample, -1, 1, 7), a, b, CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range d.Sites {
			if s.Flips > 0 && !(s.Margin <= 0.02*s.Scale) { // every step rounds to 11 bits
				t.Errorf("site %s: a bit differs whose value is %g of %g from its knot", s.Site, s.Margin, s.Scale)
			}
		}
		if d.Failed > 0 || d.Outputs == 0 && plan.Fit.DType == tensor.Float32 {
			t.Errorf("%+v, outputs differ by %g", d.Summary, d.Outputs)
		}
	})
}
