package gorgonia

import (
	"fmt"
	"slices"

	gonum "gonum.org/v1/gonum/graph"
	"gorgonia.org/gorgonia"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// errCollision says that two nodes have one hash: gorgonia would take them for
// the same value. Another salt gives other hashes.
var errCollision = fmt.Errorf("two nodes of the graph have the same hash")

// compile makes gorgonia's machine for the graph and lays out the memory of its
// operators.
func (g *graph) compile() (gorgonia.VM, error) {
	seen := map[uint32]bool{}
	for _, n := range g.expr.AllNodes() {
		if h := n.Hashcode(); seen[h] {
			return nil, errCollision
		} else {
			seen[h] = true
		}
	}
	if err := g.layOut(); err != nil {
		return nil, err
	}
	prog, places, err := gorgonia.Compile(g.expr)
	if err != nil {
		return nil, fmt.Errorf("compiling the graph with gorgonia: %w", err)
	}
	return gorgonia.NewTapeMachine(g.expr, gorgonia.WithPrecompiled(prog, places)), nil
}

// layOut gives every operator the memory of its output. Outputs that are not
// wanted at the same time share it: the machine runs nodes in the order of
// gorgonia.Sort, so first and last use are known.
func (g *graph) layOut() error {
	sorted, err := gorgonia.Sort(g.expr)
	if err != nil {
		return fmt.Errorf("sorting the graph with gorgonia: %w", err)
	}
	slices.Reverse(sorted)
	own := map[*gorgonia.Node]*op{}
	for _, o := range g.ops {
		own[o.node] = o
	}
	// A sum that gorgonia made may be written over one of its terms, though not over
	// a leaf. So terms get memory of their own, for good, and there is no view of a
	// term, nor of a sum.
	apart := map[*op]bool{}
	for _, n := range sorted {
		if own[n] != nil || n.IsVar() {
			continue
		}
		for _, c := range gonum.NodesOf(g.expr.From(n.ID())) {
			if o := own[c.(*gorgonia.Node)]; o != nil {
				apart[o] = true
				o.view = false
			}
		}
	}
	for _, o := range g.ops {
		if n := o.args[0].node; o.view && !n.IsVar() && (own[n] == nil || apart[own[n]]) {
			o.view = false
		}
	}
	// root is the operator whose memory o's output lies in; nil where it is a leaf's.
	root := func(o *op) *op {
		for o != nil && o.view {
			o = own[o.args[0].node]
		}
		return o
	}
	last := map[*op]int{}
	for i, n := range sorted {
		o := own[n]
		if o == nil {
			continue
		}
		last[o] = max(last[o], i)
		for _, a := range o.args {
			if r := root(own[a.node]); r != nil {
				last[r] = max(last[r], i)
			}
		}
	}
	pools := map[string]*pool{}
	type lent struct {
		o *op
		b *buffer
	}
	var placed []lent
	ending := make([][]lent, len(sorted))
	for i, n := range sorted {
		o := own[n]
		if o != nil && !o.view && !o.sink {
			kind := fmt.Sprint(machineType[o.out.dtype])
			if pools[kind] == nil {
				pools[kind] = &pool{}
			}
			l := lent{o, pools[kind].take(tensor.Count(o.out.dims))}
			placed = append(placed, l)
			if !apart[o] {
				ending[last[o]] = append(ending[last[o]], l)
			}
		}
		for _, l := range ending[i] {
			p := pools[fmt.Sprint(machineType[l.o.out.dtype])]
			p.free = append(p.free, l.b)
		}
	}
	need, counted := g.bytes, map[*buffer]bool{}
	for _, o := range g.ops {
		if o.sink {
			need += sizeOf(o.out.dtype, tensor.Count(o.out.dims))
		}
	}
	for _, l := range placed {
		if !counted[l.b] {
			counted[l.b] = true
			need += sizeOf(l.o.out.dtype, l.b.size)
		}
	}
	if need > limits.bytes {
		return fmt.Errorf("the model's values take %d bytes, want at most %d: a smaller batch takes fewer", need, limits.bytes)
	}
	for _, l := range placed {
		t := &tensor.Tensor{DType: l.o.out.dtype, Shape: l.o.out.dims}
		if l.b.data == nil {
			whole, err := tensor.New(l.o.out.dtype, l.b.size)
			if err != nil {
				return err
			}
			l.b.data = whole.Data
			g.bytes += sizeOf(l.o.out.dtype, l.b.size)
		}
		t.Data = first(l.b.data, tensor.Count(l.o.out.dims))
		l.o.result, l.o.carrier = t, wrapDense(t)
	}
	return nil
}

// buffer is a piece of memory that outputs share, and pool hands them out.
type buffer struct {
	size int
	data any
}

type pool struct{ free []*buffer }

// take finds the free buffer that fits best: the smallest that is large enough,
// else the largest, which grows.
func (p *pool) take(n int) *buffer {
	best := -1
	for i, b := range p.free {
		switch {
		case best < 0:
			best = i
		case b.size >= n && (p.free[best].size < n || b.size < p.free[best].size):
			best = i
		case b.size < n && p.free[best].size < n && b.size > p.free[best].size:
			best = i
		}
	}
	if best < 0 {
		return &buffer{size: n}
	}
	b := p.free[best]
	p.free = slices.Delete(p.free, best, best+1)
	b.size = max(b.size, n)
	return b
}

// first is the first n elements of a slice.
func first(data any, n int) any {
	switch d := data.(type) {
	case []float32:
		return d[:n:n]
	case []float64:
		return d[:n:n]
	case []bool:
		return d[:n:n]
	case []uint8:
		return d[:n:n]
	case []int8:
		return d[:n:n]
	case []uint16:
		return d[:n:n]
	case []int16:
		return d[:n:n]
	case []uint32:
		return d[:n:n]
	case []int32:
		return d[:n:n]
	case []uint64:
		return d[:n:n]
	}
	return data.([]int64)[:n:n]
}
