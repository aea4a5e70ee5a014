package probes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// OpenOn is Open with a session on each of several devices, among which Write deals
// its batches in turn; everything else runs on the first. A device may be there more
// than once. Sessions on the CPU share its threads evenly. The devices should be of
// one kind, since two kinds may round differently.
func (p *Plan) OpenOn(ctx context.Context, b engine.Backend, o engine.Options, devices []engine.Device, batch int) (*Prober, error) {
	onCPU := 0
	for _, d := range devices {
		if d.Kind != "cuda" {
			onCPU++
		}
	}
	var first *Prober
	for _, d := range devices {
		own := o
		if own.Device = d; d.Kind != "cuda" && onCPU > 1 {
			if own.Threads == 0 {
				own.Threads = runtime.GOMAXPROCS(0)
			}
			own.Threads = max(1, own.Threads/onCPU)
		}
		r, err := p.Open(ctx, b, own, batch)
		if err == nil && first != nil && r.Batch != first.Batch {
			err = errors.Join(fmt.Errorf("a run on %s is of %d samples, and on %s of %d", d, r.Batch, first.Options.Device, first.Batch), r.Close())
		}
		if err != nil {
			if first != nil {
				err = errors.Join(err, first.Close())
			}
			return nil, err
		}
		if first == nil {
			first = r
		} else {
			first.peers = append(first.peers, r)
		}
	}
	if first == nil {
		return nil, errors.New("opening a model: no device is given")
	}
	return first, nil
}

// Devices names the devices that Write runs on, separated by commas.
func (r *Prober) Devices() string {
	names := []string{r.Options.Device.String()}
	for _, p := range r.peers {
		names = append(names, p.Options.Device.String())
	}
	return strings.Join(names, ",")
}

// lane is a session on its way through a dataset: every so many batches one is its
// own. It takes steps from in and passes them on by out, until in is closed.
type lane struct {
	r       *Prober
	makers  []maker
	runs    bool // the makers read the network's outputs
	in, out chan *step
	wait    time.Duration // for items
	infer   time.Duration
}

// lanes readies the groups on each session, and says how many items are a batch.
func (r *Prober) lanes(groups []Group) (lanes []*lane, size int, err error) {
	for _, p := range append([]*Prober{r}, r.peers...) {
		l := &lane{r: p, makers: make([]maker, len(groups)), in: make(chan *step)}
		size = 1
		for i, g := range groups {
			if l.makers[i], err = g.start(p); err != nil {
				return nil, 0, err
			}
			reads, items := l.makers[i].outputs()
			l.runs, size = l.runs || reads, max(size, items)
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
			failed = s.infer(ctx, l)
		}
		s.err = failed
		at = time.Now()
		l.infer += at.Sub(start)
		l.out <- s
	}
}

// deal gives the batches of a dataset to the lanes in turn, each in a step from free.
func deal(ctx context.Context, lanes []*lane, batches iter.Seq2[*dataset.Batch, error], free <-chan *step, bound []int) error {
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
		s.ready, s.batch, s.others = ready, b, s.others[:0]
		for _, k := range bound {
			s.others = append(s.others, b.Others[k])
		}
		lanes[turn%len(lanes)].in <- s
		turn++
	}
	return ctx.Err()
}

// gather hands the steps to write in the order of the batches, and back to free. After
// the first error it calls stop and writes no more.
func gather(lanes []*lane, free chan<- *step, stop context.CancelCauseFunc, write func(*step) error) (failed error) {
	for turn := 0; ; turn++ {
		s, ok := <-lanes[turn%len(lanes)].out
		if !ok { // then no other has one either
			return failed
		}
		if failed == nil {
			if failed = s.err; failed == nil {
				failed = write(s)
			}
			if failed != nil {
				stop(failed)
			}
		}
		s.out = nil
		free <- s
	}
}
