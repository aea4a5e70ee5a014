// Package gorgonia runs models in pure Go, without a native library and without
// cgo, in float32 and float64, and differentiates them. onnx-go decodes, gorgonia
// holds the expression graph, differentiates it and drives it; the operators are
// this package's own, in one table, with their derivatives.
//
// A model is first brought to a small dialect with fixed shapes, by rewrite.Lower,
// so each set of input shapes has a program of its own; a session keeps the last
// few. What the engine cannot run it refuses when it meets the shapes: with the
// declared ones in Prepare, with others at the first run.
//
// Matrix products and convolutions round after every product and every sum, in a
// fixed order; see package kernel. An item's numbers do not depend on the batch it
// is in, nor on the number of threads.
package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Name is the backend's name.
const Name = "gorgonia"

// Product is what messages call the engine.
const Product = "the pure-Go engine"

// Backend runs models in pure Go. It is available everywhere.
type Backend struct {
	// Observe, when not nil, is told after every operator its name and how long it
	// took: where the time of a run goes. Sessions call it from the goroutine of
	// their Run.
	Observe func(op string, took time.Duration)
}

var _ engine.Differentiator = Backend{}

// Name is "gorgonia".
func (Backend) Name() string { return Name }

// Version is the release of the gorgonia module in the program.
func (Backend) Version() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == "gorgonia.org/gorgonia" {
				return m.Version
			}
		}
	}
	return "unknown" // in tests, which carry no list of modules
}

// Available is nil on the CPU.
func (Backend) Available(o engine.Options) error {
	if o.Device.Kind == "cuda" {
		return &engine.UnavailableError{Backend: Name, Reason: "it has no device cuda, it runs on the CPU",
			Remedy:  "take the backend ort, or the device cpu",
			Options: []string{"backends.Request.Name=ort", "engine.Options.Device=cpu"}}
	}
	return nil
}

// check reports options that the engine does not understand. The library and the
// arena are not its business; there is one level of optimisation, "none" included:
// what it folds into a convolution is a batch normalisation by constants.
func check(o engine.Options) error {
	switch {
	case o.Threads < 0:
		return fmt.Errorf("got %d threads; want 0 for the default, or more", o.Threads)
	case !slices.Contains([]string{"", "all", "extended", "basic", "none"}, o.Optimize):
		return fmt.Errorf("no level of optimisation is called %q; the choices are all, extended, basic and none", o.Optimize)
	case o.Device.Kind != "" && o.Device.Kind != "cpu":
		return fmt.Errorf("%s has no device %q; the device is cpu", Name, o.Device.Kind)
	}
	return o.CheckGPU()
}

// Prepare makes a session of m, whose weights the session shares: their memory must
// not change while it lives. Nodes that the engine does not run, for the shapes that
// m declares, are an *engine.UnsupportedError; what asks for more memory than limits
// allow is an error too. Where m leaves dimensions open, the same is said by the
// first Run that meets them.
func (b Backend) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (_ engine.Session, err error) {
	defer recovered("preparing the model", &err)
	if err := b.Available(o); err != nil {
		return nil, err
	}
	if err := check(o); err != nil {
		return nil, fmt.Errorf("preparing the model for %s: %w", Name, err)
	}
	if m.Graph == nil {
		return nil, fmt.Errorf("preparing the model for %s: it has no graph", Name)
	}
	defer o.Watch.Watch(Product, m.Path, "prepared the model")()
	s := &session{source: newSource(m.Clone(), o, b.Observe), keep: 3}
	if o.NoArena {
		s.keep = 1
	}
	s.in = ports(s.inputs)
	s.out = ports(s.model.Graph.Outputs)
	err = s.tryDeclared(func(shapes map[string][]int64, exact bool) error { return s.prepare(ctx, shapes, exact) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("preparing the model for %s: %w", Name, err)
	}
	return s, nil
}

// session is a model with the programs for the shapes it has met.
type session struct {
	*source
	keep     int
	programs []*keyed // the latest first
	in, out  []engine.Port
	closed   bool
}

type keyed struct {
	key string
	*program
}

// prepare makes the program for shapes that the model declares, exactly or up to
// a guess. One that is not exact only shows what is not supported.
func (s *session) prepare(ctx context.Context, shapes map[string][]int64, exact bool) error {
	p, err := s.plain(ctx, shapes)
	if err != nil {
		return err
	}
	for i, r := range p.outputs {
		if s.out[i].DType == tensor.Undefined && r.op != nil {
			s.out[i].DType = r.op.out.dtype
		}
	}
	if exact {
		s.programs = []*keyed{{shapeKey(shapes), p}}
	}
	return nil
}

// tryDeclared calls prepare for the shapes that the model declares, so that what
// is not supported shows. Where it leaves dimensions open, a node counts as
// unsupported when two different guesses show it for the same reason: a reason
// that names shapes is one of the guess. All else is for the first run to say.
func (s *source) tryDeclared(prepare func(shapes map[string][]int64, exact bool) error) error {
	var refused *engine.UnsupportedError
	for _, guess := range []int64{1, 12} {
		shapes, exact := declared(s.inputs, guess)
		err := prepare(shapes, exact)
		u := new(engine.UnsupportedError)
		switch {
		case err == nil:
			return nil
		case exact:
			return err
		case !errors.As(err, &u):
			return nil
		case refused == nil:
			refused = u
		default:
			refused = both(refused, u)
		}
	}
	if len(refused.Nodes) == 0 {
		return nil
	}
	return refused
}

// both is what a and b have in common.
func both(a, b *engine.UnsupportedError) *engine.UnsupportedError {
	c := &engine.UnsupportedError{Backend: Name}
	for i, n := range a.Nodes {
		if k := slices.Index(b.Nodes, n); k >= 0 && a.Why[i] == b.Why[k] {
			c.Nodes, c.Why = append(c.Nodes, n), append(c.Why, a.Why[i])
		}
	}
	return c
}

// declared is the shapes that inputs declare, with guess for what is open; exact
// says that nothing was.
func declared(inputs []*onnx.Value, guess int64) (shapes map[string][]int64, exact bool) {
	shapes, exact = map[string][]int64{}, true
	for _, v := range inputs {
		exact = exact && v.HasShape()
		shape := []int64{}
		for _, d := range v.Shape {
			if d.Size < 0 || d.Param != "" {
				shape, exact = append(shape, guess), false
			} else {
				shape = append(shape, d.Size)
			}
		}
		shapes[v.Name] = shape
	}
	return shapes, exact
}

func ports(vs []*onnx.Value) []engine.Port {
	out := make([]engine.Port, len(vs))
	for i, v := range vs {
		out[i] = engine.Port{Name: v.Name, DType: v.DType}
		if v.HasShape() {
			out[i].Shape = []int{}
		}
		for _, d := range v.Shape {
			n := -1
			if d.Size >= 0 && d.Param == "" {
				n = int(d.Size)
			}
			out[i].Shape = append(out[i].Shape, n)
		}
	}
	return out
}

func copyPorts(ps []engine.Port) []engine.Port {
	ps = slices.Clone(ps)
	for i := range ps {
		ps[i].Shape = slices.Clone(ps[i].Shape)
	}
	return ps
}

func (s *session) Inputs() []engine.Port  { return copyPorts(s.in) }
func (s *session) Outputs() []engine.Port { return copyPorts(s.out) }

func (s *session) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if s.closed {
		return nil, errors.New("running the model: the session is closed")
	}
	if err := engine.CheckInputs(s.in, in); err != nil {
		return nil, fmt.Errorf("running the model: %w", err)
	}
	defer s.watched()()
	p, err := s.program(ctx, in)
	if err != nil {
		return nil, err
	}
	return p.do(ctx, in)
}

// program is that for the inputs' shapes.
func (s *session) program(ctx context.Context, in []*tensor.Tensor) (_ *program, err error) {
	defer recovered("preparing the model", &err)
	shapes := s.shapes(in)
	key := shapeKey(shapes)
	for i, k := range s.programs {
		if k.key == key {
			s.programs = slices.Insert(slices.Delete(s.programs, i, i+1), 0, k)
			return k.program, nil
		}
	}
	p, err := s.plain(ctx, shapes)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if empty := s.empty(shapes); empty != nil {
			return empty, nil
		}
		return nil, fmt.Errorf("preparing the model for inputs of these shapes: %w", err)
	}
	s.programs = append([]*keyed{{key, p}}, s.programs[:min(len(s.programs), s.keep-1)]...)
	return p, nil
}

// empty is the program of a model all of whose outputs are without elements, as
// those of an empty batch are; nil for any other.
func (s *session) empty(shapes map[string][]int64) *program {
	facts, err := s.model.Infer(shapes)
	if err != nil {
		return nil
	}
	p := &program{}
	for _, v := range s.model.Graph.Outputs {
		f := facts[v.Name]
		if !f.Known() || !slices.Contains(f.Shape, 0) {
			return nil
		}
		dims := make([]int, len(f.Shape))
		for i, d := range f.Shape {
			dims[i] = int(d)
		}
		t, err := tensor.New(f.DType, dims...)
		if err != nil {
			return nil
		}
		p.outputs = append(p.outputs, result{known: t})
	}
	return p
}

func (s *source) shapes(in []*tensor.Tensor) map[string][]int64 {
	shapes := map[string][]int64{}
	for i, v := range s.inputs {
		shape := []int64{}
		for _, d := range in[i].Shape {
			shape = append(shape, int64(d))
		}
		shapes[v.Name] = shape
	}
	return shapes
}

func (s *session) Close() error {
	s.closed, s.programs = true, nil
	return nil
}
