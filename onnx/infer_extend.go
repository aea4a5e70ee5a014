package onnx

import (
	"fmt"
	"math"
	"slices"
)

func expand(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	want, ok := c.ints(1, "shape")
	if !ok || c.at(0).Shape == nil {
		return one(f)
	}
	var err error
	if f.Shape, err = broadcast(c.at(0).Shape, append([]int64{}, want...)); err != nil {
		return nil, err
	}
	x := c.at(0)
	f.Const = pick(x, f.Shape, func(at []int64) {
		for a, d := range x.Shape {
			at[a] = at[a+len(at)-len(x.Shape)] % max(d, 1)
		}
	})
	return one(f)
}

func tile(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	reps, ok := c.ints(1, "repeats")
	if along, known := c.ints(2, ""); ok && c.opset < 6 && len(reps) == 1 && len(c.in) == 3 { // one axis at a time
		a, err := axis(append(along, -1)[0], len(c.at(0).Shape))
		if !known || c.at(0).Shape == nil || err != nil {
			return one(f)
		}
		n := reps[0]
		reps = slices.Repeat([]int64{1}, len(c.at(0).Shape))
		reps[a] = n
	}
	if x := c.at(0).Shape; x != nil && ok {
		if len(reps) != len(x) {
			return nil, fmt.Errorf("repeats %v do not fit shape %v", reps, x)
		}
		f.Shape = slices.Clone(x)
		for i, r := range reps {
			if r < 0 {
				return nil, fmt.Errorf("repeats %v", reps)
			}
			if f.Shape[i] >= 0 {
				f.Shape[i] = times(f.Shape[i], r)
			}
		}
		f.Const = pick(c.at(0), f.Shape, func(at []int64) {
			for a, d := range x {
				at[a] %= d
			}
		})
	}
	return one(f)
}

func pad(c call) ([]Fact, error) {
	f := c.same(0)
	pads, ok := c.ints(1, "pads")
	if old := c.n.Ints("paddings"); old != nil && c.opset < 2 {
		pads = old
	}
	if f.Shape == nil || !ok {
		f.Shape = nil
		return one(f)
	}
	as, ok := c.ints(3, "")
	if !ok {
		return one(Fact{DType: f.DType})
	}
	if as == nil {
		for i := range f.Shape {
			as = append(as, int64(i))
		}
	}
	where, err := axes(as, len(f.Shape))
	if err != nil || len(pads) != 2*len(where) {
		return nil, fmt.Errorf("pads %v do not fit shape %v", pads, f.Shape)
	}
	f.Shape = slices.Clone(f.Shape)
	for i, a := range where {
		if f.Shape[a] >= 0 {
			f.Shape[a] = plus(f.Shape[a], plus(pads[i], pads[i+len(where)]))
			if f.Shape[a] < 0 {
				return nil, fmt.Errorf("pads %v leave nothing of shape %v", pads, c.at(0).Shape)
			}
		}
	}
	return one(f)
}

func resize(c call) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil {
		return one(f)
	}
	where := make([]int, len(x))
	for i := range where {
		where[i] = i
	}
	f.Shape = slices.Repeat([]int64{-1}, len(x))
	if as := c.n.Ints("axes"); as != nil { // the others stay
		var err error
		if where, err = axes(as, len(x)); err != nil {
			return nil, err
		}
		f.Shape = slices.Clone(x)
		for _, a := range where {
			f.Shape[a] = -1
		}
	}
	scalesAt := 2
	if c.n.Op == "Upsample" || c.opset < 11 {
		scalesAt = 1
	}
	var scales []float64
	if c.n.Input(scalesAt) != "" {
		scales = c.at(scalesAt).Const
	} else if a := c.n.Attr("scales"); a != nil {
		for _, v := range a.Floats {
			scales = append(scales, float64(v))
		}
	}
	if len(scales) > 0 && len(scales) == len(where) {
		for i, a := range where {
			if d := x[a]; d >= 0 {
				// In float32, as runtimes compute it.
				f.Shape[a] = toInts([]float64{math.Floor(float64(float32(d) * float32(scales[i])))})[0]
				if f.Shape[a] < 0 {
					return nil, fmt.Errorf("scales %v", scales)
				}
			}
		}
	} else if s := c.at(3).Const; scalesAt == 2 && len(s) == len(where) && c.n.Str("keep_aspect_ratio_policy", "stretch") == "stretch" {
		for i, d := range toInts(s) {
			f.Shape[where[i]] = d
		}
	}
	return one(f)
}

func depthToSpace(c call) ([]Fact, error) { return blocks(c, c.n.Int("blocksize", 0), true) }
func spaceToDepth(c call) ([]Fact, error) { return blocks(c, c.n.Int("blocksize", 0), false) }

func blocks(c call, b int64, toSpace bool) ([]Fact, error) {
	f := c.same(0)
	if len(f.Shape) != 4 || b < 1 || b > 1<<20 {
		f.Shape = nil
		return one(f)
	}
	f.Shape = slices.Clone(f.Shape)
	for i := 1; i < 4; i++ {
		k := b
		if i == 1 {
			k = b * b
		}
		switch {
		case f.Shape[i] < 0:
		case (i == 1) == toSpace:
			if f.Shape[i]%k != 0 {
				return nil, fmt.Errorf("blocks of %d do not fit shape %v", b, c.at(0).Shape)
			}
			f.Shape[i] /= k
		default:
			f.Shape[i] = times(f.Shape[i], k)
		}
	}
	return one(f)
}
