package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Linearize readies derivatives: forward mode along the operators' own rules,
// reverse mode by gorgonia's differentiation of the graph. Only what the values
// depend on need be supported, and only what lies between them and wrt have a
// derivative; the nodes that do not are an *engine.UnsupportedError, as in Prepare.
// Where an operator's slope is not finite, as a root's at zero, so are derivatives.
func (b Backend) Linearize(ctx context.Context, m *onnx.Model, wrt string, values []string, o engine.Options) (_ engine.Linearization, err error) {
	defer recovered("preparing derivatives", &err)
	if err := b.Available(o); err != nil {
		return nil, err
	}
	err = check(o)
	if err == nil && m.Graph == nil {
		err = errors.New("it has no graph")
	}
	if err == nil && len(values) == 0 {
		err = errors.New("no value is named")
	}
	if err != nil {
		return nil, fmt.Errorf("preparing derivatives on %s: %w", Name, err)
	}
	defer o.Watch.Watch(Product, m.Path, "prepared the model")()
	l := &linearization{source: newSource(m.Clone(), o, b.Observe), wrt: -1, values: slices.Clone(values), programs: map[string]*derived{}}
	l.in = ports(l.inputs)
	for i, v := range l.inputs {
		if v.Name != wrt {
			continue
		}
		if l.wrt = i; v.DType != tensor.Float32 && v.DType != tensor.Float64 {
			return nil, fmt.Errorf("preparing derivatives on %s: the input %q is of type %s, want float32 or float64", Name, wrt, v.DType)
		}
	}
	if l.wrt < 0 {
		return nil, fmt.Errorf("preparing derivatives on %s: the model has no input %q", Name, wrt)
	}
	known := map[string]bool{}
	for _, v := range l.inputs {
		known[v.Name] = true
	}
	for _, n := range m.Graph.Nodes {
		for _, v := range n.Outputs {
			known[v] = true
		}
	}
	for _, v := range values {
		if !known[v] || v == "" {
			return nil, fmt.Errorf("preparing derivatives on %s: nothing makes the value %q", Name, v)
		}
	}
	// Only what the values depend on need be differentiable, or supported at all.
	l.model.Graph.Outputs = nil
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		l.model.Graph.Outputs = append(l.model.Graph.Outputs, onnx.NewValue(v, tensor.Undefined, nil))
	}
	err = l.tryDeclared(func(shapes map[string][]int64, _ bool) error { _, err := l.push(ctx, shapes); return err })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("preparing derivatives on %s: %w", Name, err)
	}
	return l, nil
}

type linearization struct {
	*source
	in       []engine.Port
	wrt      int // which of the inputs
	values   []string
	programs map[string]*derived
	closed   bool
}

// derived is a program of values and one direction of derivatives. Its inputs are
// the model's and then the tangent or the cotangents; its outputs are the values
// and then the tangents or the gradient, of which those that are zero for certain
// are left out.
type derived struct {
	*program
	dims  [][]int // of the values
	types []tensor.DType
	moves []bool // which values depend on the input
}

// begin adds the model's values to a program.
func (l *linearization) begin(ctx context.Context, p *program, shapes map[string][]int64) (*derived, []value, error) {
	all, err := l.network(ctx, p.graph, shapes, l.inputs[l.wrt].Name)
	if err != nil {
		return nil, nil, err
	}
	d := &derived{program: p}
	for _, in := range l.inputs {
		p.inputs = append(p.inputs, all[in.Name])
	}
	var out []value
	for _, name := range l.values {
		v, ok := all[name]
		if !ok {
			return nil, nil, fmt.Errorf("the value %q is not part of what the model computes", name)
		}
		if v.dtype != tensor.Float32 && v.dtype != tensor.Float64 {
			return nil, nil, fmt.Errorf("the value %q is of type %s, want float32 or float64", name, v.dtype)
		}
		out = append(out, v)
		d.dims, d.types, d.moves = append(d.dims, v.dims), append(d.types, v.dtype), append(d.moves, v.active)
		if err := p.returns(v); err != nil {
			return nil, nil, err
		}
	}
	return d, out, nil
}

// push makes the program of tangents.
func (l *linearization) push(ctx context.Context, shapes map[string][]int64) (*derived, error) {
	var d *derived
	_, err := l.build(func(p *program) error {
		var out []value
		var err error
		if d, out, err = l.begin(ctx, p, shapes); err != nil {
			return err
		}
		x := p.inputs[l.wrt]
		t, err := p.input("tangent", x.dtype, x.dims, false)
		if err != nil {
			return err
		}
		p.inputs = append(p.inputs, t)
		tangents := map[*gorgonia.Node]value{x.node: t}
		for _, o := range slices.Clone(p.ops) {
			if !o.out.active || o.sink {
				continue
			}
			in := make([]value, len(o.args))
			for i, a := range o.args {
				if a.active {
					in[i] = tangents[a.node]
				}
			}
			t, err := o.row.push(&derivative{o}, in)
			if err != nil {
				return fmt.Errorf("differentiating %s: %w", o.row.name, err)
			}
			tangents[o.node] = t
		}
		for _, v := range out {
			if !v.active {
				continue
			}
			if err := p.returns(tangents[v.node]); err != nil {
				return err
			}
		}
		return nil
	})
	return d, err
}

// pull makes the program of the gradient for cotangents of the values in which.
func (l *linearization) pull(ctx context.Context, shapes map[string][]int64, which []bool) (*derived, error) {
	var d *derived
	_, err := l.build(func(p *program) error {
		var out []value
		var err error
		if d, out, err = l.begin(ctx, p, shapes); err != nil {
			return err
		}
		var ends, cotangents gorgonia.Nodes
		for i, v := range out {
			if !which[i] {
				continue
			}
			// An end of its own for each value: gorgonia would take but one
			// cotangent for a value named twice.
			end, err := p.apply("Identity", nil, v)
			if err != nil {
				return err
			}
			c, err := p.input("cotangent", v.dtype, v.dims, false)
			if err != nil {
				return err
			}
			p.inputs = append(p.inputs, c)
			ends, cotangents = append(ends, end.node), append(cotangents, c.node)
		}
		if len(ends) == 0 {
			return nil
		}
		x := p.inputs[l.wrt]
		grads, err := gorgonia.Backpropagate(ends, cotangents, gorgonia.Nodes{x.node})
		if err != nil {
			return fmt.Errorf("differentiating with gorgonia: %w", err)
		}
		return p.returns(p.wrap(grads[0], x))
	})
	return d, err
}

// program finds the program for a direction, or makes it.
func (l *linearization) program(in []*tensor.Tensor, direction string, make func(shapes map[string][]int64) (*derived, error)) (_ *derived, err error) {
	if l.closed {
		return nil, errors.New("differentiating the model: it is closed")
	}
	if err := engine.CheckInputs(l.in, in); err != nil {
		return nil, fmt.Errorf("differentiating the model: %w", err)
	}
	defer recovered("preparing derivatives", &err)
	shapes := l.shapes(in)
	key := direction + shapeKey(shapes)
	if p := l.programs[key]; p != nil {
		return p, nil
	}
	p, err := make(shapes)
	if err != nil {
		return nil, fmt.Errorf("preparing derivatives on %s: %w", Name, err)
	}
	if len(l.programs) >= 4 {
		clear(l.programs)
	}
	l.programs[key] = p
	return p, nil
}

func (l *linearization) Push(ctx context.Context, in []*tensor.Tensor, tangent *tensor.Tensor) (values, tangents []*tensor.Tensor, err error) {
	defer l.watched()()
	d, err := l.program(in, "push", func(shapes map[string][]int64) (*derived, error) { return l.push(ctx, shapes) })
	if err != nil {
		return nil, nil, err
	}
	x := d.inputs[l.wrt]
	if err := engine.CheckInputs([]engine.Port{{Name: "the tangent", DType: x.dtype, Shape: x.dims}}, []*tensor.Tensor{tangent}); err != nil {
		return nil, nil, fmt.Errorf("differentiating the model: %w", err)
	}
	out, err := d.do(ctx, append(slices.Clone(in), tangent))
	if err != nil {
		return nil, nil, err
	}
	values, rest := out[:len(l.values)], out[len(l.values):]
	for i := range values {
		if !d.moves[i] {
			tangents = append(tangents, zeros(d.types[i], d.dims[i]...))
			continue
		}
		tangents, rest = append(tangents, rest[0]), rest[1:]
	}
	return values, tangents, nil
}

func (l *linearization) Pull(ctx context.Context, in []*tensor.Tensor,
	cotangents []*tensor.Tensor) (values []*tensor.Tensor, gradient *tensor.Tensor, err error) {
	if len(cotangents) != len(l.values) {
		return nil, nil, fmt.Errorf("differentiating the model: got %d cotangents, want %d, one for each value", len(cotangents), len(l.values))
	}
	defer l.watched()()
	// The mask of values that have a cotangent and depend on the input; the latter
	// the first program shows.
	given := make([]bool, len(cotangents))
	for i, c := range cotangents {
		given[i] = c != nil
	}
	d, err := l.program(in, "values", func(shapes map[string][]int64) (*derived, error) {
		return l.pull(ctx, shapes, make([]bool, len(given)))
	})
	if err != nil {
		return nil, nil, err
	}
	all := slices.Clone(in)
	which := make([]bool, len(given))
	some := false
	for i, c := range cotangents {
		if !given[i] {
			continue
		}
		some = true
		if err := engine.CheckInputs([]engine.Port{{Name: "the cotangent of " + l.values[i], DType: d.types[i], Shape: d.dims[i]}}, []*tensor.Tensor{c}); err != nil {
			return nil, nil, fmt.Errorf("differentiating the model: %w", err)
		}
		if which[i] = d.moves[i]; which[i] {
			all = append(all, c)
		}
	}
	if !some {
		return nil, nil, errors.New("differentiating the model: no cotangent is given")
	}
	x := in[l.wrt]
	if slices.Contains(which, true) {
		if d, err = l.program(in, fmt.Sprint("pull", which), func(shapes map[string][]int64) (*derived, error) { return l.pull(ctx, shapes, which) }); err != nil {
			return nil, nil, err
		}
	}
	out, err := d.do(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	if len(out) == len(l.values) {
		return out, zeros(x.DType, x.Shape...), nil
	}
	return out[:len(l.values)], out[len(l.values)], nil
}

func (l *linearization) Close() error {
	l.closed, l.programs = true, nil
	return nil
}
