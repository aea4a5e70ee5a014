package partition

import (
	"fmt"
	"io"

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
		at := i
		if s.Shared {
			at = 0
		}
		held[s.Name] = s.Rows.Rows(at, at+1)
	}
	by := held[m.input]
	if by == nil {
		return nil, nil, fmt.Errorf("the data has nothing for the model's input %q", m.input)
	}
	return by.Float64s(), held, nil
}

// WriteWeight writes the weight [rows, sample...] as a .npy file. sample is Mapper.Shape.
func (a *Affine) WriteWeight(w io.Writer, sample []int) error {
	return tensor.WriteNpy(w, a.weight(sample))
}

func (a *Affine) weight(sample []int) *tensor.Tensor {
	return tensor.Of(a.Weight, append([]int{len(a.Rows)}, sample...)...)
}

// Write writes the map at x as a .npz file: weight [rows, sample...], bias, value, norm and
// row [rows], and input, which is x. sample is Mapper.Shape.
func (a *Affine) Write(w io.Writer, x []float64, sample []int) error {
	n := len(a.Rows)
	row := make([]int64, n)
	for i, k := range a.Rows {
		row[i] = int64(k)
	}
	return tensor.WriteNpz(w, tensor.Named{Name: "weight", Array: a.weight(sample)},
		tensor.Named{Name: "bias", Array: tensor.Of(a.Bias, n)}, tensor.Named{Name: "value", Array: tensor.Of(a.Value, n)},
		tensor.Named{Name: "norm", Array: tensor.Of(a.Norm, n)}, tensor.Named{Name: "row", Array: tensor.Of(row, n)},
		tensor.Named{Name: "input", Array: tensor.Of(x, sample...)})
}
