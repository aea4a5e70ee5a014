package probes

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// posing is ONNX Runtime on the CPU that poses as being on GPUs. It counts what it
// prepares and shares, what is open and how many runs there were at once.
type posing struct {
	ort.Backend
	mu                     sync.Mutex
	prepared, shared, open int
	runs, most, all        int
	recycled               int
	fail                   error // of every run but the first few
}

func (b *posing) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, engine.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	b.count(&b.prepared, 1)
	b.count(&b.open, 1)
	return &posingSession{s, b, new(int)}, nil
}

func (b *posing) count(n *int, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n += by
}

type posingSession struct {
	engine.Session
	b    *posing
	seen *int
}

func (s *posingSession) Share() (engine.Session, error) {
	t, err := s.Session.(engine.Sharer).Share()
	if err != nil {
		return nil, err
	}
	s.b.count(&s.b.shared, 1)
	s.b.count(&s.b.open, 1)
	return &posingSession{t, s.b, new(int)}, nil
}

func (s *posingSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	s.b.mu.Lock()
	s.b.runs++
	s.b.all++
	s.b.most = max(s.b.most, s.b.runs)
	s.b.mu.Unlock()
	defer s.b.count(&s.b.runs, -1)
	time.Sleep(200 * time.Microsecond) // a GPU's, so that the host goes on
	if *s.seen++; *s.seen > 3 && s.b.fail != nil {
		return nil, s.b.fail
	}
	return s.Session.Run(ctx, in)
}

// Recycle spoils the outputs, as a run does that is written into them.
func (s *posingSession) Recycle(out []*tensor.Tensor) {
	s.b.count(&s.b.recycled, 1)
	for _, t := range out {
		switch d := t.Data.(type) {
		case []uint8:
			for i := range d {
				d[i] ^= 0xa5
			}
		case []float32:
			for i := range d {
				d[i] = float32(math.NaN())
			}
		}
	}
}

func (s *posingSession) Note() string { return "it poses" }

func (s *posingSession) Close() error {
	s.b.count(&s.b.open, -1)
	return s.Session.Close()
}

func overlapping(t *testing.T, items int) (*onnx.Model, dataset.Dataset, []Probe) {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	rng := rand.New(rand.NewPCG(1, 2))
	m := network(t, 6, func(e *rewrite.Edit, x string) string {
		x = e.Op("Relu", nil, e.Op("Gemm", nil, x, e.Const(tensor.Of(randoms(rng, 6*24), 6, 24))))
		return e.Op("Relu", nil, e.Op("Gemm", nil, x, e.Const(tensor.Of(randoms(rng, 24*9), 24, 9))))
	})
	var samples [][]float32
	for i := range items {
		x := randoms(rng, 6)
		for k := range x {
			x[k] -= 0.5
		}
		if i%9 == 4 {
			x = nil
		}
		samples = append(samples, x)
	}
	frame, err := NewFrame(3, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m, points([]int{6}, samples), []Probe{Digest{}, Code{}, Complexity{Frame: frame, Radii: []float64{0.1, 0.5}},
		Outputs{Name: "logits", Full: true}}
}

// A GPU that is there once runs two batches at once, of one prepared model, and the rows
// are those of one after the other; a second run over a dataset prepares nothing.
func TestOverlap(t *testing.T) {
	m, ds, groups := overlapping(t, 150)
	gpu := func(n ...int) (all []engine.Device) {
		for _, i := range n {
			all = append(all, engine.Device{Kind: "cuda", Index: i})
		}
		return all
	}
	one := &memory{} // by one session, which spoils nothing
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(context.Background(), ort.Backend{}, engine.Options{Threads: 1}, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Write(context.Background(), ds, one, RunOptions{}, groups...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                   string
		o                      engine.Options
		devices                []engine.Device
		named                  string
		prepared, shared, most int
	}{
		{"off", engine.Options{MemoryLimit: 1}, gpu(0), "cuda:0", 2, 0, 1},
		{"a CUDA graph", engine.Options{CUDAGraph: true}, gpu(0), "cuda:0", 2, 0, 1},
		{"on", engine.Options{}, gpu(0), "cuda:0", 2, 2, 2},
		{"asked for", engine.Options{MemoryLimit: 1}, gpu(0, 0), "cuda:0,cuda:0", 2, 2, 2},
		{"three", engine.Options{}, gpu(0, 0, 0), "cuda:0,cuda:0,cuda:0", 2, 4, 3},
		{"two GPUs", engine.Options{}, gpu(0, 1), "cuda:0,cuda:1", 4, 4, 4},
		{"two GPUs, one of them twice", engine.Options{}, gpu(1, 0, 1), "cuda:1,cuda:0,cuda:1", 4, 4, 4},
		{"on the CPU", engine.Options{Threads: 2}, make([]engine.Device, 2), "cpu,cpu", 1, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Attach(m, AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			b := &posing{}
			r, err := p.OpenOn(context.Background(), b, c.o, c.devices, 16)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got := &memory{}
				if _, err := r.Write(context.Background(), ds, got, RunOptions{}, groups...); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got.cols, one.cols) {
					t.Error("the rows are others")
				}
			}
			if b.recycled == 0 {
				t.Error("no output is given back")
			}
			if notes := r.Notes(); !slices.Equal(notes, []string{"it poses"}) {
				t.Errorf("the sessions' notes are %q", notes)
			}
			if b.prepared != c.prepared || b.shared != c.shared || r.Devices() != c.named {
				t.Errorf("%d sessions were prepared and %d shared, want %d and %d; they are on %s", b.prepared, b.shared, c.prepared, c.shared, r.Devices())
			}
			if b.most > c.most || b.most < min(c.most, 2) { // a busy machine may never start them all
				t.Errorf("%d runs at once, want up to %d", b.most, c.most)
			}
			if err := r.Close(); err != nil || b.open != 0 {
				t.Errorf("%d sessions are left open, %v", b.open, err)
			}
		})
	}
}

// However a run ends, no goroutine and no session stays behind.
func TestOverlapEnds(t *testing.T) {
	m, ds, groups := overlapping(t, 3000)
	lost := errors.New("the GPU fell off the bus")
	for _, c := range []struct {
		name string
		want error
	}{{"an error", lost}, {"cancelled", context.Canceled}, {"the sink", errSink}} {
		before := runtime.NumGoroutine()
		p, err := Attach(m, AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		b := &posing{}
		sink := &failing{after: 1 << 30}
		switch c.want {
		case lost:
			b.fail = lost
		case errSink:
			sink.after = 3
		default:
			sink.then, sink.after = cancel, 3
		}
		r, err := p.OpenOn(ctx, b, engine.Options{}, []engine.Device{{Kind: "cuda"}}, 16)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := r.Write(ctx, ds, sink, RunOptions{}, groups...)
		if !errors.Is(err, c.want) || sum.Items == ds.Len() {
			t.Errorf("%s: %d items, then %v", c.name, sum.Items, err)
		}
		if b.all > 80 { // of some 400; the batch that failed is run once more
			t.Errorf("%s: %d runs", c.name, b.all)
		}
		if err := r.Close(); err != nil || b.open != 0 {
			t.Errorf("%s: %d sessions are left open, %v", c.name, b.open, err)
		}
		cancel()
		for wait := 0; runtime.NumGoroutine() > before && wait < 200; wait++ {
			time.Sleep(5 * time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%s: %d goroutines more", c.name, n-before)
		}
	}
}

var errSink = errors.New("the disk is full")

// failing is a sink that calls then, or else fails, after so many batches.
type failing struct {
	after int
	then  func()
}

func (s *failing) Write([]result.Column) error {
	if s.after--; s.after != 0 {
		return nil
	}
	if s.then == nil {
		return errSink
	}
	s.then()
	return nil
}

func (*failing) Commit(any) error { return nil }
func (*failing) Abort() error     { return nil }
