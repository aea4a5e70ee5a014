package dataset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Memory is samples of a shape that are model inputs already, and are only read: the
// i-th is described by the i-th of items. Without items they are memory[0], memory[1]
// and so on, without labels. A nil sample is one that cannot be read.
func Memory(shape []int, samples [][]float32, items []Item) (Dataset, error) {
	if items != nil && len(items) != len(samples) {
		return nil, fmt.Errorf("a dataset in memory: %d items for %d samples", len(items), len(samples))
	}
	want := tensor.Count(shape)
	for i, x := range samples {
		if x != nil && len(x) != want {
			return nil, fmt.Errorf("a dataset in memory: sample %d has %d elements, want %d, of shape %v",
				i, len(x), want, shape)
		}
	}
	return &memory{slices.Clone(shape), samples, items}, nil
}

type memory struct {
	shape   []int
	samples [][]float32
	items   []Item
}

func (m *memory) Len() int     { return len(m.samples) }
func (m *memory) Shape() []int { return slices.Clone(m.shape) }

func (m *memory) Item(i int) Item {
	if m.items == nil {
		return Item{ID: fmt.Sprintf("memory[%d]", i), Label: -1}
	}
	return m.items[i]
}

func (m *memory) Sample(i int, dst []float32) error {
	if m.samples[i] == nil {
		return errors.New("the item has no sample")
	}
	copy(dst, m.samples[i])
	return nil
}

// Geometry is that of a model input, for GeometryOf.
func (m *memory) Geometry(int) (picture.Geometry, error) { return ownGeometry(m.shape) }

func (m *memory) describe() Description {
	return Description{Sources: []Source{{Path: "memory", Format: "memory", Items: m.Len()}}}
}

// Random is n points drawn uniformly from [low, high) in each element. Sample i
// depends on seed and i alone.
func Random(n int, shape []int, low, high float64, seed uint64) Dataset {
	return random{n, slices.Clone(shape), low, high, seed}
}

type random struct {
	n         int
	shape     []int
	low, high float64
	seed      uint64
}

func (r random) Len() int     { return r.n }
func (r random) Shape() []int { return slices.Clone(r.shape) }
func (r random) Item(i int) Item {
	return Item{ID: fmt.Sprintf("random[%d]", i), Label: -1}
}

func (r random) Sample(i int, dst []float32) error {
	rng := rand.New(rand.NewPCG(r.seed, uint64(i)))
	for k := range dst {
		dst[k] = float32(r.low + float64((r.high-r.low)*rng.Float64()))
	}
	return nil
}

func (r random) describe() Description {
	from := fmt.Sprintf("uniform in [%v, %v), seed %d", r.low, r.high, r.seed)
	return Description{Sources: []Source{{Path: from, Format: "random", Items: r.n}}}
}
