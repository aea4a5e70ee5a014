package onnx

import (
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// condition is an If whose branches are the given graph.
func condition(branch *Graph, out string) *Node {
	return node("If", "c", out, graphAttr("then_branch", branch), graphAttr("else_branch", branch))
}

// once is an If with one branch.
func once(branch *Graph, out string) *Node {
	return node("If", "c", out, graphAttr("then_branch", branch))
}

func branch(out string, nodes ...*Node) *Graph {
	return &Graph{Name: "b", Nodes: nodes, Outputs: []*Value{NewValue(out, tensor.Float32, nil)}}
}

func weight(name string, d tensor.DType, data func(pb) pb, dims ...int64) func(t *testing.T) *Model {
	return func(t *testing.T) *Model {
		t.Helper()
		m, err := parse(modelOf(pb{}.b(5, data(tensorOf(name, d, dims...)))), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func TestCheck(t *testing.T) {
	x := value("x", 1)
	graph := func(m *Model) func(*testing.T) *Model { return func(*testing.T) *Model { return m } }
	raw := func(n int) func(pb) pb { return func(p pb) pb { return p.b(9, make([]byte, n)) } }
	edited := func(edit func(*Model)) func(*testing.T) *Model {
		m := small(value("x", 1), node("Relu", "x", "y"))
		edit(m)
		return graph(m)
	}
	cases := []struct {
		name string
		m    func(*testing.T) *Model
		want string // "" is a sound model
	}{
		{"sound", edited(func(m *Model) {}), ""},
		{"no nodes, no outputs", graph(small(x)), ""},
		{"an input is an output", edited(func(m *Model) { m.Graph.Outputs = append(m.Graph.Outputs, value("x", 1)) }), ""},
		{"an initializer is an output", edited(func(m *Model) {
			m.with(zeros(t, "w", 2)).Graph.Outputs = append(m.Graph.Outputs, value("w", 2))
		}), ""},
		{"an initializer is an input, as in IR 3", edited(func(m *Model) {
			m.with(zeros(t, "w", 2)).Graph.Inputs = append(m.Graph.Inputs, value("w", 2))
		}), ""},
		{"no inputs", graph(small(x, node("Constant", "", "y")).with()), ""},
		{"IR 11, opset 99", edited(func(m *Model) { m.IR, m.Opsets[0].Version = 11, 99 }), ""},
		{"a domain of its own", edited(func(m *Model) {
			m.Opsets, m.Graph.Nodes[0].Domain = append(m.Opsets, Opset{"acme", 1}), "acme"
		}), ""},
		{"an operator of two lines", edited(func(m *Model) { m.Graph.Nodes[0].Op = "Relu\nok" }), `its operator "Relu\nok" of domain "" is not a name`},
		{"a domain that colors", edited(func(m *Model) {
			m.Opsets, m.Graph.Nodes[0].Domain = append(m.Opsets, Opset{"a\x1b", 1}), "a\x1b"
		}), `of domain "a\x1b" is not a name`},
		{"an unknown operator", edited(func(m *Model) { m.Graph.Nodes[0].Op = "Frobnicate" }), ""},
		{"a branch captures outer values", graph(small(value("c"), node("Relu", "c", "a"), condition(branch("b", node("Neg", "a", "b")), "y"))), ""},
		{"a branch returns an outer value", graph(small(value("c"), node("Relu", "c", "a"), condition(branch("a"), "y"))), ""},
		{"an omitted input", edited(func(m *Model) { m.Graph.Nodes[0].Inputs = []string{"x", ""} }), ""},

		{"no graph", graph(&Model{IR: 8}), "the model has no graph"},
		{"no IR", edited(func(m *Model) { m.IR = 0 }), "IR version 0"},
		{"no opset", edited(func(m *Model) { m.Opsets = nil }), "imports no operator set"},
		{"one domain twice", edited(func(m *Model) { m.Opsets = append(m.Opsets, Opset{"ai.onnx", 18}) }), `operator set "ai.onnx" is imported in versions 17 and 18`},
		{"domain not imported", edited(func(m *Model) { m.Graph.Nodes[0].Domain = "acme" }), `node Relu "n_y": domain "acme" is not among`},
		{"ONNX's own not imported", edited(func(m *Model) { m.Opsets[0].Domain = "acme" }), `domain "" is not among`},
		{"undefined input", edited(func(m *Model) { m.Graph.Nodes[0].Inputs[0] = "z" }), `node Relu "n_y" reads "z", which nothing makes`},
		{"made later", graph(small(x, node("Relu", "b", "a"), node("Relu", "x", "b"))), `reads "b", which is made after it or depends on it`},
		{"made twice", graph(small(x, node("Relu", "x", "y"), node("Neg", "x", "y"))), `"y" is defined twice: by node Relu "n_y" and by node Neg "n_y"`},
		{"input and node", graph(small(x, node("Relu", "x", "x"))), `"x" is defined twice: by a graph input and by node`},
		{"two inputs of one name", edited(func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, x) }), `"x" is defined twice`},
		{"two initializers of one name", edited(func(m *Model) { m.with(zeros(t, "w", 1), zeros(t, "w", 1)) }), `initializer "w" is defined twice`},
		{"initializer without a name", edited(func(m *Model) { m.with(zeros(t, "", 2)) }), "initializer of shape [2] has no name"},
		{"input without a name", edited(func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, value("")) }), "a graph input has no name"},
		{"output without a name", edited(func(m *Model) { m.Graph.Outputs = append(m.Graph.Outputs, value("")) }), "a graph output has no name"},
		{"output twice", edited(func(m *Model) { m.Graph.Outputs = append(m.Graph.Outputs, value("y")) }), `"y" is a graph output twice`},
		{"undefined output", edited(func(m *Model) { m.Graph.Outputs[0].Name = "z" }), `nothing makes the graph output "z"`},
		{"no outputs", edited(func(m *Model) { m.Graph.Outputs = nil }), "the graph has no outputs"},
		{"no operator", edited(func(m *Model) { m.Graph.Nodes[0].Op = "" }), `node "n_y" has no operator`},
		{"no node outputs", edited(func(m *Model) { m.Graph.Nodes = append(m.Graph.Nodes, node("Relu", "x", "")) }), `node Relu "n_" has no output`},
		{"outputs left out", edited(func(m *Model) {
			m.Graph.Nodes = append(m.Graph.Nodes, &Node{Name: "n", Op: "MaxPool", Inputs: []string{"x"}, Outputs: []string{"", ""}})
		}), `node MaxPool "n" has no output`},
		{"the second output alone", edited(func(m *Model) {
			m.Graph.Nodes = append(m.Graph.Nodes, &Node{Op: "MaxPool", Inputs: []string{"x"}, Outputs: []string{"", "i"}})
		}), ""},
		{"no node outputs in a branch", graph(small(value("c"), once(branch("b", node("Neg", "c", "b"), node("Neg", "c", "")), "y"))), `node Neg "n_" has no output`},
		{"an attribute twice", edited(func(m *Model) { m.Graph.Nodes[0].Attrs = []*Attr{intAttr("a", 1), intAttr("a", 2)} }), `node Relu "n_y" has two attributes "a"`},
		{"undefined in a branch", graph(small(value("c"), once(branch("b", node("Neg", "z", "b")), "y"))), `node Neg "n_b" reads "z", which nothing makes`},
		{"a branch reads what comes later", graph(small(value("c"), once(branch("b", node("Neg", "z", "b")), "y"), node("Relu", "y", "z"))), `node Neg "n_b" reads "z", which is made after it`},
		{"a branch returns nothing known", graph(small(value("c"), once(branch("z"), "y"))), `nothing makes the graph output "z"`},
		{"inner values are not seen outside", graph(small(value("c"), condition(branch("b", node("Neg", "c", "b")), "y"), node("Relu", "b", "z"))), `reads "b", which nothing makes`},

		{"raw data too short", weight("w", tensor.Float32, raw(7), 2), `tensor "w": float32 [2] needs 8 bytes, raw_data has 7`},
		{"raw data too long", weight("w", tensor.Float16, raw(6), 2), "needs 4 bytes, raw_data has 6"},
		{"odd int4", weight("w", tensor.DType(22), raw(3), 3), "int4 [3] needs 2 bytes, raw_data has 3"},
		{"raw and typed data", weight("w", tensor.Float32, func(p pb) pb { return p.b(9, make([]byte, 4)).b(4, make([]byte, 4)) }, 1), "data in raw_data and in a typed field"},
		{"no data", weight("w", tensor.Float32, func(p pb) pb { return p }, 2), "needs 2 values, the file has 0"},
		{"too little typed data", weight("w", tensor.Int64, func(p pb) pb { return p.b(7, []byte{1}) }, 2), "needs 2 values, the file has 1"},
		{"typed data of another type", weight("w", tensor.Float32, func(p pb) pb { return p.b(7, []byte{1}) }, 1), "needs 1 values, the file has 0"},
		{"too few strings", weight("w", tensor.String, func(p pb) pb { return p.s(6, "a") }, 2), "needs 2 values, the file has 1"},
		{"too little bfloat16", weight("w", tensor.BFloat16, func(p pb) pb { return p.b(5, []byte{1}) }, 2), "needs 2 values, the file has 1"},
		{"too little complex", weight("w", tensor.Complex64, func(p pb) pb { return p.b(4, make([]byte, 8)) }, 2), "needs 4 values, the file has 2"},
		{"odd packed floats", weight("w", tensor.Float32, func(p pb) pb { return p.b(4, make([]byte, 7)) }, 2), "packed values of 7 bytes"},
		{"strings as raw data", weight("w", tensor.String, raw(4), 2), "strings in raw_data"},
		{"unknown type", weight("w", tensor.DType(99), raw(4), 2), "unknown element type 99"},
		{"negative dimension", weight("w", tensor.Float32, raw(4), -1), "dimension -1 in [-1]"},
		{"huge dimension", weight("w", tensor.Float32, raw(4), math.MaxInt64), "overflow"},
		{"dimensions overflow", weight("w", tensor.Float32, raw(4), 1<<32, 1<<32), "overflow"},
		{"dimensions overflow to 0", weight("w", tensor.Float32, raw(0), 1<<32, 1<<32, 0), "overflow"},
		{"0 and then an overflow", weight("w", tensor.Float32, raw(0), 0, 1<<32, 1<<32), "overflow"},
		{"empty", weight("w", tensor.Float32, raw(0), 0, 1000), ""},
	}
	for _, c := range cases {
		m := c.m(t)
		err := m.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		case err != nil && strings.Count(err.Error(), "\n") > 0:
			t.Errorf("%s: one fault gave more:\n%v", c.name, err)
		}
	}
}

// Independent faults come all at once, those of order and of external data too.
func TestAllFaultsAtOnce(t *testing.T) {
	m := small(value("x", 1),
		node("Relu", "nowhere", "a"), node("Acme", "x", "b"), node("Relu", "x", "b"),
		node("Add", "d x", "c"), node("Relu", "c", "d"))
	m.Graph.Nodes[1].Domain = "acme"
	m.Graph.Outputs = []*Value{value("a"), value("a"), value("lost")}
	m.with(zeros(t, "w", 1), zeros(t, "w", 1))
	file := marshal(t, m)
	bad := pb{}.b(5, tensorOf("short", tensor.Float32, 2).b(9, []byte{1})).
		b(5, externalTensor("far", 1, "location", "../w.bin")).b(5, externalTensor("gone", 1, "location", "gone.bin"))
	file = pb(file).b(7, bad)
	_, err := parse(file, nil)
	wantError(t, err, "two graphs")

	graph := m.Graph.encode()
	var g pb
	for _, p := range graph.parts {
		g = append(g, p...)
	}
	_, err = Load(write(t, filepath.Join(t.TempDir(), "m.onnx"), modelOf(append(g, bad...))))
	wantError(t, err, `reads "nowhere", which nothing makes`, `domain "acme"`, `"b" is defined twice`, "cycle", `"a" is a graph output twice`,
		`graph output "lost"`, `initializer "w" is defined twice`, `tensor "short"`, `tensor "far"`, `tensor "gone"`)

	var many []*Node
	for range 1000 {
		many = append(many, node("Relu", "nowhere", "y"))
	}
	wantError(t, small(value("x"), many...).Check(), "and 1979 more")
}

// A long name in many faults costs what the file holds, not their product.
func TestCheckIsBounded(t *testing.T) {
	m := small(value("x", 1), node("Relu", "x", "y"))
	n := node("Split", "x", strings.Repeat("y ", 5_000))
	n.Name = strings.Repeat("n", 100_000)
	m.Graph.Nodes = append(m.Graph.Nodes, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := m.Check()
	runtime.ReadMemStats(&after)
	wantError(t, err, "is defined twice", "and 4980 more")
	if took := after.TotalAlloc - before.TotalAlloc; took > 30<<20 {
		t.Errorf("it took %d MB", took>>20)
	}
}
