// Package onnx reads, checks, edits and writes ONNX models.
//
// A Model mirrors onnx.proto: values are names, as in the file. Weights are not
// decoded: they stay where they lie, in the mapped file or in external data, and
// fields this package does not know are kept and written back. The file is
// hostile until checked: Load bounds every length, count and depth.
package onnx

import (
	"maps"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Model is a whole ONNX file.
type Model struct {
	IR              int64
	Producer        string
	ProducerVersion string
	Opsets          []Opset
	Graph           *Graph
	Meta            []Prop
	// Functions are the operators that the model defines itself. rewrite.Inline puts
	// their bodies where they are called.
	Functions []*Function

	// Path is the file the model was read from, "" for one made in memory. Dir is
	// the folder that external data is relative to.
	Path, Dir string

	files *files
	// hidden are the tensors in parts of the file that are kept but not decoded:
	// sparse tensors, training graphs.
	hidden []*Tensor

	unknown []byte
}

// Opset is the version of one operator domain; "" is ONNX's own.
type Opset struct {
	Domain  string
	Version int64
}

// Prop is one entry of a metadata_props list.
type Prop struct{ Key, Value string }

// Graph is a computation. Nodes are in an order they can run in.
type Graph struct {
	Name         string
	Nodes        []*Node
	Initializers []*Tensor
	Inputs       []*Value
	Outputs      []*Value
	// Values holds the declared types of intermediate values, where the exporter
	// wrote them.
	Values []*Value

	unknown []byte
}

// Node applies one operator. An omitted input or output is "".
type Node struct {
	Name, Op, Domain string
	Overload         string // of the function that the node calls
	Inputs, Outputs  []string
	Attrs            []*Attr
	Meta             []Prop

	unknown []byte
}

// AttrType numbers the kinds of attribute as AttributeProto.AttributeType does.
type AttrType int32

// The attribute kinds this package decodes; the others are carried along.
const (
	AttrFloat   AttrType = 1
	AttrInt     AttrType = 2
	AttrString  AttrType = 3
	AttrTensor  AttrType = 4
	AttrGraph   AttrType = 5
	AttrFloats  AttrType = 6
	AttrInts    AttrType = 7
	AttrStrings AttrType = 8
	AttrGraphs  AttrType = 10
)

// Attr is a node's named attribute; Type says which field holds the value.
type Attr struct {
	Name string
	Type AttrType
	// Ref is, within a function, the attribute of the function's caller that the
	// value is taken from; "" for a value of its own.
	Ref     string
	Float   float32
	Int     int64
	String  []byte
	Tensor  *Tensor
	Graph   *Graph
	Floats  []float32
	Ints    []int64
	Strings [][]byte
	Graphs  []*Graph

	unknown []byte
}

// Value declares the type of a graph input, output or intermediate.
type Value struct {
	Name  string
	DType tensor.DType // Undefined when the value is not a dense tensor
	// Shape is nil when the rank is not known, empty for a scalar.
	Shape []Dim

	typ     []byte // the TypeProto in the file, written back unless the type was changed
	unknown []byte
}

// Dim is one dimension: a size, or a symbol, or (Size -1, Param "") unknown.
type Dim struct {
	Size  int64
	Param string
}

// NewValue declares a dense tensor. A nil shape leaves the rank open; an empty
// one is a scalar.
func NewValue(name string, d tensor.DType, shape []Dim) *Value {
	return &Value{Name: name, DType: d, Shape: shape}
}

// HasShape reports whether the rank is declared.
func (v *Value) HasShape() bool { return v.Shape != nil }

// Opset is the imported version of a domain ("" or "ai.onnx" is ONNX's own), or
// 0 when the model does not import it.
func (m *Model) Opset(domain string) int64 { return version(m.Opsets, domain) }

func version(opsets []Opset, d string) int64 {
	for _, o := range opsets {
		if domain(o.Domain) == domain(d) {
			return o.Version
		}
	}
	return 0
}

// Clone copies the structure: graph, nodes, attributes, declarations. Weights are
// shared; nothing ever writes to one.
func (m *Model) Clone() *Model {
	c := *m
	c.Opsets = slices.Clone(m.Opsets)
	c.Meta = slices.Clone(m.Meta)
	c.Functions = slices.Clone(m.Functions)
	c.Graph = m.Graph.Clone()
	return &c
}

// Clone copies the graph's structure, as Model.Clone does.
func (g *Graph) Clone() *Graph {
	if g == nil {
		return nil
	}
	c := *g
	c.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		k := *n
		k.Inputs, k.Outputs = slices.Clone(n.Inputs), slices.Clone(n.Outputs)
		k.Meta = slices.Clone(n.Meta)
		k.Attrs = make([]*Attr, len(n.Attrs))
		for j, a := range n.Attrs {
			k.Attrs[j] = a.Clone()
		}
		c.Nodes[i] = &k
	}
	c.Initializers = slices.Clone(g.Initializers)
	c.Inputs, c.Outputs, c.Values = cloneValues(g.Inputs), cloneValues(g.Outputs), cloneValues(g.Values)
	return &c
}

// Clone copies the attribute's value; a tensor is shared.
func (a *Attr) Clone() *Attr {
	c := *a
	c.Graph = a.Graph.Clone()
	c.Graphs = slices.Clone(a.Graphs)
	for i, g := range c.Graphs {
		c.Graphs[i] = g.Clone()
	}
	c.Ints, c.Floats, c.String = slices.Clone(a.Ints), slices.Clone(a.Floats), slices.Clone(a.String)
	c.Strings = slices.Clone(a.Strings)
	for i, s := range c.Strings {
		c.Strings[i] = slices.Clone(s)
	}
	return &c
}

func cloneValues(vs []*Value) []*Value {
	out := make([]*Value, len(vs))
	for i, v := range vs {
		c := *v
		c.Shape = slices.Clone(v.Shape)
		out[i] = &c
	}
	return out
}

// Attr finds an attribute by name, nil when the node has none.
func (n *Node) Attr(name string) *Attr {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Int is an integer attribute, or its default when absent.
func (n *Node) Int(name string, absent int64) int64 {
	if a := n.Attr(name); a != nil && a.Type == AttrInt {
		return a.Int
	}
	return absent
}

// Ints is a list attribute; nil when absent.
func (n *Node) Ints(name string) []int64 {
	if a := n.Attr(name); a != nil {
		return a.Ints
	}
	return nil
}

// Float is a float attribute, or its default when absent.
func (n *Node) Float(name string, absent float32) float32 {
	if a := n.Attr(name); a != nil && a.Type == AttrFloat {
		return a.Float
	}
	return absent
}

// Str is a string attribute, or its default when absent.
func (n *Node) Str(name, absent string) string {
	if a := n.Attr(name); a != nil && a.Type == AttrString {
		return string(a.String)
	}
	return absent
}

// Input is the i-th input's name, "" when omitted.
func (n *Node) Input(i int) string {
	if i >= 0 && i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Subgraphs lists the graphs held in the node's attributes.
func (n *Node) Subgraphs() []*Graph {
	var gs []*Graph
	for _, a := range n.Attrs {
		gs = append(gs, a.Subgraphs()...)
	}
	return gs
}

// Subgraphs lists the graphs that the attribute holds.
func (a *Attr) Subgraphs() []*Graph {
	if a.Graph == nil {
		return a.Graphs
	}
	return append([]*Graph{a.Graph}, a.Graphs...)
}

// IsOp reports whether the node is ONNX's own operator of that name.
func (n *Node) IsOp(op string) bool {
	return n.Op == op && (n.Domain == "" || n.Domain == "ai.onnx")
}

// Index answers who makes and who reads a value. It is computed from a graph and
// holds until the graph is edited.
type Index struct {
	Maker    map[string]*Node
	Readers  map[string][]*Node // a node that reads a value inside a subgraph counts
	Const    map[string]*Tensor // initializers and Constant nodes that hold a tensor
	Declared map[string]*Value
}

// Index indexes the graph's top level.
func (g *Graph) Index() *Index {
	ix := &Index{map[string]*Node{}, map[string][]*Node{}, map[string]*Tensor{}, map[string]*Value{}}
	for _, vs := range [][]*Value{g.Values, g.Outputs, g.Inputs} {
		for _, v := range vs {
			ix.Declared[v.Name] = v
		}
	}
	for _, t := range g.Initializers {
		ix.Const[t.Name] = t
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				ix.Maker[o] = n
			}
		}
		for _, in := range slices.Sorted(maps.Keys(n.reads())) {
			ix.Readers[in] = append(ix.Readers[in], n)
		}
		if n.IsOp("Constant") && len(n.Outputs) == 1 {
			if t := constantOf(n); t != nil {
				ix.Const[n.Outputs[0]] = t
			}
		}
	}
	return ix
}

// Reads lists the values that a node reads: its inputs in their places, then what the
// graphs in its attributes read, of each other too.
func (n *Node) Reads() []string {
	graphs := n.Subgraphs()
	if len(graphs) == 0 {
		return n.Inputs
	}
	all := slices.Clone(n.Inputs)
	for _, g := range graphs {
		for _, k := range g.Nodes {
			all = append(all, k.Reads()...)
		}
		for _, o := range g.Outputs {
			all = append(all, o.Name)
		}
	}
	return all
}

// reads is the set of outer values a node depends on, subgraphs included.
func (n *Node) reads() map[string]bool {
	set := map[string]bool{}
	for _, in := range n.Inputs {
		if in != "" {
			set[in] = true
		}
	}
	for _, g := range n.Subgraphs() {
		own := map[string]bool{}
		for _, v := range g.Inputs {
			own[v.Name] = true
		}
		for _, t := range g.Initializers {
			own[t.Name] = true
		}
		for _, t := range g.sparse() {
			own[t] = true
		}
		for _, k := range g.Nodes {
			for _, o := range k.Outputs {
				own[o] = true
			}
		}
		for _, k := range g.Nodes {
			for in := range k.reads() {
				if !own[in] {
					set[in] = true
				}
			}
		}
		for _, v := range g.Outputs {
			if !own[v.Name] && v.Name != "" {
				set[v.Name] = true
			}
		}
	}
	return set
}

// constantOf is the tensor a Constant node holds, nil for forms that hold none
// (strings, sparse tensors).
func constantOf(n *Node) *Tensor {
	for _, a := range n.Attrs {
		switch {
		case a.Name == "value" && a.Tensor != nil:
			return a.Tensor
		case a.Name == "value_float":
			return NewTensor("", tensor.Scalar(a.Float))
		case a.Name == "value_int":
			return NewTensor("", tensor.Scalar(a.Int))
		case a.Name == "value_floats":
			return NewTensor("", tensor.Of(a.Floats, len(a.Floats)))
		case a.Name == "value_ints":
			return NewTensor("", tensor.Of(a.Ints, len(a.Ints)))
		}
	}
	return nil
}
