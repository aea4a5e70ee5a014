package probes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// brittle is an engine whose sessions share one process, which a run ends where lost says
// so; the runs at the time are lost too.
type brittle struct {
	gorgonia.Backend
	lost func(in []*tensor.Tensor) *engine.LostError
	// fails gives an error that ends nothing; it may be nil.
	fails func(in []*tensor.Tensor) error
	slow  time.Duration

	mu            sync.Mutex
	starts, runs  int
	crashes, fell int // by what was run, and by what another session ran
	given         int // outputs that were not given back
}

func (b *brittle) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	return brittleSession{s, b}, err
}

type brittleSession struct {
	engine.Session
	b *brittle
}

func (s brittleSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	b := s.b
	b.mu.Lock()
	b.runs++
	at, lost := b.starts, b.lost(in)
	b.mu.Unlock()
	time.Sleep(b.slow)
	if b.fails != nil {
		if err := b.fails(in); err != nil {
			return nil, err
		}
	}
	out, err := s.Session.Run(ctx, in)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case lost != nil:
		b.starts, b.crashes = b.starts+1, b.crashes+1
		return nil, lost
	case b.starts != at:
		b.fell++
		return nil, crash()
	}
	b.given++
	return out, err
}

func (s brittleSession) Recycle([]*tensor.Tensor) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.given--
}

func crash() *engine.LostError {
	return &engine.LostError{Engine: "fake", Model: "m.onnx", Doing: "ran the model", Signal: "SIGFPE"}
}

// over counts the rows of a batch whose first number is over 50.
func over(x *tensor.Tensor) (n int) {
	for i := range x.Shape[0] {
		n += b2i(floatRow(x, i)[0] > 50)
	}
	return n
}

func crashesOver(in []*tensor.Tensor) *engine.LostError {
	if over(in[0]) > 0 {
		return crash()
	}
	return nil
}

// bends is a network of two layers of 6 inputs.
func bends(t *testing.T) *onnx.Model {
	rng := rand.New(rand.NewPCG(1, 2))
	return network(t, 6, func(e *rewrite.Edit, x string) string {
		w := randoms(rng, 6*8)
		for i := range w {
			w[i] -= .5
		}
		return e.Op("Softmax", nil, layer(e, layer(e, x, w, make([]float32, 8)), w[:24], []float32{0, -.1, -.2}))
	})
}

// crashers are n items, of which some crash the engine; without are the same with those
// unreadable.
func crashers(n int, bad []int) (with, without dataset.Dataset) {
	rng := rand.New(rand.NewPCG(3, 4))
	var a, b [][]float32
	for i := range n {
		x := randoms(rng, 6)
		if i%11 == 5 {
			x = nil
		}
		y := slices.Clone(x)
		if slices.Contains(bad, i) {
			x, y = slices.Repeat([]float32{100}, 6), nil
		}
		a, b = append(a, x), append(b, y)
	}
	return points([]int{6}, a), points([]int{6}, b)
}

// An item at which the engine crashes is a row that says so, and the other rows are what
// they are where it cannot be read; it is found in a number of runs that grows as the
// logarithm of the batch.
func TestCrashIsTheItems(t *testing.T) {
	m := bends(t)
	frame, err := NewFrame(3, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	around := Complexity{Frame: frame, Radii: []float64{.1, .5}}
	all := []Probe{Digest{}, Code{}, Fragile{Within: .1}, around, Outputs{Name: "logits", Full: true}}
	for _, bad := range [][]int{{0}, {36}, {18}, {3, 4}, {0, 1, 2}, {7, 20, 21, 35}} {
		for _, size := range []int{1, 4, 16} {
			for _, probes := range [][]Probe{all, {around}} {
				for _, lanes := range []int{1, 3} {
					with, without := crashers(37, bad)
					b := &brittle{lost: crashesOver}
					if lanes > 1 {
						b.slow = 100 * time.Microsecond
					}
					p, err := Attach(m, AttachOptions{Probes: all})
					if err != nil {
						t.Fatal(err)
					}
					r, err := p.OpenOn(t.Context(), b, engine.Options{}, make([]engine.Device, lanes), size)
					if err != nil {
						t.Fatal(err)
					}
					want, got := &memory{}, &memory{}
					wanted, err := openOn(t, gorgonia.Backend{}, m, AttachOptions{Probes: all}, size).Write(t.Context(), without, want, RunOptions{}, probes...)
					if err != nil {
						t.Fatal(err)
					}
					sum, err := r.Write(t.Context(), with, got, RunOptions{}, probes...)
					if err := errors.Join(err, r.Close()); err != nil {
						t.Fatal(err)
					}
					name := fmt.Sprintf("%v of 37 items in batches of %d on %d sessions with %d probes", bad, size, lanes, len(probes))
					if sum.Items != 37 || sum.Failed != wanted.Failed {
						t.Errorf("%s: %+v, want %+v", name, sum, wanted)
					}
					for i, text := range got.cols["error"].Values.([]string) {
						if slices.Contains(bad, i) != (text == "crashed the engine with SIGFPE") {
							t.Errorf("%s: the error of item %d is %q", name, i, text)
						}
					}
					delete(got.cols, "error")
					delete(want.cols, "error")
					if !reflect.DeepEqual(got.cols, want.cols) {
						for _, c := range slices.Sorted(maps.Keys(want.cols)) {
							if !reflect.DeepEqual(got.cols[c], want.cols[c]) {
								t.Errorf("%s: the column %s is another than without them", name, c)
							}
						}
					}
					if b.crashes == 0 || lanes == 1 && b.fell > 0 || b.given != 0 {
						t.Errorf("%s: %d crashes, %d sessions fell with another, and %d outputs were not given back", name, b.crashes, b.fell, b.given)
					}
				}
			}
		}
	}
}

// An item is found where the engine fails at zeros too, with which batches are filled up,
// and where it gives an error instead of a crash.
func TestItemAtWhichTheEngineFails(t *testing.T) {
	m := bends(t)
	zero := func(in []*tensor.Tensor) bool {
		for i := range in[0].Shape[0] {
			if floatRow(in[0], i)[0] == 0 {
				return true
			}
		}
		return false
	}
	failure := errors.New("running a model on fake: Integer division by zero")
	frame, err := NewFrame(3, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	for how, b := range map[string]*brittle{
		"crashed the engine with SIGFPE": {lost: func(in []*tensor.Tensor) *engine.LostError {
			if zero(in) {
				return crash()
			}
			return nil
		}},
		failure.Error(): {lost: func([]*tensor.Tensor) *engine.LostError { return nil }, fails: func(in []*tensor.Tensor) error {
			if zero(in) {
				return failure
			}
			return nil
		}},
	} {
		for _, size := range []int{1, 2, 4, 8} {
			var x [][]float32
			for i := range 13 {
				x = append(x, slices.Repeat([]float32{float32(i-7) / 10}, 6))
			}
			around := Complexity{Frame: frame, Radii: []float64{.01}} // no vertex is zero
			for failed, probe := range []Probe{around, Code{}} {
				without := slices.Clone(x)
				if failed > 0 {
					without[7] = nil
				}
				want, got := &memory{}, &memory{}
				a := AttachOptions{Probes: []Probe{probe}}
				if _, err := openOn(t, gorgonia.Backend{}, m, a, size).Write(t.Context(), points([]int{6}, without), want, RunOptions{}, probe); err != nil {
					t.Fatal(err)
				}
				sum, err := openOn(t, b, m, a, size).Write(t.Context(), points([]int{6}, x), got, RunOptions{}, probe)
				if err != nil || sum.Failed != failed {
					t.Errorf("%s, in batches of %d: %+v, %v", how, size, sum, err)
					continue
				}
				if said := got.cols["error"].Values.([]string)[7]; failed > 0 && said != how {
					t.Errorf("%s, in batches of %d: the item's error is %q", how, size, said)
				}
				delete(got.cols, "error")
				delete(want.cols, "error")
				if !reflect.DeepEqual(got.cols, want.cols) {
					t.Errorf("%s, in batches of %d: the other rows are not what they are without the item", how, size)
				}
			}
		}
	}
}

// The runs that it takes to find an item.
func TestCrashIsFoundInFewRuns(t *testing.T) {
	for size, most := range map[int]int{1: 4, 2: 6, 16: 12, 64: 16} {
		for _, at := range []int{0, size / 2, size - 1} {
			with, _ := crashers(size, []int{at})
			b := &brittle{lost: crashesOver}
			r := openOn(t, b, bends(t), AttachOptions{}, size)
			if sum, err := r.Write(t.Context(), with, &memory{}, RunOptions{}, Code{}); err != nil || sum.Items != size {
				t.Fatal(sum, err)
			}
			if b.runs > most || b.crashes > most/2 {
				t.Errorf("item %d of a batch of %d: %d runs and %d crashes, want %d and %d at most", at, size, b.runs, b.crashes, most, most/2)
			}
		}
	}
}

// Where it is not an item alone at which the engine crashes, or it goes beyond a limit, the
// run ends with an error that names the batch, soon.
func TestCrashOfTheModel(t *testing.T) {
	items := func(x ...float32) dataset.Dataset {
		var all [][]float32
		for _, v := range x {
			all = append(all, slices.Repeat([]float32{v}, 6))
		}
		return points([]int{6}, all)
	}
	limit := errors.New("took longer than 60 s")
	zero := func(in []*tensor.Tensor) *engine.LostError {
		if floatRow(in[0], 0)[0] == 0 {
			return crash()
		}
		return nil
	}
	b := &brittle{lost: zero}
	if sum, err := openOn(t, b, bends(t), AttachOptions{}, 2).Write(t.Context(), points([]int{6}, make([][]float32, 4)), &memory{}, RunOptions{}, Code{}); err != nil || sum.Failed != 4 {
		t.Errorf("of items that cannot be read, at whose zeros the engine crashes: %+v, %v", sum, err)
	}
	for name, c := range map[string]struct {
		ds   dataset.Dataset
		lost func(in []*tensor.Tensor) *engine.LostError
		runs int
		want string
	}{
		"two together": {items(1, 1, 1, 1, 1, 60, 1, 60), func(in []*tensor.Tensor) *engine.LostError {
			if over(in[0]) > 1 {
				return crash()
			}
			return nil
		}, 7, "the items e to h crash the engine together and not alone: m.onnx: fake crashed with SIGFPE while it ran the model"},
		"two together and one alone": {items(60, 99, 60), func(in []*tensor.Tensor) *engine.LostError {
			if over(in[0]) > 1 || slices.Contains(tensor.Data[float32](in[0]), 99) {
				return crash()
			}
			return nil
		}, 9, "the items a to c crash the engine together and not alone: "},
		"each alone": {items(1, 1, 1, 1, 60, 70, 80, 90), crashesOver, 10,
			"the items e to h crash the engine, each alone: m.onnx: fake crashed with SIGFPE while it ran the model"},
		"whatever is in it": {items(1, 1, 1, 1, 1), func([]*tensor.Tensor) *engine.LostError { return crash() }, 6,
			"a batch of 4 crashes the engine whatever is in it: the items a to d, the first or the last of them alone, zeros or ones: m.onnx: fake crashed with SIGFPE while it ran the model; another batch may not"},
		"one item, and zeros": {items(1), func([]*tensor.Tensor) *engine.LostError { return crash() }, 6,
			"a batch of 4 crashes the engine whatever is in it: the item a, the first or the last of them alone, zeros or ones: "},
		"a limit": {items(1, 1, 1, 1, 60, 1), func(in []*tensor.Tensor) *engine.LostError {
			if over(in[0]) > 0 {
				return &engine.LostError{Engine: "fake", Model: "m.onnx", Doing: "ran the model", Why: limit}
			}
			return nil
		}, 2, "items e to f: m.onnx: fake took longer than 60 s while it ran the model"},
		"a limit while one is looked for": {items(60, 60), func(in []*tensor.Tensor) *engine.LostError {
			switch over(in[0]) {
			case 0:
				return nil
			case 1:
				return &engine.LostError{Engine: "fake", Model: "m.onnx", Doing: "ran the model", Why: limit}
			}
			return crash()
		}, 4, "items a to b: m.onnx: fake took longer than 60 s while it ran the model"},
	} {
		b := &brittle{lost: c.lost}
		r := openOn(t, b, bends(t), AttachOptions{}, 4)
		_, err := r.Write(t.Context(), c.ds, &memory{}, RunOptions{}, Code{})
		var lost *engine.LostError
		if !errors.As(err, &lost) || !strings.HasPrefix(err.Error(), c.want) || lost.Crashed() == errors.Is(err, limit) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if b.runs > c.runs+1 { // the first of those before
			t.Errorf("%s: %d runs, want %d at most", name, b.runs, c.runs+1)
		}
	}
}

// A run without an item has zeros in its place in what lies beside the samples too, but for
// what all items share.
func TestCrashBesideSamples(t *testing.T) {
	m := network(t, 6, func(e *rewrite.Edit, x string) string {
		rows := func(name string) *onnx.Value {
			return onnx.NewValue(name, tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 6}})
		}
		e.Graph.Inputs = append(e.Graph.Inputs, rows("box"), rows("scale"), onnx.NewValue("time", tensor.Float32, []onnx.Dim{}))
		x = e.Op("Add", nil, e.Op("Mul", nil, x, "scale"), e.Op("Mul", nil, "box", "time"))
		return e.Op("Relu", nil, x)
	})
	const n = 11
	bad := []int{2, 9}
	with, without := crashers(n, bad)
	box := tensor.Of(randoms(rand.New(rand.NewPCG(5, 6)), n*6), n, 6)
	for i := range n * 6 {
		tensor.Data[float32](box)[i] -= .9
	}
	beside := func(ds dataset.Dataset) dataset.Dataset {
		ds, err := dataset.Beside(ds, dataset.Side{Name: "scale", Rows: tensor.Of(slices.Repeat([]float32{2}, 6), 1, 6), Shared: true},
			dataset.Side{Name: "time", Rows: tensor.Of([]float32{3}, 1), Shared: true}, dataset.Side{Name: "box", Rows: box})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	for _, size := range []int{1, 4, 8} {
		b := &brittle{lost: func(in []*tensor.Tensor) *engine.LostError {
			x, box, scale, time := in[0], in[1], tensor.Data[float32](in[2]), tensor.Data[float32](in[3])
			for i := range x.Shape[0] {
				if empty := floatRow(x, i)[0] == 0; empty != (floatRow(box, i)[0] == 0) {
					t.Errorf("in batches of %d, row %d is %v beside %v", size, i, floatRow(x, i), floatRow(box, i))
				}
			}
			if !slices.Equal(scale, slices.Repeat([]float32{2}, 6*size)) || len(time) != 1 || time[0] != 3 {
				t.Errorf("in batches of %d what all share is %v and %v", size, scale, time)
			}
			return crashesOver(in)
		}}
		want, got := &memory{}, &memory{}
		if _, err := openOn(t, gorgonia.Backend{}, m, AttachOptions{}, size).Write(t.Context(), beside(without), want, RunOptions{}, Code{}); err != nil {
			t.Fatal(err)
		}
		if _, err := openOn(t, b, m, AttachOptions{}, size).Write(t.Context(), beside(with), got, RunOptions{}, Code{}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.cols["code"], want.cols["code"]) || b.crashes == 0 {
			t.Errorf("in batches of %d, after %d crashes, other codes", size, b.crashes)
		}
	}
}

// A crash while a freed batch is compared with the export's is no answer to whether they
// are the same.
func TestCrashOfAFreedBatch(t *testing.T) {
	m := bends(t)
	m.Graph.Inputs[0].Shape[0] = onnx.Dim{Size: 1}
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Fit.Freed {
		t.Fatal("the batch was not freed")
	}
	b := &brittle{lost: func(in []*tensor.Tensor) *engine.LostError {
		if in[0].Shape[0] > 1 {
			return crash()
		}
		return nil
	}}
	_, err = p.Open(t.Context(), b, engine.Options{}, 4)
	if want := "m.onnx: fake crashed with SIGFPE while it ran the model"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
