package rewrite_test

import (
	"context"
	"math"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A narrowed model takes and gives the types it did, holds and computes nothing but
// float16 within, and its logits are PyTorch's to within that.
func TestNarrowOwnModels(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for _, c := range enginetest.Ship(t, "../../testdata") {
		t.Run(c.Name, func(t *testing.T) {
			n, err := rewrite.Narrow(c.Model)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := n.Graph.Inputs[0], c.Model.Graph.Inputs[0]; a.Name != b.Name || a.DType != b.DType {
				t.Errorf("the input is %v %s, was %v %s", a.Name, a.DType, b.Name, b.DType)
			}
			for i, v := range c.Model.Graph.Outputs {
				if o := n.Graph.Outputs[i]; o.Name != v.Name || o.DType != v.DType {
					t.Errorf("an output is %v %s, was %v %s", o.Name, o.DType, v.Name, v.DType)
				}
			}
			for _, w := range n.Tensors() {
				if w.DType == tensor.Float64 || w.DType == tensor.BFloat16 || w.DType == tensor.Float32 && len(w.Dims) > 1 {
					t.Errorf("the constant %q is %s", w.Name, w.DType)
				}
			}
			s, err := ort.Backend{}.Prepare(context.Background(), n, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out, err := s.Run(context.Background(), []*tensor.Tensor{c.Batch()})
			if err != nil {
				t.Fatal(err)
			}
			got, want := out[0].Float64s(), c.Logits.Float64s()
			scale, worst := 0.0, 0.0
			for i, v := range got {
				scale, worst = max(scale, math.Abs(want[i])), max(worst, math.Abs(v-want[i]))
				if v != v {
					worst = math.NaN()
				}
			}
			// Every step rounds to 11 bits.
			if !(worst <= 0.02*scale) || worst == 0 {
				t.Errorf("the logits are up to %g off, of %g", worst, scale)
			}
		})
	}
}

// Weights round to the nearest half; those beyond stop at the largest, and infinities
// stay. An output that is an input is handed through.
func TestNarrowNumbers(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	inf := float32(math.Inf(1))
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
		Inputs:       []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 4}})},
		Outputs:      []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil), onnx.NewValue("x", tensor.Float32, nil), onnx.NewValue("z", tensor.Float64, nil)},
		Initializers: []*onnx.Tensor{onnx.NewTensor("w", tensor.Of([]float32{1e9, -1e9, inf, 1 + 1.0/4096}, 4))},
		Nodes: []*onnx.Node{
			{Name: "a", Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}},
			{Name: "c", Op: "Cast", Inputs: []string{"y"}, Outputs: []string{"z"}, Attrs: []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, Int: int64(tensor.Float64)}}}}}}
	n, err := rewrite.Narrow(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ort.Backend{}.Prepare(context.Background(), n, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := tensor.Of([]float32{0, 0, 0, 0}, 4)
	got, err := s.Run(context.Background(), []*tensor.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Equal(got, []*tensor.Tensor{tensor.Of([]float32{65504, -65504, inf, 1}, 4), x, tensor.Of([]float64{65504, -65504, float64(inf), 1}, 4)}, 0); err != nil {
		t.Error(err)
	}
}
