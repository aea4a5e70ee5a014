package rewrite_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Every number of a widened model is a float64 of the same value.
func TestWidenOwnModels(t *testing.T) {
	paths, _ := filepath.Glob("../../testdata/models/*.onnx")
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".onnx"), func(t *testing.T) {
			m, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			wide, err := rewrite.Widen(m)
			if err != nil {
				t.Fatal(err)
			}
			if err := wide.Check(); err != nil {
				t.Error(err)
			}
			was := map[string]*onnx.Tensor{}
			for _, c := range m.Graph.Initializers {
				was[c.Name] = c
			}
			for _, c := range wide.Graph.Initializers {
				a, err := m.Values(was[c.Name])
				b, err2 := wide.Values(c)
				if err != nil || err2 != nil || !slices.Equal(a.Float64s(), b.Float64s()) || !slices.Equal(a.Shape, b.Shape) {
					t.Errorf("the weight %q has changed (%v, %v)", c.Name, err, err2)
				}
			}
			narrow := func(d tensor.DType) bool {
				return d == tensor.Float32 || d == tensor.Float16 || d == tensor.BFloat16
			}
			for _, c := range wide.Tensors() {
				if narrow(c.DType) || c.External != nil {
					t.Errorf("the constant %q is %s", c.Name, c.DType)
				}
			}
			for _, v := range slices.Concat(wide.Graph.Inputs, wide.Graph.Outputs, wide.Graph.Values) {
				if narrow(v.DType) {
					t.Errorf("%q is %s", v.Name, v.DType)
				}
			}
			facts, err := wide.Infer(free(m, 2))
			if err != nil {
				t.Fatal(err)
			}
			for name, f := range facts {
				if narrow(f.DType) {
					t.Errorf("%q is %s", name, f.DType)
				}
			}
			low, lowered, err := rewrite.Lower(wide, free(m, 2))
			if err != nil {
				t.Fatal(err)
			}
			if err := speaks(low, lowered); err != nil {
				t.Error(err)
			}
		})
	}
}

// Types that nodes name, or have by default, are widened too, and what ONNX allows
// in float32 alone stays.
func TestWidenNodes(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	consts := map[string]*tensor.Tensor{"scales": floats(1, 1, 2, 2), "n": ints(2, 3), "b": tensor.Of([]float32{.5}, 1)}
	m := graph(17, sh{1, 1, 2, 2}, consts, "y z e q f r c", `
		y = Resize x _ scales mode=linear
		s2 = Mul scales b
		one = Div s2 b
		z = Resize x _ one
		zero = ConstantOfShape n
		e = EyeLike zero dtype=1
		k = Cast e to=10
		f = Cast k to=7
		q8 = QuantizeLinear x b0
		q = DequantizeLinear q8 b0
		b0 = Squeeze b
		r = RandomNormal shape_=0
		c = Constant`)
	for _, n := range m.Graph.Nodes {
		switch n.Op {
		case "RandomNormal":
			n.Attrs = []*onnx.Attr{attr("shape", []int64{2})}
		case "Constant":
			n.Attrs = []*onnx.Attr{attr("value_floats", []float32{1, 2})}
		}
	}
	if err := m.Graph.Sort(); err != nil {
		t.Fatal(err)
	}
	wide, err := rewrite.Widen(m)
	if err != nil {
		t.Fatal(err)
	}
	in := feed(m, free(m, 0), nil)
	want, err := run(m, in)
	if err != nil {
		t.Fatal(err)
	}
	low, _, err := rewrite.Lower(wide, free(m, 0)) // ONNX Runtime resizes no float64
	if err != nil {
		t.Fatal(err)
	}
	v := in[0].Float64s()
	got, err := run(low, []*tensor.Tensor{tensor.Of(v, in[0].Shape...)})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range m.Graph.Outputs {
		if d := tensor.Float64; o.Name == "f" {
			continue
		} else if got[i].DType != d {
			t.Errorf("%q is %s, want %s", o.Name, got[i].DType, d)
		}
		if o.Name == "r" { // another generator
			continue
		}
		if err := enginetest.Equal([]*tensor.Tensor{tensor.Of(got[i].Float64s(), got[i].Shape...)}, []*tensor.Tensor{tensor.Of(want[i].Float64s(), want[i].Shape...)}, 1e-6); err != nil {
			t.Errorf("%q: %v", o.Name, err)
		}
	}
}
