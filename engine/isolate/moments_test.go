//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
)

// Whenever a context ends, and however many ask at once, nothing is left behind and nothing
// that was asked in vain stays.
func TestAnyMoment(t *testing.T) {
	count := func() (files, routines, processes int) {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries), runtime.NumGoroutine(), children(t)
	}
	b := evilBackend(isolate.Limits{Memory: 512 << 20, Time: 20 * time.Second})
	one := func(after time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		defer cancel()
		s, err := b.Prepare(ctx, evilModel(""), engine.Options{})
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %v: %v", after, err)
			}
			return
		}
		for k := range 200 {
			if _, err := evilRun(ctx, s, float32(k)); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a run after %v: %v", after, err)
				}
				break
			}
		}
		if out, err := evilRun(context.Background(), s, 3); err != nil || len(out) != 1 {
			t.Errorf("a run after that: %v", err)
		}
		s.Close()
	}
	one(time.Second)
	files, routines, processes := count()
	var work sync.WaitGroup
	for lane := range 4 {
		work.Go(func() {
			for k := range 15 {
				one(time.Duration(4*k+lane) * 2 * time.Millisecond)
				if k%5 == lane {
					if err := b.Available(engine.Options{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	if s, err := b.Prepare(context.Background(), evilModel(""), engine.Options{}); err == nil { // takes the idle one
		s.Close()
	}
	for range 100 {
		if f, r, p := count(); f <= files && r <= routines && p <= processes {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	f, r, p := count()
	t.Errorf("%d descriptors, %d goroutines and %d processes, before %d, %d and %d", f, r, p, files, routines, processes)
}

// An idle worker that died is replaced, and nothing of it stays.
func TestIdleWorkerDies(t *testing.T) {
	b := evilBackend(isolate.Limits{Time: 20 * time.Second})
	files := func() int {
		entries, _ := os.ReadDir("/proc/self/fd")
		return len(entries)
	}
	s, err := b.Prepare(context.Background(), evilModel(""), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	before, others := files(), childrenOf(os.Getpid())
	for range 3 {
		if err := b.Available(engine.Options{}); err != nil {
			t.Fatal(err)
		}
		for _, pid := range childrenOf(os.Getpid()) {
			if !slices.Contains(others, pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(100 * time.Millisecond)
		s, err := b.Prepare(context.Background(), evilModel(""), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if n := files(); n > before {
		t.Errorf("%d descriptors, before %d", n, before)
	}
}

// A program that has lower limits than workers are given starts workers all the same.
func TestLowLimits(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", `ulimit -n 64 && ulimit -d 8000000 && exec "$0" "$@"`, self, "-test.run", "^TestSharedAtOnce$").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
