package gorgonia_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// envTorchvision is a folder that testdata/export/torchvision_check.py wrote.
const envTorchvision = "ONNXPROBE_TORCHVISION"

// Well-known networks as both exporters of PyTorch write them, untouched: logits
// and a handful of intermediates are those that PyTorch has in float64, and a
// spread of values is ONNX Runtime's.
func TestTorchvision(t *testing.T) {
	dir := os.Getenv(envTorchvision)
	if dir == "" {
		t.Skipf("set %s to a folder that testdata/export/torchvision_check.py wrote", envTorchvision)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.npz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s=%s holds no .npz files: %v", envTorchvision, dir, err)
	}
	for _, file := range files {
		stem := strings.TrimSuffix(file, ".npz")
		t.Run(filepath.Base(stem), func(t *testing.T) {
			arrays, err := tensor.ReadNpzFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := onnx.Load(stem + ".onnx")
			if err != nil {
				t.Fatal(err)
			}
			// Where PyTorch's own rounding comes to that much, so may that of two others,
			// which add up between them.
			within := max(enginetest.Alike, 3*tensor.Data[float64](arrays["rounding"])[0])
			backends := []engine.Backend{gorgonia.Backend{}}
			if (ort.Backend{}).Available(one) == nil {
				backends = append(backends, ort.Backend{})
			}
			for _, b := range backends {
				t.Run(b.Name(), func(t *testing.T) { asPyTorch(t, b, m, arrays) })
			}
			if len(backends) == 2 && !t.Failed() {
				a, b := enginetest.Runner{Backend: backends[0], Options: one}, enginetest.Runner{Backend: backends[1], Options: one}
				t.Log(enginetest.Agree(t, a, b, m, []*tensor.Tensor{arrays["input"]}, within, 20), "values compared with ONNX Runtime")
			}
		})
	}
}

func asPyTorch(t *testing.T, b engine.Backend, m *onnx.Model, arrays map[string]*tensor.Tensor) {
	probed := m.Clone()
	want := []*tensor.Tensor{arrays["logits"]}
	for name, v := range arrays {
		if value, ok := strings.CutPrefix(name, "value:"); ok {
			probed.Graph.Outputs = append(probed.Graph.Outputs, onnx.NewValue(value, tensor.Float32, nil))
			want = append(want, v)
		}
	}
	if len(want) < 3 {
		t.Fatalf("%d values to compare with", len(want))
	}
	s, err := b.Prepare(context.Background(), probed, one)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		start := time.Now()
		got, err := s.Run(context.Background(), []*tensor.Tensor{arrays["input"]})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d items in %v", want[0].Shape[0], time.Since(start).Round(time.Millisecond))
		for i, v := range probed.Graph.Outputs {
			if err := enginetest.Close(got[i], want[i], enginetest.Alike); err != nil {
				t.Errorf("value %q: %v", v.Name, err)
			}
		}
	}
}
