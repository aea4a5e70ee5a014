// Package bench measures what codes cost: a model plain, the same model with its
// codes packed in the graph and, where asked for, local complexity. All run as a
// dataset's batches do, by Prober.Run on every session of Plan.OpenOn at once, on random
// batches made beforehand, so that nothing is read or decoded. They take turns, so that
// what else the machine does meets all of them.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

const (
	turn    = 100 * time.Millisecond // what a turn takes at least, of one session
	turns   = 5                      // what is measured at least
	largest = 512                    // batch that Best tries
)

// Bench is what to measure and for how long.
type Bench struct {
	Plain, Codes *probes.Plan
	Backend      engine.Backend
	Options      engine.Options
	// Devices is where to run, as OpenOn takes them; nil is Options.Device alone.
	Devices []engine.Device
	// Around, when it has a frame, has local complexity measured too.
	Around probes.Complexity
	// Duration is how long one batch size is measured, all variants together.
	Duration time.Duration
	// Images, when above 0, is how many go through plain inference and through
	// codes, instead of Duration.
	Images int
	Seed   uint64
	// Beside is what goes into the model's other inputs, one row for all items (see
	// dataset.Side.Shared); those that it does not name get random numbers.
	Beside []dataset.Side
}

// Spread is the median of a measurement's turns and the tenth and the ninetieth
// percentile of them.
type Spread struct {
	Median float64 `json:"median"`
	P10    float64 `json:"p10"`
	P90    float64 `json:"p90"`
}

// Noisy reports whether the percentiles lie more than a fifth of the median apart.
func (s Spread) Noisy() bool { return s.P90-s.P10 > s.Median/5 }

func spread(v []float64) Spread {
	v = slices.Sorted(slices.Values(v))
	at := func(q float64) float64 { return v[int(q*float64(len(v)-1)+0.5)] }
	return Spread{at(0.5), at(0.1), at(0.9)}
}

// Variant is how one way of running the model did.
type Variant struct {
	// Rate is images a second; of local complexity, points a second.
	Rate Spread `json:"rate"`
	// Items is how many were measured, without those of the warm-up.
	Items int `json:"items"`
	// BytesIn and BytesOut are what goes into the session and comes out of it for
	// one image. On another device than the CPU they are copied.
	BytesIn  int `json:"bytes_in,omitempty"`
	BytesOut int `json:"bytes_out,omitempty"`
	// HostBytes and DeviceBytes are what opening the session and its first runs
	// added to the process's memory and to the device's, beside what pools held of
	// batch sizes measured before; nil is not known.
	HostBytes   *int64 `json:"host_bytes,omitempty"`
	DeviceBytes *int64 `json:"device_bytes,omitempty"`
}

// Result is the measurement of one batch size.
type Result struct {
	Batch int     `json:"batch"`
	Turns int     `json:"turns"` // of every variant
	Plain Variant `json:"plain"`
	Codes Variant `json:"codes"`
	// Ratio is the rate with codes over the plain one, turn by turn.
	Ratio      Spread   `json:"ratio"`
	Complexity *Variant `json:"complexity,omitempty"`
	// HostBytes is the most memory seen while the turns went on, and Growth how much
	// more the second half of the turns had than the first; 0 and 0 are not known.
	HostBytes int64 `json:"host_bytes,omitempty"`
	Growth    int64 `json:"host_growth_bytes"`
	// DeviceBytes is what the device held at the end, and DeviceGrowth how much more
	// that is than after the first turns.
	DeviceBytes  int64 `json:"device_bytes,omitempty"`
	DeviceGrowth int64 `json:"device_growth_bytes,omitempty"`
	// Notes are what sessions did otherwise than they were asked to.
	Notes []string `json:"notes,omitempty"`

	peak int64 // while the sessions were open
}

// Noisy reports whether plain inference or codes varied so much that only the
// ratio should be read.
func (r *Result) Noisy() bool { return r.Plain.Rate.Noisy() || r.Codes.Rate.Noisy() }

// contender is a variant at work.
type contender struct {
	Variant
	do    func(times int) error // so many runs
	items int                   // of one run
	lanes int                   // sessions that they are dealt among
	times int                   // runs of a turn, as many on each
	rates []float64
}

// Measure measures one batch size. A model whose batch is fixed has the last word:
// Result.Batch is the size that ran.
func (b *Bench) Measure(ctx context.Context, batch int) (*Result, error) {
	plain, p, err := b.contender(ctx, b.Plain, batch)
	if err != nil {
		return nil, fmt.Errorf("measuring plain inference at batch %d: %w", batch, err)
	}
	defer p.Close()
	codes, r, err := b.contender(ctx, b.Codes, batch)
	if err != nil {
		return nil, fmt.Errorf("measuring codes at batch %d: %w", batch, err)
	}
	defer r.Close()
	all := []*contender{plain, codes}
	if b.Around.Frame != nil {
		points, err := b.points(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("measuring local complexity at batch %d: %w", batch, err)
		}
		all = append(all, points)
	}
	res := &Result{Batch: r.Batch}
	var held []int64
	var device int64 // after the first turns
	for start := time.Now(); !b.enough(len(plain.rates), plain.Items, time.Since(start)); {
		// Whoever goes first is another each time: what a turn leaves behind, in
		// caches and in pools, is not always the same one's gain.
		for i := range all {
			if err := all[(i+len(held))%len(all)].turn(); err != nil {
				return nil, fmt.Errorf("measuring at batch %d: %w", batch, err)
			}
		}
		if held = append(held, resident()); len(held) == 1 {
			device = b.deviceMemory(ctx)
		}
	}
	ratios := make([]float64, len(plain.rates))
	for i, rate := range plain.rates {
		ratios[i] = codes.rates[i] / rate
	}
	for _, c := range all {
		c.Rate = spread(c.rates)
	}
	res.Turns, res.Plain, res.Codes, res.Ratio = len(ratios), plain.Variant, codes.Variant, spread(ratios)
	if len(all) > 2 {
		res.Complexity = &all[2].Variant
	}
	res.HostBytes, res.Growth, res.peak = slices.Max(held), growth(held), peak()
	res.DeviceBytes = b.deviceMemory(ctx)
	res.DeviceGrowth = res.DeviceBytes - device
	res.Notes = slices.Compact(slices.Sorted(slices.Values(append(p.Notes(), r.Notes()...))))
	return res, nil
}

// growth is how much more the second half holds, at its most, than the first.
func growth(held []int64) int64 {
	half := len(held) / 2
	return slices.Max(held[half:]) - slices.Max(held[:half])
}

func (b *Bench) enough(done, images int, d time.Duration) bool {
	if done < turns {
		return false
	}
	if b.Images > 0 {
		return images >= b.Images
	}
	return d >= b.Duration
}

// devices are where to run.
func (b *Bench) devices() []engine.Device {
	if len(b.Devices) == 0 {
		return []engine.Device{b.Options.Device}
	}
	return b.Devices
}

// contender opens a plan and warms it up. The session is the caller's to close.
func (b *Bench) contender(ctx context.Context, p *probes.Plan, batch int) (*contender, *probes.Prober, error) {
	host, device := resident(), b.deviceMemory(ctx)
	r, err := p.OpenOn(ctx, b.Backend, b.Options, b.devices(), batch)
	if err != nil {
		return nil, nil, err
	}
	c, err := b.images(ctx, r)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	c.HostBytes, c.DeviceBytes = added(host, resident()), added(device, b.deviceMemory(ctx))
	return c, r, nil
}

// images runs batches of images on the sessions of r.
func (b *Bench) images(ctx context.Context, r *probes.Prober) (*contender, error) {
	in := b.input(r)
	others, err := b.others(r)
	if err != nil {
		return nil, err
	}
	c := &contender{items: r.Batch, lanes: len(r.Sessions())}
	c.BytesIn = tensor.Count(r.Plan.Fit.Sample) * r.Plan.Fit.DType.Bits() / 8
	for _, o := range r.Plan.Fit.Others {
		c.BytesIn += tensor.Count(o.Shape) * o.DType.Bits() / 8
	}
	out, err := r.Infer(ctx, in, others...)
	if err != nil {
		return nil, err
	}
	for _, t := range out {
		c.BytesOut += tensor.Count(t.Shape) * t.DType.Bits() / 8 / r.Batch
	}
	c.do = func(times int) error {
		errs := make([]error, c.lanes)
		var all sync.WaitGroup
		for k, session := range r.Sessions() {
			all.Go(func() {
				defer engine.Catch(&errs[k])
				for i := k; i < times && errs[k] == nil; i += c.lanes {
					out, err := session.Infer(ctx, in, others...)
					session.Recycle(out)
					errs[k] = err
				}
			})
		}
		all.Wait()
		return cmp.Or(errs...)
	}
	return c, c.warm()
}

// added is how much more after is; nil where memory is not known.
func added(before, after int64) *int64 {
	if after == 0 {
		return nil
	}
	n := max(0, after-before)
	return &n
}

// points measures local complexity with the sessions of the codes.
func (b *Bench) points(ctx context.Context, r *probes.Prober) (*contender, error) {
	low, high := ranges(r.Plan)
	vertices := 2 * b.Around.Frame.Directions
	if b.Around.Center {
		vertices++
	}
	items := fill(r.Batch, vertices*len(b.Around.Radii))
	c := &contender{items: items, lanes: len(r.Sessions())}
	sides, err := b.sides(r)
	if err != nil {
		return nil, err
	}
	c.do = func(times int) error {
		points, err := dataset.Beside(dataset.Random(items*times, r.Plan.Fit.Sample, low, high, b.Seed), sides...)
		if err != nil {
			return err
		}
		sum, err := r.Write(ctx, points, discard{}, probes.RunOptions{}, b.Around)
		if err == nil && sum.Failed > 0 {
			err = fmt.Errorf("%d of %d points failed: %s", sum.Failed, sum.Items, sum.Errors[0])
		}
		return err
	}
	return c, c.warm()
}

// fill is the fewest points whose vertices fill whole batches.
func fill(batch, vertices int) int {
	a, b := batch, vertices
	for b != 0 {
		a, b = b, a%b
	}
	return batch / a
}

// warm runs until engine and pools are ready, and finds how many runs make a turn. At
// its end some sessions wait for the last, so that a turn of several is longer.
func (c *contender) warm() error {
	for range 2 {
		if err := c.do(c.lanes); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := c.do(c.lanes); err != nil {
		return err
	}
	long := turn * time.Duration(c.lanes)
	c.times = c.lanes * (1 + int(long/max(time.Since(start), time.Microsecond)))
	return nil
}

func (c *contender) turn() error {
	start := time.Now()
	if err := c.do(c.times); err != nil {
		return err
	}
	n := c.times * c.items
	c.rates = append(c.rates, float64(n)/time.Since(start).Seconds())
	c.Items += n
	return nil
}

// Best finds the batch size to take: the smallest whose rate of codes lies within the
// spread of the highest. Sizes double until two in a row are no better, or until one
// does not run, for want of memory say, which is then the error that is told to note.
func (b *Bench) Best(ctx context.Context, note func(string)) (int, error) {
	if n := b.Codes.Fit.Batch; n > 0 {
		return n, nil
	}
	short := *b
	short.Around, short.Images, short.Duration = probes.Complexity{}, 0, time.Second
	best, rate, worse := 0, 0.0, 0
	var tried []*Result
	var top Spread // of the highest rate
	for batch := 1; batch <= largest && worse < 2; batch *= 2 {
		res, err := short.Measure(ctx, batch)
		if err != nil {
			if best == 0 || ctx.Err() != nil {
				return 0, err
			}
			note(fmt.Sprintf("batch %d and larger are left out: %v", batch, err))
			break
		}
		got := res.Codes.Rate.Median
		if tried = append(tried, res); got > top.Median {
			top = res.Codes.Rate
		}
		note(fmt.Sprintf("batch %d: %.4g images a second with codes", batch, got))
		if got > 1.02*rate {
			best, rate, worse = res.Batch, got, 0
		} else {
			worse++
		}
		if res.Batch != batch { // the model's batch turned out to be fixed
			break
		}
	}
	for _, res := range tried {
		if res.Codes.Rate.Median >= min(top.P10, top.Median) {
			return res.Batch, nil
		}
	}
	return best, nil
}

// discard is a sink that keeps nothing.
type discard struct{}

func (discard) Write([]result.Column) error { return nil }
func (discard) Commit(any) error            { return nil }
func (discard) Abort() error                { return nil }
