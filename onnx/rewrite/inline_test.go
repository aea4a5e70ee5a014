package rewrite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// function is "DOMAIN.NAME[:OVERLOAD] in in -> out out", and nodes as graph has them,
// where an operator can have a domain and an overload too and "alpha=@float.slope" is
// the caller's attribute slope.
func function(head, text string, defaults ...*onnx.Attr) *onnx.Function {
	in, out, _ := strings.Cut(head, "->")
	words := strings.Fields(in)
	f := &onnx.Function{Body: nodes(out, text), Defaults: defaults, Opsets: []onnx.Opset{{Version: 17}, {Domain: "f", Version: 1}}}
	f.Domain, f.Name, f.Overload = operator(words[0])
	for _, name := range words[1:] {
		f.Body.Inputs = append(f.Body.Inputs, onnx.NewValue(name, tensor.Undefined, nil))
	}
	for _, n := range f.Body.Nodes {
		for _, a := range n.Attrs {
			if a.Ref != "" && !slices.ContainsFunc(defaults, func(d *onnx.Attr) bool { return d.Name == a.Ref }) {
				f.Attrs = append(f.Attrs, a.Ref)
			}
		}
	}
	return f
}

func operator(s string) (domain, name, overload string) {
	s, overload, _ = strings.Cut(s, ":")
	domain, name, _ = cutLast(s)
	return domain, name, overload
}

func nodes(outs, text string) *onnx.Graph {
	g := graph(17, nil, nil, outs, text).Graph
	g.Inputs = nil
	for _, n := range g.Nodes {
		n.Domain, n.Op, n.Overload = operator(n.Op)
		for _, a := range n.Attrs {
			if ref, ok := strings.CutPrefix(string(a.String), "@"); ok {
				kind, name, _ := strings.Cut(ref, ".")
				*a = onnx.Attr{Name: a.Name, Ref: name, Type: map[string]onnx.AttrType{"float": onnx.AttrFloat, "int": onnx.AttrInt, "graph": onnx.AttrGraph}[kind]}
			}
		}
	}
	return g
}

// calling is a model of x [2, 3] and of functions.
func calling(outs, text string, fs ...*onnx.Function) *onnx.Model {
	m := graph(17, sh{2, 3}, map[string]*tensor.Tensor{"hi": scalar(.5), "yes": tensor.Scalar(true)}, outs, "")
	m.Graph.Nodes = nodes(outs, text).Nodes
	m.IR, m.Functions = 10, fs
	m.Opsets = append(m.Opsets, onnx.Opset{Domain: "f", Version: 1})
	return m
}

// branches makes an If of a node.
func branches(n *onnx.Node, then, els *onnx.Graph) {
	n.Attrs = append(n.Attrs, &onnx.Attr{Name: "then_branch", Type: onnx.AttrGraph, Graph: then}, &onnx.Attr{Name: "else_branch", Type: onnx.AttrGraph, Graph: els})
	for _, g := range []*onnx.Graph{then, els} {
		g.Name = "branch"
	}
}

func inlineCases() map[string]*onnx.Model {
	twice := function("f.Twice a -> b", "t = f.Once a\nb = f.Once t")
	once := function("f.Once a -> b", "s = Sigmoid a\nb = Mul a s")
	slope := function("f.Slope a -> b", "b = LeakyRelu a alpha=@float.slope")
	steep := function("f.Slope a -> b", "b = LeakyRelu a alpha=@float.slope", attr("slope", .7))
	choice := function("f.Choice c a -> b", "n = Neg a\nb = If c")
	branches(choice.Body.Nodes[1], nodes("t", "t = f.Once n"), nodes("t", "u = Relu n\nt = Add u a"))
	inside := calling("y", "r = Relu x\ny = If yes", once)
	branches(inside.Graph.Nodes[1], nodes("t", "t = f.Once r"), nodes("e", "e = f.Once r"))
	weighty := function("f.Weighty a -> b", "w = Constant\nb = Mul a w")
	weighty.Body.Nodes[0].Attrs = []*onnx.Attr{{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.NewTensor("", floats(1, 2, 3))}}
	ms := map[string]*onnx.Model{
		"calls nested 100 deep":         calling("y", "y = f.F x", chain(100, 1)...),
		"functions that call functions": calling("y z", "h = f.Twice x\ny = f.Twice h\nz = Relu h", twice, once),
		"an attribute given":            calling("y", "y = f.Slope x slope=3", slope),
		"an attribute of another":       calling("y", "y = f.Outer x steep=3", function("f.Outer a -> b", "b = f.Slope a slope=@float.steep"), slope),
		"an attribute not given":        calling("y", "y = f.Slope x", slope),
		"a default":                     calling("y z", "y = f.Slope x\nz = f.Slope x slope=3", steep),
		"a function with branches":      calling("y z", "y = f.Choice yes x\nz = f.Choice yes y", choice, once),
		"a call in a branch":            inside,
		"an input left out":             calling("y", "y = f.Clamp x _ hi", function("f.Clamp a lo hi -> b", "b = Clip a lo hi")),
		"inputs left out at the end":    calling("y", "y = f.Clamp x", function("f.Clamp a lo hi -> b", "b = Clip a lo hi")),
		"outputs left out":              calling("y", "y = f.Two x", function("f.Two a -> b c", "b = Neg a\nc = Relu a")),
		"overloads":                     calling("y", "h = f.Bend:relu x\ny = f.Bend:neg h", function("f.Bend:relu a -> b", "b = Relu a"), function("f.Bend:neg a -> b", "b = Neg a")),
		"an operator's name":            calling("y", "y = Relu x", function("ai.onnx.Relu a -> b", "b = Neg a")),
		"a tensor":                      calling("y", "h = f.Weighty x\ny = f.Weighty h", weighty),
		"names that are taken":          calling("y", "n_y/s = Relu x\ny = f.Once n_y/s", once),
	}
	for name, m := range ms {
		for _, n := range m.Graph.Nodes {
			if a := n.Attr("slope"); a != nil {
				*a = *attr("slope", .3)
			}
			if a := n.Attr("steep"); a != nil {
				*a = *attr("steep", .3)
			}
			if name == "outputs left out" {
				n.Outputs = []string{"", "y"}
			}
		}
	}
	return ms
}

// ONNX Runtime computes the same of an inlined model as of one with functions.
func TestInline(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for name, m := range inlineCases() {
		t.Run(name, func(t *testing.T) {
			before, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			flat, err := rewrite.Inline(m)
			if err != nil {
				t.Fatal(err)
			}
			if after, _ := m.Marshal(); !slices.Equal(before, after) {
				t.Error("inlining changed its source")
			}
			if len(flat.Functions) > 0 || strings.Contains(brief(flat), "f.") {
				t.Errorf("functions are left:\n%s", brief(flat))
			}
			in := []*tensor.Tensor{ramp(2, 3)}
			want, err := run(m, in)
			if err != nil {
				t.Fatalf("as it was: %v", err)
			}
			got, err := run(flat, in)
			if err != nil {
				t.Fatalf("inlined: %v\n%s", err, brief(flat))
			}
			if err := enginetest.Equal(got, want, 0); err != nil {
				t.Errorf("%v\n%s", err, brief(flat))
			}
		})
	}
}

// What inlining makes tells where it comes from.
func TestInlineNames(t *testing.T) {
	once := function("f.Once a -> b", "s = Sigmoid a\nb = Mul a s")
	once.Body.Nodes[0].Meta = []onnx.Prop{{Key: "scope", Value: "inner"}}
	m := calling("y", "h = f.Twice x\ny = f.Once h", function("f.Twice a -> b", "t = f.Once a\nb = f.Once t"), once, function("f.Unused a -> b", "b = Relu a"))
	m.Graph.Nodes[1].Name = ""
	m.Graph.Nodes[1].Meta = []onnx.Prop{{Key: "scope", Value: "outer"}, {Key: "trace", Value: "line 1"}}
	flat, err := rewrite.Inline(m)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range flat.Graph.Nodes {
		got = append(got, fmt.Sprint(n.Name, " ", n.Inputs, n.Outputs, n.Meta))
	}
	want := []string{
		"n_h/n_t/n_s [x] [n_h/n_t/s] [{scope inner}]", "n_h/n_t/n_b [x n_h/n_t/s] [n_h/t] []",
		"n_h/n_b/n_s [n_h/t] [n_h/n_b/s] [{scope inner}]", "n_h/n_b/n_b [n_h/t n_h/n_b/s] [h] []",
		"Once/n_s [h] [Once/s] [{scope inner} {trace line 1}]", "Once/n_b [h Once/s] [y] [{scope outer} {trace line 1}]"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if len(flat.Opsets) != 1 {
		t.Errorf("it imports %v", flat.Opsets)
	}
	if same, err := rewrite.Inline(flat); same != flat || err != nil {
		t.Errorf("a model without functions gave another: %v", err)
	}
}

// A graph given as an attribute, of which ONNX Runtime infers no types, is copied where
// it is used, with names of its own.
func TestInlineGraphGiven(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	branch := func() *onnx.Graph { return nodes("t", "u = Sigmoid x\nt = Neg u") }
	given := calling("y", "y = f.Given yes x", function("f.Given c a -> b", "u = Relu a\nt = If c then_branch=@graph.g else_branch=@graph.g\nb = Add t u"))
	given.Graph.Nodes[0].Attrs = []*onnx.Attr{{Name: "g", Type: onnx.AttrGraph, Graph: branch()}}
	given.Graph.Nodes[0].Attrs[0].Graph.Name = "branch"
	flat, err := rewrite.Inline(given)
	if err != nil {
		t.Fatal(err)
	}
	plain := calling("y", "r = Relu x\nt = If yes\ny = Add t r")
	branches(plain.Graph.Nodes[1], branch(), branch())
	in := []*tensor.Tensor{ramp(2, 3)}
	want, err := run(plain, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run(flat, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Equal(got, want, 0); err != nil {
		t.Error(err)
	}
}

// What ONNX Runtime does not run: an output that is an input, a domain that only a
// function imports, and both names of ONNX's own.
func TestInlineByHand(t *testing.T) {
	pass := function("f.Pass a b -> b c", "c = acme.Bend a")
	pass.Opsets = append(pass.Opsets, onnx.Opset{Domain: "acme", Version: 3})
	m := calling("y z", "y h = f.Pass x hi\nz = Own h", pass, function("ai.onnx.Own a -> b", "b = Relu a"))
	flat, err := rewrite.Inline(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brief(flat), "Bend \"n_y/n_c\" [x] -> [h]\nIdentity \"n_y/Identity\" [hi] -> [y]\nRelu \"n_z/n_b\" [h] -> [z]\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if flat.Opset("acme") != 3 || flat.Opset("f") != 0 {
		t.Errorf("it imports %v", flat.Opsets)
	}
}

// A function's weights stay where they lie, outside the model file too.
func TestInlineExternalData(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	message := func(num protowire.Number, parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), slices.Concat(parts...))
	}
	number := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	str := func(num protowire.Number, s string) []byte { return message(num, []byte(s)) }
	weight := message(5, number(1, 3), number(2, uint64(tensor.Float32)), number(14, 1),
		message(13, str(1, "location"), str(2, "w.bin")), message(13, str(1, "length"), str(2, "12")))
	constant := message(7, str(2, "w"), str(3, "k"), str(4, "Constant"), message(5, str(1, "value"), number(20, uint64(onnx.AttrTensor)), weight))
	mul := message(7, str(1, "a"), str(1, "w"), str(2, "b"), str(3, "m"), str(4, "Mul"))
	file, err := calling("y", "y = f.Weighty x").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, message(25, str(1, "Weighty"), str(10, "f"), str(4, "a"), str(5, "b"), constant, mul, message(9, number(2, 17)))...)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := errors.Join(os.WriteFile(path, file, 0o600), os.WriteFile(filepath.Join(filepath.Dir(path), "w.bin"), tensor.Of([]float32{1, 2, 3}, 3).Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := rewrite.Inline(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := flat.ExternalFiles(); !slices.Equal(got, []string{"w.bin"}) {
		t.Errorf("its data lies in %q", got)
	}
	got, err := run(flat, []*tensor.Tensor{tensor.Of([]float32{1, 1, 1, 2, 2, 2}, 2, 3)})
	if err == nil {
		err = enginetest.Equal(got, []*tensor.Tensor{tensor.Of([]float32{1, 2, 3, 2, 4, 6}, 2, 3)}, 0)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestInlineRefuses(t *testing.T) {
	relu := func(head string) *onnx.Function { return function(head, "b = Relu a") }
	older := relu("f.F a -> b")
	older.Opsets = []onnx.Opset{{Version: 12}}
	hands := function("f.F a c -> b", "b = If c")
	branches(hands.Body.Nodes[0], nodes("a", ""), nodes("t", "t = Relu c"))
	deep := function("f.F a c -> b", "b = If c")
	branches(deep.Body.Nodes[0], nodes("t", "t = f.F1 a c"), nodes("t", "t = f.F1 a c"))
	nested := []*onnx.Function{deep}
	for i := range 40 {
		f := function(fmt.Sprintf("f.F%d a c -> b", i+1), "b = If c")
		branches(f.Body.Nodes[0], nodes("t", fmt.Sprintf("t = f.F%d a c", i+2)), nodes("t", "t = Relu a"))
		nested = append(nested, f)
	}
	nested = append(nested, relu("f.F41 a c -> b"))
	many := func(n int) (text string) {
		for i := range n {
			text += fmt.Sprintf("a%d = f.F x\n", i)
		}
		return text + "y = f.F x"
	}
	lone := calling("y", "y = Relu x alpha=@float.slope")
	for _, c := range []struct {
		m    *onnx.Model
		want string
	}{
		{calling("y", "y = f.F x", function("f.F a -> b", "b = f.F a")), `function "f.F" calls itself`},
		{calling("y", "y = f.F x", function("f.F a -> b", "b = f.G a"), function("f.G a -> b", "b = f.F a")), `calls itself`},
		{calling("y", "y = f.F x", chain(200, 1)...), `nested deeper than 128`},
		{calling("y", "y = f.F x", chain(30, 2)...), `more than 20000 nodes`},
		{calling("y", "y = f.F x", chain(10, 3)...), `more than 20000 nodes`},
		{calling("y", many(300), chain(6, 3)...), `more than 31900 nodes`},
		{calling("y", many(20_000), chain(4, 3)...), `more than 1000000 nodes`},
		{calling("y", "y = f.F x yes", nested...), `subgraphs are nested deeper than 32`},
		{calling("y", "y = f.F x x", relu("f.F a -> b")), `which takes 1 inputs and makes 1 outputs, with 2 and 1`},
		{calling("y", "y z = f.F x", relu("f.F a -> b")), `which takes 1 inputs and makes 1 outputs, with 1 and 2`},
		{calling("y", "y = f.F x", older), `in version 12 of domain "", and the model imports version 17`},
		{calling("y", "y = f.F _ yes", hands), `hands on an input that the caller leaves out`},
		{calling("y", "y = f.F x", function("f.F a b -> b", "c = Relu a")), `takes output "b", which is an input that it leaves out`},
		{calling("y", "y = f.F x", relu("f.F a -> b"), relu("f.F a -> b")), `function "f.F" is defined twice`},
		{calling("y", "y = f.F x", function("f.F a -> b", "b = Relu z")), `function "f.F": node Relu "n_b" reads "z", which nothing makes`},
		{calling("y", "y = f.F x", function("f.F a -> b", "b = acme.Relu a")), `domain "acme" is not among the imported operator sets`},
		{calling("y", "y = f.F x", function("f.F a -> b", "c = Relu a")), `nothing makes the graph output "b"`},
		{calling("y", "y = f.F x size=0", function("f.F a -> b", "b = DepthToSpace a blocksize=@int.size")),
			`the model is broken, which shows once its functions are in the place of their calls: node DepthToSpace "n_y/n_b": blocksize is 0`},
		{lone, `its attribute "alpha" is a function's "slope", and it is in no function`},
	} {
		start := time.Now()
		if c.m == lone {
			lone.Functions = append(lone.Functions, relu("f.F a -> b"))
		}
		_, err := rewrite.Inline(c.m)
		if err == nil || !strings.HasPrefix(err.Error(), "inlining the model's functions: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%q took %v to be found", c.want, d)
		}
	}
}

// chain is n functions, f.F the first, of which each calls the next some times.
func chain(n, times int) []*onnx.Function {
	var fs []*onnx.Function
	name := "F"
	for i := range n {
		next := fmt.Sprint("F", i+1)
		op := "f." + next
		if i == n-1 {
			op = "Relu"
		}
		text, from := "", "a"
		for k := range times {
			to := fmt.Sprint("t", k)
			if k == times-1 {
				to = "b"
			}
			text += to + " = " + op + " " + from + "\n"
			from = to
		}
		fs = append(fs, function("f."+name+" a -> b", text))
		name = next
	}
	return fs
}

// What counting nodes does not see is bounded while it is copied: long names, long
// lists, metadata, and graphs that callers give.
func TestInlineIsBounded(t *testing.T) {
	wide := func(edit func(n *onnx.Node)) *onnx.Model {
		fs := chain(14, 2)
		for _, n := range fs[13].Body.Nodes {
			edit(n)
		}
		return calling("y", "y = f.F x", fs...)
	}
	graphs := chain(24, 1)
	for i, f := range graphs[:23] {
		n := f.Body.Nodes[0]
		n.Attrs = []*onnx.Attr{{Name: "g", Type: onnx.AttrGraph, Graph: nodes("r", "r = If c\n")}}
		k := n.Attrs[0].Graph.Nodes[0]
		k.Inputs[0] = "a"
		for _, b := range []string{"then_branch", "else_branch"} {
			k.Attrs = append(k.Attrs, &onnx.Attr{Name: b, Type: onnx.AttrGraph, Ref: "g"})
		}
		if i == 0 {
			n.Attrs[0].Graph = nodes("r", "r = Relu a")
		}
	}
	metas := wide(func(*onnx.Node) {})
	metas.Graph.Nodes[0].Meta = slices.Repeat([]onnx.Prop{{Key: "k", Value: "v"}}, 100_000)
	for name, m := range map[string]*onnx.Model{
		"names": wide(func(n *onnx.Node) { n.Name = strings.Repeat("n", 1<<16) }),
		"lists": wide(func(n *onnx.Node) {
			n.Attrs = []*onnx.Attr{{Name: "l", Type: onnx.AttrInts, Ints: make([]int64, 1<<16)}}
		}),
		"metadata": metas,
		"graphs":   calling("y", "y = f.F x", graphs...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rewrite.Inline(m)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "512 MB of nodes, names and attributes") {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 4<<30 {
			t.Errorf("%s: %d MB were allocated", name, got>>20)
		}
	}
}
