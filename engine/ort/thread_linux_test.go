//go:build cgo

package ort

import (
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Runs of a CUDA graph are on one thread, and one at a time.
func TestGraphThread(t *testing.T) {
	th := newThread()
	defer th.end()
	var id int
	for range 50 {
		done := make(chan int)
		go func() {
			runtime.LockOSThread() // so that each caller is on another
			th.do(func() { done <- syscall.Gettid() })
		}()
		if got := <-done; id != 0 && got != id {
			t.Fatalf("on thread %d, then on %d", id, got)
		} else {
			id = got
		}
	}
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "r", "x", "y")), engine.Options{}).(*session)
	s.place = &memoryPlace{name: "Cpu", graph: true} // an id of a graph is nothing to the CPU
	if got := run(t, s, tensor.Of([]float32{-1, 2, -3, 4}, 4)); enginetest.Equal(got, []*tensor.Tensor{tensor.Of([]float32{0, 2, 0, 4}, 4)}, 0) != nil || s.home == nil {
		t.Errorf("got %v, on a thread of its own: %v", got[0].Data, s.home != nil)
	}
	if _, err := s.Share(); err == nil || !strings.Contains(err.Error(), "one at a time") {
		t.Errorf("sharing it: %v", err)
	}
}
