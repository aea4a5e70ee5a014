package report

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// comparison shows what compare --json says.
func comparison(r *shown, b []byte) error {
	var d probes.Diff
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("reading the comparison: %w", err)
	}
	return determinism(r, &d)
}

// comparisonTable shows the rows that compare -o writes, one a site.
func comparisonTable(c *collector, r *shown) error {
	t, err := r.read("site", "bits", "flips", "items", "margin", "scale", "for_a", "for_b")
	if err != nil {
		return err
	}
	var d probes.Diff
	if err := r.manifest.Summed(&d); err != nil {
		return err
	}
	d.Sites = nil
	whole := func(name string, i int) int64 {
		if v := t.number(name, i); v >= 0 && v < 1<<53 {
			return int64(v)
		}
		return 0
	}
	for i := range t.rows {
		s := probes.SiteDiff{Site: t.text("site", i), Bits: whole("bits", i), Flips: whole("flips", i),
			Items: int(whole("items", i)), Margin: t.number("margin", i), Scale: t.number("scale", i)}
		if finite(t.number("for_a", i)) && finite(t.number("for_b", i)) {
			a, b := whole("for_a", i), whole("for_b", i)
			s.ForA, s.ForB = &a, &b
		}
		d.Sites = append(d.Sites, s)
	}
	if r.settings.A != "" {
		r.note("Side a: %s. Side b: %s.", r.settings.A, r.settings.B)
	}
	return determinism(r, &d)
}

// determinism maps which sites' bits depend on the setting, and how near their knots the
// values behind them lie.
func determinism(r *shown, d *probes.Diff) error {
	r.Kind = "compare"
	if len(d.Sites) == 0 {
		return ErrNoData
	}
	t := Table{Caption: fmt.Sprintf("Bits that differ, of %s; the outputs differ by at most %.3g", text.Count(d.Items, "item"), d.Outputs),
		Head: []string{"site", "bits", "differ", "items", "largest margin", "of scale"}}
	var sites []string
	var margins []span
	differ := barSeries{Name: "bits that differ"}
	forA, forB := barSeries{Name: "side a is right"}, barSeries{Name: "side b is right"}
	flips, judged := int64(0), true
	for _, s := range d.Sites {
		million := func(n int64) float64 { return 1e6 * float64(n) / float64(max(s.Bits, 1)) }
		sites, differ.Values = append(sites, s.Site), append(differ.Values, million(s.Flips))
		flips += s.Flips
		row, of := []string{s.Site, text.Grouped(s.Bits), text.Grouped(s.Flips), text.Grouped(s.Items), "", ""}, math.NaN()
		if s.Flips > 0 {
			if row[4] = fmt.Sprintf("%.3g", s.Margin); s.Scale > 0 && finite(s.Margin) {
				of = s.Margin / s.Scale
				row[5] = fmt.Sprintf("%.3g", of)
			}
		}
		margins = append(margins, span{of, of, of})
		if s.ForA != nil && s.ForB != nil {
			forA.Values, forB.Values = append(forA.Values, million(*s.ForA)), append(forB.Values, million(*s.ForB))
		} else if judged = judged && s.Flips == 0; judged {
			forA.Values, forB.Values = append(forA.Values, 0), append(forB.Values, 0)
		}
		t.Rows = append(t.Rows, row)
	}
	r.Tables = append(r.Tables, t)
	r.flipped(d, flips)
	bars, caption := []barSeries{differ}, "Bits flip where a value lies within rounding of its knot."
	switch {
	case flips == 0:
		caption = "No bit differs: here codes do not depend on the setting."
	case judged && (d.Judge != "" || d.Sites[0].ForA != nil):
		bars = []barSeries{forA, forB}
		caption += " The judge's float64 value decides which side is right."
	}
	r.figure("Determinism map: bits that differ between the two settings, by site", caption)(
		barChart("flips", "bits that differ (per million)", sites, bars...))
	r.figure("How far from their knot the values of flipped bits lie, by site",
		"The largest distance to the knot among the bits that differ, over the largest value of the site. "+
			"Rounding of float32 is some 1e-7 an operation.")(
		dotChart("margins", axisTitles{X: "largest margin (share of the site's scale)", LogX: true}, sites,
			dotSeries{Name: "margin", Values: margins}))
	return nil
}
