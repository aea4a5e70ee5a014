package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// usage is one node with what is known of its inputs.
type usage struct {
	*uses
	n *Node
}

func (u usage) shape(i int) []int64 { return u.facts[u.n.Input(i)].Shape }

// rank is the number of input i's axes, where that is known.
func (u usage) rank(i int) (int, bool) {
	s := u.shape(i)
	return len(s), s != nil
}

// uses checks how a model's nodes use their operators: numbers by which engines
// divide and with which they index. It follows ranks and constants through the graph,
// and never takes what is only likely for a fault: declared shapes of intermediates,
// and content that is computed, are left out of account.
type uses struct {
	*inferrer
	fs *faults
	// origins is where the values in scope come from, where the graph is sound.
	origins map[string]origin
	scanned int64 // elements of constants
}

// origin is the node that makes a value, or the constant that it is.
type origin struct {
	node   *Node
	tensor *Tensor
}

// Bounds on the constants that are looked into, beyond those that a network has.
const (
	maxScan  = 1 << 24 // elements of all
	maxTrace = 64      // nodes that a constant comes through
)

// checkUse adds to fs what is wrong with the use of operators, in subgraphs and
// functions too. In a graph that is not sound nothing is known of any value.
func (m *Model) checkUse(fs *faults, sound bool) {
	u := &uses{inferrer: &inferrer{m: m, facts: map[string]Fact{}, opset: m.Opset(""), budget: maxConsts}, fs: fs, origins: map[string]origin{}}
	var inputs []Fact
	for _, v := range m.Graph.Inputs {
		f := v.Fact()
		if f.plausible() != nil {
			f.Shape = nil
		}
		inputs = append(inputs, f)
	}
	u.graph(m.Graph, inputs, sound)
	for _, f := range m.Functions {
		var own faults
		u.fs, u.facts, u.origins = &own, map[string]Fact{}, map[string]origin{}
		if u.opset = f.Opset(""); u.opset == 0 {
			u.opset = m.Opset("")
		}
		u.graph(f.Body, make([]Fact, len(f.Body.Inputs)), sound)
		for _, err := range own.errs {
			fs.addf("function %s: %w", f.Callee(), err)
		}
		fs.more += own.more
	}
}

// graph checks the nodes of a graph; what it defines is forgotten afterwards.
func (u *uses) graph(g *Graph, inputs []Fact, sound bool) {
	type before struct {
		name        string
		fact        Fact
		origin      origin
		fact0, org0 bool
	}
	var undo []before
	outermost := len(u.facts)+len(u.origins) == 0
	define := func(name string, o origin) {
		if !outermost {
			b := before{name: name}
			b.fact, b.fact0 = u.facts[name]
			b.origin, b.org0 = u.origins[name]
			undo = append(undo, b)
		}
		delete(u.facts, name)
		u.origins[name] = o
	}
	if sound {
		for i, v := range g.Inputs {
			define(v.Name, origin{})
			u.facts[v.Name] = inputs[i]
		}
		for _, t := range g.Initializers {
			define(t.Name, origin{tensor: t})
			u.facts[t.Name] = u.constant(t)
		}
	}
	for _, n := range g.Nodes {
		u.node(n)
		for _, s := range n.Subgraphs() {
			var inner []Fact
			for _, v := range s.Inputs {
				inner = append(inner, Fact{DType: v.DType}) // shapes may change from turn to turn
			}
			u.graph(s, inner, sound)
		}
		if !sound {
			continue
		}
		referring := slices.ContainsFunc(n.Attrs, func(a *Attr) bool { return a.Ref != "" })
		for _, o := range n.Outputs {
			if o != "" && referring {
				define(o, origin{})
			} else if o != "" {
				define(o, origin{node: n})
			}
		}
		if !referring {
			_ = u.inferrer.node(n) // shapes that contradict each other are Infer's to report
		}
	}
	if outermost {
		clear(u.facts)
		clear(u.origins)
	}
	for _, b := range slices.Backward(undo) {
		delete(u.facts, b.name)
		delete(u.origins, b.name)
		if b.fact0 {
			u.facts[b.name] = b.fact
		}
		if b.org0 {
			u.origins[b.name] = b.origin
		}
	}
}

func (u *uses) node(n *Node) {
	for _, b := range boundsOf[n.FullOp()] {
		var v []int64
		switch a := n.Attr(b.attr); {
		case a != nil && a.Ref != "":
			continue
		case a != nil && a.Type == AttrInt:
			v = []int64{a.Int}
		case a != nil && a.Type == AttrInts:
			v = a.Ints
		case a == nil && b.input > 0:
			if v = u.numbers(n.Input(b.input)); v == nil {
				continue
			}
		default:
			continue
		}
		for _, demand := range b.demands {
			if want := demand(usage{u, n}, v); want != "" {
				u.fs.addf("node %s: %s is %s; want %s", n, b.attr, listed(v), want)
				break
			}
		}
	}
	if op := n.FullOp(); op == "Div" || op == "Mod" && n.Int("fmod", 0) == 0 {
		u.fs.add(u.division(n))
	}
}

// listed writes numbers for a message.
func listed(v []int64) string {
	if len(v) == 1 {
		return fmt.Sprint(v[0])
	}
	if len(v) > 16 {
		return fmt.Sprintf("%v ... (%d numbers)", v[:16], len(v))
	}
	return fmt.Sprint(v)
}

// numbers is the content of a small constant of whole numbers; nil of any other.
func (u *uses) numbers(name string) []int64 {
	if v := u.elements(name, maxConst); v != nil {
		return v.ints
	}
	return nil
}

// division reports one of whole numbers that no machine can do.
func (u *uses) division(n *Node) error {
	by := u.elements(n.Input(1), maxScan)
	if by == nil || !whole(by.dtype) || u.empty(n.Input(0)) {
		return nil
	}
	if i := slices.Index(by.ints, 0); i >= 0 {
		return fmt.Errorf("node %s: it divides whole numbers (%s) by the constant %q, whose element %d is 0", n, by.dtype, n.Input(1), i)
	}
	if !slices.Contains(by.ints, -1) {
		return nil
	}
	x := u.elements(n.Input(0), maxScan)
	if x == nil || x.dtype != by.dtype {
		return nil
	}
	for i, v := range x.ints {
		var d int64
		switch {
		case v != least64(x.dtype):
			continue
		case len(by.ints) == 1:
			d = by.ints[0]
		case len(x.ints) == 1:
			d = -1 // one of them is
		case slices.Equal(u.facts[n.Input(0)].Shape, u.facts[n.Input(1)].Shape):
			d = by.ints[i]
		}
		if d == -1 {
			return fmt.Errorf("node %s: it divides %d, the least of %s, by -1, and the type does not hold the result", n, v, x.dtype)
		}
	}
	return nil
}

// whole says whether a type holds whole numbers.
func whole(d tensor.DType) bool {
	switch d {
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64:
		return true
	}
	return false
}

// least64 is the least number of a signed type; 1, which cannot be met, of others.
func least64(d tensor.DType) int64 {
	switch d {
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64:
		return math.MinInt64 >> (64 - d.Bits())
	}
	return 1
}

// content is what a constant holds, in some order of its elements. A uint64 beyond
// int64 is some other number than 0 and -1.
type content struct {
	dtype tensor.DType
	ints  []int64
}

// elements is the content of a value that is a constant, or one that was moved, cast,
// or repeated: the elements that occur in it, where they are at most most. It is nil of
// other values, and of ones that may be empty.
func (u *uses) elements(name string, most int64) *content {
	var casts []tensor.DType // from the last
	for range maxTrace {
		o := u.origins[name]
		t := o.tensor
		if t == nil {
			if o.node == nil {
				return nil
			}
			switch n := o.node; n.FullOp() {
			case "Constant":
				if t = constantOf(n); t == nil {
					return nil
				}
			case "ConstantOfShape":
				if u.empty(n.Outputs[0]) {
					return nil
				}
				if a := n.Attr("value"); a != nil {
					t = a.Tensor
				} else {
					t = NewTensor("", tensor.Scalar(float32(0)))
				}
			case "Cast":
				casts = append(casts, n.CastTo())
				name = n.Input(0)
				continue
			case "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose":
				name = n.Input(0)
				continue
			case "Expand", "Tile":
				if u.empty(n.Outputs[0]) {
					return nil
				}
				name = n.Input(0)
				continue
			default:
				return nil
			}
		}
		if t == nil {
			return nil
		}
		return u.decoded(t, casts, most)
	}
	return nil
}

// empty says whether a value is known to have no elements.
func (u *uses) empty(name string) bool { return slices.Contains(u.facts[name].Shape, 0) }

func (u *uses) decoded(t *Tensor, casts []tensor.DType, most int64) *content {
	n, err := t.Count()
	if err != nil || n == 0 || n > most || n > maxScan-u.scanned {
		return nil
	}
	if !whole(t.DType) && len(casts) == 0 { // nothing is asked of others
		return nil
	}
	v, err := u.m.Values(t)
	if err != nil {
		return nil // an engine will say so
	}
	u.scanned += n
	c := &content{dtype: t.DType}
	x := v.Float64s()
	if exact, ok := v.Data.([]int64); ok {
		c.ints, x = exact, nil
	} else if whole(t.DType) {
		c.ints, x = toInts(x), nil
	}
	for _, d := range slices.Backward(casts) {
		c.dtype = d
		switch {
		case whole(d) && x == nil:
			for i, v := range c.ints {
				c.ints[i] = wrapped(d, v)
			}
		case whole(d):
			if !(Fact{DType: d, Const: x}).holds() {
				return nil // engines differ
			}
			c.ints, x = toInts(x), nil
		case d.IsFloat() && x == nil:
			for _, v := range c.ints {
				x = append(x, round(d, float64(v)))
			}
		case d.IsFloat():
			for i := range x {
				x[i] = round(d, x[i])
			}
		default:
			return nil
		}
	}
	if x != nil {
		return nil
	}
	return c
}

// wrapped is what a type of whole numbers keeps of one.
func wrapped(d tensor.DType, v int64) int64 {
	shift := 64 - d.Bits()
	if least64(d) > 0 {
		return int64(uint64(v) << shift >> shift)
	}
	return v << shift >> shift
}
