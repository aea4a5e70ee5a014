package onnx

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// What a single node says of its output, in the version it is of.
func TestNodeInfer(t *testing.T) {
	f32 := func(shape ...int64) Fact { return Fact{DType: tensor.Float32, Shape: append([]int64{}, shape...)} }
	list := func(d tensor.DType, v ...float64) Fact { return Fact{d, []int64{int64(len(v))}, v} }
	i64, b := tensor.Int64, tensor.Bool
	str := func(name, v string) *Attr { return &Attr{Name: name, Type: AttrString, String: []byte(v)} }
	num := func(name string, v int64) *Attr { return &Attr{Name: name, Type: AttrInt, Int: v} }
	nums := func(name string, v ...int64) *Attr { return &Attr{Name: name, Type: AttrInts, Ints: v} }
	big := 1e16
	for _, c := range []struct {
		name  string
		op    string
		opset int64
		in    []Fact
		attrs []*Attr
		want  Fact // no type stands for an error
	}{
		{"a type by word", "Cast", 5, []Fact{f32(2)}, []*Attr{str("to", "INT64")}, Fact{i64, []int64{2}, nil}},
		{"half of a third", "Cast", 13, []Fact{list(tensor.Float32, 1/3.)}, []*Attr{num("to", 10)}, list(tensor.Float16, 0.333251953125)},
		{"the default axis of old", "Concat", 3, []Fact{f32(2, 3), f32(2, 1)}, nil, f32(2, 4)},
		{"a transposed convolution without pads", "ConvTranspose", 11, []Fact{f32(1, 2, 3), f32(2, 4, 3)}, []*Attr{str("auto_pad", "VALID"), nums("strides", 2), nums("pads", 1, 1)}, f32(1, 4, 7)},
		{"a transposed convolution to a whole shape", "ConvTranspose", 11, []Fact{f32(1, 2, 3), f32(2, 4, 3)}, []*Attr{nums("output_shape", 1, 4, 9)}, f32(1, 4, 9)},
		{"a sliding window that leaves nothing", "ConvTranspose", 11, []Fact{f32(1, 2, 3), f32(2, 4, 3)}, []*Attr{nums("pads", 9, 9)}, Fact{}},
		{"tile along an axis", "Tile", 5, []Fact{f32(2, 3), list(i64, 4), list(i64, 1)}, nil, f32(2, 12)},
		{"pads of old", "Pad", 1, []Fact{f32(2, 3)}, []*Attr{nums("paddings", 1, 0, 0, 2)}, f32(3, 5)},
		{"logic", "And", 13, []Fact{list(b, 1, 0), list(b, 1, 1)}, nil, list(b, 1, 0)},
		{"negation", "Not", 13, []Fact{list(b, 1, 0)}, nil, list(b, 0, 1)},
		{"the larger", "Max", 13, []Fact{list(i64, 1, 5), list(i64, 3)}, nil, list(i64, 3, 5)},
		{"the largest of three", "Max", 13, []Fact{list(i64, 1, 5), list(i64, 3), list(i64, 4, 4)}, nil, list(i64, 4, 5)},
		{"a sum of three rounds twice", "Sum", 13, []Fact{list(tensor.Float32, 1<<24), list(tensor.Float32, 1), list(tensor.Float32, 1)}, nil, list(tensor.Float32, 1<<24)},
		{"a mean", "Mean", 13, []Fact{list(tensor.Float32, 1), list(tensor.Float32, 2)}, nil, f32(1)},
		{"halves between", "Add", 13, []Fact{list(tensor.Float16, 2048), list(tensor.Float16, 1)}, nil, list(tensor.Float16, 2048)},
		{"clipped below", "Clip", 13, []Fact{list(tensor.Float32, -1, 3), {tensor.Float32, []int64{}, []float64{0}}}, nil, list(tensor.Float32, 0, 3)},
		{"clipped above alone", "Clip", 13, []Fact{list(i64, -1, 3), {}, {i64, []int64{}, []float64{2}}}, nil, list(i64, -1, 2)},
		{"clipped by attributes", "Clip", 6, []Fact{list(tensor.Float32, -1, 3)}, []*Attr{{Name: "min", Type: AttrFloat, Float: .5}}, list(tensor.Float32, .5, 3)},
		{"clipped by what is not known", "Clip", 13, []Fact{list(i64, -1, 3), {i64, []int64{}, nil}}, nil, Fact{i64, []int64{2}, nil}},
		{"rounded to even", "Round", 22, []Fact{list(tensor.Float32, .5, 1.5, -2.5)}, nil, list(tensor.Float32, 0, 2, -2)},
		{"a root in single precision", "Sqrt", 13, []Fact{list(tensor.Float32, 2)}, nil, list(tensor.Float32, float64(float32(math.Sqrt2)))},
		{"no integer holds it", "Cast", 13, []Fact{list(tensor.Float32, 1e30)}, []*Attr{num("to", 7)}, Fact{i64, []int64{1}, nil}},
		{"an index from the end along an axis", "Gather", 13, []Fact{{i64, []int64{2, 2}, []float64{1, 2, 3, 4}}, list(i64, -1)}, []*Attr{num("axis", 1)}, Fact{i64, []int64{2, 1}, []float64{2, 4}}},
		{"an index outside", "Gather", 13, []Fact{f32(2), list(i64, 2)}, nil, Fact{}},
		{"columns side by side", "Concat", 13, []Fact{{i64, []int64{2, 1}, []float64{1, 2}}, {i64, []int64{2, 2}, []float64{3, 4, 5, 6}}}, []*Attr{num("axis", 1)},
			Fact{i64, []int64{2, 3}, []float64{1, 3, 4, 2, 5, 6}}},
		{"repeated along a new axis", "Expand", 13, []Fact{{i64, []int64{2, 1}, []float64{1, 2}}, list(i64, 2, 2)}, nil, Fact{i64, []int64{2, 2}, []float64{1, 1, 2, 2}}},
		{"a range that adds up to something else", "Range", 11, []Fact{{tensor.Float32, []int64{}, []float64{0}}, {tensor.Float32, []int64{}, []float64{float64(float32(1))}},
			{tensor.Float32, []int64{}, []float64{float64(float32(.1))}}}, nil, Fact{tensor.Float32, []int64{10}, nil}},
		{"a remainder has the divisor's sign", "Mod", 13, []Fact{list(i64, -3, 3), list(i64, 2, -2)}, nil, list(i64, 1, -1)},
		{"or the dividend's", "Mod", 13, []Fact{list(i64, -3, 3), list(i64, 2, -2)}, []*Attr{num("fmod", 1)}, list(i64, -1, 1)},
		{"a sum", "ReduceSum", 13, []Fact{list(i64, 1, 2, 4)}, []*Attr{num("keepdims", 0)}, Fact{i64, []int64{}, []float64{7}}},
		{"integers that float64 does not tell apart", "Sub", 13, []Fact{list(i64, big), list(i64, big)}, nil, Fact{i64, []int64{1}, nil}},
		{"a sum beyond the type", "Add", 13, []Fact{list(tensor.Int32, 2e9), list(tensor.Int32, 2e9)}, nil, Fact{tensor.Int32, []int64{1}, nil}},
		{"some axes resized", "Resize", 18, []Fact{f32(1, 2, 3), {}, {}, list(i64, 7)}, []*Attr{nums("axes", 1)}, f32(1, 7, 3)},
		{"an equation", "Einsum", 12, []Fact{f32(2, 3), f32(3, 4)}, []*Attr{str("equation", "ij, jk -> ki")}, f32(4, 2)},
		{"an equation without a result", "Einsum", 12, []Fact{f32(2, 3), f32(3, 4)}, []*Attr{str("equation", "bj,ja")}, f32(4, 2)},
		{"an equation that does not fit", "Einsum", 12, []Fact{f32(2, 3), f32(5, 4)}, []*Attr{str("equation", "ij,jk")}, Fact{}},
	} {
		n := &Node{Op: c.op, Outputs: []string{"y"}, Attrs: c.attrs}
		for _, f := range c.in {
			name := "v"
			if f.DType == 0 {
				name = ""
			}
			n.Inputs = append(n.Inputs, name)
		}
		got, err := n.Infer(c.opset, c.in)
		switch {
		case c.want.DType == 0:
			if err == nil {
				t.Errorf("%s: got %v, want an error", c.name, got)
			}
		case err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.want):
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := (&Node{Op: "Relu", Inputs: []string{"x"}}).Infer(17, nil); err == nil {
		t.Error("a node with fewer facts than inputs gave no error")
	}
	if got, err := (&Node{Op: "Relu", Domain: "com.example", Outputs: []string{"y"}}).Infer(17, nil); got != nil || err != nil {
		t.Errorf("another domain's operator gave %v, %v", got, err)
	}
}

// A range of no definite length has no shape, and one that no memory holds is an error.
func TestRangeWithoutEnd(t *testing.T) {
	for limit, want := range map[float64]string{math.NaN(): "", math.Inf(1): "larger than any memory", 1e300: "larger than any memory"} {
		number := func(name string, v float64) *Tensor { return NewTensor(name, tensor.Scalar(v)) }
		m := small(value("x", 1), node("Range", "a b c", "y")).with(number("a", 0), number("b", limit), number("c", 1))
		f, err := m.Infer(nil)
		if want != "" {
			wantError(t, err, want)
		} else if err != nil || !slices.Equal(f["y"].Shape, []int64{-1}) {
			t.Errorf("a range to %g: %v, %v", limit, f["y"], err)
		}
	}
}
