package rewrite

import (
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// einsum is a product of two matrices, batched, after the axes that appear once are
// summed and the others put in order; of one operand it is the sum and the order
// alone. An ellipsis, an axis that appears twice in one operand, and three operands
// and more are left.
func einsum(l *lowering, n *onnx.Node) (string, error) {
	eq := strings.ReplaceAll(n.Str("equation", ""), " ", "")
	terms, out, explicit := strings.Cut(eq, "->")
	in := strings.Split(terms, ",")
	if len(in) != len(n.Inputs) || len(in) > 2 || strings.Contains(eq, ".") {
		return "", left("its equation is %.100q", eq)
	}
	if !explicit { // the labels that appear once, in alphabetical order
		var once []rune
		for _, r := range terms {
			if r != ',' && strings.Count(terms, string(r)) == 1 {
				once = append(once, r)
			}
		}
		slices.Sort(once)
		out = string(once)
	}
	dims := map[rune]int64{}
	for i, labels := range in {
		s := l.shape(n.Inputs[i])
		if len(s) != len(labels) {
			return "", left("its equation is %.100q and input %d has the shape %v", eq, i, s)
		}
		for j, r := range labels {
			if strings.Count(labels, string(r)) > 1 || dims[r] != 0 && dims[r] != s[j] {
				return "", left("its equation is %.100q and input %d has the shape %v", eq, i, s)
			}
			dims[r] = s[j]
		}
	}
	for _, r := range out {
		if dims[r] == 0 || strings.Count(out, string(r)) > 1 {
			return "", left("its equation is %.100q", eq)
		}
	}
	operands := make([]labelled, len(in))
	for i := range in {
		others := out
		if len(in) == 2 {
			others += in[1-i]
		}
		operands[i] = labelled{n.Inputs[i], in[i]}.sum(l, others)
	}
	if len(operands) == 1 {
		return operands[0].order(l, out).value, nil
	}
	a, b := operands[0], operands[1]
	keep := func(labels, in1, in2 string, both bool) (s string) {
		for _, r := range labels {
			if strings.ContainsRune(in1, r) && strings.ContainsRune(in2, r) == both {
				s += string(r)
			}
		}
		return s
	}
	batch := keep(a.labels, out, b.labels, true)
	rows, cols := keep(a.labels, out, b.labels, false), keep(b.labels, out, a.labels, false)
	inner := keep(a.labels, b.labels, out, false)
	count := func(labels string) int64 {
		k := int64(1)
		for _, r := range labels {
			k *= dims[r]
		}
		return k
	}
	x := l.reshape(a.order(l, batch+rows+inner).value, count(batch), count(rows), count(inner))
	y := l.reshape(b.order(l, batch+inner+cols).value, count(batch), count(inner), count(cols))
	all := batch + rows + cols
	shape := []int64{}
	for _, r := range all {
		shape = append(shape, dims[r])
	}
	return labelled{l.reshape(l.op("MatMul", nil, x, y), shape...), all}.order(l, out).value, nil
}

// labelled is a value whose axes have names of one letter.
type labelled struct{ value, labels string }

// sum sums the axes that nothing else names.
func (v labelled) sum(l *lowering, others string) labelled {
	var gone []int64
	var shape []int64
	rest := ""
	s := l.shape(v.value)
	for i, r := range v.labels {
		if l.err != nil {
			return v
		}
		if strings.ContainsRune(others, r) {
			rest += string(r)
			shape = append(shape, s[i])
		} else {
			gone = append(gone, int64(i))
		}
	}
	if len(gone) == 0 {
		return v
	}
	return labelled{l.reshape(l.reduce("ReduceSum", v.value, gone), shape...), rest}
}

func (v labelled) order(l *lowering, labels string) labelled {
	var perm []int64
	for _, r := range labels {
		perm = append(perm, int64(strings.IndexRune(v.labels, r)))
	}
	return labelled{l.transpose(v.value, perm...), labels}
}
