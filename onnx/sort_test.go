package onnx

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func TestSort(t *testing.T) {
	a, b, c, d := node("A", "x", "a"), node("B", "a", "b"), node("C", "x", "c"), node("D", "b c", "d")
	inner := condition(branch("i", node("Neg", "b", "i")), "y")
	two := node("Two", "x", "p q")
	cases := []struct {
		nodes []*Node
		want  string
	}{
		{[]*Node{a, b, c, d}, "ABCD"},
		{[]*Node{c, a, b, d}, "CABD"}, // sound orders stay
		{[]*Node{d, c, b, a}, "CABD"},
		{[]*Node{b, a, d, c}, "ABCD"},
		{[]*Node{c, inner, b, a}, "CABIf"}, // what a branch reads comes before it
		{[]*Node{node("U", "q", "u"), node("V", "p", "v"), two}, "TwoUV"},
		{nil, ""},
	}
	for _, c := range cases {
		g := &Graph{Nodes: slices.Clone(c.nodes)}
		err := g.Sort()
		var got []string
		for _, n := range g.Nodes {
			got = append(got, n.Op)
		}
		if s := strings.Join(got, ""); err != nil || s != c.want {
			t.Errorf("sorted to %s, want %s: %v", s, c.want, err)
		}
	}
}

func TestSortNamesCycles(t *testing.T) {
	ring := func(k int) []*Node {
		var ns []*Node
		for i := range k {
			ns = append(ns, node("R", fmt.Sprint("r", (i+1)%k), fmt.Sprint("r", i)))
		}
		return ns
	}
	cases := []struct {
		nodes []*Node
		want  []string
	}{
		{[]*Node{node("A", "a", "a")}, []string{`cycle: A "n_a", which feeds the first`}},
		{[]*Node{node("A", "b", "a"), node("B", "a", "b"), node("C", "x", "c")}, []string{`cycle: B "n_b", which feeds A "n_a", which feeds the first`}},
		{[]*Node{node("A", "a", "a"), node("B", "b", "b")}, []string{`A "n_a"`, `B "n_b"`}},
		{[]*Node{condition(branch("i", node("Neg", "y", "i")), "y")}, []string{`If "n_y"`}},
		{[]*Node{condition(branch("i", node("Neg", "i", "i")), "y")}, []string{`Neg "n_i"`}},
		{ring(100_000), []string{"...", `R "n_r99999"`}},
	}
	for _, c := range cases {
		g := &Graph{Nodes: slices.Clone(c.nodes)}
		wantError(t, g.Sort(), c.want...)
		if len(g.Nodes) != len(c.nodes) {
			t.Errorf("%v: %d of %d nodes are left", c.want, len(g.Nodes), len(c.nodes))
		}
	}
}

// Whatever is done to a clone, the original stays as it was.
func TestClone(t *testing.T) {
	for _, path := range ownModels(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := parse(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Graph.Nodes = append(m.Graph.Nodes, everyAttribute(t))
		before := marshal(t, m)
		c := m.Clone()
		if !bytes.Equal(marshal(t, c), before) {
			t.Fatalf("%s: a clone differs", path)
		}
		vandalise(c)
		if !bytes.Equal(marshal(t, m), before) {
			t.Errorf("%s: editing a clone changed the original", path)
		}
		if bytes.Equal(marshal(t, c), before) {
			t.Errorf("%s: the edits did nothing", path)
		}
	}
}

func everyAttribute(t *testing.T) *Node {
	return node("Every", "", "every",
		&Attr{Name: "s", Type: AttrString, String: []byte("text")},
		&Attr{Name: "f", Type: AttrFloats, Floats: []float32{1}}, ints("i", 1, 2),
		&Attr{Name: "ss", Type: AttrStrings, Strings: [][]byte{[]byte("text")}},
		&Attr{Name: "t", Type: AttrTensor, Tensor: zeros(t, "t", 1)},
		graphAttr("g", branch("g", node("Relu", "x", "g"))),
		&Attr{Name: "gs", Type: AttrGraphs, Graphs: []*Graph{branch("g", node("Relu", "x", "g"))}})
}

func vandalise(m *Model) {
	m.Opsets[0].Version++
	for i := range m.Meta {
		m.Meta[i].Value += "!"
	}
	ruin(m.Graph)
}

func ruin(g *Graph) {
	g.Name += "!"
	for i := range g.Initializers {
		g.Initializers[i] = nil
	}
	g.Initializers = g.Initializers[:0]
	for _, vs := range [][]*Value{g.Inputs, g.Outputs, g.Values} {
		for _, v := range vs {
			v.Name += "!"
			for i := range v.Shape {
				v.Shape[i] = Dim{Size: 7}
			}
		}
	}
	for _, n := range g.Nodes {
		n.Op += "!"
		for _, ss := range [][]string{n.Inputs, n.Outputs} {
			for i := range ss {
				ss[i] += "!"
			}
		}
		for i := range n.Meta {
			n.Meta[i].Key += "!"
		}
		for _, a := range n.Attrs {
			a.Name += "!"
			for i := range a.Ints {
				a.Ints[i]++
			}
			for i := range a.Floats {
				a.Floats[i]++
			}
			for i := range a.String {
				a.String[i]++
			}
			for _, s := range a.Strings {
				s[0]++
			}
			for _, s := range append(a.Graphs, a.Graph) {
				if s != nil {
					ruin(s)
				}
			}
		}
		for i := range n.Attrs {
			n.Attrs[i] = &Attr{Name: "gone"}
		}
	}
}

func TestIndex(t *testing.T) {
	use := condition(branch("i", node("Neg", "w", "i")), "y")
	m := small(value("c"), &Node{Op: "Constant", Outputs: []string{"k"}, Attrs: []*Attr{ints("value_ints", 3, 4)}},
		node("Add", "w w", "a"), use).with(zeros(t, "w", 2))
	ix := m.Graph.Index()
	if len(ix.Readers["w"]) != 2 || ix.Readers["w"][1] != use {
		t.Errorf("w is read by %v", ix.Readers["w"])
	}
	if ix.Maker["a"].Op != "Add" || ix.Maker["w"] != nil || ix.Const["w"] == nil || ix.Declared["c"] == nil {
		t.Error("the index lacks a maker, a constant or a declaration")
	}
	v, err := m.Values(ix.Const["k"])
	if err != nil || !slices.Equal(v.Data.([]int64), []int64{3, 4}) || v.DType != tensor.Int64 {
		t.Errorf("the constant is %v: %v", v, err)
	}
	if got := m.Graph.Nodes[1].Input(-1) + m.Graph.Nodes[1].Input(5); got != "" {
		t.Errorf("inputs that are not there are %q", got)
	}
}
