package encoding

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
)

// A panic on one of several goroutines is the caller's, not the end of the process.
func TestPanicOfAGoroutine(t *testing.T) {
	var p *engine.PanicError
	err := share(context.Background(), 4, 100, nil, func(unit int) {
		if unit == 37 {
			panic("unit 37")
		}
	})
	if !errors.As(err, &p) || p.Value != "unit 37" || !strings.Contains(string(p.Stack), "panic_test.go") {
		t.Errorf("%v", err)
	}
	done := make([]bool, 100)
	if err := share(context.Background(), 4, 100, nil, func(unit int) { done[unit] = true }); err != nil {
		t.Error(err)
	}
	for i, d := range done {
		if !d {
			t.Fatalf("unit %d was not done", i)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := share(ctx, 4, 100, nil, func(int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that is done: %v", err)
	}
	err = func() (err error) {
		defer engine.Catch(&err)
		new(Codes).split(100, 4, func(from, to int) {
			if from <= 37 && 37 < to {
				panic("part 37")
			}
		})
		return nil
	}()
	if !errors.As(err, &p) || p.Value != "part 37" {
		t.Errorf("%v", err)
	}
}
