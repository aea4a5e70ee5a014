package probes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Request is what a run is asked for: a network, data, an engine, and probes.
type Request struct {
	Model *onnx.Model
	// Data is what goes into the model. Open needs no more of it than Sample, which is
	// the shape of one item; nil takes Data's.
	Data   dataset.Dataset
	Sample []int
	// Probes say what is measured, in the order of the columns.
	Probes []Probe
	Sites  site.Options
	// Backend runs the model, on Devices where there are some (see OpenOn), else on
	// Options.Device.
	Backend engine.Backend
	Options engine.Options
	Devices []engine.Device
	// Batch is the number of samples of a run; 0 chooses: see BatchFor. Another batch
	// may round differently.
	Batch int
	// Precision is "" for the model's own, or one of Precisions.
	Precision string

	// Kind, Command and Settings are recorded in the manifest. Kind is what the result is
	// of, by the name of the verb that makes such ones; "" follows from the probes.
	// Settings come on top of those that the probes have.
	Kind     string
	Command  []string
	Settings map[string]any
	// Seed is recorded among the settings. Probes and data have seeds of their own.
	Seed uint64
	// Manifest, when not nil, is what is known already: nothing is found out of the model's
	// files or the data then. It is for runs whose results are parts of a larger one.
	Manifest *result.Manifest
	// Say is told, once each, what a person should know; nil is nobody.
	Say func(note string)

	RunOptions
}

// Precisions are the choices of Request.Precision: float64 widens the whole model, and
// float32 is an error for a model that is not in it.
var Precisions = []string{"float32", "float64"}

// RunOptions are common to everything that goes through a dataset.
type RunOptions struct {
	// Decoders is the number of goroutines that read and preprocess; 0 takes one
	// for each core.
	Decoders int
	// Progress is told how far the run is, after every batch was written.
	Progress func(result.Summary)
	// Words, when not nil, say an error of an item in its row and in the summary: a program
	// can name its own options there, see onnx.RemedyError. nil takes the error's text.
	Words func(error) string
	// Times, when not nil, is given where the time went.
	Times *Times
	// Finish, when not nil, is called when all rows are written, before they are
	// committed: what it returns is the manifest, m itself where nothing is to be added. Its
	// Settings are a map[string]any, its Summary is a result.Summary.
	// Its error ends the run, and nothing is committed.
	Finish func(m *result.Manifest) (any, error)
}

// Times is how long the stages of a run took. They overlap, so their sum is more
// than the run; those of several sessions are added up.
type Times struct {
	// Wait is how long the engine waited for items, Infer how long it ran, and Write
	// how long columns were made and written.
	Wait, Infer, Write time.Duration
}

func (o RunOptions) decoders() int {
	if o.Decoders > 0 {
		return o.Decoders
	}
	return runtime.GOMAXPROCS(0)
}

// worded is an item's error in the words of the program.
func (o RunOptions) worded(err error) error {
	if err == nil || o.Words == nil {
		return err
	}
	return errors.New(o.Words(err))
}

func (o RunOptions) progress(s result.Summary) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Run puts a dataset through a network and writes to a sink a row for every item: what it
// is and whether it could be read, then the columns of the probes. The sink is committed
// with a manifest that says how the rows came about, or aborted where there is an error.
// Items that cannot be read are rows with an error, and counted in the summary.
func Run(ctx context.Context, q Request, to result.Sink) (result.Summary, error) {
	r, err := Open(ctx, q)
	if err != nil {
		return result.Summary{}, aborted(err, to)
	}
	defer r.Close()
	return r.Run(ctx, q.Data, to, q.RunOptions)
}

// Open readies what Run asks for, for runs over one dataset or several of a shape. The
// caller closes it.
func Open(ctx context.Context, q Request) (*Prober, error) {
	if q.Model == nil || q.Backend == nil || len(q.Probes) == 0 {
		return nil, errors.New("a run needs a model, a backend and at least one probe")
	}
	m, err := Precise(q.Model, q.Precision)
	if err != nil {
		return nil, engine.Named(q.Model.Path, err)
	}
	if q.Sample == nil && q.Data != nil {
		q.Sample = q.Data.Shape()
	}
	plan, err := q.plan(m)
	if err != nil {
		return nil, err
	}
	if q.Devices == nil {
		q.Devices = []engine.Device{q.Options.Device}
	}
	if q.Batch == 0 {
		q.Batch = q.batch(plan.Fit.Sample)
	}
	r, err := plan.OpenOn(ctx, q.Backend, q.Options, q.Devices, q.Batch)
	if err != nil {
		return nil, err
	}
	r.request = &q
	if r.described = q.Manifest == nil; r.described {
		if q.Manifest, err = r.NewManifest(q.Model); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	for _, n := range q.Manifest.Notes {
		r.say(n)
	}
	return r, nil
}

// Precise is a model in a precision: "" is the model's own, others are of Precisions. An
// error says that the model cannot be brought to it, a *PrecisionError that it is another.
func Precise(m *onnx.Model, precision string) (*onnx.Model, error) {
	switch precision {
	case "":
		return m, nil
	case "float64":
		return rewrite.Widen(m)
	case "float32":
		v, _, err := Inputs(m)
		if err == nil && v.DType != tensor.Float32 && v.DType != tensor.Uint8 {
			err = &PrecisionError{v.Name, v.DType}
		}
		return m, err
	}
	return nil, fmt.Errorf("a precision of %q; the choices are %q, and none for the model's own", precision, Precisions)
}

// PrecisionError says that a model is not in float32, as it was said to be.
type PrecisionError struct {
	Input string
	DType tensor.DType
}

func (e *PrecisionError) Error() string {
	return fmt.Sprintf("precision float32 asserts that the model is in float32, and its input %q is %s; "+
		"leave the precision out, or take float64", e.Input, e.DType)
}

func (q *Request) plan(m *onnx.Model) (*Plan, error) {
	if !slices.ContainsFunc(q.Probes, func(p Probe) bool { return !p.About().Siteless }) {
		return Plain(m, q.Sample)
	}
	return Attach(m, AttachOptions{Sites: q.Sites, Sample: q.Sample, Probes: q.Probes})
}

// batch is the batch of a run that nobody chose: of no more samples than there are items,
// unless many samples go through the network for each.
func (q *Request) batch(sample []int) int {
	n := BatchFor(sample)
	if q.Data == nil || slices.ContainsFunc(q.Probes, func(p Probe) bool { return p.About().Around }) {
		return n
	}
	return max(min(n, q.Data.Len()), 1)
}

// BatchFor is how many samples of a shape a run takes where nobody says: fewer of larger ones.
func BatchFor(sample []int) int {
	switch n := tensor.Count(sample); {
	case n >= 100_000:
		return 8
	case n >= 20_000:
		return 16
	}
	return 64
}

// say tells whoever wants to know a note that was not told before.
func (r *Prober) say(n string) {
	if q := r.request; !slices.Contains(r.said, n) {
		if r.said = append(r.said, n); q.Say != nil {
			q.Say(n)
		}
	}
}

// Run is the function Run of a prober that Open gave, over one dataset.
func (r *Prober) Run(ctx context.Context, ds dataset.Dataset, to result.Sink, o RunOptions) (result.Summary, error) {
	var sum result.Summary
	err := caught(func() (err error) {
		sum, err = r.run(ctx, ds, to, o)
		return err
	})
	if err != nil {
		return sum, aborted(err, to)
	}
	return sum, nil
}

func aborted(err error, to result.Sink) error {
	if more := to.Abort(); more != nil {
		return errors.Join(err, more)
	}
	return err
}

func (r *Prober) run(ctx context.Context, ds dataset.Dataset, to result.Sink, o RunOptions) (result.Summary, error) {
	q := r.request
	if q == nil {
		return result.Summary{}, errors.New("running a prober that no request opened; give its rows to a sink with Write")
	}
	if ds == nil {
		return result.Summary{}, errors.New("a run needs data")
	}
	lanes, size, err := r.lanes(ctx, q.Probes)
	if err != nil {
		return result.Summary{}, err
	}
	m, settings := *q.Manifest, map[string]any{"seed": q.Seed}
	if q.coded() { // where no probe says more
		settings["sketch"], settings["fragile"] = 0, 0.0
	}
	m.Kind, m.Command, m.Settings = q.kind(), q.Command, settings
	for _, made := range lanes[0].makers {
		if s, ok := made.(Recorder); ok {
			maps.Copy(settings, s.Settings())
		}
	}
	sum, err := r.write(ctx, ds, to, o, lanes, size)
	m.Notes = slices.Clone(m.Notes)
	for _, n := range r.Notes() { // of what the engine did otherwise than asked
		r.say(n)
		m.Notes = append(m.Notes, n)
	}
	if err != nil {
		return sum, err
	}
	maps.Copy(settings, q.Settings)
	if m.Summary = sum; r.described {
		data := result.DataOf(ds)
		m.Dataset = &data
	}
	var about any = &m
	if o.Finish != nil {
		if about, err = o.Finish(&m); err != nil {
			return sum, err
		}
	}
	return sum, to.Commit(about)
}

// kind is what the result is of.
func (q *Request) kind() string {
	if q.Kind != "" {
		return q.Kind
	}
	for _, p := range q.Probes {
		if a := p.About(); a.Around {
			return a.Name
		}
	}
	if q.coded() {
		return "codes"
	}
	return "run"
}

// coded says that items go through a network with sites.
func (q *Request) coded() bool {
	return slices.ContainsFunc(q.Probes, func(p Probe) bool { return !p.About().Siteless && !p.About().Around })
}

// Write puts a dataset through the network and writes a row for every item, in order:
// what it is and whether it could be read, then the columns of the probes, which must be
// among those that the plan was attached for. An item that cannot be read, for which the
// network returns NaN, or at which the engine fails, in a process of its own also by a
// crash, is a row with an error. Write does not commit; see Run.
//
// Reading, inference and writing overlap: items are read on goroutines of their own
// ahead of the engine, and the sink is written to by another behind it; each waits
// for the next, so memory does not grow with the dataset. Of a prober on several
// devices, see OpenOn, each session runs on a goroutine of its own.
func (r *Prober) Write(ctx context.Context, ds dataset.Dataset, sink result.Sink, o RunOptions, probes ...Probe) (result.Summary, error) {
	lanes, size, err := r.lanes(ctx, probes)
	if err != nil {
		return result.Summary{}, err
	}
	return r.write(ctx, ds, sink, o, lanes, size)
}

func (r *Prober) write(ctx context.Context, ds dataset.Dataset, sink result.Sink, o RunOptions, lanes []*lane,
	size int) (result.Summary, error) {
	bound, err := r.Plan.Fit.bind(dataset.Sides(ds))
	if err != nil {
		return result.Summary{}, err
	}
	tiles := dataset.IsTiled(ds)
	var sum result.Summary
	var times Times
	const behind = 2 // batches besides those that the sessions work on: one waits for the sink, one is written
	free := make(chan *Batch, len(lanes)+behind)
	for range cap(free) {
		free <- &Batch{rows: rows{tiles: tiles}}
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var work sync.WaitGroup
	for _, l := range lanes {
		l.out = make(chan *Batch, cap(free))
		work.Go(func() { l.work(running) })
	}
	written := make(chan error, 1)
	go func() {
		written <- gather(lanes, free, stop, func(s *Batch) error {
			start := time.Now()
			err := s.write(sink, &sum, o)
			if err == nil {
				times.Write += time.Since(start)
				o.progress(sum)
			}
			return err
		})
	}()
	err = deal(running, lanes, dataset.HeldBatches(running, ds, size, o.decoders(), len(lanes)), free, bound)
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
