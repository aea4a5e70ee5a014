package overlay

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/internal/draw"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// cells is where on the input the positions of a site lie.
type cells struct {
	all *region.Selection
	at  []int32 // the position of each pixel of the input, -1 for none
}

func cellsOf(l *region.Layout) (cells, error) {
	positions, err := region.NewMask(l.H, l.W)
	if err != nil {
		return cells{}, err
	}
	s := cells{at: make([]int32, l.InputH*l.InputW)}
	for i := range s.at {
		s.at[i] = -1
	}
	for y := range l.H {
		for x := range l.W {
			positions.Set(y, x)
			l.Cell(y, x).Each(func(py, px int) { s.at[py*l.InputW+px] = int32(y*l.W + x) })
		}
	}
	s.all = l.Select(positions)
	return s, nil
}

// mean is the mean over sites at each pixel of the input: over those with a cell there.
type mean struct {
	draw.Heat
	sites []int
}

func newMean(over picture.Size) *mean {
	n := over.H * over.W
	return &mean{draw.Heat{H: over.H, W: over.W, Values: make([]float64, n)}, make([]int, n)}
}

// add adds a site with a number for each of its positions.
func (m *mean) add(on *cells, positions []float64) {
	for i, at := range on.at {
		if at >= 0 {
			m.Values[i] += positions[at]
			m.sites[i]++
		}
	}
}

// end makes sums means, and gives the least and the largest of the pixels that most sites
// have a cell at: at an edge that strides leave over a few sites say less.
func (m *mean) end() (least, most float64) {
	all := slices.Max(m.sites)
	least, most = math.Inf(1), math.Inf(-1)
	for i, n := range m.sites {
		m.Values[i] /= float64(n) // NaN where there is none
		if n == all {
			least, most = min(least, m.Values[i]), max(most, m.Values[i])
		}
	}
	return least, most
}
