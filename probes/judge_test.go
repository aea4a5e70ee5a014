package probes

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
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

// swallows is a network whose float32 arithmetic loses what its input adds to a
// large number, so that its bit is 0 although the value is above 0.
func swallows(t *testing.T) *onnx.Model {
	return network(t, 3, func(e *rewrite.Edit, x string) string {
		big := e.Const(tensor.Scalar(float32(1 << 27)))
		return e.Op("Relu", nil, e.Op("Sub", nil, e.Op("Add", nil, x, big), big))
	})
}

// The judge's bit is that of one of the sides, and the margins are the judge's.
func TestJudgeDecides(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	single := Setting{Backend: ort.Backend{}, Batch: 2}
	wide := Setting{Backend: ort.Backend{}, Batch: 2, Double: true}
	wrong := Setting{Backend: flipping{}, Batch: 2}
	one := Setting{Backend: ort.Backend{}, Batch: 1, Double: true}
	// 1 and 2 are lost in float32; 64 survives; -1 and 0 are not above 0 either way.
	lost := points([]int{3}, [][]float32{{1, 64, -1}, {64, 64, 64}, {0, 0.5, 2}, nil})
	relu := network(t, 3, op("Relu", nil))
	// The flipping engine has the third bit of each batch's first item wrong.
	plain := points([]int{3}, [][]float32{{1, -2, 0}, {1, 2, 3}, {4, 5, -7}})
	pooled := network(t, 16, func(e *rewrite.Edit, x string) string {
		x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{-1, 1, 4, 4}, 4)))
		return e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, x)
	})
	picture := points([]int{16}, [][]float32{{9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7}})
	for _, c := range []struct {
		name          string
		m             *onnx.Model
		o             AttachOptions
		ds            dataset.Dataset
		a, b          Setting
		forA, forB    int64
		margin, scale float64
	}{
		{"float64 on side b", swallows(t), AttachOptions{}, lost, single, wide, 0, 3, 2, 64},
		{"float64 on side a", swallows(t), AttachOptions{}, lost, wide, single, 3, 0, 2, 64},
		{"a wrong bit on side b", relu, AttachOptions{}, plain, single, wrong, 2, 0, 7, 7},
		{"a wrong bit on side a", relu, AttachOptions{}, plain, wrong, single, 0, 2, 7, 7},
		{"nothing to decide", relu, AttachOptions{}, plain, single, single, 0, 0, 0, 0},
		{"an arg-max", pooled, AttachOptions{Sites: site.Options{MaxPool: true}}, picture, wrong, single, 0, 1, 0, 0},
	} {
		d, err := Compare(context.Background(), c.m, c.o, c.ds, c.a, c.b, CompareOptions{Judge: &one})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := d.Sites[0]
		if d.Judge != "ort" || *d.ForA != c.forA || *d.ForB != c.forB || *s.ForA != c.forA || *s.ForB != c.forB || s.Flips != c.forA+c.forB {
			t.Errorf("%s: %d flips, %d for a and %d for b, want %d and %d", c.name, s.Flips, *d.ForA, *d.ForB, c.forA, c.forB)
		}
		if s.Margin != c.margin || s.Scale != c.scale {
			t.Errorf("%s: margin %g of %g, want %g of %g", c.name, s.Margin, s.Scale, c.margin, c.scale)
		}
	}
	d, err := Compare(context.Background(), relu, AttachOptions{}, plain, single, wrong, CompareOptions{})
	if err != nil || d.Judge != "" || d.ForA != nil || d.Sites[0].ForB != nil {
		t.Errorf("without a judge: %+v, %v", d, err)
	}
}

// Side by side, a model and the same widened have the same sites, whatever it is
// made of, and the plan says which precision it computes in.
func TestWidenedModelsHaveTheSameSites(t *testing.T) {
	files, err := filepath.Glob("../testdata/models/*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d models, %v", len(files), err)
	}
	for _, file := range files {
		m, err := onnx.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := rewrite.Widen(m)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		o := AttachOptions{Sites: site.Options{MaxPool: true, Gemm: true}}
		a, errA := Attach(m, o)
		b, errB := Attach(w, o)
		if errA != nil || errB != nil {
			t.Errorf("%s: %v, widened %v", file, errA, errB)
			continue
		}
		if err := sameSites(a, b); err != nil {
			t.Errorf("%s: widened: %v", file, err)
		}
		for i := range a.Sites {
			if x, y := a.Sites[i], b.Sites[i]; !slices.Equal(x.Knots, y.Knots) || x.Pre != y.Pre || x.Smooth != y.Smooth || y.Value.DType != tensor.Float64 {
				t.Errorf("%s: %+v is widened to %+v", file, x, y)
			}
		}
		if a.Precision() == "float64" || b.Precision() != "float64" {
			t.Errorf("%s: %s is widened to %s", file, a.Precision(), b.Precision())
		}
		// What the network hands out is not what it computes in.
		c, err := rewrite.Apply(m, rewrite.Pass{Name: "widen the outputs", Do: func(e *rewrite.Edit) error {
			e.Output(e.Op("Cast", map[string]any{"to": int(tensor.Float64)}, m.Graph.Outputs[0].Name), tensor.Float64, nil)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Attach(c, o); err != nil || d.Precision() != a.Precision() {
			t.Errorf("%s: with an output in float64 it is %s, %v", file, d.Precision(), err)
		}
		p, err := Plain(w, nil)
		if err != nil || p.Precision() != "float64" {
			t.Errorf("%s: without probes it is %v, %v", file, p.Precision(), err)
		}
	}
}

func TestOtherSitesAreFoundOut(t *testing.T) {
	a := &Plan{Sites: []site.Site{{Name: "relu", Units: 3, Knots: []float64{0}}}}
	for _, s := range [][]site.Site{nil, {{Name: "gelu", Units: 3, Knots: []float64{0}}}, {{Name: "relu", Units: 4, Knots: []float64{0}}}, {{Name: "relu", Units: 3, Knots: []float64{0, 6}}}} {
		if err := sameSites(a, &Plan{Sites: s}); err == nil || !strings.Contains(err.Error(), "side a") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if err := sameSites(a, a); err != nil {
		t.Error(err)
	}
}

// An item for which the network comes upon a NaN has no code to compare.
func TestCompareLeavesOutNaN(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m := network(t, 3, func(e *rewrite.Edit, x string) string { return e.Op("Relu", nil, e.Op("Sqrt", nil, x)) })
	ds := points([]int{3}, [][]float32{{1, 2, 3}, {1, -2, 3}, nil, {4, 5, 6}})
	one := Setting{Backend: ort.Backend{}, Batch: 1, Double: true}
	for _, host := range []bool{false, true} {
		d, err := Compare(context.Background(), m, AttachOptions{}, ds, Setting{Backend: ort.Backend{}, Batch: 2, Host: host},
			Setting{Backend: flipping{}, Batch: 4}, CompareOptions{Judge: &one})
		if err != nil {
			t.Fatal(err)
		}
		s := d.Sites[0]
		if d.Items != 4 || d.Failed != 2 || !slices.Contains(d.Errors, "b: "+errNaN.Error()) || s.Bits != 6 || s.Flips != 1 || s.Items != 1 || *s.ForA != 1 {
			t.Errorf("host %v: %+v, %+v", host, d.Summary, s)
		}
	}
}
