package probes

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// golden is what testdata/export/export.py wrote of one network: the numbers that
// PyTorch itself gives, from the values before each activation.
type golden struct {
	Models    []string
	Sites     []Site
	Tolerance float64
	arrays    map[string]*tensor.Tensor
}

func goldens(t *testing.T) map[string]*golden {
	t.Helper()
	files, err := filepath.Glob("../testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*golden{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		g := &golden{}
		if err := json.Unmarshal(b, g); err != nil || len(g.Models) == 0 {
			continue
		}
		if g.arrays, err = tensor.ReadNpzFile(strings.TrimSuffix(f, ".json") + ".npz"); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = g
	}
	if len(all) < 7 {
		t.Fatalf("%d goldens in testdata/golden, want at least 7", len(all))
	}
	return all
}

// eachGolden runs f for every shipped model with its golden numbers.
func eachGolden(t *testing.T, f func(t *testing.T, g *golden, m *onnx.Model)) {
	for _, g := range goldens(t) {
		for _, file := range g.Models {
			t.Run(strings.TrimSuffix(file, ".onnx"), func(t *testing.T) {
				m, err := onnx.Load("../testdata/models/" + file)
				if err != nil {
					t.Fatal(err)
				}
				f(t, g, m)
			})
		}
	}
}

func open(t *testing.T, m *onnx.Model, o AttachOptions, batch int) *Prober {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	p, err := Attach(m, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(context.Background(), ort.Backend{}, engine.Options{}, batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// codesOf runs samples through a prober, in its batches.
func codesOf(t *testing.T, r *Prober, x []float32, n int) []byte {
	t.Helper()
	s := &side{code: r}
	codes, _, err := s.codes(context.Background(), x, n)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

func TestSitesAreThoseOfPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		p, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		compareSites(t, p.Sites, g.Sites)
	})
}

func compareSites(t *testing.T, got, want []Site) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d sites, want %d", len(got), len(want))
	}
	for i := range got {
		a, b := got[i], want[i]
		if a.Name != b.Name || a.Units != b.Units || a.Smooth != b.Smooth || !slices.Equal(a.Shape, b.Shape) || len(a.Knots) != len(b.Knots) {
			t.Errorf("site %d is %s %v %v smooth %v, want %s %v %v smooth %v", i, a.Name, a.Shape, a.Knots, a.Smooth, b.Name, b.Shape, b.Knots, b.Smooth)
			continue
		}
		for k := range a.Knots {
			if float32(a.Knots[k]) != float32(b.Knots[k]) {
				t.Errorf("site %s has knots %v, want %v", a.Name, a.Knots, b.Knots)
			}
		}
	}
}

// The structure files are torchvision's networks without their weights.
func TestSitesOfWellKnownNetworks(t *testing.T) {
	b, err := os.ReadFile("../testdata/golden/structure.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Models map[string][]Site }
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	totals := map[string][2]int{"resnet50": {49, 9_608_704}, "resnet18": {17, 2_308_096}, "preact_resnet18": {16, 137_216}}
	for name, sites := range want.Models {
		for _, exporter := range []string{"dynamo", "torchscript"} {
			t.Run(name+"_"+exporter, func(t *testing.T) {
				m, err := onnx.LoadWith("../testdata/models/structure/"+name+"_"+exporter+".onnx", onnx.LoadOptions{NoData: true})
				if err != nil {
					t.Fatal(err)
				}
				p, err := Attach(m, AttachOptions{})
				if err != nil {
					t.Fatal(err)
				}
				compareSites(t, p.Sites, sites)
				if w, ok := totals[name]; ok && (len(p.Sites) != w[0] || p.Units() != w[1]) {
					t.Errorf("%d sites of %d units, want %d of %d", len(p.Sites), p.Units(), w[0], w[1])
				}
			})
			delete(totals, name+"_"+exporter)
		}
	}
	for name := range totals {
		if want.Models[name] == nil {
			t.Errorf("structure.json lacks %s", name)
		}
	}
}

// Every bit equals PyTorch's except where the value lies within the golden's
// tolerance of its knot, relative to the site's largest value: there two correct
// roundings of one convolution may fall on either side.
func TestCodesAreThoseOfPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		in, code, near := g.arrays["input"], tensor.Data[uint8](g.arrays["code"]), tensor.Data[uint8](g.arrays["near"])
		n := in.Shape[0]
		r := open(t, m, AttachOptions{}, 5) // the last batch is padded
		width := r.Plan.CodeBytes()
		if width != len(code)/n {
			t.Fatalf("a code of %d bytes, PyTorch's has %d", width, len(code)/n)
		}
		got := codesOf(t, r, tensor.Data[float32](in), n)
		offset, allowed := 0, 0
		for _, s := range r.Plan.Sites {
			for i := range n {
				for b := range s.Units * s.Planes() {
					at := (i*width+offset)*8 + b
					if Bit(got, at) == Bit(code, at) {
						continue
					}
					if !Bit(near, at) {
						t.Fatalf("site %s, item %d: bit %d differs and its value is not near the knot", s.Name, i, b)
					}
					allowed++
					t.Logf("site %s, item %d: bit %d differs, its value within %g of the knot", s.Name, i, b, g.Tolerance)
				}
				for b := s.Units * s.Planes(); b < 8*s.Bytes(); b++ {
					if Bit(got, (i*width+offset)*8+b) {
						t.Fatalf("site %s, item %d: padding bit %d is set", s.Name, i, b)
					}
				}
			}
			offset += s.Bytes()
		}
		if total := 8 * len(code); allowed*10_000 > total {
			t.Errorf("%d of %d bits lie near their knot and differ: more than rounding explains", allowed, total)
		}
	})
}

// The original outputs keep their names, order and values.
func TestOutputsStayThoseOfTheModel(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		r := open(t, m, AttachOptions{}, 4)
		for i, v := range m.Graph.Outputs {
			if got := r.Plan.Model.Graph.Outputs[i].Name; got != v.Name {
				t.Errorf("output %d is called %q, want %q", i, got, v.Name)
			}
		}
		s := &side{code: r}
		x, want := g.arrays["input"], g.arrays["logits"]
		_, own, err := s.codes(context.Background(), tensor.Data[float32](x), x.Shape[0])
		if err != nil {
			t.Fatal(err)
		}
		w := want.Float64s()
		scale, per := 0.0, len(w)/x.Shape[0]
		for _, v := range w {
			scale = max(scale, v, -v)
		}
		for i := range own {
			if d := furthest(own[i], w[i*per:(i+1)*per]); len(own[i]) != per || d > g.Tolerance*scale {
				t.Fatalf("item %d: %d outputs that differ by up to %g from PyTorch's; want %d within %g", i, len(own[i]), d, per, g.Tolerance*scale)
			}
		}
	})
}
