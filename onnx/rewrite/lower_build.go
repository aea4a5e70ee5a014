package rewrite

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

type attrs = map[string]any

// op adds a node of the dialect and returns its output. What is wrong with it is
// kept in l.err, so that a row can be written as one expression.
func (l *lowering) op(op string, a attrs, in ...string) string {
	if l.err != nil {
		return ""
	}
	facts := make([]onnx.Fact, len(in))
	for i, name := range in {
		f := l.facts[name]
		if name == "" || !f.Known() || f.DType == tensor.Undefined {
			l.err = left("the shape of %q is not known", name)
			return ""
		}
		list := i > 0 && (op == "Reshape" || op == "Expand") // of a scalar it is empty
		if slices.Contains(f.Shape, 0) && !list {
			l.err = left("its input %q of shape %v is empty", name, f.Shape)
			return ""
		}
		facts[i] = f
	}
	out := l.Op(op, a, in...)
	n := l.Graph.Nodes[len(l.Graph.Nodes)-1]
	got, err := n.Infer(DialectOpset, facts)
	switch {
	case err != nil:
		l.err = left("%v", err)
	case len(got) == 0 || !got[0].Known() || slices.Contains(got[0].Shape, 0):
		l.err = left("the shape of its %s is not known or empty", op)
	default:
		l.facts[out], l.maker[out] = got[0], n
	}
	return out
}

// shape is a value's complete shape; without one the row is given up.
func (l *lowering) shape(v string) []int64 {
	f := l.facts[v]
	if v == "" || !f.Known() {
		if l.err == nil {
			l.err = left("the shape of %q is not known", v)
		}
		return nil
	}
	return f.Shape
}

func (l *lowering) dtype(v string) tensor.DType { return l.facts[v].DType }

// constant is the tensor that a fact's content says, nil when there is none that
// it says exactly: facts hold every number as a float64.
func constant(f onnx.Fact) *tensor.Tensor {
	if f.Known() && size(f.Shape) == 0 {
		f.Const = []float64{} // all there is of an empty value
	}
	if f.Const == nil || !f.Known() || size(f.Shape) != int64(len(f.Const)) || !computable(f.DType) || f.DType == tensor.Undefined {
		return nil
	}
	if !f.DType.IsFloat() {
		for _, v := range f.Const {
			if math.Abs(v) >= 1<<53 {
				return nil
			}
		}
	}
	t := fill(f.DType, f.Shape, f.Const)
	for i, v := range t.Float64s() {
		if v != f.Const[i] && !(math.IsNaN(v) && math.IsNaN(f.Const[i])) {
			return nil
		}
	}
	return t
}

// exact reports whether float64 holds all of a constant's numbers.
func exact(t *tensor.Tensor) bool {
	return t.DType.IsFloat() || !slices.ContainsFunc(t.Float64s(), func(v float64) bool { return math.Abs(v) >= 1<<53 })
}

// size is the number of elements of a complete shape.
func size(shape []int64) int64 {
	n := int64(1)
	if slices.Contains(shape, 0) {
		return 0
	}
	for _, d := range shape {
		if n > math.MaxInt64/d {
			return math.MaxInt64
		}
		n *= d
	}
	return n
}

func sizes(shape []int64) []int {
	out := make([]int, len(shape))
	for i, d := range shape {
		out[i] = int(d)
	}
	return out
}

// fill makes a tensor of any computable type; each value is rounded once.
func fill(d tensor.DType, shape []int64, v []float64) *tensor.Tensor {
	t, err := tensor.New(d, sizes(shape)...)
	if err != nil {
		panic(fmt.Sprintf("rewrite: %v", err)) // callers ask for computable types and counted shapes
	}
	switch dst := t.Data.(type) {
	case []float64:
		copy(dst, v)
	case []float32:
		convert(dst, v)
	case []int8:
		convert(dst, v)
	case []uint8:
		convert(dst, v)
	case []int16:
		convert(dst, v)
	case []int32:
		convert(dst, v)
	case []uint32:
		convert(dst, v)
	case []int64:
		convert(dst, v)
	case []uint64:
		convert(dst, v)
	case []bool:
		for i := range dst {
			dst[i] = v[i] != 0
		}
	case []uint16:
		for i := range dst {
			switch d {
			case tensor.Float16:
				dst[i] = tensor.Float32ToHalf(float32(v[i]))
			case tensor.BFloat16:
				dst[i] = tensor.Float32ToBFloat(float32(v[i]))
			default:
				dst[i] = uint16(v[i])
			}
		}
	}
	return t
}

func convert[T float32 | int8 | uint8 | int16 | int32 | uint32 | int64 | uint64](dst []T, v []float64) {
	for i := range dst {
		dst[i] = T(v[i])
	}
}

// afford reports whether a constant of n elements may still be made.
func (l *lowering) afford(n int64) bool {
	if n < 0 || n > l.budget {
		if l.err == nil {
			l.err = left("a constant of %d elements is too large", n)
		}
		return false
	}
	l.budget -= n
	return true
}

// make adds a constant, or finds the equal one.
func (l *lowering) make(t *tensor.Tensor) string {
	before := len(l.Graph.Initializers)
	name := l.Const(t)
	if len(l.Graph.Initializers) > before {
		c := l.Graph.Initializers[before]
		l.consts[name] = c
		f := onnx.Fact{DType: t.DType, Shape: append([]int64{}, c.Dims...)}
		if tensor.Count(t.Shape) <= 4096 {
			f.Const = t.Float64s()
		}
		l.facts[name] = f
	}
	return name
}

// list is a constant vector of int64.
func (l *lowering) list(v ...int64) string { return l.make(tensor.Of(v, len(v))) }

// scalar is a constant of rank 0 in like's type.
func (l *lowering) scalar(like string, v float64) string {
	return l.vector(like, nil, v)
}

// vector is a constant in like's type.
func (l *lowering) vector(like string, shape []int64, v ...float64) string {
	d := l.dtype(like)
	if d == tensor.Undefined || !computable(d) || size(shape) != int64(len(v)) {
		if l.err == nil {
			l.err = left("the type of %q is not known", like)
		}
		return ""
	}
	return l.make(fill(d, shape, v))
}

// known is the content of a constant, nil when v is none. A broken tensor is none.
func (l *lowering) known(v string) *tensor.Tensor {
	if v == "" {
		return nil
	}
	if c := l.consts[v]; c != nil && computable(c.DType) {
		if t, err := l.Model.Values(c); err == nil {
			return t
		}
		return nil
	}
	return constant(l.facts[v])
}

// ints is a list that is a constant input or an attribute; ok is false when it is
// an input that is not constant. Absent both, the list is nil.
func (l *lowering) ints(n *onnx.Node, i int, attr string) (v []int64, ok bool) {
	if n.Input(i) == "" {
		return n.Ints(attr), true
	}
	t := l.known(n.Input(i))
	if t == nil || t.DType.IsFloat() {
		return nil, false
	}
	if d, ok := t.Data.([]int64); ok {
		return append([]int64{}, d...), true
	}
	v = []int64{}
	for _, f := range t.Float64s() {
		v = append(v, int64(f))
	}
	return v, true
}

// cast converts a value, once for all readers; a constant becomes another constant.
func (l *lowering) cast(v string, to tensor.DType) string {
	from := l.dtype(v)
	if l.err != nil || from == to {
		return v
	}
	if c, ok := l.casts[cast{v, to}]; ok {
		return c.Outputs[0]
	}
	if from.IsFloat() && (to == tensor.Float32 || to == tensor.Float64) {
		if t := l.known(v); t != nil && l.afford(int64(tensor.Count(t.Shape))) {
			return l.make(fill(to, l.facts[v].Shape, t.Float64s()))
		}
	}
	out := l.op("Cast", attrs{"to": int(to)}, v)
	if l.err == nil {
		l.casts[cast{v, to}] = l.maker[out]
		l.added = append(l.added, cast{v, to})
	}
	return out
}

// reshape gives v another shape of as many elements; the same shape is v itself.
func (l *lowering) reshape(v string, shape ...int64) string {
	if l.err != nil || slices.Equal(l.shape(v), shape) {
		return v
	}
	if slices.Contains(shape, 0) {
		l.err = left("the shape %v is empty", shape)
		return v
	}
	if t := l.weight(v); t != nil && size(shape) == int64(tensor.Count(t.Shape)) {
		return l.make(&tensor.Tensor{DType: t.DType, Shape: sizes(shape), Data: t.Data})
	}
	return l.op("Reshape", nil, v, l.list(shape...))
}

// weight is the content of a constant that may be rearranged ahead of running.
func (l *lowering) weight(v string) *tensor.Tensor {
	if l.consts[v] == nil {
		return nil
	}
	t := l.known(v)
	if t == nil || !l.afford(0) {
		return nil
	}
	return t
}

// transpose permutes v's axes: axis i of the result is axis perm[i] of v.
func (l *lowering) transpose(v string, perm ...int64) string {
	shape := l.shape(v)
	if l.err != nil || len(perm) != len(shape) || ascending(perm) {
		return v
	}
	if t := l.weight(v); t != nil && len(perm) == 2 {
		return l.make(turned(t))
	}
	return l.op("Transpose", attrs{"perm": perm}, v)
}

func ascending(perm []int64) bool {
	for i, p := range perm {
		if p != int64(i) {
			return false
		}
	}
	return true
}

// turned transposes a matrix.
func turned(t *tensor.Tensor) *tensor.Tensor {
	out, err := tensor.New(t.DType, t.Shape[1], t.Shape[0])
	if err != nil {
		return t
	}
	switch dst := out.Data.(type) {
	case []float64:
		turn(dst, t)
	case []float32:
		turn(dst, t)
	case []int8:
		turn(dst, t)
	case []uint8:
		turn(dst, t)
	case []int16:
		turn(dst, t)
	case []uint16:
		turn(dst, t)
	case []int32:
		turn(dst, t)
	case []uint32:
		turn(dst, t)
	case []int64:
		turn(dst, t)
	case []uint64:
		turn(dst, t)
	case []bool:
		turn(dst, t)
	}
	return out
}

func turn[T tensor.Element](dst []T, t *tensor.Tensor) {
	src := tensor.Data[T](t)
	rows, cols := t.Shape[0], t.Shape[1]
	for i := range rows {
		for j := range cols {
			dst[j*rows+i] = src[i*cols+j]
		}
	}
}

// axis makes a possibly negative axis absolute.
func axis(a int64, rank int) (int, error) {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, left("axis %d is outside a shape of rank %d", a, rank)
	}
	return int(a), nil
}

// axes makes a list of axes absolute and sorted.
func axes(as []int64, rank int) ([]int64, error) {
	out := make([]int64, 0, len(as))
	for _, a := range as {
		k, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, int64(k)) {
			return nil, left("the axes %v name one axis twice", as)
		}
		out = append(out, int64(k))
	}
	slices.Sort(out)
	return out, nil
}

// span is from, from+1, ... up to before to.
func span(from, to int) []int64 {
	out := []int64{}
	for i := from; i < to; i++ {
		out = append(out, int64(i))
	}
	return out
}

// at is shape 1 but for the given axis, for a vector to broadcast along it.
func at(rank, axis int, n int64) []int64 {
	s := slices.Repeat([]int64{1}, rank)
	s[axis] = n
	return s
}
