package report

import (
	"fmt"
	"math"
	"slices"
)

// settings are the columns that can be axes of a phase chart, with their titles.
var settings = []struct{ column, title string }{
	{"size", "model size"}, {"time", "training time"}, {"samples", "training samples"},
	{"width", "width (units)"}, {"step", "training step"}, {"epoch", "training epoch"},
}

// properties are the columns that are drawn against an axis.
var properties = []struct{ column, title string }{
	{"redundancy_train", "redundancy, training set"}, {"redundancy_test", "redundancy, test set"}, {"redundancy", "redundancy"},
	{"knn_accuracy", "K-NN accuracy"}, {"accuracy", "accuracy"},
}

// phases shows regimes over two settings, and redundancy and accuracy along each; a table
// such as the verb phases writes, where x and y name the columns that a row is about.
func phases(c *collector, r *result) error {
	t, err := readTable(r.path, func(string) bool { return true }, 0)
	if err != nil {
		return err
	}
	r.Kind = "phases"
	for _, pair := range pairsIn(t) {
		if err := phasesOf(r, t, pair); err != nil {
			return err
		}
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

func titleOf(column string) string {
	for _, s := range settings {
		if s.column == column {
			return s.title
		}
	}
	return column
}

func phasesOf(r *result, t *columns, p pair) error {
	var points []Marked
	lowX, lowY := math.Inf(1), math.Inf(1)
	for _, i := range p.rows {
		m := Marked{X: t.number(p.x, i), Group: t.text("regime", i)}
		if p.y != "" {
			m.Y = t.number(p.y, i)
		}
		lowX, lowY = min(lowX, m.X), min(lowY, m.Y)
		points = append(points, m)
	}
	if p.y != "" {
		f, err := PhaseChart(stem("phases", p.x, p.y), Axes{X: titleOf(p.x), Y: titleOf(p.y), LogX: lowX >= 0}, lowY >= 0, points)
		caption := "The regime at each setting: under-expressive where items share regions, sufficiently expressive where none do and accuracy has settled, critically expressive between."
		if err := r.figure(fmt.Sprintf("Phases of the activation hash: %s and %s", titleOf(p.x), titleOf(p.y)), caption, f, err); err != nil {
			return err
		}
	}
	for _, property := range properties {
		series := along(t, p, property.column)
		f, err := Curves(stem(property.column, p.x, p.y), Axes{X: titleOf(p.x), Y: property.title, LogX: lowX >= 0}, series...)
		caption := "The mean over the networks of a setting."
		if p.y != "" {
			caption = fmt.Sprintf("One curve for each %s.", titleOf(p.y))
		}
		if err := r.figure(fmt.Sprintf("%s against %s", capital(property.title), titleOf(p.x)), caption, f, err); err != nil {
			return err
		}
	}
	return nil
}

// along are the curves of a property along the first setting, for up to six values of the
// second: the means where several rows are at one place.
func along(t *columns, p pair, property string) (curves []Series) {
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
		s := Series{Name: fmt.Sprintf("%s %s", titleOf(p.y), num(y))}
		for _, at := range places {
			if at.y == y {
				v := sum[at] / n[at]
				s.Points = append(s.Points, Point{at.x, v, v, v})
			}
		}
		byX(s.Points)
		curves = append(curves, s)
	}
	return curves
}
