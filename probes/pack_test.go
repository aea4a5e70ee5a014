package probes

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// signPacks counts the nodes of a model that are the operator SignPack.
func signPacks(m *onnx.Model) (n int) {
	for _, node := range m.Graph.Nodes {
		if node.Domain == engine.Domain && node.Op == engine.SignPack {
			n++
		}
	}
	return n
}

// Every output of a network, its codes and counts among them, is the same to the
// bit however the codes are packed, optimised or not: of every shipped model, with
// every option that changes what is packed, in any batch. Which items met a NaN is
// the same too; how that is written is not.
func TestPackingsAgree(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		in := g.arrays["input"]
		if in.DType != tensor.Float32 {
			t.Fatalf("the input is %s", in.DType)
		}
		for _, o := range []AttachOptions{{}, {Probes: below}, {Probes: []Probe{Code{}, Fragile{Within: 1e-3}}}, {Sites: site.Options{MaxPool: true, Gemm: true}}} {
			for _, batch := range []int{1, 3, 8} {
				if batch != 3 && (o.Probes != nil || o.Sites.Gemm) {
					continue
				}
				for _, level := range []string{"", "none"} {
					packingsAgree(t, m, o, engine.Options{Optimize: level}, in, batch)
				}
			}
		}
	})
}

func packingsAgree(t *testing.T, m *onnx.Model, o AttachOptions, eo engine.Options, in *tensor.Tensor, batch int) {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, eo)
	all := tensor.Data[float32](in)
	var want []*tensor.Tensor
	for _, pack := range []Packing{PackPortable, PackUnsigned, PackOperator} {
		o.Pack = pack
		p, err := Attach(m, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := signPacks(p.Model); (got > 0) != (pack == PackOperator) {
			t.Fatalf("%v: %d nodes are %s", pack, got, engine.SignPack)
		}
		r, err := p.Open(context.Background(), ort.Backend{}, eo, batch)
		if err != nil {
			t.Fatal(err)
		}
		if r.Pack != pack {
			t.Errorf("the session packs %v, want %v", r.Pack, pack)
		}
		n := r.Batch * tensor.Count(p.Fit.Sample)
		out, err := r.Infer(context.Background(), tensor.Of(slices.Clone(all[:n]), append([]int{r.Batch}, p.Fit.Sample...)...))
		nan := r.nan(out)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = out
			continue
		}
		if slices.Contains(nan, true) {
			t.Errorf("%v: an item has a NaN", pack)
		}
		for i, v := range p.Model.Graph.Outputs {
			half := p.Fit.DType == tensor.Float16 && i < p.Own // rounded or not, as the engine likes
			if !half && !strings.HasPrefix(v.Name, watched) && !bytes.Equal(out[i].Bytes(), want[i].Bytes()) {
				t.Errorf("%+v, batch %d, optimised %q: output %q is not the one of standard operators", o, r.Batch, eo.Optimize, v.Name)
			}
		}
	}
}

// The edges: sizes that do not fill bytes, several knots, items without a batch
// axis, float64 and float16, every kind of float.
func TestPackingsAgreeOnEdges(t *testing.T) {
	kinds := func(n int) *tensor.Tensor {
		edge := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 6, math.Nextafter32(6, 7), math.Nextafter32(6, 5), 1e-45, -1e-45, 1e-38, 3e38, -3e38,
			float32(math.Inf(1)), float32(math.Inf(-1)), 3, -3, 2.5, -2.5}
		x := make([]float32, n)
		for i := range x {
			x[i] = edge[(i*7+i/len(edge))%len(edge)]
		}
		return tensor.Of(x, n)
	}
	for name, build := range map[string]func(e *rewrite.Edit, x string) string{
		"Relu": op("Relu", nil),
		"Clip": func(e *rewrite.Edit, x string) string { return e.Op("Clip", nil, x, c(e, 0), c(e, 6)) },
		"HardSigmoid and Abs": func(e *rewrite.Edit, x string) string {
			return e.Op("Abs", nil, e.Op("HardSigmoid", nil, x))
		},
		"float64": func(e *rewrite.Edit, x string) string {
			x = e.Op("Cast", map[string]any{"to": int(tensor.Float64)}, x)
			low, high := e.Const(tensor.Scalar(-2.5)), e.Const(tensor.Scalar(0.1)) // 0.1 is no float32
			return e.Op("Cast", map[string]any{"to": int(tensor.Float32)}, e.Op("Clip", nil, x, low, high))
		},
		"float16": func(e *rewrite.Edit, x string) string {
			x = e.Op("Cast", map[string]any{"to": int(tensor.Float16)}, x)
			return e.Op("Cast", map[string]any{"to": int(tensor.Float32)}, e.Op("Relu", nil, x))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, units := range []int{1, 7, 8, 9, 17, 64, 65, 1001} {
				m := network(t, units, build)
				flat := m.Clone() // without an axis for items
				flat.Graph.Inputs[0].Shape = []onnx.Dim{{Size: int64(units)}}
				for _, o := range []AttachOptions{{}, {Probes: below}} {
					for _, batch := range []int{1, 3, 8} {
						packingsAgree(t, m, o, engine.Options{}, kinds(units*batch), batch)
					}
					packingsAgree(t, flat, o, engine.Options{}, kinds(units), 1)
				}
			}
		})
	}
}

// A NaN that a max-pooling may drop is seen with every packing, whether the value
// that is pooled is a site's or not, in float32 and float64.
func TestPackingsSeeNaN(t *testing.T) {
	for _, site := range []bool{true, false} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			m := network(t, 16, func(e *rewrite.Edit, x string) string {
				x = e.Op("Reshape", nil, e.Op("Cast", map[string]any{"to": int(d)}, e.Op("Log", nil, x)), e.Const(tensor.Of([]int64{-1, 1, 4, 4}, 4)))
				if site {
					x = e.Op("Relu", nil, x)
				}
				x = e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, x)
				return e.Op("Cast", map[string]any{"to": int(tensor.Float32)}, e.Op("Relu", nil, x))
			})
			for _, pack := range []Packing{PackPortable, PackUnsigned, PackOperator} {
				r := open(t, m, AttachOptions{Pack: pack}, 17)
				x := slices.Repeat([]float32{2}, 16*17)
				for i := range 16 {
					x[i*17] = -1
				}
				out, err := r.Infer(context.Background(), tensor.Of(x, 17, 16))
				if err != nil {
					t.Fatal(err)
				}
				if got := r.nan(out); slices.Index(got, false) != 16 {
					t.Errorf("site %v, %v, %v: items with a NaN: %v", site, d, pack, got)
				}
				// Its own pass over the values only where no site reads them.
				if n := signPacks(r.Plan.Model); pack == PackOperator && n != 2 {
					t.Errorf("site %v, %v: %d operators, want 2", site, d, n)
				}
			}
		}
	}
}

// Plan.Model stays standard, and Open packs in the way that the backend does best.
func TestPackAuto(t *testing.T) {
	m, err := onnx.Load("../testdata/models/cnn_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, b := range backends.All {
		t.Run(b.Name(), func(t *testing.T) {
			r := openOn(t, b, m, AttachOptions{}, 3)
			if n := signPacks(r.Plan.Model); n != 0 {
				t.Errorf("%d nodes of the plan's model are not standard", n)
			}
			_, able := b.(engine.Packer)
			if (r.Pack == PackOperator) != able || r.Pack == PackAuto {
				t.Errorf("the session packs %v", r.Pack)
			}
			mf, err := r.NewManifest(m)
			if err != nil || mf.Packing != r.Pack.String() {
				t.Errorf("the manifest has packing %q, %v", mf.Packing, err)
			}
			x := make([]float32, 3*tensor.Count(r.Plan.Fit.Sample))
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			got := codesOf(t, r, x, 3)
			if want == nil {
				want = got
			}
			if d := Hamming(got, want); d > 2 { // what rounding may flip
				t.Errorf("%d bits differ from the other engine's", d)
			}
		})
	}
	for _, device := range []string{"cpu", "cuda"} {
		d, err := engine.ParseDevice(device)
		if err != nil {
			t.Fatal(err)
		}
		got := packing(ort.Backend{}, engine.Options{Device: d})
		if want := map[string]Packing{"cpu": PackOperator, "cuda": PackPortable}[device]; got != want {
			t.Errorf("on %s the codes are packed %v, want %v", device, got, want)
		}
	}
	if s := fmt.Sprint(PackAuto, PackPortable, PackUnsigned, PackOperator); s != "auto portable unsigned operator" {
		t.Errorf("the packings are called %s", s)
	}
}

// below are probes that give the bits of both sides.
var below = []Probe{Code{Below: true}}
