//go:build cgo

package ort

import (
	"context"
	"sync"
	"testing"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/internal/spare"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func relu(t testing.TB, bound bool) *session {
	m := model([]*onnx.Value{value("x", tensor.Float32, -1)}, []*onnx.Value{value("y", tensor.Float32, -1)}, nil, node("Relu", "r", "x", "y"))
	if bound {
		return boundHere(t, m)
	}
	return prepared(t, m, engine.Options{Threads: 1}).(*session)
}

// Outputs that are given back are written again, those that are not stay as they are, and
// one of another size is not taken.
func TestRecycle(t *testing.T) {
	for _, bound := range []bool{false, true} {
		s := relu(t, bound)
		at := func(out []*tensor.Tensor) *float32 { return unsafe.SliceData(tensor.Data[float32](out[0])) }
		give := func(v ...float32) []*tensor.Tensor { return run(t, s, tensor.Of(v, len(v))) }
		want := func(out []*tensor.Tensor, v ...float32) {
			t.Helper()
			if err := enginetest.Equal(out, []*tensor.Tensor{tensor.Of(v, len(v))}, 0); err != nil {
				t.Errorf("bound %v: %v", bound, err)
			}
		}
		give(1, 2)
		kept, gone := give(-1, 3), give(4, -5)
		place := at(gone)
		s.Recycle(gone)
		next := give(-6, 7)
		want(next, 0, 7)
		want(kept, 0, 3)
		if at(next) != place {
			t.Errorf("bound %v: a spare output is not taken", bound)
		}
		if at(give(8, 9)) == place {
			t.Errorf("bound %v: an output is taken twice", bound)
		}
		s.Recycle(next)
		want(give(1, -2, 3), 1, 0, 3)
		want(give(4, -2, 3), 4, 0, 3)
		for range 9 {
			s.Recycle(kept)
		}
		if n := s.spare.Kept(0); n > spare.Most {
			t.Errorf("%d spare outputs are kept", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.Recycle(kept)
	}
}

// They may be given back while another run goes on.
func TestRecycleMeanwhile(t *testing.T) {
	s := relu(t, true)
	done := make(chan []*tensor.Tensor, 4)
	var reader sync.WaitGroup
	reader.Go(func() {
		k := float32(0)
		for out := range done {
			if k++; tensor.Data[float32](out[0])[0] != k {
				t.Errorf("run %g gives %v", k, out[0].Data)
			}
			s.Recycle(out)
		}
	})
	for i := range 200 {
		out, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of([]float32{float32(i + 1), -1}, 2)})
		if err != nil {
			t.Fatal(err)
		}
		done <- out
	}
	close(done)
	reader.Wait()
}

// Outputs of 64 MB in bound memory, given back and not.
func BenchmarkRecycle(b *testing.B) {
	for name, back := range map[string]bool{"new": false, "spare": true} {
		b.Run(name, func(b *testing.B) {
			s := relu(b, true)
			in := []*tensor.Tensor{tensor.Of(make([]float32, 16<<20), 16<<20)}
			for b.Loop() {
				out, err := s.Run(context.Background(), in)
				if err != nil {
					b.Fatal(err)
				}
				if back {
					s.Recycle(out)
				}
			}
		})
	}
}
