package score

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Crowds are passed over as COCOeval does, whose counts testdata/export/annotations.py wrote.
func TestCrowdsAreCOCOeval(t *testing.T) {
	b, err := os.ReadFile("../../../testdata/golden/annotations.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		BBox    [4]float64
		IsCrowd int
	}
	var golden struct {
		Crowds []struct {
			Truth, Found  []object
			IoU           []float64
			Counted       int
			Kept, Matched []int
		}
	}
	if err := json.Unmarshal(b, &golden); err != nil || len(golden.Crowds) < 5 {
		t.Fatalf("%d cases: %v", len(golden.Crowds), err)
	}
	regions := func(objects []object) (rs []region.Region) {
		for _, o := range objects {
			x, y, w, h := o.BBox[0], o.BBox[1], o.BBox[2], o.BBox[3]
			rs = append(rs, region.Region{Box: region.Box{X0: x, Y0: y, X1: x + w, Y1: y + h}, Crowd: o.IsCrowd == 1})
		}
		return rs
	}
	for i, c := range golden.Crowds {
		for k, iou := range c.IoU {
			got, err := agree(regions(c.Truth), regions(c.Found), iou)
			if want := (Detection{c.Counted, c.Kept[k], c.Matched[k]}); err != nil || got.Detection != want || got.Passed != len(c.Found)-c.Kept[k] {
				t.Errorf("case %d at %g: %+v, want %+v (%v)", i, iou, got.Detection, want, err)
			}
		}
	}
}

// Of masks the pixels count: a region of which a crowd covers three quarters is passed over up
// to that threshold.
func TestCrowdsOfMasks(t *testing.T) {
	mask := func(from, to int) region.Region {
		m, err := region.NewMask(1, 8)
		if err != nil {
			t.Fatal(err)
		}
		for x := from; x < to; x++ {
			m.Set(0, x)
		}
		return region.Region{Box: region.Box{X0: float64(from), X1: float64(to), Y1: 1}, Mask: m}
	}
	crowd := mask(1, 8)
	crowd.Crowd = true
	for threshold, found := range map[float64]int{0.75: 0, 0.76: 1} {
		if a, err := agree([]region.Region{crowd}, []region.Region{mask(0, 4)}, threshold); err != nil || a.Detection != (Detection{0, found, 0}) {
			t.Errorf("at %g: %+v, %v", threshold, a.Detection, err)
		}
	}
}
