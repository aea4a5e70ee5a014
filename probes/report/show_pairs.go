package report

import (
	"cmp"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"
)

// pairsOf are the groups of a histogram of distances.
func pairsOf(d mat.Symmetric, labels []string, labelled bool) (groups []binned, caption string) {
	const what = "Bits in which the codes of two items differ"
	if labelled {
		within, between := splitByLabel(d, labels)
		if groups = filled(binned{"within a class", within}, binned{"between classes", between}); len(groups) > 0 {
			return groups, what + "; the further apart the two curves, the better codes tell classes apart."
		}
	}
	all, _ := splitByLabel(d, slices.Repeat([]string{"any"}, d.SymmetricDim()))
	return filled(binned{"pairs of items", all}), what + "."
}

// filled are the groups that have values.
func filled(groups ...binned) []binned {
	return slices.DeleteFunc(groups, func(g binned) bool { return g.Values == nil })
}

// sortByGroup orders places by their groups: numbers by size, then names.
func sortByGroup(points []marked) {
	slices.SortStableFunc(points, func(a, b marked) int { return byNumber(a.Group, b.Group) })
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
