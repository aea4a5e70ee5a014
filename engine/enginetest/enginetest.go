// Package enginetest is the suite every backend passes: what a session computes,
// and what it promises about its inputs, its outputs, errors and its end.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// envRequire, set to 1, turns a missing ONNX Runtime from a skipped test into a
// failed one. CI sets it.
const envRequire = "ONNXPROBE_REQUIRE_ORT"

// Need skips the test, saying why, when the backend cannot run here; it fails
// the test where ONNXPROBE_REQUIRE_ORT is 1 in the environment and the device is the CPU.
func Need(t testing.TB, b engine.Backend, o engine.Options) {
	t.Helper()
	err := b.Available(o)
	if err == nil {
		return
	}
	if os.Getenv(envRequire) == "1" && o.Device.Kind != "cuda" {
		t.Fatalf("%s=1, and %v", envRequire, err)
	}
	t.Skip(err)
}

// Run runs the whole suite. cannot names the cases that the backend does not
// support; it must refuse these with an *engine.UnsupportedError, so that the
// list stays true.
func Run(t *testing.T, b engine.Backend, o engine.Options, cannot ...string) {
	Need(t, b, o)
	t.Run("cases", func(t *testing.T) {
		var names []string
		for _, c := range Cases() {
			names = append(names, c.Name)
			t.Run(c.Name, func(t *testing.T) {
				s, err := b.Prepare(context.Background(), c.Model, o)
				if slices.Contains(cannot, c.Name) {
					if unsupported := new(engine.UnsupportedError); !errors.As(err, &unsupported) {
						t.Fatalf("preparing a case listed as unsupported: got %v, want an UnsupportedError", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				// A second run of the same session gives the same: nothing may
				// pile up in a buffer.
				for range 2 {
					got, err := s.Run(context.Background(), c.In)
					if err != nil {
						t.Fatal(err)
					}
					if err := Equal(got, c.Want, c.Within); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
		for _, name := range cannot {
			if !slices.Contains(names, name) {
				t.Errorf("there is no case %q", name)
			}
		}
	})
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.test(t, b, o) })
	}
}

// Equal compares outputs: type, shape and every element, to within the absolute
// difference given. NaN equals NaN, and -0 equals 0.
func Equal(got, want []*tensor.Tensor, within float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("got %d outputs, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			return fmt.Errorf("output %d: got %s %v, want %s %v", i, g.DType, g.Shape, w.DType, w.Shape)
		}
		if !same(g, w, within) {
			return fmt.Errorf("output %d: got %v, want %v to within %g", i, brief(g), brief(w), within)
		}
	}
	return nil
}

func same(a, b *tensor.Tensor, within float64) bool {
	if !a.DType.IsFloat() && within == 0 {
		return reflect.DeepEqual(a.Data, b.Data) // float64 does not hold every int64
	}
	x, y := a.Float64s(), b.Float64s()
	if len(x) != len(y) {
		return false
	}
	for i := range y {
		if x[i] != y[i] && !(math.Abs(x[i]-y[i]) <= within) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
			return false
		}
	}
	return true
}

func brief(t *tensor.Tensor) any {
	if v := t.Float64s(); len(v) > 32 {
		return fmt.Sprint(v[:32], "...")
	}
	return t.Data
}
