package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Watchdog ends the program where an engine takes too long in it: a library that does not
// come back cannot be stopped otherwise. An engine in a process of its own needs none.
type Watchdog struct {
	// Limit is how long it may take to prepare a model, and how long one run may.
	Limit time.Duration
	// Expired is called, by a goroutine of its own, once it took longer. It does not
	// return.
	Expired func(*LostError)
}

// Watch begins to watch what an engine, which is called so, does with the model of a file,
// until done is called. A nil Watchdog watches nothing.
func (w *Watchdog) Watch(engine, file, doing string) (done func()) {
	if w == nil || w.Limit <= 0 {
		return func() {}
	}
	return AfterRunning(w.Limit, func() {
		w.Expired(&LostError{Engine: engine, Model: file, Doing: doing, Why: TookLonger(w.Limit)})
	})
}

// AfterRunning calls f, on a goroutine of its own, when the program has run for a time,
// unless stop is called before. f is over, or never begins, once stop has returned. Time in
// which the program was stopped, as by Ctrl-Z, does not count.
func AfterRunning(d time.Duration, f func()) (stop func()) {
	// Of what passes between two steps no more than a step counts.
	const steps = 8
	left, mu, stopped := steps, sync.Mutex{}, false
	var t *time.Timer
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(d/steps, func() {
		mu.Lock()
		defer mu.Unlock()
		switch left--; {
		case stopped:
		case left > 0:
			t.Reset(d / steps)
		default:
			f()
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		t.Stop()
	}
}

// TookLonger says that an engine took longer than its limit.
func TookLonger(limit time.Duration) error {
	text := fmt.Sprintf("%.4g s", limit.Seconds())
	if limit >= 2*time.Minute && limit%time.Minute == 0 {
		text = fmt.Sprintf("%d min", limit/time.Minute)
	}
	return onnx.Remedy(fmt.Errorf("took longer than %s", text), "isolate.Limits.Time")
}
