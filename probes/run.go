package probes

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// RunOptions are common to everything that goes through a dataset.
type RunOptions struct {
	// Workers is the number of goroutines that read and preprocess; 0 takes one
	// for each core.
	Workers int
	// Progress is told how far the run is, after every batch was written.
	Progress func(Summary)
	// Times, when not nil, is given where the time went.
	Times *Times
}

// Times is how long the stages of a run took. They overlap, so their sum is more
// than the run.
type Times struct {
	// Wait is how long the engine waited for items, Infer how long it ran, and Write
	// how long columns were made and written.
	Wait, Infer, Write time.Duration
}

func (o RunOptions) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

func (o RunOptions) progress(s Summary) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Summary counts the items of a run.
type Summary struct {
	Items  int `json:"items"`
	Failed int `json:"failed"`
	// Errors holds the first few errors of items.
	Errors []string `json:"errors,omitempty"`
}

func (s *Summary) count(err error) {
	s.Items++
	if err != nil {
		if s.Failed++; len(s.Errors) < 10 {
			s.Errors = append(s.Errors, err.Error())
		}
	}
}

var errNaN = errors.New("the network returned NaN for this item, so it has no code")

// rows gathers the columns that every result has: what the item is and whether
// it could be read.
type rows struct {
	n                                int
	id, path, class, status, message []string
	label                            []int64
	failed                           []bool
	unlabelled                       []bool
}

func (r *rows) add(it dataset.Item, err error) {
	r.n++
	r.id, r.path, r.class = append(r.id, it.ID), append(r.path, it.Path), append(r.class, it.Class)
	r.label = append(r.label, int64(max(it.Label, 0)))
	r.unlabelled = append(r.unlabelled, it.Label < 0)
	status, message := "ok", ""
	if err != nil {
		status, message = "error", err.Error()
	}
	r.status, r.message = append(r.status, status), append(r.message, message)
	r.failed = append(r.failed, err != nil)
}

func (r *rows) reset() { *r = rows{} }

func (r *rows) columns() []Column {
	good := make([]bool, r.n)
	for i, f := range r.failed {
		good[i] = !f
	}
	return []Column{
		{Name: "id", Values: r.id},
		{Name: "path", Values: r.path},
		{Name: "label", Values: r.label, Null: r.unlabelled},
		{Name: "class", Values: r.class},
		{Name: "status", Values: r.status},
		{Name: "error", Values: r.message, Null: good},
	}
}

// Group makes some columns of a run's rows: CodeColumns, ChannelColumns,
// OutputColumns and ComplexityColumns are the groups that there are.
type Group interface {
	// start readies the group for the runs of r.
	start(r *Prober) (maker, error)
}

// maker is a group at work. Both its methods are called once for every batch, each
// by one goroutine, infer ahead of columns.
type maker interface {
	// infer runs what the group needs on the engine beside the items themselves, and
	// may set the errors of items in s.errs. What it returns is handed to columns.
	infer(ctx context.Context, in *tensor.Tensor, s *step) (any, error)
	// columns makes the group's columns. Rows of items that failed are zeros in the
	// outputs' place; their values must be zero and marked null.
	columns(s *step, state any) ([]Column, error)
	// outputs says whether the group reads the network's outputs for the items, and
	// otherwise how many items make full batches of what it runs instead.
	outputs() (reads bool, items int)
}

// step is a batch of items on its way to the sink.
type step struct {
	r      *Prober
	items  []dataset.Item
	errs   []error
	out    []*tensor.Tensor // nil where no group reads it
	states []any
	rows   rows
	packed []byte // the items' codes, once made
	coded  bool
}

// codes is the whole codes of the batch, one after the other; those of items that
// failed are zero.
func (s *step) codes() []byte {
	width := s.r.Plan.CodeBytes()
	if !s.coded {
		if s.packed == nil {
			s.packed = make([]byte, s.r.Batch*width)
		}
		s.r.codes(s.packed, s.out, "code")
		for i := range s.rows.n {
			if s.rows.failed[i] {
				clear(s.packed[i*width : (i+1)*width])
			}
		}
		s.coded = true
	}
	return s.packed[:s.rows.n*width]
}

// Write runs a dataset and writes a row for every item, in order: what it is and
// whether it could be read, then the groups' columns. An item that cannot be read,
// or for which the network returns NaN, is a row with an error.
//
// Reading, inference and writing overlap: items are read on goroutines of their own
// ahead of the engine, and the sink is written to by another behind it; each waits
// for the next, so memory does not grow with the dataset.
func (r *Prober) Write(ctx context.Context, ds dataset.Dataset, sink Sink, o RunOptions, groups ...Group) (Summary, error) {
	makers, runs, size := make([]maker, len(groups)), false, 1
	for i, g := range groups {
		m, err := g.start(r)
		if err != nil {
			return Summary{}, err
		}
		reads, items := m.outputs()
		makers[i], runs, size = m, runs || reads, max(size, items)
	}
	if runs {
		size = r.Batch
	}
	var sum Summary
	var times Times
	const ahead = 2 // steps besides the one that the engine works on
	free, full := make(chan *step, ahead+1), make(chan *step, ahead-1)
	for range ahead + 1 {
		free <- &step{r: r}
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	written := make(chan error, 1)
	go func() {
		var failed error
		for s := range full {
			if failed == nil {
				start := time.Now()
				if failed = s.write(makers, sink, &sum); failed != nil {
					stop(failed)
				} else {
					times.Write += time.Since(start)
					o.progress(sum)
				}
			}
			s.out = nil
			free <- s
		}
		written <- failed
	}()
	err := func() error {
		at := time.Now()
		for b, err := range dataset.Batches(running, ds, size, o.workers()) {
			if err != nil {
				return err
			}
			s := <-free
			if cause := context.Cause(running); cause != nil {
				return cause
			}
			start := time.Now()
			times.Wait += start.Sub(at)
			if err := s.infer(running, b, makers, runs); err != nil {
				return err
			}
			at = time.Now()
			times.Infer += at.Sub(start)
			full <- s
		}
		return ctx.Err()
	}()
	close(full)
	if failed := <-written; failed != nil {
		err = failed
	}
	if o.Times != nil {
		*o.Times = times
	}
	return sum, err
}

// infer is the part of a step that needs the engine.
func (s *step) infer(ctx context.Context, b *dataset.Batch, makers []maker, runs bool) (err error) {
	s.items, s.errs = append(s.items[:0], b.Items...), append(s.errs[:0], b.Errs...)
	s.states, s.coded = s.states[:0], false
	if runs {
		if s.out, err = s.r.Run(ctx, b.Input); err != nil {
			return err
		}
	}
	for _, m := range makers {
		state, err := m.infer(ctx, b.Input, s)
		if err != nil {
			return err
		}
		s.states = append(s.states, state)
	}
	return nil
}

// write is the part of a step that does not.
func (s *step) write(makers []maker, sink Sink, sum *Summary) error {
	nan := s.r.nan(s.out)
	s.rows.reset()
	for i, it := range s.items {
		err := s.errs[i]
		if err == nil && i < len(nan) && nan[i] {
			err = errNaN
		}
		s.rows.add(it, err)
		sum.count(err)
	}
	cols := s.rows.columns()
	for i, m := range makers {
		more, err := m.columns(s, s.states[i])
		if err != nil {
			return err
		}
		cols = append(cols, more...)
	}
	return sink.Write(cols)
}

// fromOutputs is the part of a maker that reads the network's outputs alone.
type fromOutputs struct{}

func (fromOutputs) infer(context.Context, *tensor.Tensor, *step) (any, error) { return nil, nil }
func (fromOutputs) outputs() (bool, int)                                      { return true, 0 }
