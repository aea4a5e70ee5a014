//go:build cgo

package ort

// #include "ortapi.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/internal/spare"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// network is a model in ONNX Runtime, which several sessions may run at once: each run
// has values, and on a GPU a stream, of its own, and all have one copy of the weights.
type network struct {
	das    *ort.DynamicAdvancedSession
	ptr    unsafe.Pointer // its OrtSession
	users  atomic.Int32   // sessions that are not closed
	opened engine.Options // what it was opened with
	file   string         // the model's
}

// leave gives the network's memory back after its last session.
func (n *network) leave() error {
	if n.users.Add(-1) > 0 {
		return nil
	}
	return n.das.Destroy()
}

// session runs a network. Inputs are read where they lie. An output whose shape is
// known beforehand (declared, or the same as last time for inputs of the same shapes)
// is written straight into the caller's new slice; another is copied once.
type session struct {
	net     *network // nil after Close
	options *ort.RunOptions
	optptr  unsafe.Pointer
	in, out []engine.Port

	// In C memory, for one Run at a time: inputs, then outputs.
	names   []*C.char
	values  []unsafe.Pointer
	tensors []C.op_tensor

	asked   [][]int      // the input shapes of the last run
	made    [][]int      // its output shapes
	place   *memoryPlace // where runs are bound; nil for nowhere
	binding *binding     // nil before the first such run
	home    *thread      // that all runs are on; nil for any
	onCPU   []string     // see engine.Placer
	note    string       // see engine.Noter
	spare   spare.Outputs

	depends []bool // outputs whose shape does not follow from the inputs' shapes, and those that are inputs
}

// field reads an unexported pointer of the binding, which keeps ONNX Runtime's
// objects to itself.
func field(v any, path ...string) (unsafe.Pointer, error) {
	r := reflect.ValueOf(v)
	for _, name := range path {
		if r = reflect.Indirect(r); r.Kind() == reflect.Struct {
			r = r.FieldByName(name)
		}
		if !r.IsValid() || r.Kind() != reflect.Pointer || r.IsNil() {
			return nil, fmt.Errorf("this release of onnxruntime_go has no %T.%s", v, name)
		}
	}
	return r.UnsafePointer(), nil
}

// newSession is the first session of a network, which it takes over unless it fails.
func newSession(das *ort.DynamicAdvancedSession) (*session, error) {
	n := &network{das: das}
	var err error
	if n.ptr, err = field(das, "s", "ortSession"); err != nil {
		return nil, err
	}
	var in, out []engine.Port
	for i, ports := range []*[]engine.Port{&in, &out} {
		var count C.size_t
		if err := goError(C.op_count(loaded.api, n.ptr, C.int(i), &count)); err != nil {
			return nil, err
		}
		for j := range count {
			p, err := port(n.ptr, i, j)
			if err != nil {
				return nil, fmt.Errorf("reading %s %d: %w", []string{"input", "output"}[i], j, err)
			}
			*ports = append(*ports, p)
		}
	}
	return n.session(in, out)
}

// session is one more session of n.
func (n *network) session(in, out []engine.Port) (*session, error) {
	s := &session{net: n, in: in, out: out}
	var err error
	if s.options, err = ort.NewRunOptions(); err != nil {
		return nil, err
	}
	if s.optptr, err = field(s.options, "o"); err != nil {
		s.options.Destroy()
		return nil, err
	}
	total := len(s.in) + len(s.out)
	s.names = unsafe.Slice((**C.char)(C.calloc(C.size_t(total+1), C.size_t(unsafe.Sizeof(uintptr(0))))), total+1)[:total]
	s.values = unsafe.Slice((*unsafe.Pointer)(C.calloc(C.size_t(total+1), C.size_t(unsafe.Sizeof(uintptr(0))))), total+1)[:total]
	s.tensors = unsafe.Slice((*C.op_tensor)(C.calloc(C.size_t(total+1), C.sizeof_op_tensor)), total+1)[:total]
	for i, p := range slices.Concat(s.in, s.out) {
		s.names[i] = C.CString(p.Name)
	}
	s.made = make([][]int, len(s.out))
	s.spare.Keep(len(s.out))
	s.depends = make([]bool, len(s.out))
	for i, p := range s.out {
		// ONNX Runtime hands such an output the input's memory, and leaves the
		// slice it was given for it as it is.
		s.depends[i] = slices.ContainsFunc(s.in, func(in engine.Port) bool { return in.Name == p.Name })
	}
	n.users.Add(1)
	return s, nil
}

// Share is part of engine.Sharer. A CUDA graph is recorded in one place of memory, so
// its session has nothing to share.
func (s *session) Share() (engine.Session, error) {
	switch {
	case s.net == nil:
		return nil, errors.New("sharing a model on ort: the session is closed")
	case s.place != nil && s.place.graph:
		return nil, errors.New("sharing a model on ort: the runs of a CUDA graph are one at a time")
	}
	t, err := s.net.session(s.in, s.out)
	if err != nil {
		return nil, fmt.Errorf("sharing a model on ort: %w", err)
	}
	t.place, t.onCPU = s.place, s.onCPU
	return t, nil
}

func port(s unsafe.Pointer, output int, i C.size_t) (engine.Port, error) {
	var name *C.char
	var t C.op_tensor
	err := goError(C.op_port(loaded.api, s, C.int(output), i, &name, &t))
	p := engine.Port{DType: tensor.DType(t.elem)}
	if name != nil {
		p.Name = C.GoString(name)
		C.free(unsafe.Pointer(name))
	}
	if err != nil {
		return p, err
	}
	if p.DType == tensor.Undefined {
		return p, fmt.Errorf("%q is not a tensor; sequences, maps and optional values are not supported", p.Name)
	}
	if _, err := tensor.New(p.DType, 0); err != nil {
		return p, fmt.Errorf("%q: %w", p.Name, err)
	}
	if t.rank >= 0 {
		p.Shape = shapeOf(&t)
		for k, d := range p.Shape {
			p.Shape[k] = max(d, -1)
		}
	}
	return p, nil
}

func shapeOf(t *C.op_tensor) []int {
	shape := make([]int, t.rank)
	for i := range shape {
		shape[i] = int(t.dims[i])
	}
	return shape
}

func (s *session) Inputs() []engine.Port  { return clonePorts(s.in) }
func (s *session) Outputs() []engine.Port { return clonePorts(s.out) }

func clonePorts(ports []engine.Port) []engine.Port {
	out := slices.Clone(ports)
	for i := range out {
		out[i].Shape = slices.Clone(out[i].Shape)
	}
	return out
}

// Close gives the session's memory back. A second Close does nothing.
func (s *session) Close() error {
	if s.net == nil {
		return nil
	}
	if s.binding != nil {
		s.binding.free()
	}
	err := errors.Join(s.options.Destroy(), s.net.leave())
	if s.home != nil {
		s.home.end()
	}
	for _, n := range s.names {
		C.free(unsafe.Pointer(n))
	}
	C.free(unsafe.Pointer(unsafe.SliceData(s.names)))
	C.free(unsafe.Pointer(unsafe.SliceData(s.values)))
	C.free(unsafe.Pointer(unsafe.SliceData(s.tensors)))
	*s = session{in: s.in, out: s.out, onCPU: s.onCPU, note: s.note}
	return err
}

// Recycle is part of engine.Recycler.
func (s *session) Recycle(out []*tensor.Tensor) { s.spare.Give(out) }

// output is memory for output i in a shape.
func (s *session) output(i int, shape []int) (*tensor.Tensor, error) {
	return s.spare.Take(i, s.out[i].DType, shape)
}

// Run evaluates the model. A cancelled context is seen between two nodes, so a
// single long node runs to its end.
func (s *session) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if s.net == nil {
		return nil, errors.New("running a model on ort: the session is closed")
	}
	if err := engine.CheckInputs(s.in, in); err != nil {
		return nil, fmt.Errorf("running a model on ort: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if ctx.Done() != nil {
		done := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(done)
			s.options.Terminate()
		})
		defer func() {
			if !stop() {
				<-done
				s.options.UnsetTerminate()
			}
		}()
	}
	done := s.net.opened.Watch.Watch(Product, s.net.file, "ran the model")
	out, err := s.evaluateAtHome(ctx, in)
	done()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("running a model on ort: %w", remedied(err, s.net.opened))
	}
	s.asked = s.asked[:0]
	for _, t := range in {
		s.asked = append(s.asked, slices.Clone(t.Shape))
	}
	for i, t := range out {
		s.made[i] = slices.Clone(t.Shape)
	}
	return out, nil
}

// evaluateAtHome is evaluate on the thread that all runs are on, where there is one.
func (s *session) evaluateAtHome(ctx context.Context, in []*tensor.Tensor) (out []*tensor.Tensor, err error) {
	if s.place != nil && s.place.graph && s.home == nil {
		s.home = newThread()
	}
	if s.home == nil {
		return s.evaluate(ctx, in)
	}
	s.home.do(func() { out, err = s.evaluate(ctx, in) })
	return out, err
}

// evaluate runs the model in bound memory, in outputs of known shapes, or in what ONNX
// Runtime allocates, whichever is the first that can be.
func (s *session) evaluate(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	expected := s.expect(in)
	b, err := s.bindingFor(in, expected)
	if err == nil && b != nil {
		var out []*tensor.Tensor
		if err = s.record(true); err == nil {
			out, err = s.runBound(b, in)
		}
		if err == nil || ctx.Err() != nil {
			return out, err
		}
	}
	if err != nil {
		if s.place.graph {
			return nil, fmt.Errorf("binding a run for a CUDA graph: %w", err)
		}
		s.place = nil // the other ways need no such memory
		s.note = fmt.Sprintf("runs on %s are not bound to pinned memory, and copy more slowly: %v", s.net.opened.Device, err)
	}
	if err := s.record(false); err != nil {
		return nil, err
	}
	out, bound, err := s.run(in, expected)
	if err != nil && bound && ctx.Err() == nil {
		// A declared or remembered shape may be wrong this time; ONNX Runtime
		// then refuses the slice before it writes to it.
		if out, _, err = s.run(in, make([][]int, len(s.out))); err == nil {
			for i, t := range out {
				s.depends[i] = s.depends[i] || expected[i] != nil && !slices.Equal(expected[i], t.Shape)
			}
		}
	}
	return out, err
}

// expect is the shape of each output as far as it is known before the run, else
// nil.
func (s *session) expect(in []*tensor.Tensor) [][]int {
	same := len(s.asked) == len(in)
	for i := 0; same && i < len(in); i++ {
		same = slices.Equal(s.asked[i], in[i].Shape)
	}
	shapes := make([][]int, len(s.out))
	for i, p := range s.out {
		switch {
		case s.depends[i]:
		case same && s.made[i] != nil:
			shapes[i] = s.made[i]
		case p.Shape != nil && !slices.Contains(p.Shape, -1):
			shapes[i] = p.Shape
		}
	}
	return shapes
}

// fill describes t, whose memory it pins, to C.
func (s *session) fill(pin *runtime.Pinner, i int, t *tensor.Tensor) {
	c := &s.tensors[i]
	data, size, first := memory(t)
	if size == 0 {
		data = unsafe.Pointer(c) // never read, and 0 means none
	} else {
		pin.Pin(first)
	}
	c.data, c.bytes, c.elem, c.rank = C.uintptr_t(uintptr(data)), C.size_t(size), C.int32_t(t.DType), C.int32_t(len(t.Shape))
	for k, d := range t.Shape {
		c.dims[k] = C.int64_t(d)
	}
}

// run evaluates the model once, with outputs of the given shapes, nil for
// unknown. bound reports whether any was given.
func (s *session) run(in []*tensor.Tensor, shapes [][]int) (out []*tensor.Tensor, bound bool, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, t := range in {
		s.fill(&pin, i, t)
	}
	out = make([]*tensor.Tensor, len(s.out))
	for i, shape := range shapes {
		s.tensors[len(in)+i].data = 0
		if shape == nil || tensor.Count(shape) == 0 {
			continue
		}
		if out[i], err = s.output(i, shape); err != nil {
			return nil, bound, err
		}
		s.fill(&pin, len(in)+i, out[i])
		bound = true
	}
	all := unsafe.SliceData(s.tensors)
	defer C.op_release(loaded.api, all, C.size_t(len(s.tensors)))
	err = goError(C.op_run(loaded.api, s.net.ptr, s.optptr, loaded.memory, unsafe.SliceData(s.names),
		unsafe.SliceData(s.values), all, C.size_t(len(in)), C.size_t(len(out))))
	if err != nil {
		return nil, bound, err
	}
	for i := range out {
		if out[i] != nil {
			continue
		}
		c := &s.tensors[len(in)+i]
		if out[i], err = tensor.New(tensor.DType(c.elem), shapeOf(c)...); err != nil {
			return nil, bound, fmt.Errorf("output %q: %w", s.out[i].Name, err)
		}
		if data, size, _ := memory(out[i]); size > 0 {
			copy(unsafe.Slice((*byte)(data), size), unsafe.Slice((*byte)(c.made), size))
		}
	}
	return out, bound, nil
}
