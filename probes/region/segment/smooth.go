package segment

import (
	"fmt"
	"math"
)

// maxSums bounds the sums of a Smoothing: 1 GB.
const maxSums = 1 << 27

// Smoothing adds up the probabilities of classes in each super-pixel.
type Smoothing struct {
	classes int
	part    []int32 // of each pixel
	sums    []float64
}

// NewSmoothing takes 8 bytes for each super-pixel and class.
func NewSmoothing(super *Labels, classes int) (*Smoothing, error) {
	s := &Smoothing{classes: classes, part: make([]int32, len(super.Of))}
	index := map[int32]int32{}
	for i, k := range super.Of {
		p, ok := index[k]
		if !ok {
			p = int32(len(index))
			index[k] = p
		}
		s.part[i] = p
	}
	if classes < 1 || classes > maxSums/max(len(index), 1) {
		return nil, fmt.Errorf("smoothing over super-pixels: got %d classes and %d super-pixels, want at least one "+
			"class and at most %d of both multiplied", classes, len(index), maxSums)
	}
	s.sums = make([]float64, len(index)*classes)
	return s, nil
}

// Add adds what the classes have at a pixel, one value each.
func (s *Smoothing) Add(pixel int, probabilities []float64) {
	sums := s.sums[int(s.part[pixel])*s.classes:][:s.classes]
	for k, v := range probabilities {
		sums[k] += v
	}
}

// Classes gives for a pixel the class whose mean in its super-pixel, over what was
// added, is the largest; the first of equal ones. It is the last step of human parsing
// by active templates (Liang et al., Deep Human Parsing with Active Template Regression,
// TPAMI 2015).
func (s *Smoothing) Classes() func(pixel int) int32 {
	best := make([]int32, len(s.sums)/s.classes)
	for p := range best {
		most := math.Inf(-1)
		for k, v := range s.sums[p*s.classes:][:s.classes] {
			if v > most {
				best[p], most = int32(k), v
			}
		}
	}
	return func(pixel int) int32 { return best[s.part[pixel]] }
}

// SmoothLabels gives each super-pixel the label that most of its pixels have, the least
// of equal ones: a Smoothing of probabilities that are 0 or 1. Labels below 0 do not
// count; a super-pixel that has no others gets 0.
func SmoothLabels(labels, super *Labels) (*Labels, error) {
	if labels.H != super.H || labels.W != super.W {
		return nil, fmt.Errorf("smoothing over super-pixels: got labels of %d x %d and super-pixels of %d x %d "+
			"(height x width), want one size", labels.H, labels.W, super.H, super.W)
	}
	type pair struct{ part, label int32 }
	counts := map[pair]int{}
	for i, k := range labels.Of {
		if k >= 0 {
			counts[pair{super.Of[i], k}]++
		}
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
