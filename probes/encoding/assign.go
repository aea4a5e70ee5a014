package encoding

import (
	"math"
	"slices"
)

// purityOf is the share of items whose label is the most frequent one of their
// cluster. Several clusters may stand for one label, and with as many clusters as
// items it is 1: it is never smaller than the accuracy of a one-to-one match.
func purityOf(cluster []int, labels []Label) float64 {
	counts, _ := contingency(cluster, labels)
	right := 0
	for _, row := range counts {
		right += slices.Max(append(row, 0))
	}
	return ratio(right, len(labels))
}

// matchedShare is the share of items whose label is the one matched to their cluster, by
// the one-to-one matching of clusters and labels that makes it the largest (the
// Hungarian method). Clusters beyond the number of labels match none.
func matchedShare(cluster []int, labels []Label) float64 {
	counts, classes := contingency(cluster, labels)
	cost := table[float64](len(counts), len(classes))
	for i, row := range counts {
		for j, n := range row {
			cost[i][j] = -float64(n)
		}
	}
	right := 0
	for i, j := range Assign(cost) {
		if j >= 0 {
			right += counts[i][j]
		}
	}
	return ratio(right, len(labels))
}

// contingency counts the items of each cluster, 0 and up, by label.
func contingency(cluster []int, labels []Label) (counts [][]int, all []Label) {
	all, of := classes(labels)
	counts = table[int](slices.Max(append(slices.Clip(cluster), -1))+1, len(all))
	for i, k := range cluster {
		counts[k][of[i]]++
	}
	return counts, all
}

// table is rows of numbers.
func table[T any](rows, columns int) [][]T {
	t := make([][]T, rows)
	for i := range t {
		t[i] = make([]T, columns)
	}
	return t
}

// Assign gives every row of a table of costs a column of its own, so that the sum of
// the costs is the least there is; -1 where there are more rows than columns. It is
// the Hungarian method with potentials, of cubic time.
func Assign(cost [][]float64) []int {
	rows := len(cost)
	if rows == 0 {
		return nil
	}
	cols := len(cost[0])
	got := slices.Repeat([]int{-1}, rows)
	if rows > cols { // the other way round
		turned := table[float64](cols, rows)
		for i, row := range cost {
			for j, v := range row {
				turned[j][i] = v
			}
		}
		for j, i := range Assign(turned) {
			got[i] = j
		}
		return got
	}
	// Row 0 and column 0 stand for none.
	u, v := make([]float64, rows+1), make([]float64, cols+1)
	row := make([]int, cols+1) // the row that has a column
	from := make([]int, cols+1)
	for i := 1; i <= rows; i++ {
		row[0] = i
		slack, seen := slices.Repeat([]float64{math.Inf(1)}, cols+1), make([]bool, cols+1)
		j := 0
		for row[j] != 0 {
			seen[j] = true
			at, next, step := row[j], 0, math.Inf(1)
			for k := 1; k <= cols; k++ {
				if seen[k] {
					continue
				}
				if d := cost[at-1][k-1] - u[at] - v[k]; d < slack[k] {
					slack[k], from[k] = d, j
				}
				if slack[k] < step {
					step, next = slack[k], k
				}
			}
			for k := range seen {
				if seen[k] {
					u[row[k]] += step
					v[k] -= step
				} else {
					slack[k] -= step
				}
			}
			j = next
		}
		for j != 0 {
			row[j] = row[from[j]]
			j = from[j]
		}
	}
	for j := 1; j <= cols; j++ {
		if row[j] > 0 {
			got[row[j]-1] = j - 1
		}
	}
	return got
}
