package onnx

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func TestRoundTrip(t *testing.T) {
	files := ownModels(t)
	if dir := os.Getenv("ONNXPROBE_SHARED_DATA"); dir != "" {
		files = append(files, onnxFiles(t, dir)...)
	} else if _, err := os.Stat("../../shared/data"); err == nil {
		files = append(files, onnxFiles(t, "../../shared/data")...)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := parse(file, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		first := marshal(t, m)
		again, err := parse(first, nil)
		if err != nil {
			t.Errorf("%s: what was written cannot be read: %v", path, err)
			continue
		}
		if !bytes.Equal(first, marshal(t, again)) {
			t.Errorf("%s: reading and writing changed the model", path)
		}
		var streamed bytes.Buffer
		if n, err := m.WriteTo(&streamed); err != nil || n != int64(streamed.Len()) || !bytes.Equal(first, streamed.Bytes()) {
			t.Errorf("%s: WriteTo wrote %d bytes that are not Marshal's: %v", path, n, err)
		}
		if len(again.Graph.Nodes) != len(m.Graph.Nodes) || len(first) < len(file)*9/10 {
			t.Errorf("%s: %d of %d bytes, %d of %d nodes are left", path, len(first), len(file), len(again.Graph.Nodes), len(m.Graph.Nodes))
		}
	}
}

// Fields that this package does not know, and parts of types that it does not
// model, are still in the file after it was read and written.
func TestUnknownFieldsSurvive(t *testing.T) {
	mark := func(level string, p pb) pb { return p.s(999, "unknown in "+level) }
	dim := pb{}.v(1, 2).s(3, "unknown in dimension")
	typ := mark("type", pb{}.b(1, mark("tensor type", pb{}.v(1, 1).b(2, mark("shape", pb{}.b(1, dim))))))
	val := mark("value", pb{}.s(1, "x").b(2, typ))
	sequence := pb{}.s(1, "seq").b(2, pb{}.b(4, pb{}.s(6, "unknown in sequence type")))
	attr := mark("attribute", pb{}.s(1, "a").v(3, 7).v(20, 2))
	nod := mark("node", pb{}.s(1, "x").s(2, "y").s(4, "Relu").s(6, "unknown in doc_string").b(5, attr))
	ten := mark("tensor", tensorOf("w", tensor.Float32, 0).s(12, "unknown in tensor doc"))
	graph := mark("graph", pb{}.b(1, nod).b(5, ten).b(11, val).b(12, pb{}.s(1, "y")).b(13, sequence))
	function := mark("function", pb{}.s(1, "f").b(7, pb{}.s(4, "Relu")))
	training := mark("training", pb{}.b(1, pb{}.s(2, "t")))
	file := mark("model", modelOf(graph).b(25, function).b(20, training))

	m, err := parse(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := marshal(t, m.Clone())
	levels := strings.Fields("model graph node attribute value tensor type shape dimension function training sequence doc_string")
	for _, level := range levels {
		want := []byte("unknown in " + level)
		if n := bytes.Count(out, want); n != bytes.Count(file, want) {
			t.Errorf("%q is in the file %d times, not %d", want, n, bytes.Count(file, want))
		}
	}
	m.Graph.Inputs[0].Shape[0] = Dim{Size: -1, Param: "batch"}
	edited, err := parse(marshal(t, m), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := edited.Graph.Inputs[0].Shape; len(got) != 1 || got[0].Param != "batch" {
		t.Errorf("a changed shape was written as %v", got)
	}
}

// Inputs and outputs are known by their place, so omitted ones keep it.
func TestOmittedNamesKeepTheirPlace(t *testing.T) {
	n := node("Resize", "", "", ints("empty"))
	n.Inputs, n.Outputs = []string{"x", "", "s", ""}, []string{"", "y"}
	m, err := parse(marshal(t, small(value("x", 1), n)), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Graph.Nodes[0]
	if !slices.Equal(got.Inputs, n.Inputs) || !slices.Equal(got.Outputs, n.Outputs) {
		t.Errorf("read back %q and %q", got.Inputs, got.Outputs)
	}
	if a := got.Attr("empty"); a == nil || a.Type != AttrInts || len(a.Ints) != 0 {
		t.Errorf("an empty list came back as %+v", a)
	}
}

// A declared shape that an edit removes or adds is what the file then says.
func TestValueEdits(t *testing.T) {
	m := small(value("x", 2, 3), node("Relu", "x", "y"))
	m, err := parse(marshal(t, m), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.Inputs[0].Shape = nil
	m.Graph.Outputs[0].Shape = []Dim{}
	if m, err = parse(marshal(t, m), nil); err != nil {
		t.Fatal(err)
	}
	if x, y := m.Graph.Inputs[0], m.Graph.Outputs[0]; x.HasShape() || !y.HasShape() || x.DType != tensor.Float32 {
		t.Errorf("read back %+v and %+v", x, y)
	}
}

// Every element type loads and comes back byte for byte, decodable or not.
func TestElementTypes(t *testing.T) {
	for d := tensor.DType(1); d.Known(); d++ {
		size, _ := (&Tensor{DType: d, Dims: []int64{5}}).size()
		if d == tensor.String {
			size = 0
		}
		data := bytes.Repeat([]byte{1}, int(size))
		cases := map[string]pb{"raw": tensorOf("w", d, 5).b(9, data)}
		typed := tensorOf("w", d, 5)
		num, n := (&Tensor{DType: d, Dims: []int64{5}}).typedField()
		switch num {
		case 4:
			typed = typed.b(4, make([]byte, 4*n))
		case 10:
			typed = typed.b(10, make([]byte, 8*n))
		case 6:
			delete(cases, "raw")
			for range n {
				typed = typed.s(6, "word")
			}
		default:
			typed = typed.b(int(num), bytes.Repeat([]byte{1}, int(n)))
		}
		cases["typed"] = typed
		for form, msg := range cases {
			m, err := parse(modelOf(pb{}.b(5, msg)), nil)
			if err == nil {
				err = m.Check()
			}
			if err != nil {
				t.Errorf("%s %s: %v", d, form, err)
				continue
			}
			if !bytes.Contains(marshal(t, m), msg) {
				t.Errorf("%s %s: the tensor was changed", d, form)
			}
			v, err := m.Values(m.Graph.Initializers[0])
			_, unsupported := tensor.New(d, 0)
			if (err == nil) != (unsupported == nil) {
				t.Errorf("%s %s: decoding: %v", d, form, err)
			}
			if err == nil && form == "raw" && !bytes.Equal(v.Bytes(), data) {
				t.Errorf("%s: decoded to %v", d, v.Data)
			}
		}
	}
}

// Loading and saving must not copy weights: neither those in the model file nor
// external ones.
func TestWeightsAreNotCopied(t *testing.T) {
	const inline, external = 64 << 20, 512 << 20
	dir := t.TempDir()
	data, err := os.Create(filepath.Join(dir, "w.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := data.Truncate(external); err != nil { // sparse: takes no disk
		t.Fatal(err)
	}
	data.Close()
	path := write(t, filepath.Join(dir, "m.onnx"), modelOf(pb{}.
		b(5, tensorOf("inline", tensor.Uint8, inline).b(9, make([]byte, inline))).
		b(5, externalTensor("external", external, "location", "w.bin"))))

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, err := Load(path)
	if err == nil {
		err = m.Clone().Save(filepath.Join(dir, "saved.onnx"))
	}
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("opening and saving a model of %d MB allocated %d MB", (inline+external)>>20, got>>20)
	}
	a, _ := os.ReadFile(path)
	b, err := os.ReadFile(filepath.Join(dir, "saved.onnx"))
	if err != nil || len(a) == 0 || len(b) < inline {
		t.Fatalf("saved %d of %d bytes: %v", len(b), len(a), err)
	}
	if m, err = Load(filepath.Join(dir, "saved.onnx")); err != nil || len(m.Graph.Initializers) != 2 {
		t.Errorf("the saved model: %v", err)
	}
}

// A model with external data can only be saved beside it; a failed save leaves
// nothing behind.
func TestSave(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	m, err := Load("../testdata/models/cnn_external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, m.Save(filepath.Join(dir, "m.onnx")), "can only refer to data in its own folder", "cnn_external.onnx.data")
	plain := small(value("x", 1), node("Relu", "x", "y"))
	wantError(t, plain.Save(filepath.Join(dir, "missing", "m.onnx")), "saving", "missing")
	if err := os.Mkdir(filepath.Join(other, "m.onnx"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := plain.Save(filepath.Join(other, "m.onnx")); err == nil {
		t.Error("saved over a folder")
	}
	for _, d := range []string{dir, other} {
		if left, _ := filepath.Glob(filepath.Join(d, ".onnxprobe*")); len(left) > 0 {
			t.Errorf("%v was left behind", left)
		}
	}
	wantError(t, (&Model{}).Save(filepath.Join(dir, "n.onnx")), "no graph")
}

// A model's own functions are read, and written as they were.
func TestFunctionsSurvive(t *testing.T) {
	inner := pb{}.s(1, "a").s(2, "b").s(4, "LeakyRelu").b(5, pb{}.s(1, "alpha").v(20, 1).s(21, "slope"))
	function := pb{}.s(1, "S").s(4, "a").s(5, "b").s(6, "q").b(7, inner).b(9, pb{}.v(2, 17)).s(10, "f").
		b(11, pb{}.s(1, "slope").f(2, math.Float32bits(.5)).v(20, 1)).s(13, "o").s(8, "doc").b(12, pb{}.s(1, "b")).b(14, pb{}.s(1, "k").s(2, "v"))
	call := pb{}.s(1, "x").s(2, "y").s(4, "S").s(7, "f").s(8, "o")
	m, err := parse(modelOf(pb{}.b(1, call).b(11, pb{}.s(1, "x")).b(12, pb{}.s(1, "y"))).b(8, pb{}.s(1, "f").v(2, 1)).b(25, function), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	if f := m.Functions[0]; f.Callee() != m.Graph.Nodes[0].Callee() || f.Body.Nodes[0].Attrs[0].Ref != "slope" || f.Opset("ai.onnx") != 17 || f.Defaults[0].Float != .5 {
		t.Errorf("read as %+v", f)
	}
	if out := marshal(t, m.Clone()); !bytes.Contains(out, function) {
		t.Errorf("it was written as %q, was %q", out, function)
	}
}
