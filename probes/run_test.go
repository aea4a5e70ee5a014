package probes

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Groups of columns of one run are what each of them is alone, whatever fails.
func TestGroupsTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := network(t, 18, func(e *rewrite.Edit, x string) string { // two channels of 3 x 3, knots at 0 and 6
		x = e.Op("Reshape", nil, x, e.Const(tensor.Of([]int64{-1, 2, 3, 3}, 4)))
		x = e.Op("Clip", nil, x, e.Const(tensor.Scalar[float32](0)), e.Const(tensor.Scalar[float32](6)))
		x = e.Op("Flatten", nil, x)
		return e.Op("Relu", nil, e.Op("Gemm", nil, x, e.Const(tensor.Of(randoms(rng, 18*5), 18, 5))))
	})
	var samples [][]float32
	for i := range 23 {
		x := randoms(rng, 18)
		for k := range x {
			x[k] = 8*x[k] - 2
		}
		if i%7 == 3 {
			x = nil
		}
		samples = append(samples, x)
	}
	for k := range 9 { // a channel that never fires
		samples[0][k] = -1
	}
	ds := points([]int{18}, samples)
	r := open(t, m, AttachOptions{}, 4)
	frame, err := NewFrame(3, 18, 1)
	if err != nil {
		t.Fatal(err)
	}
	groups := []Probe{Digest{}, Sketch{Bits: 9, Seed: 3}, Code{}, Channels{}, Complexity{Frame: frame, Radii: []float64{0.5, 1}},
		Outputs{Name: "logits", Full: true}}
	together := &memory{}
	var times Times
	sum, err := r.Write(context.Background(), ds, together, RunOptions{Times: &times}, groups...)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Items != 23 || sum.Failed != 3 || times.Infer <= 0 || times.Write <= 0 {
		t.Errorf("%+v in %+v", sum, times)
	}
	columns := 0
	for _, g := range groups {
		alone := &memory{}
		if _, err := r.Write(context.Background(), ds, alone, RunOptions{}, g); err != nil {
			t.Fatal(err)
		}
		for name, c := range alone.cols {
			columns++
			if !reflect.DeepEqual(c, together.cols[name]) {
				t.Errorf("column %s is another beside the others", name)
			}
		}
	}
	if columns != 6*7+3+1+3+1 {
		t.Errorf("%d columns", columns)
	}
	// Channels, bit by bit: two planes of two channels; the second site has one axis.
	codes, channels := together.cols["code"].Values.([]uint8), together.cols["channels"]
	if channels.Width != 1 || len(channels.Parts) != 1 {
		t.Fatalf("channels are %d bytes in parts %v, want one", channels.Width, channels.Parts)
	}
	for i, got := range channels.Values.([]uint8) {
		code, want := codes[i*r.Plan.CodeBytes():], byte(0)
		for plane := range 2 {
			for c := range 2 {
				for k := range 9 {
					if Bit(code, plane*18+c*9+k) {
						want |= 128 >> (plane*2 + c)
					}
				}
			}
		}
		if got != want || (i == 0 && got&0b10100000 != 0) || (samples[i] == nil) != channels.Null[i] || samples[i] == nil && got != 0 {
			t.Errorf("item %d: channels %08b, want %08b; null %v", i, got, want, channels.Null[i])
		}
	}
	// Sites by name.
	some := &memory{}
	if _, err := r.Write(context.Background(), ds, some, RunOptions{}, Code{Sites: []string{r.Plan.Sites[1].Name}}); err != nil {
		t.Fatal(err)
	}
	if c := some.cols["code"]; c.Width != 1 || len(c.Parts) != 1 || !bytes.Equal(c.Values.([]uint8)[:1], codes[5:6]) {
		t.Errorf("the code of the second site is %v in parts %v", c.Values, c.Parts)
	}
	var missed *site.PatternError
	if _, err := r.Write(context.Background(), ds, some, RunOptions{}, Code{Sites: []string{"nope"}}); !errors.As(err, &missed) {
		t.Errorf("codes of no site: %v", err)
	}
	flat := open(t, network(t, 3, op("Relu", nil)), AttachOptions{}, 2)
	if _, err := flat.Write(context.Background(), points([]int{3}, nil), some, RunOptions{}, Channels{}); err == nil {
		t.Error("channels of a model without any are no error")
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = rng.Float32()
	}
	return v
}

// slowSink takes its time, and then fails.
type slowSink struct {
	memory
	take chan error
}

func (s *slowSink) Write([]result.Column) error { return <-s.take }

// counted counts the samples that were read.
type counted struct {
	dataset.Dataset
	read *atomic.Int64
}

func (c counted) Unwrap() dataset.Dataset { return c.Dataset }

func (c counted) Sample(i int, dst []float32) error {
	c.read.Add(1)
	return c.Dataset.Sample(i, dst)
}

// A sink that is slow holds the run back, and one that fails ends it, with the
// sink's own error.
func TestWriteHoldsBack(t *testing.T) {
	const batch = 4
	r := open(t, network(t, 3, op("Relu", nil)), AttachOptions{}, batch)
	ds := counted{points([]int{3}, slices.Repeat([][]float32{{1, 2, 3}}, 400)), &atomic.Int64{}}
	s := &slowSink{take: make(chan error)}
	done := make(chan error, 1)
	go func() {
		_, err := r.Write(context.Background(), ds, s, RunOptions{}, Digest{})
		done <- err
	}()
	s.take <- nil
	last := int64(-1)
	for now := ds.read.Load(); now != last; now = ds.read.Load() { // until it stands still
		last = now
		time.Sleep(100 * time.Millisecond)
	}
	// One batch is written, three steps and three batches of items are under way.
	if most := int64(8 * batch); last > most {
		t.Errorf("%d items were read while the sink took none, want at most %d", last, most)
	}
	full := errors.New("no space left")
	s.take <- full
	select {
	case err := <-done:
		if !errors.Is(err, full) {
			t.Errorf("the run ends with %v, want the sink's error", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the run goes on after its sink failed")
	}
	if n := ds.read.Load(); n == 400 {
		t.Error("all items were read after the sink had failed")
	}
}

// What cancels a run is its error, wherever it waits.
func TestWriteIsCancelled(t *testing.T) {
	r := open(t, network(t, 3, op("Relu", nil)), AttachOptions{}, 2)
	for _, after := range []int{0, 1, 5} {
		ctx, cancel := context.WithCancelCause(context.Background())
		ds := points([]int{3}, slices.Repeat([][]float32{{1, 2, 3}}, 200))
		n := 0
		sum, err := r.Write(ctx, ds, &memory{}, RunOptions{Progress: func(s result.Summary) {
			if n++; n > after {
				cancel(context.Canceled)
			}
		}}, Digest{})
		if !errors.Is(err, context.Canceled) || sum.Items == 200 {
			t.Errorf("cancelled after %d batches: %v, %d items", after, err, sum.Items)
		}
		cancel(nil)
	}
}
