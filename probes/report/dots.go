package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// span is a value with the range around it, from Low to High; those equal to Value are no
// range. A Value of NaN is none at all.
type span struct{ Value, Low, High float64 }

// dotSeries is one measure of every row, in the order of the rows. Across is a single value of
// another kind for comparison, drawn as a line across all rows.
type dotSeries struct {
	Name   string
	Values []span
	Across bool
}

// dotChart draws a row for every name, first to last from the top, with a mark for each
// measure and a line over its range. On a logarithmic axis 0 stands a step before the
// smallest value. axisTitles.Y has no meaning.
func dotChart(stem string, a axisTitles, rows []string, dots ...dotSeries) (*Figure, error) {
	if len(rows) == 0 || len(dots) == 0 {
		return nil, noData(stem)
	}
	n := len(rows)
	if n > maxSites {
		return nil, fmt.Errorf("drawing the figure %s: %d rows; a chart holds %d", stem, n, maxSites)
	}
	low, high, zero, err := reach(stem, a.LogX, n, dots)
	if err != nil {
		return nil, err
	}
	p := newPlot(a.X, "")
	p.Add(grid(0.5, 0.5))
	at := func(v float64) float64 { return math.Max(v, low) }
	alt := fmt.Sprintf("Chart of %s for %d rows.", a.X, n)
	var l legend
	for i, d := range dots {
		apart := (float64(len(dots)-1)/2 - float64(i)) * 0.6 / float64(len(dots)) // 0 of one measure
		if d.Across {
			v := d.Values[0].Value
			line, _ := plotter.NewLine(plotter.XYs{{X: at(v), Y: -0.5}, {X: at(v), Y: float64(n) - 0.5}})
			line.LineStyle = lineOf(i)
			p.Add(line)
			l = append(l, entry{name(d.Name, 40), line})
			alt += fmt.Sprintf(" %s: %.4g.", d.Name, v)
			continue
		}
		var marks plotter.XYs
		best := -1
		for r, v := range d.Values {
			if math.IsNaN(v.Value) {
				continue
			}
			y := float64(n-1-r) + apart
			marks = append(marks, plotter.XY{X: at(v.Value), Y: y})
			if v.High > v.Low {
				line, _ := plotter.NewLine(plotter.XYs{{X: at(v.Low), Y: y}, {X: at(v.High), Y: y}})
				line.Color, line.Width = category(i), 1.8
				p.Add(line)
			}
			if best < 0 || v.Value > d.Values[best].Value {
				best = r
			}
		}
		if marks == nil {
			continue
		}
		s, _ := plotter.NewScatter(marks)
		s.GlyphStyle = glyphOf(i, 3.5)
		p.Add(s)
		l = append(l, entry{name(d.Name, 40), s})
		alt += fmt.Sprintf(" %s: largest %.4g (%s).", d.Name, d.Values[best].Value, rows[best])
	}
	nominal(p, rows)
	if p.X.Min, p.X.Max = low, high; !a.LogX {
		p.X.Max += (high - low) / 50 // the marks at the end stay whole
	} else {
		logarithmic(&p.X, low, high)
		if zero {
			p.X.Tick.Marker = plot.ConstantTicks(append([]plot.Tick{{Value: low, Label: "0"}}, logTicks(low*zeroStep, high)...))
		}
	}
	says := ""
	if n == 1 && len(dots) == 1 {
		says = fmt.Sprintf("%s of %s: %s.", capital(a.X), name(rows[0], 60), num(dots[0].Values[0].Value))
	}
	f := Figure{Name: stem, Alt: alt, says: says, height: 60 + vg.Length(n)*vg.Length(12+4*len(dots))}
	return single(f, p, l.unlessOne()), nil
}

// zeroStep is how far before the smallest value 0 stands on a logarithmic axis.
const zeroStep = 5

// reach is the part of the axis that the values take; zero says that low stands for 0.
func reach(stem string, log bool, n int, dots []dotSeries) (low, high float64, zero bool, err error) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, d := range dots {
		if want := map[bool]int{true: 1, false: n}[d.Across]; len(d.Values) != want {
			return 0, 0, false, fmt.Errorf("drawing the figure %s: %q has %d values for %d rows", stem, d.Name, len(d.Values), want)
		}
		for _, v := range d.Values {
			if math.IsNaN(v.Value) {
				continue
			}
			for _, x := range []float64{v.Low, v.Value, v.High} {
				if !finite(x) {
					return 0, 0, false, refuse(stem, fmt.Sprintf("a value of %q", d.Name), x)
				}
				if log && x < 0 {
					return 0, 0, false, fmt.Errorf("drawing the figure %s: a value of %q is %v, and a logarithmic axis begins at 0", stem, d.Name, x)
				}
				if zero = zero || log && x == 0; !log || x > 0 {
					low, high = min(low, x), max(high, x)
				}
			}
		}
	}
	switch {
	case low > high && !zero:
		return 0, 0, false, noData(stem)
	case low > high: // nothing but 0
		low, high = 0.5, 1
	case low == high && log:
		low, high = low/2, high*2
	case !log:
		low, high = room(low, high)
	}
	if zero {
		low /= zeroStep
	}
	return low, high, zero, nil
}
