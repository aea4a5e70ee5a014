package dataset

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func writeArray(t *testing.T, name string, arrays ...tensor.Named) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err == nil {
		if strings.HasSuffix(name, ".npz") {
			err = tensor.WriteNpz(f, arrays...)
		} else {
			err = tensor.WriteNpy(f, arrays[0].Array)
		}
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Arrays come in the type that the model takes, where their values fit.
func TestReadSideConverts(t *testing.T) {
	for _, c := range []struct {
		from *tensor.Tensor
		to   tensor.DType
		want any // nil: refused
	}{
		{tensor.Of([]float32{1, -2.5}, 2, 1), tensor.Float32, []float32{1, -2.5}},
		{tensor.Of([]float64{0.1, 2}, 2), tensor.Float32, []float32{0.1, 2}},
		{tensor.Of([]float32{1, 0.5}, 2), tensor.Float16, []uint16{0x3c00, 0x3800}},
		{tensor.Of([]float32{1, 0.5}, 2), tensor.BFloat16, []uint16{0x3f80, 0x3f00}},
		{tensor.Of([]float32{1, 0.5}, 2), tensor.Float64, []float64{1, 0.5}},
		{tensor.Of([]int32{7, -7}, 2), tensor.Int64, []int64{7, -7}},
		{tensor.Of([]int64{7, 255}, 2), tensor.Uint8, []uint8{7, 255}},
		{tensor.Of([]int64{7, 256}, 2), tensor.Uint8, nil},
		{tensor.Of([]int64{7, -1}, 2), tensor.Uint64, nil},
		{tensor.Of([]uint64{7, math.MaxUint64}, 2), tensor.Int64, nil},
		{tensor.Of([]uint64{7, math.MaxInt64}, 2), tensor.Int64, []int64{7, math.MaxInt64}},
		{tensor.Of([]bool{true, false}, 2), tensor.Int64, []int64{1, 0}},
		{tensor.Of([]int64{1, 0}, 2), tensor.Bool, []bool{true, false}},
		{tensor.Of([]int64{2, 0}, 2), tensor.Bool, nil},
		{tensor.Of([]uint8{3, 4}, 2), tensor.Float32, []float32{3, 4}},
		{tensor.Of([]float32{1, 2}, 2), tensor.Int64, nil},
	} {
		path := writeArray(t, "a.npy", tensor.Named{Array: c.from})
		s, err := ReadSide("in", c.to, []int{1}, 2, path, 0)
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), "want "+c.to.String())):
			t.Errorf("%s %v to %s: %v", c.from.DType, c.from.Data, c.to, err)
		case c.want != nil && (err != nil || s.Rows.DType != c.to || !reflect.DeepEqual(s.Rows.Data, c.want) || !reflect.DeepEqual(s.Rows.Shape, []int{2, 1})):
			t.Errorf("%s %v to %s: %+v, %v; want %v", c.from.DType, c.from.Data, c.to, s.Rows, err, c.want)
		}
	}
}

func TestReadSideOfArchives(t *testing.T) {
	a, b := tensor.Named{Name: "a", Array: tensor.Of([]float32{1, 2}, 2)}, tensor.Named{Name: "b", Array: tensor.Of([]float32{3, 4}, 2)}
	one, two := writeArray(t, "one.npz", a), writeArray(t, "two.npz", a, b)
	for _, c := range []struct{ path, err string }{
		{one, ""}, {one + ":a", ""}, {two + ":a", ""}, {two, `want one of its arrays ["a" "b"]`}, {two + ":c", `got "c"`},
		{writeArray(t, "b.npy", tensor.Named{Array: tensor.Of([]float32{1, 2, 3}, 3)}), "want [2]: a row for each of 2 items"},
		{filepath.Join(t.TempDir(), "none.npy"), "no such file"},
	} {
		s, err := ReadSide("in", tensor.Float32, nil, 2, c.path, 0)
		if c.err == "" && (err != nil || !reflect.DeepEqual(s.Rows.Data, []float32{1, 2})) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %+v, %v; want %q", filepath.Base(c.path), s.Rows, err, c.err)
		}
	}
	if _, err := ReadSide("in", tensor.Float32, nil, 2, writeArray(t, "c.npy", a), 16); err == nil || !strings.Contains(err.Error(), "the limit is 16") {
		t.Errorf("past the limit: %v", err)
	}
}

func TestConstantSide(t *testing.T) {
	for _, c := range []struct {
		d      tensor.DType
		shape  []int
		values string
		want   any
	}{
		{tensor.Float32, []int{2, 2}, "1", []float32{1, 1, 1, 1}},
		{tensor.Float32, []int{4}, "[0, 0.5,1,-1]", []float32{0, 0.5, 1, -1}},
		{tensor.Int64, []int{2}, "3,9223372036854775807", []int64{3, math.MaxInt64}},
		{tensor.Bool, nil, "1", []bool{true}},
		{tensor.Uint8, []int{1}, "256", "does not fit"},
		{tensor.Int64, []int{1}, "1.5", "want numbers of int64"},
		{tensor.Float32, []int{3}, "1,2", "2 values, want 1 or 3"},
		{tensor.Float32, []int{1}, "inf", "not a finite number"},
		{tensor.Float32, []int{1}, "1e40", "not a finite number"},
		{tensor.Float32, []int{1}, "", "is given"},
		{tensor.String, []int{1}, "a", "not supported"},
	} {
		s, err := ConstantSide("in", c.d, c.shape, c.values)
		if text, bad := c.want.(string); bad && (err == nil || !strings.Contains(err.Error(), text)) || !bad && (err != nil || !s.Shared || !reflect.DeepEqual(s.Rows.Data, c.want)) {
			t.Errorf("%s %v of %q: %+v, %v; want %v", c.d, c.shape, c.values, s.Rows, err, c.want)
		}
	}
}

// FuzzConstantSide: no text panics.
func FuzzConstantSide(f *testing.F) {
	for _, s := range []string{"1", "[1,2]", "nan", "", ",", "1e400", "-9223372036854775809"} {
		f.Add(s, int32(tensor.Float32))
	}
	f.Fuzz(func(_ *testing.T, s string, d int32) {
		_, _ = ConstantSide("in", tensor.DType(d), []int{2}, s)
	})
}
