package engine_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
)

// What runs at the end of a time is over when stop returns, and begins no more after it.
func TestAfterRunningStops(t *testing.T) {
	began := make(chan struct{})
	var over atomic.Bool
	stop := engine.AfterRunning(time.Millisecond, func() {
		close(began)
		time.Sleep(50 * time.Millisecond)
		over.Store(true)
	})
	<-began
	if stop(); !over.Load() {
		t.Error("it runs after stop has returned")
	}
	var ran atomic.Int32
	for range 20 {
		engine.AfterRunning(80*time.Millisecond, func() { ran.Add(1) })()
	}
	time.Sleep(120 * time.Millisecond)
	if n := ran.Load(); n > 0 {
		t.Errorf("%d ran that were stopped before", n)
	}
}
