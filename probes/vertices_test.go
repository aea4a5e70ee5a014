package probes

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// crossings counts around the same points twice, with the vertices made on the host
// and in the graph.
func crossings(t *testing.T, r *Prober, ds dataset.Dataset, nb Complexity) (host, graph *memory) {
	t.Helper()
	var sinks [2]*memory
	for i, in := range []bool{false, true} {
		nb.inGraph = &in
		if r.inGraph(&nb) != in {
			t.Skip("its items run one by one")
		}
		sinks[i], _ = complexity(t, r, ds, nb)
	}
	return sinks[0], sinks[1]
}

// Vertices that the graph makes, and codes that it gathers, give the counts that the
// host finds, to the last unit: on every shipped model and engine, with several radii,
// three signs, the centre, and batches that divide nothing.
func TestVerticesInGraph(t *testing.T) {
	eachEngine(t, func(t *testing.T, g *golden, m *onnx.Model, b engine.Backend) {
		n := 1
		if b.Name() == "ort" {
			n = min(g.arrays["input"].Shape[0], 2)
		}
		ds, total := pointsOf(g.arrays["input"], n), int64(0)
		for i, c := range []struct {
			sign3, centre bool
			batch         int
		}{{true, false, 7}, {true, true, 16}, {false, true, 5}} {
			if i > 0 && b.Name() != "ort" {
				break
			}
			r := openOn(t, b, m, AttachOptions{Probes: []Probe{Code{Below: c.sign3}}, Pack: PackUnsigned}, c.batch)
			frame, err := NewFrame(4, tensor.Count(r.Plan.Fit.Sample), 3)
			if err != nil {
				t.Fatal(err)
			}
			host, graph := crossings(t, r, ds, Complexity{Frame: frame, Radii: []float64{0.01, 0.3}, Center: c.centre, Sign3: c.sign3})
			if !slices.Equal(host.ints("count"), graph.ints("count")) {
				t.Errorf("%+v: the host counts %v, the graph %v", c, brief(host.ints("count")), brief(graph.ints("count")))
			}
			for _, v := range host.ints("complexity") {
				total += v
			}
		}
		if total == 0 {
			t.Error("nothing was counted")
		}
	})
}

func brief(v []int64) []int64 { return v[:min(len(v), 24)] }

// The sum of a vertex rounds once, as on the host, and a centre keeps the sign of its
// zeros: a network that does nothing but show its input gives the same bits.
func TestVerticesAreTheHosts(t *testing.T) {
	const d = 5
	for _, b := range []engine.Backend{ort.Backend{}} {
		enginetest.Need(t, b, engine.Options{})
		m := network(t, d, func(e *rewrite.Edit, x string) string {
			// 1/x tells the zeros apart.
			e.Output(e.Op("Reciprocal", nil, x), tensor.Float32, nil)
			return e.Op("Relu", nil, x)
		})
		r := openOn(t, b, m, AttachOptions{}, 7)
		frame, err := NewFrame(3, d, 1)
		if err != nil {
			t.Fatal(err)
		}
		nb := Complexity{Frame: frame, Radii: []float64{1e-3, 2.7}, Center: true}
		host, err := newHostCrossing(r, &nb, -1)
		if err != nil {
			t.Fatal(err)
		}
		graph, err := newGraphCrossing(context.Background(), r, &nb)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			for at := range r.Batch {
				x, tl := make([]float32, d), &tally{}
				for i := range x {
					x[i] = float32(rng.NormFloat64()) * 1e3
				}
				x[at%d] = float32(math.Copysign(0, -1))
				radius, j := rng.IntN(2), rng.IntN(nb.vertices())
				if at%4 > 0 { // two points at most
					continue
				}
				for k := at; k < min(at+4, r.Batch); k++ {
					host.put(k, x, radius, (j+k)%nb.vertices(), tl)
					graph.put(k, x, radius, (j+k)%nb.vertices(), tl)
				}
			}
			for g := range graph.bound { // whatever is counted here
				graph.bound[g] = 1
			}
			want, err := r.Infer(context.Background(), host.in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := graph.evaluate(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Plan.Own {
				if a, b := tensor.Data[float32](got[i]), tensor.Data[float32](want[i]); fmt.Sprintf("%x", a) != fmt.Sprintf("%x", b) {
					t.Fatalf("output %d: the graph's vertices give %v, the host's %v", i, a, b)
				}
			}
		}
	}
}

// Bad items and items without a code are rows with an error in their place, and the
// arg-max of a pooling is gathered as well.
func TestVerticesOfBadItems(t *testing.T) {
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		x = e.Op("Reshape", nil, e.Op("Relu", nil, x), e.Const(tensor.Of([]int64{-1, 1, 2, 2}, 4)))
		return e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}}, x)
	})
	frame, err := NewFrame(2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	ds := points([]int{4}, [][]float32{{0, 9, 9, 1}, nil, {nan, 0, 1, 2}, {0, 0, 0, 0}, nil, {5, 5, 4, 4}})
	for _, batch := range []int{2, 3, 8, 100} {
		for _, sign3 := range []bool{false, true} {
			r := open(t, m, AttachOptions{Probes: []Probe{Code{Below: sign3}}, Sites: site.Options{MaxPool: true}, Pack: PackUnsigned}, batch)
			host, graph := crossings(t, r, ds, Complexity{Frame: frame, Radii: []float64{1, 2}, Center: true, Sign3: sign3})
			if !slices.Equal(host.ints("count"), graph.ints("count")) || !slices.Equal(host.cols["count"].Null, graph.cols["count"].Null) {
				t.Errorf("batch %d, sign3 %v: the host has %v %v, the graph %v %v", batch, sign3, host.ints("count"), host.cols["count"].Null, graph.ints("count"), graph.cols["count"].Null)
			}
		}
	}
}

// Where vertices are made follows from the device and from what there is to gain.
func TestWhereVerticesAreMade(t *testing.T) {
	frame, err := NewFrame(20, 100, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		device string
		batch  int
		dtype  tensor.DType
		want   bool
	}{
		{"cpu", 64, tensor.Float32, false}, {"cuda", 64, tensor.Float32, true}, {"cuda", 1, tensor.Float32, false},
		{"cuda", 4, tensor.Float32, false}, {"cuda", 64, tensor.Uint8, false}, {"cuda", 64, tensor.Float16, true},
	} {
		r := &Prober{Plan: &Plan{Fit: Fit{DType: c.dtype}}, Batch: c.batch, Options: engine.Options{Device: engine.Device{Kind: c.device}}}
		if got := r.inGraph(&Complexity{Frame: frame, Radii: []float64{1}}); got != c.want {
			t.Errorf("%+v: in the graph %v", c, got)
		}
	}
	nb := Complexity{Frame: frame}
	for n, want := range map[int]int{1: 1, 2: 2, 40: 2, 41: 2, 42: 3, 64: 3, 81: 3, 82: 4} {
		if got := nb.groups(n); got != want {
			t.Errorf("%d vertices lie around up to %d points, want %d", n, got, want)
		}
	}
}
