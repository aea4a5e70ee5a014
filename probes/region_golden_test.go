package probes

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// eachRegionGolden runs f for every model of testdata/models/region that has sites,
// with what testdata/export/regions.py wrote of it.
func eachRegionGolden(t *testing.T, f func(t *testing.T, g *golden, m *onnx.Model)) {
	files, err := filepath.Glob("../testdata/golden/region/*.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d goldens in testdata/golden/region, want at least 7: %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g := &golden{}
		if err := json.Unmarshal(b, g); err != nil {
			t.Fatal(err)
		}
		if g.arrays, err = tensor.ReadNpzFile(strings.TrimSuffix(file, ".json") + ".npz"); err != nil {
			t.Fatal(err)
		}
		for _, name := range g.Models {
			t.Run(strings.TrimSuffix(name, ".onnx"), func(t *testing.T) {
				m, err := onnx.Load("../testdata/models/region/" + name)
				if err != nil {
					t.Fatal(err)
				}
				f(t, g, m)
			})
		}
	}
}

func TestRegionSitesAreThoseOfPyTorch(t *testing.T) {
	eachRegionGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		p, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		compareSites(t, p.Sites, g.Sites)
		if _, box := g.arrays["box"]; box != (len(p.Fit.Others) == 1) || box && p.Fit.Others[0].Name != "box" {
			t.Errorf("the inputs besides %q are %v; want box: %v", p.Fit.Input, p.Fit.Others, box)
		}
	})
}

// The region is the second input. Outputs lie within the tolerance of PyTorch's, and
// each bit is PyTorch's but those whose value lies within it of the knot.
func TestRegionCodesAreThoseOfPyTorch(t *testing.T) {
	eachRegionGolden(t, func(t *testing.T, g *golden, m *onnx.Model) {
		for _, b := range backends.All {
			t.Run(b.Name(), func(t *testing.T) {
				in, code, near := g.arrays["input"], tensor.Data[uint8](g.arrays["code"]), tensor.Data[uint8](g.arrays["near"])
				n := in.Shape[0]
				if b.Name() == "gorgonia" && slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "RoiAlign" }) {
					t.Skip("the pure-Go engine has no RoiAlign")
				}
				r := openOn(t, b, m, AttachOptions{}, n)
				var others []*tensor.Tensor
				for _, p := range r.Plan.Fit.Others {
					others = append(others, g.arrays[p.Name])
				}
				out, err := r.Infer(context.Background(), in, others...)
				if err != nil {
					t.Fatal(err)
				}
				want := g.arrays["output"]
				if d := distance(out[0], want); d > g.Tolerance*largest(want) {
					t.Errorf("the output differs by %g from PyTorch's, want at most %g", d, g.Tolerance*largest(want))
				}
				got := make([]byte, len(code))
				if r.Plan.CodeBytes()*n != len(code) {
					t.Fatalf("a code of %d bytes, PyTorch's has %d", r.Plan.CodeBytes(), len(code)/n)
				}
				r.codes(got, out, "code")
				for at := range 8 * len(code) {
					if Bit(got, at) != Bit(code, at) && !Bit(near, at) {
						t.Fatalf("bit %d of the codes differs and its value is not near the knot", at)
					}
				}
			})
		}
	})
}

// An input that is missing is said, not guessed.
func TestRunWantsEveryInput(t *testing.T) {
	m, err := onnx.Load("../testdata/models/region/regionblip_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, m, AttachOptions{}, 1)
	x, _ := tensor.New(tensor.Float32, 1, 3, 32, 32)
	if _, err := r.Infer(context.Background(), x); err == nil || !strings.Contains(err.Error(), "1 inputs besides") {
		t.Errorf("a run without its box gives %v", err)
	}
}

// RoiAlign of ONNX Runtime is torchvision's: coordinates at the corners or in the
// middle of pixels, a fixed number of samples or one that follows from the region.
func TestRoiAlignIsThatOfTorchvision(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	a, err := tensor.ReadNpzFile("../testdata/golden/region/roi_align.npz")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aligned_2", "aligned_adaptive", "unaligned_2", "unaligned_adaptive"} {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load("../testdata/models/region/roi_align_" + name + ".onnx")
			if err != nil {
				t.Fatal(err)
			}
			s, err := ort.Backend{}.Prepare(context.Background(), m, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out, err := s.Run(context.Background(), []*tensor.Tensor{a["features"], a["box"]})
			if err != nil {
				t.Fatal(err)
			}
			want := a["roi_align_"+name]
			if d := distance(out[0], want); d > 1e-6 {
				t.Errorf("the pooled regions differ by %g from torchvision's", d)
			}
		})
	}
}

// distance is the largest difference of two tensors of equal shapes, infinite when they
// are not equal or a number is missing.
func distance(a, b *tensor.Tensor) (most float64) {
	if !slices.Equal(a.Shape, b.Shape) {
		return math.Inf(1)
	}
	w := b.Float64s()
	for i, v := range a.Float64s() {
		d := math.Abs(v - w[i])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		most = max(most, d)
	}
	return most
}

// Inputs lead with the same batch, and only that which samples enter by may leave
// its shape open.
func TestInputsThatDoNotFitAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(image, box *onnx.Value)
		want   string
	}{
		"boxes for all":     {func(_, box *onnx.Value) { box.Shape = []onnx.Dim{{Size: 3}, {Size: 4}} }, "first axes must both be the batch"},
		"another batch":     {func(_, box *onnx.Value) { box.Shape[0] = onnx.Dim{Size: 2} }, "first axes must both be the batch"},
		"an open shape":     {func(_, box *onnx.Value) { box.Shape[1] = onnx.Dim{Size: -1, Param: "n"} }, `only that of "input" may be`},
		"a picture of ints": {func(image, _ *onnx.Value) { image.DType = tensor.Int64 }, "takes int64"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load("../testdata/models/region/regionblip_dynamo.onnx")
			if err != nil {
				t.Fatal(err)
			}
			c.change(m.Graph.Inputs[0], m.Graph.Inputs[1])
			if _, err := Attach(m, AttachOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Attach gives %v, want an error with %q", err, c.want)
			}
		})
	}
}

// The box may come before the picture.
func TestInputsInAnyOrder(t *testing.T) {
	m, err := onnx.Load("../testdata/models/region/regionblip_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	a, err := tensor.ReadNpzFile("../testdata/golden/region/regionblip.npz")
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(m.Graph.Inputs)
	r := open(t, m, AttachOptions{}, 3)
	out, err := r.Infer(context.Background(), a["input"], a["box"])
	if err != nil {
		t.Fatal(err)
	}
	if d := distance(out[0], a["output"]); d > 1e-4*largest(a["output"]) {
		t.Errorf("the output differs by %g from PyTorch's", d)
	}
}
