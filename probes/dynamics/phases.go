package dynamics

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Figure is the value of a measure of a set, of all sites together; NaN for none.
func (r *Record) Figure(set, measure string) float64 {
	v, _ := r.figure(set, measure, 0)
	return v
}

// figure is a figure of all sites together, of a radius where it is of one.
func (r *Record) figure(set, measure string, radius float64) (v float64, ok bool) {
	for _, f := range r.Rows {
		if f.Set == set && f.Measure == measure && f.Site == "" && (f.Radius == 0 || f.Radius == radius) {
			return float64(f.Value), true
		}
	}
	return math.NaN(), false
}

// Thresholds divide the regimes. The paper names regimes and gives no numbers: these are
// this program's.
type Thresholds struct {
	// Redundant is the redundancy above which a network is under-expressive, Unique that
	// up to which it may be sufficiently expressive, and Saturated how much K-NN accuracy
	// may still differ from that of the next setting then.
	Redundant float64 `json:"redundant"`
	Unique    float64 `json:"unique"`
	Saturated float64 `json:"saturated"`
}

// DefaultThresholds are those of this program.
var DefaultThresholds = Thresholds{0.05, 0.001, 0.01}

// Check reports thresholds that make no sense.
func (t Thresholds) Check() error {
	if !(t.Unique >= 0) || !(t.Redundant >= t.Unique) || !(t.Redundant <= 1) || !(t.Saturated >= 0) {
		return fmt.Errorf("thresholds: unique %g, redundant %g, saturated %g; want 0 <= unique <= redundant <= 1, and "+
			"saturated 0 or more", t.Unique, t.Redundant, t.Saturated)
	}
	return nil
}

// Regimes of expressivity; Undecided is a network of almost no redundancy without a
// neighbor to tell whether its accuracy is saturated.
const (
	under      = "under-expressive"
	critical   = "critically-expressive"
	sufficient = "sufficiently-expressive"
	undecided  = "undecided"
)

// Cell is one setting of a pair of axes: all networks with the same values on all axes.
type Cell struct {
	// Pair is the axes in question; the second is "" where the table has only one.
	Pair [2]string
	// At is the setting on the axes size, time and samples, NaN for those that the table has not.
	At     [3]float64
	Models int
	// Train and Test are mean redundancies, KNN the mean accuracy.
	Train, Test, KNN float64
	// Change is KNN at the next larger setting on each axis of the pair minus KNN here;
	// at the largest, KNN here minus that at the next smaller. NaN where an axis has but
	// one setting beside the others'.
	Change [2]float64
	Regime string
}

// Phases sorts settings into regimes, pair by pair of the axes. records are those of the
// models; failed ones are left out. An axis on which all models are the same makes no
// pair, where there is another.
//
// A setting is under-expressive when the larger of its two redundancies is above
// Redundant; sufficiently expressive when that is at most Unique and K-NN accuracy
// changes by no more than Saturated along both axes; else critically expressive.
func Phases(models []Model, axes []int, records []*Record, t Thresholds) (cells []Cell) {
	base, axes := average(models, records), varied(models, axes)
	pairs := [][2]int{}
	for i, a := range axes {
		for _, b := range axes[i+1:] {
			pairs = append(pairs, [2]int{a, b})
		}
	}
	if len(axes) == 1 {
		pairs = append(pairs, [2]int{axes[0], -1})
	}
	for _, p := range pairs {
		for i := range base {
			c := base[i]
			for k, axis := range p {
				c.Change[k] = math.NaN()
				if axis >= 0 {
					c.Pair[k], c.Change[k] = axisNames[axis], change(base, i, axis)
				}
			}
			c.Regime = t.regime(&c)
			cells = append(cells, c)
		}
	}
	return cells
}

// varied are the axes on which models differ, or else the first.
func varied(models []Model, axes []int) (out []int) {
	for _, a := range axes {
		if slices.ContainsFunc(models, func(m Model) bool { return m.At[a] != models[0].At[a] }) {
			out = append(out, a)
		}
	}
	if out == nil {
		return axes[:1]
	}
	return out
}

func (t Thresholds) regime(c *Cell) string {
	redundancy := max(c.Train, c.Test)
	switch {
	case redundancy > t.Redundant:
		return under
	case redundancy > t.Unique:
		return critical
	}
	known := false
	for _, d := range c.Change {
		// A difference that the threshold names in decimals is not to fail by rounding.
		if math.Abs(d) > t.Saturated+1e-12 {
			return critical
		}
		known = known || !math.IsNaN(d)
	}
	if !known {
		return undecided
	}
	return sufficient
}

// average makes a cell of the models of each setting, in the order of the axes.
func average(models []Model, records []*Record) (cells []Cell) {
	sum := map[[3]float64]*Cell{}
	for i, m := range models {
		r := records[i]
		if r.Error != "" {
			continue
		}
		key := m.At
		for k, v := range key {
			if math.IsNaN(v) { // which is equal to nothing
				key[k] = math.Inf(1)
			}
		}
		c := sum[key]
		if c == nil {
			c = &Cell{At: m.At}
			sum[key] = c
		}
		c.Models++
		c.Train += r.Figure("train", "redundancy")
		c.Test += r.Figure("test", "redundancy")
		c.KNN += r.Figure("test", "knn_accuracy")
	}
	for _, c := range sum {
		n := float64(c.Models)
		c.Train, c.Test, c.KNN = c.Train/n, c.Test/n, c.KNN/n
		cells = append(cells, *c)
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(a.At[0], b.At[0]), cmp.Compare(a.At[1], b.At[1]), cmp.Compare(a.At[2], b.At[2]))
	})
	return cells
}

// change is how K-NN accuracy changes from cell i along an axis, all else equal.
func change(cells []Cell, i, axis int) float64 {
	var above, below *Cell
	c := &cells[i]
	for k := range cells {
		o := &cells[k]
		beside := k != i
		for a := range axisNames {
			beside = beside && (a == axis || o.At[a] == c.At[a] || math.IsNaN(c.At[a]))
		}
		switch {
		case !beside:
		case o.At[axis] > c.At[axis] && (above == nil || o.At[axis] < above.At[axis]):
			above = o
		case o.At[axis] < c.At[axis] && (below == nil || o.At[axis] > below.At[axis]):
			below = o
		}
	}
	switch {
	case above != nil:
		return above.KNN - c.KNN
	case below != nil:
		return c.KNN - below.KNN
	}
	return math.NaN()
}

// PhaseTable is a row for every cell.
func PhaseTable(cells []Cell) []result.Column {
	n := len(cells)
	cols := []result.Column{texts("x", n, func(i int) string { return cells[i].Pair[0] }),
		texts("y", n, func(i int) string { return cells[i].Pair[1] })}
	for k, name := range axisNames {
		cols = append(cols, numbers(name, n, func(i int) float64 { return cells[i].At[k] }))
	}
	return append(cols, integers("models", n, func(i int) int64 { return int64(cells[i].Models) }),
		numbers("redundancy_train", n, func(i int) float64 { return cells[i].Train }),
		numbers("redundancy_test", n, func(i int) float64 { return cells[i].Test }),
		numbers("knn_accuracy", n, func(i int) float64 { return cells[i].KNN }),
		numbers("change_x", n, func(i int) float64 { return cells[i].Change[0] }),
		numbers("change_y", n, func(i int) float64 { return cells[i].Change[1] }),
		texts("regime", n, func(i int) string { return cells[i].Regime }))
}
