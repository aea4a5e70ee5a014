//go:build cgo

package ort

import (
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// spare are outputs that nobody reads any more, by their place. To allocate and clear
// the codes of a large batch takes as long as to copy them.
type spare struct {
	sync.Mutex
	of [][]*tensor.Tensor
}

// spares is how many of an output are kept: one is given back while another run ends.
const spares = 2

// Recycle is part of engine.Recycler.
func (s *session) Recycle(out []*tensor.Tensor) {
	s.spare.Lock()
	defer s.spare.Unlock()
	if len(out) != len(s.spare.of) { // it is closed
		return
	}
	for i, t := range out {
		if t != nil && len(s.spare.of[i]) < spares {
			s.spare.of[i] = append(s.spare.of[i], t)
		}
	}
}

// output is memory for output i in a shape: a spare one's, or new.
func (s *session) output(i int, shape []int) (*tensor.Tensor, error) {
	s.spare.Lock()
	defer s.spare.Unlock()
	if n := len(s.spare.of[i]); n > 0 {
		t := s.spare.of[i][n-1]
		s.spare.of[i] = s.spare.of[i][:n-1]
		if t.DType == s.out[i].DType && tensor.Count(t.Shape) == tensor.Count(shape) {
			return &tensor.Tensor{DType: t.DType, Shape: slices.Clone(shape), Data: t.Data}, nil
		}
		s.spare.of[i] = nil // of another batch
	}
	return tensor.New(s.out[i].DType, shape...)
}
