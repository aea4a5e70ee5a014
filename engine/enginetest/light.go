package enginetest

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Light runs ONNX's light models, well-known networks whose weights are all one
// number, which lie in dir as files. The input is not there; as in ONNX's own
// runner it is 0, 1, ... n-1 over n, with 1 for an open dimension.
func Light(t *testing.T, b engine.Backend, o engine.Options, dir string) Tally {
	Need(t, b, o)
	models, _ := filepath.Glob(filepath.Join(dir, "light_*.onnx"))
	if len(models) == 0 {
		t.Skipf("ONNX's light models are not at %s", dir)
	}
	var y Tally
	for _, path := range models {
		key := "light/" + strings.TrimSuffix(filepath.Base(path), ".onnx")
		m, err := light(b, o, path)
		u := new(engine.UnsupportedError)
		switch {
		case errors.As(err, &u):
			put(&y.Refused, refused(u), key)
		case err != nil:
			y.Wrong = append(y.Wrong, key)
			t.Errorf("%s: %v", key, err)
		default:
			y.Passed = append(y.Passed, key)
			y.Add(Tally{Ran: operators(m.Graph)})
		}
	}
	return y
}

func light(b engine.Backend, o engine.Options, path string) (*onnx.Model, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return nil, err
	}
	want, err := ReadTensors(strings.TrimSuffix(path, ".onnx") + "_output_%d.pb")
	if err != nil {
		return m, err
	}
	s, err := b.Prepare(context.Background(), m, o)
	if err != nil {
		return m, err
	}
	defer s.Close()
	var in []*tensor.Tensor
	for _, p := range s.Inputs() {
		shape := make([]int, len(p.Shape))
		for i, d := range p.Shape {
			shape[i] = max(d, 1)
		}
		v := make([]float32, tensor.Count(shape))
		for i := range v {
			v[i] = float32(float64(i) / float64(len(v)))
		}
		in = append(in, tensor.Of(v, shape...))
	}
	got, err := s.Run(context.Background(), in)
	if err != nil {
		return m, err
	}
	return m, Equal(got, want, allowance(want))
}
