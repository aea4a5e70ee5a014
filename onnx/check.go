package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// faults gathers independent errors, keeping a message readable.
type faults struct {
	errs []error
	more int
}

func (f *faults) add(err error) {
	if err == nil {
		return
	}
	if len(f.errs) < 20 {
		f.errs = append(f.errs, err)
	} else {
		f.more++
	}
}

func (f *faults) addf(format string, args ...any) { f.add(fmt.Errorf(format, args...)) }

func (f *faults) join() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("and %d more", f.more))...)
	}
	return errors.Join(f.errs...)
}

// Check reports everything that is wrong with the model's structure, all faults
// at once: names that are undefined or defined twice, nodes out of order,
// domains without a version, nodes without outputs, tensors whose data does not fit
// their shape; and how operators are used where it can end or misdirect an engine:
// attributes out of the range that ONNX gives them, whole numbers divided by a constant
// 0 or beyond their type. What else of their use is wrong is the backend's to say.
func (m *Model) Check() error {
	if m.Graph == nil {
		return errNoGraph
	}
	var fs, use faults
	m.checkUse(&use, m.checkStructure(&fs))
	for _, err := range use.errs {
		fs.add(&UseError{err})
	}
	fs.more += use.more
	return fs.join()
}

// UseError is a fault that Check reports of how an operator is used, not of how the graph
// is built.
type UseError struct{ Err error }

func (e *UseError) Error() string { return e.Err.Error() }

// Unwrap is Err.
func (e *UseError) Unwrap() error { return e.Err }

// checkStructure adds to fs what is wrong with the structure; sound is whether graphs and
// functions hold together.
func (m *Model) checkStructure(fs *faults) (sound bool) {
	if m.IR < 1 {
		fs.addf("the model declares IR version %d; ONNX starts at 1", m.IR)
	}
	if len(m.Opsets) == 0 && m.IR >= 3 {
		fs.addf("the model imports no operator set, so the meaning of its operators is not defined")
	}
	imported := map[string]int64{}
	for _, o := range m.Opsets {
		d := domain(o.Domain)
		if v, ok := imported[d]; ok && v != o.Version {
			fs.addf("operator set %q is imported in versions %d and %d", o.Domain, v, o.Version)
		} else if !ok {
			imported[d] = o.Version
		}
	}
	before := len(fs.errs)
	m.Graph.check(fs, nil, len(m.Graph.Nodes) > 0)
	m.checkFunctions(fs)
	sound = len(fs.errs) == before
	m.Graph.eachNode(func(n *Node) {
		for _, a := range n.Attrs {
			if a.Ref != "" {
				fs.addf("node %s: its attribute %q is a function's %q, and it is in no function", n, a.Name, a.Ref)
			}
		}
		d := domain(n.Domain)
		if _, ok := imported[d]; !ok && len(m.Opsets) > 0 {
			imported[d] = 0
			fs.addf("node %s: domain %q is not among the imported operator sets", n, n.Domain)
		}
	})
	return sound
}

// domain maps both names of ONNX's own operators to one.
func domain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

func (g *Graph) eachNode(f func(*Node)) {
	for _, n := range g.Nodes {
		f(n)
		for _, s := range n.Subgraphs() {
			s.eachNode(f)
		}
	}
}

// String names a node in messages: its operator and name.
func (n *Node) String() string {
	if n.Name == "" && len(n.Outputs) > 0 {
		return fmt.Sprintf("%.120s (making %s)", n.Op, quoted(n.Outputs[0]))
	}
	return fmt.Sprintf("%.120s %s", n.Op, quoted(n.Name))
}

// scope holds the names that a graph defines, with what defines each, and those
// of the graphs around it.
type scope struct {
	defined map[string]string
	made    map[string]bool // by its nodes, sooner or later
	outer   *scope
}

func (s *scope) makes(name string) bool {
	for ; s != nil; s = s.outer {
		if s.made[name] {
			return true
		}
	}
	return false
}

func (s *scope) knows(name string) bool {
	for ; s != nil; s = s.outer {
		if s.defined[name] != "" {
			return true
		}
	}
	return false
}

// check verifies one graph; outer holds what the enclosing graphs define.
func (g *Graph) check(fs *faults, outer *scope, needOutputs bool) {
	defined := map[string]string{}
	made := map[string]bool{}
	here := &scope{defined, made, outer}
	define := func(name, what string) {
		if prev, dup := defined[name]; dup {
			fs.addf("%q is defined twice: by %s and by %s", name, prev, what)
			return
		}
		defined[name] = what
	}
	for _, v := range g.Inputs {
		if v.Name == "" {
			fs.addf("a graph input has no name")
			continue
		}
		define(v.Name, "a graph input")
	}
	inits := map[string]bool{}
	for _, t := range g.Initializers {
		if t.Name == "" {
			fs.addf("an initializer of shape %v has no name", t.Dims)
			continue
		}
		if inits[t.Name] {
			fs.addf("initializer %q is defined twice", t.Name)
		}
		inits[t.Name] = true
		if defined[t.Name] == "" { // up to IR 3 initializers are inputs too
			define(t.Name, "an initializer")
		}
		fs.add(t.check())
	}
	for _, t := range g.sparse() {
		define(t, "a sparse initializer")
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	for _, n := range g.Nodes {
		if n.Op == "" {
			fs.addf("node %q has no operator", n.Name)
		}
		if strings.ContainsFunc(n.Domain+n.Op, func(r rune) bool { return !unicode.IsPrint(r) }) {
			fs.addf("node %s: its operator %s of domain %s is not a name: want characters that can be printed", quoted(n.Name), quoted(n.Op), quoted(n.Domain))
		}
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" }) {
			fs.addf("node %s has no output, and operators have one at least", n)
		}
		for i, in := range n.Inputs {
			switch {
			case in == "" || slices.Contains(n.Inputs[:min(i, 8)], in): // omitted, or said before
			case here.knows(in):
			case here.makes(in):
				fs.addf("node %s reads %q, which is made after it or depends on it", n, in)
			default:
				fs.addf("node %s reads %q, which nothing makes", n, in)
			}
		}
		attrs := map[string]bool{}
		for _, a := range n.Attrs {
			if attrs[a.Name] {
				fs.addf("node %s has two attributes %q", n, a.Name)
			}
			attrs[a.Name] = true
			if a.Tensor != nil {
				fs.add(a.Tensor.check())
			}
		}
		for _, s := range n.Subgraphs() {
			s.check(fs, here, false)
		}
		for _, o := range n.Outputs {
			if o != "" {
				define(o, "node "+n.String())
			}
		}
	}
	if needOutputs && len(g.Outputs) == 0 {
		fs.addf("the graph has no outputs")
	}
	outs := map[string]bool{}
	for _, v := range g.Outputs {
		switch {
		case v.Name == "":
			fs.addf("a graph output has no name")
		case outs[v.Name]:
			fs.addf("%q is a graph output twice", v.Name)
		case !here.knows(v.Name):
			fs.addf("nothing makes the graph output %q", v.Name)
		}
		outs[v.Name] = true
	}
}

// sparse lists the names of sparse initializers, which are kept but not decoded.
func (g *Graph) sparse() []string {
	var names []string
	if len(g.unknown) == 0 {
		return nil
	}
	var d decoder
	_ = d.fields("graph", graphWire, g.unknown, nil, func(f field) (bool, error) {
		if f.num != 15 {
			return true, nil
		}
		return true, d.fields("sparse", sparseWire, f.bytes, nil, func(f field) (bool, error) {
			if f.num == 1 {
				if t, err := d.tensor(f.bytes); err == nil && t.Name != "" {
					names = append(names, t.Name)
				}
			}
			return true, nil
		})
	})
	return names
}

// Sort puts the nodes into an order they can run in, keeping the present order
// where it can. Nodes that depend on themselves are an error that lists them, and
// stay out of order.
func (g *Graph) Sort() error {
	var fs faults
	maker := map[string]int{}
	for i, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				maker[o] = i
			}
		}
		for _, s := range n.Subgraphs() {
			fs.add(s.Sort())
		}
	}
	const (
		fresh = iota
		open
		done
	)
	type frame struct {
		node int
		deps []int
	}
	state := make([]int, len(g.Nodes))
	order := make([]*Node, 0, len(g.Nodes))
	deps := func(i int) []int {
		var ds []int
		for in := range g.Nodes[i].reads() {
			if j, ok := maker[in]; ok {
				ds = append(ds, j)
			}
		}
		slices.Sort(ds)
		return ds
	}
	for i := range g.Nodes {
		if state[i] != fresh {
			continue
		}
		state[i] = open
		stack := []frame{{i, deps(i)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.deps) == 0 {
				state[top.node] = done
				order = append(order, g.Nodes[top.node])
				stack = stack[:len(stack)-1]
				continue
			}
			j := top.deps[0]
			top.deps = top.deps[1:]
			switch state[j] {
			case fresh:
				state[j] = open
				stack = append(stack, frame{j, deps(j)})
			case open:
				var path []*Node
				for k := len(stack) - 1; len(path) <= longCycle; k-- {
					path = append(path, g.Nodes[stack[k].node])
					if stack[k].node == j {
						break
					}
				}
				fs.add(cycle(path))
			}
		}
	}
	g.Nodes = order
	return fs.join()
}

// longCycle is the number of nodes that are named of a long one.
const longCycle = 8

// cycle is the error for nodes of which each feeds the next and the last the
// first.
func cycle(nodes []*Node) error {
	var names []string
	for _, n := range nodes[:min(len(nodes), longCycle)] {
		names = append(names, n.String())
	}
	if len(nodes) > longCycle {
		names = append(names, "...")
	}
	return fmt.Errorf("the graph has a cycle: %s, which feeds the first", strings.Join(names, ", which feeds "))
}
