//go:build cgo

package ort

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// action is the kernel's struct sigaction.
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// onStack is SA_ONSTACK, without which a signal ends a Go program that has foreign code.
const onStack = 0x08000000

// handle returns a signal's action, and sets another unless it is nil.
func handle(t *testing.T, sig int, a *action) (old action) {
	t.Helper()
	if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(a)), uintptr(unsafe.Pointer(&old)), 8, 0, 0); e != 0 {
		t.Fatal(e)
	}
	return old
}

func handlers(t *testing.T) (all [32]action) {
	for sig := 1; sig < 32; sig++ {
		all[sig] = handle(t, sig, nil)
		if all[sig].handler > 1 && all[sig].flags&onStack == 0 {
			t.Errorf("the handler of signal %d does not run on the signal stack", sig)
		}
	}
	return all
}

// A session leaves the program its signal handlers, on the signal stack, and an
// interrupt still reaches it.
func TestSignalsAreKept(t *testing.T) {
	for _, o := range []engine.Options{{}, {Device: cuda}} {
		t.Run(o.Device.String(), func(t *testing.T) {
			enginetest.Need(t, Backend{}, o)
			was := handlers(t)
			s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "r", "x", "y")), o)
			run(t, s, tensor.Of([]float32{1, 2, 3, 4}, 4))
			if is := handlers(t); is != was {
				t.Error("the handlers have changed")
			}
			interrupted(t)
		})
	}
}

// What a library does to the handlers is undone.
func TestSignalsAreRestored(t *testing.T) {
	was := handlers(t)
	_, err := keepSignals(func() (int, error) {
		a := was[syscall.SIGUSR2]
		a.flags &^= onStack
		handle(t, int(syscall.SIGUSR2), &a)
		if handle(t, int(syscall.SIGUSR2), nil) == was[syscall.SIGUSR2] {
			t.Error("nothing was spoilt")
		}
		return 0, nil
	})
	if err != nil || handlers(t) != was {
		t.Errorf("%v, and the handlers are not the program's", err)
	}
	interrupted(t)
}

func interrupted(t *testing.T) {
	t.Helper()
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	defer signal.Stop(c)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(5 * time.Second):
		t.Error("an interrupt does not arrive")
	}
}
