package onnx

import (
	"fmt"
	"math"
	"slices"
)

func flatten(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	if x := c.at(0).Shape; x != nil {
		a := c.n.Int("axis", 1)
		if a < 0 {
			a = plus(a, int64(len(x)))
		}
		if a < 0 || a > int64(len(x)) {
			return nil, fmt.Errorf("axis %d is outside a shape of rank %d", a, len(x))
		}
		f.Shape = []int64{count(x[:a]), count(x[a:])}
	}
	return one(f)
}

func reshape(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	want, ok := c.ints(1, "shape")
	if !ok {
		if s := c.at(1).Shape; len(s) == 1 && s[0] >= 0 {
			f.Shape = slices.Repeat([]int64{-1}, int(min(s[0], 64)))
		}
		return one(f)
	}
	x := c.at(0).Shape
	total := int64(-1)
	if x != nil {
		total = count(x)
	}
	f.Shape = make([]int64, len(want))
	open, rest := -1, int64(1)
	for i, d := range want {
		switch {
		case d == 0 && c.n.Int("allowzero", 0) == 0:
			if x != nil && i >= len(x) {
				return nil, fmt.Errorf("shape %v copies axis %d of an input of shape %v", want, i, x)
			}
			d = -1
			if x != nil {
				d = x[i]
			}
		case d == -1:
			if open >= 0 {
				return nil, fmt.Errorf("shape %v leaves two dimensions open", want)
			}
			open = i
			f.Shape[i] = -1
			continue
		case d < -1:
			return nil, fmt.Errorf("shape %v has dimension %d", want, d)
		}
		f.Shape[i] = d
		if rest >= 0 && d >= 0 {
			rest = times(rest, d)
		} else {
			rest = -1
		}
	}
	if total < 0 || rest < 0 || total == math.MaxInt64 || rest == math.MaxInt64 {
		return one(f)
	}
	if open >= 0 {
		if rest == 0 || total%rest != 0 {
			return nil, fmt.Errorf("an input of shape %v does not fit shape %v", x, want)
		}
		f.Shape[open] = total / rest
	} else if rest != total {
		return nil, fmt.Errorf("an input of shape %v does not fit shape %v", x, want)
	}
	return one(f)
}

// pick computes a constant of the given shape whose elements are x's, from where
// place turns an index of the result into.
func pick(x Fact, shape []int64, place func(at []int64)) []float64 {
	n := count(shape)
	if x.Const == nil || n < 0 || n > maxConst {
		return nil
	}
	out := make([]float64, 0, n)
	at := make([]int64, len(shape))
	for k := range n {
		for a, rest := len(shape)-1, k; a >= 0; a-- {
			at[a], rest = rest%shape[a], rest/shape[a]
		}
		place(at)
		off := int64(0)
		for a, d := range x.Shape {
			off = off*d + at[a]
		}
		out = append(out, x.Const[off])
	}
	return out
}

func transpose(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil {
		return one(f)
	}
	perm := c.n.Ints("perm")
	if perm == nil {
		for i := range x {
			perm = append(perm, int64(len(x)-1-i))
		}
	}
	if len(perm) != len(x) {
		return nil, fmt.Errorf("perm %v does not fit shape %v", perm, x)
	}
	for i, p := range perm {
		if p < 0 || p >= int64(len(x)) || slices.Contains(perm[:i], p) {
			return nil, fmt.Errorf("perm %v does not fit shape %v", perm, x)
		}
		f.Shape = append(f.Shape, x[p])
	}
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	f.Const = pick(c.at(0), f.Shape, func(at []int64) {
		from := make([]int64, len(at))
		for a, p := range perm {
			from[p] = at[a]
		}
		copy(at, from)
	})
	return one(f)
}

func squeeze(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	as, ok := c.ints(1, "axes")
	if x == nil || !ok {
		return one(f)
	}
	drop, err := axes(as, len(x))
	if err != nil {
		return nil, err
	}
	f.Shape = []int64{}
	for i, d := range x {
		gone := slices.Contains(drop, i)
		if gone && d != 1 && d != -1 {
			return nil, fmt.Errorf("axis %d of %v cannot be squeezed", i, x)
		}
		if len(as) == 0 && d == -1 {
			return one(Fact{DType: f.DType})
		}
		if !gone && !(len(as) == 0 && d == 1) {
			f.Shape = append(f.Shape, d)
		}
	}
	return one(f)
}

func unsqueeze(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType, Const: c.at(0).Const}
	as, ok := c.ints(1, "axes")
	if x == nil || !ok {
		return one(f)
	}
	rank := len(x) + len(as)
	add, err := axes(as, rank)
	if err != nil {
		return nil, err
	}
	rest := x
	for i := range rank {
		if slices.Contains(add, i) {
			f.Shape = append(f.Shape, 1)
		} else if len(rest) > 0 {
			f.Shape, rest = append(f.Shape, rest[0]), rest[1:]
		}
	}
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	return one(f)
}
