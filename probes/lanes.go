package probes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// OpenOn is Open with a session on each of several devices, among which Write deals
// its batches in turn; everything else runs on the first. The devices should be of one
// kind, since two kinds may round differently.
//
// A device that is there more than once runs so many batches at once. Those on the CPU
// share its threads evenly; they, and those on a GPU, share the weights where the
// engine can. A GPU that is there once runs two, so that what is copied to and from it
// for one batch, and what the host does for it, goes on while it computes the other;
// but not with a limit of its memory, since two batches' values take twice as much, or
// a CUDA graph, which has room for one. The bytes are the same.
func (p *Plan) OpenOn(ctx context.Context, b engine.Backend, o engine.Options, devices []engine.Device, batch int) (*Prober, error) {
	if len(devices) == 0 {
		return nil, errors.New("opening a model: no device is given")
	}
	onCPU := 0
	for _, d := range devices {
		if d.Kind != "cuda" {
			onCPU++
		}
	}
	var all []*Prober
	add := func(r *Prober, err error) error {
		if err == nil {
			all = append(all, r)
			if r.Batch != all[0].Batch {
				err = fmt.Errorf("a run on %s is of %d samples, and on %s of %d", r.Options.Device, r.Batch, all[0].Options.Device, all[0].Batch)
			}
		}
		if err != nil {
			for _, r := range all {
				err = errors.Join(err, r.Close())
			}
		}
		return err
	}
	for _, d := range devices {
		own := o
		if own.Device = d; d.Kind != "cuda" && onCPU > 1 {
			if own.Threads == 0 {
				own.Threads = runtime.GOMAXPROCS(0)
			}
			own.Threads = max(1, own.Threads/onCPU)
		}
		like := slices.IndexFunc(all, func(r *Prober) bool { return r.Options.Device == d && r.sharable() })
		if like >= 0 {
			if err := add(all[like].share()); err != nil {
				return nil, err
			}
		} else if err := add(p.Open(ctx, b, own, batch)); err != nil {
			return nil, err
		}
	}
	for _, r := range slices.Clone(all) {
		if n := count(devices, r.Options.Device); n == 1 && r.overlaps() {
			if err := add(r.share()); err != nil {
				return nil, err
			}
			all[len(all)-1].unnamed = true
		}
	}
	all[0].peers = all[1:]
	return all[0], nil
}

func count(devices []engine.Device, d engine.Device) (n int) {
	for _, e := range devices {
		if e == d {
			n++
		}
	}
	return n
}

// sharable says whether the session's model can be run by another one at the same time,
// and as well as by a session of its own: on the CPU the threads of one would have to
// serve both.
func (r *Prober) sharable() bool {
	_, ok := r.session.(engine.Sharer)
	return ok && !r.Options.CUDAGraph && (r.Options.Device.Kind == "cuda" || r.Options.Threads == 1)
}

// overlaps says whether a device is to run two batches at once without being told.
func (r *Prober) overlaps() bool {
	return r.Options.Device.Kind == "cuda" && r.Options.MemoryLimit == 0 && r.sharable()
}

// share is r with another session of the same prepared model.
func (r *Prober) share() (*Prober, error) {
	s, err := r.session.(engine.Sharer).Share()
	if err != nil {
		return nil, err
	}
	t := *r
	t.session, t.of = s, r
	t.peers, t.also = nil, nil
	return &t, nil
}

// Devices names the devices that Write runs on, as they were given, separated by
// commas.
func (r *Prober) Devices() string {
	names := []string{r.Options.Device.String()}
	for _, p := range r.peers {
		if !p.unnamed {
			names = append(names, p.Options.Device.String())
		}
	}
	return strings.Join(names, ",")
}

// Sessions are the sessions that Write deals its batches among, r's own first. Each may be
// used by a goroutine of its own; Close of r closes them all.
func (r *Prober) Sessions() []*Prober { return append([]*Prober{r}, r.peers...) }

// lane is a session on its way through a dataset: every so many batches one is its
// own. It takes steps from in and passes them on by out, until in is closed.
type lane struct {
	r       *Prober
	makers  []Maker
	runs    bool          // the makers read the network's outputs
	running *sync.RWMutex // of all lanes, held by each that runs
	in, out chan *Batch
	wait    time.Duration // for items
	infer   time.Duration
}

// lanes readies the probes on each session, and says how many items are a batch.
func (r *Prober) lanes(ctx context.Context, probes []Probe) (lanes []*lane, size int, err error) {
	defer engine.Catch(&err)
	for _, p := range probes {
		if err := r.Plan.gives(p); err != nil {
			return nil, 0, err
		}
	}
	var running sync.RWMutex
	for _, p := range r.Sessions() {
		l := &lane{r: p, makers: make([]Maker, len(probes)), running: &running, in: make(chan *Batch)}
		size = 1
		for i, g := range probes {
			if l.makers[i], err = g.Start(ctx, p); err != nil {
				return nil, 0, err
			}
			if own, ok := l.makers[i].(Runner); ok {
				size = max(size, own.Items())
			} else {
				l.runs = true
			}
		}
		if l.runs {
			size = p.Batch
		}
		lanes = append(lanes, l)
	}
	return lanes, size, nil
}

// work does the part of steps that needs the engine. After an error the makers are in
// no state to go on: it is that of all further steps too.
func (l *lane) work(ctx context.Context) {
	defer close(l.out)
	at := time.Now()
	var failed error
	for s := range l.in {
		l.wait += max(0, s.ready.Sub(at))
		start := time.Now()
		if failed == nil {
			failed = caught(func() error { return s.infer(ctx, l) })
		}
		s.err = failed
		at = time.Now()
		l.infer += at.Sub(start)
		l.out <- s
	}
}

// caught is what f returns, or its panic.
func caught(f func() error) (err error) {
	defer engine.Catch(&err)
	return f()
}

// deal gives the batches of a dataset to the lanes in turn, each in a step from free.
func deal(ctx context.Context, lanes []*lane, batches iter.Seq2[*dataset.Batch, error], free <-chan *Batch, bound []int) error {
	turn := 0
	for b, err := range batches {
		if err != nil {
			return err
		}
		ready := time.Now()
		s := <-free
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		s.ready, s.batch, s.bound = ready, b, bound
		lanes[turn%len(lanes)].in <- s
		turn++
	}
	return ctx.Err()
}

// gather hands the steps to write in the order of the batches, and back to free. After
// the first error it calls stop and writes no more.
func gather(lanes []*lane, free chan<- *Batch, stop context.CancelCauseFunc, write func(*Batch) error) (failed error) {
	for turn := 0; ; turn++ {
		s, ok := <-lanes[turn%len(lanes)].out
		if !ok { // then no other has one either
			return failed
		}
		if failed == nil {
			if failed = s.err; failed == nil {
				failed = caught(func() error { return write(s) })
			}
			if failed != nil {
				stop(failed)
			}
		}
		if s.out != nil { // which no sink keeps
			s.session.Recycle(s.out)
			s.out = nil
		}
		free <- s
	}
}
