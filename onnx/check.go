package onnx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
// domains without a version, tensors whose data does not fit their shape.
// Whether operators are used rightly is the backend's to say.
func (m *Model) Check() error {
	var fs faults
	if m.Graph == nil {
		return errors.New("the model has no graph")
	}
	if m.IR < 1 {
		fs.addf("the model declares IR version %d; ONNX starts at 1", m.IR)
	}
	if len(m.Opsets) == 0 && m.IR >= 3 {
		fs.addf("the model imports no operator set, so the meaning of its operators is not defined")
	}
	seen := map[string]bool{}
	for _, o := range m.Opsets {
		if seen[o.Domain] && m.Opset(o.Domain) != o.Version {
			fs.addf("operator set %q is imported in versions %d and %d", o.Domain, m.Opset(o.Domain), o.Version)
		}
		seen[o.Domain] = true
	}
	m.Graph.check(&fs, map[string]bool{}, len(m.Graph.Nodes) > 0)
	unknown := map[string]bool{}
	m.Graph.eachNode(func(n *Node) {
		if n.Domain != "" && n.Domain != "ai.onnx" && !seen[n.Domain] && !unknown[n.Domain] {
			unknown[n.Domain] = true
			fs.addf("node %s: domain %q is not among the imported operator sets", n, n.Domain)
		}
	})
	return fs.join()
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
		return fmt.Sprintf("%s (making %q)", n.Op, n.Outputs[0])
	}
	return fmt.Sprintf("%s %q", n.Op, n.Name)
}

// check verifies one graph; outer holds what the enclosing graphs define.
func (g *Graph) check(fs *faults, outer map[string]bool, needOutputs bool) {
	defined := map[string]string{}
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
		if defined[t.Name] != "a graph input" { // up to IR 3 initializers are inputs too
			define(t.Name, "an initializer")
		}
		fs.add(t.check())
	}
	for _, t := range g.sparse() {
		define(t, "a sparse initializer")
	}
	known := func(name string) bool { return defined[name] != "" || outer[name] }
	made := map[string]bool{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	for _, n := range g.Nodes {
		if n.Op == "" {
			fs.addf("node %q has no operator", n.Name)
		}
		for _, in := range slices.Sorted(maps.Keys(n.reads())) {
			switch {
			case known(in):
			case made[in]:
				fs.addf("node %s reads %q, which is made after it or depends on it", n, in)
			default:
				fs.addf("node %s reads %q, which nothing makes", n, in)
			}
		}
		for _, a := range n.Attrs {
			if a.Tensor != nil {
				fs.add(a.Tensor.check())
			}
		}
		for _, s := range n.Subgraphs() {
			all := map[string]bool{}
			for k := range outer {
				all[k] = true
			}
			for k := range defined {
				all[k] = true
			}
			s.check(fs, all, false)
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
	var outs []string
	for _, v := range g.Outputs {
		switch {
		case v.Name == "":
			fs.addf("a graph output has no name")
		case slices.Contains(outs, v.Name):
			fs.addf("%q is a graph output twice", v.Name)
		case !known(v.Name):
			fs.addf("nothing makes the graph output %q", v.Name)
		}
		outs = append(outs, v.Name)
	}
}

// sparse lists the names of sparse initializers, which are kept but not decoded.
func (g *Graph) sparse() []string {
	var names []string
	d := decoder{}
	_ = d.fields("graph", g.unknown, nil, func(f field) (bool, error) {
		if f.num != 15 {
			return true, nil
		}
		return true, d.fields("sparse", f.bytes, nil, func(f field) (bool, error) {
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
// where it can. Nodes that depend on themselves are an error that lists them.
func (g *Graph) Sort() error {
	maker := map[string]int{}
	for i, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				maker[o] = i
			}
		}
		for _, s := range n.Subgraphs() {
			if err := s.Sort(); err != nil {
				return err
			}
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
				return fmt.Errorf("the graph has a cycle through node %s", g.Nodes[j])
			}
		}
	}
	g.Nodes = order
	return nil
}
