package region

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

func cells(m *Mask) (list [][2]int) {
	for y := range m.H {
		for x := range m.W {
			if m.Has(y, x) {
				list = append(list, [2]int{y, x})
			}
		}
	}
	return list
}

func geometry(t *testing.T, p picture.Preprocess, w, h int) picture.Geometry {
	t.Helper()
	g, err := p.Geometry(w, h)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Worked by hand: which cells of the input a region of the picture takes.
func TestProject(t *testing.T) {
	plain := geometry(t, picture.Preprocess{}, 4, 3)
	half := geometry(t, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 4, W: 4}}}, 8, 8)
	// The shorter edge 8 becomes 4, the longer 16 becomes 8; the crop of 4 begins at 2,
	// so that the input shows columns 4 to 12.
	crop := geometry(t, picture.Preprocess{Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 4, W: 4}}, Crop: picture.Size{H: 4, W: 4}}, 16, 8)
	// A picture of 2 x 2 in the middle of 4 x 4.
	border := geometry(t, picture.Preprocess{Crop: picture.Size{H: 4, W: 4}}, 2, 2)
	two, err := Runs(8, 8, []int{0, 1, 53, 1, 9}, true) // pixels 0,0 and 6,6
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		g    picture.Geometry
		r    Region
		want [][2]int
		kept float64
	}{
		"pixels":         {plain, Region{Box: Box{1, 0, 3, 1}}, [][2]int{{0, 1}, {0, 2}}, 1},
		"half open":      {plain, Region{Box: Box{0.5, 0.5, 1.5, 1.5}}, [][2]int{{0, 0}}, 1},
		"just past":      {plain, Region{Box: Box{0.51, 0.5, 1.51, 1.5}}, [][2]int{{0, 1}}, 1},
		"no centre":      {plain, Region{Box: Box{2.6, 1.6, 3.2, 2.2}}, [][2]int{{1, 2}}, 1},
		"whole, beyond":  {half, Region{Box: Box{-5, 4, 99, 99}}, [][2]int{{2, 0}, {2, 1}, {2, 2}, {2, 3}, {3, 0}, {3, 1}, {3, 2}, {3, 3}}, 1},
		"halved":         {half, Region{Box: Box{0, 0, 3, 1}}, [][2]int{{0, 0}}, 1}, // centres at 1, 3 in x: 3 is past; in y 1 is past, so the middle (1.5, 0.5)
		"cropped":        {crop, Region{Box: Box{2, 0, 6, 2}}, [][2]int{{0, 0}}, 0.5},
		"cut off":        {crop, Region{Box: Box{0, 0, 4, 8}}, nil, 0},
		"outside":        {crop, Region{Box: Box{20, 0, 24, 8}}, nil, 0},
		"in the middle":  {border, Region{Box: Box{0, 0, 1, 2}}, [][2]int{{1, 1}, {2, 1}}, 1},
		"two pixels":     {half, Region{Mask: two}, [][2]int{{1, 1}}, 1}, // centres fall into odd pixels; the mean is 3.5
		"border, beyond": {border, Region{Box: Box{-9, -9, 9, 9}}, [][2]int{{1, 1}, {1, 2}, {2, 1}, {2, 2}}, 1},
	} {
		m, kept, err := Project(c.g, c.r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := cells(m); !slices.Equal(got, c.want) || kept != c.kept {
			t.Errorf("%s: got %v, kept %v, want %v, %v", name, got, kept, c.want, c.kept)
		}
	}
	for want, r := range map[string]Region{
		"is empty":             {Box: Box{1, 1, 1, 2}},
		"not made of finite":   {Box: Box{0, 0, math.NaN(), 1}},
		"for a picture of 3x4": {Mask: newMask(2, 2)},
	} {
		if _, _, err := Project(plain, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, _, err := Project(plain.Tile(0, 0, picture.Size{}), Region{Box: Box{0, 0, 1, 1}}); err == nil {
		t.Error("an input of no size has a mask")
	}
}

// The tiles of a picture hold together what the whole holds.
func TestTilesTogether(t *testing.T) {
	g := geometry(t, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 8, W: 12}}}, 31, 17)
	r := Region{Box: Box{3, 2, 22, 11}}
	whole, _, err := Project(g, r)
	if err != nil {
		t.Fatal(err)
	}
	for ty := range 2 {
		for tx := range 3 {
			tile, _, err := Project(g.Tile(4*tx, 4*ty, picture.Size{H: 4, W: 4}), r)
			if err != nil {
				t.Fatal(err)
			}
			for y := range 4 {
				for x := range 4 {
					if got, want := tile.Has(y, x), whole.Has(4*ty+y, 4*tx+x); got != want {
						t.Errorf("tile %d,%d at %d,%d: got %v, want %v", ty, tx, y, x, got, want)
					}
				}
			}
		}
	}
}

// COCO's run lengths go down the columns: pycocotools gives for the counts
// [1, 2, 3] of 3 x 2 the rows [0 0], [1 0], [1 0].
func TestRuns(t *testing.T) {
	m, err := Runs(3, 2, []int{1, 2, 3}, false)
	if err != nil || !slices.Equal(cells(m), [][2]int{{1, 0}, {2, 0}}) {
		t.Error(cells(m), err)
	}
	if m, err = Runs(3, 2, []int{1, 2, 3}, true); err != nil || !slices.Equal(cells(m), [][2]int{{0, 1}, {1, 0}}) || m.Count() != 2 {
		t.Error(cells(m), err)
	}
	for want, runs := range map[string][]int{"run 1 has length 9": {1, 9}, "length -1": {-1}, "cover 5 of 6": {5}} {
		if _, err := Runs(3, 2, runs, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", runs, err)
		}
	}
	for _, s := range [][2]int{{0, 1}, {1, -1}, {1 << 20, 1 << 20}} {
		if _, err := NewMask(s[0], s[1]); err == nil {
			t.Errorf("a mask of %v", s)
		}
	}
	wide := newMask(2, 130)
	for _, x := range []int{-1, 0, 63, 64, 129, 130} {
		wide.Set(1, x)
	}
	if wide.Count() != 4 || !wide.Has(1, 64) || wide.Has(0, 64) || wide.Has(1, 130) {
		t.Error(cells(wide))
	}
}
