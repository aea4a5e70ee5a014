package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// settings are the columns that can be axes of a phase chart, with their titles.
var settings = []struct{ column, title, unit string }{
	{"size", "model size", " (the table's unit)"}, {"time", "training time", " (the table's unit)"}, {"samples", "training samples", ""},
	{"width", "width", " (units)"}, {"step", "training step", ""}, {"epoch", "training epoch", ""},
}

// properties are the columns that are drawn against an axis.
var properties = []struct{ column, title, unit string }{
	{"redundancy_train", "redundancy, training set", " (share of items)"}, {"redundancy_test",
		"redundancy, test set", " (share of items)"}, {"redundancy", "redundancy", " (share of items)"},
	{"knn_accuracy", "K-NN accuracy", " (share)"}, {"accuracy", "accuracy", " (share)"},
}

// regimes are those that the verb phases writes, in the order of their colours, and what they mean.
var regimes = []struct{ name, means string }{
	{"under-expressive", "items share linear regions"},
	{"critically-expressive", "few or no items share one, and accuracy has not settled"},
	{"sufficiently-expressive", "next to none share one, and accuracy has settled"},
	{"undecided", "next to none share one, and there is no setting beside it to tell whether accuracy has settled"},
}

// phases shows regimes over two settings, and redundancy and accuracy along each; a table
// such as the verb phases writes, where x and y name the columns that a row is about.
func phases(c *collector, r *shown) error {
	names := []string{"x", "y", "regime", "models"}
	for _, s := range slices.Concat(settings, properties) {
		names = append(names, s.column)
	}
	t, err := r.read(names...)
	if err != nil {
		return err
	}
	r.Kind = "phases"
	counts := map[string]int{}
	for i := range t.rows {
		counts[t.text("regime", i)]++
	}
	for _, regime := range regimes {
		if n := counts[regime.name]; n > 0 {
			r.found("%s: %s.", capital(regime.name), text.Count(n, "setting"))
		}
	}
	for _, pair := range pairsIn(t) {
		phasesOf(r, t, pair)
	}
	if len(r.Figures) == 0 {
		return fmt.Errorf("it has no two columns of settings, such as size and samples, with numbers: %w", ErrNoData)
	}
	return nil
}

// pair is two settings, named by their columns, and the rows about them; y can be "".
type pair struct {
	x, y string
	rows []int
}

func pairsIn(t *columns) (pairs []pair) {
	all := pair{}
	for _, s := range settings {
		if there, _ := present(t.numbers[s.column]); len(there) > 0 {
			switch {
			case all.x == "":
				all.x = s.column
			case all.y == "":
				all.y = s.column
			}
		}
	}
	for i := range t.rows {
		x, y := t.text("x", i), t.text("y", i)
		if !t.has("x") {
			x, y = all.x, all.y
		}
		if x == "" || !finite(t.number(x, i)) || y != "" && !finite(t.number(y, i)) {
			continue
		}
		at := slices.IndexFunc(pairs, func(p pair) bool { return p.x == x && p.y == y })
		if at < 0 {
			at, pairs = len(pairs), append(pairs, pair{x: x, y: y})
		}
		pairs[at].rows = append(pairs[at].rows, i)
	}
	return pairs[:min(len(pairs), 6)]
}

// titleOf is a setting in words, and axisOf with its unit.
func titleOf(column string) string { title, _ := setting(column); return title }
func axisOf(column string) string  { title, unit := setting(column); return title + unit }

func setting(column string) (title, unit string) {
	for _, s := range settings {
		if s.column == column {
			return s.title, s.unit
		}
	}
	return column, ""
}

// byRegime puts places in the order of the regimes, and says what those that occur mean.
func byRegime(points []marked) (meaning string) {
	rank := map[string]int{}
	for i, r := range regimes {
		rank[r.name] = i - len(regimes)
		if slices.ContainsFunc(points, func(m marked) bool { return m.Group == r.name }) {
			meaning += fmt.Sprintf(" %s: %s.", capital(r.name), r.means)
		}
	}
	slices.SortStableFunc(points, func(a, b marked) int { return rank[a.Group] - rank[b.Group] })
	return meaning
}

func phasesOf(r *shown, t *columns, p pair) {
	var points []marked
	lowX, lowY := math.Inf(1), math.Inf(1)
	for _, i := range p.rows {
		m := marked{X: t.number(p.x, i), Group: t.text("regime", i)}
		if p.y != "" {
			m.Y = t.number(p.y, i)
		}
		lowX, lowY = min(lowX, m.X), min(lowY, m.Y)
		points = append(points, m)
	}
	r.Tables = append(r.Tables, tableOf(t, p))
	if p.y != "" {
		caption := "The regime at each setting." + byRegime(points)
		r.figure(fmt.Sprintf("Phases of the activation hash: %s and %s", titleOf(p.x), titleOf(p.y)), caption)(
			phaseChart(stem("phases", p.x, p.y), axisTitles{X: axisOf(p.x), Y: axisOf(p.y), LogX: lowX >= 0},
				lowY >= 0, points))
	}
	for _, property := range properties {
		series, of := along(t, p, property.column)
		caption := "The mean over the networks of a setting."
		if p.y != "" {
			if caption = fmt.Sprintf("One curve for each %s.", titleOf(p.y)); of > len(series) {
				caption = fmt.Sprintf("One curve for each of %d of the %d values of the %s.", len(series), of, titleOf(p.y))
			}
		}
		axes := axisTitles{X: axisOf(p.x), Y: property.title + property.unit, LogX: lowX >= 0}
		r.figure(fmt.Sprintf("%s against %s", capital(property.title), titleOf(p.x)), caption)(
			curveChart(stem(property.column, p.x, p.y), axes, series...))
	}
}

// along are the curves of a property along the first setting, for up to six values of the
// second, and of is how many it has: the means where several rows are at one place.
func along(t *columns, p pair, property string) (curves []lineSeries, of int) {
	type place struct{ y, x float64 }
	sum, n := map[place]float64{}, map[place]float64{}
	var places []place
	var ys []float64
	for _, i := range p.rows {
		v := t.number(property, i)
		if !finite(v) {
			continue
		}
		at := place{x: t.number(p.x, i)}
		if p.y != "" {
			at.y = t.number(p.y, i)
		}
		if n[at] == 0 {
			places = append(places, at)
		}
		sum[at], n[at] = sum[at]+v, n[at]+1
		if !slices.Contains(ys, at.y) {
			ys = append(ys, at.y)
		}
	}
	slices.Sort(ys)
	const most = 6
	for k := range min(len(ys), most) {
		y := ys[k]
		if len(ys) > most {
			y = ys[k*(len(ys)-1)/(most-1)]
		}
		s := lineSeries{Name: fmt.Sprintf("%s %s", titleOf(p.y), num(y))}
		for _, at := range places {
			if at.y == y {
				v := sum[at] / n[at]
				s.Points = append(s.Points, curvePoint{at.x, v, v, v})
			}
		}
		byX(s.Points)
		curves = append(curves, s)
	}
	return curves, len(ys)
}

// tableOf lists the settings of a pair, with what was measured of their networks.
func tableOf(t *columns, p pair) Table {
	const most = 200
	out := Table{Caption: "Settings of " + titleOf(p.x)}
	var columns []string
	add := func(column, title string) { columns, out.Head = append(columns, column), append(out.Head, title) }
	if add(p.x, titleOf(p.x)); p.y != "" {
		out.Caption += " and " + titleOf(p.y)
		add(p.y, titleOf(p.y))
	}
	if t.has("models") {
		add("models", "networks")
	}
	for _, property := range properties {
		if t.has(property.column) {
			add(property.column, property.title)
		}
	}
	out.Head = append(out.Head, "regime")
	if len(p.rows) > most {
		out.Caption += fmt.Sprintf(", the first %d of %d", most, len(p.rows))
	}
	for _, i := range p.rows[:min(len(p.rows), most)] {
		var row []string
		for _, column := range columns {
			cell := ""
			if v := t.number(column, i); finite(v) {
				cell = num(v)
			}
			row = append(row, cell)
		}
		out.Rows = append(out.Rows, append(row, name(t.text("regime", i), 40)))
	}
	return out
}
