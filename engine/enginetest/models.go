package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Shipped is one of the networks in testdata/models with what PyTorch gives for
// it, as testdata/export/export.py wrote it.
type Shipped struct {
	Name  string
	Model *onnx.Model
	// Input is a batch in the type the model takes, Logits what PyTorch makes of
	// it. Tolerance is relative to the largest logit.
	Input, Logits *tensor.Tensor
	Tolerance     float64
}

// Batch is as many items of the input as the model takes at once.
func (s Shipped) Batch() *tensor.Tensor {
	if d := s.Model.Graph.Inputs[0].Shape[0].Size; d > 0 {
		return items(s.Input, 0, int(d))
	}
	return s.Input
}

// Ship reads all networks of the folder testdata.
func Ship(t testing.TB, testdata string) []Shipped {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata, "golden", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Shipped
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var about struct {
			Models    []string
			Tolerance float64
		}
		if err := json.Unmarshal(text, &about); err != nil || len(about.Models) == 0 {
			continue // structure.json has no numbers
		}
		arrays, err := tensor.ReadNpzFile(strings.TrimSuffix(file, ".json") + ".npz")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range about.Models {
			m, err := onnx.Load(filepath.Join(testdata, "models", name))
			if err != nil {
				t.Fatal(err)
			}
			in := arrays["input"]
			if m.Graph.Inputs[0].DType == tensor.Float16 { // stored as float32
				in = &tensor.Tensor{DType: tensor.Float16, Shape: in.Shape, Data: halves(tensor.Data[float32](in))}
			}
			all = append(all, Shipped{strings.TrimSuffix(name, ".onnx"), m, in, arrays["logits"], about.Tolerance})
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d networks in %s, want at least 20", len(all), testdata)
	}
	return all
}

func halves(v []float32) []uint16 {
	out := make([]uint16, len(v))
	for i := range v {
		out[i] = tensor.Float32ToHalf(v[i])
	}
	return out
}

// Models runs the shipped networks: the outputs are PyTorch's, twice the same, and
// alike for one item and for many. cannot names those that the backend must refuse.
func Models(t *testing.T, b engine.Backend, o engine.Options, testdata string, cannot ...string) {
	Need(t, b, o)
	for _, c := range Ship(t, testdata) {
		t.Run(c.Name, func(t *testing.T) {
			s, err := b.Prepare(context.Background(), c.Model, o)
			if slices.Contains(cannot, c.Name) {
				if u := new(engine.UnsupportedError); !errors.As(err, &u) {
					t.Fatalf("preparing a model listed as unsupported: got %v, want an UnsupportedError", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			n, width := c.Input.Shape[0], c.Logits.Shape[1]
			sizes := []int{n, 1, 8}
			if d := s.Inputs()[0].Shape[0]; d > 0 {
				sizes = []int{d}
			}
			rows := map[int][]float64{}
			for _, size := range sizes {
				for i := 0; i+size <= n; i += size {
					first, again := run(t, s, items(c.Input, i, size)), run(t, s, items(c.Input, i, size))
					if err := Equal(again, first, 0); err != nil {
						t.Fatalf("a second run of items %d to %d differs from the first: %v", i, i+size, err)
					}
					if len(first) != 1 || !slices.Equal(first[0].Shape, []int{size, width}) {
						t.Fatalf("%d outputs, the first of shape %v; want one of %v", len(first), first[0].Shape, []int{size, width})
					}
					rows[size] = append(rows[size], first[0].Float64s()...)
				}
				if err := apart(rows[size], c.Logits.Float64s(), c.Tolerance); err != nil {
					t.Errorf("in batches of %d: not PyTorch's logits: %v", size, err)
				}
				// Another shape may add in another order, no more.
				if err := apart(rows[size], rows[sizes[0]], c.Tolerance/10); err != nil {
					t.Errorf("batches of %d and of %d: %v", size, sizes[0], err)
				}
			}
		})
	}
}

func run(t testing.TB, s engine.Session, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// items are n items of a batch from the i-th on.
func items(t *tensor.Tensor, i, n int) *tensor.Tensor {
	per := tensor.Count(t.Shape[1:])
	out := &tensor.Tensor{DType: t.DType, Shape: append([]int{n}, t.Shape[1:]...)}
	switch d := t.Data.(type) {
	case []float32:
		out.Data = d[i*per : (i+n)*per]
	case []uint16:
		out.Data = d[i*per : (i+n)*per]
	default:
		panic(fmt.Sprintf("items of %s", t.DType))
	}
	return out
}

// apart says where got and want differ by more than within times the largest
// magnitude of want.
func apart(got, want []float64, within float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("got %d numbers, want %d", len(got), len(want))
	}
	scale, at := 0.0, -1
	for _, v := range want {
		if a := math.Abs(v); !math.IsInf(a, 0) {
			scale = max(scale, a) // NaN here fails every comparison below
		}
	}
	worst := within * scale
	for i, v := range want {
		if got[i] == v || math.IsNaN(got[i]) && math.IsNaN(v) {
			continue
		}
		if d := math.Abs(got[i] - v); !(d <= worst) {
			worst, at = d, i
		}
	}
	if at < 0 {
		return nil
	}
	return fmt.Errorf("number %d of %d is %g, want %g within %g of the largest, %g", at, len(want), got[at], want[at], within, scale)
}
