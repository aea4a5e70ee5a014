package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// WorkerOptions are what does not change a byte of the output.
type WorkerOptions struct {
	// Decoders is the number of goroutines that read and decode; 0 takes one for
	// each core.
	Decoders int
	// MaxTries is how many tries of a shard may end with their process, or with an
	// error of the engine, before it is set aside; 0 sets none aside.
	MaxTries int
	// Retry tries again what was set aside.
	Retry bool
	// RetryErrors makes again the shards that have a row with such an error: see HasErrors.
	RetryErrors string
	// Name is the worker's in records.
	Name string
	// Progress is told how far the worker is, after every batch.
	Progress func(Progress)
	// Words is as in probes.RunOptions, and for the errors of shards.
	Words func(error) string
	// Layouts are those of the sites, of region.Map, where the job is of regions.
	Layouts []region.Layout
	// Regions finds them in pictures, where the job's are found by a model.
	Regions segment.Finder
}

// Progress is what a worker has done since it began.
type Progress struct {
	Shards, Skipped int
	Items, Failed   int
	Kept            int               // of Items: those in shards that are done, which no interruption loses
	Regions         region.RowSummary // of shards, where rows are of regions
	Bytes           int64
	Seconds         Seconds
}

// Result is what became of a shard.
type Result struct {
	Shard   int     `json:"shard"`
	Items   int     `json:"items"`
	Failed  int     `json:"failed"`
	Bytes   int64   `json:"bytes"`
	Skipped bool    `json:"skipped,omitempty"` // it was done already
	Aside   bool    `json:"set_aside,omitempty"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
	// Unreachable is the path of inputs that are not where the plan says.
	Unreachable string `json:"unreachable,omitempty"`
}

// Worker makes shards of a job, one after the other.
type Worker struct {
	plan             *Plan
	prober           *probes.Prober
	located          *located // nil without regions
	sides            []dataset.Side
	engine           Engine
	options          WorkerOptions
	inputs           opener
	sampled, reading atomic.Int64
	done             Progress
}

// Open readies the plan's model for a worker, on the backend and the devices of q; the rest
// of q is the plan's. The model must be the one that was planned.
func (p *Plan) Open(ctx context.Context, q probes.Request) (*probes.Prober, error) {
	var err error
	if q.Probes, err = p.probes(); err != nil {
		return nil, err
	}
	s := &p.Settings
	q.Sites, q.Sample, q.Manifest = s.siteOptions(), s.Sample, p.Manifest
	q.Batch, q.Precision = s.Batch, s.Precision
	r, err := probes.Open(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := p.admit(q.Model, r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// NewWorker is a worker on a prober that Open gave.
func (p *Plan) NewWorker(r *probes.Prober, o WorkerOptions) (*Worker, error) {
	located, err := p.locate(o.Layouts, o.Regions)
	if err != nil {
		return nil, err
	}
	sides, err := p.sides()
	if err != nil {
		return nil, err
	}
	if o.Name == "" {
		host, _ := os.Hostname()
		o.Name = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	w := &Worker{plan: p, prober: r, located: located, sides: sides, engine: EngineOf(r), options: o}
	w.inputs = opener{plan: p, options: p.options(&w.reading)}
	return w, nil
}

// Done is what the worker has done.
func (w *Worker) Done() Progress { return w.done }

func (w *Worker) progress(s result.Summary) {
	if w.options.Progress != nil {
		now := w.done
		now.Kept = now.Items
		now.Items, now.Failed = now.Items+s.Items, now.Failed+s.Failed
		w.options.Progress(now)
	}
}

// Process makes one shard, unless it is done or set aside. An error means that it
// is not done; one that is no fault of the shard's is left out of its tries.
func (w *Worker) Process(ctx context.Context, i int) (Result, error) {
	res := Result{Shard: i}
	p := w.plan
	if i < 0 || i >= len(p.Shards) {
		return res, fmt.Errorf("there is no shard %d; the plan has %d, counted from 0", i, len(p.Shards))
	}
	fill := func(r *Record) Result {
		res.Items, res.Failed, res.Bytes, res.Seconds = r.Items, r.Failed, r.Bytes(), r.Seconds.Total
		return res
	}
	if err := ctx.Err(); err != nil {
		return res, err
	}
	r, again, err := p.made(i, w.options.RetryErrors)
	if err != nil {
		return res, ownError{err}
	}
	if r != nil && !again {
		w.done.Skipped++
		res.Skipped = true
		return fill(r), nil
	}
	aside, err := p.SetAside(i)
	if err != nil {
		return res, ownError{err}
	}
	if aside != nil {
		if !w.options.Retry {
			res.Aside = true
			return res, nil
		}
		if err := p.Retry(i); err != nil {
			return res, outputError{err}
		}
	}
	dead, _, err := p.tries(i)
	if err != nil {
		return res, ownError{err}
	}
	if w.options.MaxTries > 0 && dead >= w.options.MaxTries {
		if _, err := p.setAside(i, dead, ""); err != nil {
			return res, err
		}
		res.Aside = true
		return res, nil
	}
	t, err := p.begin(i, w.options.Name)
	if err != nil {
		return res, outputError{fmt.Errorf("beginning shard %d: %w", i, err)}
	}
	r, err = w.make(ctx, i)
	if err != nil {
		w.inputs.forget() // what was opened may hold the fault
		blamed := w.blames(ctx, err)
		t.Release(blamed)
		if r, _ := p.Done(i); r != nil && !again && ctx.Err() == nil { // by another worker
			w.done.Skipped++
			res.Skipped = true
			return fill(r), nil
		}
		if dead++; blamed && dead == w.options.MaxTries {
			if _, lost := p.setAside(i, dead, w.worded(err)); lost != nil {
				return res, errors.Join(err, lost)
			}
		}
		return res, fmt.Errorf("shard %d: %w", i, err)
	}
	t.Release(false)
	if err := p.Retry(i); err != nil { // there is nothing to hold against it any more
		return res, outputError{err}
	}
	w.done.Shards, w.done.Items, w.done.Failed, w.done.Bytes = w.done.Shards+1, w.done.Items+r.Items, w.done.Failed+r.Failed, w.done.Bytes+r.Bytes()
	if r.Regions != nil {
		w.done.Regions.Add(*r.Regions)
	}
	w.done.Seconds.add(r.Seconds)
	return fill(r), nil
}

// blames says whether an error counts against the shard: not when the run was told to end,
// nor when the inputs, the output or the machine are at fault.
func (w *Worker) blames(ctx context.Context, err error) bool {
	var in InputError
	var out outputError
	var lost *UnreachableError
	var own ownError
	return ctx.Err() == nil && !errors.As(err, &own) && !errors.As(err, &in) && !errors.As(err, &out) &&
		!errors.As(err, &lost) && dataset.FaultOf(err) == dataset.ItemFault
}

// worded is an error in the words of the options.
func (w *Worker) worded(err error) string {
	if w.options.Words == nil {
		return err.Error()
	}
	return w.options.Words(err)
}

// enough is how many shards may end by the machine's fault, one after the other, before
// others are not tried.
const enough = 3

// Run makes shards, in the order given. A shard that fails is told to report and
// the others go on, unless the output cannot be written, the machine is at fault again and
// again, or ctx ends: then so does Run. Its error says what is not done.
func (w *Worker) Run(ctx context.Context, shards iter.Seq[int], report func(Result)) error {
	var failed, lost, aside, machine int
	var errs []error
	for i := range shards {
		start := time.Now()
		res, err := w.Process(ctx, i)
		if err != nil {
			if ctx.Err() != nil {
				return InterruptedError{w.done.Shards}
			}
			res.Error, res.Seconds = w.worded(err), time.Since(start).Seconds()
			failed++
			var un *UnreachableError
			if errors.As(err, &un) {
				res.Unreachable = un.Path
				lost++
			}
			if len(errs) < 5 {
				errs = append(errs, err)
			}
		}
		if machine++; dataset.FaultOf(err) != dataset.MachineFault {
			machine = 0
		}
		if res.Aside {
			aside++
		}
		report(res)
		var out outputError
		if errors.As(err, &out) {
			return fmt.Errorf("the output cannot be written, and what is not done can be done later by the same command: %w", err)
		}
		if machine == enough {
			return fmt.Errorf("%s not done, one after the other, by a fault of the machine, and the rest is not tried; "+
				"the same command does it later: %w", shardsAre(enough), errors.Join(errs...))
		}
	}
	if n := failed - len(errs); n > 0 {
		errs = append(errs, fmt.Errorf("and %d more", n))
	}
	first := errors.Join(errs...)
	if ctx.Err() != nil {
		return InterruptedError{w.done.Shards}
	}
	if lost > 0 && lost == failed {
		return &LostError{failed, first}
	}
	if first != nil {
		return fmt.Errorf("%s not done: %w", shardsAre(failed), first)
	}
	if aside > 0 {
		return AsideError{aside}
	}
	return nil
}

// LostError says that shards are not done since their inputs cannot be reached, and for no
// other reason: running them again is of no use before they can.
type LostError struct {
	Shards int
	Err    error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s not done: %v", shardsAre(e.Shards), e.Err)
}

// InterruptedError ends a run that was told to stop.
type InterruptedError struct{ Shards int }

func (e InterruptedError) Error() string {
	return fmt.Sprintf("interrupted with %s done; the same command goes on from there", shards(e.Shards))
}

// AsideError says that shards are set aside.
type AsideError struct{ Shards int }

func (e AsideError) Error() string {
	return fmt.Sprintf("%s set aside, since the process ended in the middle again and again; "+
		"_failed.json says more, and a run that retries tries again", shardsAre(e.Shards))
}

// RemedyOptions is as in an onnx.RemedyError.
func (e AsideError) RemedyOptions() []string { return []string{optionRetry} }

// Todo is the number of items in shards that are not done, or have a row with such an error
// (see HasErrors) where reason is not ""; done is what is known of the others.
func (p *Plan) Todo(shards iter.Seq[int], reason string) (items int, done []Result, err error) {
	for i := range shards {
		r, again, err := p.made(i, reason)
		if err != nil {
			return 0, nil, err
		}
		if r == nil || again {
			items += p.Shards[i].Items
			continue
		}
		done = append(done, Result{Shard: i, Items: r.Items, Failed: r.Failed, Bytes: r.Bytes(), Seconds: r.Seconds.Total,
			Skipped: true})
	}
	return items, done, nil
}

// made is the record of a shard that is done, and whether it is to be made again for a reason.
func (p *Plan) made(i int, reason string) (r *Record, again bool, err error) {
	if r, err = p.Done(i); err == nil && r != nil && reason != "" {
		again, err = p.HasErrors(i, r, reason)
	}
	return r, again, err
}

// Slice is every n-th shard from i on.
func (p *Plan) Slice(i, n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := i; i < len(p.Shards); i += n {
			if !yield(i) {
				return
			}
		}
	}
}
