package rewrite

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Bounds on what inlining makes of a model. A few kilobytes of functions that call each
// other twice can stand for 2^30 nodes, and each node costs time that the file does not show.
const (
	maxInlined  = 1_000_000 // nodes
	maxCopies   = 100       // of each node that is written, on average
	fewInlined  = 20_000    // nodes, whatever is written
	maxCalls    = 128       // calls within calls
	maxSubgraph = 32        // subgraphs within subgraphs, which is what Load accepts
	maxBytes    = 1 << 29   // of nodes, names and attributes that are copied
)

// Inline puts the bodies of a model's own functions where they are called, at any
// depth, and drops the functions. It returns m itself when it has none; m is not
// changed. What comes of node K of a function that a node N calls is named "N/K", keeps
// its metadata, and takes from N's what it has none of, so that the module path goes on
// to be told.
//
// An operator that is known here stays what it is where the model has a function of its
// name too: ONNX Runtime takes its own. A body written in another version of a domain than the model is an
// error; so are functions that call themselves, and ones that stand for more than 20,000
// nodes and a hundred times what is written, for more than 10^6, or for calls nested deeper
// than 128, which is found out before any is copied.
func Inline(m *onnx.Model) (*onnx.Model, error) {
	if len(m.Functions) == 0 {
		return m, nil
	}
	err := m.Check()
	var out *onnx.Model
	if err == nil {
		in := &inlining{functions: map[onnx.Callee]*body{}, budget: maxBytes}
		written := 0
		count := func(*onnx.Node) { written++ }
		eachNode(m.Graph, count)
		for _, f := range m.Functions {
			eachNode(f.Body, count)
			if c := f.Callee(); !c.Known() {
				in.functions[c] = &body{Function: f}
			}
		}
		in.most = min(maxInlined, max(fewInlined, maxCopies*written))
		if err = in.count(m.Graph); err == nil {
			out, err = Apply(m, Pass{Name: "inline", Do: in.do, Shows: "its functions are in the place of their calls"})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("inlining the model's functions: %w", err)
	}
	return out, nil
}

// inlining is the state of Inline.
type inlining struct {
	*Edit
	functions map[onnx.Callee]*body
	most      int // nodes
	budget    int // of maxBytes
	deep      int // subgraphs around the present node
}

// body is a function with what its expansion comes to.
type body struct {
	*onnx.Function
	whole extent
	state int // of counting: not begun, begun, done
	bytes int // of one copy, where it is computed
}

// extent is what a graph comes to when all that it calls is put in its place.
type extent struct{ nodes, calls int }

func (in *inlining) count(g *onnx.Graph) error {
	s, err := in.extent(g, 0)
	if err == nil && s.nodes > in.most {
		err = fmt.Errorf("its functions stand for more than %d nodes; simplify the model, or export it without functions", in.most)
	}
	return err
}

func (in *inlining) extent(g *onnx.Graph, calls int) (extent, error) {
	var sum extent
	add := func(s extent) { sum = extent{min(sum.nodes+s.nodes, maxInlined+1), max(sum.calls, s.calls)} }
	for _, n := range g.Nodes {
		one := extent{nodes: 1}
		if f := in.functions[n.Callee()]; f != nil {
			const begun, done = 1, 2
			switch {
			case f.state == begun:
				return sum, fmt.Errorf("function %s calls itself, directly or through others, which ONNX does not allow", f.Callee())
			case f.state != done && calls < maxCalls:
				f.state = begun
				var err error
				if f.whole, err = in.extent(f.Body, calls+1); err != nil {
					return sum, err
				}
				f.state = done
			}
			if calls+1+f.whole.calls > maxCalls || f.state != done {
				return sum, fmt.Errorf("calls of functions are nested deeper than %d, at function %s", maxCalls, f.Callee())
			}
			one = extent{f.whole.nodes, f.whole.calls + 1}
		}
		add(one)
		for _, sub := range n.Subgraphs() {
			s, err := in.extent(sub, calls)
			if err != nil {
				return sum, err
			}
			add(s)
		}
	}
	return sum, nil
}

func (in *inlining) do(e *Edit) error {
	in.Edit = e
	if err := in.graph(e.Graph, nil); err != nil {
		return err
	}
	e.Model.Functions = nil
	unused := map[string]bool{}
	for c := range in.functions {
		unused[c.Domain] = true
	}
	eachNode(e.Graph, func(n *onnx.Node) { delete(unused, n.Callee().Domain) })
	e.Model.Opsets = slices.DeleteFunc(e.Model.Opsets, func(o onnx.Opset) bool { return unused[o.Domain] })
	return nil
}

// spend keeps what is copied within bounds: n more bytes.
func (in *inlining) spend(n int) error {
	if in.budget -= n; in.budget < 0 {
		return fmt.Errorf("its functions stand for more than %d MB of nodes, names and attributes; simplify the model, or export it without functions", maxBytes>>20)
	}
	return nil
}

// frame is a graph within the body of a call, or one that a caller gave it: what its
// values are called in the model.
type frame struct {
	*Edit // in the scope of the call
	names map[string]string
	outer *frame
	// What the call gives.
	attrs map[string]*onnx.Attr
	meta  []onnx.Prop
}

func (f *frame) read(name string) string {
	for s := f; s != nil && name != ""; s = s.outer {
		if to, ok := s.names[name]; ok {
			return to
		}
	}
	return name
}

// define names a value that the frame makes.
func (in *inlining) define(f *frame, name string) (string, error) {
	to, ok := f.names[name]
	if !ok && name != "" {
		to = f.Name(name)
		f.names[name] = to
	}
	return to, in.spend(len(to))
}

// graph inlines what a graph calls. With a frame it is a copy, and becomes a part of
// the model.
func (in *inlining) graph(g *onnx.Graph, f *frame) error {
	var nodes []*onnx.Node
	for _, n := range g.Nodes {
		if err := in.node(n, f); err != nil {
			return err
		}
		callee := in.functions[n.Callee()]
		if callee == nil {
			nodes = append(nodes, n)
			continue
		}
		made, err := in.call(n, callee)
		if err != nil {
			return err
		}
		nodes = append(nodes, made...)
	}
	g.Nodes = nodes
	return nil
}

// node inlines what a node's subgraphs call. With a frame it names what the node reads
// and makes, and gives it the attributes of the call that it refers to.
func (in *inlining) node(n *onnx.Node, f *frame) error {
	if f == nil {
		for _, g := range n.Subgraphs() {
			if err := in.subgraph(g, nil); err != nil {
				return err
			}
		}
		return nil
	}
	for i, v := range n.Inputs {
		n.Inputs[i] = f.read(v)
	}
	var attrs []*onnx.Attr
	for _, a := range n.Attrs {
		inner := &frame{f.Edit, map[string]string{}, f, f.attrs, f.meta}
		if a.Ref != "" {
			given, name := f.attrs[a.Ref], a.Name
			if given == nil {
				continue
			}
			if err := in.spend(attrBytes(given)); err != nil {
				return err
			}
			a = given.Clone()
			a.Name = name
			inner = &frame{Edit: f.Edit, names: map[string]string{}} // a graph of the caller's speaks of its values
		}
		attrs = append(attrs, a)
		for _, g := range a.Subgraphs() {
			if err := in.subgraph(g, inner); err != nil {
				return err
			}
		}
	}
	n.Attrs = attrs
	for i, v := range n.Outputs {
		var err error
		if n.Outputs[i], err = in.define(f, v); err != nil {
			return err
		}
	}
	n.Name = f.Name(cmp.Or(n.Name, n.Op))
	own := n.Meta
	if err := in.spend(len(n.Name) + len(f.meta)*(32+len(own))); err != nil {
		return err
	}
	n.Meta = slices.Grow(n.Meta, len(f.meta))
	for _, p := range f.meta {
		if !slices.ContainsFunc(own, func(q onnx.Prop) bool { return q.Key == p.Key }) {
			n.Meta = append(n.Meta, p)
		}
	}
	return nil
}

// subgraph is graph for one that a node holds, which defines names of its own.
func (in *inlining) subgraph(g *onnx.Graph, f *frame) (err error) {
	if in.deep++; in.deep > maxSubgraph {
		return fmt.Errorf("with all functions in place subgraphs are nested deeper than %d", maxSubgraph)
	}
	defer func() { in.deep-- }()
	if f == nil {
		return in.graph(g, nil)
	}
	for _, v := range g.Inputs {
		if v.Name, err = in.define(f, v.Name); err != nil {
			return err
		}
	}
	for i, t := range g.Initializers {
		name, err := in.define(f, t.Name)
		if err != nil {
			return err
		}
		g.Initializers[i] = t.Renamed(name)
	}
	if err := in.graph(g, f); err != nil {
		return err
	}
	g.Values = nil // what they declare holds for one call, or for none
	for _, v := range g.Outputs {
		if v.Name = f.read(v.Name); v.Name == "" {
			return errors.New("a subgraph in a function hands on an input that the caller leaves out")
		}
	}
	return nil
}

// call is what a node comes to that calls a function.
func (in *inlining) call(n *onnx.Node, c *body) ([]*onnx.Node, error) {
	fail := func(format string, args ...any) ([]*onnx.Node, error) {
		return nil, fmt.Errorf("node %s: it calls function %s, %w", n, c.Callee(), fmt.Errorf(format, args...))
	}
	if len(n.Inputs) > len(c.Body.Inputs) || len(n.Outputs) > len(c.Body.Outputs) {
		return fail("which takes %d inputs and makes %d outputs, with %d and %d", len(c.Body.Inputs), len(c.Body.Outputs), len(n.Inputs), len(n.Outputs))
	}
	if c.bytes == 0 { // the first call
		c.bytes = graphBytes(c.Body) + 1
		if err := in.imports(c); err != nil {
			return fail("%w", err)
		}
	}
	if err := in.spend(c.bytes); err != nil {
		return nil, err
	}
	g := c.Body.Clone()
	f := &frame{in.In(cmp.Or(n.Name, n.Op)), map[string]string{}, nil, map[string]*onnx.Attr{}, n.Meta}
	for _, a := range slices.Concat(c.Defaults, n.Attrs) {
		f.attrs[a.Name] = a
	}
	for i, v := range g.Inputs {
		f.names[v.Name] = n.Input(i)
	}
	var passed []*onnx.Node // inputs that are outputs
	for i, out := range n.Outputs {
		v := g.Outputs[i].Name
		from, ok := f.names[v]
		switch {
		case out == "":
		case ok && from == "":
			return fail("and takes output %q, which is an input that it leaves out", v)
		case ok:
			passed = append(passed, &onnx.Node{Name: f.Name("Identity"), Op: "Identity", Inputs: []string{from}, Outputs: []string{out}, Meta: slices.Clone(n.Meta)})
		default:
			f.names[v] = out
		}
	}
	if err := in.graph(g, f); err != nil {
		return nil, err
	}
	return append(g.Nodes, passed...), nil
}

// imports makes the model import what a function's body does.
func (in *inlining) imports(c *body) error {
	var errs []error
	seen := map[string]bool{}
	eachNode(c.Body, func(n *onnx.Node) {
		d := n.Callee().Domain
		if seen[d] || in.functions[n.Callee()] != nil {
			return
		}
		seen[d] = true
		switch want, got := c.Opset(d), in.Model.Opset(d); {
		case want == got || want == 0:
		case got == 0:
			in.Model.Opsets = append(in.Model.Opsets, onnx.Opset{Domain: d, Version: want})
		default:
			errs = append(errs, fmt.Errorf("whose body is written in version %d of domain %q, and the model imports "+
				"version %d; bring the model to one version with onnx.inliner.inline_local_functions(model, convert_version=True)", want, d, got))
		}
	})
	return errors.Join(errs...)
}

// graphBytes is about how many bytes a copy of a graph takes, without tensors.
func graphBytes(g *onnx.Graph) int {
	n := 0
	eachNode(g, func(k *onnx.Node) {
		n += 256 + 32*len(k.Meta)
		for _, v := range slices.Concat(k.Inputs, k.Outputs) {
			n += 16 + len(v)
		}
		for _, a := range k.Attrs {
			n += ownBytes(a)
		}
	})
	return n
}

func attrBytes(a *onnx.Attr) int {
	n := ownBytes(a)
	for _, g := range a.Subgraphs() {
		n += graphBytes(g)
	}
	return n
}

// ownBytes is that of an attribute without its subgraphs' nodes.
func ownBytes(a *onnx.Attr) int {
	n := 256 + len(a.String) + 4*len(a.Floats) + 8*len(a.Ints)
	for _, s := range a.Strings {
		n += 24 + len(s)
	}
	for _, g := range a.Subgraphs() {
		n += 128 * (1 + len(g.Inputs) + len(g.Outputs) + len(g.Values) + len(g.Initializers))
	}
	return n
}
