package report

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/probes/partition"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// affineFile shows a map that affine -o wrote, by what its manifest says.
func affineFile(c *collector, r *shown) error {
	if len(r.settings.Map) == 0 {
		return fmt.Errorf("no manifest says that it holds the affine map of a region")
	}
	return affine(r, r.settings.Map)
}

// affine shows the map of an item's linear region, as affine --json gives it.
func affine(r *shown, b []byte) error {
	var a partition.Affine
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("reading the affine map: %w", err)
	}
	r.Kind = "affine"
	if n := len(a.Rows); len(a.Bias) != n || len(a.Value) != n || len(a.Norm) != n {
		return fmt.Errorf("reading the affine map: %d rows with %d values, %d norms and %d biases", n, len(a.Value), len(a.Norm), len(a.Bias))
	}
	var rows [][]string
	for i, k := range a.Rows {
		rows = append(rows, cells(k, num(a.Value[i]), num(a.Norm[i]), num(a.Bias[i])))
	}
	r.table(fmt.Sprintf("Rows of %q: value = <A, x> + b", a.Output),
		[]string{"row", "value", "norm of A", "b"}, rows...)
	switch {
	case len(a.Bent) > 0:
		r.alarm("Not exact: the network is not piecewise linear, so this is its tangent.")
	case a.Check != nil && a.Check.Exact:
		r.found("Exact: inside the region the map is the network, to within %.0e.", a.Check.Tolerance)
	}
	if a.OnKnot > 0 {
		r.alarm("%s exactly on a knot, where two regions meet.", text.Count(a.OnKnot, "unit"))
	}
	var sites []string
	ahead, behind := dotSeries{Name: "ahead"}, dotSeries{Name: "behind"}
	for _, s := range a.Sites {
		sites = append(sites, s.Site)
		ahead.Values, behind.Values = append(ahead.Values, to(s.Ahead)), append(behind.Values, to(s.Behind))
	}
	r.figure("Distances to the boundaries of the linear region, by site",
		fmt.Sprintf("From the item along the unit direction in which row %d grows fastest (ahead), and against "+
			"it (behind). The nearest of all sites is exact; further ones are where they would be if the map went "+
			"on.", a.Along))(
		dotChart("boundaries", axisTitles{X: "distance to the nearest boundary (units of the input)", LogX: true}, sites,
			ahead, behind))
	return nil
}

// to is the distance to a crossing, none where there is none.
func to(c *partition.Crossing) span {
	if c == nil || !finite(c.Distance) || c.Distance < 0 {
		return span{Value: math.NaN()}
	}
	return span{c.Distance, c.Distance, c.Distance}
}
