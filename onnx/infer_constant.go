package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// constantRules are of operators whose outputs' content follows from shapes or
// constants alone.
func constantRules() map[string]func(call) ([]Fact, error) {
	return map[string]func(call) ([]Fact, error){
		"Constant": constant, "ConstantOfShape": constantOfShape, "EyeLike": eyeLike, "Range": rangeOf, "Shape": shapeOf, "Size": sizeOf,
	}
}

func constant(c call) ([]Fact, error) {
	values := 0
	for _, a := range c.n.Attrs {
		if a.Name == "value" || strings.HasPrefix(a.Name, "value_") || a.Name == "sparse_value" {
			values++
		}
	}
	if values > 1 {
		return nil, fmt.Errorf("it has %d values, want one", values)
	}
	if t := constantOf(c.n); t != nil {
		return one(c.constant(t))
	}
	return nil, nil
}

func constantOfShape(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Float32}
	v := 0.0
	if a := c.n.Attr("value"); a != nil && a.Tensor != nil {
		f.DType = a.Tensor.DType
		v = math.NaN()
		if f := c.constant(a.Tensor); len(f.Const) == 1 {
			v = f.Const[0]
		}
	}
	if shape, ok := c.ints(0, ""); ok {
		f.Shape = append([]int64{}, shape...)
		if slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
			return nil, fmt.Errorf("the shape %v is not possible", shape)
		}
		if n := count(shape); n <= maxConst && !math.IsNaN(v) {
			f.Const = slices.Repeat([]float64{v}, int(n))
		}
	}
	return one(f)
}

func shapeOf(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Int64}
	s := c.at(0).Shape
	if s == nil {
		return one(f)
	}
	clamp := func(v int64) int64 {
		if v < 0 {
			v = plus(v, int64(len(s)))
		}
		return min(max(v, 0), int64(len(s)))
	}
	start, end := clamp(c.n.Int("start", 0)), clamp(c.n.Int("end", int64(len(s))))
	s = s[start:max(start, end)]
	f.Shape = []int64{int64(len(s))}
	if !slices.Contains(s, -1) {
		f.Const = []float64{}
		for _, d := range s {
			f.Const = append(f.Const, float64(d))
		}
	}
	return one(f)
}

func rangeOf(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType, Shape: []int64{-1}}
	a, b, s := c.at(0).Const, c.at(1).Const, c.at(2).Const
	if len(a) == 1 && len(b) == 1 && len(s) == 1 && s[0] != 0 {
		n := math.Max(math.Ceil(round(f.DType, b[0]-a[0])/s[0]), 0)
		if n > maxElements {
			return nil, fmt.Errorf("a range of %g numbers: %w", n, ErrTooLarge)
		}
		if math.IsNaN(n) || !c.exact() {
			return one(f)
		}
		f.Shape[0] = int64(n)
		if n <= maxConst {
			f.Const = []float64{}
			sum := a[0]
			for i := range int(n) {
				v := round(f.DType, a[0]+float64(i)*s[0])
				if f.Const = append(f.Const, v); v != sum { // runtimes differ in whether they add or multiply
					f.Const = nil
					break
				}
				sum = round(f.DType, sum+s[0])
			}
		}
	}
	return one(f)
}

func sizeOf(c call) ([]Fact, error) {
	f := Fact{DType: tensor.Int64, Shape: []int64{}}
	if n := count(c.at(0).Shape); c.at(0).Shape != nil && n >= 0 {
		f.Const = []float64{float64(n)}
	}
	return one(f)
}

func eyeLike(c call) ([]Fact, error) {
	return one(Fact{DType: tensor.DType(c.n.Int("dtype", int64(c.at(0).DType))), Shape: c.at(0).Shape})
}

func drawn(c call) ([]Fact, error) {
	return one(Fact{DType: tensor.DType(c.n.Int("dtype", int64(tensor.Float32))), Shape: slices.Clone(c.n.Ints("shape"))})
}

func randomLike(c call) ([]Fact, error) {
	return one(Fact{DType: tensor.DType(c.n.Int("dtype", int64(c.at(0).DType))), Shape: c.at(0).Shape})
}
