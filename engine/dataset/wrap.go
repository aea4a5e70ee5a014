package dataset

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
)

// chain is ds and what it wraps, the outermost first, each with the number that item i
// has there.
func chain(ds Dataset, i int) iter.Seq2[Dataset, int] {
	return func(yield func(Dataset, int) bool) {
		for ds != nil && yield(ds, i) {
			switch d := ds.(type) {
			case interface{ Unwrap() Dataset }:
				ds = d.Unwrap()
			case interface{ within(i int) (Dataset, int) }: // those that choose items
				ds, i = d.within(i)
			default:
				return
			}
		}
	}
}

// find is the outermost T of a chain, with the number that item i has there.
func find[T any](ds Dataset, i int) (t T, at int, ok bool) {
	for in, at := range chain(ds, i) {
		if t, ok := in.(T); ok {
			return t, at, true
		}
	}
	return t, 0, false
}

// Range is samples from (inclusive) to (exclusive) of ds, as a dataset of its
// own whose items keep their IDs.
func Range(ds Dataset, from, to int) (Dataset, error) {
	if from < 0 || to > ds.Len() || from > to {
		return nil, fmt.Errorf("samples %d to %d of a dataset of %d: out of range", from, to, ds.Len())
	}
	return view{ds, from, to - from}, nil
}

type view struct {
	Dataset
	from, n int
}

func (v view) within(i int) (Dataset, int)       { return v.Dataset, v.from + i }
func (v view) Sides() []Side                     { return cut(Sides(v.Dataset), v.from, v.n) }
func (v view) Len() int                          { return v.n }
func (v view) Item(i int) Item                   { return v.Dataset.Item(v.from + i) }
func (v view) Sample(i int, dst []float32) error { return v.Dataset.Sample(v.from+i, dst) }

// Concat is datasets of one shape, one after the other, whose items stay as they are:
// IDs may come twice, and labels count the classes of each. Open joins files so that
// they do not.
func Concat(parts ...Dataset) (Dataset, error) {
	if len(parts) == 0 {
		return nil, errors.New("putting no datasets one after the other: want at least one")
	}
	for _, p := range parts {
		if !slices.Equal(p.Shape(), parts[0].Shape()) {
			return nil, fmt.Errorf("samples of shape %v beside samples of %v", p.Shape(), parts[0].Shape())
		}
		if len(Sides(p)) > 0 {
			return nil, errors.New("putting datasets that have arrays beside them one after the other: do that first")
		}
		if IsTiled(p) {
			return nil, errors.New("putting tiles of pictures one after the other: put the pictures, then cut them")
		}
	}
	return newConcat(parts), nil
}

func newConcat[T Dataset](parts []T) *concat[T] {
	c := &concat[T]{parts: parts, starts: []int{0}}
	for i, p := range parts {
		c.starts = append(c.starts, c.starts[i]+p.Len())
	}
	return c
}

type concat[T Dataset] struct {
	parts  []T
	starts []int // the first sample of each part, and the number of all
}

func (c *concat[T]) part(i int) (p, at int) {
	if len(c.parts) == 1 { // as most are
		return 0, i
	}
	p = sort.SearchInts(c.starts, i+1) - 1
	return p, i - c.starts[p]
}

func (c *concat[T]) within(i int) (Dataset, int) {
	if c.Len() == 0 {
		return c.parts[0], 0
	}
	p, at := c.part(i)
	return c.parts[p], at
}

func (c *concat[T]) Len() int     { return c.starts[len(c.starts)-1] }
func (c *concat[T]) Shape() []int { return c.parts[0].Shape() }

func (c *concat[T]) Item(i int) Item {
	p, at := c.part(i)
	return c.parts[p].Item(at)
}

func (c *concat[T]) Sample(i int, dst []float32) error {
	p, at := c.part(i)
	return c.parts[p].Sample(at, dst)
}

// describe names the classes that all parts have.
func (c *concat[T]) describe() (d Description) {
	same := true
	for _, p := range c.parts {
		of := Describe(p)
		d.Sources, d.Left = append(d.Sources, of.Sources...), append(d.Left, of.Left...)
		if d.JPEG == "" {
			d.JPEG = of.JPEG
		}
		if d.Classes == nil {
			d.Classes = of.Classes
		}
		same = same && (of.Classes == nil || slices.Equal(d.Classes, of.Classes))
	}
	if !same {
		d.Classes = nil
	}
	return d
}
