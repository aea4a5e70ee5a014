package site

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Unwatched is a node of which no site tells how its output depends on the input. With
// the sites it accounts for everything in a network that is not affine.
type Unwatched struct {
	// Name is the node's, or the first value it makes; Module the path of the module it
	// is in, where the export says so; Op the operator, with its domain where that is
	// not ONNX's own.
	Name   string `json:"name"`
	Module string `json:"module"`
	Op     string `json:"op"`
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason"`

	Node *onnx.Node `json:"-"`
}

// Kind says what is unwatched.
type Kind string

// The kinds.
const (
	// KindBend bends or jumps, or its operator is not known: two inputs of equal codes may
	// lie on different pieces of it.
	KindBend Kind = "bend"
	// KindSmooth is curved everywhere, as a softmax, a norm or a product of two computed
	// values; or rounds to a grid and stands for what it rounds, as a quantizer does.
	KindSmooth Kind = "smooth"
	// KindGuard keeps a divisor or a logarithm from 0: a bound of at most 1e-4.
	KindGuard Kind = "guard"
	// KindRandom draws random numbers, or normalizes by what else is in the batch.
	KindRandom Kind = "random"
	// KindBody holds graphs of its own, which are not looked into.
	KindBody Kind = "body"
)

// Survey accounts for the nodes on the way from some inputs of a model to some values,
// none meaning all inputs and all outputs, that belong to none of the sites and are not
// affine in what comes from the inputs. sites are those that Find found in the same
// model.
func Survey(m *onnx.Model, sites []Site, inputs, values []string) []Unwatched {
	g := NewGraph(m)
	if inputs != nil {
		g.only(inputs)
	}
	return g.survey(newNamer(m.Graph), sites, inputs, values)
}

// only follows again what depends on the given inputs.
func (g *Graph) only(inputs []string) {
	was := g.kinds
	g.kinds = map[string]kind{}
	for _, v := range inputs {
		g.kinds[v] = max(was[v], step)
	}
	for _, n := range g.m.Graph.Nodes {
		g.follow(n)
	}
}

func (g *Graph) survey(namer *namer, sites []Site, inputs, values []string) []Unwatched {
	covered := map[*onnx.Node]bool{}
	for i := range sites {
		for _, n := range sites[i].Nodes() {
			covered[n] = true
		}
	}
	idle := g.idle()
	if values != nil {
		idle = g.idleFor(values)
	}
	winners := map[string]bool{} // reductions that are sites
	for i := range sites {
		if s := &sites[i]; s.Winner() && s.bend.Winner {
			winners[g.winning(s.end)] = true
		}
	}
	all := []Unwatched{}
	for _, n := range g.m.Graph.Nodes {
		if idle[n] || covered[n] && !n.IsOp("LpNormalization") { // whose division no site shows
			continue
		}
		kind, reason := g.judge(n)
		if kind == "" || (n.IsOp("ArgMax") || n.IsOp("ArgMin")) && winners[g.winning(n)] {
			continue
		}
		u := Unwatched{Name: n.Name, Module: namer.scopes[n].path, Op: n.FullOp(), Kind: kind, Reason: reason, Node: n}
		if u.Name == "" && len(n.Outputs) > 0 {
			u.Name = n.Outputs[0]
		}
		all = append(all, u)
	}
	return all
}

// probed begins the names of outputs that probes made.
const probed = "onnxprobe."

// winning names what a reduction by its largest or smallest element goes over, the same
// for an ArgMax and the ReduceMax beside it.
func (g *Graph) winning(n *onnx.Node) string {
	way := "Max"
	if n.IsOp("ArgMin") || n.IsOp("ReduceMin") {
		way = "Min"
	}
	axes := g.axes(n)
	if n.IsOp("ArgMax") || n.IsOp("ArgMin") {
		axes = []int64{n.Int("axis", 0)}
	}
	return fmt.Sprint(way, n.Input(0), axes)
}

// judge says what n is, "" for what is affine in all that comes from the inputs.
func (g *Graph) judge(n *onnx.Node) (Kind, string) {
	if g.random[n] {
		if n.Op == "BatchNormalization" {
			return KindRandom, "is in training mode: an item's code depends on the others of its batch"
		}
		return KindRandom, "draws random numbers: two runs give two codes"
	}
	var from []int
	depends := false
	for i, v := range n.Reads() {
		if n.IsOp("CastLike") && i == 1 {
			continue
		}
		depends = depends || g.kinds[v] != fixed
		if g.Real(v) {
			from = append(from, i)
		}
	}
	op := n.Operator()
	switch {
	case !depends || n.IsOp("Shape") || n.IsOp("Size"):
		return "", ""
	case len(n.Subgraphs()) > 0:
		return KindBody, "what its body does is not looked into"
	case op == nil:
		return KindBend, "an operator that onnxprobe does not know"
	case len(from) == 0:
		return "", "" // a choice between finitely many values stays one
	case n.IsOp("Div") && g.integer(n.Outputs[0]):
		return KindBend, "divides integers"
	case (n.IsOp("Add") || n.IsOp("Sub") || n.IsOp("Mul")) && g.integer(n.Outputs[0]) && g.typeOf(n.Outputs[0]).Bits() <= 8:
		return KindBend, "computes with bytes, which wrap around"
	case g.guard(n):
		return KindGuard, "a bound that only keeps a divisor or a logarithm from 0"
	case g.straight(n):
		return "", ""
	case g.truncates(n):
		return KindBend, "truncates"
	}
	if kind, why := g.asked(n, from); kind != "" {
		return kind, why
	}
	if why := g.quantizes(n); why != "" {
		if g.clampsAtZero(n) {
			return KindBend, mayHoldRelu
		}
		return KindSmooth, why
	}
	if why := g.folded(n); why != "" {
		return KindBend, why
	}
	var rest []int
	for _, i := range from {
		if !op.Affine.Has(i) {
			rest = append(rest, i)
		}
	}
	if op.Traits&onnx.Bilinear != 0 {
		if len(rest) > 1 {
			return KindSmooth, "a product of two values that depend on the input"
		}
		return "", ""
	}
	if len(rest) == 0 {
		return "", ""
	}
	switch op.Verdict {
	case onnx.None:
		if op.Traits&onnx.Step != 0 {
			return "", "" // what it asks is the same of all numbers that are finite
		}
		return KindSmooth, fmt.Sprintf("not affine in %s", n.Input(rest[0]))
	case onnx.AsSmooth:
		return KindSmooth, cmp.Or(op.Why, "curved")
	case onnx.Watched:
		return KindBend, "which element of its window is the largest; a site where max-pooling is included"
	case onnx.Named:
		return KindBend, cmp.Or(op.Why, "jumps where its result changes")
	}
	if op.Traits&onnx.Smooth != 0 && op.Traits&onnx.Piecewise == 0 {
		return KindSmooth, "a gate"
	}
	if g.shift(n) {
		return KindSmooth, "the maximum that a softmax subtracts"
	}
	return KindBend, "in a form that onnxprobe does not take for a site"
}

// asked says what the attributes make of an operator that is otherwise something else.
func (g *Graph) asked(n *onnx.Node, from []int) (Kind, string) {
	switch n.Op {
	case "ScatterElements", "ScatterND", "Scatter":
		switch r := n.Str("reduction", "none"); {
		case r == "max" || r == "min":
			return KindBend, "the " + r + " of what is put in one place"
		case r == "mul" && len(from) > 1:
			return KindSmooth, "a product of two values that depend on the input"
		}
	case "RoiAlign":
		if n.Str("mode", "avg") == "max" {
			return KindBend, "the winner of each window"
		}
	case "LSTM", "GRU", "RNN":
		if a := n.Attr("activations"); a != nil {
			for _, s := range a.Strings {
				if slices.Contains([]string{"relu", "leakyrelu", "thresholdedrelu", "hardsigmoid", "elu"}, strings.ToLower(string(s))) {
					return KindBend, "its activation " + string(s) + " is inside"
				}
			}
		}
		if n.Attr("clip") != nil {
			return KindBend, "clamps its gates"
		}
	case "Range", "Resize", "Upsample":
		if slices.ContainsFunc(from, func(i int) bool { return i > 0 || n.Op == "Range" }) {
			return KindBend, "its shape depends on the values"
		}
	case "LpNormalization":
		return KindSmooth, "divides by the norm"
	}
	return "", ""
}

// straight says whether n is affine by its attributes and constants, although its
// operator is not.
func (g *Graph) straight(n *onnx.Node) bool {
	switch n.Op {
	case "LeakyRelu":
		return n.Float("alpha", 0.01) == 1
	case "PRelu":
		v, ok := g.Scalar(n.Input(1))
		return ok && v == 1
	case "HardSigmoid":
		return n.Float("alpha", 0.2) == 0
	case "Clip":
		lo, hi, ok := g.bounds(n)
		return ok && (lo <= -math.MaxFloat32 && hi >= math.MaxFloat32 || lo >= hi)
	case "Max", "Min":
		// Infinity is no bound, and one value is no choice.
		of := slices.DeleteFunc(slices.Clone(n.Inputs), func(v string) bool {
			c, ok := g.Scalar(v)
			return ok && math.IsInf(c, 0)
		})
		slices.Sort(of)
		return len(slices.Compact(of)) <= 1
	case "ReduceMax", "ReduceMin":
		return n.Int("noop_with_empty_axes", 0) != 0 && n.Input(1) == "" && len(n.Ints("axes")) == 0
	case "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal":
		for i := range n.Inputs {
			if c, ok := g.Scalar(n.Input(i)); ok && math.IsInf(c, 0) {
				return true
			}
		}
		return g.same(n.Input(0), n.Input(1))
	case "Pow":
		e, ok := g.Scalar(n.Input(1))
		return ok && (e == 1 || e == 0) && !g.Real(n.Input(1))
	}
	return false
}
