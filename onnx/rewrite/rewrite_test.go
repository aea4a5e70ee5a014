package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// source is x -> If(c) -> y, whose branch reads the outer value a and makes "inner".
func source() *onnx.Model {
	inner := &onnx.Graph{Name: "b", Outputs: []*onnx.Value{onnx.NewValue("inner", tensor.Float32, nil)},
		Nodes: []*onnx.Node{{Name: "inside", Op: "Neg", Inputs: []string{"a"}, Outputs: []string{"inner"}}}}
	g := &onnx.Graph{Name: "g",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 2}}), onnx.NewValue("c", tensor.Bool, []onnx.Dim{})},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil), onnx.NewValue("a", tensor.Float32, nil)},
		Values:  []*onnx.Value{onnx.NewValue("a", tensor.Float32, []onnx.Dim{{Size: 2}})},
		Nodes: []*onnx.Node{
			{Name: "add", Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"a"}},
			{Name: "if", Op: "If", Inputs: []string{"c"}, Outputs: []string{"y"},
				Attrs: []*onnx.Attr{{Name: "then_branch", Type: onnx.AttrGraph, Graph: inner}}}},
		Initializers: []*onnx.Tensor{onnx.NewTensor("w", tensor.Of([]float32{1, 2}, 2))}}
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: g}
}

func marshal(t *testing.T, m *onnx.Model) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// apply runs one pass over source and checks that source stays as it was.
func apply(t *testing.T, do func(*Edit) error) (*onnx.Model, error) {
	t.Helper()
	m := source()
	before := marshal(t, m)
	out, err := Apply(m, Pass{Name: "test", Do: do})
	if !bytes.Equal(marshal(t, m), before) {
		t.Error("the pass changed its source")
	}
	return out, err
}

func must(t *testing.T, do func(*Edit)) *onnx.Model {
	t.Helper()
	m, err := apply(t, func(e *Edit) error { do(e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func find(m *onnx.Model, name string) *onnx.Node {
	for _, n := range m.Graph.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func TestApply(t *testing.T) {
	m := must(t, func(e *Edit) {
		r := e.Op("Relu", map[string]any{"i": 1, "l": int64(2), "f": float32(3), "s": "four", "is": []int64{5}, "fs": []float32{6}}, "a")
		e.Output(r, tensor.Float32, []onnx.Dim{{Size: 2}})
		e.Graph.Nodes[0].Op = "Sub"
		e.Graph.Inputs[0].Shape[0].Size = 2
	})
	n := find(m, "Relu")
	if n == nil || n.Int("i", 0) != 1 || n.Int("l", 0) != 2 || n.Float("f", 0) != 3 || n.Str("s", "") != "four" ||
		!slices.Equal(n.Ints("is"), []int64{5}) || !slices.Equal(n.Attr("fs").Floats, []float32{6}) {
		t.Fatalf("the new node is %+v", n)
	}
	if last := m.Graph.Outputs[len(m.Graph.Outputs)-1]; last.Name != n.Outputs[0] {
		t.Errorf("the last output is %q", last.Name)
	}
	// Passes see what those before them did, and the nodes come out sorted.
	first := Pass{Name: "first", Do: func(e *Edit) error {
		e.Graph.Nodes = append([]*onnx.Node{{Name: "early", Op: "Neg", Inputs: []string{"a"}, Outputs: []string{"early"}}}, e.Graph.Nodes...)
		return nil
	}}
	second := Pass{Name: "second", Do: func(e *Edit) error {
		if e.Graph.Nodes[0].Name != "add" {
			return errors.New("not sorted")
		}
		e.Op("Relu", nil, "early")
		return nil
	}}
	if _, err := Apply(source(), first, second); err != nil {
		t.Error(err)
	}
}

func TestApplyNamesTheFaultyPass(t *testing.T) {
	for want, do := range map[string]func(*Edit) error{
		`pass test left a broken graph: node Relu "Relu" reads "nowhere", which nothing makes`: func(e *Edit) error { e.Op("Relu", nil, "nowhere"); return nil },
		`pass test left a broken graph: nothing makes the graph output "lost"`: func(e *Edit) error {
			e.Output("lost", tensor.Float32, nil)
			return nil
		},
		"pass test left a broken graph: the graph has a cycle": func(e *Edit) error {
			e.Graph.Nodes[0].Inputs[0] = e.Op("Relu", nil, "a")
			return nil
		},
		`reads "a", which nothing makes`: func(e *Edit) error { e.Graph.Nodes = e.Graph.Nodes[1:]; return nil },
		"pass test: no":                  func(*Edit) error { return errors.New("no") },
	} {
		if m, err := apply(t, do); err == nil || m != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A model is blamed for how it uses operators, and where a pass can bring that to light.
func TestApplyBlamesTheModel(t *testing.T) {
	misuse := func(e *Edit) error { e.Op("DepthToSpace", map[string]any{"blocksize": 0}, "x"); return nil }
	lose := func(e *Edit) error { e.Op("Relu", nil, "nowhere"); return nil }
	for want, p := range map[string]Pass{
		"the model is broken, which shows once it is so: node DepthToSpace": {Do: misuse, Shows: "it is so"},
		"pass own left a broken graph: node DepthToSpace":                   {Name: "own", Do: misuse},
		"pass lost left a broken graph: node Relu":                          {Name: "lost", Do: lose, Shows: "it is so"},
	} {
		if _, err := Apply(source(), p); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// New names avoid every name of the model: values and nodes, at any depth.
func TestNames(t *testing.T) {
	must(t, func(e *Edit) {
		taken := map[string]bool{}
		for _, base := range []string{"x", "c", "y", "a", "w", "inner", "inside", "add", "if"} {
			if got := e.Name(base); got != base+"_1" {
				t.Errorf("%q was named %q", base, got)
			}
			taken[base] = true
		}
		for _, base := range []string{"new", "new", "new", "new_1", "new"} {
			name := e.Name(base)
			if taken[name] {
				t.Errorf("%q was given twice", name)
			}
			taken[name] = true
		}
		for _, want := range []string{"p/q/new", "p/q/new_1"} {
			if got := e.In("p").In("q").Name("new"); got != want {
				t.Errorf("named %q in a scope, want %q", got, want)
			}
		}
		if got := e.Name("p/q/new"); got != "p/q/new_2" {
			t.Errorf("a name from another scope was given again: %q", got)
		}
	})
	// Naming very many takes linear time.
	must(t, func(e *Edit) {
		for range 200_000 {
			e.Name("many")
		}
	})
}

func TestOpKeepsNothingOfTheCallers(t *testing.T) {
	in, list := []string{"a"}, []int64{1}
	m := must(t, func(e *Edit) {
		e.Op("Relu", map[string]any{"l": list}, in...)
		in[0], list[0] = "changed", 2
	})
	if n := find(m, "Relu"); n.Inputs[0] != "a" || n.Ints("l")[0] != 1 {
		t.Errorf("the node followed the caller's slices: %v %v", n.Inputs, n.Ints("l"))
	}
}

// Equal constants are one initializer, never one of the model's own.
func TestConst(t *testing.T) {
	m := must(t, func(e *Edit) {
		own := e.Const(tensor.Of([]float32{1, 2}, 2))
		if own == "w" {
			t.Error("the model's own initializer was taken")
		}
		if again := e.In("scope").Const(tensor.Of([]float32{1, 2}, 2)); again != own {
			t.Errorf("equal constants are %q and %q", own, again)
		}
		distinct := map[string]bool{own: true}
		data := []int32{0x3f800000, 0x40000000} // the same bytes
		for _, c := range []*tensor.Tensor{tensor.Of(data, 2), tensor.Of([]float32{1, 2}, 1, 2), tensor.Of([]float32{2, 1}, 2),
			tensor.Of([]float32{1}, 1), tensor.Scalar(float32(1))} {
			name := e.Const(c)
			if distinct[name] {
				t.Errorf("%s %v shares a constant with another", c.DType, c.Shape)
			}
			distinct[name] = true
		}
		data[0] = 0
	})
	if len(m.Graph.Initializers) != 7 {
		t.Errorf("%d initializers", len(m.Graph.Initializers))
	}
	v, err := m.Values(m.Graph.Initializers[2])
	if err != nil || v.Data.([]int32)[0] != 0x3f800000 {
		t.Errorf("a constant followed the caller's data: %v, %v", v, err)
	}
	// A second pass starts anew, so it cannot share with what a first one may have changed.
	two := Pass{Name: "two", Do: func(e *Edit) error { e.Const(tensor.Scalar(int64(1))); return nil }}
	if m, err = Apply(source(), two, two); err != nil || len(m.Graph.Initializers) != 3 {
		t.Errorf("two passes: %v", err)
	}
}

func TestRename(t *testing.T) {
	m := must(t, func(e *Edit) {
		r := e.Op("Relu", nil, "a")
		e.Output(r, tensor.Float32, nil)
		for _, c := range [][2]string{{r, "final"}, {"a", "b"}} {
			if err := e.Rename(c[0], c[1]); err != nil {
				t.Error(err)
			}
		}
	})
	branch := find(m, "if").Subgraphs()[0]
	if got := []string{m.Graph.Outputs[1].Name, m.Graph.Outputs[2].Name, m.Graph.Values[0].Name, branch.Nodes[0].Inputs[0]}; !slices.Equal(got, []string{"b", "final", "b", "b"}) {
		t.Errorf("the readers have %v", got)
	}
	// Many values take one pass, and none is renamed where one cannot be.
	must(t, func(e *Edit) {
		all := map[string]string{}
		for i := range 20_000 {
			all[e.Op("Relu", nil, "a")] = fmt.Sprint("r", i)
		}
		if err := e.RenameAll(all); err != nil {
			t.Error(err)
		}
		for _, c := range []map[string]string{{"r1": "s", "r2": "s"}, {"r1": "s", "r2": "a"}, {"r1": "s", "gone": "t"}} {
			if err := e.RenameAll(c); err == nil || !slices.ContainsFunc(e.Graph.Nodes, func(n *onnx.Node) bool { return n.Outputs[0] == "r1" }) {
				t.Errorf("%v: %v", c, err)
			}
		}
	})
	for _, c := range []struct{ from, to, want string }{
		{"a", "y", "has a value of that name"}, {"a", "inner", "has a value of that name"}, {"a", "x", "has a value of that name"},
		{"nowhere", "z", `no node makes "nowhere"`}, {"w", "z", `no node makes "w"`}, {"", "z", `no node makes ""`},
	} {
		_, err := apply(t, func(e *Edit) error { return e.Rename(c.from, c.to) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("renaming %q to %q: %v", c.from, c.to, err)
		}
	}
}
