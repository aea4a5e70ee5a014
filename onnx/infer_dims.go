package onnx

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// count is the number of elements of a shape, -1 where a dimension is open.
func count(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return -1
		}
		n = times(n, d)
	}
	return n
}

// times and plus compute with sizes; beyond int64 they stay at its ends.
func times(a, b int64) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	switch {
	case (hi != 0 || lo > math.MaxInt64) && negative:
		return math.MinInt64
	case hi != 0 || lo > math.MaxInt64:
		return math.MaxInt64
	case negative:
		return -int64(lo)
	}
	return int64(lo)
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func plus(a, b int64) int64 {
	s := a + b
	switch {
	case a > 0 && b > 0 && s < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

// axis makes a possibly negative axis absolute.
func axis(a int64, rank int) (int, error) {
	if a < 0 && a >= -int64(rank) {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside a shape of rank %d", a, rank)
	}
	return int(a), nil
}

func axes(as []int64, rank int) ([]int, error) {
	if len(as) > rank {
		return nil, fmt.Errorf("%d axes of a shape of rank %d", len(as), rank)
	}
	out := make([]int, len(as))
	for i, a := range as {
		var err error
		if out[i], err = axis(a, rank); err != nil {
			return nil, err
		}
		if slices.Contains(out[:i], out[i]) {
			return nil, fmt.Errorf("axes %v name one axis twice", as)
		}
	}
	return out, nil
}

// broadcast is numpy's rule. Unknown dimensions give unknown ones, except beside
// a dimension larger than 1.
func broadcast(shapes ...[]int64) ([]int64, error) {
	rank := 0
	for _, s := range shapes {
		if s == nil {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := make([]int64, rank)
	for i := range out {
		out[i] = 1
		for _, s := range shapes {
			j := i - (rank - len(s))
			if j < 0 || s[j] == 1 {
				continue
			}
			switch {
			case out[i] == 1, out[i] == -1:
				out[i] = s[j]
			case s[j] != -1 && s[j] != out[i]:
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes[:min(len(shapes), 8)])
			}
		}
	}
	return out, nil
}
