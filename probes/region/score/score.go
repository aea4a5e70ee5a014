// Package score compares regions that were found with the true ones: intersection over
// union of boxes and masks, one-to-one matches with the detection rate, recognition
// accuracy and F-measure of line segmentation, and the best pairing.
package score

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// BoxIoU is the area that two boxes share over the area that they cover; 0 where an
// empty one is among them.
func BoxIoU(a, b region.Box) float64 {
	both := shared(a, b)
	return ratioOf(both, area(a)+area(b)-both)
}

// shared is the area that two boxes share.
func shared(a, b region.Box) float64 {
	return area(region.Box{X0: max(a.X0, b.X0), Y0: max(a.Y0, b.Y0), X1: min(a.X1, b.X1), Y1: min(a.Y1, b.Y1)})
}

func area(b region.Box) float64 { return max(b.X1-b.X0, 0) * max(b.Y1-b.Y0, 0) }

// MaskIoU is the number of pixels that two masks share over the number in either; 0
// for two empty ones. It is an error when their sizes differ.
func MaskIoU(a, b *region.Mask) (float64, error) {
	n, err := sharedPixels(a, b)
	return ratio(n, a.Count()+b.Count()-n), err
}

func sharedPixels(a, b *region.Mask) (n int, err error) {
	if a.H != b.H || a.W != b.W {
		return 0, fmt.Errorf("comparing masks: got %d x %d and %d x %d (height x width), want one size", a.H, a.W, b.H, b.W)
	}
	a.Each(func(y, x int) {
		if b.Has(y, x) {
			n++
		}
	})
	return n, nil
}

// Detection says how many regions were found.
type Detection struct {
	// Truth and Found are the numbers of regions, Matched that of one-to-one matches.
	Truth, Found, Matched int
}

// DR is the detection rate: the share of the true regions that have a match.
func (d Detection) DR() float64 { return ratio(d.Matched, d.Truth) }

// RA is the recognition accuracy: the share of the regions found that have a match.
func (d Detection) RA() float64 { return ratio(d.Matched, d.Found) }

// FM is 2 DR RA / (DR + RA), and 0 without a match.
func (d Detection) FM() float64 { return ratio(2*d.Matched, d.Truth+d.Found) }

// Add counts the regions of another picture too.
func (d *Detection) Add(e Detection) {
	d.Truth, d.Found, d.Matched = d.Truth+e.Truth, d.Found+e.Found, d.Matched+e.Matched
}

func ratio(a, b int) float64 { return ratioOf(float64(a), float64(b)) }

func ratioOf(a, b float64) float64 {
	if a <= 0 || b == 0 {
		return 0
	}
	return a / b
}

// Detect counts the most one-to-one matches that there are between true regions and
// those found, where a pair may match whose IoU is threshold or more: BN-HTRd's
// measure of line segmentation. iou is called for each pair; a threshold of 0 or less
// lets no pair match that shares nothing. Time is cubic in the number of regions.
func Detect(truth, found int, threshold float64, iou func(i, j int) float64) Detection {
	return Detection{Truth: truth, Found: found, Matched: len(matches(truth, found, threshold, iou))}
}

// matches are the regions found that Detect matches.
func matches(truth, found int, threshold float64, iou func(i, j int) float64) (matched []int) {
	cost := table(truth, found, func(i, j int) float64 {
		if v := iou(i, j); v > 0 && v >= threshold {
			return -1
		}
		return 0
	})
	for i, j := range assign(cost) {
		if j >= 0 && cost[i][j] < 0 {
			matched = append(matched, j)
		}
	}
	return matched
}

// pair is a true region, the one found that stands for it, or -1, and their IoU.
type pair struct {
	Truth, Found int
	IoU          float64
}

// pairsOf pairs each true region with one of its own among those found so that the sum of
// 1 - IoU is the least: MedRegA's measure of several boxes (the Hungarian method). There
// is a pair for each true region; one without a region found, or with one that shares
// nothing, has the IoU 0. iou is called for each pair.
func pairsOf(truth, found int, iou func(i, j int) float64) []pair {
	cost := table(truth, found, func(i, j int) float64 { return 1 - iou(i, j) })
	pairs := make([]pair, truth)
	for i, j := range assign(cost) {
		pairs[i] = pair{Truth: i, Found: j}
		if j >= 0 {
			pairs[i].IoU = iou(i, j)
		}
	}
	return pairs
}

func table(rows, cols int, at func(i, j int) float64) [][]float64 {
	t := make([][]float64, rows)
	for i := range t {
		t[i] = make([]float64, cols)
		for j := range t[i] {
			t[i][j] = at(i, j)
		}
	}
	return t
}

// assign is the column of each row, -1 where there is none.
func assign(cost [][]float64) []int {
	if len(cost) > 0 && len(cost[0]) > 0 {
		return encoding.Assign(cost)
	}
	none := make([]int, len(cost))
	for i := range none {
		none[i] = -1
	}
	return none
}
