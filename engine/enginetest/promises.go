package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// promises are what engine.Session says, each as a test.
var promises = []struct {
	name string
	test func(*testing.T, engine.Backend, engine.Options)
}{
	{"ports", ports}, {"bad inputs", badInputs}, {"bad options", badOptions}, {"batch sizes", batchSizes},
	{"inputs are only read", inputsAreRead}, {"outputs are the caller's", outputsAreOwned},
	{"cancelled before", cancelledBefore}, {"cancelled during", cancelledDuring},
	{"preparing is cancelled", preparingCancelled}, {"closed", closed},
	{"two at once", twoAtOnce}, {"every unsupported node is named", unsupported},
	{"another domain's operator is not ONNX's", foreign}, {"the model is not changed", modelKept},
}

// affine is y = relu(x * w + b), then y again plus one: [N,3] to [N,2] twice.
func affine() *onnx.Model {
	return build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 3)
		b.op("Gemm", "h", []string{x, b.constant("w", f([]int{3, 2}, 1, 0, 0, 1, -1, -1)), b.constant("b", f([]int{2}, 1, 2))})
		b.op("Relu", "y", []string{"h"})
		b.op("Add", "z", []string{"y", b.constant("c", f([]int{2}, 1, 1))})
		b.out("y", tensor.Float32, -1, 2)
		b.out("z", tensor.Float32, -1, 2)
	})
}

func prepare(t *testing.T, b engine.Backend, m *onnx.Model, o engine.Options) engine.Session {
	t.Helper()
	p, err := b.Prepare(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func ports(t *testing.T, b engine.Backend, o engine.Options) {
	s := prepare(t, b, affine(), o)
	got := fmt.Sprint(s.Inputs(), s.Outputs())
	if want := "[{x float32 [-1 3]}] [{y float32 [-1 2]} {z float32 [-1 2]}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func badInputs(t *testing.T, b engine.Backend, o engine.Options) {
	s := prepare(t, b, affine(), o)
	good := count(0, 2, 3)
	for _, c := range []struct {
		name string
		in   []*tensor.Tensor
		want []string // what the error says
	}{
		{"none", nil, []string{"0", "1", "x"}},
		{"two", []*tensor.Tensor{good, good}, []string{"2", "1", "x"}},
		{"nil", []*tensor.Tensor{nil}, []string{`"x"`}},
		{"type", []*tensor.Tensor{tensor.Of([]float64{1, 2, 3}, 1, 3)}, []string{`"x"`, "float64", "float32"}},
		{"rank", []*tensor.Tensor{count(0, 3)}, []string{`"x"`, "[3]", "[-1 3]"}},
		{"fixed dimension", []*tensor.Tensor{count(0, 2, 4)}, []string{`"x"`, "[2 4]", "[-1 3]"}},
		{"negative dimension", []*tensor.Tensor{{DType: tensor.Float32, Shape: []int{-1, 3}, Data: []float32{}}}, []string{`"x"`, "[-1 3]"}},
		{"too little data", []*tensor.Tensor{{DType: tensor.Float32, Shape: []int{2, 3}, Data: []float32{1}}}, []string{`"x"`, "6", "1"}},
		// 3 times this is 2 in 64 bits.
		{"a shape whose product wraps", []*tensor.Tensor{{DType: tensor.Float32, Shape: []int{6148914691236517206, 3}, Data: []float32{1, 2}}}, []string{`"x"`}},
		{"data of another type", []*tensor.Tensor{{DType: tensor.Float32, Shape: []int{1, 3}, Data: []int32{1, 2, 3}}}, []string{`"x"`, "[]int32"}},
		{"no data", []*tensor.Tensor{{DType: tensor.Float32, Shape: []int{1, 3}}}, []string{`"x"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Run(context.Background(), c.in)
			if err == nil {
				t.Fatalf("got %v, want an error", got)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error %q does not say %q", err, w)
				}
			}
		})
	}
	if _, err := s.Run(context.Background(), []*tensor.Tensor{good}); err != nil {
		t.Errorf("a good input after bad ones: %v", err)
	}
}

func badOptions(t *testing.T, b engine.Backend, o engine.Options) {
	for _, c := range []struct {
		name string
		set  func(*engine.Options)
		want string
	}{
		{"threads", func(o *engine.Options) { o.Threads = -1 }, "-1"},
		{"optimise", func(o *engine.Options) { o.Optimize = "most" }, "most"},
		{"device", func(o *engine.Options) { o.Device = engine.Device{Kind: "tpu"} }, "tpu"},
		{"tune", func(o *engine.Options) { o.Tune = "guess" }, "tune"},
		{"memory", func(o *engine.Options) { o.MemoryLimit = -1 }, "memory"},
		{"graph and fallback", func(o *engine.Options) { o.CUDAGraph, o.Fallback = true, true }, "CUDA graph"},
		// What only a GPU has, asked of the CPU; gpu says that it is not asked of a GPU.
		{"gpu: TF32", func(o *engine.Options) { o.AllowTF32 = true }, "TF32"},
		{"gpu: tune", func(o *engine.Options) { o.Tune = "exhaustive" }, "tune"},
		{"gpu: memory", func(o *engine.Options) { o.MemoryLimit = 1 << 30 }, "memory"},
		{"gpu: graph", func(o *engine.Options) { o.CUDAGraph = true }, "CUDA graph"},
		{"gpu: fallback", func(o *engine.Options) { o.Fallback = true }, "on the CPU"},
	} {
		if strings.HasPrefix(c.name, "gpu:") && o.Device.Kind == "cuda" {
			continue
		}
		o := o
		c.set(&o)
		s, err := b.Prepare(context.Background(), affine(), o)
		if err == nil {
			s.Close()
			t.Errorf("%s: got no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error %q does not say %q", c.name, err, c.want)
		}
	}
}

// batchSizes goes to and fro, so that nothing remembered of one size is used for
// another.
func batchSizes(t *testing.T, b engine.Backend, o engine.Options) {
	s := prepare(t, b, affine(), o)
	for _, n := range []int{2, 2, 5, 1, 2, 5} {
		x := count(1, n, 3)
		var y, z []float32
		for i := range n { // x = k, k+1, k+2 with k = 3i+1
			k := float32(3*i + 1)
			h := []float32{max(0, k-(k+2)+1), max(0, k+1-(k+2)+2)}
			y = append(y, h...)
			z = append(z, h[0]+1, h[1]+1)
		}
		out, err := s.Run(context.Background(), []*tensor.Tensor{x})
		if err != nil {
			t.Fatal(err)
		}
		if err := Equal(out, []*tensor.Tensor{f([]int{n, 2}, y...), f([]int{n, 2}, z...)}, 0); err != nil {
			t.Fatalf("batch %d: %v", n, err)
		}
	}
}

func inputsAreRead(t *testing.T, b engine.Backend, o engine.Options) {
	// Operators that an engine likes to run in place.
	s := prepare(t, b, build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 3)
		b.op("Relu", "r", []string{x})
		b.op("Add", "y", []string{"r", "r"})
		b.outAny("y", tensor.Float32)
	}), o)
	x := f([]int{2, 3}, -1, -2, -3, 1, 2, 3)
	keep := slices.Clone(tensor.Data[float32](x))
	for range 3 {
		if _, err := s.Run(context.Background(), []*tensor.Tensor{x}); err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](x); !slices.Equal(got, keep) {
			t.Fatalf("the input is now %v, it was %v", got, keep)
		}
	}
}

func outputsAreOwned(t *testing.T, b engine.Backend, o engine.Options) {
	s := prepare(t, b, affine(), o)
	run := func(x *tensor.Tensor) []*tensor.Tensor {
		out, err := s.Run(context.Background(), []*tensor.Tensor{x})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	x := f([]int{1, 3}, 5, 6, 1)
	want := []*tensor.Tensor{f([]int{1, 2}, 5, 7), f([]int{1, 2}, 6, 8)}
	first := run(x)
	run(f([]int{1, 3}, 50, 60, 1))
	if err := Equal(first, want, 0); err != nil {
		t.Errorf("the first outputs after a second run: %v", err)
	}
	for _, o := range first {
		clear(tensor.Data[float32](o))
		o.Shape[0] = 99
	}
	if err := Equal(run(x), want, 0); err != nil {
		t.Errorf("after the caller wrote to its outputs: %v", err)
	}
	p := s.Outputs()
	p[0].Shape[1] = 99
	if err := Equal(run(x), want, 0); err != nil || s.Outputs()[0].Shape[1] != 2 {
		t.Errorf("after the caller wrote to the ports: %v, %v", err, s.Outputs())
	}
}

func cancelledBefore(t *testing.T, b engine.Backend, o engine.Options) {
	s := prepare(t, b, affine(), o)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, []*tensor.Tensor{count(0, 1, 3)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := s.Run(context.Background(), []*tensor.Tensor{count(0, 1, 3)}); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

// preparingCancelled cancels before a model is prepared and soon after it is begun, and
// prepares it once more.
func preparingCancelled(t *testing.T, b engine.Backend, o engine.Options) { PreparingEnds(t, b, o, 8) }

// PreparingEnds cancels the preparing of a long model when one of parts of the time that
// it takes is over, and fails unless that ends it early.
func PreparingEnds(t *testing.T, b engine.Backend, o engine.Options, parts int) {
	t.Helper()
	m := build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 4)
		for i := range 4000 {
			x = b.op([]string{"Relu", "Exp", "Neg"}[i%3], fmt.Sprint("x", i), []string{x})
		}
		b.outAny(x, tensor.Float32)
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err := b.Prepare(ctx, m, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v and %v, want %v", s, err, context.Canceled)
	}
	start := time.Now()
	prepare(t, b, m, o)
	full := time.Since(start)
	// Of several tries, since a busy machine's timer may come late.
	var took time.Duration
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), full/time.Duration(parts))
		start := time.Now()
		s, err := b.Prepare(ctx, m, o)
		took = time.Since(start)
		cancel()
		switch {
		case err == nil:
			s.Close()
		case !errors.Is(err, context.DeadlineExceeded):
			t.Fatalf("cancelled while it went on: got %v, want %v", err, context.DeadlineExceeded)
		case took < full*8/10:
			prepare(t, b, m, o)
			return
		}
	}
	t.Errorf("cancelled after %v it went on for %v; the whole takes %v", full/time.Duration(parts), took, full)
}

// cancelledDuring cancels a long chain of products early and measures that it
// ends early.
func cancelledDuring(t *testing.T, b engine.Backend, o engine.Options) {
	const n, chain = 256, 400
	w := make([]float32, n*n)
	for i := range n {
		w[i*n+(i+1)%n] = 1 // a rotation: no value grows
	}
	s := prepare(t, b, build(func(b *builder) {
		x := b.in("x", tensor.Float32, n, n)
		b.constant("w", tensor.Of(w, n, n))
		for i := range chain {
			x = b.op("MatMul", fmt.Sprint("x", i), []string{x, "w"})
		}
		b.outAny(x, tensor.Float32)
	}), o)
	in := []*tensor.Tensor{count(0, n, n)}
	run := func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		_, err := s.Run(ctx, in)
		return time.Since(start), err
	}
	full, err := run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), full/10)
	defer cancel()
	took, err := run(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v after %v (%v without a limit), want %v", err, took, full, context.DeadlineExceeded)
	}
	if took > full*8/10 {
		t.Errorf("cancelled after %v it ended after %v; a whole run takes %v", full/10, took, full)
	}
	if _, err := run(context.Background()); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

func closed(t *testing.T, b engine.Backend, o engine.Options) {
	s, other := prepare(t, b, affine(), o), prepare(t, b, affine(), o)
	for i := range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close %d: %v", i+1, err)
		}
	}
	if _, err := s.Run(context.Background(), []*tensor.Tensor{count(0, 1, 3)}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a run after Close: got %v, want an error that says closed", err)
	}
	if _, err := other.Run(context.Background(), []*tensor.Tensor{count(0, 1, 3)}); err != nil {
		t.Errorf("another session after Close: %v", err)
	}
}

func twoAtOnce(t *testing.T, b engine.Backend, o engine.Options) {
	var wg sync.WaitGroup
	for k := range 2 {
		k := float32(k + 1)
		s := prepare(t, b, build(func(b *builder) {
			x := b.in("x", tensor.Float32, -1, 64)
			b.op("Mul", "y", []string{x, b.constant("k", tensor.Scalar(k))})
			b.op("Relu", "z", []string{"y"})
			b.outAny("z", tensor.Float32)
		}), o)
		wg.Go(func() {
			x := count(1, 32, 64)
			want := count(1, 32, 64)
			for i := range tensor.Data[float32](want) {
				tensor.Data[float32](want)[i] *= k
			}
			for range 50 {
				got, err := s.Run(context.Background(), []*tensor.Tensor{x})
				if err == nil {
					err = Equal(got, []*tensor.Tensor{want}, 0)
				}
				if err != nil {
					t.Errorf("session %v: %v", k, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func unsupported(t *testing.T, b engine.Backend, o engine.Options) {
	m := build(func(b *builder) {
		x := b.in("x", tensor.Float32, -1, 3)
		b.op("NoSuchOperator", "a", []string{x})
		b.op("Relu", "r", []string{"a"})
		b.op("NoSuchOperator", "y", []string{"r"})
		b.outAny("y", tensor.Float32)
	})
	s, err := b.Prepare(context.Background(), m, o)
	if err == nil {
		s.Close()
		t.Fatal("got no error")
	}
	u := new(engine.UnsupportedError)
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want an UnsupportedError", err)
	}
	var names []string
	for _, n := range u.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"node_a", "node_y"}; !slices.Equal(names, want) {
		t.Errorf("got the nodes %q, want %q", names, want)
	}
}

func foreign(t *testing.T, b engine.Backend, o engine.Options) {
	m := build(func(b *builder) {
		b.op("Mul", "y", []string{b.in("x", tensor.Float32, -1, 3), "x"})
		b.outAny("y", tensor.Float32)
	})
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: "com.example", Version: 1})
	m.Graph.Nodes[0].Domain = "com.example"
	s, err := b.Prepare(context.Background(), m, o)
	if err == nil {
		s.Close()
	}
	if u := new(engine.UnsupportedError); !errors.As(err, &u) || len(u.Nodes) != 1 || u.Nodes[0].Name != "node_y" {
		t.Errorf("got %v, want an UnsupportedError with the node", err)
	}
}

func modelKept(t *testing.T, b engine.Backend, o engine.Options) {
	m := affine()
	was, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s := prepare(t, b, m, o)
	if _, err := s.Run(context.Background(), []*tensor.Tensor{count(0, 1, 3)}); err != nil {
		t.Fatal(err)
	}
	is, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(was, is) {
		t.Error("the model was changed")
	}
}
