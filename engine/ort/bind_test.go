//go:build cgo

package ort

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

var cuda = engine.Device{Kind: "cuda"}

// What is asked of the CUDA provider follows from the options alone.
func TestCUDASettings(t *testing.T) {
	plain := map[string]string{"device_id": "0", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "cudnn_conv_use_max_workspace": "1",
		"arena_extend_strategy": "kSameAsRequested", "do_copy_in_default_stream": "1", "enable_cuda_graph": "0"}
	for _, c := range []struct {
		name   string
		o      engine.Options
		differ map[string]string
	}{
		{"as it is", engine.Options{}, nil},
		{"another GPU", engine.Options{Device: engine.Device{Kind: "cuda", Index: 3}}, map[string]string{"device_id": "3"}},
		{"TF32", engine.Options{AllowTF32: true}, map[string]string{"use_tf32": "1"}},
		{"search", engine.Options{Tune: "exhaustive"}, map[string]string{"cudnn_conv_algo_search": "EXHAUSTIVE"}},
		{"rule", engine.Options{Tune: "heuristic"}, nil},
		{"always one", engine.Options{Tune: "default"}, map[string]string{"cudnn_conv_algo_search": "DEFAULT"}},
		{"memory", engine.Options{MemoryLimit: 8 << 30}, map[string]string{"gpu_mem_limit": "8589934592", "cudnn_conv_use_max_workspace": "0"}},
		{"graph", engine.Options{CUDAGraph: true}, map[string]string{"enable_cuda_graph": "1"}},
		{"nodes on the CPU", engine.Options{Fallback: true}, nil},
	} {
		want := maps.Clone(plain)
		maps.Copy(want, c.differ)
		if got := cudaSettings(c.o); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
		if got := cudaEntries(c.o); (got["session.disable_cpu_ep_fallback"] == "1") == c.o.Fallback {
			t.Errorf("%s: got the entries %v", c.name, got)
		}
	}
	for _, tune := range engine.Tunes {
		if cudaSettings(engine.Options{Tune: tune})["cudnn_conv_algo_search"] == "" {
			t.Errorf("nothing is known of the way to tune %q", tune)
		}
	}
}

// boundHere is a session whose runs are bound to memory of the host, by the code that
// binds them to a GPU's.
func boundHere(t testing.TB, m *onnx.Model) *session {
	s := prepared(t, m, engine.Options{Threads: 1}).(*session)
	s.place = &memoryPlace{name: "Cpu"}
	return s
}

// Bound runs give the bytes of others: twice, for other inputs, and for shapes to and
// fro; their outputs are the caller's.
func TestBoundRuns(t *testing.T) {
	for _, c := range enginetest.Ship(t, "../../testdata") {
		t.Run(c.Name, func(t *testing.T) {
			plain, bound := prepared(t, c.Model, engine.Options{Threads: 1}), boundHere(t, c.Model)
			x := c.Batch()
			y := x
			if d, ok := x.Data.([]float32); ok {
				d = slices.Clone(d)
				slices.Reverse(d)
				y = tensor.Of(d, x.Shape...)
			}
			var kept [][]*tensor.Tensor
			for range 2 {
				for _, in := range []*tensor.Tensor{x, y, x} {
					kept = append(kept, run(t, bound, in))
				}
			}
			for i, got := range kept {
				in := x
				if i%3 == 1 {
					in = y
				}
				if err := enginetest.Equal(got, run(t, plain, in), 0); err != nil {
					t.Fatalf("run %d: %v", i, err)
				}
			}
			if bound.binding == nil {
				t.Error("no run was bound")
			}
		})
	}
}

// A backend like this one whose runs are bound passes the suite that it passes.
type boundBackend struct{ Backend }

func (b boundBackend) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	if err == nil {
		s.(*session).place = &memoryPlace{name: "Cpu"}
	}
	return s, err
}

func TestSuiteBound(t *testing.T) {
	enginetest.Run(t, boundBackend{}, engine.Options{Threads: 1}, noDouble...)
}

// Sessions that share a model run it at once, bound or not, each with its own values;
// one goes on when another is closed, in the middle of a run too.
func TestShare(t *testing.T) {
	for _, c := range enginetest.Ship(t, "../../testdata") {
		for _, first := range []*session{prepared(t, c.Model, engine.Options{Threads: 1}).(*session), boundHere(t, c.Model)} {
			x := c.Batch()
			y := x
			if d, ok := x.Data.([]float32); ok {
				d = slices.Clone(d)
				slices.Reverse(d)
				y = tensor.Of(d, x.Shape...)
			}
			ins := []*tensor.Tensor{x, y, x, y}
			want := [][]*tensor.Tensor{run(t, first, x), run(t, first, y)}
			mine, bound := first.binding, first.place != nil
			var all sync.WaitGroup
			for i, in := range ins {
				s, err := first.Share()
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() {
					defer s.Close()
					for range i + 2 {
						got, err := s.Run(context.Background(), []*tensor.Tensor{in})
						if err == nil {
							err = enginetest.Equal(got, want[i%2], 0)
						}
						if err != nil {
							t.Errorf("%s, session %d: %v", c.Name, i, err)
						}
					}
					if own := s.(*session).binding; (own != nil) != bound || bound && own == mine {
						t.Errorf("%s, session %d has no memory of its own", c.Name, i)
					}
				})
			}
			net := first.net
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := first.Share(); err == nil {
				t.Error("a closed session is shared")
			}
			all.Wait()
			if n := net.users.Load(); n != 0 {
				t.Errorf("%s: %d sessions are counted after all were closed", c.Name, n)
			}
		}
	}
}

// A run that is cancelled ends, and the one beside it does not.
func TestShareCancelled(t *testing.T) {
	s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "r", "x", "y")), engine.Options{}).(*session)
	u, err := s.Share()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := s.options.Terminate(); err != nil {
		t.Fatal(err)
	}
	in := []*tensor.Tensor{tensor.Of([]float32{-1, 2, -3, 4}, 4)}
	if _, err := s.Run(context.Background(), in); err == nil {
		t.Error("a run goes on that was told to end")
	}
	if _, err := u.Run(context.Background(), in); err != nil {
		t.Errorf("the run of another session: %v", err)
	}
}

func TestModelsCUDA(t *testing.T) {
	o := engine.Options{Device: cuda}
	if err := (Backend{}).Available(o); err != nil {
		t.Skipf("no CUDA device: %v", err)
	}
	o.Fallback = true // some exports have nodes without kernels there
	enginetest.Models(t, Backend{}, o, "../../testdata")
}

// Memory that cannot be had is done without.
func TestBoundNowhere(t *testing.T) {
	s := boundHere(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "r", "x", "y")))
	s.place.name = "CudaPinned"
	got := run(t, s, tensor.Of([]float32{-1, 2, -3, 4}, 4))
	if err := enginetest.Equal(got, []*tensor.Tensor{tensor.Of([]float32{0, 2, 0, 4}, 4)}, 0); err != nil || s.place != nil {
		t.Errorf("%v, bound to %v", err, s.place)
	}
	if n := s.Note(); !strings.Contains(n, "not bound to pinned memory") || !strings.Contains(n, "allocator") {
		t.Errorf("it notes %q", n)
	}
	s = boundHere(t, model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "r", "x", "y")))
	s.place = &memoryPlace{name: "Cuda", graph: true}
	if _, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of([]float32{1, 2, 3, 4}, 4)}); err == nil || !strings.Contains(err.Error(), "CUDA graph") {
		t.Errorf("a CUDA graph without CUDA: %v", err)
	}
}

// Where nodes run is what ONNX Runtime recorded.
func TestAssigned(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	m := model([]*onnx.Value{value("x", tensor.Float32, 4)}, []*onnx.Value{value("y", tensor.Float32, 4)}, nil, node("Relu", "first", "x", "h"), node("Exp", "second", "h", "y"))
	proto, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []bool{true, false} {
		s, err := prepare(context.Background(), proto, sessionFiles{record: record}, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, err := s.assigned("CPUExecutionProvider")
		if want := "[first (Relu) second (Exp)]"; record && (err != nil || fmt.Sprint(got) != want) || !record && err == nil {
			t.Errorf("recorded %v: got %v, %v, want %s", record, got, err, want)
		}
		if nodes := nodesOf(m.Graph, append(got, "third (Relu)")); record && !slices.Equal(nodes, m.Graph.Nodes) {
			t.Errorf("of the model these are %v", nodes)
		}
		if got, err := s.assigned("CUDAExecutionProvider"); record && (err != nil || len(got) > 0) {
			t.Errorf("on a GPU that there is not: %v, %v", got, err)
		}
	}
}
