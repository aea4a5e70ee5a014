package enginetest

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// table is a list of cases being written.
type table []Case

type ts = []*tensor.Tensor

// add adds a case; what it returns holds until the next is added.
func (t *table) add(name string, m *onnx.Model, in ts, want ...*tensor.Tensor) *Case {
	*t = append(*t, Case{Name: name, Model: m, In: in, Want: want})
	return &(*t)[len(*t)-1]
}

// op is one operator with the first of in as the model's input and the rest as
// constants.
func (t *table) op(name, op string, in ts, want *tensor.Tensor, attrs ...*onnx.Attr) *Case {
	return t.add(name, unary(op, in, want, attrs...), in[:1], want)
}

// both is one operator with all of in as inputs.
func (t *table) both(name, op string, in ts, want *tensor.Tensor, attrs ...*onnx.Attr) *Case {
	return t.add(name, one(op, in, want, attrs...), in, want)
}

// parts is one operator with several outputs; a nil one is omitted.
func (t *table) parts(name, op string, in, want ts, attrs ...*onnx.Attr) *Case {
	m := build(func(b *builder) {
		shape := sizes(in[0])
		names := []string{b.in("x", in[0].DType, shape...)}
		for i, c := range in[1:] {
			names = append(names, b.constant(string(rune('a'+i)), c))
		}
		var outs []string
		for i, w := range want {
			if w == nil {
				outs = append(outs, "")
				continue
			}
			outs = append(outs, string(rune('p'+i)))
			b.outAny(outs[i], w.DType)
		}
		b.g.Nodes = append(b.g.Nodes, &onnx.Node{Name: "node", Op: op, Inputs: names, Outputs: outs, Attrs: attrs})
	})
	return t.add(name, m, in[:1], slices.DeleteFunc(slices.Clone(want), func(w *tensor.Tensor) bool { return w == nil })...)
}

// each is one operator that applies fn, the specification's formula, to every
// element; points are where it is tried.
func (t *table) each(name, op string, points []float64, fn func(float64) float64, attrs ...*onnx.Attr) *Case {
	x, y, most := make([]float32, len(points)), make([]float32, len(points)), 1.0
	for i, p := range points {
		x[i] = float32(p)
		v := fn(float64(x[i]))
		y[i] = float32(v)
		most = max(most, math.Abs(v))
	}
	return t.op(name, op, ts{f([]int{len(points)}, x...)}, f([]int{len(points)}, y...), attrs...).
		near(2e-6*most, "a rounded transcendental function, worked out in float64")
}

// near allows the outputs to differ.
func (c *Case) near(within float64, why string) *Case {
	c.Within, c.Why = within, why
	return c
}

// opset makes the model one of another version of the operators.
func (c *Case) opset(version int64) *Case {
	c.Model.Opsets[0].Version = version
	switch {
	case version < 9:
		c.Model.IR = 3
	case version > 20:
		c.Model.IR = 10
	case version > 18:
		c.Model.IR = 9
	}
	return c
}

// f makes a float32 tensor.
func f(shape []int, v ...float32) *tensor.Tensor { return tensor.Of(v, shape...) }

// i64 is a vector of int64, as shapes, axes and pads are.
func i64(v ...int64) *tensor.Tensor { return tensor.Of(append([]int64{}, v...), len(v)) }

// vec is a vector of float32.
func vec(v ...float32) *tensor.Tensor { return tensor.Of(append([]float32{}, v...), len(v)) }

// bits is a vector of bools, written as ones and zeros.
func bits(v ...int) *tensor.Tensor {
	d := make([]bool, len(v))
	for i := range v {
		d[i] = v[i] != 0
	}
	return tensor.Of(d, len(d))
}

// shaped is t in another shape.
func shaped(t *tensor.Tensor, shape ...int) *tensor.Tensor {
	return &tensor.Tensor{DType: t.DType, Shape: shape, Data: t.Data}
}

// count is first, first+1, ... in the given shape.
func count(first float32, shape ...int) *tensor.Tensor {
	v := make([]float32, tensor.Count(shape))
	for i := range v {
		v[i] = first + float32(i)
	}
	return tensor.Of(v, shape...)
}

// fill is one value everywhere.
func fill(v float32, shape ...int) *tensor.Tensor {
	d := make([]float32, tensor.Count(shape))
	for i := range d {
		d[i] = v
	}
	return tensor.Of(d, shape...)
}

// mixed is small integers from -m to m in no order that a mistake in strides
// would keep.
func mixed(m, seed int, shape ...int) *tensor.Tensor {
	v := make([]float32, tensor.Count(shape))
	s := uint32(2*seed + 1)
	for i := range v {
		s = s*1664525 + 1013904223
		v[i] = float32(int(s>>16)%(2*m+1) - m)
	}
	return tensor.Of(v, shape...)
}

// broadcast applies fn to a and b, elements of which are found one by one.
func broadcast(a, b *tensor.Tensor, fn func(x, y float32) float32) *tensor.Tensor {
	rank := max(len(a.Shape), len(b.Shape))
	size := func(t *tensor.Tensor, axis int) int {
		if axis -= rank - len(t.Shape); axis >= 0 {
			return t.Shape[axis]
		}
		return 1
	}
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = max(size(a, i), size(b, i))
	}
	at := func(t *tensor.Tensor, index []int) float32 {
		k := 0
		for i, n := range index {
			k = k*size(t, i) + n%size(t, i)
		}
		return tensor.Data[float32](t)[k]
	}
	out := make([]float32, tensor.Count(shape))
	index := make([]int, rank)
	for k := range out {
		rest := k
		for i := rank - 1; i >= 0; i-- {
			index[i], rest = rest%shape[i], rest/shape[i]
		}
		out[k] = fn(at(a, index), at(b, index))
	}
	return tensor.Of(out, shape...)
}
