package text

import (
	"slices"
	"strings"
)

// Nearest are the choices, three at most, that a misspelt name may have meant: those it is the
// beginning or a part of and those with the fewest letters added, left out, changed or swapped,
// a third of the name's at most. Upper and lower case are one. None means that none is near.
func Nearest(name string, choices []string) []string {
	name = strings.ToLower(name)
	least := max(1, len(name)/3)
	if len(name) > 1 && len(name) < 6 {
		least = min(2, len(name)-1)
	}
	var near, parts []string
	for _, c := range choices {
		low := strings.ToLower(c)
		if len(name) > 2 && (strings.HasPrefix(low, name) || strings.HasPrefix(name, low) && len(low) > 2) {
			parts = append(parts, c)
		}
		switch d := edits(name, low); {
		case d < least:
			least, near = d, []string{c}
		case d == least:
			near = append(near, c)
		}
	}
	if near == nil || least > 1 && parts != nil {
		near = append(parts, near...)
	}
	slices.Sort(near)
	near = slices.Compact(near)
	return near[:min(3, len(near))]
}

// DidYouMean is the remedy for a misspelt name: the nearest choices, or all of them, called what.
func DidYouMean(name, what string, choices []string) string {
	if near := Nearest(name, choices); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return what + " " + strings.Join(choices, ", ")
}

// edits is the number of letters to add, leave out, change, or swap with the next, that make
// b of a.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
