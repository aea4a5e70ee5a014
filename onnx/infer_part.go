package onnx

import (
	"fmt"
	"math"
	"slices"
)

func concat(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	consts, along := true, 0
	for i := range c.in {
		s := c.in[i].Shape
		consts = consts && c.in[i].Const != nil
		if s == nil {
			return one(Fact{DType: f.DType})
		}
		if i == 0 {
			f.Shape = slices.Clone(s)
			continue
		}
		a, err := axis(c.n.Int("axis", 1), len(s)) // 1 by default before version 4
		if err != nil {
			return nil, err
		}
		if along = a; len(s) != len(f.Shape) {
			return nil, fmt.Errorf("shapes %v do not concatenate", c.shapes())
		}
		for j := range s {
			switch {
			case j == a && (s[j] < 0 || f.Shape[j] < 0):
				f.Shape[j] = -1
			case j == a:
				f.Shape[j] = plus(f.Shape[j], s[j])
			case f.Shape[j] < 0:
				f.Shape[j] = s[j]
			case s[j] >= 0 && s[j] != f.Shape[j]:
				return nil, fmt.Errorf("shapes %v do not concatenate along axis %d", c.shapes(), a)
			}
		}
	}
	if n := count(f.Shape); !consts || n < 0 || n > maxConst {
		return one(f)
	}
	for row := range count(f.Shape[:along]) {
		for _, x := range c.in {
			n := count(x.Shape[along:])
			f.Const = append(f.Const, x.Const[row*n:][:n]...)
		}
	}
	return one(f)
}

func split(c call) ([]Fact, error) {
	x := c.at(0).Shape
	outs := make([]Fact, len(c.n.Outputs))
	for i := range outs {
		outs[i].DType = c.at(0).DType
	}
	if x == nil || len(outs) > maxConst {
		return outs, nil
	}
	a, err := axis(c.n.Int("axis", 0), len(x))
	if err != nil {
		return nil, err
	}
	sizes, ok := c.ints(1, "split")
	if !ok {
		sizes = nil
	}
	parts := c.n.Int("num_outputs", int64(len(outs)))
	if parts != int64(len(outs)) || parts < 1 {
		return nil, fmt.Errorf("it is split into %d parts and has %d outputs", parts, len(outs))
	}
	total := int64(0)
	for _, n := range sizes {
		if n < 0 {
			return nil, fmt.Errorf("it is split into %v", sizes)
		}
		total = plus(total, n)
	}
	if len(sizes) > 0 && (len(sizes) != len(outs) || x[a] >= 0 && total != x[a]) {
		return nil, fmt.Errorf("%d outputs and the split %v for an axis of %d", len(outs), sizes, x[a])
	}
	first := int64(0)
	for i := range outs {
		outs[i].Shape = slices.Clone(x)
		switch {
		case !ok || x[a] < 0 && len(sizes) == 0:
			outs[i].Shape[a] = -1
		case len(sizes) > 0:
			outs[i].Shape[a] = sizes[i]
		default:
			chunk := (x[a] + parts - 1) / parts
			outs[i].Shape[a] = max(min(chunk, x[a]-chunk*int64(i)), 0)
		}
		if x[a] >= 0 {
			outs[i].Const = pick(c.at(0), outs[i].Shape, func(at []int64) { at[a] += first })
			first += outs[i].Shape[a]
		}
	}
	return outs, nil
}

func slice(c call) ([]Fact, error) {
	x := c.at(0)
	f := Fact{DType: x.DType}
	if x.Shape == nil {
		return one(f)
	}
	starts, ok1 := c.ints(1, "starts")
	ends, ok2 := c.ints(2, "ends")
	as, ok3 := c.ints(3, "axes")
	steps, ok4 := c.ints(4, "")
	f.Shape = slices.Clone(x.Shape)
	if !ok3 {
		return one(Fact{DType: f.DType, Shape: slices.Repeat([]int64{-1}, len(x.Shape))})
	}
	if as == nil {
		if !ok1 || !ok2 {
			return one(Fact{DType: f.DType, Shape: slices.Repeat([]int64{-1}, len(x.Shape))})
		}
		for i := range max(len(starts), len(ends)) {
			as = append(as, int64(i))
		}
	}
	where, err := axes(as, len(x.Shape))
	if err != nil {
		return nil, err
	}
	if !ok1 || !ok2 || !ok4 {
		for _, a := range where {
			f.Shape[a] = -1
		}
		return one(f)
	}
	if len(starts) != len(where) || len(ends) != len(where) || steps != nil && len(steps) != len(where) {
		return nil, fmt.Errorf("%d starts, %d ends and %d axes do not fit", len(starts), len(ends), len(where))
	}
	first, stride := make([]int64, len(x.Shape)), slices.Repeat([]int64{1}, len(x.Shape))
	for i, a := range where {
		d, st, en, step := x.Shape[a], starts[i], ends[i], int64(1)
		if steps != nil {
			step = steps[i]
		}
		if step == 0 || step == math.MinInt64 {
			return nil, fmt.Errorf("step %d", step)
		}
		if d < 0 {
			f.Shape[a] = -1
			continue
		}
		lo, hi := int64(0), d
		if step < 0 {
			lo, hi = -1, d-1
		}
		bound := func(v, lo int64) int64 {
			if v < 0 {
				v = plus(v, d)
			}
			return min(max(v, lo), hi)
		}
		st, en = bound(st, 0), bound(en, lo)
		n := int64(0)
		if step > 0 && en > st {
			n = (en-st-1)/step + 1
		} else if step < 0 && st > en {
			n = (st-en-1)/-step + 1
		}
		f.Shape[a], first[a], stride[a] = n, st, step
	}
	f.Const = pick(x, f.Shape, func(at []int64) {
		for a := range at {
			at[a] = first[a] + at[a]*stride[a]
		}
	})
	return one(f)
}

func gather(c call) ([]Fact, error) {
	x, idx := c.at(0), c.at(1)
	f := Fact{DType: x.DType}
	if x.Shape == nil || idx.Shape == nil {
		return one(f)
	}
	a, err := axis(c.n.Int("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	f.Shape = slices.Concat(x.Shape[:a], idx.Shape, x.Shape[a+1:])
	if f.Shape == nil {
		f.Shape = []int64{}
	}
	places, d := toInts(idx.Const), x.Shape[a]
	for k, i := range places {
		if i < 0 {
			i = plus(i, d)
		}
		if d >= 0 && (i < 0 || i >= d) {
			return nil, fmt.Errorf("index %d is outside an axis of %d", places[k], d)
		}
		places[k] = i
	}
	if n := count(f.Shape); x.Const == nil || idx.Const == nil || n < 0 || n > maxConst {
		return one(f)
	}
	f.Const = []float64{}
	n := count(x.Shape[a+1:])
	for row := range count(x.Shape[:a]) {
		for _, i := range places {
			f.Const = append(f.Const, x.Const[(row*d+i)*n:][:n]...)
		}
	}
	return one(f)
}
