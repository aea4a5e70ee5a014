package dynamics

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

func TestPick(t *testing.T) {
	all := dataset.Random(100, []int{1}, 0, 1, 0)
	drawn := func(n int, seed, stream uint64) (ids []string) {
		ds, err := pick(all, n, seed, stream)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ds.Len() {
			ids = append(ids, ds.Item(i).ID)
		}
		return ids
	}
	a, b := drawn(10, 1, testStream), drawn(10, 1, testStream)
	if !slices.IsSortedFunc(a, func(x, y string) int {
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(x, y)
	}) {
		t.Errorf("drawn out of order: %q", a)
	}
	if len(a) != 10 || !slices.Equal(a, b) || slices.Equal(a, drawn(10, 2, testStream)) || slices.Equal(a, drawn(10, 1, trainStream)) {
		t.Errorf("drawn: %q, %q", a, b)
	}
	if len(drawn(0, 1, 1)) != 100 || len(drawn(200, 1, 1)) != 100 {
		t.Error("0 and too many are not all")
	}
}

// The attack's units are the picture's: what mnist makes of a digit is what mnist-01
// makes of it, scaled and shifted.
func TestAttacksAreInUnitsOfThePicture(t *testing.T) {
	open := func(preset string) dataset.Dataset {
		p, err := picture.ParsePreprocess(preset)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{Preprocess: &p, Input: []int{1, 8, 8}})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	a := &Attack{Norm: "l2", Epsilon: 1, Step: 0.1, Iterations: 3}
	plain, normal := open("mnist-01"), open("mnist")
	o, err := a.options(normal)
	if err != nil || o.Free || len(o.Scale) != 1 || len(o.Shift) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	x, y := make([]float32, 64), make([]float32, 64)
	for _, i := range []int{0, 57} {
		if err := plain.Sample(i, x); err != nil {
			t.Fatal(err)
		}
		if err := normal.Sample(i, y); err != nil {
			t.Fatal(err)
		}
		for k := range x {
			if want := float64(x[k])*o.Scale[0] + o.Shift[0]; math.Abs(want-float64(y[k])) > 1e-6 {
				t.Fatalf("element %d of digit %d is %g, want %g", k, i, y[k], want)
			}
		}
	}
	if o, err := a.options(trained); err != nil || !o.Free || o.Scale != nil {
		t.Errorf("inputs that are no pictures: %+v, %v", o, err)
	}
}
