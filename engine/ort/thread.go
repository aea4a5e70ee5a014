//go:build cgo

package ort

import (
	"runtime"

	"github.com/onnxprobe/onnxprobe/engine"
)

// thread is one thread of the operating system. ONNX Runtime keeps what belongs to a
// recorded CUDA graph, the graph included, by thread, while Go moves a goroutine from
// one to another: on each the graph would be recorded again.
type thread struct{ work chan func() }

func newThread() *thread {
	t := &thread{make(chan func())}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		for f := range t.work {
			f()
		}
	}()
	return t
}

// do calls f there and waits for it. A panic of f goes on in the caller.
func (t *thread) do(f func()) {
	done := make(chan struct{})
	var err error
	t.work <- func() {
		defer close(done)
		defer engine.Catch(&err)
		f()
	}
	<-done
	if err != nil {
		panic(err)
	}
}

// end lets the thread go. Nothing may be done on it afterwards.
func (t *thread) end() { close(t.work) }
