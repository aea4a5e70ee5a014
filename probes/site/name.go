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

// scope is where an exporter says that a node comes from.
type scope struct {
	path  string // module path, "" for the model itself
	known bool   // the exporter said so
}

// scopesOf reads the scope of every node of a graph.
//
// The TorchScript exporter leaves out a module that is only a container and is
// never called itself: a call of self.Qformer.bert is named /bert/... Weights keep
// their whole path, Qformer.bert.encoder.weight, so that of a weight read in the
// scope bert.encoder says what is missing, where all such weights agree.
func scopesOf(g *onnx.Graph) map[*onnx.Node]scope {
	weights := map[string]bool{}
	for _, t := range g.Initializers {
		weights[t.Name] = true
	}
	scopes := map[*onnx.Node]scope{}
	outer := map[string]string{} // by the first module of a scope: the path before it
	for _, n := range g.Nodes {
		s := scopeOf(n)
		scopes[n] = s
		first, _, _ := strings.Cut(s.path, ".")
		for _, in := range n.Inputs {
			i := strings.LastIndexByte(in, '.')
			if s.path == "" || i < 0 || !weights[in] {
				continue
			}
			if path, ok := strings.CutSuffix("."+in[:i], "."+s.path); ok {
				if before, seen := outer[first]; seen && before != path {
					path = ""
				}
				outer[first] = path
			}
		}
	}
	for n, s := range scopes {
		first, _, _ := strings.Cut(s.path, ".")
		if path := outer[first]; path != "" {
			scopes[n] = scope{path[1:] + "." + s.path, true}
		}
	}
	return scopes
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
			return scope{list[len(list)-2], true}
		}
		return scope{"", len(list) == 1}
	}
	if !strings.HasPrefix(n.Name, "/") {
		return scope{}
	}
	parts := strings.Split(n.Name[1:], "/")
	last := parts[len(parts)-1]
	if base, _ := cutCount(last); base != n.Op {
		return scope{} // a name that happens to start with a slash
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
	return scope{strings.Join(trail, "."), true}
}
