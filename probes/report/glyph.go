package report

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// shape is a filled mark: the corners of a polygon, for a radius of 1.
type shape [][2]float64

// DrawGlyph draws the mark.
func (s shape) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var p vg.Path
	for i, corner := range s {
		to := vg.Point{X: at.X + style.Radius*vg.Length(corner[0]), Y: at.Y + style.Radius*vg.Length(corner[1])}
		if i == 0 {
			p.Move(to)
		} else {
			p.Line(to)
		}
	}
	p.Close()
	c.SetColor(style.Color)
	c.Fill(p)
}

// glyphs have about the same area, and as many as share no divisor with the number of
// colours: each group gets another pair of both.
var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{},
	shape{{0, 1.3}, {1.15, -0.75}, {-1.15, -0.75}},
	shape{{0.9, 0.9}, {0.9, -0.9}, {-0.9, -0.9}, {-0.9, 0.9}},
	shape{{0, 1.35}, {1.05, 0}, {0, -1.35}, {-1.05, 0}},
	shape{{0, -1.3}, {1.15, 0.75}, {-1.15, 0.75}},
	shape{{0.4, 1.2}, {0.4, 0.4}, {1.2, 0.4}, {1.2, -0.4}, {0.4, -0.4}, {0.4, -1.2}, {-0.4, -1.2}, {-0.4, -0.4},
		{-1.2, -0.4}, {-1.2, 0.4}, {-0.4, 0.4}, {-0.4, 1.2}},
}

func glyphOf(i int, radius vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Color: category(i), Radius: radius, Shape: glyphs[i%len(glyphs)]}
}
