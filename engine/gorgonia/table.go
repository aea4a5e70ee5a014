package gorgonia

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// row is one operator: its name, its kernel and its derivative. Names without a
// dot are ONNX's, of opset 20, in the form that rewrite.Lower leaves; those with a
// dot are ours: they occur in derivatives, and for a second output.
type row struct {
	name string
	// make checks an application and settles c.out and c.do. What it cannot run it
	// refuses by c.refuse.
	make func(c *call) error
	// push gives the tangent of the output from those of the inputs; an absent
	// (zero) tangent has a nil node. It is nil where pull is.
	push func(d *derivative, t []value) (value, error)
	// pull gives the cotangent of input i from that of the output. It is nil for
	// operators that have no derivative, whose inputs must not depend on what is
	// differentiated by.
	pull func(d *derivative, g value, i int) (value, error)
}

// table holds every operator the engine runs. To add one, add a row.
var table = map[string]*row{}

func init() {
	for _, rows := range [][]row{unaryRows(), binaryRows(), compareRows(), clipRows(), whereRows(), moveRows(), expandRows(), shapeRows(),
		reduceRows(), linearRows(), poolRows(), castRows()} {
		for i := range rows {
			if table[rows[i].name] != nil {
				panic("two rows are called " + rows[i].name)
			}
			table[rows[i].name] = &rows[i]
		}
	}
}

// call is one application of a row: what goes in, and what make settles.
type call struct {
	row   *row
	args  []value
	attrs map[string]any
	run   *kernel.Runner

	out value // dtype and dims
	// do fills out from in, whose data are slices of the Go types of their DType.
	do func(out *tensor.Tensor, in []*tensor.Tensor)
	// check, when not nil, looks at the inputs before do: at what only a run shows.
	check func(in []*tensor.Tensor) error
	// view marks an operator whose output is its first input's memory.
	view bool
}

// refusal is a form of an operator that the engine does not run.
type refusal struct{ why string }

func (r refusal) Error() string { return r.why }

func (c *call) refuse(format string, args ...any) error {
	return refusal{fmt.Sprintf(format, args...)}
}

// inputs checks the number of inputs.
func (c *call) inputs(least, most int) error {
	if len(c.args) < least || len(c.args) > most {
		return c.refuse("%d inputs, want %d to %d", len(c.args), least, most)
	}
	return nil
}

// float checks that the first n inputs are of one floating-point type, which is
// the output's too.
func (c *call) float(n int) error {
	for _, a := range c.args[:n] {
		if a.dtype != tensor.Float32 && a.dtype != tensor.Float64 || a.dtype != c.args[0].dtype {
			return c.refuse("inputs of type %s", c.types())
		}
	}
	c.out.dtype = c.args[0].dtype
	return nil
}

func (c *call) types() string {
	s := ""
	for i, a := range c.args {
		if i > 0 {
			s += ", "
		}
		s += a.dtype.String()
	}
	return s
}

// rank checks the rank of input i.
func (c *call) rank(i, n int) error {
	if len(c.args[i].dims) != n {
		return c.refuse("an input of shape %v, want %d axes", c.args[i].dims, n)
	}
	return nil
}

// Attributes, as onnx-go decodes them.

func (c *call) integer(name string, absent int) int {
	if v, ok := c.attrs[name].(int64); ok {
		return int(v)
	}
	return absent
}

func (c *call) number(name string, absent float32) float64 {
	if v, ok := c.attrs[name].(float32); ok {
		return float64(v)
	}
	return float64(absent)
}

func (c *call) text(name, absent string) string {
	if v, ok := c.attrs[name].(string); ok {
		return v
	}
	return absent
}

func (c *call) list(name string, absent ...int) []int {
	v, ok := c.attrs[name].([]int64)
	if !ok {
		return absent
	}
	out := make([]int, len(v))
	for i, n := range v {
		out[i] = int(n)
	}
	return out
}

// constant is the content of input i, which must be a constant of integers.
func (c *call) constant(i int) ([]int, error) {
	if i >= len(c.args) || c.args[i].known == nil {
		return nil, c.refuse("input %d is not a constant", i)
	}
	v, ok := c.args[i].known.Data.([]int64)
	if !ok {
		return nil, c.refuse("input %d is of type %s, want int64", i, c.args[i].dtype)
	}
	out := make([]int, len(v))
	for k, n := range v {
		out[k] = int(n)
	}
	return out, nil
}

// derivative builds the derivative of one application.
type derivative struct{ *op }

// input is the i-th input of the application, output its output.
func (d *derivative) input(i int) value { return d.args[i] }
func (d *derivative) output() value     { return d.graph.wrap(d.node, d.out) }

// apply adds an operator of the table. What it makes is not differentiated again.
func (d *derivative) apply(name string, attrs map[string]any, in ...value) (value, error) {
	in = slices.Clone(in)
	for i := range in {
		in[i].active = false
	}
	return d.graph.apply(name, attrs, in...)
}

// sumTo adds up what broadcasting repeated, so that v has the shape dims.
func (d *derivative) sumTo(v value, dims []int) (value, error) {
	if slices.Equal(v.dims, dims) {
		return v, nil
	}
	return d.apply("Expand.pull", map[string]any{"dims": dims}, v)
}

// expand repeats v to the shape dims.
func (d *derivative) expand(v value, dims []int) (value, error) {
	if slices.Equal(v.dims, dims) {
		return v, nil
	}
	return d.apply("Expand.push", map[string]any{"dims": dims}, v)
}

// add adds two tangents of one shape, of which either may be absent.
func (d *derivative) add(a, b value) (value, error) {
	switch {
	case a.node == nil:
		return b, nil
	case b.node == nil:
		return a, nil
	}
	return d.apply("Add", nil, a, b)
}
