package report

import (
	"fmt"
	"image"
	"math"

	xdraw "golang.org/x/image/draw"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	regiondraw "github.com/onnxprobe/onnxprobe/probes/internal/draw"
)

// tile is a picture with a heat map over it, whose brightest place stands for Largest, a
// share; NaN where that is not known.
type tile struct {
	Title   string
	Picture image.Image
	Largest float64
}

// pictureKey is what colours stand for, and what the darkest and the brightest do.
type pictureKey struct{ unit, from, to string }

// ownScale is the key of pictures each of which has its own scale, from nothing on.
func ownScale(unit string) pictureKey { return pictureKey{unit, "none", "the picture's largest"} }

// pictures draws heat maps over pictures, three in a row, under a key, each above its range
// in words.
func pictures(stem string, key pictureKey, tiles []tile, span func(i int) string) (*Figure, error) {
	if len(tiles) == 0 {
		return nil, noData(stem)
	}
	const columns, gap, below, above = 3, 8, 38, 40
	const side = vg.Length(figureWidth-16-gap*(columns-1)) / columns
	alt := fmt.Sprintf("%d pictures under heat maps of %s.", len(tiles), key.unit)
	small := make([]image.Image, len(tiles))
	for i, t := range tiles {
		if t.Picture == nil || t.Picture.Bounds().Empty() {
			return nil, fmt.Errorf("drawing the figure %s: the picture %q is empty", stem, t.Title)
		}
		small[i] = sized(t.Picture)
		if i < 6 {
			alt += fmt.Sprintf(" %s: %s.", t.Title, span(i))
		}
	}
	rows := (len(tiles) + columns - 1) / columns
	f := Figure{Name: stem, Alt: alt, sheet: true, width: figureWidth, height: above + vg.Length(rows)*(side+below) + 16}
	f.draw = func(c draw.Canvas) {
		c = margins(c)
		key.draw(c)
		for i, t := range tiles {
			x := c.Min.X + vg.Length(i%columns)*(side+gap)
			top := c.Max.Y - above - vg.Length(i/columns)*(side+below)
			b := small[i].Bounds()
			k := min(side/vg.Length(b.Dx()), side/vg.Length(b.Dy()))
			w, h := k*vg.Length(b.Dx()), k*vg.Length(b.Dy())
			c.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: top - h}, Max: vg.Point{X: x + w, Y: top}}, small[i])
			s := style(10)
			s.YAlign = draw.YTop
			c.FillText(s, vg.Point{X: x, Y: top - h - 3}, tail(t.Title, 19))
			s.Color = muted
			c.FillText(s, vg.Point{X: x, Y: top - h - 16}, span(i))
		}
	}
	return &f, nil
}

// share is the largest share of a picture, in words.
func share(v float64) string {
	if !finite(v) {
		return "scale not known"
	}
	return fmt.Sprintf("up to %s %%", num(math.Round(1e4*v)/100))
}

// alone is a figure of nothing but the scale.
func (k pictureKey) alone() *Figure {
	f := Figure{Name: "key", Alt: fmt.Sprintf("Colors of %s, from %s to %s.", k.unit, k.from, k.to), width: figureWidth, height: 48}
	f.draw = func(c draw.Canvas) { k.draw(margins(c)) }
	return &f
}

// draw draws the scale above the pictures.
func (k pictureKey) draw(c draw.Canvas) {
	const wide, high, steps = 120, 10, 120
	bar := image.NewRGBA(image.Rect(0, 0, steps, 1))
	for i := range steps {
		bar.SetRGBA(i, 0, regiondraw.Viridis(float64(i)/(steps-1)))
	}
	s := style(smallSize)
	s.YAlign = draw.YTop
	c.FillText(s, vg.Point{X: c.Min.X, Y: c.Max.Y}, k.unit)
	s.YAlign = draw.YCenter
	y := c.Max.Y - 24
	c.FillText(s, vg.Point{X: c.Min.X, Y: y}, k.from)
	x := c.Min.X + s.Width(k.from) + 6
	c.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: y - high/2}, Max: vg.Point{X: x + wide, Y: y + high/2}}, bar)
	c.FillText(s, vg.Point{X: x + wide + 6, Y: y}, k.to)
}

// sized is m with 512 dots on its longer side at the most; of a small one each dot becomes
// a square of whole dots, which no viewer blurs.
func sized(m image.Image) image.Image {
	const most = 512
	b := m.Bounds()
	longest := max(b.Dx(), b.Dy())
	if times := most / 2 / longest; times > 1 {
		out := image.NewRGBA(image.Rect(0, 0, times*b.Dx(), times*b.Dy()))
		xdraw.NearestNeighbor.Scale(out, out.Bounds(), m, b, xdraw.Src, nil)
		return out
	}
	if longest <= most {
		return m
	}
	out := image.NewRGBA(image.Rect(0, 0, max(1, b.Dx()*most/longest), max(1, b.Dy()*most/longest)))
	xdraw.ApproxBiLinear.Scale(out, out.Bounds(), m, b, xdraw.Src, nil)
	return out
}
