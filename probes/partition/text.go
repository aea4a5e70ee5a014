package partition

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Print writes the map for people: its rows, how far boundaries are, how it was checked
// and how far it is to be trusted. option is how whoever reads it asks for another row.
func (a *Affine) Print(w io.Writer, option string) {
	rows := [][]string{{"ROW", "VALUE", "NORM", "BIAS"}}
	for i, k := range a.Rows {
		rows = append(rows, []string{fmt.Sprint(k), digits(a.Value[i]), digits(a.Norm[i]), digits(a.Bias[i])})
	}
	text.Table(w, rows)
	named := fmt.Sprintf("row %d of %q", a.Along, a.Output)
	if a.Along == a.Largest && a.Direction != nil {
		named += ", the largest,"
	}
	switch {
	case a.Direction == nil:
		fmt.Fprintf(w, "\nThe weight of %s is 0: it grows in no direction, along which to look for boundaries. "+
			"Choose another with %s.\n", named, option)
	case len(a.Sites) == 0:
		fmt.Fprintf(w, "\nThe network has no site, hence no boundary to look for along the direction in which "+
			"%s grows fastest.\n", named)
	default:
		fmt.Fprintf(w, "\nDistances to boundaries along the direction in which %s grows fastest:\n\n", named)
		text.Table(w, distances(a.Sites))
	}
	if a.Check != nil {
		fmt.Fprintf(w, "\nThe map held against the network (differences relative to the largest output or bias, "+
			"bends to the row's norm):\n\n")
		text.Table(w, a.Check.table())
	}
	for _, s := range a.verdict() {
		fmt.Fprintf(w, "\n%s\n", s)
	}
}

func digits(v float64) string { return fmt.Sprintf("%.6g", v) }

func distances(sites []Distance) [][]string {
	rows := [][]string{{"SITE", "AHEAD", "UNIT", "BEHIND", "UNIT"}}
	for _, s := range sites {
		row := []string{s.Site, "none", "", "none", ""}
		for i, c := range []*Crossing{s.Ahead, s.Behind} {
			if c != nil {
				row[1+2*i], row[2+2*i] = digits(c.Distance), fmt.Sprint(c.Index)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *Check) table() [][]string {
	rows := [][]string{{"POINT", "DISTANCE", "DIFFERENCE", "BEND", "UNITS CHANGED"}}
	for _, s := range c.Sides {
		b, point := s.Beyond, ", half way"
		if b == nil {
			point = ", no boundary"
		}
		rows = append(rows, []string{s.Side + point, digits(s.At), relative(s.Error), "", fmt.Sprint(s.Changed)})
		if b == nil {
			continue
		}
		changed := fmt.Sprintf("%d, as predicted", b.Changed)
		if b.Changed != b.Tied || b.Crossed != b.Tied {
			changed = fmt.Sprintf("%d, with %d of %d predicted", b.Changed, b.Crossed, b.Tied)
		}
		rows = append(rows, []string{s.Side + ", beyond", digits(b.At), relative(b.Error), relative(b.Bend), changed})
	}
	return rows
}

// relative is a difference for people; the largest number stands for one that is
// not finite.
func relative(v float64) string {
	if v == math.MaxFloat64 {
		return "infinite"
	}
	return fmt.Sprintf("%.2g", v)
}

// verdict says in sentences how far the map is to be trusted.
func (a *Affine) verdict() (s []string) {
	say := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	if n := a.OnKnot; n > 0 {
		say("%s %s exactly on a knot (which counts as not above it) or with several largest elements (the first "+
			"counts). Unless that is so all around it, the item lies on a boundary, and the map is that of one of the "+
			"regions that meet there.", text.Count(n, "unit"), text.Are(n))
	}
	c := a.Check
	if c != nil {
		for _, side := range c.Sides {
			if side.Changed > 0 {
				say("%s changed before the boundary %s, so another is nearer than the one that was found.",
					text.Count(side.Changed, "unit"), side.Side)
			}
			if side.Beyond != nil && side.Beyond.Crossed == 0 {
				say("The boundary %s was not seen to be crossed: rounding hides it.", side.Side)
			}
		}
	}
	switch {
	case len(a.Bent) > 0:
		say("Not exact: the network is not piecewise linear, so this is its tangent. What bends: %s.", some(a.Bent))
	case a.Direction == nil:
	case c == nil:
		say("There is a boundary at distance 0 both ways, so there is nothing to check the map on.")
	case c.Exact:
		say("Exact: inside the region the map is the network, to within %.0e.", c.Tolerance)
	default:
		say("Not exact: inside the region the map and the network differ by %s, more than the %.0e of rounding.",
			relative(c.Error), c.Tolerance)
	}
	if len(a.Unwatched) > 0 {
		say("These have boundaries that were not looked for, since they are no sites: %s.", some(a.Unwatched))
	}
	return s
}

// some joins the first few names.
func some(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", text.Line(strings.Join(names[:most], ", ")), len(names)-most)
	}
	return text.Line(strings.Join(names, ", "))
}
