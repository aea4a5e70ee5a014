package segment

import (
	"fmt"
	"math"
)

// Smooth gives each super-pixel the class whose mean probability in it is the largest,
// the first of equal ones: the last step of human parsing by active templates (Liang
// et al., Deep Human Parsing with Active Template Regression, TPAMI 2015). prob is
// [classes, H, W], of any scale; the result's labels are classes.
func Smooth(prob []float32, classes int, super *Labels) (*Labels, error) {
	n := len(super.Of)
	if classes < 1 || len(prob)/classes != n || len(prob)%classes != 0 {
		return nil, fmt.Errorf("smoothing over super-pixels: got %d probabilities of %d classes, want %d a class for %d x %d pixels", len(prob), classes, n, super.H, super.W)
	}
	index := map[int32]int{}
	part := make([]int, n)
	for i, k := range super.Of {
		p, ok := index[k]
		if !ok {
			p = len(index)
			index[k] = p
		}
		part[i] = p
	}
	best, most := make([]int32, len(index)), make([]float64, len(index))
	for p := range most {
		most[p] = math.Inf(-1)
	}
	sums := make([]float64, len(index))
	for k := range classes {
		clear(sums)
		for i, v := range prob[k*n : (k+1)*n] {
			sums[part[i]] += float64(v)
		}
		for p, v := range sums {
			if v > most[p] {
				best[p], most[p] = int32(k), v
			}
		}
	}
	return super.relabel(func(i int) int32 { return best[part[i]] })
}

// SmoothLabels gives each super-pixel the label that most of its pixels have, the least
// of equal ones: Smooth of probabilities that are 0 or 1.
func SmoothLabels(labels, super *Labels) (*Labels, error) {
	if labels.H != super.H || labels.W != super.W {
		return nil, fmt.Errorf("smoothing over super-pixels: got labels of %d x %d and super-pixels of %d x %d (height x width), want one size", labels.H, labels.W, super.H, super.W)
	}
	type pair struct{ part, label int32 }
	counts := map[pair]int{}
	for i, k := range labels.Of {
		counts[pair{super.Of[i], k}]++
	}
	best := map[int32]pair{}
	for p, n := range counts {
		b, ok := best[p.part]
		if m := counts[b]; !ok || n > m || n == m && p.label < b.label {
			best[p.part] = p
		}
	}
	return super.relabel(func(i int) int32 { return best[super.Of[i]].label })
}

func (l *Labels) relabel(label func(i int) int32) (*Labels, error) {
	out, err := NewLabels(l.H, l.W)
	if err != nil {
		return nil, err
	}
	for i := range out.Of {
		out.Of[i] = label(i)
	}
	return out, nil
}
