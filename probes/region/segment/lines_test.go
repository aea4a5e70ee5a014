package segment

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/score"
)

// page is a page of lines of strokes that look like text, with the ink of each line.
type page struct {
	*image.Gray
	rnd   *rand.Rand
	skew  float64
	truth []*region.Mask
	boxes []region.Box
}

func newPage(t *testing.T, w, h int, skew float64, seed uint64) *page {
	t.Helper()
	p := &page{Gray: image.NewGray(image.Rect(0, 0, w, h)), rnd: rand.New(rand.NewPCG(seed, 1)), skew: skew * math.Pi / 180}
	for i := range p.Pix {
		p.Pix[i] = uint8(225 + p.rnd.IntN(20))
	}
	return p
}

// dot puts ink of a pen of radius r at a place of the level page.
func (p *page) dot(x, y, r float64, line int) {
	b := p.Bounds()
	cx, cy := float64(b.Dx())/2, float64(b.Dy())/2
	sin, cos := math.Sincos(p.skew)
	u, v := cx+(x-cx)*cos-(y-cy)*sin, cy+(x-cx)*sin+(y-cy)*cos
	for py := int(v - r); py <= int(v+r+1); py++ {
		for px := int(u - r); px <= int(u+r+1); px++ {
			if math.Hypot(float64(px)-u, float64(py)-v) > r || !(image.Point{X: px, Y: py}).In(b) {
				continue
			}
			p.SetGray(px, py, color.Gray{Y: uint8(20 + p.rnd.IntN(40))})
			if line >= 0 {
				p.truth[line].Set(py, px)
				e := &p.boxes[line]
				*e = region.Box{X0: min(e.X0, float64(px)), Y0: min(e.Y0, float64(py)), X1: max(e.X1, float64(px+1)), Y1: max(e.Y1, float64(py+1))}
			}
		}
	}
}

func (p *page) stroke(x0, y0, x1, y1 float64, line int) {
	n := int(math.Hypot(x1-x0, y1-y0)*2) + 1
	for k := range n + 1 {
		t := float64(k) / float64(n)
		p.dot(x0+t*(x1-x0), y0+t*(y1-y0), 1.3, line)
	}
}

// write fills the page with lines of letters 24 high; bend is by how much a line sags
// in its middle.
func (p *page) write(t *testing.T, pitch, bend float64) {
	t.Helper()
	w, h := float64(p.Bounds().Dx()), float64(p.Bounds().Dy())
	for y := 110.0; y < h-100; y += pitch {
		m, err := region.NewMask(int(h), int(w))
		if err != nil {
			t.Fatal(err)
		}
		line := len(p.truth)
		p.truth = append(p.truth, m)
		p.boxes = append(p.boxes, region.Box{X0: w, Y0: h})
		end := w - 90
		if line%4 == 3 {
			end = w * 0.55
		}
		for x := 90.0; x < end; {
			for k := 2 + p.rnd.IntN(6); k > 0 && x < end; k-- {
				x += p.letter(x, y+bend*math.Sin(math.Pi*x/w), line) + 5
			}
			x += 22
		}
	}
}

// letter draws strokes above a base line and returns their width.
func (p *page) letter(x, y float64, line int) float64 {
	wide := 12 + p.rnd.Float64()*8
	top := y - 24
	switch p.rnd.IntN(6) {
	case 0: // an ascender
		top -= 9
	case 1: // a descender
		p.stroke(x+wide, top, x+wide, y+9, line)
	case 2: // a dot above
		p.dot(x+wide/2, top-7, 2.2, line)
	}
	p.stroke(x, top, x, y, line)
	p.stroke(x, y-p.rnd.Float64()*20, x+wide, y-p.rnd.Float64()*20, line)
	p.stroke(x+wide*p.rnd.Float64(), y, x+wide, y-20, line)
	p.stroke(x, y, x+wide, y, line)
	return wide
}

// specks is noise of single dark pixels.
func (p *page) specks(n int) {
	b := p.Bounds()
	for range n {
		p.SetGray(p.rnd.IntN(b.Dx()), p.rnd.IntN(b.Dy()), color.Gray{Y: 10})
	}
}

// judge compares lines by their boxes and by their ink.
func (p *page) judge(t *testing.T, o LineOptions) (boxes, ink score.Detection) {
	t.Helper()
	found, err := Lines(p, o)
	if err != nil {
		t.Fatal(err)
	}
	boxes = score.Detect(len(p.boxes), len(found), 0.75, func(i, j int) float64 { return score.BoxIoU(p.boxes[i], found[j].Box) })
	all := inkOf(p)
	ink = score.Detect(len(p.boxes), len(found), 0.9, func(i, j int) float64 {
		shared, either := 0, 0
		if score.BoxIoU(p.boxes[i], found[j].Box) < 0.2 {
			return 0
		}
		for y := range all.h {
			for x := range all.w {
				if a, b := p.truth[i].Has(y, x), all.on[y*all.w+x] && found[j].Mask.Has(y, x); a && b {
					shared++
					either++
				} else if a || b {
					either++
				}
			}
		}
		return float64(shared) / float64(max(either, 1))
	})
	return boxes, ink
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name        string
		skew, bend  float64
		pitch       float64
		specks      int
		rules, ring bool
		dark        bool
	}{
		{name: "level", pitch: 60},
		{name: "turned right", pitch: 60, skew: 5},
		{name: "turned left", pitch: 60, skew: -5},
		{name: "curved", pitch: 60, bend: 25},
		{name: "curved and turned", pitch: 60, bend: 15, skew: 2.5},
		{name: "noise", pitch: 60, skew: -3, specks: 1500},
		{name: "close", pitch: 46, skew: 1},
		{name: "ruled, with a punched hole", pitch: 60, skew: 2, rules: true, ring: true},
		{name: "light on dark", pitch: 60, skew: -1, dark: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPage(t, 900, 800, c.skew, 7)
			p.write(t, c.pitch, c.bend)
			p.specks(c.specks)
			if c.rules {
				for y := 123.0; y < 720; y += c.pitch {
					p.stroke(40, y, 860, y, -1)
				}
			}
			if c.ring {
				for a := 0.0; a < 2*math.Pi; a += 0.01 {
					p.dot(45+30*math.Cos(a), 400+30*math.Sin(a), 1.5, -1)
				}
			}
			if c.dark {
				for i, v := range p.Pix {
					p.Pix[i] = 255 - v
				}
			}
			boxes, ink := p.judge(t, LineOptions{})
			t.Logf("%d lines: FM %.3f by boxes, %.3f by ink", boxes.Truth, boxes.FM(), ink.FM())
			if boxes.FM() < 0.95 || ink.FM() < 0.95 {
				t.Errorf("FM is %.3f by boxes and %.3f by ink, want 0.95 of both (%+v, %+v)", boxes.FM(), ink.FM(), boxes, ink)
			}
		})
	}
}

func TestLinesOfPagesWithoutText(t *testing.T) {
	blank := newPage(t, 200, 100, 0, 1)
	for i := range blank.Pix {
		blank.Pix[i] = 255
	}
	if got, err := Lines(blank, LineOptions{}); err != nil || len(got) != 0 {
		t.Errorf("a blank page has %d lines (%v), want none", len(got), err)
	}
	if _, err := Lines(image.NewGray(image.Rect(0, 0, 0, 5)), LineOptions{}); err == nil {
		t.Error("an empty page was taken")
	}
	if _, err := Lines(blank, LineOptions{MaxSkew: 80}); err == nil {
		t.Error("a skew of 80 degrees was taken")
	}
}

func TestSkew(t *testing.T) {
	for _, want := range []float64{-5, -2, 0, 1.5, 5} {
		p := newPage(t, 800, 500, want, 3)
		p.write(t, 60, 0)
		if got := inkOf(p).hough(10).skew() * 180 / math.Pi; math.Abs(got-want) > 0.3 {
			t.Errorf("the skew is %.2f degrees, want %.2f", got, want)
		}
	}
}

func TestOtsu(t *testing.T) {
	var two, one [256]int
	two[10], two[12], two[200] = 5, 7, 20
	one[90] = 9
	if got := otsu(two); got != 12 {
		t.Errorf("the threshold is %d, want 12", got)
	}
	if got := otsu(one); got != -1 {
		t.Errorf("the threshold of one grey is %d, want -1", got)
	}
}

// Two groups on a line at 0, 1, 2 and 10, 11: hand-worked.
func TestOPTICS(t *testing.T) {
	at := []float64{0, 10, 1, 11, 2}
	order, reach := optics(len(at), 2, func(i int, use func(int, float64)) {
		for j := range at {
			if d := math.Abs(at[i] - at[j]); j != i && d <= 20 {
				use(j, d)
			}
		}
	})
	if fmt.Sprint(order) != "[0 2 4 1 3]" || reach[1] != 8 || reach[3] != 1 || reach[4] != 1 || !math.IsInf(reach[0], 1) {
		t.Errorf("the order is %v with reachabilities %v", order, reach)
	}
	if got := fmt.Sprint(clusters(order, reach, 5)); got != "[[0 2 4] [1 3]]" {
		t.Errorf("the clusters are %s", got)
	}
}
