package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// program is a graph with its machine, for inputs of fixed shapes.
type program struct {
	*graph
	machine gorgonia.VM // nil where nothing is left to compute
	inputs  []value
	outputs []result
}

// result is one output: what an operator makes, or a constant.
type result struct {
	op    *op
	known *tensor.Tensor
}

// returns makes v an output of the program.
func (p *program) returns(v value) error {
	if v.known != nil {
		p.outputs = append(p.outputs, result{known: v.known})
		return nil
	}
	if _, err := p.apply("Identity", nil, v); err != nil {
		return err
	}
	o := p.ops[len(p.ops)-1]
	o.sink = true
	p.outputs = append(p.outputs, result{op: o})
	return nil
}

// build makes a program: fill adds what it computes to its graph.
func (s *source) build(fill func(p *program) error) (*program, error) {
	for salt := range 8 {
		p := &program{graph: newGraph(s.run, salt)}
		p.observe = s.observe
		err := fill(p)
		if err == nil && len(p.ops) > 0 {
			p.machine, err = p.compile()
		}
		if !errors.Is(err, errCollision) {
			return p, err
		}
	}
	return nil, errCollision
}

// plain makes the program that computes the model's outputs.
func (s *source) plain(ctx context.Context, shapes map[string][]int64) (*program, error) {
	return s.build(func(p *program) error {
		values, err := s.network(ctx, p.graph, shapes, "")
		if err != nil {
			return err
		}
		for _, in := range s.inputs {
			p.inputs = append(p.inputs, values[in.Name])
		}
		for _, o := range s.model.Graph.Outputs {
			v, ok := values[o.Name]
			if !ok {
				return fmt.Errorf("preparing the model: nothing makes its output %q", o.Name)
			}
			if err := p.returns(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// do runs the program.
func (p *program) do(ctx context.Context, in []*tensor.Tensor) (out []*tensor.Tensor, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer recovered("running the model", &err)
	for _, r := range p.outputs {
		if r.op == nil {
			t, err := tensor.Decode(r.known.DType, r.known.Shape, r.known.Bytes())
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			continue
		}
		t, err := tensor.New(r.op.out.dtype, r.op.out.dims...)
		if err != nil {
			return nil, err
		}
		r.op.result, r.op.carrier = t, wrapDense(t)
		out = append(out, t)
	}
	if p.machine == nil {
		return out, nil
	}
	for i, v := range p.inputs {
		if v.node == nil { // an empty one, which nothing reads
			continue
		}
		if err := gorgonia.Let(v.node, wrapDense(&tensor.Tensor{DType: v.dtype, Shape: v.dims, Data: in[i].Data})); err != nil {
			return nil, fmt.Errorf("running the model: input %d: %w", i, err)
		}
	}
	p.ctx, p.failed = ctx, nil
	err = p.machine.RunAll()
	p.machine.Reset()
	for _, r := range p.outputs {
		if r.op != nil {
			r.op.result, r.op.carrier = nil, nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && p.failed != nil:
		return nil, p.failed
	case err != nil:
		return nil, fmt.Errorf("running the model: %w", err)
	}
	return out, nil
}

// fault is an error that was a panic, gorgonia's or a kernel's: a mistake of the
// program's.
type fault struct {
	doing string
	cause any
	stack []byte
}

func (f *fault) Error() string {
	return fmt.Sprintf("%s on %s: an internal fault, please report it: %v", f.doing, Name, f.cause)
}

// recovered turns a panic into an error.
func recovered(doing string, err *error) {
	if r := recover(); r != nil {
		*err = &fault{doing, r, debug.Stack()}
	}
}

// shapeKey names a set of input shapes.
func shapeKey(shapes map[string][]int64) string {
	s := ""
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		s += fmt.Sprintf("%q%v", name, shapes[name])
	}
	return s
}
