package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Batch is consecutive samples of a dataset. Its memory is used again for a
// later batch: it is valid until the next iteration.
type Batch struct {
	// Start is the index of the first sample in the dataset, and N how many
	// follow it here: fewer than Input has rows in the last batch only.
	Start, N int
	// Items and Errs have N elements. A sample whose error is not nil could not
	// be read, or has a NaN or an infinity in it; its row is zero.
	Items []Item
	Errs  []error
	// Warnings has N elements too: what is doubtful about a sample that was read, "" of
	// most. See WarningOf.
	Warnings []string
	// Input is float32 of shape [size, sample shape...]. Rows from N on are zero.
	Input *tensor.Tensor
	// Others are the rows of Sides, [size, row shape...], in that order. Those of
	// items that could not be read and from N on are zero, but for shared ones.
	Others []*tensor.Tensor

	sides []Side
}

// Only is a batch of size rows with the given items of b in their places, in memory of its
// own. All other rows are as those from N on.
func (b *Batch) Only(items []int, size int) (*Batch, error) {
	c := *b
	var err error
	if c.Input, err = tensor.New(tensor.Float32, append([]int{size}, b.Input.Shape[1:]...)...); err != nil {
		return nil, err
	}
	if c.Others, err = roomFor(b.sides, size); err != nil {
		return nil, err
	}
	for _, i := range items {
		c.Input.SetRow(i, b.Input, i)
		for k, t := range c.Others {
			t.SetRow(i, b.Others[k], i)
		}
	}
	return &c, nil
}

// inFlight is the least number of batches there are: one with the consumer, one
// complete and waiting, and one being filled.
const inFlight = 3

// Batches reads ds in order, size samples at a time, on workers goroutines that
// work ahead of the consumer by a fixed number of batches. The last batch is
// padded, never dropped. One bad sample is one error in its batch; a panic in
// Sample is that sample's error too. The iteration ends with an error only when
// ctx is done, the sizes make no sense, or the machine is at fault (*MachineError): an
// input/output error is an item's only where more items can be read than cannot.
// When it ends, for whatever reason, all goroutines have ended.
func Batches(ctx context.Context, ds Dataset, size, workers int) iter.Seq2[*Batch, error] {
	return HeldBatches(ctx, ds, size, workers, 0)
}

// HeldBatches is Batches for a consumer that works on several at once: a batch is
// valid until that many further ones were taken, and the next is asked for.
func HeldBatches(ctx context.Context, ds Dataset, size, workers, held int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		shape := append([]int{size}, ds.Shape()...)
		width, err := rowWidth(ds, size, workers)
		if err != nil {
			yield(nil, err)
			return
		}
		all := max(inFlight, held+2)
		r := &reader{ds: ds, sides: Sides(ds), size: size, width: width, free: make(chan *filling, all),
			ordered: make(chan *filling, all), rows: make(chan row)}
		for range all {
			others, err := roomFor(r.sides, size)
			if err != nil {
				yield(nil, err)
				return
			}
			r.free <- &filling{data: make([]float32, size*width),
				Batch: Batch{Items: make([]Item, size), Errs: make([]error, size), Warnings: make([]string, size), Others: others, sides: r.sides}}
		}
		ctx, cancel := context.WithCancelCause(ctx)
		r.stop = cancel
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel(nil)
		running.Go(func() { r.dispatch(ctx) })
		for range workers {
			running.Go(func() { r.work(ctx) })
		}
		next := 0
		var with []*filling // the consumer
		for f := range r.ordered {
			select {
			case <-f.done:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			if next = f.Start + f.N; next == ds.Len() && r.lost() != nil {
				yield(nil, fmt.Errorf("reading the dataset: %w", r.lost()))
				return
			}
			b := f.Batch
			b.Items, b.Errs, b.Warnings = b.Items[:b.N], b.Errs[:b.N], b.Warnings[:b.N]
			b.Input = tensor.Of(f.data, shape...)
			if !yield(&b, nil) {
				return
			}
			if with = append(with, f); len(with) > held {
				r.free <- with[0]
				with = with[1:]
			}
		}
		if next < ds.Len() { // only the context ends it early
			yield(nil, fmt.Errorf("reading the dataset: %w", context.Cause(ctx)))
		}
	}
}

// roomFor is memory for rows of the sides; those that all items share are there.
func roomFor(sides []Side, size int) ([]*tensor.Tensor, error) {
	var others []*tensor.Tensor
	for k := range sides {
		s := &sides[k]
		t, err := tensor.New(s.Rows.DType, append([]int{size}, s.Shape()...)...)
		if err != nil {
			return nil, fmt.Errorf("reading in batches of %d: input %q: %w", size, s.Name, err)
		}
		for i := range size {
			if s.Shared {
				t.SetRow(i, s.Rows, 0)
			}
		}
		others = append(others, t)
	}
	return others, nil
}

// rowWidth is the number of elements of a sample.
func rowWidth(ds Dataset, size, workers int) (int, error) {
	if size < 1 || workers < 1 {
		return 0, fmt.Errorf("reading in batches of %d on %d workers: want at least 1 of both", size, workers)
	}
	width := 1
	for _, d := range ds.Shape() {
		if d < 1 || d > math.MaxInt32/width {
			return 0, fmt.Errorf("reading in batches: samples of shape %v are empty or too large", ds.Shape())
		}
		width *= d
	}
	if size > math.MaxInt32/width {
		err := fmt.Errorf("reading in batches of %d: samples of %d elements make this too large; take a smaller batch",
			size, width)
		return 0, onnx.Remedy(err, "Batch")
	}
	return width, nil
}

// filling is a batch that workers write to; done is closed by the last of them.
type filling struct {
	Batch
	data []float32
	left atomic.Int64
	done chan struct{}
}

// row is one sample to read.
type row struct {
	f *filling
	i int
}

type reader struct {
	ds            Dataset
	sides         []Side
	size, width   int
	free, ordered chan *filling
	rows          chan row
	stop          context.CancelCauseFunc

	mu        sync.Mutex
	good, bad int   // items that were read, and that the medium did not give
	first     error // of these
}

// enough is how many items the medium may fail to give before there are as many others.
const enough = 8

// count sees to what is not the item's fault.
func (r *reader) count(err error) {
	var m mediumError
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case FaultOf(err) == MachineFault:
		r.stop(err)
	case !errors.As(err, &m):
		r.good++
	default:
		if r.bad++; r.first == nil {
			r.first = err
		}
		if r.bad > max(enough, r.good) {
			r.stop(&MachineError{r.first})
		}
	}
}

// lost is what the medium did, if not that of an item, when all have been read.
func (r *reader) lost() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad > r.good {
		return &MachineError{r.first}
	}
	return nil
}

// dispatch hands out the rows of batch after batch.
func (r *reader) dispatch(ctx context.Context) {
	defer close(r.ordered)
	defer close(r.rows)
	for start := 0; start < r.ds.Len(); start += r.size {
		var f *filling
		select {
		case f = <-r.free:
		case <-ctx.Done():
			return
		}
		f.Start, f.N, f.done = start, min(r.size, r.ds.Len()-start), make(chan struct{})
		f.left.Store(int64(f.N))
		clear(f.data[f.N*r.width:])
		for k := range r.sides {
			for i := f.N; i < r.size && !r.sides[k].Shared; i++ {
				f.Others[k].ClearRow(i)
			}
		}
		r.ordered <- f // has room for all batches there are
		for i := range f.N {
			select {
			case r.rows <- row{f, i}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r *reader) work(ctx context.Context) {
	for w := range r.rows {
		if ctx.Err() != nil {
			return
		}
		dst := w.f.data[w.i*r.width : (w.i+1)*r.width]
		w.f.Items[w.i], w.f.Errs[w.i] = r.read(w, dst)
		w.f.Warnings[w.i] = ""
		r.count(w.f.Errs[w.i])
		if w.f.Errs[w.i] == nil {
			w.f.Warnings[w.i] = WarningOf(r.ds, w.f.Start+w.i)
		} else {
			clear(dst)
			for k := range r.sides {
				if !r.sides[k].Shared {
					w.f.Others[k].ClearRow(w.i)
				}
			}
		}
		if w.f.left.Add(-1) == 0 {
			close(w.f.done)
		}
	}
}

func (r *reader) read(w row, dst []float32) (it Item, err error) {
	i := w.f.Start + w.i
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading sample %d: panic: %v", i, p)
		}
	}()
	it = Item{ID: fmt.Sprintf("[%d]", i), Label: -1} // should Item panic
	it = r.ds.Item(i)
	if err := r.ds.Sample(i, dst); err != nil {
		return it, err
	}
	for k, v := range dst {
		if !finite(v) {
			return it, fmt.Errorf("reading sample %d: element %d is %v; a network's input must be finite", i, k, v)
		}
	}
	for k := range r.sides {
		if s := &r.sides[k]; !s.Shared { // those are the same in all rows
			w.f.Others[k].SetRow(w.i, s.Rows, i)
		}
	}
	return it, nil
}

func finite(v float32) bool { return v-v == 0 }
