package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// pb is a protobuf message under construction, right or wrong.
type pb []byte

func (p pb) v(num int, v uint64) pb {
	return protowire.AppendVarint(protowire.AppendTag(p, protowire.Number(num), protowire.VarintType), v)
}

func (p pb) b(num int, b []byte) pb {
	return protowire.AppendBytes(protowire.AppendTag(p, protowire.Number(num), protowire.BytesType), b)
}

func (p pb) s(num int, s string) pb { return p.b(num, []byte(s)) }

// f is a fixed32 field.
func (p pb) f(num int, v uint32) pb {
	return protowire.AppendFixed32(protowire.AppendTag(p, protowire.Number(num), protowire.Fixed32Type), v)
}

// modelOf wraps a GraphProto as a model of IR 8, opset 17.
func modelOf(graph pb) pb {
	return pb{}.v(1, 8).b(7, graph).b(8, pb{}.v(2, 17))
}

// tensorOf is a TensorProto without data.
func tensorOf(name string, d tensor.DType, dims ...int64) pb {
	var p pb
	for _, n := range dims {
		p = p.v(1, uint64(n))
	}
	return p.v(2, uint64(d)).s(8, name)
}

// externalTensor is a uint8 tensor of n elements with external data entries.
func externalTensor(name string, n int64, kv ...string) pb {
	p := tensorOf(name, tensor.Uint8, n).v(14, 1)
	for i := 0; i < len(kv); i += 2 {
		p = p.b(13, pb{}.s(1, kv[i]).s(2, kv[i+1]))
	}
	return p
}

// value is a float32 ValueInfo; -1 leaves a dimension open.
func value(name string, dims ...int64) *Value {
	shape := []Dim{}
	for _, d := range dims {
		shape = append(shape, Dim{Size: d})
	}
	return NewValue(name, tensor.Float32, shape)
}

// node makes a node from its operator, "in in" and "out out", and attributes.
func node(op, in, out string, attrs ...*Attr) *Node {
	return &Node{Name: "n_" + out, Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attrs: attrs}
}

func ints(name string, v ...int64) *Attr { return &Attr{Name: name, Type: AttrInts, Ints: v} }
func intAttr(name string, v int64) *Attr { return &Attr{Name: name, Type: AttrInt, Int: v} }
func graphAttr(name string, g *Graph) *Attr {
	return &Attr{Name: name, Type: AttrGraph, Graph: g}
}

// small is x -> nodes -> the last node's first output.
func small(x *Value, nodes ...*Node) *Model {
	g := &Graph{Name: "g", Nodes: nodes, Inputs: []*Value{x}}
	if len(nodes) > 0 {
		g.Outputs = []*Value{NewValue(nodes[len(nodes)-1].Outputs[0], tensor.Float32, nil)}
	}
	return &Model{IR: 8, Opsets: []Opset{{"", 17}}, Graph: g}
}

// with adds initializers.
func (m *Model) with(ts ...*Tensor) *Model {
	m.Graph.Initializers = append(m.Graph.Initializers, ts...)
	return m
}

func int64s(name string, v ...int64) *Tensor { return NewTensor(name, tensor.Of(v, len(v))) }

func zeros(t testing.TB, name string, dims ...int) *Tensor {
	z, err := tensor.New(tensor.Float32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return NewTensor(name, z)
}

func marshal(t testing.TB, m *Model) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// onnxFiles lists the .onnx files under a folder.
func onnxFiles(t testing.TB, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".onnx") {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no models under %q: %v", root, err)
	}
	return files
}

func ownModels(t testing.TB) []string { return onnxFiles(t, "../testdata/models") }

// shared is the folder of models that are not part of the project.
func shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ONNXPROBE_SHARED_DATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the collected models are not on this machine (ONNXPROBE_SHARED_DATA): %v", err)
	}
	return dir
}

// wantError checks that err mentions every fragment.
func wantError(t testing.TB, err error, fragments ...string) {
	t.Helper()
	for _, f := range fragments {
		if err == nil || !strings.Contains(err.Error(), f) {
			t.Errorf("got the error\n%v\nwhich does not say %q", err, f)
			return
		}
	}
	if err != nil && len(err.Error()) > 20_000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}
