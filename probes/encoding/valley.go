package encoding

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Valley is the gap in the distances of items to their nearest other ones that lies between
// near copies and strangers: the items that are in nobody's copies and nevertheless have a
// nearest one.
type Valley struct {
	// Low and High are its sides in bits. Copies differ in Low bits or fewer; with more bits
	// than High strangers begin. Low is the distance to take.
	Low  int `json:"low"`
	High int `json:"high"`
	// Copies, Between and Strangers count the pairs of nearest items at distances up to Low,
	// within the valley, and beyond it.
	Copies    int `json:"pairs_low"`
	Between   int `json:"pairs_between"`
	Strangers int `json:"pairs_high"`
	// Depth is by how many standard deviations of chance the valley is lower than the lower
	// one of the two peaks beside it.
	Depth float64 `json:"depth"`
}

// NoValleyError says why no distance can be told from distances to the nearest other items.
type NoValleyError struct{ Why string }

func (e *NoValleyError) Error() string {
	return "there is no valley between near copies and other items: " + e.Why
}

// What a valley is. The numbers were chosen on copies of CIFAR-10 pictures and photographs
// by three networks, and held to another network and other pictures: benchmarks/results.
const (
	valleyPairs = 20   // no fewer tell a valley from chance
	valleyDepth = 3    // standard deviations; fewer than 1 in 100 histograms of one peak have such a valley
	valleyFloor = 0.15 // of the lower peak beside it
	valleyScale = 0.4  // of the distance to the eighth nearest item; where strangers are nearest, it is more
	valleyUnits = 128  // steps to where most strangers are: no finer ones are looked at
)

// Valley finds where near copies end, or says with a *NoValleyError why that cannot be told.
//
// Strangers are known by the distance to the eighth nearest item, which is no copy where there
// are fewer than eight: its median M and lower tenth, scaled to the nearest distance by what
// both are at their upper tenth, say at what distance E strangers begin. A valley lies there,
// and not somewhere among the copies: it is a window of M/16, M/8 or M/4 bits that reaches to
// E, less 5 % of M and no more than 10 % above it, with fewer pairs than windows on both sides
// of it have, by three standard deviations of chance, and at most 15 % of them. It goes as far
// to both sides as there are no more pairs than by chance. Two items that are each other's
// nearest ones are one pair.
func (d *Distances) Valley() (*Valley, error) {
	pairs := d.pairs()
	if len(pairs) < valleyPairs {
		return nil, &NoValleyError{fmt.Sprintf("there are %d pairs of nearest items, and fewer than %d tell nothing", len(pairs), valleyPairs)}
	}
	if least, most := slices.Min(pairs), slices.Max(pairs); least == most {
		return nil, &NoValleyError{fmt.Sprintf("all nearest distances are the same, %d bits", least)}
	}
	usual, edge, scale := d.strangers()
	switch {
	case usual <= 0:
		return nil, &NoValleyError{"most items have eight equals or more"}
	case scale < valleyScale:
		return nil, &NoValleyError{"nearly every item has a copy, so that the nearest distances do not show how far strangers are"}
	}
	h := newHeights(pairs, int(math.Ceil(usual/valleyUnits)))
	usual, edge = usual/float64(h.unit), max(edge, 0)/float64(h.unit)
	var best found
	for _, part := range []float64{16, 8, 4} {
		w := max(int(math.Round(usual/part)), 1)
		if f := h.deepest(w, int(math.Round(edge-0.05*usual)), int(math.Round(edge+0.1*usual))); f.depth > best.depth {
			best = f
		}
	}
	if best.depth == 0 {
		return nil, &NoValleyError{fmt.Sprintf("the distances of nearest items have no gap that could not be chance "+
			"at about %.0f bits, where strangers begin", edge*float64(h.unit))}
	}
	return h.sides(best, pairs), nil
}

// strangers estimates the usual distance of an item to its nearest stranger, and the one at
// which strangers begin; scale is the nearest distance over that to the eighth nearest item.
func (d *Distances) strangers() (usual, edge, scale float64) {
	of, far := slices.Sorted(slices.Values(d.Of)), slices.Sorted(slices.Values(d.Eighth))
	if quantile(far, 0.9) == 0 {
		return 0, 0, 0
	}
	scale = quantile(of, 0.9) / quantile(far, 0.9)
	median := quantile(far, 0.5)
	return scale * median, scale * (median - 3*(median-quantile(far, 0.1))), scale
}

// quantile is that of sorted numbers, between two of them in proportion.
func quantile(sorted []int32, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	v := float64(sorted[i])
	if i+1 < len(sorted) {
		v += (at - float64(i)) * float64(sorted[i+1]-sorted[i])
	}
	return v
}

// heights are the numbers of pairs before each unit of distance: sum[i] of those below
// i*unit bits.
type heights struct {
	unit int
	sum  []int
}

func newHeights(pairs []int32, unit int) *heights {
	h := &heights{unit: max(unit, 1)}
	h.sum = make([]int, int(slices.Max(pairs))/h.unit+3)
	for _, v := range pairs {
		h.sum[int(v)/h.unit+1]++
	}
	for i := 1; i < len(h.sum); i++ {
		h.sum[i] += h.sum[i-1]
	}
	return h
}

// window counts the pairs of w units from unit i on.
func (h *heights) window(i, w int) int { return h.sum[i+w] - h.sum[max(i, 0)] }

// found is a valley: the floor is a window of w units from unit at on.
type found struct {
	at, w, floor int
	depth        float64
}

// deepest is the deepest valley whose floor, w units wide, meets the units from one to
// another; its depth is 0 where none is.
func (h *heights) deepest(w, from, to int) (best found) {
	last := len(h.sum) - 1 - w // the last window begins there
	if last < 1 {
		return best
	}
	right := make([]int, last+2) // the highest window from here on
	for i := last; i >= 0; i-- {
		right[i] = max(right[i+1], h.window(i, w))
	}
	left := 0
	for i := 1; i+w <= last; i++ {
		left = max(left, h.sum[i]-h.sum[max(i-w, 0)])
		if i+w-1 < from || i > to {
			continue
		}
		floor, peak := h.window(i, w), min(left, right[i+w])
		// The square root of a count has a standard deviation of a half, whatever the count.
		depth := math.Sqrt2 * (math.Sqrt(float64(peak)+0.375) - math.Sqrt(float64(floor)+0.375))
		if depth >= valleyDepth && float64(floor) <= valleyFloor*float64(peak) && depth > best.depth {
			best = found{i, w, floor, depth}
		}
	}
	return best
}

// sides widens a valley as far as it is no higher than by chance.
func (h *heights) sides(f found, pairs []int32) *Valley {
	limit := int(float64(f.floor) + math.Sqrt(float64(f.floor)))
	from, to := f.at, f.at
	for from > 0 && h.window(from-1, f.w) <= limit {
		from--
	}
	for to+1 <= len(h.sum)-1-f.w && h.window(to+1, f.w) <= limit {
		to++
	}
	low, high := from-1, to+f.w-1
	if f.floor > 0 { // its sides lie within the first and the last window
		low, high = from+f.w/2-1, to+f.w/2
	}
	v := &Valley{High: (high+1)*h.unit - 1, Depth: f.depth}
	for _, p := range pairs { // a distance that there is
		if int(p) < (low+1)*h.unit {
			v.Low = max(v.Low, int(p))
		}
	}
	for _, p := range pairs {
		switch {
		case int(p) <= v.Low:
			v.Copies++
		case int(p) <= v.High:
			v.Between++
		default:
			v.Strangers++
		}
	}
	return v
}

// GroupCount says what groups of duplicates there are at a distance: how many, of how many
// items, and how many items the largest has.
type GroupCount struct {
	Distance int `json:"distance"`
	Groups   int `json:"groups"`
	Grouped  int `json:"grouped"`
	Largest  int `json:"largest"`
}

// countOf are the groups at a distance.
func countOf(distance int, members [][]int) GroupCount {
	n := GroupCount{Distance: distance, Groups: len(members)}
	for _, rows := range members {
		n.Grouped, n.Largest = n.Grouped+len(rows), max(n.Largest, len(rows))
	}
	return n
}

// CountAround counts the groups at a distance and at its neighbors, two steps below and two
// above, a step being a 128th of the bits and at least one: where they are nearly the same,
// the distance is a safe one; a largest group that grows from one step to the next says that
// strangers are being connected. g are the groups at the distance itself.
func CountAround(ctx context.Context, g *Groups, o NearOptions) (counts []GroupCount, err error) {
	step := max(g.Codes.Bits/128, 1)
	for i := -2; i <= 2; i++ {
		at := g.Radius + i*step
		if at < 0 || at > g.Codes.Bits {
			continue
		}
		members := g.Members
		if i != 0 {
			if members, err = nearGroups(ctx, g.Codes, at, o); err != nil {
				return nil, err
			}
		}
		counts = append(counts, countOf(at, members))
	}
	return counts, nil
}
