package rewrite

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// reshaped is an operator that only changes the shape, to what was inferred.
func reshaped(l *lowering, n *onnx.Node) (string, error) {
	shape := l.shape(n.Outputs[0])
	return l.reshape(n.Input(0), shape...), nil
}

func transposed(l *lowering, n *onnx.Node) (string, error) {
	rank := len(l.shape(n.Input(0)))
	perm := slices.Clone(n.Ints("perm"))
	if perm == nil {
		perm = span(0, rank)
		slices.Reverse(perm)
	}
	if sorted := slices.Sorted(slices.Values(perm)); len(perm) != rank || !ascending(sorted) {
		return "", left("perm is %v for a shape of rank %d", perm, rank)
	}
	return l.transpose(n.Input(0), perm...), nil
}

// concat leaves out empty parts. The axis was 1 by default before version 4.
func concat(l *lowering, n *onnx.Node) (string, error) {
	a, err := axis(n.Int("axis", 1), len(l.shape(n.Outputs[0])))
	if err != nil {
		return "", err
	}
	var parts []string
	for _, v := range n.Inputs {
		if !slices.Contains(l.shape(v), 0) {
			parts = append(parts, v)
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return l.op("Concat", attrs{"axis": a}, parts...), nil
}

// slice is n elements of an axis from start on.
func (l *lowering) slice(v string, axis int, start, n int64) string {
	if s := l.shape(v); l.err == nil && start == 0 && axis < len(s) && s[axis] == n {
		return v
	}
	return l.op("Slice", nil, v, l.list(start), l.list(start+n), l.list(int64(axis)), l.list(1))
}

// sliced puts starts and ends within the axes:
// https://onnx.ai/onnx/operators/onnx__Slice.html
func sliced(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s := l.shape(x)
	starts, ok1 := l.ints(n, 1, "starts")
	ends, ok2 := l.ints(n, 2, "ends")
	as, ok3 := l.ints(n, 3, "axes")
	steps, ok4 := l.ints(n, 4, "")
	if as == nil {
		as = span(0, len(starts))
	}
	if steps == nil {
		steps = slices.Repeat([]int64{1}, len(starts))
	}
	if !ok1 || !ok2 || !ok3 || !ok4 || len(ends) != len(starts) || len(as) != len(starts) || len(steps) != len(starts) {
		return "", left("its starts, ends, axes and steps are not constant lists of one length")
	}
	var from, to, along, by []int64
	for i, a := range as {
		k, err := axis(a, len(s))
		if err != nil {
			return "", err
		}
		d, step := s[k], steps[i]
		if step == 0 {
			return "", left("a step is 0")
		}
		step = min(max(step, -d), d)
		lo, hi := int64(0), d
		if step < 0 {
			lo, hi = -1, d-1
		}
		within := func(v, lo int64) int64 {
			if v < 0 {
				v += d
			}
			return min(max(v, lo), hi)
		}
		start, end := within(starts[i], 0), within(ends[i], lo)
		if start == 0 && end == d && step == 1 {
			continue
		}
		if end < 0 {
			end = -d - 1
		}
		from, to, along, by = append(from, start), append(to, end), append(along, int64(k)), append(by, step)
	}
	if len(along) == 0 {
		return x, nil
	}
	return l.op("Slice", nil, x, l.list(from...), l.list(to...), l.list(along...), l.list(by...)), nil
}

// split takes one slice for each output.
func split(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	a, err := axis(n.Int("axis", 0), len(l.shape(x)))
	if err != nil {
		return "", err
	}
	var first string
	start := int64(0)
	for i, o := range n.Outputs {
		if o == "" {
			return "", left("one of its outputs is omitted")
		}
		s := l.shape(o)
		if l.err != nil {
			return "", l.err
		}
		if t := constant(onnx.Fact{DType: l.dtype(x), Shape: s}); t != nil { // an empty one
			l.named(o, t)
			if i == 0 {
				first = o
			}
			continue
		}
		mark := len(l.Graph.Nodes)
		v := l.slice(x, a, start, s[a])
		start += s[a]
		if i == 0 {
			first = v
		} else {
			l.bind(n, o, v, mark)
		}
	}
	return first, nil
}

// gather counts its axis and constant indices from 0.
func gather(l *lowering, n *onnx.Node) (string, error) {
	x, index := n.Input(0), n.Input(1)
	s := l.shape(x)
	a, err := axis(n.Int("axis", 0), len(s))
	if err != nil {
		return "", err
	}
	if t := l.known(index); t != nil && !t.DType.IsFloat() {
		v := t.Float64s()
		for i, k := range v {
			if k < 0 {
				v[i] += float64(s[a])
			}
			if v[i] < 0 || v[i] >= float64(s[a]) {
				return "", left("the index %g is outside an axis of %d", k, s[a])
			}
		}
		if !slices.Equal(v, t.Float64s()) {
			index = l.vector(index, l.shape(index), v...)
		}
	}
	return l.op("Gather", attrs{"axis": a}, x, index), nil
}

func expand(l *lowering, n *onnx.Node) (string, error) {
	return l.expand(n.Input(0), l.shape(n.Outputs[0])), nil
}

func (l *lowering) expand(v string, shape []int64) string {
	if slices.Equal(l.shape(v), shape) {
		return v
	}
	return l.op("Expand", nil, v, l.list(shape...))
}

// tile repeats along new axes before those of the input.
func tile(l *lowering, n *onnx.Node) (string, error) {
	x := n.Input(0)
	s, out := l.shape(x), l.shape(n.Outputs[0])
	if l.err != nil || len(s) != len(out) {
		return "", left("its repeats are not known")
	}
	var apart, wide []int64
	for i, d := range s {
		if r := out[i] / max(d, 1); r != 1 {
			apart, wide = append(apart, 1), append(wide, r)
		}
		apart, wide = append(apart, d), append(wide, d)
	}
	return l.reshape(l.expand(l.reshape(x, apart...), wide), out...), nil
}

// pad is v with pads before and after each axis, none of them negative.
func (l *lowering) pad(v string, pads []int64, mode, value string) string {
	if !slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }) {
		return v
	}
	return l.op("Pad", attrs{"mode": mode}, v, l.list(pads...), value)
}

// padded crops first where pads are negative.
func padded(l *lowering, n *onnx.Node) (string, error) {
	x, mode := n.Input(0), n.Str("mode", "constant")
	s := slices.Clone(l.shape(x))
	given, ok := l.ints(n, 1, "pads")
	as, ok2 := l.ints(n, 3, "")
	if l.opset < 2 {
		given = n.Ints("paddings")
	}
	if as == nil {
		as = span(0, len(s))
	}
	if !ok || !ok2 || len(given) != 2*len(as) {
		return "", left("its pads %v are not a constant list that fits its input %v", given, s)
	}
	value := l.scalar(x, float64(n.Float("value", 0)))
	if v := n.Input(2); v != "" && mode == "constant" {
		t := l.known(v)
		if t == nil || tensor.Count(t.Shape) != 1 {
			return "", left("its value is not a constant scalar")
		}
		value = l.make(&tensor.Tensor{DType: t.DType, Shape: []int{}, Data: t.Data})
	}
	pads := make([]int64, 2*len(s))
	for i, a := range as {
		k, err := axis(a, len(s))
		if err != nil {
			return "", err
		}
		before, after := given[i], given[i+len(as)]
		if before < 0 || after < 0 {
			n := s[k] + min(before, 0) + min(after, 0)
			if n < 1 {
				return "", left("its pads %v leave nothing of %v", given, s)
			}
			x, s[k] = l.slice(x, k, max(-before, 0), n), n
		}
		pads[k], pads[k+len(s)] = max(before, 0), max(after, 0)
		if most := max(before, after); mode == "reflect" && most >= s[k] && most > 0 {
			return "", left("it reflects %d elements of an axis of %d", most, s[k])
		}
	}
	return l.pad(x, pads, mode, value), nil
}

// depthToSpace moves blocks of channels into the plane, as
// https://onnx.ai/onnx/operators/onnx__DepthToSpace.html writes it out.
func depthToSpace(l *lowering, n *onnx.Node) (string, error) {
	s, b := l.shape(n.Input(0)), n.Int("blocksize", 0)
	if len(s) != 4 || b < 1 || b > 1<<20 || s[1]%(b*b) != 0 {
		return "", left("blocks of %d and an input of shape %v", b, s)
	}
	c := s[1] / (b * b)
	var x string
	switch mode := n.Str("mode", "DCR"); mode {
	case "DCR":
		x = l.transpose(l.reshape(n.Input(0), s[0], b, b, c, s[2], s[3]), 0, 3, 4, 1, 5, 2)
	case "CRD":
		x = l.transpose(l.reshape(n.Input(0), s[0], c, b, b, s[2], s[3]), 0, 1, 4, 2, 5, 3)
	default:
		return "", left("its mode is %q", mode)
	}
	return l.reshape(x, s[0], c, s[2]*b, s[3]*b), nil
}

func spaceToDepth(l *lowering, n *onnx.Node) (string, error) {
	s, b := l.shape(n.Input(0)), n.Int("blocksize", 0)
	if len(s) != 4 || b < 1 || s[2]%b != 0 || s[3]%b != 0 {
		return "", left("blocks of %d and an input of shape %v", b, s)
	}
	x := l.transpose(l.reshape(n.Input(0), s[0], s[1], s[2]/b, b, s[3]/b, b), 0, 3, 5, 1, 2, 4)
	return l.reshape(x, s[0], s[1]*b*b, s[2]/b, s[3]/b), nil
}
