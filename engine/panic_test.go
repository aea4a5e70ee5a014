package engine

import (
	"errors"
	"strings"
	"testing"
)

func TestCatch(t *testing.T) {
	broken := func() (err error) { defer Catch(&err); panic("broken") }
	var p *PanicError
	if err := broken(); !errors.As(err, &p) || p.Value != "broken" || !strings.Contains(string(p.Stack), "panic_test.go") || !strings.Contains(err.Error(), "internal error: broken") {
		t.Errorf("%v", err)
	}
	// Thrown again by whoever waited, it keeps the stack that it came from.
	if err := func() (err error) { defer Catch(&err); panic(p) }(); err != error(p) {
		t.Errorf("%v", err)
	}
	want := errors.New("of its own")
	if err := func() (err error) { defer Catch(&err); return want }(); err != want {
		t.Errorf("%v", err)
	}
}
