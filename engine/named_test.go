package engine

import (
	"errors"
	"fmt"
	"testing"
)

// A model's file is said once, and not of what is the machine's.
func TestNamed(t *testing.T) {
	fault := errors.New("a fault")
	for _, c := range []struct {
		path string
		err  error
		want string
	}{
		{"m.onnx", fault, "m.onnx: a fault"},
		{"", fault, "a fault"},
		{"m.onnx", fmt.Errorf("item a: %w", Named("m.onnx", fault)), "item a: m.onnx: a fault"},
		{"m.onnx", &LostError{Model: "m.onnx", Doing: "ran the model", Signal: "SIGFPE"}, "m.onnx: the engine crashed with SIGFPE while it ran the model"},
		{"m.onnx", &UnavailableError{Backend: "ort", Reason: "no library"}, "backend ort is not available: no library"},
	} {
		if got := Named(c.path, c.err); got.Error() != c.want || !errors.Is(got, c.err) {
			t.Errorf("%q is %q, want %q", c.err, got, c.want)
		}
	}
	if err := Named("m.onnx", nil); err != nil {
		t.Error(err)
	}
}
