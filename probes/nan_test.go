package probes

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A NaN has no code, whatever an activation makes of it: the item's row says so.
func TestNaNAtEveryActivation(t *testing.T) {
	for _, b := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
		enginetest.Need(t, b, engine.Options{})
		for _, f := range forms {
			t.Run(b.Name()+" "+strings.TrimSpace(f.name+" "+f.how), func(t *testing.T) {
				n := len(corners(f.knots))
				r := openOn(t, b, network(t, n, f.build), AttachOptions{}, 1)
				x := make([]float32, n)
				for _, v := range []float32{1, float32(math.NaN())} {
					x[n/2] = v
					out, err := r.Infer(t.Context(), tensor.Of(x, 1, n))
					if err != nil {
						t.Fatal(err)
					}
					if got := r.nan(out)[0]; got != (v != v) {
						t.Errorf("%v at one unit: found %v", v, got)
					}
				}
			})
		}
	}
}
