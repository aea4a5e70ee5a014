package tensor

import (
	"slices"
	"testing"
)

func TestRows(t *testing.T) {
	for _, d := range []DType{Float32, Float64, Uint8, Int64, Float16, Bool} {
		x, err := New(d, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		part := x.Rows(1, 3)
		if part.DType != d || !slices.Equal(part.Shape, []int{2, 3}) || part.Len() != 6 {
			t.Errorf("rows 1 to 3 of %s [4, 3] are %s %v", d, part.DType, part.Shape)
		}
	}
	x := Of([]int64{0, 1, 2, 3, 4, 5}, 3, 2)
	x.Rows(1, 3).SetRow(0, x, 2) // in the same memory
	if want := []int64{0, 1, 4, 5, 4, 5}; !slices.Equal(Data[int64](x), want) {
		t.Errorf("got %v, want %v", x.Data, want)
	}
	if x.ClearRow(1); !slices.Equal(Data[int64](x), []int64{0, 1, 0, 0, 4, 5}) {
		t.Errorf("row 1 cleared: %v", x.Data)
	}
	one := Of([]float32{7}, 1)
	one.SetRow(0, Of([]float32{8, 9}, 2), 1)
	if one.Data.([]float32)[0] != 9 {
		t.Errorf("a row of a vector: got %v", one.Data)
	}
}
