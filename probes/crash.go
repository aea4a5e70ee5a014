package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// runError is an engine's error of a run.
type runError struct{ error }

func (e *runError) Unwrap() error { return e.error }

// crashOf is the crash of an engine in a process of its own that an error is of, or nil.
func crashOf(err error) *engine.LostError {
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) && lost.Crashed() {
		return lost
	}
	return nil
}

// faultIn is what is said of an item that an error of a run may be the fault of: an engine in
// a process of its own crashed, or one did not go on. It is nil of limits, of what the
// machine lacks, and of what is no run's.
func faultIn(err error) error {
	if lost := crashOf(err); lost != nil {
		return fmt.Errorf("crashed the engine with %s", lost.Signal)
	}
	var lost *engine.LostError
	var none *engine.UnavailableError
	var run *runError
	if errors.As(err, &lost) || errors.As(err, &none) || !errors.As(err, &run) || dataset.FaultOf(run.error) != dataset.ItemFault {
		return nil
	}
	return run.error
}

// does is what a run does that ends with an error.
func does(err error, crash, fail string) string {
	if crashOf(err) != nil {
		return crash
	}
	return fail
}

// infer is the part of a step that needs the engine. Items at which it fails are given
// that error, and the others are what they are without them.
func (s *Batch) infer(ctx context.Context, l *lane) error {
	whole := s.batch
	defer func() { s.batch = nil }()
	err := func() error {
		l.running.RLock()
		defer l.running.RUnlock()
		return s.step(ctx, l, whole)
	}()
	if faultIn(err) == nil {
		return err
	}
	// Sessions may share a process: no other lane may crash it now.
	l.running.Lock()
	defer l.running.Unlock()
	return (&hunt{s: s, l: l, whole: whole, errs: slices.Clone(whole.Errs)}).spare(ctx, err)
}

// hunt looks for the items of a batch at which the engine failed.
type hunt struct {
	s     *Batch
	l     *lane
	whole *dataset.Batch
	errs  []error // of its items
	fill  filler  // in the place of those that are left out
}

// filler writes a row of a batch that is no item's; nil leaves it zero.
type filler func(b *dataset.Batch, row int)

// spare runs the batch without the items at which the engine fails, as it did first.
func (c *hunt) spare(ctx context.Context, first error) error {
	all := c.sound()
	err := c.run(ctx, all)
	if err == nil && crashOf(first) == nil {
		return lostAt(c.s.items, first) // an error that passes is none of the items'
	}
	if faultIn(err) == nil { // it was another lane's batch
		return err
	}
	if err := c.choose(ctx, all, err); err != nil {
		return err
	}
	if c.fill != nil {
		if err = c.run(ctx, all); faultIn(err) == nil { // it was the zeros beside the items
			return err
		}
	}
	if err := c.find(ctx, all, faultIn(err)); err != nil {
		return err
	}
	rest := c.sound()
	if len(rest) == 0 && len(all) > 1 {
		return fmt.Errorf("the %s %s, each alone: %w", named(c.s.items), does(err, "crash the engine", "fail"), err)
	}
	if err = c.run(ctx, rest); faultIn(err) != nil {
		return fmt.Errorf("the %s %s together and not alone: %w", named(c.s.items), does(err, "crash the engine", "fail"), err)
	}
	return err
}

// choose finds rows at which the engine does not fail: zeros, ones, or those of an item.
func (c *hunt) choose(ctx context.Context, items []int, failed error) error {
	item := func(k int) filler {
		return func(b *dataset.Batch, row int) {
			b.Input.SetRow(row, c.whole.Input, k)
			for i, t := range b.Others {
				t.SetRow(row, c.whole.Others[i], k)
			}
		}
	}
	ones := func(b *dataset.Batch, row int) {
		n := b.Input.Len() / b.Input.Shape[0]
		for i := range n {
			tensor.Data[float32](b.Input)[row*n+i] = 1
		}
	}
	fillers := []filler{nil, ones}
	if len(items) > 0 { // else none could be read, and zeros ran
		fillers = append(fillers, item(items[0]), item(items[len(items)-1]))
	}
	for _, fill := range fillers {
		c.fill = fill
		b, err := c.batch(nil, c.l.r.Batch)
		if err != nil {
			return err
		}
		out, err := c.l.r.Infer(ctx, b.Input, c.s.beside(b)...)
		if err == nil {
			c.l.r.Recycle(out)
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
	err := fmt.Errorf("a batch of %d %s whatever is in it: the %s, the first or the last of them alone, zeros or ones: %w",
		c.l.r.Batch, does(failed, "crashes the engine", "fails"), named(c.s.items), failed)
	if c.l.r.Batch > 1 {
		err = onnx.Remedy(fmt.Errorf("%w; another batch may not", err), "Batch")
	}
	return err
}

// sound are the items without an error.
func (c *hunt) sound() (items []int) {
	for i, err := range c.errs {
		if err == nil {
			items = append(items, i)
		}
	}
	return items
}

// find gives those of the items, at which the engine failed, an error that do so alone.
func (c *hunt) find(ctx context.Context, items []int, fault error) error {
	if len(items) == 1 {
		c.errs[items[0]] = fault
		return nil
	}
	half := len(items) / 2
	for _, some := range [][]int{items[:half], items[half:]} {
		err := c.run(ctx, some)
		if fault := faultIn(err); fault != nil {
			err = c.find(ctx, some, fault)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errLeftOut = errors.New("left out of this run")

// run is the step with some of the items, in their places.
func (c *hunt) run(ctx context.Context, items []int) error {
	b, err := c.batch(items, c.whole.Input.Shape[0])
	if err != nil {
		return err
	}
	b.Errs = slices.Clone(c.errs)
	for i, err := range b.Errs {
		if _, in := slices.BinarySearch(items, i); err == nil && !in {
			b.Errs[i] = errLeftOut
		}
	}
	return c.s.step(ctx, c.l, b)
}

// batch is one of size rows with some of the items, in their places.
func (c *hunt) batch(items []int, size int) (*dataset.Batch, error) {
	b, err := c.whole.Only(items, size)
	if err != nil || c.fill == nil {
		return b, err
	}
	for row := range size {
		if _, in := slices.BinarySearch(items, row); !in {
			c.fill(b, row)
		}
	}
	return b, nil
}

// limited is err with the items named at which an engine was lost.
func (s *Batch) limited(err error) error {
	if faultIn(err) != nil {
		return err
	}
	return lostAt(s.items, err)
}

// lostAt is err with the items named at which an engine was lost, or failed.
func lostAt(items []dataset.Item, err error) error {
	var lost *engine.LostError
	var run *runError
	if errors.As(err, &lost) || errors.As(err, &run) {
		return fmt.Errorf("%s: %w", named(items), err)
	}
	return err
}

// named names items for people.
func named(items []dataset.Item) string {
	first, last := items[0].ID, items[len(items)-1].ID
	if len(items) == 1 {
		return "item " + first
	}
	return "items " + first + " to " + last
}
