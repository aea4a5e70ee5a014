package probes

import (
	"context"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// samples are n rows of each of a model's inputs.
type samples struct {
	n      int
	x      *tensor.Tensor
	others []*tensor.Tensor // of Fit.Others
}

// samplesOf is the samples of a batch, with what lies beside them in the places bound.
func samplesOf(b *dataset.Batch, bound []int) samples {
	s := samples{n: b.N, x: b.Input}
	for _, k := range bound {
		s.others = append(s.others, b.Others[k])
	}
	return s
}

// rowsAt is size rows of t: those that are named, then zeros.
func rowsAt(t *tensor.Tensor, rows []int, size int) (*tensor.Tensor, error) {
	out, err := tensor.New(t.DType, append([]int{size}, t.Shape[1:]...)...)
	for to, from := range rows {
		if err == nil {
			out.SetRow(to, t, from)
		}
	}
	return out, err
}

// pad is the samples of some rows, followed by zeros up to size of them.
func (s samples) pad(rows []int, size int) (p samples, err error) {
	p.n = len(rows)
	if p.x, err = rowsAt(s.x, rows, size); err != nil {
		return p, err
	}
	for _, t := range s.others {
		o, err := rowsAt(t, rows, size)
		if err != nil {
			return p, err
		}
		p.others = append(p.others, o)
	}
	return p, nil
}

// pick is the samples of some rows.
func (s samples) pick(rows []int) (samples, error) { return s.pad(rows, len(rows)) }

// runs puts samples through a prober in its batches. use keeps nothing of out.
func runs(ctx context.Context, r *Prober, x samples, use func(first, count int, out []*tensor.Tensor)) error {
	rows := make([]int, x.n)
	for i := range rows {
		rows[i] = i
	}
	first := 0
	for some := range slices.Chunk(rows, r.Batch) {
		in, err := x.pad(some, r.Batch)
		if err != nil {
			return err
		}
		out, err := r.Infer(ctx, in.x, in.others...)
		if err != nil {
			return err
		}
		use(first, in.n, out)
		r.Recycle(out)
		first += in.n
	}
	return nil
}
