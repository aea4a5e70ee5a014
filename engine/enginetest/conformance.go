package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Conformance runs ONNX's own node cases that lie in dir, one folder a case, as
// the ONNX project lays them out, and returns how many passed. A case in skip,
// or one whose tensors no tensor.Tensor can hold, is left out. It skips the test
// where dir is missing.
func Conformance(t *testing.T, b engine.Backend, o engine.Options, dir string, skip map[string]string) (passed int) {
	Need(t, b, o)
	models, _ := filepath.Glob(filepath.Join(dir, "test_*", "model.onnx"))
	if len(models) == 0 {
		t.Skipf("ONNX's node cases are not at %s", dir)
	}
	for _, path := range models {
		name := filepath.Base(filepath.Dir(path))
		if skip[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(filepath.Dir(path), "test_data_set_0")
			in, err := readTensors(t, filepath.Join(data, "input_%d.pb"))
			want, err2 := readTensors(t, filepath.Join(data, "output_%d.pb"))
			if err := errors.Join(err, err2); err != nil {
				t.Skip(err)
			}
			m, err := onnx.Load(path)
			if err != nil {
				t.Skip(err) // what loads is package onnx's to test
			}
			s, err := b.Prepare(m, o)
			if err != nil {
				if strings.Contains(err.Error(), "not supported") {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			defer s.Close()
			got, err := s.Run(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			// The specification leaves the order of sums and the last bits of the
			// transcendental functions open; half precision rounds every step.
			within := 1e-5
			for _, w := range want {
				for _, v := range w.Float64s() {
					if w.DType.IsFloat() && math.Abs(v) < 1e30 {
						within = max(within, math.Abs(v)*1e-4)
					}
				}
				if w.DType == tensor.Float16 || w.DType == tensor.BFloat16 {
					within = max(within, 2e-2)
				}
			}
			if err := Equal(got, want, within); err != nil {
				t.Fatal(err)
			}
			passed++
		})
	}
	return passed
}

// readTensors reads the files pattern % 0, 1, ... as TensorProto messages, by
// way of a model that holds each as its only constant.
func readTensors(t *testing.T, pattern string) ([]*tensor.Tensor, error) {
	var out []*tensor.Tensor
	for i := 0; ; i++ {
		pb, err := os.ReadFile(fmt.Sprintf(pattern, i))
		if err != nil {
			return out, nil
		}
		var graph, model []byte
		graph = protowire.AppendString(protowire.AppendTag(graph, 2, protowire.BytesType), "g")
		graph = protowire.AppendBytes(protowire.AppendTag(graph, 5, protowire.BytesType), append(pb, "\x42\x01x"...)) // named x
		model = protowire.AppendVarint(protowire.AppendTag(model, 1, protowire.VarintType), 8)
		model = protowire.AppendBytes(protowire.AppendTag(model, 7, protowire.BytesType), graph)
		model = protowire.AppendBytes(protowire.AppendTag(model, 8, protowire.BytesType), []byte{0x10, Opset})
		path := filepath.Join(t.TempDir(), "tensor.onnx")
		if err := os.WriteFile(path, model, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Load(path)
		if err != nil {
			return nil, err
		}
		v, err := m.Values(m.Graph.Initializers[0])
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}
