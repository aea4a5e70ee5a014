package backends

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// onnxTypes is a package as the compiler of Protocol Buffers makes one of ONNX's
// onnx.proto, cut down to one message: it hands the description of its file
// and the types to the registries when the program starts.
const onnxTypes = `package onnxtypes

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/runtime/protoimpl"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var File = func() protoreflect.FileDescriptor {
	raw, err := proto.Marshal(&descriptorpb.FileDescriptorProto{
		Name: proto.String("onnx/onnx.proto"), Package: proto.String("onnx"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("ModelProto")}},
	})
	if err != nil {
		panic(err)
	}
	builder := protoimpl.DescBuilder{GoPackagePath: "example.org/beside/onnxtypes", RawDescriptor: raw, NumMessages: 1}
	return builder.Build().File
}()

func init() {
	if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(File.Messages().Get(0))); err != nil {
		panic(err)
	}
}
`

// besideMain reads a model, and runs it where the backend is there.
const besideMain = `package main

import (
	"context"
	"fmt"
	"os"

	"example.org/beside/onnxtypes"
	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/PACKAGE"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

var backend engine.Backend = BACKEND

func main() {
	m, err := onnx.Load(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(backend.Name(), "takes", m.Graph.Inputs[0].Name, "beside", onnxtypes.File.Messages().Get(0).FullName())
	s, err := backend.Prepare(context.Background(), m, engine.Options{})
	if err != nil {
		fmt.Println(err) // there is no library
		return
	}
	out, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of([]float32{-1, 2}, 1, 2)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("it gives", out[0].Data)
}
`

// A program that has other Go types of ONNX's messages can have engine/ort, and ends at
// its start with this package, unless the registry is told to let conflicts be.
func TestBesideOtherTypesOfONNX(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	const self = "github.com/onnxprobe/onnxprobe"
	_, needs, _ := strings.Cut(string(mod), "\n") // after the line that names the module
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": fmt.Sprintf("module example.org/beside\n%s\nrequire %s v0.0.0\n\nreplace %[2]s => %[3]s\n", needs, self, root),
		"go.sum": string(sums), "onnxtypes/onnx.pb.go": onnxTypes,
		"alone/main.go": strings.NewReplacer("PACKAGE", "ort", "BACKEND", "ort.Backend{}").Replace(besideMain),
		"both/main.go":  strings.NewReplacer("PACKAGE", "backends", "BACKEND", "backends.All[1]").Replace(besideMain),
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	model := filepath.Join(dir, "relu.onnx")
	shape := []onnx.Dim{{Size: 1}, {Size: 2}}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "relu",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, shape)},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float32, shape)},
		Nodes:   []*onnx.Node{{Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}}}}
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin")+string(filepath.Separator), "./alone", "./both")
	build.Dir, build.Env = dir, env
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for _, c := range []struct {
		program, policy string
		fails           bool
		want            []string
	}{
		{"alone", "", false, []string{"ort takes x beside onnx.ModelProto"}},
		{"both", "", true, []string{"panic: ", "onnx.ModelProto", "already registered"}},
		{"both", "warn", false, []string{"WARNING: ", "gorgonia takes x beside onnx.ModelProto", "it gives [0 2]"}},
	} {
		run := exec.Command(filepath.Join(dir, "bin", c.program), model)
		run.Env = append(os.Environ(), "GOLANG_PROTOBUF_REGISTRATION_CONFLICT="+c.policy)
		var said bytes.Buffer
		run.Stdout, run.Stderr = &said, &said
		if err := run.Run(); (err != nil) != c.fails {
			t.Errorf("%s, policy %q: %v", c.program, c.policy, err)
		}
		for _, want := range c.want {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%s, policy %q: it says\n%s\nand not %q", c.program, c.policy, said.String(), want)
			}
		}
	}
}
