package site

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/text"
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
	// Strict makes a bend without a site an error, a *StrictError, and so a body that may
	// hold one; see Bends.
	Strict bool
	// Further are activations beside those of the table Activations, and looked for before
	// them. Their names are recorded with the sites; results with and without them are told
	// apart by that.
	Further []Activation
}

// Found is what Find says of a model.
type Found struct {
	// Sites are the chosen ones.
	Sites []Site
	// Unwatched lists what is not affine and belongs to no site, chosen or not.
	Unwatched []Unwatched
}

// Find finds the activations of the model's top-level graph, in the order they run, and
// what bends besides. Nodes that only outputs of probes depend on are left out. Shapes
// are not filled in yet; see Site.Settle. A glob that matches nothing is a *PatternError
// that lists the names; a model without a site is a *NoneError. Beside these and a
// *StrictError Unwatched is still returned.
func Find(m *onnx.Model, o Options) (*Found, error) {
	g := NewGraph(m)
	g.further = o.Further
	namer := newNamer(m.Graph)
	sites := g.sites(namer, o)
	found := &Found{Unwatched: g.survey(namer, sites, nil, nil)}
	if len(sites) == 0 {
		err := fmt.Errorf("the model has no activation that onnxprobe knows; it has %s", operators(m))
		if slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return !o.Gemm && linear(n, g) }) {
			err = onnx.Remedy(fmt.Errorf("%w; linear layers are sites when they are included", err), "site.Options.Gemm")
		}
		if bends := Bends(found.Unwatched); len(bends) > 0 {
			err = fmt.Errorf("%w; and it bends where no site is: %s", err, list(bends, 5, "; "))
		}
		return found, &NoneError{err}
	}
	if o.Strict {
		if bends := Bends(found.Unwatched); len(bends) > 0 {
			return found, &StrictError{bends}
		}
	}
	var err error
	found.Sites, err = Choose(sites, o.Globs)
	return found, err
}

// Bends are those of all that bend, or hold bodies that may.
func Bends(all []Unwatched) []Unwatched {
	return slices.DeleteFunc(slices.Clone(all), func(u Unwatched) bool { return u.Kind != KindBend && u.Kind != KindBody })
}

// StrictError says that a model bends where no site is, and names the places.
type StrictError struct{ Bends []Unwatched }

func (e *StrictError) Error() string {
	what := "1 place where the model bends has"
	if n := len(e.Bends); n > 1 {
		what = fmt.Sprint(n, " places where the model bends have")
	}
	return fmt.Sprintf("%s no site, and one at each is asked for:\n  %s", what, list(e.Bends, 20, "\n  "))
}

// RemedyOptions is as in an onnx.RemedyError.
func (e *StrictError) RemedyOptions() []string {
	if slices.ContainsFunc(e.Bends, func(u Unwatched) bool { return u.Op == "MaxPool" }) {
		return []string{"site.Options.MaxPool"}
	}
	return nil
}

// list names at most so many bends with their reasons.
func list(bends []Unwatched, most int, between string) string {
	var lines []string
	for _, u := range bends[:min(len(bends), most)] {
		lines = append(lines, fmt.Sprintf("%s: %s", u.Node, u.Reason))
	}
	if n := len(bends) - most; n > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(lines, between)
}

// sites finds all sites, in the order they run.
func (g *Graph) sites(namer *namer, o Options) []Site {
	type found struct {
		node *onnx.Node
		site Site
	}
	var all []found
	ends := map[*onnx.Node]int{} // the activations that nodes end, by their place in all
	inner := map[*onnx.Node]bool{}
	// within marks the nodes of a pattern that nothing else reads.
	within := func(n *onnx.Node, nodes []*onnx.Node) {
		var own func(r *onnx.Node) bool
		own = func(r *onnx.Node) bool {
			if r == n || slices.Contains(nodes, r) {
				return true
			}
			return g.carries(r) && len(r.Outputs) == 1 && !g.outputs[r.Outputs[0]] && len(g.Readers[r.Outputs[0]]) > 0 &&
				!slices.ContainsFunc(g.Readers[r.Outputs[0]], func(q *onnx.Node) bool { return !own(q) })
		}
		for _, i := range nodes {
			if !slices.ContainsFunc(i.Outputs, func(v string) bool {
				return g.outputs[v] || slices.ContainsFunc(g.Readers[v], func(r *onnx.Node) bool { return !own(r) })
			}) {
				inner[i] = true
			}
		}
	}
	idle := g.idle()
	for _, n := range g.m.Graph.Nodes {
		if idle[n] || n.Outputs[0] == "" {
			continue
		}
		a, b, ok := g.activation(n)
		first := slices.IndexFunc(b.Inner, func(i *onnx.Node) bool {
			k, is := ends[i]
			return is && all[k].site.Op == a.Name && all[k].site.Pre == b.Pre
		})
		switch {
		case ok && first >= 0:
			// An activation that is only scaled further ends where it is complete.
			s := &all[ends[b.Inner[first]]].site
			more := slices.Delete(slices.Clone(b.Inner), first, first+1)
			within(n, more)
			s.bend.Inner = slices.Concat(s.bend.Inner, more, []*onnx.Node{n})
		case ok:
			ends[n] = len(all)
			all = append(all, found{n, Site{Op: a.Name, Smooth: a.Smooth, Knots: b.Knots, Against: strings.Join(b.Against, ", "), Pre: b.Pre, bend: b}})
			within(n, b.Inner)
		case o.MaxPool && n.IsOp("MaxPool") && g.Real(n.Input(0)):
			all = append(all, found{n, Site{Op: "MaxPool", Pre: n.Input(0), bend: Bend{Pre: n.Input(0), Winner: true}}})
		case o.Gemm && linear(n, g) && g.Real(n.Outputs[0]):
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
	var sites []Site
	used := map[string]bool{}
	for _, f := range all {
		if inner[f.node] || f.site.Op == "Linear" && pres[f.site.Pre] {
			continue
		}
		s := f.site
		if s.Against == "" && s.Knots == nil {
			s.Knots = []float64{}
		}
		s.Node, s.end = f.node.Name, f.node
		s.Name = namer.name(f.node, s.Op)
		for base, i := s.Name, 1; used[s.Name]; i++ {
			s.Name = fmt.Sprintf("%s_%d", base, i)
		}
		used[s.Name] = true
		sites = append(sites, s)
	}
	return sites
}

// activation is the first row that finds n, of a value that the model's input goes into.
func (g *Graph) activation(n *onnx.Node) (*Activation, Bend, bool) {
	for _, table := range [][]Activation{g.further, Activations} {
		for i := range table {
			b, ok := table[i].Find(n, g)
			if ok && (g.Real(b.Pre) || slices.ContainsFunc(b.Choices, g.Real)) {
				return &table[i], b, true
			}
		}
	}
	return nil, Bend{}, false
}

// idle are the nodes that no output but those of probes depends on; none in a graph that
// declares no outputs.
func (g *Graph) idle() map[*onnx.Node]bool {
	if len(g.outputs) == 0 {
		return nil
	}
	var own []string
	for v := range g.outputs {
		if !strings.HasPrefix(v, probed) {
			own = append(own, v)
		}
	}
	return g.idleFor(own)
}

// idleFor are the nodes that none of the values depends on.
func (g *Graph) idleFor(values []string) map[*onnx.Node]bool {
	idle, needed := map[*onnx.Node]bool{}, map[string]bool{}
	for _, v := range values {
		needed[v] = true
	}
	for _, n := range slices.Backward(g.m.Graph.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(v string) bool { return needed[v] }) {
			idle[n] = true
			continue
		}
		for _, v := range n.Reads() {
			needed[v] = true
		}
	}
	return idle
}

// NoneError says that a model has no activation that Activations finds.
type NoneError struct{ error }

func (e *NoneError) Unwrap() error { return e.error }

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
type PatternError struct {
	// Missed are the globs that match nothing, none where one is ill-formed, and Names all
	// sites.
	Missed, Names []string
	// Codes says that the sites are those of codes, not of a model.
	Codes bool

	err error
}

func (e *PatternError) Error() string {
	whose := "this model has"
	if e.Codes {
		whose = "the codes have"
	}
	if e.err != nil {
		return e.err.Error()
	}
	return fmt.Sprintf("no site matches %q; %s %d: %q%s", e.Missed, whose, len(e.Names), e.Names, e.meant())
}

// meant is what a misspelt name may have meant: a name, or a part of names before a dot.
func (e *PatternError) meant() string {
	names, pattern := slices.Clone(e.Names), map[string]string{}
	for _, n := range e.Names {
		for i, c := range n {
			if c == '.' { // a pattern of all below
				names, pattern[n[:i]] = append(names, n[:i]), n[:i]+".*"
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, missed := range e.Missed {
		if near := text.Nearest(strings.Trim(missed, "*."), names); near != nil {
			for i, n := range near {
				near[i] = cmp.Or(pattern[n], n)
			}
			return "; did you mean " + strings.Join(near, " or ") + "?"
		}
	}
	return ""
}

func (e *PatternError) Unwrap() error { return e.err }

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
				return nil, &PatternError{err: fmt.Errorf("site pattern %q: %w", glob, err)}
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
		return nil, &PatternError{Missed: missed, Names: names}
	}
	var out []Site
	for i, s := range sites {
		if keep[i] {
			out = append(out, s)
		}
	}
	return out, nil
}
