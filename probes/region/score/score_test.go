package score

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

func TestBoxIoUIsTorchvisions(t *testing.T) {
	b, err := os.ReadFile("../../../testdata/golden/annotations.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Boxes struct{ XYXY, IoU [][]float64 }
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	box := func(v []float64) region.Box { return region.Box{X0: v[0], Y0: v[1], X1: v[2], Y1: v[3]} }
	if len(golden.Boxes.IoU) < 5 {
		t.Fatal("the golden file has no IoU")
	}
	for i, row := range golden.Boxes.IoU {
		for j, want := range row {
			if got := BoxIoU(box(golden.Boxes.XYXY[i]), box(golden.Boxes.XYXY[j])); math.Abs(got-want) > 1e-12 {
				t.Errorf("boxes %d and %d: IoU %v, want %v", i, j, got, want)
			}
		}
	}
}

func TestInvertedBox(t *testing.T) {
	if got := BoxIoU(region.Box{X1: -5, Y1: 2}, region.Box{X1: 5, Y1: 2}); got != 0 {
		t.Errorf("the IoU with an inverted box is %v", got)
	}
}

func TestMaskIoU(t *testing.T) {
	a, _ := region.NewMask(2, 3)
	b, _ := region.NewMask(2, 3)
	if got, err := MaskIoU(a, b); got != 0 || err != nil {
		t.Errorf("empty masks: %v, %v", got, err)
	}
	a.Set(0, 0)
	a.Set(0, 1)
	b.Set(0, 1)
	b.Set(1, 1)
	if got, err := MaskIoU(a, b); got != 1.0/3 || err != nil {
		t.Errorf("IoU %v, %v; want 1/3", got, err)
	}
	c, _ := region.NewMask(3, 2)
	if _, err := MaskIoU(a, c); err == nil {
		t.Error("masks of two sizes were compared")
	}
}

// Hand-worked: 4 lines, 3 found, of which two match and one covers two lines.
func TestDetect(t *testing.T) {
	iou := [][]float64{{0.95, 0, 0}, {0, 0.5, 0}, {0, 0.5, 0}, {0, 0, 0.9}}
	d := Detect(4, 3, 0.9, func(i, j int) float64 { return iou[i][j] })
	if d.Matched != 2 || d.DR() != 0.5 || d.RA() != 2.0/3 || math.Abs(d.FM()-2*0.5*(2.0/3)/(0.5+2.0/3)) > 1e-15 {
		t.Errorf("got %+v: DR %v, RA %v, FM %v", d, d.DR(), d.RA(), d.FM())
	}
	if d := Detect(4, 3, 0.5, func(i, j int) float64 { return iou[i][j] }); d.Matched != 3 {
		t.Errorf("%d match at 0.5, want 3: one box has one match", d.Matched)
	}
	// The first line's best box is the only one of the second: matching takes both.
	crossed := [][]float64{{0.6, 0.9}, {0, 0.8}}
	if d := Detect(2, 2, 0.5, func(i, j int) float64 { return crossed[i][j] }); d.Matched != 2 {
		t.Errorf("%d match, want 2", d.Matched)
	}
	for _, n := range [][2]int{{0, 0}, {3, 0}, {0, 3}} {
		if d := Detect(n[0], n[1], 0, func(i, j int) float64 { return 1 }); d.Matched != 0 || d.FM() != 0 {
			t.Errorf("%v: %+v", n, d)
		}
	}
	d.Add(Detection{1, 1, 1})
	if d != (Detection{5, 4, 3}) {
		t.Errorf("the sum is %+v", d)
	}
}

func TestPairs(t *testing.T) {
	at := func(x float64) region.Box { return region.Box{X0: x, X1: x + 10, Y1: 10} }
	of := func(truth, found []region.Box) []pair {
		return pairsOf(len(truth), len(found), func(i, j int) float64 { return BoxIoU(truth[i], found[j]) })
	}
	pairs := of([]region.Box{at(0), at(20), at(100)}, []region.Box{at(21), at(0)})
	want := []pair{{0, 1, 1}, {1, 0, 9.0 / 11}, {2, -1, 0}}
	for i, p := range pairs {
		if p.Truth != want[i].Truth || p.Found != want[i].Found || math.Abs(p.IoU-want[i].IoU) > 1e-15 {
			t.Errorf("pair %d is %+v, want %+v", i, p, want[i])
		}
	}
	if got := of([]region.Box{at(0)}, nil); len(got) != 1 || got[0].Found != -1 {
		t.Errorf("no box found gives %+v", got)
	}
}
