package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"

	xdraw "golang.org/x/image/draw"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
)

// Grid holds a value for each of Height x Width positions, row by row from the top.
type Grid struct {
	Height, Width int
	Values        []float64
}

// HeatMap draws a grid, such as the local complexity at each position of a layer, and
// where there is a picture that it is of, lays it over that: the picture stays visible as
// grey. unit names what the scale beside it measures.
func HeatMap(stem, unit string, g Grid, picture image.Image) (*Figure, error) {
	const most = 1 << 10
	if g.Height < 1 || g.Width < 1 || len(g.Values) == 0 {
		return nil, noData(stem)
	}
	if g.Height > most || g.Width > most || len(g.Values) != g.Height*g.Width {
		return nil, fmt.Errorf("drawing the figure %s: %d values for a grid of %d x %d; want as many as positions, %d at the most on a side", stem, len(g.Values), g.Height, g.Width, most)
	}
	high := 0.0
	peak := 0
	for i, v := range g.Values {
		if !finite(v) || v < 0 {
			return nil, fmt.Errorf("drawing the figure %s: the value at row %d, column %d is %v; want a finite number, 0 or more", stem, i/g.Width, i%g.Width, v)
		}
		if v > high {
			high, peak = v, i
		}
	}
	const beside = 104 // the scale
	picked := vg.Length(figureWidth-16-beside) * vg.Length(g.Height) / vg.Length(g.Width)
	f := Figure{Name: stem, width: figureWidth, height: min(max(picked, 160), 500) + 10,
		Alt: fmt.Sprintf("Heat map of %s at %d x %d positions; the largest, %.4g, is at row %d, column %d.", unit, g.Height, g.Width, high, peak/g.Width, peak%g.Width)}
	scale := newPlot("", unit)
	scale.HideX()
	scale.Add(plotter.NewImage(scaleImage(), 0, 0, 1, math.Max(high, math.SmallestNonzeroFloat32)))
	scale.X.Min, scale.X.Max, scale.Y.Min, scale.Y.Max = 0, 1, 0, math.Max(high, math.SmallestNonzeroFloat32)
	heat := overlay(g, high, picture)
	f.draw = func(c vgdraw.Canvas) {
		c = margins(c)
		f.fit(c, heat, beside)
		drawScale(c, scale, beside)
	}
	return &f, nil
}

// fit draws the picture as large as the canvas allows, in its proportions.
func (f *Figure) fit(c vgdraw.Canvas, m image.Image, beside vg.Length) {
	wide, high := c.Max.X-c.Min.X-beside, c.Max.Y-c.Min.Y
	b := m.Bounds()
	k := min(wide/vg.Length(b.Dx()), high/vg.Length(b.Dy()))
	at := vg.Point{X: c.Min.X, Y: c.Max.Y - k*vg.Length(b.Dy())}
	c.DrawImage(vg.Rectangle{Min: at, Max: vg.Point{X: at.X + k*vg.Length(b.Dx()), Y: c.Max.Y}}, m)
}

func drawScale(c vgdraw.Canvas, p *plot.Plot, wide vg.Length) {
	c.Min.X = c.Max.X - wide + 12
	p.Draw(c)
}

func scaleImage() image.Image {
	const steps = 256
	m := image.NewNRGBA(image.Rect(0, 0, 1, steps))
	for i := range steps {
		m.SetNRGBA(0, i, quantity(1-float64(i)/(steps-1)))
	}
	return m
}

// overlay paints the grid, each position a whole number of dots, over the picture in
// grey where there is one.
func overlay(g Grid, high float64, picture image.Image) image.Image {
	dots := max(1, 256/max(g.Height, g.Width))
	m := image.NewNRGBA(image.Rect(0, 0, g.Width*dots, g.Height*dots))
	alpha := 1.0
	grey := image.NewGray(m.Bounds())
	if picture != nil && !picture.Bounds().Empty() {
		xdraw.NearestNeighbor.Scale(grey, grey.Bounds(), picture, picture.Bounds(), draw.Src, nil)
		alpha = 0.6
	}
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			share := 0.0
			if high > 0 {
				share = g.Values[y/dots*g.Width+x/dots] / high
			}
			c, under := quantity(share), float64(grey.GrayAt(x, y).Y)
			mix := func(v uint8) uint8 { return uint8(math.Round(alpha*float64(v) + (1-alpha)*under)) }
			m.SetNRGBA(x, y, color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 0xff})
		}
	}
	return m
}
