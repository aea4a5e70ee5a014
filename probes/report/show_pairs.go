package report

import (
	"cmp"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"
)

// pairsOf are the groups of a histogram of distances.
func pairsOf(d mat.Symmetric, labels []string, labelled bool) (groups []binned, caption string) {
	if labelled {
		within, between := splitByLabel(d, labels)
		if len(within) > 0 {
			groups = append(groups, binned{"within a class", within})
		}
		if len(between) > 0 {
			groups = append(groups, binned{"between classes", between})
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
		groups = []binned{{"pairs of items", all}}
	}
	return groups, "Bits in which the codes of two items differ."
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
