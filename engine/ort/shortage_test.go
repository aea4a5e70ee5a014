//go:build cgo

package ort

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Errors as ONNX Runtime words them, and what is said to do.
func TestRemedies(t *testing.T) {
	gpu := engine.Options{Device: cuda}
	limited := gpu
	limited.MemoryLimit = 1 << 20
	for _, c := range []struct {
		err  string
		o    engine.Options
		want []string
	}{
		{"BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8589934592", gpu, []string{"on cuda:0", "smaller batch", "device memory", "one batch at a time"}},
		{"Available memory of 1048576 is smaller than requested bytes of 2097152", limited, []string{"smaller batch", "higher limit of device memory than 1048576"}},
		{"CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; file=cuda_allocator.cc", gpu, []string{"device memory"}},
		{"CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", gpu, []string{"device memory"}},
		{"CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", gpu, []string{"device memory"}},
		{"std::bad_alloc", engine.Options{}, []string{"on cpu", "smaller batch"}},
		{"Failed to allocate memory for requested buffer of size 9", engine.Options{}, []string{"smaller batch"}},
		{"CUDA failure 700: an illegal memory access was encountered", gpu, nil},
		{"Non-zero status code returned while running Conv node", gpu, nil},
	} {
		plain := errors.New(c.err)
		got := remedied(plain, c.o)
		if !errors.Is(got, plain) || c.want == nil && got != plain {
			t.Errorf("%s: got %v", c.err, got)
		}
		if errors.Is(got, syscall.ENOMEM) != (c.want != nil) {
			t.Errorf("%s: whether it is a want of memory: %v", c.err, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error(), want) {
				t.Errorf("%s: %q is not in %v", c.err, want, got)
			}
		}
		if c.o.Device.Kind != "cuda" && strings.Contains(got.Error(), "device memory") {
			t.Errorf("on the CPU: %v", got)
		}
	}
	if remedied(nil, gpu) != nil {
		t.Error("there is a remedy for nothing")
	}
}

// ONNX Runtime that has too little memory says so in these words: its output would take
// four exbibytes.
func TestTooLittleMemory(t *testing.T) {
	m := model([]*onnx.Value{value("x", tensor.Int64, 1)}, []*onnx.Value{value("y", tensor.Float32, -1)}, nil, node("ConstantOfShape", "c", "x", "y"))
	s := prepared(t, m, engine.Options{Threads: 1})
	_, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of([]int64{1 << 60}, 1)})
	if err == nil || !strings.Contains(err.Error(), "smaller batch") {
		t.Errorf("got %v", err)
	}
}
