package site

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// namer finds the module path of nodes.
type namer struct {
	scopes map[*onnx.Node]scope
	used   map[string]bool // module paths that hold a node of their own
	parent map[string]bool // module paths that hold another module
	linear map[string]bool // module paths that compute something besides activations
	calls  map[string]int
	first  map[string]int // of a path and those around it: the first node there
}

func newNamer(g *onnx.Graph) *namer {
	nm := &namer{scopesOf(g), map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]int{}}
	for i, n := range g.Nodes {
		s := nm.scopes[n]
		if !s.known {
			continue
		}
		nm.used[s.path] = true
		if _, seen := nm.first[s.path]; !seen {
			nm.first[s.path] = i
		}
		for p := s.path; strings.Contains(p, "."); {
			p = p[:strings.LastIndexByte(p, '.')]
			nm.parent[p] = true
			if _, seen := nm.first[p]; !seen {
				nm.first[p] = i
			}
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
	if !s.definite && !s.beside {
		p = nm.uncounted(p)
	}
	if p == "" || s.beside || nm.parent[p] || nm.parent[s.path] || nm.linear[s.path] {
		p = strings.TrimPrefix(p+"."+strings.ToLower(op), ".")
	}
	k := nm.calls[p]
	nm.calls[p]++
	if k > 0 {
		return fmt.Sprintf("%s_%d", p, k)
	}
	return p
}

// uncounted is a path without TorchScript's own counts of a module's calls: layer1_1.relu
// is of the second call of layer1. Counts begin at 1 and follow the first call, so that
// relu_2 is a module of that name where there was no relu_1.
func (nm *namer) uncounted(path string) string {
	parts := strings.Split(path, ".")
	for i := range parts {
		whole := strings.Join(parts[:i+1], ".")
		base, ok := cutCount(whole)
		if !ok {
			continue
		}
		count, _ := strconv.Atoi(whole[len(base)+1:])
		before := base
		for k := 1; k < count && before != ""; k++ {
			if at, seen := nm.first[fmt.Sprintf("%s_%d", base, k)]; !seen || at >= nm.first[whole] {
				before = ""
			}
		}
		if at, seen := nm.first[base]; seen && before != "" && count > 0 && count < 1000 && at < nm.first[whole] {
			parts = append(strings.Split(base, "."), parts[i+1:]...)
		}
	}
	return strings.Join(parts, ".")
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

// scope is where an exporter says that a node comes from.
type scope struct {
	path  string // module path, "" for the model itself
	known bool   // the exporter said so
	// definite says that the path is the module's own, without a count of its calls and
	// with all modules around it.
	definite bool
	// beside says that the path is that of the module around a layer before the node,
	// told by the layer's weights: the node is somewhere in it.
	beside bool
}

// scopesOf reads the scope of every node of a graph.
//
// The TorchScript exporter leaves out a module that is never called itself: a call of
// self.Qformer.bert is named /bert/..., one in a method of self.rel_pos /mlp/... Weights
// keep their whole path, Qformer.bert.encoder.weight, so that of a weight read in the
// scope bert.encoder says what is missing, where all such weights agree.
//
// Where optimizers have dropped names and metadata, weights still tell the modules:
// layer1.0.conv1.weight.
func scopesOf(g *onnx.Graph) map[*onnx.Node]scope {
	// A weight that several nodes read tells nothing: optimizers make equal ones one.
	weights := map[string]bool{}
	for _, t := range g.Initializers {
		weights[t.Name] = true
	}
	readers := map[string]int{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			if readers[in]++; readers[in] > 1 {
				delete(weights, in)
			}
		}
	}
	scopes := map[*onnx.Node]scope{}
	whole := map[string]string{} // the module path of a scope, "" where weights disagree
	for _, n := range g.Nodes {
		s := scopeOf(n)
		scopes[n] = s
		for _, in := range n.Inputs {
			if s.path != "" && !s.definite && weights[in] {
				learn(whole, strings.Split(s.path, "."), moduleOf(in))
			}
		}
	}
	for n, s := range scopes {
		for p := s.path; p != "" && !s.definite; p = p[:max(strings.LastIndexByte(p, '.'), 0)] {
			if path := whole[p]; path != "" {
				scopes[n] = scope{path: path + s.path[len(p):], known: true}
				break
			}
		}
	}
	byWeights(g, weights, scopes)
	return scopes
}

// moduleOf is the path of the module that a weight belongs to.
func moduleOf(weight string) []string {
	parts := strings.Split(weight, ".")
	return parts[:len(parts)-1]
}

// learn notes, of every part of a scope, what the path of a weight's module says it is:
// that which ends alike.
func learn(whole map[string]string, scope, module []string) {
	for k := len(scope); k > 0; k-- {
		j := len(module) - (len(scope) - k)
		if j < k || scope[k-1] != module[j-1] {
			return
		}
		from, to := strings.Join(scope[:k], "."), strings.Join(module[:j], ".")
		if was, seen := whole[from]; seen && was != to {
			to = ""
		}
		whole[from] = to
	}
}

// byWeights finds the scopes of nodes of which the export says nothing: a layer's by its
// weights, and what follows it is beside it.
func byWeights(g *onnx.Graph, weights map[string]bool, scopes map[*onnx.Node]scope) {
	// around is, of a value, the module around the last layer before it: "" is the model.
	around := map[string]string{}
	for _, n := range g.Nodes {
		if s := scopes[n]; s.known {
			continue
		}
		path, told := "", false
		for _, in := range n.Inputs {
			if m := moduleOf(in); weights[in] && len(m) > 0 && m[0] != "" {
				path = strings.Join(m, ".")
				scopes[n] = scope{path: path, known: true}
				path, _ = cutLast(path)
				told = true
				break
			}
		}
		for _, in := range n.Inputs {
			if p, ok := around[in]; ok && !told {
				path, told = p, true
			}
		}
		if !told {
			continue
		}
		if !scopes[n].known {
			scopes[n] = scope{path: path, known: true, beside: true}
		}
		for _, o := range n.Outputs {
			around[o] = path
		}
	}
}

// cutLast splits a path before its last module.
func cutLast(path string) (outer, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// pyStrings finds the elements of a Python list of strings, as repr prints it.
var pyStrings = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"`)

// scopeOf reads the module path from the dynamo exporter's metadata, a list of
// module paths from the root down that ends with the traced node, or from the
// TorchScript exporter's node names, /layer1/layer1.0/relu/Relu.
func scopeOf(n *onnx.Node) scope {
	for _, p := range n.Meta {
		if p.Key != "pkg.torch.onnx.name_scopes" {
			continue
		}
		var list []string
		for _, m := range pyStrings.FindAllStringSubmatch(p.Value, 64) {
			list = append(list, m[1]+m[2])
		}
		if len(list) >= 2 {
			return scope{path: list[len(list)-2], known: true, definite: true}
		}
		return scope{known: len(list) == 1, definite: true}
	}
	parts, ok := slashed(n)
	if !ok {
		return scope{}
	}
	var trail []string
	for _, p := range parts[:len(parts)-1] {
		// An element of a container repeats the container's path: layer1, layer1.0.
		if k := len(trail); k > 0 && strings.HasPrefix(p, trail[k-1]+".") {
			trail[k-1] = p
			continue
		}
		trail = append(trail, p)
	}
	return scope{path: strings.Join(trail, "."), known: true}
}

// slashed splits the name that TorchScript's exporter gave a node: /layer1/relu/Relu; or
// that of the value it makes, where an optimizer has put another operator there.
func slashed(n *onnx.Node) ([]string, bool) {
	if parts := strings.Split(n.Name, "/"); parts[0] == "" && len(parts) > 1 {
		if base, _ := cutCount(parts[len(parts)-1]); base == n.Op {
			return parts[1:], true
		}
	}
	if len(n.Outputs) > 0 && strings.HasPrefix(n.Outputs[0], "/") {
		if name, ok := strings.CutSuffix(n.Outputs[0], "_output_0"); ok {
			return strings.Split(name, "/")[1:], true
		}
	}
	return nil, false // a name that happens to start with a slash
}
