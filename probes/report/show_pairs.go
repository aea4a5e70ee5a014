package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"
)

// pairsOf are the groups of a histogram of distances.
func pairsOf(d mat.Symmetric, labels []string, labelled bool) (groups []Values, caption string) {
	if labelled {
		within, between := Split(d, labels)
		if len(within) > 0 {
			groups = append(groups, Values{"within a class", within})
		}
		if len(between) > 0 {
			groups = append(groups, Values{"between classes", between})
		}
		if groups != nil {
			return groups, "Bits in which the codes of two items differ; the further apart the two curves, the better codes tell classes apart."
		}
	}
	var all []float64
	for i := range d.SymmetricDim() {
		for j := i + 1; j < d.SymmetricDim(); j++ {
			all = append(all, d.At(i, j))
		}
	}
	if all != nil {
		groups = []Values{{"pairs of items", all}}
	}
	return groups, "Bits in which the codes of two items differ."
}

// sortByGroup orders places by their groups: numbers by size, then names.
func sortByGroup(points []Marked) {
	slices.SortStableFunc(points, func(a, b Marked) int { return byNumber(a.Group, b.Group) })
}

func byNumber(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	switch {
	case errX == nil && errY == nil:
		return cmp.Compare(x, y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// search shows what a search found.
func search(c *collector, r *shown) error {
	t, err := r.read("query", "rank", "distance")
	if err != nil {
		return err
	}
	var first, rest []float64
	queries := map[string]bool{}
	for i := range t.rows {
		queries[t.text("query", i)] = true
		switch d := t.number("distance", i); {
		case !finite(d):
		case t.number("rank", i) == 1:
			first = append(first, d)
		default:
			rest = append(rest, d)
		}
	}
	r.Tables = append(r.Tables, Table{Caption: "Search", Head: []string{"queries", "neighbors"}, Rows: [][]string{{fmt.Sprint(len(queries)), fmt.Sprint(t.rows)}}})
	var groups []Values
	for _, g := range []Values{{"the nearest", first}, {"the others found", rest}} {
		if g.Values != nil {
			groups = append(groups, g)
		}
	}
	f, err := Histogram("neighbors", "Hamming distance (bits)", groups...)
	return r.figure("Distances of the neighbors found", "Bits in which a neighbor's code differs from its query's.", f, err)
}

// dedup shows groups of duplicates.
func dedup(c *collector, r *shown) error {
	t, err := r.read("group", "size", "distance")
	if err != nil {
		return err
	}
	sizes := map[float64]float64{}
	var far []float64
	for i := range t.rows {
		if g, s := t.number("group", i), t.number("size", i); finite(g) && finite(s) {
			sizes[g] = s
		}
		if d := t.number("distance", i); finite(d) {
			far = append(far, d)
		}
	}
	var all []float64
	for _, s := range sizes {
		all = append(all, s)
	}
	slices.Sort(all)
	r.Tables = append(r.Tables, Table{Caption: "Duplicates", Head: []string{"groups", "items in them", "items too many"},
		Rows: [][]string{{fmt.Sprint(len(sizes)), fmt.Sprint(t.rows), fmt.Sprint(t.rows - len(sizes))}}})
	f, err := Histogram("groups", "items of a group", Values{"groups", all})
	if err := r.figure("Sizes of the groups of duplicates", "Items of a group have equal or nearly equal codes.", f, err); err != nil || slices.Max(append(far, 0)) == 0 {
		return err
	}
	f, err = Histogram("group-distances", "Hamming distance from the group's first (bits)", Values{"items", far})
	return r.figure("Distances within the groups", "Bits in which an item's code differs from that of its group's first.", f, err)
}
