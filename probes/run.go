package probes

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// RunOptions are common to everything that goes through a dataset.
type RunOptions struct {
	// Workers is the number of goroutines that read and preprocess; 0 takes one
	// for each core.
	Workers int
	// Progress is told how far the run is, after every batch was written.
	Progress func(result.Summary)
	// Times, when not nil, is given where the time went.
	Times *Times
}

// Times is how long the stages of a run took. They overlap, so their sum is more
// than the run; those of several sessions are added up.
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

func (o RunOptions) progress(s result.Summary) {
	if o.Progress != nil {
		o.Progress(s)
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
	tiles                            bool // the items are tiles
	tile                             []float64
	untiled                          []bool
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
	if r.tiles {
		r.tile, r.untiled = append(r.tile, it.Tile[:]...), append(r.untiled, it.Tile == [4]float64{})
	}
}

func (r *rows) reset() { *r = rows{tiles: r.tiles} }

func (r *rows) columns() []result.Column {
	good := make([]bool, r.n)
	for i, f := range r.failed {
		good[i] = !f
	}
	cols := []result.Column{
		{Name: "id", Values: r.id},
		{Name: "path", Values: r.path},
		{Name: "label", Values: r.label, Null: r.unlabelled},
		{Name: "class", Values: r.class},
		{Name: "status", Values: r.status},
		{Name: "error", Values: r.message, Null: good},
	}
	if r.tiles {
		cols = append(cols, result.Column{Name: "tile", Values: r.tile, Width: 4, Null: r.untiled,
			Parts: []result.Part{{Name: "x0", Width: 1}, {Name: "y0", Width: 1}, {Name: "x1", Width: 1}, {Name: "y1", Width: 1}}})
	}
	return cols
}

// Group makes some columns of a run's rows: CodeColumns, ChannelColumns,
// OutputColumns and ComplexityColumns are the groups that there are.
type Group interface {
	// start readies the group for the runs of r.
	start(ctx context.Context, r *Prober) (maker, error)
}

// maker is a group at work on one session. Both its methods are called once for every
// batch of that session, each by one goroutine, infer ahead of columns.
type maker interface {
	// infer runs what the group needs on the engine beside the items themselves, and
	// may set the errors of items in s.errs. What it returns is handed to columns.
	infer(ctx context.Context, in *tensor.Tensor, s *step) (any, error)
	// columns makes the group's columns. Rows of items that failed are zeros in the
	// outputs' place; their values must be zero and marked null.
	columns(s *step, state any) ([]result.Column, error)
	// outputs says whether the group reads the network's outputs for the items, and
	// otherwise how many items make full batches of what it runs instead.
	outputs() (reads bool, items int)
}

// step is a batch of items on its way to the sink.
type step struct {
	batch  *dataset.Batch // valid until the lane is done with the step
	ready  time.Time      // when the batch was
	err    error          // of the lane
	r      *Prober
	makers []maker
	items  []dataset.Item
	errs   []error
	others []*tensor.Tensor // the batches of Plan.Fit.Others
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
// for the next, so memory does not grow with the dataset. Of a prober on several
// devices, see OpenOn, each session runs on a goroutine of its own.
func (r *Prober) Write(ctx context.Context, ds dataset.Dataset, sink result.Sink, o RunOptions, groups ...Group) (result.Summary, error) {
	lanes, size, err := r.lanes(ctx, groups)
	if err != nil {
		return result.Summary{}, err
	}
	bound, err := r.Plan.Fit.bind(dataset.Sides(ds))
	if err != nil {
		return result.Summary{}, err
	}
	tiles := dataset.IsTiled(ds)
	var sum result.Summary
	var times Times
	const behind = 2 // steps besides those that the sessions work on: one waits for the sink, one is written
	free := make(chan *step, len(lanes)+behind)
	for range cap(free) {
		free <- &step{rows: rows{tiles: tiles}}
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var work sync.WaitGroup
	for _, l := range lanes {
		l.out = make(chan *step, cap(free))
		work.Go(func() { l.work(running) })
	}
	written := make(chan error, 1)
	go func() {
		written <- gather(lanes, free, stop, func(s *step) error {
			start := time.Now()
			err := s.write(sink, &sum)
			if err == nil {
				times.Write += time.Since(start)
				o.progress(sum)
			}
			return err
		})
	}()
	err = deal(running, lanes, dataset.HeldBatches(running, ds, size, o.workers(), len(lanes)), free, bound)
	for _, l := range lanes {
		close(l.in)
	}
	if failed := <-written; failed != nil {
		err = failed
	}
	work.Wait()
	if o.Times != nil {
		for _, l := range lanes {
			times.Wait, times.Infer = times.Wait+l.wait, times.Infer+l.infer
		}
		*o.Times = times
	}
	return sum, err
}

// infer is the part of a step that needs the engine.
func (s *step) infer(ctx context.Context, l *lane) (err error) {
	b := s.batch
	s.r, s.makers = l.r, l.makers
	s.items, s.errs = append(s.items[:0], b.Items...), append(s.errs[:0], b.Errs...)
	s.states, s.coded = s.states[:0], false
	if l.runs {
		if s.out, err = s.r.Run(ctx, b.Input, s.others...); err != nil {
			return err
		}
	}
	for _, m := range l.makers {
		state, err := m.infer(ctx, b.Input, s)
		if err != nil {
			return err
		}
		s.states = append(s.states, state)
	}
	return nil
}

// write is the part of a step that does not.
func (s *step) write(sink result.Sink, sum *result.Summary) error {
	nan := s.r.nan(s.out)
	s.rows.reset()
	for i, it := range s.items {
		err := s.errs[i]
		if err == nil && i < len(nan) && nan[i] {
			err = errNaN
		}
		s.rows.add(it, err)
		sum.Count(err)
	}
	cols := s.rows.columns()
	for i, m := range s.makers {
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
