//go:build cgo

package ort

import (
	"unsafe"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// memory is where t's elements lie and how many bytes they are; first is the
// same address as a Go pointer.
func memory(t *tensor.Tensor) (data unsafe.Pointer, size int, first any) {
	switch d := t.Data.(type) {
	case []float32:
		return view(d)
	case []float64:
		return view(d)
	case []uint8:
		return view(d)
	case []int8:
		return view(d)
	case []uint16:
		return view(d)
	case []int16:
		return view(d)
	case []uint32:
		return view(d)
	case []int32:
		return view(d)
	case []uint64:
		return view(d)
	case []int64:
		return view(d)
	case []bool:
		return view(d)
	}
	return nil, 0, nil
}

func view[T tensor.Element](d []T) (unsafe.Pointer, int, any) {
	p := unsafe.SliceData(d)
	var z T
	return unsafe.Pointer(p), len(d) * int(unsafe.Sizeof(z)), p
}
