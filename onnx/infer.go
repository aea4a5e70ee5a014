package onnx

import (
	"fmt"
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

// Infer finds the shapes of the top-level graph's values when the inputs have the
// given shapes; inputs left out take their declared shape, in which symbols are
// unknown. It follows operators, not the declared shapes of intermediates: those
// speak of the batch the exporter saw. A value that an operator unknown to it
// makes is left out of the result.
func (m *Model) Infer(inputs map[string][]int64) (map[string]Fact, error) {
	in := inferrer{m: m, facts: map[string]Fact{}, opset: m.Opset("")}
	inits := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		inits[t.Name] = true
		in.facts[t.Name] = in.constant(t)
	}
	for _, v := range m.Graph.Inputs {
		if inits[v.Name] {
			continue
		}
		f := Fact{DType: v.DType}
		if shape, ok := inputs[v.Name]; ok {
			f.Shape = slices.Clone(shape)
		} else if v.hasShape {
			f.Shape = make([]int64, len(v.Shape))
			for i, d := range v.Shape {
				f.Shape[i] = -1
				if d.Size >= 0 && d.Param == "" {
					f.Shape[i] = d.Size
				}
			}
		}
		in.facts[v.Name] = f
	}
	var errs faults
	for _, n := range m.Graph.Nodes {
		if err := in.node(n); err != nil {
			errs.addf("node %s: %w", n, err)
		}
	}
	if err := errs.join(); err != nil {
		return in.facts, fmt.Errorf("inferring shapes: %w", err)
	}
	return in.facts, nil
}

type inferrer struct {
	m     *Model
	facts map[string]Fact
	opset int64
}

// maxConst bounds the size of values that are computed ahead of running.
const maxConst = 4096

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
	c := call{inferrer: in, n: n, in: make([]Fact, len(n.Inputs))}
	for i, name := range n.Inputs {
		c.in[i] = in.facts[name]
	}
	if n.Domain != "" && n.Domain != "ai.onnx" {
		return nil
	}
	rule := inference[n.Op]
	if rule == nil {
		return nil
	}
	out, err := rule(c)
	if err != nil {
		return err
	}
	for i, f := range out {
		if i >= len(n.Outputs) || n.Outputs[i] == "" {
			continue
		}
		if f.Const != nil && (!f.Known() || count(f.Shape) != int64(len(f.Const))) {
			f.Const = nil
		}
		for _, d := range f.Shape {
			if d < -1 {
				return fmt.Errorf("its inputs %v give the output shape %v", c.shapes(), f.Shape)
			}
		}
		in.facts[n.Outputs[i]] = f
	}
	return nil
}

// call is one node with what is known of its inputs.
type call struct {
	*inferrer
	n  *Node
	in []Fact
}

func (c call) shapes() [][]int64 {
	var s [][]int64
	for _, f := range c.in {
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

func count(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return -1
		}
		if d != 0 && n > math.MaxInt64/d {
			return math.MaxInt64
		}
		n *= d
	}
	return n
}

// axis makes a possibly negative axis absolute.
func axis(a int64, rank int) (int, error) {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside a shape of rank %d", a, rank)
	}
	return int(a), nil
}

func axes(as []int64, rank int) ([]int, error) {
	out := make([]int, len(as))
	for i, a := range as {
		var err error
		if out[i], err = axis(a, rank); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// broadcast is numpy's rule. Unknown dimensions give unknown ones, except beside
// a dimension larger than 1.
func broadcast(shapes ...[]int64) ([]int64, error) {
	rank := 0
	for _, s := range shapes {
		if s == nil {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := make([]int64, rank)
	for i := range out {
		out[i] = 1
		for _, s := range shapes {
			j := i - (rank - len(s))
			if j < 0 || s[j] == 1 {
				continue
			}
			switch {
			case out[i] == 1, out[i] == -1:
				out[i] = s[j]
			case s[j] != -1 && s[j] != out[i]:
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
		}
	}
	return out, nil
}
