package site

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Options choose sites.
type Options struct {
	// Globs select by name, as path.Match does; a * crosses dots. None selects
	// all.
	Globs []string
	// MaxPool adds the arg-max of every max-pooling: which element of its window
	// each unit takes.
	MaxPool bool
	// Gemm adds the outputs of linear layers that no activation follows, as the
	// authors' local complexity of MLPs counts them; their knot is 0.
	Gemm bool
}

// Find finds the activations of the model's top-level graph, in the order they run.
// Shapes are not filled in yet; see Site.Settle. A glob that matches nothing is a
// *PatternError that lists the names.
func Find(m *onnx.Model, o Options) ([]Site, error) {
	g := NewGraph(m)
	type found struct {
		node *onnx.Node
		site Site
	}
	var all []found
	inner := map[*onnx.Node]bool{}
	for _, n := range m.Graph.Nodes {
		for _, a := range Activations {
			b, ok := a.Find(n, g)
			if !ok {
				continue
			}
			if _, constant := g.Values(b.Pre); constant {
				continue
			}
			all = append(all, found{n, Site{Op: a.Name, Smooth: a.Smooth, Knots: b.Knots, Pre: b.Pre, bend: b}})
			for _, i := range b.Inner {
				inner[i] = true
			}
			break
		}
		switch {
		case o.MaxPool && n.IsOp("MaxPool"):
			all = append(all, found{n, Site{Op: "MaxPool", Pre: n.Input(0), Knots: []float64{}}})
		case o.Gemm && linear(n, g) && !slices.ContainsFunc(all, func(f found) bool { return f.node == n }):
			out := n.Outputs[0]
			all = append(all, found{n, Site{Op: "Linear", Pre: out, Knots: []float64{0},
				bend: Bend{Pre: out, Knots: []float64{0}, Tap: out, TapKnots: []float64{0}}}})
		}
	}
	pres := map[string]bool{}
	for _, f := range all {
		if f.site.Op != "Linear" && f.site.Op != "MaxPool" {
			pres[f.site.Pre] = true
		}
	}
	namer := newNamer(m.Graph)
	var sites []Site
	used := map[string]bool{}
	for _, f := range all {
		if inner[f.node] || f.site.Op == "Linear" && pres[f.site.Pre] {
			continue
		}
		s := f.site
		s.Node, s.end = f.node.Name, f.node
		s.Name = namer.name(f.node, s.Op)
		for base, i := s.Name, 1; used[s.Name]; i++ {
			s.Name = fmt.Sprintf("%s_%d", base, i)
		}
		used[s.Name] = true
		sites = append(sites, s)
	}
	if len(sites) == 0 {
		return nil, &NoneError{fmt.Errorf("the model has no activation that onnxprobe knows; it has %s", operators(m))}
	}
	return Choose(sites, o.Globs)
}

// NoneError says that a model has no activation that Activations finds.
type NoneError struct{ error }

// operators lists the operators of a graph, for messages.
func operators(m *onnx.Model) string {
	set := map[string]int{}
	var order []string
	for _, n := range m.Graph.Nodes {
		if set[n.Op]++; set[n.Op] == 1 {
			order = append(order, n.Op)
		}
	}
	if len(order) == 0 {
		return "no nodes"
	}
	slices.Sort(order)
	if len(order) > 30 {
		order = append(order[:30], "...")
	}
	return "only " + strings.Join(order, ", ")
}

// linear reports whether n is a fully connected layer's last node.
func linear(n *onnx.Node, g *Graph) bool {
	matmul := func(n *onnx.Node) bool {
		if n == nil || !n.IsOp("Gemm") && !n.IsOp("MatMul") {
			return false
		}
		_, c := g.Const[n.Input(1)]
		return c
	}
	if n.IsOp("Add") {
		for i := range 2 {
			if _, c := g.Const[n.Input(i)]; c && matmul(g.Inner(n.Input(1-i))) {
				return true
			}
		}
		return false
	}
	if !matmul(n) {
		return false
	}
	if r := g.Readers[n.Outputs[0]]; len(r) == 1 && r[0].IsOp("Add") {
		_, a := g.Const[r[0].Input(0)]
		_, b := g.Const[r[0].Input(1)]
		return !a && !b
	}
	return true
}

// PatternError says what is wrong with a glob of Options: it matches nothing,
// or it is not a pattern.
type PatternError struct{ error }

// Match says whether a site's name matches a glob, as path.Match does, but that a
// * crosses slashes: names of odd models have some.
func Match(glob, name string) (bool, error) {
	return path.Match(strings.ReplaceAll(glob, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
}

// Choose keeps the sites that a glob matches, in their order; all without globs. Its
// errors are *PatternError.
func Choose(sites []Site, globs []string) ([]Site, error) {
	if len(globs) == 0 {
		return sites, nil
	}
	var missed []string
	keep := make([]bool, len(sites))
	for _, glob := range globs {
		hit := false
		for i, s := range sites {
			ok, err := Match(glob, s.Name)
			if err != nil {
				return nil, &PatternError{fmt.Errorf("site pattern %q: %w", glob, err)}
			}
			hit = hit || ok
			keep[i] = keep[i] || ok
		}
		if !hit {
			missed = append(missed, glob)
		}
	}
	if len(missed) > 0 {
		names := make([]string, len(sites))
		for i, s := range sites {
			names[i] = s.Name
		}
		return nil, &PatternError{fmt.Errorf("no site matches %q; this model has %d: %q", missed, len(sites), names)}
	}
	var out []Site
	for i, s := range sites {
		if keep[i] {
			out = append(out, s)
		}
	}
	return out, nil
}
