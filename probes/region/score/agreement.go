package score

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Thresholds are the IoUs that a pair has to exceed for MedRegA's three accuracies.
var Thresholds = [3]float64{0.25, 0.5, 0.75}

// Agreement is both measures of regions that were found, which can be added up over
// pictures: BN-HTRd's matches and MedRegA's pairs.
type Agreement struct {
	Detection
	// Sum is the sum of the pairs' IoU, Above how many of them exceed Thresholds.
	Sum   float64
	Above [len(Thresholds)]int
	// Passed is the number of regions found that lie in crowds and are not among Found.
	Passed int
}

// MeanIoU is that of the pairs, of which each true region has one.
func (a Agreement) MeanIoU() float64 {
	if a.Truth == 0 {
		return 0
	}
	return a.Sum / float64(a.Truth)
}

// Accuracy is the share of the true regions whose pair exceeds Thresholds[k].
func (a Agreement) Accuracy(k int) float64 { return ratio(a.Above[k], a.Truth) }

// MarshalJSON writes the counts with the measures that follow from them, a contract.
func (a Agreement) MarshalJSON() ([]byte, error) {
	accuracy := map[string]float64{}
	for k, t := range Thresholds {
		accuracy[fmt.Sprint(t)] = a.Accuracy(k)
	}
	return json.Marshal(struct {
		Truth    int                `json:"truth"`
		Found    int                `json:"found"`
		Matched  int                `json:"matched"`
		DR       float64            `json:"dr"`
		RA       float64            `json:"ra"`
		FM       float64            `json:"fm"`
		MeanIoU  float64            `json:"mean_iou"`
		Accuracy map[string]float64 `json:"accuracy"`
		Passed   int                `json:"found_in_crowds,omitempty"`
	}{a.Truth, a.Found, a.Matched, a.DR(), a.RA(), a.FM(), a.MeanIoU(), accuracy, a.Passed})
}

// Add counts the regions of another picture too.
func (a *Agreement) Add(b Agreement) {
	a.Detection.Add(b.Detection)
	a.Sum, a.Passed = a.Sum+b.Sum, a.Passed+b.Passed
	for k, n := range b.Above {
		a.Above[k] += n
	}
}

// maxPairs bounds the pairs of regions of one picture that are compared: the time of
// the pairing is cubic.
const maxPairs = 1 << 22

// agree compares the regions found in a picture with the true ones, whatever their
// labels: by their masks where both of a pair have one, else by their boxes. threshold is
// Detect's. True crowds are passed over, and so are regions found that match nothing and lie
// in one: see inCrowd. It is an error when masks differ in size, or when there are
// more than 2^22 pairs.
func agree(truth, found []region.Region, threshold float64) (Agreement, error) {
	if len(found) > 0 && len(truth) > maxPairs/len(found) {
		return Agreement{}, fmt.Errorf("comparing regions: got %d true ones and %d found, want at most %d pairs", len(truth), len(found), maxPairs)
	}
	single := func(crowd bool) []region.Region {
		return slices.DeleteFunc(slices.Clone(truth), func(r region.Region) bool { return r.Crowd != crowd })
	}
	crowds := single(true)
	truth = single(false)
	iou, err := ious(truth, found)
	if err != nil {
		return Agreement{}, err
	}
	at := func(i, j int) float64 { return iou[i][j] }
	matched := matches(len(truth), len(found), threshold, at)
	passed, err := inCrowd(crowds, found, matched, threshold)
	if err != nil {
		return Agreement{}, err
	}
	a := Agreement{Detection: Detection{Truth: len(truth), Found: len(found) - passed, Matched: len(matched)}, Passed: passed}
	pairs := pairsOf(len(truth), len(found), at)
	for _, p := range pairs {
		a.Sum += p.IoU
		for k, t := range Thresholds {
			if p.IoU > t {
				a.Above[k]++
			}
		}
	}
	return a, nil
}

// inCrowd is how many of the regions found, matched ones aside, lie in a crowd, as COCOeval
// ignores them: the share of the region that a crowd covers, in place of the IoU, is
// threshold or more.
func inCrowd(crowds, found []region.Region, matched []int, threshold float64) (n int, err error) {
	for j, f := range found {
		if slices.Contains(matched, j) {
			continue
		}
		for _, c := range crowds {
			share, err := coverage(f, c)
			if err != nil {
				return 0, fmt.Errorf("regions %q and %q: %w", c.ID, f.ID, err)
			}
			if share > 0 && share >= threshold {
				n++
				break
			}
		}
	}
	return n, nil
}

// coverage is the share of a region that a crowd covers, as pycocotools' iou with iscrowd.
func coverage(r, crowd region.Region) (float64, error) {
	if r.Mask == nil || crowd.Mask == nil {
		return ratioOf(shared(r.Box, crowd.Box), area(r.Box)), nil
	}
	n, err := sharedPixels(r.Mask, crowd.Mask)
	return ratio(n, r.Mask.Count()), err
}

// ious is the table of the IoU of each true region with each found.
func ious(truth, found []region.Region) ([][]float64, error) {
	in, of := extents(truth), extents(found)
	iou := make([][]float64, len(truth))
	for i, t := range truth {
		iou[i] = make([]float64, len(found))
		for j, f := range found {
			if t.Mask == nil || f.Mask == nil {
				iou[i][j] = BoxIoU(t.Box, f.Box)
			} else if t.Mask.H != f.Mask.H || t.Mask.W != f.Mask.W || BoxIoU(in[i], of[j]) > 0 {
				var err error
				if iou[i][j], err = MaskIoU(t.Mask, f.Mask); err != nil {
					return nil, fmt.Errorf("regions %q and %q: %w", t.ID, f.ID, err)
				}
			}
		}
	}
	return iou, nil
}

// extents are the boxes around the pixels of masks, which a region's own box need not be.
func extents(rs []region.Region) []region.Box {
	boxes := make([]region.Box, len(rs))
	for i, r := range rs {
		if r.Mask == nil {
			continue
		}
		b := region.Box{X0: float64(r.Mask.W), Y0: float64(r.Mask.H)}
		r.Mask.Each(func(y, x int) {
			b = region.Box{X0: min(b.X0, float64(x)), Y0: min(b.Y0, float64(y)), X1: max(b.X1, float64(x+1)), Y1: max(b.Y1, float64(y+1))}
		})
		boxes[i] = b
	}
	return boxes
}

// Scores adds up the agreement of pictures, in all and for each label.
type Scores struct {
	All    Agreement
	Labels map[string]*Agreement
}

// Add compares the regions of another picture, those of one label with those of the
// same, and gives what this picture came to. With anyLabel labels are not looked at, and
// all of it is in All. An error adds nothing.
func (s *Scores) Add(truth, found []region.Region, threshold float64, anyLabel bool) (Agreement, error) {
	if anyLabel {
		a, err := agree(truth, found, threshold)
		if err == nil {
			s.All.Add(a)
		}
		return a, err
	}
	var picture Agreement
	labels := map[string]Agreement{}
	for _, l := range labelsOf(truth, found) {
		a, err := agree(labelled(truth, l), labelled(found, l), threshold)
		if err != nil {
			return Agreement{}, fmt.Errorf("label %q: %w", l, err)
		}
		labels[l] = a
		picture.Add(a)
	}
	for l, a := range labels {
		if s.Labels == nil {
			s.Labels = map[string]*Agreement{}
		}
		if s.Labels[l] == nil {
			s.Labels[l] = &Agreement{}
		}
		s.Labels[l].Add(a)
	}
	s.All.Add(picture)
	return picture, nil
}

func labelsOf(rs ...[]region.Region) (labels []string) {
	for _, r := range slices.Concat(rs...) {
		labels = append(labels, r.Label)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func labelled(rs []region.Region, label string) []region.Region {
	return slices.DeleteFunc(slices.Clone(rs), func(r region.Region) bool { return r.Label != label })
}
