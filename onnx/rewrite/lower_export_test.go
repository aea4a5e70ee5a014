package rewrite

import (
	"maps"
	"slices"
)

// Rows are the names of the table's rows.
func Rows() []string { return slices.Sorted(maps.Keys(lowerings)) }
