package gorgonia

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"
	"time"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	dense "gorgonia.org/tensor"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// op is one application of an operator of the table: the gorgonia.Op behind every
// node of ours. Types and shapes are settled when it is made; what it computes
// lies in buffers that the program has laid out, so that a run allocates none.
type op struct {
	*call
	graph  *graph
	id     int
	of     string // the node of the model that it was made for, "" for none
	node   *gorgonia.Node
	active []bool // which inputs depend on what is differentiated by

	in      []*tensor.Tensor // what do reads, refilled at every run
	result  *tensor.Tensor   // what do writes, nil until the program is laid out
	carrier *dense.Dense     // the same memory, for the machine
	sink    bool             // whether a run gives it memory of the caller's
}

func (o *op) Arity() int           { return len(o.args) }
func (o *op) ReturnsPtr() bool     { return false }
func (o *op) CallsExtern() bool    { return false }
func (o *op) OverwritesInput() int { return -1 }
func (o *op) String() string       { return o.row.name }

// label names the application in an error: the node of the model it is of, if any.
func (o *op) label() string {
	if o.of != "" {
		return o.of
	}
	return o.row.name
}

// Type is a function from the types of the inputs to that of the output, without
// variables.
func (o *op) Type() hm.Type {
	ts := make([]hm.Type, 0, len(o.args)+1)
	for _, a := range o.args {
		ts = append(ts, typeOf(a))
	}
	return hm.NewFnType(append(ts, typeOf(o.out))...)
}

func (o *op) InferShape(...gorgonia.DimSizer) (dense.Shape, error) {
	return dense.Shape(machineDims(o.out.dims)), nil
}

// WriteHash makes every application distinct: gorgonia takes nodes of one 32-bit
// hash for the same value.
func (o *op) WriteHash(h hash.Hash) {
	_ = binary.Write(h, binary.LittleEndian, numbered(o.graph.salt, o.id))
}

// numbered is the number that tells an application apart from all others; a
// variable so that a test can make numbers collide.
var numbered = func(salt, id int) int64 { return int64(salt)<<32 | int64(id) }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// Do computes the output into its buffer. The machine calls it from a goroutine of
// its own, so a panic must not leave it, and hides the errors it gives: what fails
// is in graph.failed.
func (o *op) Do(in ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer func() { o.graph.failed = err }()
	defer recovered("running "+o.label(), &err)
	if err := o.graph.ctx.Err(); err != nil {
		return nil, err
	}
	for i, v := range in {
		d, ok := v.(*dense.Dense)
		if !ok {
			return nil, fmt.Errorf("running %s: input %d is a %T, want a dense tensor", o.label(), i, v)
		}
		o.in[i].Data = elements(d, o.in[i].DType)
	}
	if o.check != nil {
		if err := o.check(o.in); err != nil {
			return nil, fmt.Errorf("running %s: %w", o.label(), err)
		}
	}
	start := time.Now()
	if o.view {
		o.look(o.in[0].Data)
	} else {
		o.do(o.result, o.in)
	}
	if o.graph.observe != nil {
		o.graph.observe(o.row.name, time.Since(start))
	}
	return o.carrier, nil
}

// look makes the output the same memory as data.
func (o *op) look(data any) {
	if o.result == nil || !sameSlice(o.result.Data, data) {
		o.result = &tensor.Tensor{DType: o.out.dtype, Shape: o.out.dims, Data: data}
		o.carrier = wrapDense(o.result)
	}
}

func sameSlice(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.Pointer() == y.Pointer() && x.Len() == y.Len()
}

// DiffWRT says which inputs a derivative is wanted of: the active ones.
func (o *op) DiffWRT(int) []bool { return o.active }

// SymDiff returns the cotangent of every active input.
func (o *op) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	out := make(gorgonia.Nodes, len(o.args))
	for i, active := range o.active {
		if !active {
			continue
		}
		g, err := o.row.pull(&derivative{o}, o.graph.wrap(grad, o.out), i)
		if err != nil {
			return nil, fmt.Errorf("differentiating %s: %w", o.row.name, err)
		}
		out[i] = g.node
	}
	return out, nil
}

// machineDims is a shape as gorgonia sees it: it treats rank 0 apart, so scalars
// are vectors of one.
func machineDims(dims []int) []int {
	if len(dims) == 0 {
		return []int{1}
	}
	return dims
}

func typeOf(v value) hm.Type {
	return gorgonia.TensorType{Dims: len(machineDims(v.dims)), Of: machineType[v.dtype]}
}

// machineType is the type under which gorgonia keeps elements. 16-bit floats are
// their bits to it.
var machineType = map[tensor.DType]dense.Dtype{
	tensor.Float32: dense.Float32, tensor.Float64: dense.Float64, tensor.Bool: dense.Bool,
	tensor.Uint8: dense.Uint8, tensor.Int8: dense.Int8, tensor.Uint16: dense.Uint16, tensor.Int16: dense.Int16,
	tensor.Uint32: dense.Uint32, tensor.Int32: dense.Int32, tensor.Uint64: dense.Uint64, tensor.Int64: dense.Int64,
	tensor.Float16: dense.Uint16, tensor.BFloat16: dense.Uint16,
}

// elements is the slice that a dense tensor holds. Its own Data would unpack a
// tensor of one element.
func elements(d *dense.Dense, t tensor.DType) any {
	switch t {
	case tensor.Float32:
		return d.Float32s()
	case tensor.Float64:
		return d.Float64s()
	case tensor.Bool:
		return d.Bools()
	case tensor.Uint8:
		return d.Uint8s()
	case tensor.Int8:
		return d.Int8s()
	case tensor.Uint16, tensor.Float16, tensor.BFloat16:
		return d.Uint16s()
	case tensor.Int16:
		return d.Int16s()
	case tensor.Uint32:
		return d.Uint32s()
	case tensor.Int32:
		return d.Int32s()
	case tensor.Uint64:
		return d.Uint64s()
	default:
		return d.Int64s()
	}
}

// wrapDense is a dense tensor over t's memory.
func wrapDense(t *tensor.Tensor) *dense.Dense {
	return dense.New(dense.WithShape(machineDims(t.Shape)...), dense.WithBacking(t.Data))
}
