package dataset

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Choice is an item made of another: with other arrays beside it, a box say.
type Choice struct {
	// Of is the number of the item that it is made of, Name what is put behind its ID.
	Of   int
	Name string
}

// Choose makes a dataset of items of ds, each any number of times. What choices that
// follow one another have in common is read once.
func Choose(ds Dataset, choices []Choice) (Dataset, error) {
	if len(Sides(ds)) > 0 {
		return nil, errors.New("choosing items of a dataset that has arrays beside it: choose first")
	}
	c := &chosen{Dataset: ds, of: make([]int, len(choices)), names: make([]string, len(choices))}
	for k, choice := range choices {
		if choice.Of < 0 || choice.Of >= ds.Len() {
			return nil, fmt.Errorf("choosing item %d of a dataset of %d: out of range", choice.Of, ds.Len())
		}
		c.of[k], c.names[k] = choice.Of, plain(choice.Name)
	}
	size := tensor.Count(ds.Shape())
	c.read = recent[[]float32]{make: func(i int) ([]float32, error) {
		x := make([]float32, size)
		return x, ds.Sample(i, x)
	}}
	return c, nil
}

type chosen struct {
	Dataset
	of    []int
	names []string
	read  recent[[]float32]
}

func (c *chosen) within(i int) (Dataset, int) {
	if len(c.of) == 0 {
		return c.Dataset, 0
	}
	return c.Dataset, c.of[i]
}

func (c *chosen) Len() int { return len(c.of) }

func (c *chosen) Item(i int) Item {
	it := c.Dataset.Item(c.of[i])
	it.ID += c.names[i]
	return it
}

func (c *chosen) Sample(i int, dst []float32) error {
	x, err := c.read.get(c.of[i])
	copy(dst, x)
	return err
}

// recent keeps the last few values made, for items that are asked for one after
// another by several goroutines.
type recent[T any] struct {
	make func(i int) (T, error)

	mu   sync.Mutex
	kept []*made[T] // the latest used first
}

const maxRecent = 4

type made[T any] struct {
	i     int
	once  sync.Once
	value T
	err   error
}

// get is value i, which is shared: it is not to be changed.
func (r *recent[T]) get(i int) (T, error) {
	r.mu.Lock()
	at := slices.IndexFunc(r.kept, func(m *made[T]) bool { return m.i == i })
	var m *made[T]
	if at < 0 {
		m = &made[T]{i: i, err: errors.New("its reader failed")} // should make panic
	} else {
		m = r.kept[at]
	}
	r.kept = front(r.kept, m)
	r.kept = r.kept[:min(len(r.kept), maxRecent)]
	r.mu.Unlock()
	m.once.Do(func() { m.value, m.err = r.make(i) })
	return m.value, m.err
}
