package score

import (
	"math"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// A picture with two cats, one of them found and one missed, and a dog that is taken for
// a cat: by label and without.
func TestScores(t *testing.T) {
	r := func(label string, x float64) region.Region {
		return region.Region{Label: label, Box: region.Box{X0: x, X1: x + 10, Y1: 10}}
	}
	truth := []region.Region{r("cat", 0), r("cat", 50), r("dog", 100)}
	found := []region.Region{r("cat", 2), r("cat", 100)} // IoU 8/12 with the first cat, 1 with the dog
	var s Scores
	got, err := s.Add(truth, found, 0.6, false)
	if err != nil || got != s.All {
		t.Fatalf("%+v, %v", got, err)
	}
	if s.All.Detection != (Detection{3, 2, 1}) || s.All.Above != [3]int{1, 1, 0} || math.Abs(s.All.MeanIoU()-8.0/12/3) > 1e-15 {
		t.Errorf("in all: %+v", s.All)
	}
	if c := s.Labels["cat"]; c.Detection != (Detection{2, 2, 1}) || c.Accuracy(1) != 0.5 || math.Abs(c.MeanIoU()-4.0/12) > 1e-15 {
		t.Errorf("cats: %+v", c)
	}
	if d := s.Labels["dog"]; d.Detection != (Detection{1, 0, 0}) || d.MeanIoU() != 0 {
		t.Errorf("dogs: %+v", d)
	}
	if _, err := s.Add(truth, found, 0.6, false); err != nil || s.All.Detection != (Detection{6, 4, 2}) || s.Labels["cat"].Truth != 4 {
		t.Errorf("two pictures: %+v, %v", s.All, err)
	}
	var any Scores
	if a, err := any.Add(truth, found, 0.6, true); err != nil || a.Detection != (Detection{3, 2, 2}) || a.Above != [3]int{2, 2, 1} || any.Labels != nil {
		t.Errorf("without labels: %+v, %v", a, err)
	}
	if (Agreement{}).MeanIoU() != 0 || (Agreement{}).Accuracy(0) != 0 {
		t.Error("nothing scores")
	}
}

// Masks count where both regions have one, and their boxes where one has none.
func TestAgreeTakesMasks(t *testing.T) {
	mask := func(w int, at ...int) *region.Mask {
		m, err := region.NewMask(1, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range at {
			m.Set(0, x)
		}
		return m
	}
	box := region.Box{X1: 4, Y1: 1}
	truth := []region.Region{{Box: box, Mask: mask(4, 0, 1)}}
	for _, c := range []struct {
		found region.Region
		want  float64
	}{
		{region.Region{Box: box, Mask: mask(4, 1, 2)}, 1.0 / 3},
		{region.Region{Box: box, Mask: mask(4, 2, 3)}, 0},
		{region.Region{Box: box}, 1},
	} {
		if a, err := agree(truth, []region.Region{c.found}, 0.9); err != nil || a.MeanIoU() != c.want {
			t.Errorf("%+v: %v, %v; want %v", c.found, a.MeanIoU(), err, c.want)
		}
	}
	if _, err := agree(truth, []region.Region{{Box: box, Mask: mask(5, 4)}}, 0.9); err == nil {
		t.Error("masks of two sizes were compared")
	}
	if _, err := agree(make([]region.Region, 1<<12), make([]region.Region, 1<<11), 0.9); err == nil {
		t.Error("more pairs than the bound were compared")
	}
}
