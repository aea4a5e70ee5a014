package tensor

import "reflect"

// Rows is rows from (inclusive) to (exclusive) of t's first axis, in t's memory.
func (t *Tensor) Rows(from, to int) *Tensor {
	n := Count(t.Shape[1:])
	return &Tensor{DType: t.DType, Shape: append([]int{to - from}, t.Shape[1:]...),
		Data: reflect.ValueOf(t.Data).Slice3(from*n, to*n, to*n).Interface()}
}

// SetRow copies row j of src to row i of t. Both have rows of one shape and type.
func (t *Tensor) SetRow(i int, src *Tensor, j int) {
	n := Count(t.Shape[1:])
	reflect.Copy(reflect.ValueOf(t.Data).Slice(i*n, (i+1)*n), reflect.ValueOf(src.Data).Slice(j*n, (j+1)*n))
}

// ClearRow sets row i of t to zeros.
func (t *Tensor) ClearRow(i int) {
	n := Count(t.Shape[1:])
	reflect.ValueOf(t.Data).Slice(i*n, (i+1)*n).Clear()
}
