// Package rewrite is the one way to change a model: passes that edit a clone,
// which is sorted and checked after each of them.
package rewrite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Pass is one named change to a model.
type Pass struct {
	Name string
	Do   func(*Edit) error
	// Shows says after what a model's own faulty use of operators may come to light, such as
	// "its functions are in the place of their calls"; "" where the pass would be at fault.
	Shows string
}

// Apply clones m, runs the passes on the clone and returns it. m is never
// changed; weights are shared with it. A pass that leaves a broken graph is an
// error.
func Apply(m *onnx.Model, passes ...Pass) (*onnx.Model, error) {
	m = m.Clone()
	for _, p := range passes {
		e := &Edit{Model: m, Graph: m.Graph, names: newNames(m.Graph)}
		if err := p.Do(e); err != nil {
			return nil, fmt.Errorf("pass %s: %w", p.Name, err)
		}
		err := m.Graph.Sort()
		if err == nil {
			err = m.Check()
		}
		if use := (*onnx.UseError)(nil); p.Shows != "" && errors.As(err, &use) {
			return nil, fmt.Errorf("the model is broken, which shows once %s: %w", p.Shows, err)
		}
		if err != nil {
			return nil, fmt.Errorf("pass %s left a broken graph: %w", p.Name, err)
		}
	}
	return m, nil
}

// Edit is a model being changed by a pass.
type Edit struct {
	Model *onnx.Model
	Graph *onnx.Graph

	scope string
	names *names
}

// names are the value and node names in use, and the constants already added.
type names struct {
	used   map[string]bool
	next   map[string]int    // the number after a name that is taken
	consts map[string]string // names of constants by type, shape and content
}

func newNames(g *onnx.Graph) *names {
	s := &names{map[string]bool{}, map[string]int{}, map[string]string{}}
	s.collect(g)
	return s
}

// collect takes the names of subgraphs too: an outer name must not shadow them.
func (s *names) collect(g *onnx.Graph) {
	for _, vs := range [][]*onnx.Value{g.Inputs, g.Outputs, g.Values} {
		for _, v := range vs {
			s.used[v.Name] = true
		}
	}
	for _, t := range g.Initializers {
		s.used[t.Name] = true
	}
	for _, n := range g.Nodes {
		s.used[n.Name] = true
		for _, v := range slices.Concat(n.Inputs, n.Outputs) {
			s.used[v] = true
		}
		for _, sub := range n.Subgraphs() {
			s.collect(sub)
		}
	}
}

// In returns an Edit of the same graph whose new names start with scope and a
// slash, so that a reader of the file sees who added what.
func (e *Edit) In(scope string) *Edit {
	c := *e
	c.scope = e.scope + scope + "/"
	return &c
}

// Name returns a name not in use yet, in the present scope.
func (e *Edit) Name(base string) string {
	base = e.scope + base
	name := base
	for e.names.used[name] {
		e.names.next[base]++
		name = fmt.Sprintf("%s_%d", base, e.names.next[base])
	}
	e.names.used[name] = true
	return name
}

// Op adds a node of one output and returns the output's name. Attribute values
// are int, int64, float32, string, []int64 or []float32.
func (e *Edit) Op(op string, attrs map[string]any, in ...string) string {
	name := e.Name(op)
	n := &onnx.Node{Name: name, Op: op, Inputs: slices.Clone(in), Outputs: []string{e.Name(op + ".out")}}
	for _, k := range sortedKeys(attrs) {
		a := &onnx.Attr{Name: k}
		switch v := attrs[k].(type) {
		case int:
			a.Type, a.Int = onnx.AttrInt, int64(v)
		case int64:
			a.Type, a.Int = onnx.AttrInt, v
		case float32:
			a.Type, a.Float = onnx.AttrFloat, v
		case string:
			a.Type, a.String = onnx.AttrString, []byte(v)
		case []int64:
			a.Type, a.Ints = onnx.AttrInts, slices.Clone(v)
		case []float32:
			a.Type, a.Floats = onnx.AttrFloats, slices.Clone(v)
		default:
			panic(fmt.Sprintf("rewrite: attribute %q has the unsupported type %T", k, v))
		}
		n.Attrs = append(n.Attrs, a)
	}
	e.Graph.Nodes = append(e.Graph.Nodes, n)
	return n.Outputs[0]
}

func sortedKeys(m map[string]any) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// Const adds a constant, or finds an equal one that this pass added before, and
// returns its name. It copies t's data.
func (e *Edit) Const(t *tensor.Tensor) string {
	key := fmt.Sprintf("%d %v %x", t.DType, t.Shape, sha256.Sum256(t.Bytes()))
	if name, ok := e.names.consts[key]; ok {
		return name
	}
	root := *e
	root.scope = "onnxprobe/"
	c := onnx.NewTensor(root.Name("const"), t)
	e.names.consts[key] = c.Name
	e.Graph.Initializers = append(e.Graph.Initializers, c)
	return c.Name
}

// Rename gives a value that a node makes another name, which must not be in use.
// Its readers follow: nodes, those of subgraphs too, and graph outputs. It looks at the
// whole graph; for many values there is RenameAll.
func (e *Edit) Rename(from, to string) error { return e.RenameAll(map[string]string{from: to}) }

// RenameAll is Rename of every key to its value, all at once. After an error no name has
// changed.
func (e *Edit) RenameAll(names map[string]string) error {
	made := map[string]bool{}
	for _, n := range e.Graph.Nodes {
		for _, o := range n.Outputs {
			made[o] = o != ""
		}
	}
	taken := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(names)) {
		to := names[from]
		if e.names.used[to] || taken[to] {
			return fmt.Errorf("naming %q: the model has a value of that name already", to)
		}
		if !made[from] {
			return fmt.Errorf("naming %q: no node makes %q", to, from)
		}
		taken[to] = true
	}
	maps.Copy(e.names.used, taken)
	rename(e.Graph, names)
	return nil
}

func rename(g *onnx.Graph, names map[string]string) {
	change := func(v *string) {
		if to, ok := names[*v]; ok {
			*v = to
		}
	}
	for _, n := range g.Nodes {
		for i := range n.Inputs {
			change(&n.Inputs[i])
		}
		for i := range n.Outputs {
			change(&n.Outputs[i])
		}
		for _, sub := range n.Subgraphs() {
			rename(sub, names)
		}
	}
	for _, v := range slices.Concat(g.Outputs, g.Values) {
		change(&v.Name)
	}
}

// Output makes value v a graph output, after the present ones.
func (e *Edit) Output(v string, d tensor.DType, shape []onnx.Dim) {
	e.Graph.Outputs = append(e.Graph.Outputs, onnx.NewValue(v, d, shape))
}
