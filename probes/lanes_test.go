package probes

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Rows of several sessions are those of one, in its order, whatever the groups, the
// number of batches and how long each takes.
func TestDevicesAreAsOne(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	rng := rand.New(rand.NewPCG(1, 2))
	m := network(t, 6, func(e *rewrite.Edit, x string) string {
		x = e.Op("Relu", nil, e.Op("Gemm", nil, x, e.Const(tensor.Of(randoms(rng, 6*24), 6, 24))))
		return e.Op("Flatten", nil, e.Op("Relu", nil, e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{-1, 2, 3, 4}, 4)))))
	})
	frame, err := NewFrame(3, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	groups := []Probe{Digest{}, Code{}, Channels{}, Complexity{Frame: frame, Radii: []float64{0.1, 0.5}},
		Outputs{Name: "logits", Full: true}}
	for _, batch := range []int{1, 4} {
		for _, items := range []int{0, 1, 4, 5, 37} {
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
			ds := points([]int{6}, samples)
			one := &memory{}
			p, err := Attach(m, AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var want result.Summary
			for _, n := range []int{1, 2, 3} {
				r, err := p.OpenOn(context.Background(), uneven{ort.Backend{}, new(atomic.Int64)}, engine.Options{}, make([]engine.Device, n), batch)
				if err != nil {
					t.Fatal(err)
				}
				got, last := &memory{}, 0
				sum, err := r.Write(context.Background(), ds, got, RunOptions{Progress: func(s result.Summary) {
					if s.Items <= last || s.Items > last+batch {
						t.Errorf("%d items after %d", s.Items, last)
					}
					last = s.Items
				}}, groups...)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Fatal(err)
				}
				if n == 1 {
					one, want = got, sum
				}
				if sum.Items != items || !reflect.DeepEqual(sum, want) || !reflect.DeepEqual(got.cols, one.cols) {
					t.Errorf("%d items in batches of %d on %d sessions are other rows than on one: %+v", items, batch, n, sum)
				}
			}
		}
	}
}

// uneven makes sessions of which every second one is slow.
type uneven struct {
	engine.Backend
	made *atomic.Int64
}

func (u uneven) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := u.Backend.Prepare(ctx, m, o)
	if u.made.Add(1)%2 == 1 {
		return s, err
	}
	return &slowSession{Session: s}, err
}

type slowSession struct {
	engine.Session
	busy atomic.Bool
	runs int
	fail error // of the third run
}

func (s *slowSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if s.busy.Swap(true) {
		return nil, errors.New("the session is used by two goroutines")
	}
	defer s.busy.Store(false)
	if s.runs++; s.runs == 3 && s.fail != nil {
		return nil, s.fail
	}
	before := slices.Clone(tensor.Data[float32](in[0]))
	time.Sleep(500 * time.Microsecond)
	if !slices.Equal(before, tensor.Data[float32](in[0])) {
		return nil, errors.New("the input changed during the run")
	}
	return s.Session.Run(ctx, in)
}

// An error of one session comes after the rows before it, and ends the run on all.
func TestOneDeviceFails(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	p, err := Attach(network(t, 3, op("Relu", nil)), AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.OpenOn(context.Background(), ort.Backend{}, engine.Options{}, make([]engine.Device, 2), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lost := errors.New("the GPU fell off the bus")
	r.peers[0].session = &slowSession{Session: r.peers[0].session, fail: lost}
	ds := points([]int{3}, slices.Repeat([][]float32{{1, 2, 3}}, 400))
	sum, err := r.Write(context.Background(), ds, &memory{}, RunOptions{}, Digest{})
	if !errors.Is(err, lost) || sum.Items != 10 { // batches 0 to 4; batch 5 is its third
		t.Errorf("%d items, then %v", sum.Items, err)
	}
}
