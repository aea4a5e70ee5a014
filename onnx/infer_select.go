package onnx

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// selectionRules are of operators that pick by index, and of those whose sizes follow
// from the content of their inputs, which stay open.
func selectionRules() map[string]func(call) ([]Fact, error) {
	return map[string]func(call) ([]Fact, error){
		"Gather": gather, "GatherElements": likeSecond, "GatherND": gatherND, "com.microsoft.GatherND": gatherND, "TopK": topK, "OneHot": oneHot,
		"NonZero": nonZero, "Compress": compress, "Unique": unique,
		"NonMaxSuppression": func(call) ([]Fact, error) { return one(Fact{DType: tensor.Int64, Shape: []int64{-1, 3}}) },
	}
}

func gatherND(c call) ([]Fact, error) {
	x, idx := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if x == nil || idx == nil {
		return one(f)
	}
	if len(idx) == 0 {
		return nil, fmt.Errorf("indices of shape %v", idx)
	}
	k, batch := idx[len(idx)-1], c.n.Int("batch_dims", 0)
	if k < 0 {
		return one(f)
	}
	if batch < 0 || batch >= int64(len(idx)) || k < 1 || k > int64(len(x))-batch {
		return nil, fmt.Errorf("indices of shape %v into shape %v, %d axes of which are a batch", idx, x, batch)
	}
	f.Shape = append(slices.Clone(idx[:len(idx)-1]), x[batch+k:]...)
	return one(f)
}

func oneHot(c call) ([]Fact, error) {
	f := Fact{DType: c.at(2).DType}
	idx := c.at(0).Shape
	if idx == nil {
		return one(f)
	}
	a, err := axis(c.n.Int("axis", -1), len(idx)+1)
	if err != nil {
		return nil, err
	}
	depth := int64(-1)
	if d := c.at(1).Const; len(d) == 1 {
		if depth = toInts(d)[0]; depth < 0 {
			return nil, fmt.Errorf("a depth of %d", depth)
		}
	}
	f.Shape = slices.Insert(slices.Clone(idx), a, depth)
	return one(f)
}

// nonZero has a column for each element that is not 0.
func nonZero(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Int64}
	x := c.at(0)
	if x.Shape == nil {
		return one(f)
	}
	f.Shape = []int64{int64(len(x.Shape)), -1}
	if x.Const == nil || len(x.Shape)*len(x.Const) > maxConst {
		return one(f)
	}
	var places []int64
	for i, v := range x.Const {
		if v != 0 {
			places = append(places, int64(i))
		}
	}
	f.Shape[1] = int64(len(places))
	f.Const = []float64{}
	for a, d := range x.Shape {
		inner := count(x.Shape[a+1:])
		for _, p := range places {
			f.Const = append(f.Const, float64(p/inner%d))
		}
	}
	return one(f)
}

func compress(c call) ([]Fact, error) {
	f := c.same(0)
	if c.n.Attr("axis") == nil {
		f.Shape = []int64{-1}
	} else if f.Shape != nil {
		a, err := axis(c.n.Int("axis", 0), len(f.Shape))
		if err != nil {
			return nil, err
		}
		f.Shape = slices.Clone(f.Shape)
		f.Shape[a] = -1
	}
	return one(f)
}

func unique(c call) ([]Fact, error) {
	out, err := compress(c)
	if err != nil {
		return nil, err
	}
	places := Fact{DType: tensor.Int64, Shape: []int64{-1}}
	return append(out, places, places, places), nil
}
