package rewrite

import (
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

// make adds a constant, or finds the equal one. That of no tensor gives the row up.
func (l *lowering) make(t *tensor.Tensor) string {
	if t == nil {
		if l.err == nil {
			l.err = left("a constant of it is not possible")
		}
		return ""
	}
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
	if c, ok := l.recast[cast{v, to}]; ok {
		return c
	}
	if from.IsFloat() && (to == tensor.Float32 || to == tensor.Float64) {
		if t := l.known(v); t != nil {
			c := l.make(fill(to, l.facts[v].Shape, t.Float64s()))
			l.recast[cast{v, to}] = c
			return c
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
	return l.known(v)
}

// transpose permutes v's axes: axis i of the result is axis perm[i] of v.
func (l *lowering) transpose(v string, perm ...int64) string {
	shape := l.shape(v)
	if l.err != nil || len(perm) != len(shape) || ascending(perm) {
		return v
	}
	if len(perm) == 2 && size(shape) <= maxTurned {
		if t := l.weight(v); t != nil {
			return l.make(turned(t))
		}
	}
	return l.op("Transpose", attrs{"perm": perm}, v)
}

// maxTurned is the size of a matrix above which copying it costs more than an
// engine's transposing it, or reading it so, costs.
const maxTurned = 1 << 20

func ascending(perm []int64) bool {
	for i, p := range perm {
		if p != int64(i) {
			return false
		}
	}
	return true
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
