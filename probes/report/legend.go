package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// entry is one line of a legend.
type entry struct {
	name  string
	thumb plot.Thumbnailer
}

// legend is a strip above the data, which it can never cover.
type legend []entry

// unlessOne is the legend where there are things to tell apart, else none.
func (l legend) unlessOne() legend {
	if len(l) == 1 {
		return nil
	}
	return l
}

const (
	thumbWidth = 22
	rowHeight  = 16
	entryGap   = 14
)

// rows breaks the entries to lines of a width; it returns where each starts.
func (l legend) rows(width vg.Length) (x []vg.Length, row []int, rows int) {
	at, r := vg.Length(0), 0
	for _, e := range l {
		w := thumbWidth + 5 + style(smallSize).Width(e.name)
		if at > 0 && at+w > width {
			at, r = 0, r+1
		}
		x, row = append(x, at), append(row, r)
		at += w + entryGap
	}
	return x, row, r + 1
}

// height is that of the strip.
func (l legend) height(width vg.Length) vg.Length {
	if len(l) == 0 {
		return 0
	}
	_, _, rows := l.rows(width)
	return vg.Length(rows)*rowHeight + 6
}

// over draws the strip and returns what is left of the canvas below it.
func (l legend) over(c draw.Canvas) draw.Canvas {
	width := c.Max.X - c.Min.X
	x, row, _ := l.rows(width)
	s := style(smallSize)
	s.YAlign = draw.YCenter
	for i, e := range l {
		y := c.Max.Y - (vg.Length(row[i])+0.5)*rowHeight
		box := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: c.Min.X + x[i], Y: y - 5},
			Max: vg.Point{X: c.Min.X + x[i] + thumbWidth, Y: y + 5},
		}}
		e.thumb.Thumbnail(&box)
		c.FillText(s, vg.Point{X: box.Max.X + 5, Y: y}, e.name)
	}
	return draw.Crop(c, 0, 0, 0, -l.height(width))
}

// alone is a figure of nothing but the legend.
func (l legend) alone() *Figure {
	f := Figure{Name: "legend", Alt: "Legend:", width: figureWidth}
	f.height = l.height(f.width-16) + 6
	for _, e := range l {
		f.Alt += " " + e.name + "."
	}
	f.draw = func(c draw.Canvas) { l.over(draw.Crop(c, 6, -10, 0, -6)) }
	return &f
}

// margins keeps what is drawn off the edge.
func margins(c draw.Canvas) draw.Canvas { return draw.Crop(c, 6, -10, 4, -6) }

// single is a figure of one plot below its legend.
func single(f Figure, p *plot.Plot, l legend) *Figure {
	f.width = figureWidth
	if f.height == 0 {
		f.height = 280
	}
	f.height += l.height(f.width - 16)
	f.draw = func(c draw.Canvas) { _ = paint(p, l.over(margins(c))) }
	return &f
}
