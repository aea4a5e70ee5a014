package bench

import (
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// input is a batch of random samples, in the range of pixels where the model takes
// them as they are.
func (b *Bench) input(r *probes.Prober) *tensor.Tensor {
	low, high := ranges(r.Plan)
	shape := append([]int{r.Batch}, r.Plan.Fit.Sample...)
	x, rng := make([]float32, tensor.Count(shape)), rand.New(rand.NewPCG(b.Seed, 1))
	for i := range x {
		x[i] = float32(low + (high-low)*rng.Float64())
	}
	return tensor.Of(x, shape...)
}

// sides are the rows for the model's other inputs: those that are given, and random
// ones between 0 and 1, in rising order, so that one which is a box has a size; whole
// numbers are 0.
func (b *Bench) sides(r *probes.Prober) ([]dataset.Side, error) {
	var sides []dataset.Side
	for _, p := range r.Plan.Fit.Others {
		if k := slices.IndexFunc(b.Beside, func(s dataset.Side) bool { return s.Name == p.Name }); k >= 0 {
			sides = append(sides, b.Beside[k])
			continue
		}
		v, rng := make([]float32, tensor.Count(p.Shape)), rand.New(rand.NewPCG(b.Seed, 2))
		for i := range v {
			if p.DType.IsFloat() {
				v[i] = rng.Float32()
			}
		}
		slices.Sort(v)
		rows := tensor.Of(v, append([]int{1}, p.Shape...)...)
		if !p.DType.IsFloat() {
			var err error
			if rows, err = tensor.New(p.DType, rows.Shape...); err != nil {
				return nil, err
			}
		}
		s, err := dataset.NewSide(p.Name, p.DType, rows)
		if err != nil {
			return nil, err
		}
		s.Shared, s.From = true, "random"
		sides = append(sides, s)
	}
	return sides, nil
}

// others is a batch of each of them.
func (b *Bench) others(r *probes.Prober) (batches []*tensor.Tensor, err error) {
	sides, err := b.sides(r)
	for _, s := range sides {
		t, err := tensor.New(s.Rows.DType, append([]int{r.Batch}, s.Shape()...)...)
		if err != nil {
			return nil, err
		}
		for i := range r.Batch {
			t.SetRow(i, s.Rows, 0)
		}
		batches = append(batches, t)
	}
	return batches, err
}

func ranges(p *probes.Plan) (low, high float64) {
	if p.Fit.DType == tensor.Uint8 {
		return 0, 255
	}
	return -1, 1
}
