package dataset

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// besides is random points with a row of floats, one of whole numbers and a shared
// value beside each.
func besides(t *testing.T, n int) Dataset {
	t.Helper()
	box, ids := make([]float32, 4*n), make([]int64, 2*n)
	for i := range n {
		box[4*i], ids[2*i+1] = float32(i), int64(10*i)
	}
	errs := make([]error, n)
	if n > 5 {
		box[4*3+1] = float32(math.NaN())
		errs[5] = errors.New("the crop cuts it off")
	}
	ds, err := Beside(Random(n, []int{3}, 0, 1, 7), Side{Name: "box", Rows: tensor.Of(box, n, 4), Errs: errs, From: "boxes.npy"},
		Side{Name: "ids", Rows: tensor.Of(ids, n, 2)}, Side{Name: "scale", Rows: tensor.Of([]float32{2}, 1), Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// Rows come with their samples in order, whatever the batch and the workers; those of
// bad items and of padding are zero.
func TestRowsBesideSamples(t *testing.T) {
	const n = 19
	for _, size := range []int{1, 4, 16} {
		for from := range 2 {
			ds, err := Range(besides(t, n), from, n)
			if err != nil {
				t.Fatal(err)
			}
			at := from
			for b, err := range Batches(context.Background(), ds, size, 3) {
				if err != nil {
					t.Fatal(err)
				}
				box, ids, scale := tensor.Data[float32](b.Others[0]), tensor.Data[int64](b.Others[1]), tensor.Data[float32](b.Others[2])
				if !slices.Equal(b.Others[0].Shape, []int{size, 4}) || len(scale) != size {
					t.Fatalf("rows of shapes %v and %v", b.Others[0].Shape, b.Others[2].Shape)
				}
				for i := range size {
					want, id := float32(at), int64(10*at)
					if bad := at == 3 || at == 5; i < b.N && bad != (b.Errs[i] != nil) {
						t.Errorf("item %d: %v", at, b.Errs[i])
					} else if bad || i >= b.N {
						want, id = 0, 0
					}
					if box[4*i] != want || ids[2*i+1] != id || scale[i] != 2 {
						t.Errorf("in batches of %d, row %d from item %d on: %v, %d, %v; want %v, %d, 2", size, i, b.Start, box[4*i], ids[2*i+1], scale[i], want, id)
					}
					if i < b.N {
						at++
					}
				}
			}
			if at != n {
				t.Errorf("%d items, want %d", at, n)
			}
		}
	}
	// Some of a batch are in their places, and nothing is of its memory.
	for b, err := range Batches(context.Background(), besides(t, 3), 4, 1) {
		if err != nil {
			t.Fatal(err)
		}
		some, err := b.Only([]int{0, 2}, 5)
		if err != nil {
			t.Fatal(err)
		}
		x, box, ids := tensor.Data[float32](some.Input), tensor.Data[float32](some.Others[0]), tensor.Data[int64](some.Others[1])
		for i := range 5 {
			var row [3]float32
			n := 0
			if i == 0 || i == 2 {
				row, n = [3]float32(tensor.Data[float32](b.Input)[3*i:]), i
			}
			if [3]float32(x[3*i:]) != row || box[4*i] != float32(n) || ids[2*i+1] != int64(10*n) {
				t.Errorf("row %d of some is %v, %v, %v", i, x[3*i:3*i+3], box[4*i:4*i+4], ids[2*i:2*i+2])
			}
		}
		clear(x)
		clear(box)
		if scale := tensor.Data[float32](some.Others[2]); !slices.Equal(scale, []float32{2, 2, 2, 2, 2}) || tensor.Data[float32](b.Input)[0] == 0 || tensor.Data[float32](b.Others[0])[8] != 2 {
			t.Errorf("what all share is %v, and the batch %v", scale, b.Input)
		}
	}
	ds, err := Beside(besides(t, 2), Side{Name: "mask", Rows: tensor.Of([]uint8{1}, 1), Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	d := Describe(ds)
	if len(d.Inputs) != 4 || d.Inputs[0].Name != "box" || d.Inputs[0].From != "boxes.npy" || !slices.Equal(d.Inputs[1].Shape, []int{2}) || len(d.Inputs[0].SHA256) != 64 || d.Inputs[2].SHA256 != "" {
		t.Errorf("described as %+v", d.Inputs)
	}
}

func TestBesideRefuses(t *testing.T) {
	ds := Random(3, []int{2}, 0, 1, 0)
	for want, s := range map[string]Side{
		"for 3 items: want [3": {Name: "a", Rows: tensor.Of(make([]float32, 8), 2, 4)},
		"want [1":              {Name: "a", Rows: tensor.Of(make([]float32, 12), 3, 4), Shared: true},
		"of shape []":          {Name: "a"},
		"2 errors for 3":       {Name: "a", Rows: tensor.Of(make([]float32, 3), 3), Errs: make([]error, 2)},
	} {
		if _, err := Beside(ds, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	one := Side{Name: "a", Rows: tensor.Of(make([]float32, 3), 3)}
	if _, err := Beside(ds, one, one); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("a name given twice: %v", err)
	}
}

// Numbers that are not finite are found in every floating type.
func TestBesideWantsFiniteRows(t *testing.T) {
	half := &tensor.Tensor{DType: tensor.Float16, Shape: []int{1, 2}, Data: []uint16{0x3c00, 0xfc00}}
	brain := &tensor.Tensor{DType: tensor.BFloat16, Shape: []int{1, 2}, Data: []uint16{0x7fc0, 0}}
	for _, rows := range []*tensor.Tensor{half, brain, tensor.Of([]float64{0, math.Inf(1)}, 1, 2), tensor.Of([]float32{float32(math.NaN())}, 1, 1)} {
		s := Side{Name: "a", Rows: rows}
		if err := s.check(0); err == nil || !strings.Contains(err.Error(), "not a finite number") {
			t.Errorf("%s: %v", rows.DType, err)
		}
	}
	for _, rows := range []*tensor.Tensor{tensor.Of([]uint16{0x7c00}, 1, 1), tensor.Of([]int64{math.MaxInt64}, 1, 1), tensor.Of([]float32{math.MaxFloat32}, 1, 1)} {
		s := Side{Name: "a", Rows: rows}
		if err := s.check(0); err != nil {
			t.Errorf("%s: %v", rows.DType, err)
		}
	}
}

// Items chosen keep their samples, under names of their own.
func TestChoose(t *testing.T) {
	ds := Random(5, []int{3}, 0, 1, 7)
	of := []int{4, 4, 0, 2, 4, 1, 3, 0, 2}
	var choices []Choice
	for k, i := range of {
		choices = append(choices, Choice{i, "#" + string(rune('a'+k))})
	}
	c, err := Choose(ds, choices)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, 3), make([]float32, 3)
	for range 2 {
		for k, i := range of {
			if err := errors.Join(c.Sample(k, got), ds.Sample(i, want)); err != nil || !slices.Equal(got, want) {
				t.Errorf("choice %d: %v, want %v (%v)", k, got, want, err)
			}
			if id := c.Item(k).ID; id != ds.Item(i).ID+choices[k].Name {
				t.Errorf("choice %d is called %q", k, id)
			}
		}
	}
	if _, err := Choose(ds, []Choice{{Of: 5}}); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("an item that is not there: %v", err)
	}
	if _, err := Choose(besides(t, 2), nil); err == nil || !strings.Contains(err.Error(), "choose first") {
		t.Errorf("arrays beside: %v", err)
	}
}

// What fails to be made fails for everybody, a panic too.
func TestRecentFails(t *testing.T) {
	r := recent[int]{make: func(int) (int, error) { panic("broken") }}
	func() {
		defer func() { _ = recover() }()
		_, _ = r.get(0)
	}()
	if _, err := r.get(0); err == nil {
		t.Error("a value that could not be made has no error")
	}
}
