package onnx

import (
	"slices"
	"strings"
)

// maxPlain is how many nodes a plain model has: of many more, engines take long to ready
// the least.
const maxPlain = 4096

// MultiplyAdds is the number of multiply-adds of one run over inputs of the given shapes,
// which are as Infer takes them; MaxInt64 where there are more. Products and windows count
// theirs; any other node counts the elements of the largest value that it reads or makes,
// and none counts less. So do nodes of the operators in also, named as Operators names
// them, whose outputs need no known shape.
//
// known is false, and n is 0, unless the model is plain, so that nothing hides in it: each
// node is of an operator with the trait Lowered, or Shape or Size, and holds no graph; each
// value has a shape that follows from operators, constants and the inputs alone, without
// what the model declares of intermediates, that has elements unless it is a list that is
// only moved, and that no declared output contradicts; integers are divided by constants
// of the file other than 0 and -1 alone; and the model has at most 4096 nodes, no functions
// of its own and no random numbers.
func (m *Model) MultiplyAdds(inputs map[string][]int64, also ...string) (n int64, known bool) {
	bare, g := *m, *m.Graph
	g.Values, bare.Graph = nil, &g
	facts, err := bare.Infer(inputs)
	if err != nil || len(g.Nodes) > maxPlain || len(m.Functions) > 0 || len(m.RandomNodes()) > 0 {
		return 0, false
	}
	constants := g.Index().Const
	for _, k := range g.Nodes {
		c, made := call{n: k}, []Fact{}
		for _, name := range k.Inputs {
			if c.in = append(c.in, facts[name]); name != "" && !facts[name].Known() {
				return 0, false
			}
		}
		for _, name := range k.Outputs {
			if name != "" {
				made = append(made, facts[name])
			}
		}
		if !slices.Contains(also, k.FullOp()) && !c.plain(made, constants) {
			return 0, false
		}
		n = plus(n, c.multiplyAdds(made))
	}
	for _, v := range g.Outputs {
		if f, ok := facts[v.Name]; ok && contradicts(f.Shape, v.Fact().Shape) {
			return 0, false
		}
	}
	return n, true
}

// contradicts reports whether no value has both shapes.
func contradicts(a, b []int64) bool {
	return a != nil && b != nil && !slices.EqualFunc(a, b, func(d, e int64) bool { return d == e || d < 0 || e < 0 })
}

// plain reports whether the node does what the shapes of its inputs say and nothing else,
// as MultiplyAdds has it.
func (c call) plain(made []Fact, constants map[string]*Tensor) bool {
	op := c.n.Operator()
	if op == nil || op.Traits&Lowered == 0 && op.Name != "Shape" && op.Name != "Size" {
		return false
	}
	if c.n.Overload != "" || len(c.n.Subgraphs()) > 0 || len(made) == 0 || len(c.in) > 0 && c.empty(c.in[0]) {
		return false
	}
	if slices.ContainsFunc(made, func(f Fact) bool { return !f.Known() || c.empty(f) }) {
		return false
	}
	switch op.Name {
	case "Div", "Mod":
		by := c.at(1).Const
		return c.at(0).DType.IsFloat() || len(by) > 0 && constants[c.n.Input(1)] != nil && !slices.Contains(by, 0) && !slices.Contains(by, -1)
	case "Resize", "Upsample", "Trilu", "CumSum": // the others say where they read
		return !slices.ContainsFunc(c.in[min(1, len(c.in)):], func(f Fact) bool { return f.Const == nil && f.Shape != nil && count(f.Shape) > 0 })
	}
	return true
}

// empty reports whether f has no elements, and is no list that the node only moves, as
// exported models do with the shapes of others.
func (c call) empty(f Fact) bool {
	return count(f.Shape) == 0 && !(len(f.Shape) == 1 && c.n.Operator().Traits&Moves != 0)
}

// multiplyAdds is what the node computes; the shapes of its inputs are known.
func (c call) multiplyAdds(made []Fact) int64 {
	in, out := int64(0), int64(0)
	for _, f := range c.in {
		if f.Shape != nil { // which an input that is left out has not
			in = max(in, count(f.Shape))
		}
	}
	for _, f := range made {
		out = max(out, count(f.Shape))
	}
	each := []int64{} // the sizes whose product each element takes
	switch a, b := c.at(0).Shape, c.at(1).Shape; c.n.FullOp() {
	case "Conv": // the weight is [out, in / groups, kernel]
		each = b[min(1, len(b)):]
	case "ConvTranspose": // here [in, out / groups, kernel], and an element of the input takes them
		out, each = count(a), b[min(1, len(b)):]
	case "MatMul", "MatMulInteger":
		each = a[max(len(a)-1, 0):]
	case "Gemm":
		each = a[max(len(a)-1, 0):]
		if c.n.Int("transA", 0) != 0 {
			each = a[:min(1, len(a))]
		}
	case "Einsum":
		out, each = 1, c.indices()
	case "MaxPool", "AveragePool":
		each = c.n.Ints("kernel_shape")
	case "LRN":
		each = []int64{c.n.Int("size", 1)}
	}
	return max(in, times(out, max(count(each), 1)))
}

// indices are the sizes of an Einsum's indices.
func (c call) indices() (sizes []int64) {
	terms, _, _ := strings.Cut(strings.ReplaceAll(c.n.Str("equation", ""), " ", ""), "->")
	at := map[byte]int{}
	for i, labels := range strings.Split(terms, ",") {
		for j, d := range c.at(i).Shape {
			if j >= len(labels) {
				break
			}
			k, seen := at[labels[j]]
			if !seen {
				k, sizes = len(sizes), append(sizes, 1)
				at[labels[j]] = k
			}
			sizes[k] = max(sizes[k], d)
		}
	}
	return sizes
}
