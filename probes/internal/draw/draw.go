// Package draw paints: heat maps, outlines of regions and their labels, over pictures.
package draw

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
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
