//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// outputs are what a backend makes of a model, whose session shares itself first.
func outputs(t *testing.T, b engine.Backend, m *onnx.Model, in []*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	s, err := b.Prepare(context.Background(), m, engine.Options{Threads: 1})
	if err != nil {
		t.Fatalf("%T: %v", b, err)
	}
	defer s.Close()
	other, err := s.(engine.Sharer).Share()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatalf("%T: %v", b, err)
	}
	again, err := other.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !same(out, again) {
		t.Errorf("%T: the session that shares gives something else", b)
	}
	return out
}

func same(a, b []*tensor.Tensor) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].DType != b[i].DType || !bytes.Equal(a[i].Bytes(), b[i].Bytes()) || tensor.Count(a[i].Shape) != tensor.Count(b[i].Shape) {
			return false
		}
	}
	return true
}

// Every model of the repository gives the same bytes in the program and in a worker: as it
// is, and with the probes of its sites.
func TestShippedModels(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	b := isolated()
	for _, c := range enginetest.Ship(t, "../../testdata") {
		t.Run(c.Name, func(t *testing.T) {
			in := []*tensor.Tensor{c.Batch()}
			models := []*onnx.Model{c.Model}
			if p, err := probes.Attach(c.Model, probes.AttachOptions{}); err == nil && !p.Fit.Unbatched {
				models = append(models, p.Model)
			}
			for _, m := range models {
				if want, got := outputs(t, ort.Backend{}, m, in), outputs(t, b, m, in); !same(want, got) {
					t.Errorf("with %d outputs: other bytes", len(want))
				}
			}
		})
	}
}

// large is a model of more than a mebibyte in a file, whose weights are mapped from it.
func large(t *testing.T, path string, scale float32) *onnx.Model {
	t.Helper()
	const n = 600
	w := make([]float32, n*n)
	for i := range w {
		w[i] = scale * float32(i%7-3)
	}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "large",
		Inputs:       []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: n}})},
		Outputs:      []*onnx.Value{onnx.NewValue("y", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: n}})},
		Initializers: []*onnx.Tensor{onnx.NewTensor("w", tensor.Of(w, n, n))},
		Nodes: []*onnx.Node{{Name: "product", Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"h"}},
			{Name: "relu", Op: "Relu", Inputs: []string{"h"}, Outputs: []string{"y"}}}}}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// A model is what was loaded, whatever its file's name leads to since: when it is prepared,
// and when it is prepared once more after its worker was lost.
func TestFileReplacedAfterLoading(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	path := filepath.Join(t.TempDir(), "m.onnx")
	m := large(t, path, 1)
	in := []*tensor.Tensor{tensor.Of(make([]float32, 600), 1, 600)}
	for i := range 600 {
		tensor.Data[float32](in[0])[i] = float32(i % 5)
	}
	want := outputs(t, ort.Backend{}, m, in)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := large(t, path, -2)
	if same(want, outputs(t, isolated(), other, in)) {
		t.Fatal("the other model gives the same, which shows nothing")
	}
	for _, replaced := range []func() error{func() error { return nil }, func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, []byte("no model"), 0o600) }} {
		if err := replaced(); err != nil {
			t.Fatal(err)
		}
		if !same(want, outputs(t, isolated(), m, in)) {
			t.Error("the worker has another model")
		}
	}
	s, err := isolated().Prepare(context.Background(), m, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := childrenOf(os.Getpid())
	for _, pid := range before {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Run(context.Background(), in); err != nil {
		t.Logf("the run that met it: %v", err) // it may have started another before
	}
	got, err := s.Run(context.Background(), in)
	if err != nil || !same(want, got) {
		t.Errorf("after its worker was killed: %v", err)
	}
}

// External data is read from the model's folder and no other place, by whatever path the
// folder is given, and a model widened to float64 has its weights from the program.
func TestExternalData(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	const shipped = "../../testdata/models/cnn_external.onnx"
	whole, err := filepath.Abs(shipped)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "folder")
	if err := os.Symlink(filepath.Dir(whole), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{shipped, whole, filepath.Join(link, filepath.Base(whole))} {
		m, err := onnx.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := probes.Attach(m, probes.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		in, err := tensor.New(tensor.Float32, append([]int{2}, p.Fit.Sample...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tensor.Data[float32](in) {
			tensor.Data[float32](in)[i] = float32(i%13)/13 - .4
		}
		if !same(outputs(t, ort.Backend{}, p.Model, []*tensor.Tensor{in}), outputs(t, isolated(), p.Model, []*tensor.Tensor{in})) {
			t.Errorf("%s: other bytes", path)
		}
	}
}

// A worker that follows another has the weights of that one, or none.
func TestExternalDataThatChanges(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	const shipped = "../../testdata/models/cnn_external.onnx"
	for how, change := range map[string]func(path string) error{
		"as it was":   func(string) error { return nil },
		"overwritten": func(path string) error { return os.WriteFile(path, make([]byte, 4<<20), 0o600) },
		"replaced": func(path string) error {
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".new", b, 0o600), os.Rename(path+".new", path))
		},
		"removed": os.Remove,
	} {
		dir := t.TempDir()
		for _, suffix := range []string{"", ".data"} {
			b, err := os.ReadFile(shipped + suffix)
			if err := errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(shipped)+suffix), b, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, filepath.Base(shipped))
		m, err := onnx.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := isolated().Prepare(t.Context(), m, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		in := s.Inputs()[0]
		shape := append([]int{1}, in.Shape[1:]...)
		x, err := tensor.New(in.DType, shape...)
		if err != nil {
			t.Fatal(err)
		}
		run := func() error {
			_, err := s.Run(t.Context(), []*tensor.Tensor{x})
			return err
		}
		if err := errors.Join(run(), change(path+".data"), run()); err != nil {
			t.Errorf("%s: %v", how, err) // the worker has what it has read
		}
		for _, pid := range childrenOf(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = run()
		err = run()
		if want := path + ": ONNX Runtime found other external data than at first, which changed meanwhile, while it prepared the model"; how == "as it was" {
			if err != nil {
				t.Errorf("%s: %v", how, err)
			}
		} else if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", how, err, want)
		}
		s.Close()
	}
}

// Weights that are not the file's any more travel with the model.
func TestWidened(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	m := large(t, filepath.Join(t.TempDir(), "m.onnx"), .5)
	wide, err := rewrite.Widen(m)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, 600)
	for i := range x {
		x[i] = float64(i%11) / 3
	}
	in := []*tensor.Tensor{tensor.Of(x, 1, 600)}
	if !same(outputs(t, ort.Backend{}, wide, in), outputs(t, isolated(), wide, in)) {
		t.Error("other bytes")
	}
}

// Every other model of the repository, the bends, encoders of regions and well-known
// structures, gives the same bytes in both ways, or is refused with the same words.
func TestEveryModelOfTheRepository(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	ran, refused := 0, 0
	err := filepath.WalkDir("../../testdata/models", func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".onnx" {
			return err
		}
		m, err := onnx.Load(path)
		if err != nil {
			return nil // weights that are not shipped
		}
		try := func(b engine.Backend) ([]*tensor.Tensor, error) {
			s, err := b.Prepare(context.Background(), m, engine.Options{Threads: 1})
			if err != nil {
				return nil, err
			}
			defer s.Close()
			var in []*tensor.Tensor
			for _, p := range s.Inputs() {
				shape := make([]int, len(p.Shape))
				for k, n := range p.Shape {
					if shape[k] = n; n < 0 {
						shape[k] = 2
					}
				}
				x, err := tensor.New(p.DType, shape...)
				if err != nil {
					return nil, err
				}
				if data, ok := x.Data.([]float32); ok {
					for k := range data {
						data[k] = float32(k%17)/8 - 1
					}
				}
				in = append(in, x)
			}
			return s.Run(context.Background(), in)
		}
		want, wantErr := try(ort.Backend{})
		got, gotErr := try(isolated())
		switch {
		case wantErr != nil && gotErr != nil && wantErr.Error() == gotErr.Error():
			refused++
		case wantErr != nil || gotErr != nil:
			t.Errorf("%s: %v in the program, %v in a worker", path, wantErr, gotErr)
		case !same(want, got) && len(m.RandomNodes()) == 0:
			t.Errorf("%s: other bytes", path)
		default:
			ran++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d models, and %d that are refused", ran, refused); ran < 100 {
		t.Errorf("%d models ran, want 100 at least", ran)
	}
}
