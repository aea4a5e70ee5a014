//go:build cgo

package ort

// #include "ortbind.h"
import "C"

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// memoryPlace is memory that runs are bound to.
type memoryPlace struct {
	name   string // as ONNX Runtime calls it
	device int
	// graph records the run and replays it, for which the memory must be the
	// device's and stay where it is.
	graph bool
}

// boundTo is where a session's inputs and outputs are bound; nil for none.
func boundTo(o engine.Options) *memoryPlace {
	switch {
	case o.Device.Kind != "cuda":
		return nil // which reads the caller's memory where it lies
	case o.CUDAGraph:
		return &memoryPlace{"Cuda", o.Device.Index, true}
	}
	return &memoryPlace{"CudaPinned", o.Device.Index, false}
}

// binding is the memory of runs over inputs of one set of shapes.
type binding struct {
	shapes          [][]int // of the inputs, then the outputs
	io              unsafe.Pointer
	info, allocator unsafe.Pointer
	bound           []C.op_bound // in C memory
	mover           *C.op_mover  // too
}

// bindingFor is the binding for inputs of these shapes and outputs of those expected;
// nil where a run must do without: outputs of unknown shape, empty tensors, a graph
// recorded for other shapes.
func (s *session) bindingFor(in []*tensor.Tensor, expected [][]int) (*binding, error) {
	if s.place == nil || slices.ContainsFunc(expected, func(shape []int) bool { return shape == nil || tensor.Count(shape) == 0 }) {
		return nil, nil
	}
	var shapes [][]int
	for _, t := range in {
		if tensor.Count(t.Shape) == 0 {
			return nil, nil
		}
		shapes = append(shapes, slices.Clone(t.Shape))
	}
	shapes = append(shapes, expected...)
	if b := s.binding; b != nil {
		if slices.EqualFunc(b.shapes, shapes, slices.Equal[[]int]) {
			return b, nil
		}
		if s.place.graph {
			return nil, nil
		}
		b.free()
		s.binding = nil
	}
	for i, shape := range shapes {
		c := &s.tensors[i]
		c.rank = C.int32_t(len(shape))
		if c.elem = C.int32_t(slices.Concat(s.in, s.out)[i].DType); c.rank > C.OP_RANK {
			return nil, nil
		}
		for k, d := range shape {
			c.dims[k] = C.int64_t(d)
		}
	}
	b := &binding{shapes: shapes,
		bound: unsafe.Slice((*C.op_bound)(C.calloc(C.size_t(len(shapes)), C.sizeof_op_bound)), len(shapes)),
		mover: (*C.op_mover)(C.calloc(1, C.sizeof_op_mover))}
	name := C.CString(s.place.name)
	defer C.free(unsafe.Pointer(name))
	for _, step := range []func() *C.char{
		func() *C.char {
			if !strings.HasPrefix(s.place.name, "Cuda") {
				return nil
			}
			return C.op_cuda_mover(b.mover, C.int(s.place.device), C.bool(s.place.graph))
		},
		func() *C.char { return C.op_memory(loaded.api, name, C.int(s.place.device), &b.info) },
		func() *C.char { return C.op_allocator(loaded.api, s.net.ptr, b.info, &b.allocator) },
		func() *C.char {
			return C.op_bind(loaded.api, s.net.ptr, b.mover, b.allocator, unsafe.SliceData(s.names), unsafe.SliceData(s.tensors),
				C.size_t(len(s.in)), C.size_t(len(s.out)), &b.io, unsafe.SliceData(b.bound))
		},
	} {
		if err := goError(step()); err != nil {
			b.free()
			return nil, err
		}
	}
	s.binding = b
	return b, nil
}

// free gives the memory back.
func (b *binding) free() {
	C.op_unbind(loaded.api, b.io, unsafe.SliceData(b.bound), C.size_t(len(b.bound)), b.allocator, b.info)
	C.free(unsafe.Pointer(unsafe.SliceData(b.bound)))
	C.free(unsafe.Pointer(b.mover))
}

// runBound evaluates the model once in the memory of b.
func (s *session) runBound(b *binding, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	out := make([]*tensor.Tensor, len(s.out))
	for i, t := range in {
		s.fill(&pin, i, t)
	}
	for i := range out {
		var err error
		if out[i], err = s.output(i, b.shapes[len(in)+i]); err != nil {
			return nil, err
		}
		s.fill(&pin, len(in)+i, out[i])
	}
	return out, goError(C.op_run_bound(loaded.api, s.net.ptr, s.optptr, b.io, unsafe.SliceData(s.names), unsafe.SliceData(b.bound), b.mover,
		unsafe.SliceData(s.tensors), C.size_t(len(in)), C.size_t(len(out))))
}

// record says whether the next run is part of the graph that replays runs.
func (s *session) record(graph bool) error {
	if s.place == nil || !s.place.graph {
		return nil
	}
	id := "-1" // none
	if graph {
		id = "1"
	}
	return s.options.AddRunConfigEntry("gpu_graph_id", id)
}

// assigned names the nodes that a provider runs.
func (s *session) assigned(provider string) ([]string, error) {
	name := C.CString(provider)
	defer C.free(unsafe.Pointer(name))
	var list *C.char
	err := goError(C.op_assigned(loaded.api, s.net.ptr, name, &list))
	defer C.free(unsafe.Pointer(list))
	if err != nil {
		return nil, fmt.Errorf("asking where the nodes run: %w", err)
	}
	return strings.FieldsFunc(C.GoString(list), func(r rune) bool { return r == '\n' }), nil
}

// Note is part of engine.Noter.
func (s *session) Note() string { return s.note }

// OnCPU is part of engine.Placer.
func (s *session) OnCPU() []string { return slices.Clone(s.onCPU) }
