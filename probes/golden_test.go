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
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// golden is what testdata/export/export.py wrote of one network: the numbers that
// PyTorch itself gives, from the values before each activation.
type golden struct {
	Models    []string
	Sites     []site.Site
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

// eachEngine runs f for every shipped model on every engine.
func eachEngine(t *testing.T, f func(t *testing.T, g *golden, m *onnx.Model, b engine.Backend)) {
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		for _, b := range backends.All {
			t.Run(b.Name(), func(t *testing.T) { f(t, g, m, b) })
		}
	})
}

func open(t *testing.T, m *onnx.Model, o AttachOptions, batch int) *Prober {
	t.Helper()
	return openOn(t, ort.Backend{}, m, o, batch)
}

func openOn(t *testing.T, b engine.Backend, m *onnx.Model, o AttachOptions, batch int) *Prober {
	t.Helper()
	enginetest.Need(t, b, engine.Options{})
	p, err := Attach(m, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(context.Background(), b, engine.Options{}, batch)
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
	codes, _, _, err := s.codes(context.Background(), samples{n: n, x: tensor.Of(x, append([]int{n}, r.Plan.Fit.Sample...)...)})
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

func compareSites(t *testing.T, got, want []site.Site) {
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
	var want struct{ Models map[string][]site.Site }
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
	eachEngine(t, func(t *testing.T, g *golden, m *onnx.Model, b engine.Backend) {
		in, code, near := g.arrays["input"], tensor.Data[uint8](g.arrays["code"]), tensor.Data[uint8](g.arrays["near"])
		n := in.Shape[0]
		r := openOn(t, b, m, AttachOptions{}, 5) // the last batch is padded
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
	eachEngine(t, func(t *testing.T, g *golden, m *onnx.Model, b engine.Backend) {
		r := openOn(t, b, m, AttachOptions{}, 4)
		for i, v := range m.Graph.Outputs {
			if got := r.Plan.Model.Graph.Outputs[i].Name; got != v.Name {
				t.Errorf("output %d is called %q, want %q", i, got, v.Name)
			}
		}
		s := &side{code: r}
		x, want := g.arrays["input"], g.arrays["logits"]
		_, own, _, err := s.codes(context.Background(), samples{n: x.Shape[0], x: x})
		if err != nil {
			t.Fatal(err)
		}
		w := want.Float64s()
		scale, per := largest(want), len(w)/x.Shape[0]
		for i := range own {
			if d := furthest(own[i], w[i*per:(i+1)*per]); len(own[i]) != per || d > g.Tolerance*scale {
				t.Fatalf("item %d: %d outputs that differ by up to %g from PyTorch's; want %d within %g", i, len(own[i]), d, per, g.Tolerance*scale)
			}
		}
	})
}

// The engines give one another's codes but for bits whose value float64 puts within
// the golden's tolerance of the knot, relative to the site's largest value. The
// program without cgo is the pure-Go engine alone, so this holds for its demo too.
func TestEnginesGiveOneAnothersCodes(t *testing.T) {
	judge := Setting{Backend: gorgonia.Backend{}, Batch: 1, Double: true}
	eachGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		in := g.arrays["input"]
		first := backends.All[0]
		enginetest.Need(t, first, engine.Options{})
		x, n := tensor.Data[float32](in), in.Shape[0]
		want := codesOf(t, openOn(t, first, m, AttachOptions{}, 5), x, n)
		for _, b := range backends.All[1:] {
			r := openOn(t, b, m, AttachOptions{}, 5)
			fragile := logFlips(t, r.Plan, want, codesOf(t, r, x, n), n)
			d, err := Compare(context.Background(), m, AttachOptions{}, pointsOf(in, n),
				Setting{Backend: first, Batch: 5}, Setting{Backend: b, Batch: 5}, CompareOptions{Judge: &judge})
			if err != nil {
				t.Fatal(err)
			}
			bits, flips := int64(0), int64(0)
			for _, s := range d.Sites {
				bits, flips = bits+s.Bits, flips+s.Flips
				if s.Flips > 0 && !(s.Margin <= g.Tolerance*s.Scale) {
					t.Errorf("%s: %s and %s differ in a bit whose value is %g from the knot, want at most %g", s.Site, first.Name(), b.Name(), s.Margin, g.Tolerance*s.Scale)
				}
			}
			total := 0
			for i := range r.Plan.Sites {
				total += n * r.Plan.Sites[i].Units * r.Plan.Sites[i].Planes()
			}
			if flips != int64(fragile) || bits != int64(total) || d.Items != n || d.Failed != 0 || flips*10_000 > bits {
				t.Errorf("%d of %d bits differ in %d items of which %d failed; want %d of %d in %d, next to none", flips, bits, d.Items, d.Failed, fragile, total, n)
			}
			if !(d.Outputs <= g.Tolerance*largest(g.arrays["logits"])) {
				t.Errorf("the outputs differ by %g", d.Outputs)
			}
		}
	})
}

// logFlips names the bits in which the codes of n items differ, and counts them.
func logFlips(t *testing.T, p *Plan, a, b []byte, n int) (flips int) {
	t.Helper()
	for i := range n {
		offset := i * p.CodeBytes()
		for s := range p.Sites {
			site := &p.Sites[s]
			for bit := range site.Units * site.Planes() {
				if Bit(a, 8*offset+bit) != Bit(b, 8*offset+bit) {
					flips++
					t.Logf("fragile: item %d, site %s, unit %d, knot %d", i, site.Name, bit%site.Units, bit/site.Units)
				}
			}
			offset += site.Bytes()
		}
	}
	return flips
}

func largest(x *tensor.Tensor) (most float64) {
	for _, v := range x.Float64s() {
		most = max(most, v, -v)
	}
	return most
}
