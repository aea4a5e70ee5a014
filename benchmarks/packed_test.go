package benchmarks

import (
	"bytes"
	mathbits "math/bits"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// What is measured is right: the operators that pack, and join with activations, give the
// codes of the standard operators bit for bit, and leave the networks' own outputs as
// they are without a probe. Large inputs saturate what has a bound.
func TestPackedIsExact(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for _, c := range packed {
		t.Run(c.model, func(t *testing.T) {
			m := structure(t, c.model)
			prepared := func(m *onnx.Model) engine.Session {
				s, err := ort.Backend{}.Prepare(t.Context(), m, engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				return s
			}
			plans := map[probes.Packing]*probes.Plan{}
			for _, form := range []probes.Packing{probes.PackUnsigned, probes.PackOperator} {
				p, err := probes.Attach(m, probes.AttachOptions{Pack: form})
				if err != nil {
					t.Fatal(err)
				}
				plans[form] = p
			}
			ours := plans[probes.PackOperator]
			plain, standard, operator := prepared(m), prepared(plans[probes.PackUnsigned].Model), prepared(ours.Model)
			for _, scale := range []float32{1, 30, 3000} {
				shape := append([]int{min(c.batch, 2)}, ours.Fit.Sample...)
				in := tensor.Of(noise(tensor.Count(shape), scale), shape...)
				run := func(s engine.Session) []*tensor.Tensor {
					out, err := s.Run(t.Context(), []*tensor.Tensor{in})
					if err != nil {
						t.Fatal(err)
					}
					return out
				}
				own, want, got := run(plain), run(standard), run(operator)
				ones, bits := 0, 0
				for i, p := range operator.Outputs() {
					same := false
					switch {
					case i < ours.Own:
						same = bytes.Equal(got[i].Bytes(), own[i].Bytes())
					case p.DType == tensor.Uint8:
						same = bytes.Equal(got[i].Bytes(), want[i].Bytes())
						for _, b := range got[i].Bytes() {
							ones, bits = ones+mathbits.OnesCount8(b), bits+8
						}
					default: // whether there is a NaN; standard operators give a sum
						a, b := tensor.Data[float32](got[i]), tensor.Data[float32](want[i])
						same = slices.EqualFunc(a, b, func(a, b float32) bool { return (a != a) == (b != b) })
					}
					if !same {
						t.Errorf("inputs times %v: output %s differs", scale, p.Name)
					}
				}
				if share := float64(ones) / float64(bits); share < .05 || share > .95 {
					t.Errorf("inputs times %v: %v of the bits are ones, which shows little", scale, share)
				}
			}
		})
	}
}
