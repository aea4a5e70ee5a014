package probes

import (
	"fmt"
	"io"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Print writes the comparison for people, a line a site. a and b are what the settings
// are called.
func (d *Diff) Print(w io.Writer, a, b string) {
	rows := [][]string{{"SITE", "BITS", "FLIPS", "ITEMS", "LARGEST MARGIN", "OF SCALE"}}
	if d.Judge != "" {
		rows[0] = append(rows[0], "FOR A", "FOR B")
	}
	var bits, flips int64
	for _, s := range d.Sites {
		bits, flips = bits+s.Bits, flips+s.Flips
		row := []string{s.Site, text.Grouped(s.Bits), text.Grouped(s.Flips), fmt.Sprint(s.Items), "", ""}
		if s.Flips > 0 {
			row[4] = fmt.Sprintf("%.3g", s.Margin)
			if s.Scale > 0 {
				row[5] = fmt.Sprintf("%.2g", s.Margin/s.Scale)
			}
			if d.Judge != "" {
				row = append(row, text.Grouped(*s.ForA), text.Grouped(*s.ForB))
			}
		}
		rows = append(rows, row)
	}
	text.Table(w, rows)
	fmt.Fprintf(w, "\n%s of %s differ, in %d of %s; the model's own outputs differ by at most %.3g\n",
		text.Grouped(flips), text.Count(bits, "bit"), d.Regions, text.Count(d.Items-d.Failed, "item"), d.Outputs)
	if d.Judge != "" {
		fmt.Fprintf(w, "float64 decides %s for a (%s) and %s for b (%s)\n",
			text.Grouped(*d.ForA), a, text.Grouped(*d.ForB), b)
	}
}

// Columns are the sites as rows. margin and scale are null where no bit differs, for_a
// and for_b without a judge.
func (d *Diff) Columns() []result.Column {
	n := len(d.Sites)
	site, margin, scale := make([]string, n), make([]float64, n), make([]float64, n)
	equal, unjudged := make([]bool, n), make([]bool, n)
	var whole [5][]int64 // bits, flips, items, for_a, for_b
	for k := range whole {
		whole[k] = make([]int64, n)
	}
	for i, s := range d.Sites {
		site[i], margin[i], scale[i], equal[i] = s.Site, s.Margin, s.Scale, s.Flips == 0
		whole[0][i], whole[1][i], whole[2][i] = s.Bits, s.Flips, int64(s.Items)
		if unjudged[i] = s.ForA == nil || s.ForB == nil; !unjudged[i] {
			whole[3][i], whole[4][i] = *s.ForA, *s.ForB
		}
	}
	return []result.Column{{Name: "site", Values: site}, {Name: "bits", Values: whole[0]},
		{Name: "flips", Values: whole[1]}, {Name: "items", Values: whole[2]},
		{Name: "margin", Values: margin, Null: equal}, {Name: "scale", Values: scale, Null: equal},
		{Name: "for_a", Values: whole[3], Null: unjudged}, {Name: "for_b", Values: whole[4], Null: unjudged}}
}
