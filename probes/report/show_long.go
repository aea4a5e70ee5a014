package report

import (
	"cmp"
	"fmt"
	gomaps "maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// long shows a table with a row for each step, set, site, radius and measure, such as the
// verb dynamics writes.
func long(c *collector, r *shown) error {
	t, err := r.read("step", "set", "site", "radius", "measure", "value", "stderr", "error")
	if err != nil {
		return err
	}
	r.Kind = "dynamics"
	charts, skipped := chartsOf(t)
	if len(charts) == 0 {
		return fmt.Errorf("no row has a step and a value: %w", ErrNoData)
	}
	if skipped > 0 {
		r.alarm("%s without a value %s left out.", text.Count(skipped, "row"), text.Are(skipped))
	}
	for i := range t.rows {
		if why := t.text("error", i); why != "" && len(r.Notes) < 10 {
			r.Notes = append(r.Notes, name(fmt.Sprintf("Step %s: %s", t.text("step", i), why), 300))
		}
	}
	summary := Table{Caption: "First and last step, all sites together", Head: []string{"measure", "set", "first step", "value", "last step", "value"}}
	for _, m := range charts {
		axes := axisTitles{X: "training step (logarithmic)", Y: unitOf(m.measure), LogX: true}
		title := capital(m.title)
		if whole := m.sites[""]; len(whole) > 0 {
			for _, s := range whole {
				if a, b := s.Points[0], s.Points[len(s.Points)-1]; len(r.Found) < 6 && a.Y == b.Y {
					r.found("%s (%s) stayed at %s.", capital(m.title), s.Name, num(a.Y))
				} else if len(r.Found) < 6 {
					r.found("%s (%s) went from %s to %s.", capital(m.title), s.Name, num(a.Y), num(b.Y))
				}
				a, b := s.Points[0], s.Points[len(s.Points)-1]
				summary.Rows = append(summary.Rows, []string{m.title, s.Name, num(a.X), num(a.Y), num(b.X), num(b.Y)})
			}
			r.figure(title+" during training", capital(m.bandsOf(whole...)))(curveChart(stem(m.title), axes, whole...))
		}
		var panels []panel
		var all []lineSeries
		for _, site := range m.order {
			if site != "" && len(panels) < 40 {
				panels, all = append(panels, panel{site, m.sites[site]}), append(all, m.sites[site]...)
			}
		}
		if len(panels) == 0 {
			continue
		}
		caption := "One panel a site, all with the same axes."
		if said := m.bandsOf(all...); said != "" {
			caption += " " + capital(said)
		}
		if n := len(m.order); n > 41 {
			caption += fmt.Sprintf(" The first %d of %d sites.", len(panels), n)
		}
		r.figure(title+", by site", caption)(panelChart(stem(m.title, "sites"), axes, panels...))
	}
	if summary.Rows != nil {
		r.Tables = append(r.Tables, summary)
	}
	return nil
}

// measured holds the curves of one measure, at one radius: for each site its sets.
type measured struct {
	measure, title, bands string
	order                 []string
	sites                 map[string][]lineSeries
}

// bandsOf says what the bands of some curves are, nothing where they have none.
func (m *measured) bandsOf(series ...lineSeries) string {
	for _, s := range series {
		if slices.ContainsFunc(s.Points, func(p curvePoint) bool { return p.High > p.Low }) {
			return m.bands
		}
	}
	return ""
}

func chartsOf(t *columns) (charts []*measured, skipped int) {
	by := map[string]*measured{}
	for i := range t.rows {
		step, value := t.number("step", i), t.number("value", i)
		if !finite(step) || !finite(value) || step < 0 {
			skipped++
			continue
		}
		measure, set, site := cmp.Or(t.text("measure", i), "value"), t.text("set", i), t.text("site", i)
		title := titleOfMeasure(measure)
		if r := t.number("radius", i); finite(r) && r != 0 {
			title += ", radius " + num(r)
		}
		m := by[title]
		if m == nil {
			m = &measured{measure: measure, title: title, sites: map[string][]lineSeries{},
				bands: "bands are one standard error of the mean to either side."}
			by[title], charts = m, append(charts, m)
		}
		if _, ok := m.sites[site]; !ok {
			m.order = append(m.order, site)
		}
		spread := math.Abs(t.number("stderr", i))
		if !finite(spread) {
			spread = 0
		}
		series := m.sites[site]
		at := slices.IndexFunc(series, func(s lineSeries) bool { return s.Name == set })
		if at < 0 {
			at, series = len(series), append(series, lineSeries{Name: set})
		}
		series[at].Points = append(series[at].Points, curvePoint{step, value, value - spread, value + spread})
		m.sites[site] = series
	}
	for _, m := range charts {
		for _, s := range slices.Concat(slices.Collect(gomaps.Values(m.sites))...) {
			byX(s.Points)
		}
	}
	return quantiles(charts), skipped
}

// quantiles makes of the measures M_q25, M_q50 and M_q75 one of medians, whose bands hold
// the middle half, and leaves the other quantiles out, and counts of ties.
func quantiles(charts []*measured) (kept []*measured) {
	by := map[string]*measured{}
	for _, m := range charts {
		by[m.title] = m
	}
	for _, m := range charts {
		if strings.HasSuffix(m.measure, "_ties") {
			continue
		}
		base, is := strings.CutSuffix(m.measure, "_q50")
		low, high := by[strings.Replace(m.title, " q50", " q25", 1)], by[strings.Replace(m.title, " q50", " q75", 1)]
		switch {
		case is && low != nil && high != nil:
			m.measure, m.title = base, "median "+strings.Replace(m.title, " q50", "", 1)
			m.bands = "bands hold the middle half of the items."
			m.between(low, high)
		case quantile.MatchString(m.measure):
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

var quantile = regexp.MustCompile(`_q[0-9]+$`)

// between sets the bands to the values of two other measures.
func (m *measured) between(low, high *measured) {
	for site, all := range m.sites {
		for _, s := range all {
			for i := range s.Points {
				q := &s.Points[i]
				q.Low, q.High = min(q.Y, low.at(site, s.Name, *q)), max(q.Y, high.at(site, s.Name, *q))
			}
		}
	}
}

// at is the value of a set at the step of a point, or the point's own.
func (m *measured) at(site, set string, p curvePoint) float64 {
	for _, s := range m.sites[site] {
		i := slices.IndexFunc(s.Points, func(q curvePoint) bool { return q.X == p.X })
		if s.Name == set && i >= 0 {
			return s.Points[i].Y
		}
	}
	return p.Y
}

func byX(points []curvePoint) {
	slices.SortStableFunc(points, func(a, b curvePoint) int { return cmp.Compare(a.X, b.X) })
}

// capital writes the first letter of a title large.
func capital(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

// measures are those whose titles, or units on an axis, do not follow from their names.
var measures = map[string]struct{ title, unit string }{
	"mse":                   {"mean squared error", ""},
	"knn_accuracy":          {"K-NN accuracy", ""},
	"regions":               {"linear regions", ""},
	"dead":                  {"dead bits", ""},
	"saturated":             {"saturated bits", ""},
	"churn":                 {"share of bits that changed", "bits changed since the last step (share)"},
	"churn_bits":            {"number of bits that changed", "bits changed since the last step"},
	"moved":                 {"items that moved to another region", "items in another region (share)"},
	"robust_clean_accuracy": {"clean accuracy of the attacked items", "accuracy (share)"},
	"complexity":            {"", "local complexity (units)"},
	"redundancy":            {"", "redundancy (share of items)"},
	"entropy":               {"", "entropy (bits per unit)"},
	"margin":                {"", "margin (units of the logits)"},
	"cross_entropy":         {"", "cross entropy (nats)"},
	"robust_cross_entropy":  {"", "robust cross entropy (nats)"},
}

// titleOfMeasure is a measure in words.
func titleOfMeasure(measure string) string {
	return cmp.Or(measures[measure].title, strings.ReplaceAll(measure, "_", " "))
}

// unitOf is the title of the axis of a measure.
func unitOf(measure string) string {
	title := titleOfMeasure(measure)
	if strings.HasSuffix(measure, "accuracy") {
		title += " (share)"
	}
	return cmp.Or(measures[measure].unit, title)
}
