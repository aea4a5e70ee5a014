// Package draw lays heat maps, boxes and labels over pictures.
package draw

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// stops are colours of matplotlib's viridis map at equal steps.
var stops = [][3]float64{{68, 1, 84}, {72, 40, 120}, {62, 74, 137}, {49, 104, 142}, {38, 130, 142}, {31, 158, 137}, {53, 183, 121}, {109, 205, 89}, {180, 222, 44}, {253, 231, 37}}

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

// Heat is a number for each pixel of a model's input, row by row.
type Heat struct {
	H, W   int
	Values []float64
}

// opacity is how much of a heat map covers the picture.
const opacity = 0.6

// Overlay is a picture with a heat map over the part of it that the input shows, its
// largest value being the brightest; the rest is as it was.
func Overlay(m image.Image, h *Heat, g dataset.Geometry) *image.RGBA {
	b := m.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), m, b.Min, draw.Src)
	top := 0.0
	for _, v := range h.Values {
		top = math.Max(top, v)
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			ix, iy := g.ToInput(float64(x)+0.5, float64(y)+0.5)
			if ix < 0 || iy < 0 || ix >= float64(h.W) || iy >= float64(h.H) {
				continue
			}
			v := h.Values[int(iy)*h.W+int(ix)]
			if top > 0 {
				v /= top
			}
			c, p := Viridis(v), out.RGBAAt(x, y)
			mix := func(a, b uint8) uint8 { return uint8(math.Round(opacity*float64(a) + (1-opacity)*float64(b))) }
			out.SetRGBA(x, y, color.RGBA{mix(c.R, p.R), mix(c.G, p.G), mix(c.B, p.B), 255})
		}
	}
	return out
}

// Boxes draws the outlines of regions' boxes, and their labels, or IDs where they have
// none.
func Boxes(m *image.RGBA, rs []region.Region) {
	white := image.NewUniform(color.White)
	b := m.Bounds()
	at := func(v float64, most int) int { return int(math.Min(math.Max(v, 0), float64(most))) }
	for _, r := range rs {
		x0, y0, x1, y1 := at(r.Box.X0, b.Dx()-1), at(r.Box.Y0, b.Dy()-1), at(math.Ceil(r.Box.X1), b.Dx()), at(math.Ceil(r.Box.Y1), b.Dy())
		for _, edge := range []image.Rectangle{image.Rect(x0, y0, x1, y0+1), image.Rect(x0, y1-1, x1, y1), image.Rect(x0, y0, x0+1, y1), image.Rect(x1-1, y0, x1, y1)} {
			draw.Draw(m, edge, white, image.Point{}, draw.Src)
		}
		name := r.Label
		if name == "" {
			name = r.ID
		}
		f := basicfont.Face7x13
		back := image.Rect(x0, y0, min(x0+font.MeasureString(f, name).Ceil()+4, b.Dx()), min(y0+f.Height+1, b.Dy()))
		draw.Draw(m, back, image.NewUniform(color.RGBA{0, 0, 0, 160}), image.Point{}, draw.Over)
		d := font.Drawer{Dst: m, Src: white, Face: f, Dot: fixed.P(x0+2, y0+f.Ascent)}
		d.DrawString(name)
	}
}
