// Package spare keeps outputs of runs that nobody reads any more. To allocate and clear the
// codes of a large batch takes as long as to copy them.
package spare

import (
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Most is how many of an output are kept: one is given back while another run ends.
const Most = 2

// Outputs are spare outputs, by their place. The zero value keeps none, as that of a closed
// session does. It may be used by several goroutines.
type Outputs struct {
	mu sync.Mutex
	of [][]*tensor.Tensor
}

// Keep begins to keep those of runs with n outputs.
func (o *Outputs) Keep(n int) { o.of = make([][]*tensor.Tensor, n) }

// Give gives the outputs of a run back.
func (o *Outputs) Give(out []*tensor.Tensor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(out) != len(o.of) {
		return
	}
	for i, t := range out {
		if t != nil && len(o.of[i]) < Most {
			o.of[i] = append(o.of[i], t)
		}
	}
}

// Take is memory for output i: a spare one's, or new.
func (o *Outputs) Take(i int, d tensor.DType, shape []int) (*tensor.Tensor, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.of[i]); n > 0 {
		t := o.of[i][n-1]
		o.of[i] = o.of[i][:n-1]
		if t.DType == d && tensor.Count(t.Shape) == tensor.Count(shape) {
			return &tensor.Tensor{DType: d, Shape: slices.Clone(shape), Data: t.Data}, nil
		}
		o.of[i] = nil // of another batch
	}
	return tensor.New(d, shape...)
}

// Kept is how many of output i there are.
func (o *Outputs) Kept(i int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.of[i])
}
