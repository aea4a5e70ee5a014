package partition

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Item is item i of a dataset as At takes it: the input by which the map is, and for
// Query.Held what all inputs of the model are held at.
func (m *Mapper) Item(ds dataset.Dataset, i int) (x []float64, held map[string]*tensor.Tensor, err error) {
	f := make([]float32, tensor.Count(ds.Shape()))
	if err := ds.Sample(i, f); err != nil {
		return nil, nil, err
	}
	rows := tensor.Of(f, append([]int{1}, ds.Shape()...)...)
	held = map[string]*tensor.Tensor{m.Plan.Fit.Input: tensor.Of(rows.Float64s(), rows.Shape...)}
	for _, s := range dataset.Sides(ds) {
		row := i
		if s.Shared {
			row = 0
		}
		held[s.Name] = s.Rows.Rows(row, row+1)
	}
	input := held[m.input]
	if input == nil {
		return nil, nil, fmt.Errorf("the data has nothing for the model's input %q", m.input)
	}
	return input.Float64s(), held, nil
}

// Arrays are what a file of the map at x holds: weight [rows, sample...], bias, value, norm
// and row [rows], and input, which is x. sample is Mapper.Shape.
func (a *Affine) Arrays(x []float64, sample []int) []tensor.Named {
	n := len(a.Rows)
	row := make([]int64, n)
	for i, k := range a.Rows {
		row[i] = int64(k)
	}
	return []tensor.Named{{Name: "weight", Array: tensor.Of(a.Weight, append([]int{n}, sample...)...)},
		{Name: "bias", Array: tensor.Of(a.Bias, n)}, {Name: "value", Array: tensor.Of(a.Value, n)},
		{Name: "norm", Array: tensor.Of(a.Norm, n)}, {Name: "row", Array: tensor.Of(row, n)},
		{Name: "input", Array: tensor.Of(x, sample...)}}
}
