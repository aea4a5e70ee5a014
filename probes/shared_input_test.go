package probes

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// timed bends x t + v, of a vector x for each item and a number t and a vector v for
// all, which are inputs, or without a name for them constants.
func timed(t *testing.T, time, vector string) *onnx.Model {
	return network(t, 3, func(e *rewrite.Edit, x string) string {
		s, v := time, vector
		if s == "" {
			s, v = e.Const(tensor.Scalar(float32(-2))), e.Const(tensor.Of([]float32{1, 0, -1}, 3))
		} else {
			e.Graph.Inputs = []*onnx.Value{onnx.NewValue(s, tensor.Float32, []onnx.Dim{}), e.Graph.Inputs[0], onnx.NewValue(v, tensor.Float32, []onnx.Dim{{Size: 3}})}
		}
		return e.Op("Relu", nil, e.Op("Add", nil, e.Op("Mul", nil, x, s), v))
	})
}

// Inputs without a batch axis are as constants are, in batches of any size.
func TestInputsThatAllItemsShare(t *testing.T) {
	m, plain := timed(t, "t", "v"), timed(t, "", "")
	items := points([]int{3}, [][]float32{{1, 2, 3}, {0, 0, 0}, {-1, .4, -.6}, {.5, -1, 1}, {.4, 1, -1}})
	time, err := dataset.ConstantSide("t", tensor.Float32, []int{}, "-2")
	if err != nil {
		t.Fatal(err)
	}
	vector, err := dataset.ConstantSide("v", tensor.Float32, []int{3}, "1,0,-1")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Beside(items, vector, time)
	if err != nil {
		t.Fatal(err)
	}
	codes := func(m *onnx.Model, b engine.Backend, ds dataset.Dataset, size int) []byte {
		p, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Open(context.Background(), b, engine.Options{}, size)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := &memory{}
		if _, err := r.Write(context.Background(), ds, got, RunOptions{}, Digest{}, Code{}); err != nil {
			t.Fatal(err)
		}
		return got.cols["code"].Values.([]uint8)
	}
	want := codes(plain, gorgonia.Backend{}, items, 1)
	if slices.Equal(want, bytes.Repeat(want[:1], len(want))) {
		t.Fatalf("all items have the code %x", want[0])
	}
	for _, b := range []engine.Backend{gorgonia.Backend{}, ort.Backend{}} {
		if b.Available(engine.Options{}) != nil {
			continue
		}
		for _, size := range []int{1, 2, 8} {
			if got := codes(m, b, ds, size); !bytes.Equal(got, want) {
				t.Errorf("on %s in batches of %d: the codes %x, want %x", b.Name(), size, got, want)
			}
		}
	}
	r := open(t, m, AttachOptions{}, 2)
	if _, err := r.Infer(context.Background(), tensor.Of(make([]float32, 6), 2, 3), tensor.Scalar(float32(1)), tensor.Of(make([]float32, 3), 3)); err != nil {
		t.Errorf("given as the model takes them: %v", err)
	}
	// A row for each item is not what such an input takes.
	vector.Shared, vector.Rows = false, tensor.Of(make([]float32, 15), 5, 3)
	if ds, err = dataset.Beside(items, vector, time); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, m, AttachOptions{}, 2).Write(context.Background(), ds, &memory{}, RunOptions{}, Digest{})
	if says := `input "v" (float32 [3]) has no batch axis`; err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a row for each item: %v, want %q", err, says)
	}
	nb := Complexity{Radii: []float64{1}, Input: "v"}
	if nb.Frame, err = NewFrame(2, 3, 1); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, m, AttachOptions{}, 2).Write(context.Background(), ds, &memory{}, RunOptions{}, nb)
	if says := "has no batch axis"; err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a frame over it: %v, want %q", err, says)
	}
	m.Graph.Inputs = m.Graph.Inputs[:1]
	if _, err := DataInput(m); err == nil || !strings.Contains(err.Error(), `"t" is one number`) {
		t.Errorf("no other input than a number: %v", err)
	}
}
