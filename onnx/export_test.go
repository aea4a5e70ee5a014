package onnx

import (
	"maps"
	"slices"
)

// Inferred are the names of the operators that shapes are inferred of.
func Inferred() []string { return slices.Sorted(maps.Keys(inference)) }
