package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Fact is what is known of a value before running the model.
type Fact struct {
	DType tensor.DType
	// Shape is the value's shape; nil when the rank is not known, -1 where a
	// dimension is not.
	Shape []int64
	// Const holds the elements of a small integer or float value that follows
	// from shapes and constants alone, as the shape arithmetic of exported models
	// does; nil otherwise.
	Const []float64
}

// Known reports whether every dimension is known.
func (f Fact) Known() bool {
	return f.Shape != nil && !slices.Contains(f.Shape, -1)
}

// Bytes is the memory that a value of a known shape takes, MaxInt64 where that is more;
// -1 where the shape is not known. Strings, and elements of an unknown type, count as one
// byte each.
func (f Fact) Bytes() int64 {
	if !f.Known() {
		return -1
	}
	n := times(count(f.Shape), int64(cmp.Or(f.DType.Bits(), 8)))
	if n == math.MaxInt64 {
		return n
	}
	return (n-1)/8 + min(n, 1) // rounded up
}

// ErrTooLarge is wrapped by the errors of Infer for a value that no memory holds.
var ErrTooLarge = errors.New("larger than any memory")

// Infer finds the shapes of the top-level graph's values when the inputs have the
// given shapes; inputs left out take their declared shape, in which symbols are
// unknown. It follows operators; declared shapes of intermediates, which may speak
// of the batch the exporter saw, fill in only what an operator unknown to it
// leaves open, with the symbols that the inputs bind, and only where no input
// departs from its own declaration. A value that is still unknown is left out of
// the result. Nodes whose inputs contradict each other, or
// make something larger than any memory, are an error, beside which the facts are
// still returned. It takes memory in proportion to the model, whatever sizes the
// model asks for.
func (m *Model) Infer(inputs map[string][]int64) (map[string]Fact, error) {
	in := inferrer{m: m, facts: map[string]Fact{}, opset: m.Opset(""), budget: maxConsts}
	var errs faults
	inits := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		inits[t.Name] = true
		in.facts[t.Name] = in.constant(t)
	}
	given := maps.Clone(inputs)
	for _, v := range m.Graph.Inputs {
		delete(given, v.Name)
		if inits[v.Name] {
			continue
		}
		f := v.Fact()
		if shape, ok := inputs[v.Name]; ok {
			f.Shape = slices.Clone(shape)
		}
		if err := f.plausible(); err != nil {
			errs.addf("input %q: %w", v.Name, err)
			f.Shape = nil
		}
		in.facts[v.Name] = f
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		errs.addf("a shape is given for %q, which is not an input of the model", name)
	}
	declared := m.Graph.declared(in.facts)
	for _, n := range m.Graph.Nodes {
		if err := in.node(n); err != nil {
			errs.addf("node %s: %w", n, err)
		}
		for _, o := range n.Outputs {
			if f, ok := declared[o]; ok {
				in.facts[o] = in.facts[o].or(f)
			}
		}
	}
	if err := errs.join(); err != nil {
		return in.facts, fmt.Errorf("inferring shapes: %w", err)
	}
	return in.facts, nil
}

// Fact is what v declares, symbols being unknown.
func (v *Value) Fact() Fact {
	f := Fact{DType: v.DType}
	if v.HasShape() {
		f.Shape = make([]int64, len(v.Shape))
		for i, d := range v.Shape {
			f.Shape[i] = -1
			if d.Size >= 0 && d.Param == "" {
				f.Shape[i] = d.Size
			}
		}
	}
	return f
}

// declared is what the model declares of its intermediates, with the symbols that
// its inputs bind put in; nothing when an input has another shape than declared.
func (g *Graph) declared(inputs map[string]Fact) map[string]Fact {
	symbols := map[string]int64{}
	for _, v := range g.Inputs {
		f := inputs[v.Name]
		if len(f.Shape) != len(v.Shape) {
			continue
		}
		for i, d := range v.Shape {
			switch size, seen := symbols[d.Param]; {
			case d.Param != "" && seen && size != f.Shape[i]:
				return nil
			case d.Param != "":
				symbols[d.Param] = f.Shape[i]
			case d.Size > 0 && f.Shape[i] >= 0 && d.Size != f.Shape[i]:
				return nil
			}
		}
	}
	facts := map[string]Fact{}
	for _, v := range g.Values {
		f := Fact{DType: v.DType}
		if v.HasShape() {
			f.Shape = make([]int64, len(v.Shape))
		}
		for i, d := range v.Shape {
			f.Shape[i] = -1
			if size, bound := symbols[d.Param]; d.Param != "" && bound {
				f.Shape[i] = size
			} else if d.Param == "" && d.Size >= 0 {
				f.Shape[i] = d.Size
			}
		}
		if f.plausible() == nil {
			facts[v.Name] = f
		}
	}
	return facts
}

// or fills in what f leaves open from g.
func (f Fact) or(g Fact) Fact {
	if f.DType == tensor.Undefined {
		f.DType = g.DType
	}
	if f.Shape == nil {
		f.Shape = g.Shape
	}
	if len(f.Shape) == len(g.Shape) && !f.Known() {
		f.Shape = slices.Clone(f.Shape)
		for i, d := range f.Shape {
			if d < 0 {
				f.Shape[i] = g.Shape[i]
			}
		}
	}
	return f
}

type inferrer struct {
	m     *Model
	facts map[string]Fact
	opset int64
	// budget is the number of elements that may still be computed or kept.
	budget int
}

// Bounds on values that are computed ahead of running.
const (
	maxConst  = 4096    // elements of one
	maxConsts = 1 << 24 // elements of all in a model
)

// plausible is nil for a shape that a value in memory can have.
func (f Fact) plausible() error {
	if len(f.Shape) > maxRank {
		return fmt.Errorf("a value of rank %d; at most %d is accepted", len(f.Shape), maxRank)
	}
	for _, d := range f.Shape {
		if d > maxElements {
			return fmt.Errorf("the shape %v is not possible: %w", f.Shape, ErrTooLarge)
		}
		if d < -1 {
			return fmt.Errorf("the shape %v is not possible", f.Shape)
		}
	}
	return nil
}

func (in *inferrer) constant(t *Tensor) Fact {
	f := Fact{DType: t.DType, Shape: append([]int64{}, t.Dims...)}
	if n, err := t.Count(); err == nil && n <= maxConst && t.External == nil {
		if v, err := in.m.Values(t); err == nil {
			f.Const = v.Float64s()
		}
	}
	return f
}

// node records what is known of n's outputs. Only a contradiction is an error.
func (in *inferrer) node(n *Node) error {
	known := make([]Fact, len(n.Inputs))
	for i, name := range n.Inputs {
		if name == "" {
			continue
		}
		known[i] = in.facts[name]
		if in.budget <= 0 {
			known[i].Const = nil
		}
	}
	out, err := in.apply(n, known)
	for i, f := range out {
		if i < len(n.Outputs) && n.Outputs[i] != "" {
			in.budget -= len(f.Const)
			in.facts[n.Outputs[i]] = f
		}
	}
	return err
}

// apply is what the operator's rule says of n's outputs, up to one that no value
// can be.
func (in *inferrer) apply(n *Node, known []Fact) ([]Fact, error) {
	rule := inference[n.FullOp()]
	if rule == nil {
		return nil, nil
	}
	c := call{inferrer: in, n: n, in: known}
	out, err := rule(c)
	if err != nil {
		return nil, err
	}
	for i, f := range out {
		if i >= len(n.Outputs) || n.Outputs[i] == "" {
			continue
		}
		if err := f.plausible(); err != nil {
			return out[:i], fmt.Errorf("%w: inputs of shapes %v", err, c.shapes())
		}
		if f.Const != nil && (!f.Known() || count(f.Shape) != int64(len(f.Const)) || !f.holds()) {
			out[i].Const = nil
		}
	}
	return out, nil
}

// Infer finds what is known of n's outputs from what is known of its inputs, one
// Fact for each, where n's operator is of the given version. The result is empty
// for an operator without a rule, and can be shorter or longer than n's outputs.
func (n *Node) Infer(opset int64, inputs []Fact) ([]Fact, error) {
	if len(inputs) != len(n.Inputs) {
		return nil, fmt.Errorf("inferring shapes of node %s: got %d facts, want %d", n, len(inputs), len(n.Inputs))
	}
	return (&inferrer{m: &Model{}, opset: opset, budget: maxConsts}).apply(n, inputs)
}

// holds reports whether a value's type can hold its content: division by zero
// gives no integer, and a sum beyond the type's range another one than here. The ends of
// 64 bits are what float64 makes of them.
func (f Fact) holds() bool {
	if f.DType.IsFloat() {
		return true
	}
	low, high := math.Inf(-1), math.Inf(1)
	switch bits := float64(f.DType.Bits()); f.DType {
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64:
		low, high = -math.Exp2(bits-1), math.Exp2(bits-1)-1
	case tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64:
		low, high = 0, math.Exp2(bits)-1
	}
	return !slices.ContainsFunc(f.Const, func(v float64) bool { return !(v >= low && v <= high) || math.IsInf(v, 0) })
}

// call is one node with what is known of its inputs.
type call struct {
	*inferrer
	n  *Node
	in []Fact
}

func (c call) shapes() [][]int64 {
	var s [][]int64
	for _, f := range c.in[:min(len(c.in), 8)] { // for messages
		s = append(s, f.Shape)
	}
	return s
}

func (c call) at(i int) Fact {
	if i < len(c.in) {
		return c.in[i]
	}
	return Fact{}
}

// ints is a list that newer opsets pass as input i and older ones as an
// attribute; ok is false when it is given but not known.
func (c call) ints(i int, attr string) (v []int64, ok bool) {
	if c.n.Input(i) != "" {
		if c.in[i].Const == nil && !(c.in[i].Known() && count(c.in[i].Shape) == 0) {
			return nil, false
		}
		return toInts(c.in[i].Const), true
	}
	return c.n.Ints(attr), true
}

func toInts(f []float64) []int64 {
	out := make([]int64, len(f))
	for i, v := range f {
		switch {
		case math.IsNaN(v): // stays 0
		case v >= math.MaxInt64:
			out[i] = math.MaxInt64
		case v <= math.MinInt64:
			out[i] = math.MinInt64
		default:
			out[i] = int64(v)
		}
	}
	return out
}
