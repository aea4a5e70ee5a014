package probes

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// windows bends items of [4, 2], cut in two windows of 4 numbers that lie in the first
// axis, and a constant of 3 rows, which is no site. batch 0 leaves the batch open; astray lays all first
// windows before the second ones; scale is a factor of the items.
func windows(t *testing.T, batch int64, astray bool, scale float32) *onnx.Model {
	return network(t, 4, func(e *rewrite.Edit, x string) string {
		lead := onnx.Dim{Size: -1, Param: "batch"}
		if batch > 0 {
			lead = onnx.Dim{Size: batch}
		}
		e.Graph.Inputs = []*onnx.Value{onnx.NewValue(x, tensor.Float32, []onnx.Dim{lead, {Size: 4}, {Size: 2}})}
		ints := func(v ...int64) string { return e.Const(tensor.Of(v, len(v))) }
		if astray {
			x = e.Op("Transpose", map[string]any{"perm": []int64{1, 0, 2}}, e.Op("Reshape", nil, x, ints(-1, 2, 4)))
		}
		x = e.Op("Mul", nil, e.Op("Reshape", nil, x, ints(-1, 4)), e.Const(tensor.Scalar(scale)))
		a := e.Op("Relu", nil, e.Op("Add", nil, x, e.Const(tensor.Of([]float32{.25, 0, -.25, .5}, 4))))
		row := e.Op("Relu", nil, e.Op("Neg", nil, e.Const(tensor.Of([]float32{1, -1, 1, 1, 1, -1, -1, 1, 1, -1, 1, 1}, 3, 4))))
		return e.Op("Reshape", nil, e.Op("Add", nil, a, e.Op("ReduceSum", map[string]any{"keepdims": 0}, row, ints(0))), ints(-1, 8))
	})
}

// The codes of a batch that the export fixes are those of the items one by one, where
// windows lie in the first axis.
func TestWindowsInAFixedBatch(t *testing.T) {
	items := make([]float32, 6*8)
	for i := range items {
		items[i] = float32(i*i%13)/6 - 1
	}
	for _, b := range []engine.Backend{gorgonia.Backend{}, ort.Backend{}} {
		if b.Available(engine.Options{}) != nil {
			continue
		}
		for _, o := range []AttachOptions{{}, {Probes: below}, {Pack: PackPortable}} {
			want := codesOf(t, openOn(t, b, windows(t, 0, false, 1), o, 1), items, 6)
			for _, n := range []int64{2, 3} {
				r := openOn(t, b, windows(t, n, false, 1), o, 1)
				if got := codesOf(t, r, items, 6); !bytes.Equal(got, want) || len(got) != 6 {
					t.Errorf("%s, %+v: in a batch of %d the codes are %x, one by one %x", b.Name(), o, n, got, want)
				}
				if f := r.Plan.Fit.Folded; !strings.Contains(r.Plan.Fit.FoldedNote(), "of 1 site(s) holds several rows") || len(f) != 1 || f[0] != "Relu" || r.Batch != int(n) {
					t.Errorf("folded are %q, in a batch of %d", f, r.Batch)
				}
			}
		}
	}
}

// Rows of a first axis that do not lie item by item are no codes of items.
func TestRowsThatDoNotLieItemByItem(t *testing.T) {
	for want, m := range map[string]*onnx.Model{
		`so that they do not lie item by item: ["Relu"]`: windows(t, 2, true, 1),
		`which are the same for random items: ["Relu"]`:  windows(t, 2, false, 0),
	} {
		p, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := p.Open(context.Background(), gorgonia.Backend{}, engine.Options{}, 2); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "choose others") {
			t.Errorf("got %v, %v, want an error with %q", r, err, want)
		}
	}
	// What a pool takes the largest of must lead with the batch, also where a site reads it.
	m := network(t, 4, func(e *rewrite.Edit, x string) string {
		e.Graph.Inputs[0].Shape = []onnx.Dim{{Size: 2}, {Size: 2}, {Size: 3}, {Size: 4}}
		x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{4, 1, 3, 4}, 4)))
		a := e.Op("Relu", nil, x)
		pool := map[string]any{"kernel_shape": []int64{3, 4}}
		return e.Op("Add", nil, e.Op("MaxPool", pool, x), a)
	})
	if _, err := Attach(m, AttachOptions{Sites: site.Options{MaxPool: true}}); err == nil || !strings.Contains(err.Error(), `does not hold its items: ["MaxPool"]`) {
		t.Errorf("a pool in windows: %v", err)
	}
	// Of 5 items in 3 rows there is none.
	m = network(t, 3, func(e *rewrite.Edit, x string) string {
		e.Graph.Inputs[0].Shape[0] = onnx.Dim{Size: 5}
		return e.Op("Relu", nil, e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{3, 5}, 2))))
	})
	if _, err := Attach(m, AttachOptions{}); err == nil || !strings.Contains(err.Error(), `fixes the batch at 5, and the first axis of 1 site(s) does not hold its items: ["Relu"]`) {
		t.Errorf("got %v", err)
	}
}

// A model that runs item by item says so in its file, so that no runtime takes several.
func TestAttachedModelOfOneItemTakesOne(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	p, err := Attach(windows(t, 0, false, 1), AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "probed.onnx")
	if err := p.Model.Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(m.Graph.Outputs[1:], m.Graph.Inputs...) {
		if v.Shape[0] != (onnx.Dim{Size: 1}) {
			t.Errorf("%s is declared %s, not for one item", v.Name, describe(v))
		}
	}
	s, err := (ort.Backend{}).Prepare(context.Background(), m, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n, ok := range map[int]bool{1: true, 4: false} {
		if _, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(make([]float32, n*8), n, 4, 2)}); (err == nil) != ok {
			t.Errorf("a batch of %d: %v", n, err)
		}
	}
}
