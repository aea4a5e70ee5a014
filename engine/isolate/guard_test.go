//go:build linux && (amd64 || arm64)

package isolate

import (
	"context"
	"io"
	"os"
	"testing"
	"time"
)

// What ends just as its context does ends either by itself or with the worker: nothing
// that is asked of the worker later is ended by it.
func TestGuardEnds(t *testing.T) {
	exited := make(chan struct{})
	close(exited)
	heard, lifeline, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	defer lifeline.Close()
	go func() { _, _ = io.Copy(io.Discard, heard) }()
	for k := range 2000 {
		p := &process{lifeline: lifeline, exited: exited}
		ctx, cancel := context.WithCancel(context.Background())
		var run []byte
		if k%4 == 3 {
			run = cancellation(1, uint32(k))
		}
		p.limits.Time = time.Duration(k%5) * 100 * time.Microsecond
		done := p.guard(ctx, run)
		go cancel()
		time.Sleep(time.Duration(k%7) * 20 * time.Microsecond)
		done()
		before := p.why.Load()
		time.Sleep(300 * time.Microsecond)
		if after := p.why.Load(); after != before {
			t.Fatalf("it was ended after all: %v", *after)
		}
	}
}
