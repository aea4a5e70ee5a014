package onnx

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func TestNotAModel(t *testing.T) {
	gib := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 1<<30)
	nodes := func(p pb) pb { return modelOf(pb{}.b(1, p)) }
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"one byte", []byte{8}, "not an ONNX model"},
		{"zeros", make([]byte, 100), "not an ONNX model"},
		{"PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "not an ONNX model"},
		{"HTML", []byte("<!DOCTYPE html><html><body>Not found</body></html>"), "not an ONNX model"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "not an ONNX model"},
		{"other protobuf", pb{}.s(100, "hello"), "no graph, IR version or opset"},
		{"no graph", pb{}.v(1, 8).b(8, pb{}.v(2, 17)), "the model has no graph"},
		{"two graphs", modelOf(nil).b(7, nil), "two graphs"},
		{"overlong varint", append([]byte{8}, bytes.Repeat([]byte{0x80}, 11)...), "model: field 1"},
		{"length of 1 GB", gib, "model: field 7"},
		{"length of 2^63", append([]byte{0x3a}, bytes.Repeat([]byte{0xff}, 9)...), "model: field 7"},
		{"a string of 1 GB", nodes(append(pb{0x22}, protowire.AppendVarint(nil, 1<<30)...)), "field 4"},
		{"groups", bytes.Repeat([]byte{0x0b}, 1_000_000), "wire type 3"},
		{"end of a group", []byte{0x0c}, "wire type 4"},
		{"field 0", []byte{0}, "model"},
		{"graph as a number", pb{}.v(1, 8).v(7, 5).b(8, pb{}.v(2, 17)), "model: field 7 has wire type 0"},
		{"IR version as a string", pb{}.s(1, "8").b(7, nil), "model: field 1 has wire type 2"},
		{"node as a number", modelOf(pb{}.v(1, 1)), "graph: field 1 has wire type 0"},
		{"input as a number", nodes(pb{}.v(1, 1)), "node: field 1 has wire type 0"},
		{"float attribute as a number", nodes(pb{}.b(5, pb{}.s(1, "alpha").v(2, 1))), "attribute: field 2 has wire type 0"},
		{"floats as numbers", nodes(pb{}.b(5, pb{}.v(7, 1))), "attribute: field 7"},
		{"dims as float", modelOf(pb{}.b(5, pb{}.f(1, 1))), "tensor: field 1"},
		{"raw_data as a number", modelOf(pb{}.b(5, pb{}.v(9, 1))), "tensor: field 9"},
		{"shape as a number", modelOf(pb{}.b(11, pb{}.b(2, pb{}.b(1, pb{}.v(2, 1))))), "tensor type: field 2"},
		{"packed floats of 5 bytes", nodes(pb{}.b(5, pb{}.b(7, make([]byte, 5)))), "not a multiple of 4"},
		{"packed ints cut short", nodes(pb{}.b(5, pb{}.b(8, []byte{0x80}))), "packed integers"},
		{"65 dimensions", modelOf(pb{}.b(5, pb{}.b(1, make([]byte, 65)))), "more than 64 dimensions"},
		{"a name of 1 MB", nodes(pb{}.s(3, strings.Repeat("n", 1<<20))), "a name of 1048576 bytes"},
		{"segments", modelOf(pb{}.b(5, pb{}.b(3, nil))), "segments"},
	} {
		_, err := parse(c.file, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if _, err = Load(write(t, filepath.Join(t.TempDir(), "m.onnx"), c.file)); err == nil || !strings.Contains(err.Error(), "m.onnx") {
			t.Errorf("%s: Load: %v", c.name, err)
		}
	}
}

// A model cut short anywhere is an error, or a smaller model that works.
func TestTruncated(t *testing.T) {
	m := small(value("x", 1, 3), node("Gemm", "x w", "h", intAttr("transB", 1)), node("Relu", "h", "r"),
		condition(branch("i", node("Neg", "r", "i")), "y")).with(zeros(t, "w", 2, 3), int64s("k", 1, 2, 3))
	file := marshal(t, m)
	refused := 0
	for n := range file {
		m, err := parse(file[:n], nil)
		if err != nil {
			refused++
			continue
		}
		exercise(t, m)
	}
	if refused < len(file)*9/10 {
		t.Errorf("%d of %d cuts were refused", refused, len(file))
	}
}

// exercise does everything that is done to a model whose file is not trusted.
func exercise(t testing.TB, m *Model) {
	t.Helper()
	first := marshal(t, m)
	again, err := parse(first, nil)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	if !bytes.Equal(first, marshal(t, again)) {
		t.Fatal("reading and writing changed the model")
	}
	sortErr, checkErr := m.Graph.Sort(), m.Check()
	if sortErr != nil && checkErr == nil {
		t.Fatalf("a sound model cannot be sorted: %v", sortErr)
	}
	m.Graph.Index()
	facts, _ := m.Infer(nil)
	for name, f := range facts {
		if f.Const != nil && int64(len(f.Const)) != count(f.Shape) {
			t.Fatalf("%q of shape %v has %d elements", name, f.Shape, len(f.Const))
		}
	}
	for _, w := range m.Tensors() {
		if n, err := w.Count(); err == nil && n < 1<<20 {
			if v, err := m.Values(w); err == nil && int64(tensor.Count(v.Shape)) != n {
				t.Fatalf("tensor %q has %d elements, not %d", w.Name, tensor.Count(v.Shape), n)
			}
		}
	}
}

// Files made of very many of something small are refused before they take much
// memory, and nothing about them takes more than linear time.
func TestManyOfSomething(t *testing.T) {
	repeat := func(p pb, n int) pb { return bytes.Repeat(p, n) }
	deep := func(n int) pb {
		g := pb{}
		for range n {
			g = pb{}.b(1, pb{}.s(4, "If").b(5, pb{}.s(1, "then_branch").b(6, g)))
		}
		return modelOf(g)
	}
	for _, c := range []struct {
		name string
		file pb
		want string
	}{
		{"10^7 empty nodes", modelOf(repeat(pb{}.b(1, nil), 1e7)), "more than 1048576 nodes"},
		{"10^7 empty tensors", modelOf(repeat(pb{}.b(5, nil), 1e7)), "more than 1048576"},
		{"10^7 empty values", modelOf(repeat(pb{}.b(13, nil), 1e7)), "more than 1048576"},
		{"10^7 empty attributes", modelOf(pb{}.b(1, repeat(pb{}.b(5, nil), 1e7))), "more than 1048576"},
		{"10^7 inputs of a node", modelOf(pb{}.b(1, repeat(pb{}.b(1, nil), 1e7))), "strings and messages"},
		{"10^7 metadata", append(modelOf(nil), repeat(pb{}.b(14, nil), 1e7)...), "strings and messages"},
		{"10^8 integers", modelOf(pb{}.b(1, pb{}.b(5, pb{}.b(8, make([]byte, 1e8))))), "more than 67108864 numbers"},
		{"10^6 subgraphs, side by side", modelOf(pb{}.b(1, pb{}.b(5, repeat(pb{}.b(11, nil), 1e6)))), ""},
		{"1000 subgraphs, nested", deep(1000), "nested deeper than 32"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse(c.file, nil)
		runtime.ReadMemStats(&after)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 3<<30 {
			t.Errorf("%s: %d MB were allocated", c.name, got>>20)
		}
	}
}

// What once took time with the square of the number of nodes: branches beside
// many names, outputs, and edges back into one long cycle.
func TestWideGraphs(t *testing.T) {
	const n = 50_000
	var nodes, ring []*Node
	outs := []*Value{}
	b := branch("i", node("Neg", "c", "i"))
	for i := range n {
		name := fmt.Sprint("v", i)
		nodes = append(nodes, node("If", "c", name, graphAttr("then_branch", b)))
		outs = append(outs, value(name))
		ring = append(ring, node("R", fmt.Sprintf("r%d r0", (i+1)%n), fmt.Sprint("r", i)))
	}
	m := small(value("c"), nodes...)
	m.Graph.Outputs = outs
	if err := m.Graph.Sort(); err != nil {
		t.Error(err)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	wantError(t, (&Graph{Nodes: ring}).Sort(), "cycle", "more")
}

// Declared dimensions of any size load: they are only text until something is
// computed from them.
func TestDeclaredDims(t *testing.T) {
	for _, d := range []int64{-1, 0, math.MinInt64, math.MaxInt64} {
		dim := pb{}.v(1, uint64(d))
		typ := pb{}.b(1, pb{}.v(1, 1).b(2, pb{}.b(1, dim).b(1, dim)))
		g := pb{}.b(1, pb{}.s(1, "x").s(2, "y").s(4, "Flatten")).b(11, pb{}.s(1, "x").b(2, typ)).b(12, pb{}.s(1, "y"))
		m, err := Load(write(t, filepath.Join(t.TempDir(), "m.onnx"), modelOf(g)))
		if err != nil {
			t.Errorf("dimension %d: %v", d, err)
			continue
		}
		if got := m.Graph.Inputs[0].Shape[0].Size; got != d {
			t.Errorf("dimension %d was read as %d", d, got)
		}
		_, err = m.Infer(nil)
		if (err != nil) != (d == math.MaxInt64) {
			t.Errorf("inferring with dimension %d: %v", d, err)
		}
	}
}

// Every model that was collected is loaded, or refused for its own fault.
func TestSharedModels(t *testing.T) {
	root := shared(t)
	refused := map[string]string{
		"models/robustness/bad_graph_with_no_import_domains.onnx": "imports no operator set",
		// Its data lies in data/, but locations are relative to the model.
		"models/robustness/ext_weights.onnx": `external data "ext_weights.data"`,
	}
	for _, path := range onnxFiles(t, root) {
		rel, _ := filepath.Rel(root, path)
		want := refused[filepath.ToSlash(rel)]
		m, err := Load(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", rel, err, want)
		}
		if err == nil {
			exercise(t, m)
		}
	}
}
