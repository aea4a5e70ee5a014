package picture

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// torchvision's own sizes and offsets; testdata/export/geometry.py wrote them.
func TestGeometryIsTorchvisions(t *testing.T) {
	data, err := os.ReadFile("../../../testdata/golden/geometry.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	size := func(v any) (s Size, one bool) {
		switch v := v.(type) {
		case float64:
			return Size{int(v), int(v)}, true
		case []any:
			return Size{int(v[0].(float64)), int(v[1].(float64))}, false
		}
		return Size{}, false
	}
	for _, r := range rows {
		n := func(i int) int { return int(r[i].(float64)) }
		var p Preprocess
		if s, shorter := size(r[2]); shorter {
			p.Resize = Resize{Mode: Shorter, Size: s}
		} else if s != (Size{}) {
			p.Resize = Resize{Mode: Exact, Size: s}
		}
		p.Crop, _ = size(r[3])
		got, err := p.Geometry(n(0), n(1))
		want := Geometry{Size{n(1), n(0)}, Size{n(5), n(4)}, n(6), n(7), Size{n(9), n(8)}}
		if err != nil || got != want {
			t.Errorf("%v: got %+v, %v, want %+v", r[:4], got, err, want)
		}
	}
}

// Hugging Face rounds an odd crop offset down, also in the border.
func TestGeometryRoundsDown(t *testing.T) {
	for _, c := range []struct{ in, crop, want int }{{7, 4, 1}, {9, 4, 2}, {4, 7, -2}, {4, 9, -3}} {
		g, err := Preprocess{Crop: Size{c.crop, c.crop}, Floor: true}.Geometry(c.in, c.in)
		if err != nil || g.X != c.want || g.Y != c.want {
			t.Errorf("%d to %d: %+v, %v", c.in, c.crop, g, err)
		}
	}
}

// The nearest filter takes the pixel that a cell's centre lies in, and the border has
// none: the mapping of coordinates is that of the pixels.
func TestGeometryOfPixels(t *testing.T) {
	for _, c := range []struct {
		p    Preprocess
		w, h int
	}{
		{Preprocess{Resize: Resize{Mode: Shorter, Size: Size{5, 5}}, Crop: Size{4, 4}}, 13, 9},
		{Preprocess{Resize: Resize{Mode: Shorter, Size: Size{16, 16}}, Crop: Size{15, 18}}, 9, 11},
		{Preprocess{Resize: Resize{Mode: Fit, Size: Size{12, 8}}, Crop: Size{12, 8}}, 7, 5},
		{Preprocess{Resize: Resize{Mode: Cover, Size: Size{12, 8}}, Crop: Size{12, 8}}, 7, 15},
		{Preprocess{Crop: Size{4, 9}}, 6, 6},
	} {
		c.p.Interpolation, c.p.Fill = Nearest, []int{255}
		m := New(c.w, c.h, 1)
		for i := range m.Pix {
			m.Pix[i] = uint8(i)
		}
		out, err := c.p.scene(m, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		g, err := c.p.Geometry(c.w, c.h)
		if err != nil {
			t.Fatal(err)
		}
		if g.Input != (Size{out.H, out.W}) {
			t.Errorf("%+v: input %s, want %dx%d", c.p, g.Input, out.H, out.W)
		}
		x0, y0, x1, y1 := g.Seen()
		for y := range out.H {
			for x := range out.W {
				px, py := g.ToPicture(float64(x)+0.5, float64(y)+0.5)
				want := uint8(255)
				if px >= 0 && py >= 0 && px < float64(c.w) && py < float64(c.h) {
					want = uint8(int(py)*c.w + int(px))
				}
				if got := out.Pix[y*out.W+x]; got != want {
					t.Errorf("%+v at %d,%d: pixel %d, want %d", c.p, x, y, got, want)
				}
				if seen := px >= x0 && py >= y0 && px < x1 && py < y1; seen != (want != 255) {
					t.Errorf("%+v at %d,%d: seen %v", c.p, x, y, seen)
				}
				if bx, by := g.ToInput(px, py); bx-float64(x) < 0.49 || bx-float64(x) > 0.51 || by-float64(y) < 0.49 || by-float64(y) > 0.51 {
					t.Errorf("%+v at %d,%d: there and back is %v,%v", c.p, x, y, bx, by)
				}
			}
		}
	}
}

func TestGeometryRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		p    Preprocess
		w, h int
	}{
		"want edges of 1": {Preprocess{}, 0, 4},
		"to 0 x":          {Preprocess{Resize: Resize{Mode: Fit, Size: Size{4, 4}}}, 1, 1000},
	} {
		if _, err := c.p.Geometry(c.w, c.h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d x %d: got %v, want %q", c.w, c.h, err, want)
		}
	}
}

// So it is for the sizes and pads of transformers' classes.
func TestGeometryOfProcessors(t *testing.T) {
	for mode := range sizings {
		for _, pad := range []Pad{{}, {Mode: PadZero, Multiple: 7, Center: true}, {Mode: PadZero, Size: Size{60, 70}},
			{Mode: PadBlack, Size: Size{61, 71}, Center: true}, {Mode: PadMirror, Multiple: 8}} {
			for _, crop := range []Size{{}, {11, 13}} {
				if crop != (Size{}) && pad != (Pad{}) {
					continue
				}
				p := Preprocess{Resize: Resize{Mode: mode, Size: Size{18, 18}, Least: 4, Most: 24, Multiple: 5}, Interpolation: Nearest,
					Crop: crop, Pad: pad, Channels: 1, Scale: 1, Cut: pad.Center}
				if mode == emu3 {
					p.Resize.Least, p.Resize.Most = 100, 600
				}
				for _, s := range []Size{{9, 14}, {15, 11}, {16, 16}} {
					agrees(t, p, s)
				}
			}
		}
	}
}

// agrees compares what is rendered of a picture, whose pixels are all unlike, with its geometry.
func agrees(t *testing.T, p Preprocess, s Size) {
	t.Helper()
	m := New(s.W, s.H, 1)
	for i := range m.Pix {
		m.Pix[i] = uint8(i%255) + 1
	}
	g, err := p.Geometry(s.W, s.H)
	if err != nil {
		t.Fatalf("%+v of %s: %v", p, s, err)
	}
	r, err := NewRenderer(RenderOptions{Preprocess: &p}, 1, func() (int, int, error) { return s.W, s.H, nil })
	if err != nil {
		t.Fatalf("%+v of %s: %v", p, s, err)
	}
	if g.Input != (Size{r.H, r.W}) {
		t.Fatalf("%+v of %s: the geometry has %s, a sample %dx%d", p, s, g.Input, r.H, r.W)
	}
	got := make([]float32, r.H*r.W)
	if err := r.Render(m, got); err != nil {
		t.Fatalf("%+v of %s: %v", p, s, err)
	}
	for i, v := range got {
		px, py := g.ToPicture(float64(i%r.W)+0.5, float64(i/r.W)+0.5)
		if edge := func(v float64) bool { return math.Abs(v-math.Round(v)) < 1e-9 }; edge(px) || edge(py) {
			continue // rounding decides
		}
		inside := px >= 0 && py >= 0 && px < float64(s.W) && py < float64(s.H)
		if want := float32(0); inside {
			want = float32(m.Pix[int(py)*s.W+int(px)])
			if v != want {
				t.Fatalf("%+v of %s: value %d is %v, want %v", p, s, i, v, want)
			}
		} else if v != want && p.Pad.Mode != PadMirror {
			t.Fatalf("%+v of %s: value %d is %v, want none", p, s, i, v)
		}
	}
}

func TestMirrored(t *testing.T) {
	m := (&Picture{W: 2, H: 2, C: 1, Pix: []uint8{1, 2, 3, 4}}).mirrored(5, 3)
	want := []uint8{1, 2, 2, 1, 1, 3, 4, 4, 3, 3, 3, 4, 4, 3, 3}
	if string(m.Pix) != string(want) {
		t.Errorf("got %v, want %v", m.Pix, want)
	}
}
