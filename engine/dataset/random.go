package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

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
