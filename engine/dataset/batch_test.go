package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// numbers is samples of two elements, [i+1, -i-1], but for those in bad.
type numbers struct {
	n    int
	bad  map[int]func(dst []float32) error
	read atomic.Int64
	slow time.Duration
}

func (d *numbers) Len() int        { return d.n }
func (d *numbers) Shape() []int    { return []int{2} }
func (d *numbers) Item(i int) Item { return Item{ID: fmt.Sprint(i), Label: i} }
func (d *numbers) Sample(i int, dst []float32) error {
	d.read.Add(1)
	time.Sleep(time.Duration(i%3) * d.slow)
	dst[0], dst[1] = float32(i+1), -float32(i+1)
	if f := d.bad[i]; f != nil {
		return f(dst)
	}
	return nil
}

func TestBatchesKeepOrderAndPad(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5, 8, 103} {
		for _, workers := range []int{1, 7} {
			next := 0
			for b, err := range Batches(t.Context(), &numbers{n: n, slow: 50 * time.Microsecond}, 4, workers) {
				if err != nil {
					t.Fatal(err)
				}
				want := min(4, n-next)
				if b.Start != next || b.N != want || len(b.Items) != want || len(b.Errs) != want || !reflect.DeepEqual(b.Input.Shape, []int{4, 2}) {
					t.Fatalf("n %d: batch at %d of %d, %d items, shape %v; want %d of %d", n, b.Start, b.N, len(b.Items), b.Input.Shape, next, want)
				}
				for i, v := range tensor.Data[float32](b.Input) {
					row := float32(b.Start + i/2 + 1)
					if i/2 >= b.N {
						row = 0
					}
					if v != row*float32(1-2*(i%2)) {
						t.Fatalf("n %d, batch at %d: element %d is %v", n, b.Start, i, v)
					}
				}
				for i, it := range b.Items {
					if it.Label != b.Start+i || b.Errs[i] != nil {
						t.Fatalf("item %d is %+v, error %v", b.Start+i, it, b.Errs[i])
					}
				}
				next += b.N
			}
			if next != n {
				t.Errorf("got %d samples of %d", next, n)
			}
		}
	}
}

func TestBadSamplesAreTheirOwnErrors(t *testing.T) {
	ds := &numbers{n: 9, bad: map[int]func([]float32) error{
		1: func([]float32) error { return errors.New("unreadable") },
		3: func([]float32) error { panic("a decoder's bug") },
		4: func(dst []float32) error { dst[1] = float32(math.NaN()); return nil },
		8: func(dst []float32) error { dst[0] = float32(math.Inf(-1)); return nil },
	}}
	wants := map[int]string{1: "unreadable", 3: "panic: a decoder's bug", 4: "element 1 is NaN", 8: "element 0 is -Inf"}
	seen := 0
	for b, err := range Batches(t.Context(), ds, 2, 2) {
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range b.Errs {
			want, bad := wants[b.Start+i]
			row := tensor.Data[float32](b.Input)[2*i : 2*i+2]
			if bad && (e == nil || !strings.Contains(e.Error(), want) || row[0] != 0 || row[1] != 0) {
				t.Errorf("sample %d: error %v, row %v; want an error with %q and zeros", b.Start+i, e, row, want)
			}
			if !bad && (e != nil || row[0] == 0) {
				t.Errorf("sample %d: error %v, row %v", b.Start+i, e, row)
			}
			seen++
		}
	}
	if seen != 9 {
		t.Errorf("got %d samples of 9", seen)
	}
}

func TestBatchesAllBad(t *testing.T) {
	preset, _ := picture.ParsePreprocess("imagenet")
	dir := tree(t, map[string][]byte{"a.jpg": nil, "b.jpg": []byte("x")})
	n := 0
	for b, err := range Batches(t.Context(), open(t, Options{Preprocess: &preset}, dir), 1, 1) {
		if err != nil || b.Errs[0] == nil || b.Items[0].ID == "" {
			t.Errorf("got %+v, error %v", b, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("got %d batches, want 2", n)
	}
}

func TestNaNInArrayIsAnItemError(t *testing.T) {
	path := filepath.Join(tree(t, map[string][]byte{"x.npy": npyOf(t, tensor.Of([]float32{1, float32(math.NaN())}, 2, 1))}), "x.npy")
	for b, err := range Batches(t.Context(), open(t, Options{}, path), 2, 1) {
		if err != nil || b.Errs[0] != nil || b.Errs[1] == nil || !strings.Contains(b.Errs[1].Error(), "NaN") {
			t.Errorf("got errors %v, %v", b.Errs, err)
		}
	}
}

// However an iteration ends, its goroutines have ended when it does.
func TestBatchesStopCleanly(t *testing.T) {
	before := runtime.NumGoroutine()
	check := func(how string, ds *numbers) {
		t.Helper()
		// One that has said that it is done may be counted for a moment yet.
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("%s: %d goroutines, %d before", how, now, before)
		}
		if read := ds.read.Load(); read > 4*(inFlight+1) {
			t.Errorf("%s: %d samples were read for one batch of 4", how, read)
		}
	}
	ds := &numbers{n: 10000}
	for range Batches(t.Context(), ds, 4, 3) {
		break
	}
	check("break", ds)

	ds = &numbers{n: 10000}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	defer cancel(nil)
	batches := 0
	var last error
	for b, err := range Batches(ctx, ds, 4, 3) {
		if last = err; b != nil {
			batches++
			cancel(stop)
		}
	}
	if batches != 1 || !errors.Is(last, stop) {
		t.Errorf("cancelled in the first batch: %d batches, then error %v", batches, last)
	}
	check("cancel", ds)

	ds = &numbers{n: 10000}
	func() {
		defer func() { _ = recover() }()
		for range Batches(t.Context(), ds, 4, 3) {
			panic("the consumer's")
		}
	}()
	check("panic", ds)
}

func TestBatchesUseFewBuffers(t *testing.T) {
	seen := map[*float32]bool{}
	for b, err := range Batches(t.Context(), &numbers{n: 400}, 4, 2) {
		if err != nil {
			t.Fatal(err)
		}
		seen[&tensor.Data[float32](b.Input)[0]] = true
	}
	if len(seen) > inFlight {
		t.Errorf("100 batches used %d buffers, want at most %d", len(seen), inFlight)
	}
}

func TestBatchesRefuseSizes(t *testing.T) {
	for _, c := range []struct {
		ds            Dataset
		size, workers int
	}{
		{&numbers{n: 1}, 0, 1}, {&numbers{n: 1}, 1, 0}, {&numbers{n: 1}, math.MaxInt, 1},
		{Random(1, []int{1 << 40, 1 << 40}, 0, 1, 0), 1, 1}, {Random(1, []int{3, -1}, 0, 1, 0), 1, 1},
	} {
		n := 0
		for b, err := range Batches(t.Context(), c.ds, c.size, c.workers) {
			if n++; b != nil || err == nil {
				t.Errorf("size %d, %d workers, shape %v: got %v, error %v", c.size, c.workers, c.ds.Shape(), b, err)
			}
		}
		if n != 1 {
			t.Errorf("got %d steps, want one error", n)
		}
	}
}

func TestRandom(t *testing.T) {
	a, b := Random(100, []int{2, 3}, -1, 3, 7), Random(5, []int{2, 3}, -1, 3, 7)
	if !reflect.DeepEqual(sample(t, a, 4), sample(t, b, 4)) {
		t.Error("sample 4 depends on the size of the dataset")
	}
	if reflect.DeepEqual(sample(t, a, 4), sample(t, a, 5)) || reflect.DeepEqual(sample(t, a, 4), sample(t, Random(9, []int{2, 3}, -1, 3, 8), 4)) {
		t.Error("another sample or seed gave the same point")
	}
	// The mean of 600 uniform values in [-1, 3) is 1 with a deviation of 0.047.
	sum := 0.0
	for i := range 100 {
		for _, v := range sample(t, a, i) {
			if v < -1 || v > 3 {
				t.Fatalf("%v lies outside [-1, 3)", v)
			}
			sum += float64(v)
		}
	}
	if mean := sum / 600; math.Abs(mean-1) > 0.2 {
		t.Errorf("mean %v, want 1", mean)
	}
}
