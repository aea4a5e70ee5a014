package onnx

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func reductionRules() map[string]func(call) ([]Fact, error) {
	rules := map[string]func(call) ([]Fact, error){}
	for _, op := range []string{"ArgMax", "ArgMin"} {
		rules[op] = func(c call) ([]Fact, error) { return reduce(c, []int64{c.n.Int("axis", 0)}, tensor.Int64) }
	}
	for _, op := range []string{"Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"} {
		rules["Reduce"+op] = func(c call) ([]Fact, error) {
			as, ok := c.ints(1, "axes")
			if !ok {
				return nil, nil
			}
			if len(as) == 0 && c.n.Int("noop_with_empty_axes", 0) == 1 {
				return one(c.same(0))
			}
			return reduce(c, as, c.at(0).DType)
		}
	}
	return rules
}

func reduce(c call, as []int64, d tensor.DType) ([]Fact, error) {
	x := c.at(0).Shape
	f := Fact{DType: d}
	if x == nil {
		return one(f)
	}
	where, err := axes(as, len(x))
	if err != nil {
		return nil, err
	}
	f.Shape = []int64{}
	for i, v := range x {
		gone := len(where) == 0 || slices.Contains(where, i)
		switch {
		case !gone:
			f.Shape = append(f.Shape, v)
		case c.n.Int("keepdims", 1) == 1:
			f.Shape = append(f.Shape, 1)
		}
	}
	combine := map[string]func(a, b float64) float64{"ReduceMax": math.Max, "ReduceMin": math.Min,
		"ReduceSum": add, "ReduceProd": mul}[c.n.Op]
	if in := c.at(0).Const; combine != nil && len(in) > 0 && count(f.Shape) == 1 && c.exact() {
		p := in[0]
		for _, v := range in[1:] {
			p = combine(p, v)
		}
		f.Const = []float64{p}
	}
	return one(f)
}

func topK(c call) ([]Fact, error) {
	f := c.same(0)
	k, ok := c.ints(1, "")
	if k == nil && ok {
		k = []int64{c.n.Int("k", -1)}
	}
	if f.Shape != nil {
		a, err := axis(c.n.Int("axis", -1), len(f.Shape))
		if err != nil {
			return nil, err
		}
		f.Shape = slices.Clone(f.Shape)
		f.Shape[a] = -1
		if ok && len(k) == 1 {
			f.Shape[a] = k[0]
		}
	}
	return []Fact{f, {DType: tensor.Int64, Shape: f.Shape}}, nil
}
