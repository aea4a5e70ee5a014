package draw

import (
	"fmt"
	"image"
	"image/color"
	"slices"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

var white = color.RGBA{255, 255, 255, 255}

// written is where a text of letters so large is written on a picture in white, alone on all
// dots that it takes.
func written(m *image.RGBA, text string, letter int) (at []image.Rectangle) {
	f := basicfont.Face7x13
	glyphs := image.NewRGBA(image.Rect(0, 0, f.Advance*len(text), f.Height))
	(&font.Drawer{Dst: glyphs, Src: image.White, Face: f, Dot: fixed.P(0, f.Ascent)}).DrawString(text)
	w, h := glyphs.Bounds().Dx()*letter, glyphs.Bounds().Dy()*letter
	var inked, blank []image.Point
	for dy := range h {
		for dx := range w {
			if glyphs.RGBAAt(dx/letter, dy/letter).A > 0 {
				inked = append(inked, image.Pt(dx, dy))
			} else {
				blank = append(blank, image.Pt(dx, dy))
			}
		}
	}
	for y := range m.Bounds().Dy() - h + 1 {
		for x := range m.Bounds().Dx() - w + 1 {
			is := func(p image.Point) bool { return m.RGBAAt(x+p.X, y+p.Y) == white }
			if !slices.ContainsFunc(inked, func(p image.Point) bool { return !is(p) }) && !slices.ContainsFunc(blank, is) {
				at = append(at, image.Rect(x, y, x+w, y+h))
			}
		}
	}
	return at
}

// Every region's number stands once on the picture, whole, at its box or in its mask, however
// small the picture is or near the regions are to one another and to the edge.
func TestNumbersStandAtRegions(t *testing.T) {
	for _, c := range []struct{ w, h, zoom, letter int }{{8, 8, 13, 1}, {64, 48, 3, 1}, {200, 120, 1, 1}, {940, 930, 1, 3}} {
		name := fmt.Sprintf("%d x %d", c.w, c.h)
		w, h := float64(c.w), float64(c.h)
		ring, err := region.NewMask(c.h, c.w) // whose corner and middle are outside
		if err != nil {
			t.Fatal(err)
		}
		for y := range c.h {
			for x := range c.w {
				if x >= c.w/2 && y >= c.h/2 && (x >= 7*c.w/8 || y >= 3*c.h/4) {
					ring.Set(y, x)
				}
			}
		}
		rs := []region.Region{
			{ID: "31", Label: "cell", Box: region.Box{X0: 0, Y0: 0, X1: w / 2, Y1: h / 2}},
			{ID: "47", Box: region.Box{X0: 0, Y0: 0, X1: w / 2, Y1: h / 2}},
			{ID: "58", Box: region.Box{X0: w - w/16, Y0: 0, X1: w + 50, Y1: h / 16}},
			{ID: "62", Mask: ring},
		}
		m := Regions(image.NewRGBA(image.Rect(0, 0, c.w, c.h)), rs, nil)
		if m.Bounds().Dx() != c.w*c.zoom || m.Bounds().Dy() != c.h*c.zoom {
			t.Errorf("%s: drawn on %v, want %d times the size", name, m.Bounds(), c.zoom)
		}
		var all []image.Rectangle
		for _, r := range rs {
			at := written(m, r.ID, c.letter)
			if len(at) != 1 {
				t.Errorf("%s: the number %s stands at %v", name, r.ID, at)
				continue
			}
			b := r.Bounds()
			z := float64(c.zoom)
			box := image.Rect(int(b.X0*z), int(b.Y0*z), int(b.X1*z), int(b.Y1*z))
			if !at[0].Inset(-4 * c.letter).Overlaps(box) {
				t.Errorf("%s: the number %s stands at %v, and its box is %v", name, r.ID, at[0], box)
			}
			for _, other := range all {
				if at[0].Overlaps(other) {
					t.Errorf("%s: the number %s stands on another", name, r.ID)
				}
			}
			all = append(all, at[0])
		}
		if len(all) < len(rs) {
			continue
		}
		middle := all[len(all)-1].Min.Add(all[len(all)-1].Size().Div(2)).Div(c.zoom)
		if c.h > 100 && !ring.Has(middle.Y, middle.X) {
			t.Errorf("%s: the number of the mask stands at %v, outside it", name, middle)
		}
		if fits := c.w > 8; fits != (len(written(m, "31 cell", c.letter)) == 1) {
			t.Errorf("%s: the label is written, where it fits in: want %v", name, fits)
		}
	}
}

// What a face cannot write is left out, and what is too long is cut; nothing fails.
func TestNumbersOfOddRegions(t *testing.T) {
	long := "a-name-that-is-much-longer-than-a-picture-is-wide-and-goes-on"
	rs := []region.Region{
		{ID: "7", Label: "\u0995\u09cb\u09b7", Box: region.Box{X1: 200, Y1: 60}},
		{ID: long, Box: region.Box{Y0: 60, X1: 200, Y1: 80}},
		{Label: "nameless", Box: region.Box{Y0: 90, X1: 150, Y1: 120}},
		{}, {ID: "8", Box: region.Box{X0: 1e300, Y0: -1e300, X1: 1e301, Y1: 1e300}},
	}
	m := Regions(image.NewRGBA(image.Rect(0, 0, 200, 120)), rs, nil)
	for _, text := range []string{"7", long[:28], "nameless"} {
		if at := written(m, text, 1); len(at) != 1 {
			t.Errorf("%q stands at %v", text, at)
		}
	}
	for _, size := range []image.Rectangle{image.Rect(0, 0, 1, 1), image.Rect(0, 0, 3000, 1), image.Rect(0, 0, 1, 9000)} {
		Regions(image.NewRGBA(size), rs, rs) // and does not panic
		Boxes(image.NewRGBA(size), rs)
		Mark(image.NewRGBA(size), rs, &rs[0])
	}
	if b := Regions(image.NewRGBA(image.Rect(0, 0, 1, 9000)), rs, nil).Bounds(); b.Dy() > 9000 {
		t.Errorf("a long picture is drawn on %v", b)
	}
}

func TestBoxesStayInThePicture(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 120, 120))
	Mark(m, []region.Region{{Label: "cat", Box: region.Box{X0: 16, Y0: 24, X1: 112, Y1: 116}},
		{ID: "9", Box: region.Box{X0: -50, Y0: 100, X1: 1e300, Y1: 1e300}}}, &region.Region{Box: region.Box{X0: 40, Y0: 50, X1: 60, Y1: 70}})
	for p, want := range map[image.Point]color.RGBA{{16, 80}: white, {111, 80}: white, {60, 115}: white, {40, 60}: Found, {60, 90}: {}} {
		if got := m.RGBAAt(p.X, p.Y); got != want {
			t.Errorf("the dot at %v is %v, want %v", p, got, want)
		}
	}
	little := image.NewRGBA(image.Rect(0, 0, 40, 40))
	Mark(little, []region.Region{{ID: "1", Box: region.Box{X1: 40, Y1: 40}}}, &region.Region{Box: region.Box{X0: 4, Y0: 5, X1: 6, Y1: 7}})
	for at, v := range little.Pix {
		if x, y := at/4%40, at/160; v != 0 && (x < 4 || x > 5 || y < 5 || y > 6) {
			t.Fatalf("the dot at %d, %d of a little picture is drawn on", x, y)
		}
	}
}
