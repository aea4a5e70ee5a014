package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// crashOf is the crash of an engine in a process of its own that an error is of, or nil.
func crashOf(err error) *engine.LostError {
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) && lost.Crashed() {
		return lost
	}
	return nil
}

// infer is the part of a step that needs the engine. Items at which it crashes are given
// that error, and the others are what they are without them.
func (s *Batch) infer(ctx context.Context, l *lane) error {
	whole := s.batch
	defer func() { s.batch = nil }()
	err := func() error {
		l.running.RLock()
		defer l.running.RUnlock()
		return s.step(ctx, l, whole)
	}()
	if crashOf(err) == nil {
		return err
	}
	// Sessions may share a process: no other lane may crash it now.
	l.running.Lock()
	defer l.running.Unlock()
	return (&crashing{s, l, whole, slices.Clone(whole.Errs)}).spare(ctx)
}

// crashing is a batch that crashed the engine.
type crashing struct {
	s     *Batch
	l     *lane
	whole *dataset.Batch
	errs  []error // of its items
}

// spare runs the batch without the items at which the engine crashes.
func (c *crashing) spare(ctx context.Context) error {
	all := c.sound()
	err := c.run(ctx, all)
	lost := crashOf(err)
	if lost == nil { // it was another lane's batch
		return err
	}
	if err := c.zeros(ctx); crashOf(err) != nil {
		return onnx.Remedy(fmt.Errorf("a batch of %d crashes the engine whatever is in it, zeros in place of the %s too; another batch may not: %w",
			c.l.r.Batch, named(c.s.items), err), "Batch")
	} else if err != nil {
		return err
	}
	if err := c.find(ctx, all, lost); err != nil {
		return err
	}
	rest := c.sound()
	if len(rest) == 0 && len(all) > 1 {
		return fmt.Errorf("the %s crash the engine, each alone: %w", named(c.s.items), lost)
	}
	if err = c.run(ctx, rest); crashOf(err) != nil {
		return fmt.Errorf("the %s crash the engine together and not alone: %w", named(c.s.items), err)
	}
	return err
}

// sound are the items without an error.
func (c *crashing) sound() (items []int) {
	for i, err := range c.errs {
		if err == nil {
			items = append(items, i)
		}
	}
	return items
}

// find gives those of the items, which crashed the engine, an error that do so alone.
func (c *crashing) find(ctx context.Context, items []int, lost *engine.LostError) error {
	if len(items) == 1 {
		c.errs[items[0]] = fmt.Errorf("crashed the engine with %s", lost.Signal)
		return nil
	}
	half := len(items) / 2
	for _, some := range [][]int{items[:half], items[half:]} {
		err := c.run(ctx, some)
		if lost := crashOf(err); lost != nil {
			err = c.find(ctx, some, lost)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errLeftOut = errors.New("left out of this run")

// run is the step with some of the items, in their places.
func (c *crashing) run(ctx context.Context, items []int) error {
	b, err := c.whole.Only(items, c.whole.Input.Shape[0])
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

// zeros runs the network on a batch without items.
func (c *crashing) zeros(ctx context.Context) error {
	b, err := c.whole.Only(nil, c.l.r.Batch)
	if err != nil {
		return err
	}
	out, err := c.l.r.Infer(ctx, b.Input, c.s.beside(b)...)
	if err == nil {
		c.l.r.Recycle(out)
	}
	return c.s.limited(err)
}

// limited is err with the items named at which an engine went beyond a limit.
func (s *Batch) limited(err error) error {
	if crashOf(err) != nil {
		return err
	}
	return lostAt(s.items, err)
}

// lostAt is err with the items named at which an engine was lost.
func lostAt(items []dataset.Item, err error) error {
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) {
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
