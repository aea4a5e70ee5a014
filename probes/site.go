package probes

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Site is a place where an activation is applied.
type Site struct {
	// Name is the module path as the PyTorch user knows it: layer1.0.relu, a
	// second call of the same module layer1.0.relu_1.
	Name string `json:"name"`
	// Op is the activation's name in Activations, or MaxPool.
	Op string `json:"op"`
	// Units is the number of neurons, the product of Shape; each has one bit for
	// every plane.
	Units int `json:"units"`
	// Shape is the activation's shape without the batch axis.
	Shape []int `json:"shape"`
	// Knots are the values at which the activation bends, ascending.
	Knots []float64 `json:"knots"`
	// Smooth marks an activation that bends everywhere; its bits are a sign code.
	Smooth bool `json:"smooth"`
	// Node is the name of the ONNX node that ends the activation, Pre the value
	// before it.
	Node string `json:"node"`
	Pre  string `json:"pre"`

	bend   Bend
	end    *onnx.Node
	dtype  tensor.DType
	window *window // of a MaxPool
}

// Nodes are the nodes that the activation consists of, in the model it was found
// in: the one that ends it first.
func (s *Site) Nodes() []*onnx.Node {
	nodes := []*onnx.Node{s.end}
	for _, n := range s.bend.Inner {
		if n != s.end {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Planes is the number of bits a unit has: one a knot, or enough to write a
// MaxPool's winner.
func (s *Site) Planes() int {
	if s.window != nil {
		return s.window.planes
	}
	return len(s.Knots)
}

// SiteOptions choose sites.
type SiteOptions struct {
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

// Sites finds the activations of the model's top-level graph, in the order they
// run. Shapes are not filled in yet; see Fit. A glob that matches nothing is a
// *PatternError that lists the names.
func Sites(m *onnx.Model, o SiteOptions) ([]Site, error) {
	g := &graph{m.Graph.Index(), m}
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
			if _, constant := g.values(b.Pre); constant {
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
			all = append(all, found{n, Site{Op: "MaxPool", Pre: n.Input(0), Knots: []float64{}, bend: Bend{Inner: []*onnx.Node{n}}}})
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
		return nil, &NoSitesError{fmt.Errorf("the model has no activation that onnxprobe knows; it has %s", operators(m))}
	}
	return choose(sites, o.Globs)
}

// NoSitesError says that a model has no activation that Activations finds.
type NoSitesError struct{ error }

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
func linear(n *onnx.Node, g *graph) bool {
	matmul := func(n *onnx.Node) bool {
		if n == nil || !n.IsOp("Gemm") && !n.IsOp("MatMul") {
			return false
		}
		_, c := g.Const[n.Input(1)]
		return c
	}
	if n.IsOp("Add") {
		for i := range 2 {
			if _, c := g.Const[n.Input(i)]; c && matmul(g.inner(n.Input(1-i))) {
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

// PatternError says what is wrong with a glob of SiteOptions: it matches nothing,
// or it is not a pattern.
type PatternError struct{ error }

// MatchName says whether a site's name matches a glob, as path.Match does, but that a
// * crosses slashes: names of odd models have some.
func MatchName(glob, name string) (bool, error) {
	return path.Match(strings.ReplaceAll(glob, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
}

func choose(sites []Site, globs []string) ([]Site, error) {
	if len(globs) == 0 {
		return sites, nil
	}
	var missed []string
	keep := make([]bool, len(sites))
	for _, glob := range globs {
		hit := false
		for i, s := range sites {
			ok, err := MatchName(glob, s.Name)
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

// namer finds the module path of nodes.
type namer struct {
	scopes map[*onnx.Node]scope
	used   map[string]bool // module paths that hold a node of their own
	parent map[string]bool // module paths that hold another module
	linear map[string]bool // module paths that compute something besides activations
	calls  map[string]int
}

func newNamer(g *onnx.Graph) *namer {
	nm := &namer{scopesOf(g), map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]int{}}
	for _, n := range g.Nodes {
		s := nm.scopes[n]
		if !s.known {
			continue
		}
		nm.used[s.path] = true
		for p := s.path; strings.Contains(p, "."); {
			p = p[:strings.LastIndexByte(p, '.')]
			nm.parent[p] = true
		}
		switch n.Op {
		case "Conv", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "ConvTranspose", "Softmax":
			nm.linear[s.path] = true
		}
	}
	return nm
}

// name is the module path of an activation that ends in n: the path of the
// module that is the activation, or, for a functional call, that of the module
// it is called in and the operator. Calls after the first are counted.
func (nm *namer) name(n *onnx.Node, op string) string {
	s := nm.scopes[n]
	if !s.known {
		if n.Name != "" {
			return n.Name
		}
		return n.Outputs[0]
	}
	p := s.path
	if base, ok := cutCount(p); ok && nm.used[base] {
		p = base // the exporter's own count of the calls
	}
	if p == "" || nm.parent[p] || nm.parent[s.path] || nm.linear[s.path] {
		p = strings.TrimPrefix(s.path+"."+strings.ToLower(op), ".")
	}
	k := nm.calls[p]
	nm.calls[p]++
	if k > 0 {
		return fmt.Sprintf("%s_%d", p, k)
	}
	return p
}

// cutCount splits "layer1.0.relu_1" into its base, if it ends in a count.
func cutCount(p string) (string, bool) {
	i := strings.LastIndexByte(p, '_')
	if i <= 0 {
		return p, false
	}
	if _, err := strconv.Atoi(p[i+1:]); err != nil {
		return p, false
	}
	return p[:i], true
}
