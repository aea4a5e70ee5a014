package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// binned are the numbers of one group of a histogram.
type binned struct {
	Name   string
	Values []float64
}

// histogram draws how the values of each group are spread, as shares of the group, so
// that groups of different sizes can be compared. All groups share the bins; those of
// whole numbers hold equally many whole numbers each.
func histogram(stem, x string, groups ...binned) (*Figure, error) {
	return histogramOn(stem, x, false, groups...)
}

// histogramOn is a histogram whose x axis, and bins, can be logarithmic: for values of 0 or
// more, of groups that lie far apart.
func histogramOn(stem, x string, log bool, groups ...binned) (*Figure, error) {
	low, high, whole := math.Inf(1), math.Inf(-1), true
	for _, g := range groups {
		if len(g.Values) == 0 {
			return nil, fmt.Errorf("drawing the figure %s: the group %q is empty: %w", stem, g.Name, ErrNoData)
		}
		for _, v := range g.Values {
			if !finite(v) {
				return nil, refuse(stem, fmt.Sprintf("a value of the group %q", g.Name), v)
			}
			low, high, whole = min(low, v), max(high, v), whole && v == math.Trunc(v)
		}
	}
	if len(groups) == 0 {
		return nil, noData(stem)
	}
	log = log && low >= 0 && high > low
	place, edge := func(v float64) float64 { return v }, func(v float64) float64 { return v }
	if log {
		place, edge, whole = math.Log1p, math.Expm1, false
	}
	start, width, bins := binsOf(place(low), place(high), whole)
	at := func(bin int) float64 { return edge(start + float64(bin)*width) }
	p := newPlot(x, "share of values (%)")
	p.X.Tick.Marker = linear{whole}
	p.Add(grid(0.5, 0))
	var l legend
	alt := fmt.Sprintf("Histogram of %s.", x)
	for i, g := range groups {
		counts, sum := make([]float64, bins), 0.0
		for _, v := range g.Values {
			counts[min(max(int((place(v)-start)/width), 0), bins-1)]++
			sum += v
		}
		outline := plotter.XYs{{X: at(0), Y: 0}}
		for b, n := range counts {
			share := 100 * n / float64(len(g.Values))
			outline = append(outline, plotter.XY{X: at(b), Y: share}, plotter.XY{X: at(b + 1), Y: share})
		}
		outline = append(outline, plotter.XY{X: at(bins), Y: 0})
		line, _ := plotter.NewLine(outline)
		line.LineStyle = lineOf(i)
		line.FillColor = fade(category(i), 48)
		p.Add(line)
		l = append(l, entry{fmt.Sprintf("%s (%s)", name(g.Name, 40), text.Grouped(len(g.Values))), line})
		alt += fmt.Sprintf(" %s: %d values, mean %.4g.", g.Name, len(g.Values), sum/float64(len(g.Values)))
	}
	if log {
		logarithmic(&p.X, p.X.Min, p.X.Max)
	}
	p.Y.Min = 0
	p.Y.Max *= 1.04
	says := ""
	if len(groups) == 1 && low == high {
		says = fmt.Sprintf("%s: %s, for all %s (%s).", capital(x), num(low), text.Grouped(len(groups[0].Values)), name(groups[0].Name, 40))
	}
	return single(Figure{Name: stem, Alt: strings.TrimSpace(alt), says: says}, p, l), nil
}

// binsOf chooses at most 32 bins.
func binsOf(low, high float64, whole bool) (start, width float64, bins int) {
	const most = 32
	if whole && high-low < 1<<52 {
		width = math.Max(1, math.Ceil((high-low+1)/most))
		return low - 0.5, width, int(math.Ceil((high - low + 1) / width))
	}
	if low == high {
		pad := math.Max(math.Abs(low)/100, 1e-9)
		return low - pad/2, pad, 1
	}
	bins = 30
	return low, high/float64(bins) - low/float64(bins), bins
}
