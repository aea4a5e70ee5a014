package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curvePoint is a value at a position of the x axis, with the band from Low to High around
// it; Low and High equal to Y are no band.
type curvePoint struct{ X, Y, Low, High float64 }

// lineSeries is a curve.
type lineSeries struct {
	Name   string
	Points []curvePoint
}

// panel is one of several charts that share their axes, such as one for each site.
type panel struct {
	Title  string
	Series []lineSeries
}

// axisTitles are the titles of the axes, with units. LogX spaces x by its logarithm, or by
// that of 1 + x where some x is 0, as the first step of training is.
type axisTitles struct {
	X, Y string
	LogX bool
}

// curveChart draws series over one x axis, with their bands. name is the stem of the
// figure's files. Empty series, and values that are no finite numbers, are errors.
func curveChart(name string, a axisTitles, series ...lineSeries) (*Figure, error) {
	return panelChart(name, a, panel{Series: series})
}

// panelChart draws a chart for each panel, two in a row, all with the same axes. A series has
// the same colour, dashes and marks in all of them.
func panelChart(stem string, a axisTitles, panels ...panel) (*Figure, error) {
	if len(panels) == 0 || len(panels) > maxPanels {
		return nil, fmt.Errorf("drawing the figure %s: %d panels; want 1 to %d: %w", stem, len(panels), maxPanels, ErrNoData)
	}
	c, err := newChart(stem, a, panels)
	if err != nil {
		return nil, err
	}
	var plots []*plot.Plot
	for _, p := range panels {
		plots = append(plots, c.plot(p))
	}
	f := Figure{Name: stem, Alt: c.alt(panels)}
	if len(plots) == 1 {
		return single(f, plots[0], c.legend), nil
	}
	out := tiled(f, plots, c.legend)
	if c.legend != nil {
		out.key = c.legend.alone()
	}
	for i, p := range panels {
		out.panels = append(out.panels, single(Figure{Name: stem, Alt: c.alt(panels[i : i+1]), height: panelHeight}, c.plot(p), nil))
	}
	return out, nil
}

const (
	maxPanels   = 200
	panelHeight = 190
)

// tiled is a figure of several plots with the same axes, two in a row.
func tiled(f Figure, plots []*plot.Plot, l legend) *Figure {
	const columns = 2
	rows := (len(plots) + columns - 1) / columns
	f.width = 640
	f.height = vg.Length(rows)*panelHeight + l.height(f.width-16) + 10
	f.draw = func(c draw.Canvas) {
		c = l.over(margins(c))
		tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 12, PadY: 10}
		for i, p := range plots {
			_ = paint(p, tiles.At(c, i%columns, i/columns))
		}
	}
	return &f
}

// chart is what the panels of a figure share.
type chart struct {
	axisTitles
	order                  map[string]int // of the series
	few                    bool           // few enough points for marks
	xmin, xmax, ymin, ymax float64
	legend                 legend
}

func newChart(stem string, a axisTitles, panels []panel) (*chart, error) {
	c := &chart{axisTitles: a, order: map[string]int{}, few: true,
		xmin: math.Inf(1), xmax: math.Inf(-1), ymin: math.Inf(1), ymax: math.Inf(-1)}
	for _, p := range panels {
		for _, s := range p.Series {
			if len(s.Points) == 0 {
				return nil, fmt.Errorf("drawing the figure %s: the series %q has no points: %w", stem, s.Name, ErrNoData)
			}
			for _, q := range s.Points {
				for _, v := range []float64{q.X, q.Y, q.Low, q.High} {
					if !finite(v) {
						return nil, refuse(stem, fmt.Sprintf("a value of the series %q", s.Name), v)
					}
				}
				if q.Low > q.Y || q.High < q.Y {
					return nil, fmt.Errorf("drawing the figure %s: the series %q has at %v a band from %v to %v that does not "+
						"hold its value %v", stem, s.Name, q.X, q.Low, q.High, q.Y)
				}
				c.xmin, c.xmax = min(c.xmin, q.X), max(c.xmax, q.X)
				c.ymin, c.ymax = min(c.ymin, q.Low), max(c.ymax, q.High)
			}
			c.few = c.few && len(s.Points) <= 30
			if _, ok := c.order[s.Name]; !ok {
				i := len(c.order)
				c.order[s.Name] = i
				line, _ := plotter.NewLine(plotter.XYs{{}})
				line.LineStyle = lineOf(i)
				c.legend = append(c.legend, entry{name(s.Name, 40), line})
			}
		}
	}
	if len(c.order) == 0 {
		return nil, noData(stem)
	}
	if a.LogX && c.xmin < 0 {
		return nil, fmt.Errorf("drawing the figure %s: x is %v, and a logarithmic axis begins at 0", stem, c.xmin)
	}
	if c.ymin == 0 && c.ymax == 0 {
		c.ymax = 1
	}
	c.ymin, c.ymax = room(c.ymin, c.ymax)
	c.legend = c.legend.unlessOne()
	return c, nil
}

// room is the part of an axis for values from low to high: never nothing, and from 0 on where
// that is near enough to show how far from nothing they are.
func room(low, high float64) (from, to float64) {
	if low == high {
		pad := math.Max(math.Abs(low)/10, 1e-3)
		low, high = low-pad, high+pad
	}
	if low > 0 && low < high/2 {
		low = 0
	}
	return low, high
}

func (c *chart) plot(panel panel) *plot.Plot {
	p := newPlot(c.X, c.Y)
	p.Title.Text = name(panel.Title, 40)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = c.xmin, c.xmax, c.ymin, c.ymax
	if c.LogX {
		logarithmic(&p.X, c.xmin, c.xmax)
	}
	p.Add(grid(0.5, 0))
	for _, s := range panel.Series {
		if b := band(s.Points); b != nil {
			b.Color = fade(category(c.order[s.Name]), 48)
			b.LineStyle.Width = 0
			p.Add(b)
		}
	}
	for _, s := range panel.Series {
		xys := make(plotter.XYs, len(s.Points))
		for i, q := range s.Points {
			xys[i].X, xys[i].Y = q.X, q.Y
		}
		i := c.order[s.Name]
		line, _ := plotter.NewLine(xys)
		line.LineStyle = lineOf(i)
		p.Add(line)
		if c.few {
			marks, _ := plotter.NewScatter(xys)
			marks.GlyphStyle = glyphOf(i, 2.5)
			p.Add(marks)
		}
	}
	return p
}

// band is the outline of the values' bands; nil where there are none.
func band(points []curvePoint) *plotter.Polygon {
	var ring plotter.XYs
	wide := false
	for _, q := range points {
		ring = append(ring, plotter.XY{X: q.X, Y: q.High})
		wide = wide || q.High > q.Low
	}
	if !wide || len(points) < 2 {
		return nil
	}
	for i := len(points) - 1; i >= 0; i-- {
		ring = append(ring, plotter.XY{X: points[i].X, Y: points[i].Low})
	}
	b, _ := plotter.NewPolygon(ring)
	return b
}

// grid is lines of some widths, 0 for none.
func grid(horizontal, vertical vg.Length) *plotter.Grid {
	return &plotter.Grid{Horizontal: draw.LineStyle{Color: rule, Width: horizontal},
		Vertical: draw.LineStyle{Color: rule, Width: vertical}}
}

var dashes = [][]vg.Length{nil, {7, 3}, {2, 2}, {7, 2, 2, 2}}

func lineOf(i int) draw.LineStyle {
	return draw.LineStyle{Color: category(i), Width: 1.8, Dashes: dashes[i%len(dashes)]}
}

func (c *chart) alt(panels []panel) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Line chart of %s against %s.", c.Y, c.X)
	for i, p := range panels {
		if i == 6 {
			fmt.Fprintf(&b, " And %d more panels.", len(panels)-i)
			break
		}
		for _, s := range p.Series {
			first, last := s.Points[0], s.Points[len(s.Points)-1]
			fmt.Fprintf(&b, " %s: %.4g at %.4g to %.4g at %.4g.", strings.TrimSpace(p.Title+" "+s.Name), first.Y, first.X, last.Y, last.X)
		}
	}
	return b.String()
}
