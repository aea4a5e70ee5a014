package gorgonia

import (
	"slices"
	"strings"
)

// Operators lists the ONNX operators of the table, sorted. rewrite.Lower turns
// many more into these.
func Operators() []string {
	var names []string
	for n := range table {
		if !strings.Contains(n, ".") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}
