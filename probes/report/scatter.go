package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// marked is a place in the plane with the group it belongs to, such as a label or a
// regime.
type marked struct {
	X, Y  float64
	Group string
	// Behind is the item's picture; nil for none.
	Behind *encoding.Picture
}

// placeMap draws places without units, such as codes laid out by their distances, to one
// scale on both axes. Groups come in the order of their first place.
func placeMap(stem string, points []marked) (*Figure, error) {
	return scatter(stem, axisTitles{X: "coordinate 1 (no unit)", Y: "coordinate 2 (no unit)"}, false, points, 3, true)
}

// phaseChart draws the regime at each place over two quantities, such as model size and
// training time; see "Neural networks behave as hash encoders". logY spaces the y axis as
// axisTitles.LogX does the x axis. Groups are the regimes.
func phaseChart(stem string, a axisTitles, logY bool, points []marked) (*Figure, error) {
	return scatter(stem, a, logY, points, 5, false)
}

const maxGroups = 42 // that colours and shapes tell apart

func scatter(stem string, a axisTitles, logY bool, points []marked, radius vg.Length, square bool) (*Figure, error) {
	if len(points) == 0 {
		return nil, noData(stem)
	}
	p := newPlot(a.X, a.Y)
	var order []string
	groups := map[string]plotter.XYs{}
	for _, m := range points {
		if !finite(m.X) || !finite(m.Y) {
			return nil, refuse(stem, fmt.Sprintf("the place of an item of %q", m.Group), m.X+m.Y)
		}
		if a.LogX && m.X < 0 || logY && m.Y < 0 {
			return nil, fmt.Errorf("drawing the figure %s: a place at (%v, %v), and a logarithmic axis begins at 0", stem, m.X, m.Y)
		}
		if _, ok := groups[m.Group]; !ok {
			order = append(order, m.Group)
		}
		groups[m.Group] = append(groups[m.Group], plotter.XY{X: m.X, Y: m.Y})
	}
	if len(order) > maxGroups {
		const others = "others"
		var all plotter.XYs
		for _, g := range order[maxGroups-1:] {
			all = append(all, groups[g]...)
		}
		order, groups[others] = append(order[:maxGroups-1:maxGroups-1], others), all
	}
	var l legend
	alt := fmt.Sprintf("Scatter chart of %d places, %s across and %s up, in %d groups:", len(points), a.X, a.Y, len(order))
	for i, g := range order {
		s, err := plotter.NewScatter(groups[g])
		if err != nil {
			return nil, fmt.Errorf("drawing the figure %s: %w", stem, err)
		}
		s.GlyphStyle = glyphOf(i, radius)
		p.Add(s)
		thumb := *s
		thumb.Radius = max(radius, 4)
		l = append(l, entry{name(g, 30), &thumb})
		if i < 12 {
			alt += fmt.Sprintf(" %s (%d)", g, len(groups[g]))
		}
	}
	f := Figure{Name: stem, Alt: alt}
	if square {
		f.height = 400
		return squared(f, p, l, points), nil
	}
	if a.LogX {
		logarithmic(&p.X, p.X.Min, p.X.Max)
	}
	if logY {
		logarithmic(&p.Y, p.Y.Min, p.Y.Max)
	}
	return single(f, p, l), nil
}

// squared is a figure of one plot whose axes have one scale.
func squared(f Figure, p *plot.Plot, l legend, points []marked) *Figure {
	xmin, xmax, ymin, ymax := p.X.Min, p.X.Max, p.Y.Min, p.Y.Max
	out := single(f, p, l)
	out.draw = func(c draw.Canvas) {
		c = l.over(margins(c))
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xmin, xmax, ymin, ymax
		var at draw.Canvas
		untitled(p, c, func(c draw.Canvas) { at = p.DataCanvas(c) })
		wide, high := float64(at.Max.X-at.Min.X), float64(at.Max.Y-at.Min.Y)
		scale := math.Max((xmax-xmin)/wide, (ymax-ymin)/high)
		dx, dy := (scale*wide-(xmax-xmin))/2, (scale*high-(ymax-ymin))/2
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xmin-dx, xmax+dx, ymin-dy, ymax+dy
		at = paint(p, c)
		x, y := p.Transforms(&at)
		out.spots = nil
		for _, m := range points {
			if m.Behind != nil {
				out.spots = append(out.spots, spot{x(m.X), out.height - y(m.Y), *m.Behind})
			}
		}
	}
	return out
}
