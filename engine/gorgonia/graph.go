package gorgonia

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// value is a node of a graph with all that is known of it.
type value struct {
	node  *gorgonia.Node // nil for a constant that no operator has read yet, and for no value
	dtype tensor.DType
	dims  []int
	known *tensor.Tensor // its content, when it is a constant
	// active marks what depends on the input that is differentiated by.
	active bool
}

// graph is a gorgonia expression graph made of the table's operators.
type graph struct {
	expr *gorgonia.ExprGraph
	run  *kernel.Runner
	ctx  context.Context // of the run in progress
	// failed is why an operator ended the run.
	failed error
	// of is the node of the model that is being added.
	of string

	ops    []*op
	values map[*gorgonia.Node]value
	consts map[*tensor.Tensor]*gorgonia.Node
	salt   int
	bytes  int // of the constants it has computed, and of the memory that outputs share
	// observe, when not nil, is told of every operator that ran.
	observe func(op string, took time.Duration)
}

func newGraph(run *kernel.Runner, salt int) *graph {
	return &graph{expr: gorgonia.NewGraph(), run: run, ctx: context.Background(), salt: salt,
		values: map[*gorgonia.Node]value{}, consts: map[*tensor.Tensor]*gorgonia.Node{}}
}

// leaf adds a node that a run, or a constant, gives its content.
func (g *graph) leaf(name string, v value) *gorgonia.Node {
	// The number keeps names distinct, which are all that gorgonia tells leaves
	// apart by.
	name = fmt.Sprintf("%d/%d/%s", g.salt, len(g.values), name)
	n := gorgonia.NewTensor(g.expr, machineType[v.dtype], len(machineDims(v.dims)),
		gorgonia.WithShape(machineDims(v.dims)...), gorgonia.WithName(name))
	v.node = n
	g.values[n] = v
	return n
}

// input adds an input of the program.
func (g *graph) input(name string, dtype tensor.DType, dims []int, active bool) (value, error) {
	v := value{dtype: dtype, dims: slices.Clone(dims), active: active}
	if _, ok := machineType[dtype]; !ok {
		return v, fmt.Errorf("input %q is of type %s, which this engine cannot hold", name, dtype)
	}
	if large(limits.elements, dims...) {
		return v, fmt.Errorf("input %q has the shape %v, of more elements than this engine holds, %d", name, dims, limits.elements)
	}
	if !slices.Contains(dims, 0) { // what reads an empty one is refused
		v.node = g.leaf(name, v)
	}
	return v, nil
}

// constant is a value whose content is known. It becomes a node when something
// reads it that is not a constant itself.
func constant(t *tensor.Tensor) value {
	return value{dtype: t.DType, dims: t.Shape, known: t}
}

// bind makes sure that v has a node.
func (g *graph) bind(v value) (value, error) {
	if v.node != nil || v.known == nil {
		return v, nil
	}
	n := g.consts[v.known]
	if n == nil {
		n = g.leaf("const", v)
		if err := gorgonia.Let(n, wrapDense(v.known)); err != nil {
			return v, fmt.Errorf("binding a constant of %s %v: %w", v.dtype, v.dims, err)
		}
		g.consts[v.known] = n
	}
	v.node = n
	return v, nil
}

// wrap finds what is known of a node; one that gorgonia made itself, the sum of
// cotangents, is like is.
func (g *graph) wrap(n *gorgonia.Node, is value) value {
	if v, ok := g.values[n]; ok {
		return v
	}
	return value{node: n, dtype: is.dtype, dims: is.dims, active: true}
}

// apply adds an application of the operator called name. One whose inputs are all
// constants is computed now. A form that the engine does not run is a refusal.
func (g *graph) apply(name string, attrs map[string]any, in ...value) (value, error) {
	r := table[name]
	if r == nil {
		return value{}, refusal{}
	}
	c := &call{row: r, args: in, attrs: attrs, run: g.run}
	for i, a := range in {
		if _, ok := machineType[a.dtype]; !ok {
			return value{}, c.refuse("an input of type %s", a.dtype)
		}
		if slices.Contains(a.dims, 0) && (a.known == nil || i == 0) { // other constants can be lists
			return value{}, c.refuse("an input of shape %v, without elements", a.dims)
		}
	}
	if err := r.make(c); err != nil {
		return value{}, err
	}
	if slices.ContainsFunc(c.out.dims, func(d int) bool { return d < 1 }) || large(limits.elements, c.out.dims...) {
		return value{}, c.refuse("an output of shape %v", c.out.dims)
	}
	folds := len(in) > 0
	for _, a := range in {
		folds = folds && a.known != nil
		c.out.active = c.out.active || a.active
	}
	if folds {
		if g.bytes += sizeOf(c.out.dtype, tensor.Count(c.out.dims)); g.bytes > limits.bytes {
			return value{}, c.refuse("with it the constants that the model computes take more than %d bytes", limits.bytes)
		}
		return c.fold()
	}
	o := &op{call: c, graph: g, id: len(g.ops), of: g.of, active: make([]bool, len(in)), in: make([]*tensor.Tensor, len(in))}
	children := make([]*gorgonia.Node, len(in))
	for i, a := range in {
		a, err := g.bind(a)
		if err != nil {
			return value{}, err
		}
		c.args[i], children[i] = a, a.node
		o.active[i] = a.active
		o.in[i] = &tensor.Tensor{DType: a.dtype, Shape: a.dims}
	}
	if c.out.active && r.pull == nil && (c.out.dtype == tensor.Float32 || c.out.dtype == tensor.Float64) {
		return value{}, c.refuse("it has no derivative")
	}
	switch c.out.dtype {
	case tensor.Float32, tensor.Float64:
	case tensor.Float16, tensor.BFloat16:
		if c.out.active {
			return value{}, c.refuse("its output is %s, through which no derivative is taken", c.out.dtype)
		}
	default:
		c.out.active = false // whole numbers do not move
		clear(o.active)
	}
	node, err := gorgonia.ApplyOp(o, children...)
	if err != nil {
		return value{}, fmt.Errorf("adding %s to the graph: %w", name, err)
	}
	if _, taken := g.values[node]; taken {
		return value{}, errCollision
	}
	o.node, c.out.node = node, node
	g.ops = append(g.ops, o)
	g.values[node] = c.out
	return c.out, nil
}

// fold computes an application to constants.
func (c *call) fold() (value, error) {
	in := make([]*tensor.Tensor, len(c.args))
	for i, a := range c.args {
		in[i] = &tensor.Tensor{DType: a.dtype, Shape: a.dims, Data: a.known.Data}
	}
	out := &tensor.Tensor{DType: c.out.dtype, Shape: c.out.dims}
	if c.view {
		out.Data = in[0].Data
	} else {
		t, err := tensor.New(c.out.dtype, c.out.dims...)
		if err != nil {
			return value{}, err
		}
		if c.check != nil {
			if err := c.check(in); err != nil {
				return value{}, c.refuse("%v", err)
			}
		}
		out = t
		c.do(out, in)
	}
	return constant(out), nil
}
