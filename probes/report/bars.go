package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// barSeries is one measure of every site; its values have the order of the sites.
type barSeries struct {
	Name   string
	Values []float64
}

// maxSites is the most sites that a chart of bars shows.
const maxSites = 300

// barChart draws a row for every site, first to last from the top, with a bar for each
// measure. The measures are told apart by colour and by how bars are filled: the first
// full, the second hollow.
func barChart(stem, x string, sites []string, bars ...barSeries) (*Figure, error) {
	if len(sites) == 0 || len(bars) == 0 {
		return nil, noData(stem)
	}
	n := len(sites)
	if n > maxSites {
		return nil, fmt.Errorf("drawing the figure %s: %d sites; a chart holds %d", stem, n, maxSites)
	}
	thick := vg.Length(max(14/len(bars), 4))
	p := newPlot(x, "")
	p.X.Min = 0
	alt := fmt.Sprintf("Bar chart of %s for %d sites.", x, n)
	p.Add(grid(0, 0.5))
	var l legend
	for i, b := range bars {
		if len(b.Values) != n {
			return nil, fmt.Errorf("drawing the figure %s: %q has %d values for %d sites", stem, b.Name, len(b.Values), n)
		}
		values := make(plotter.Values, n)
		for s, v := range b.Values {
			if !finite(v) {
				return nil, refuse(stem, fmt.Sprintf("%q of the site %q", b.Name, sites[s]), v)
			}
			values[n-1-s] = v
		}
		chart, err := plotter.NewBarChart(values, thick)
		if err != nil {
			return nil, fmt.Errorf("drawing the figure %s: %w", stem, err)
		}
		chart.Horizontal = true
		chart.Offset = (vg.Length(len(bars)-1)/2 - vg.Length(i)) * (thick + 1)
		chart.Color = fade(category(i), []uint8{255, 40, 140}[i%3])
		chart.LineStyle.Color, chart.LineStyle.Width = category(i), 1
		p.Add(chart)
		l = append(l, entry{name(b.Name, 40), chart})
		top, bottom := slices.Index(b.Values, slices.Max(b.Values)), slices.Index(b.Values, slices.Min(b.Values))
		alt += fmt.Sprintf(" %s: largest %.4g (%s), smallest %.4g (%s).", b.Name, b.Values[top], sites[top], b.Values[bottom], sites[bottom])
	}
	says := ""
	if n == 1 && len(bars) == 1 {
		says = fmt.Sprintf("%s of %s: %s.", capital(x), name(sites[0], 60), num(bars[0].Values[0]))
	}
	nominal(p, sites)
	if p.X.Max <= 0 {
		p.X.Max = 1
	}
	f := Figure{Name: stem, Alt: alt, says: says, height: 60 + vg.Length(n)*(vg.Length(len(bars))*(thick+1)+6)}
	return single(f, p, l.unlessOne()), nil
}

// nominal names the rows of a plot, first to last from the top.
func nominal(p *plot.Plot, rows []string) {
	var names []string
	for _, s := range slices.Backward(rows) {
		names = append(names, name(s, 26))
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
}
