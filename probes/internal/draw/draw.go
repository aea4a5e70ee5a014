// Package draw paints: heat maps, outlines of regions and their labels, over pictures.
package draw

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// stops are colours of matplotlib's viridis map at equal steps.
var stops = [][3]float64{{68, 1, 84}, {72, 40, 120}, {62, 74, 137}, {49, 104, 142}, {38, 130, 142},
	{31, 158, 137}, {53, 183, 121}, {109, 205, 89}, {180, 222, 44}, {253, 231, 37}}

// Viridis is the colour of a value from 0 to 1: dark blue to yellow, as matplotlib's
// map of that name to within a few levels. Others are cut, a NaN is 0.
func Viridis(v float64) color.RGBA {
	if !(v > 0) {
		v = 0
	}
	at := math.Min(v, 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	f := at - float64(i)
	mix := func(k int) uint8 { return uint8(math.Round(stops[i][k]*(1-f) + stops[i+1][k]*f)) }
	return color.RGBA{mix(0), mix(1), mix(2), 255}
}

// Heat is a number for each pixel of a model's input, row by row, NaN where there is
// none. The darkest colour stands for From, the brightest for To; what is beyond has the
// colour of its end.
type Heat struct {
	H, W     int
	Values   []float64
	From, To float64
}

// opacity is how much of a heat map covers the picture.
const opacity = 0.6

// Overlay is a picture with a heat map over the part of it that the input shows, in
// the colours of its scale; where it has no number and elsewhere the picture is as it was.
func Overlay(m image.Image, h *Heat, g picture.Geometry) *image.RGBA {
	b, out := m.Bounds(), rgba(m)
	for y := range b.Dy() {
		for x := range b.Dx() {
			ix, iy := g.ToInput(float64(x)+0.5, float64(y)+0.5)
			if ix < 0 || iy < 0 || ix >= float64(h.W) || iy >= float64(h.H) {
				continue
			}
			v := h.Values[int(iy)*h.W+int(ix)]
			if math.IsNaN(v) {
				continue
			}
			c, p := Viridis((v-h.From)/(h.To-h.From)), out.RGBAAt(x, y)
			mix := func(a, b uint8) uint8 { return uint8(math.Round(opacity*float64(a) + (1-opacity)*float64(b))) }
			out.SetRGBA(x, y, color.RGBA{mix(c.R, p.R), mix(c.G, p.G), mix(c.B, p.B), 255})
		}
	}
	return out
}

// rgba is a copy of a picture that can be drawn on.
func rgba(m image.Image) *image.RGBA {
	b := m.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), m, b.Min, draw.Src)
	return out
}

// Found and Truth are the colours of regions that were found and of true ones.
var Found, Truth = color.RGBA{230, 30, 160, 255}, color.RGBA{0, 200, 80, 255}

// Regions is a picture with regions on it: their outlines, which of a mask is its own and
// else the box's, magenta with the labels, or IDs where there are none; and below them, in green, those
// of the true regions, which may be nil.
func Regions(m image.Image, found, truth []region.Region) *image.RGBA {
	out := rgba(m)
	Outline(out, truth, Truth)
	Outline(out, found, Found)
	for _, r := range found {
		x0, y0, _, _ := pixels(r.Box, out.Bounds())
		caption(out, r, x0, y0)
	}
	return out
}

// Outline draws the outlines of regions: of a mask its own, else the box's.
func Outline(m *image.RGBA, rs []region.Region, c color.RGBA) {
	for _, r := range rs {
		if r.Mask == nil {
			Frame(m, r.Box, c)
			continue
		}
		r.Mask.Each(func(y, x int) {
			if !r.Mask.Has(y-1, x) || !r.Mask.Has(y+1, x) || !r.Mask.Has(y, x-1) || !r.Mask.Has(y, x+1) {
				m.SetRGBA(x, y, c)
			}
		})
	}
}

// Boxes draws the outlines of regions' boxes, and their labels, or IDs where they have
// none.
func Boxes(m *image.RGBA, rs []region.Region) {
	for _, r := range rs {
		Frame(m, r.Box, color.White)
		x0, y0, _, _ := pixels(r.Box, m.Bounds())
		caption(m, r, x0, y0)
	}
}

// pixels are the corners of a box within a picture.
func pixels(b region.Box, in image.Rectangle) (x0, y0, x1, y1 int) {
	at := func(v float64, most int) int { return int(math.Min(math.Max(v, 0), float64(most))) }
	return at(b.X0, in.Dx()-1), at(b.Y0, in.Dy()-1), at(math.Ceil(b.X1), in.Dx()), at(math.Ceil(b.Y1), in.Dy())
}

// Frame draws the edges of a box.
func Frame(m *image.RGBA, b region.Box, c color.Color) {
	x0, y0, x1, y1 := pixels(b, m.Bounds())
	for _, edge := range []image.Rectangle{image.Rect(x0, y0, x1, y0+1), image.Rect(x0, y1-1, x1, y1), image.Rect(x0,
		y0, x0+1, y1), image.Rect(x1-1, y0, x1, y1)} {
		draw.Draw(m, edge, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// caption writes the label of a region, or its ID where it has none, from a corner on, but
// not over a picture of so few pixels that it would hide it.
func caption(m *image.RGBA, r region.Region, x0, y0 int) {
	text := r.Label
	if text == "" {
		text = r.ID
	}
	f, b := basicfont.Face7x13, m.Bounds()
	if b.Dy() < 4*f.Height {
		return
	}
	back := image.Rect(x0, y0, min(x0+font.MeasureString(f, text).Ceil()+4, b.Dx()), min(y0+f.Height+1, b.Dy()))
	draw.Draw(m, back, image.NewUniform(color.RGBA{0, 0, 0, 160}), image.Point{}, draw.Over)
	d := font.Drawer{Dst: m, Src: image.NewUniform(color.White), Face: f, Dot: fixed.P(x0+2, y0+f.Ascent)}
	d.DrawString(text)
}
