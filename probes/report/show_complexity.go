package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// complexity shows local complexity: in total, and by site, for each radius.
func complexity(c *collector, r *shown) error { return c.complexityOf(r, []string{r.path}) }

func (c *collector) complexityOf(r *shown, files []string) error {
	var all *columns
	for _, path := range files {
		t, err := readTable(path, func(n string) bool {
			return n == "complexity" || strings.HasPrefix(n, "complexity.") || strings.HasPrefix(n, "fraction.")
		})
		if err != nil {
			return err
		}
		r.use(t.order...)
		t.byRadius(r.radii())
		if all == nil || all.rows == 0 {
			all = t
			continue
		}
		for n, v := range t.numbers {
			all.numbers[n] = append(all.numbers[n], v...)
		}
		all.rows += t.rows
	}
	if all == nil {
		return ErrNoData
	}
	radii, totals := totalsOf(all)
	if len(radii) == 0 {
		return ErrNoData
	}
	table := Table{Caption: "Local complexity: units that " +
		"change their side around an item", Head: []string{"radius", "items", "without", "mean", "standard deviation", "smallest", "median", "largest"}}
	var groups []binned
	var curve []curvePoint
	without := 0
	for i, radius := range radii {
		values, missing := present(totals[i])
		if len(values) == 0 {
			continue
		}
		m, sd := moments(values)
		s := slices.Sorted(slices.Values(values))
		table.Rows = append(table.Rows, cells(radius, len(values), missing, num(math.Round(m*100)/100),
			num(math.Round(sd*100)/100), num(s[0]), num((s[(len(s)-1)/2]+s[len(s)/2])/2), num(s[len(s)-1])))
		without = max(without, missing)
		groups = append(groups, binned{"radius " + radius, values})
		if x, err := strconv.ParseFloat(radius, 64); err == nil {
			curve = append(curve, curvePoint{x, m, m - sd, m + sd})
		}
	}
	if len(groups) == 0 {
		return fmt.Errorf("no item has a local complexity: %w", ErrNoData)
	}
	r.Tables = append(r.Tables, table)
	r.around(groups, without)
	nearby := "; more units, more linear regions nearby."
	if smoothSites(r.manifest) != nil {
		nearby = "; of a smooth site they change their sign, and stand for no linear regions."
	}
	const together = 12 // radii in a figure
	for i := 0; i < len(groups); i += together {
		r.figure("Local complexity of the items",
			"How many units change their side among the vertices around an item"+nearby)(
			histogramOn(numbered("complexity", i/together), "local complexity (units)", len(groups) > 1, groups[i:min(len(groups), i+together)]...))
	}
	if len(curve) >= 3 {
		r.figure("Local complexity against the radius",
			"Mean over the items, with one standard deviation to either side.")(
			curveChart("complexity-radius", axisTitles{X: "radius (units of the input)", Y: "local complexity (units)",
				LogX: true}, lineSeries{"mean", curve}))
	}
	siteFractions(r, all, radii)
	return nil
}

// byRadius names the columns of one radius as those of several are named, and as results of
// earlier versions did not; a radius that is not known is "one".
func (c *columns) byRadius(known []float64) {
	total, ok := c.numbers["complexity"]
	if !ok {
		return
	}
	radius := "one"
	if len(known) == 1 {
		radius = strconv.FormatFloat(known[0], 'g', -1, 64)
	}
	delete(c.numbers, "complexity")
	c.numbers["complexity.r"+radius] = total
	for i, n := range c.order {
		switch values := c.numbers[n]; {
		case n == "complexity":
			c.order[i] = "complexity.r" + radius
		case strings.HasPrefix(n, "fraction."):
			c.order[i] = n + "@" + radius
			delete(c.numbers, n)
			c.numbers[c.order[i]] = values
		}
	}
}

// totalsOf are the totals for each radius, which is named as the file names it, the smallest
// radius first.
func totalsOf(t *columns) (radii []string, totals [][]float64) {
	parts := t.below("complexity")
	slices.SortStableFunc(parts, func(a, b string) int { return cmp.Compare(radiusOf(a), radiusOf(b)) })
	for _, part := range parts {
		radii, totals = append(radii, strings.TrimPrefix(part, "r")), append(totals, t.numbers["complexity."+part])
	}
	return radii, totals
}

// radiusOf is the radius that a part of a column is of; NaN, before all others, where that is
// not known.
func radiusOf(part string) float64 {
	v, err := strconv.ParseFloat(strings.TrimPrefix(part, "r"), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// siteFractions draws the mean fraction of each site's units, for so many radii at the most
// in one figure.
func siteFractions(r *shown, t *columns, radii []string) {
	const most = 6
	var sites []string
	for _, part := range t.below("fraction") {
		site := part
		if at := strings.LastIndex(part, "@"); at >= 0 {
			site = part[:at]
		}
		if !slices.Contains(sites, site) {
			sites = append(sites, site)
		}
		if len(sites) > maxSites {
			return
		}
	}
	if len(sites) == 0 {
		return
	}
	var bars []barSeries
	for _, radius := range radii {
		b := barSeries{Name: "radius " + radius}
		for _, site := range sites {
			values, _ := present(t.numbers["fraction."+site+"@"+radius])
			m, _ := moments(values)
			b.Values = append(b.Values, 100*m)
		}
		bars = append(bars, b)
	}
	for i := 0; i < len(bars); i += most {
		r.figure("Local complexity, by site",
			"Mean over the items of the share of a site's units that change their side around an item.")(
			barChart(numbered("fractions", i/most), "units that change their side (%)", sites, bars[i:min(len(bars), i+most)]...))
	}
}

// numbered is the stem of one of several figures of a kind.
func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return stem(name, strconv.Itoa(i+1))
}

// present are the finite values.
func present(values []float64) (there []float64, missing int) {
	there = slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return !finite(v) })
	return there, len(values) - len(there)
}

// moments are the mean and the standard deviation; 0 of nothing.
func moments(values []float64) (mean, sd float64) {
	if len(values) == 0 {
		return 0, 0
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean)
	}
	if len(values) > 1 {
		sd = math.Sqrt(sd / float64(len(values)-1))
	}
	return mean, sd
}
