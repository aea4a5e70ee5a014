package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/plotter"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// nearest shows how far items are from their nearest other ones, with the valley and the
// distance that was taken, where dedup found these.
func (r *shown) nearest(g *encoding.Groups) {
	if g.Nearest == nil || len(g.Nearest.Of) == 0 {
		return
	}
	caption := fmt.Sprintf("Bits in which an item's %s differs from the nearest other one.", alikeBy(g.Codes.On, nil).code)
	switch v := g.Valley; {
	case v != nil && v.High > v.Low:
		caption += fmt.Sprintf(" Most near copies differ in %d bits or fewer, most strangers in more than %d.", v.Low, v.High)
	case g.Radius > 0:
		caption += " Items up to the distance that was taken are in groups."
	}
	r.figure("Distances to the nearest other item", caption)(nearestFigure(g))
	if len(g.Around) == 0 {
		return
	}
	t := Table{Caption: "Groups at this and other distances", Head: []string{"distance", "groups", "items in them", "largest"}}
	for _, n := range g.Around {
		t.Rows = append(t.Rows, cells(n.Distance, n.Groups, n.Grouped, n.Largest))
	}
	r.Tables = append(r.Tables, t)
}

// nearestFigure draws the histogram, the valley as an area and the distance as a line.
func nearestFigure(g *encoding.Groups) (*Figure, error) {
	const stem = "nearest"
	width, counts := g.Nearest.Histogram(64)
	p := newPlot("distance to the nearest other item (bits)", "items")
	p.X.Tick.Marker, p.Y.Tick.Marker = linear{true}, linear{true}
	p.Add(grid(0.5, 0))
	at := func(bits int) float64 { return float64(bits) - 0.5 } // a bar is around its number
	highest := 0
	outline := plotter.XYs{{X: at(0), Y: 0}}
	for i, n := range counts {
		highest = max(highest, n)
		outline = append(outline, plotter.XY{X: at(i * width), Y: float64(n)}, plotter.XY{X: at((i + 1) * width), Y: float64(n)})
	}
	outline = append(outline, plotter.XY{X: at(len(counts) * width), Y: 0})
	top := 1.04 * float64(highest)
	bars, _ := plotter.NewLine(outline)
	bars.LineStyle, bars.FillColor = lineOf(0), fade(category(0), 48)
	l := legend{{fmt.Sprintf("items (%d)", len(g.Nearest.Of)), bars}}
	alt := fmt.Sprintf("Histogram of the distances of %d items to their nearest other ones, from %d to %d bits.",
		len(g.Nearest.Of), slices.Min(g.Nearest.Of), (len(counts))*width-1)
	if v := g.Valley; v != nil && v.High > v.Low {
		area, _ := plotter.NewLine(plotter.XYs{{X: at(v.Low + 1), Y: 0}, {X: at(v.Low + 1), Y: top}, {X: at(v.High + 1), Y: top}, {X: at(v.High + 1), Y: 0}})
		area.LineStyle, area.FillColor = lineOf(2), fade(category(2), 48)
		area.Width = 0
		p.Add(area)
		l = append(l, entry{fmt.Sprintf("the valley (%d to %d)", v.Low+1, v.High), area})
		alt += fmt.Sprintf(" The valley is from %d to %d bits.", v.Low+1, v.High)
	}
	p.Add(bars)
	if g.Radius > 0 || g.Valley != nil {
		line, _ := plotter.NewLine(plotter.XYs{{X: float64(g.Radius) + 0.5, Y: 0}, {X: float64(g.Radius) + 0.5, Y: top}})
		line.LineStyle = lineOf(1)
		p.Add(line)
		l = append(l, entry{fmt.Sprintf("the distance taken (%d)", g.Radius), line})
		alt += fmt.Sprintf(" The distance taken is %d bits.", g.Radius)
	}
	p.Y.Min, p.Y.Max = 0, top
	return single(Figure{Name: stem, Alt: alt}, p, l), nil
}

// moved shows by site how the codes differ from those by another network.
func moved(r *shown, sites []encoding.Evaluation) {
	t := Table{Caption: "Churn by site", Head: []string{"site", "items", "moved", "share", "bits that changed, mean", "of all"}}
	bars := barSeries{Name: "share of items that moved"}
	var names []string
	for _, s := range sites {
		x := s.Churn
		if x == nil {
			continue
		}
		share := float64(x.Moved) / float64(max(x.Items, 1))
		row := cells(s.Name, x.Items, x.Moved, fmt.Sprintf("%.4f", share), "", "")
		if x.Mean != nil {
			copy(row[4:], cells(fmt.Sprintf("%.1f", *x.Mean), fmt.Sprintf("%.4f", *x.Fraction)))
		}
		t.Rows = append(t.Rows, row)
		names, bars.Values = append(names, s.Name), append(bars.Values, share)
	}
	if names == nil {
		return
	}
	r.Tables = append(r.Tables, t)
	r.figure("Churn by site", "Share of the items whose code of the site differs between the two networks.")(
		barChart("churn", "share of items that moved", names, bars))
}
