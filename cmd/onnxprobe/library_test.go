package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The README's program, in a module of its own, gives the bytes that the command gives.
func TestProgramOfTheREADME(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, text, _ := strings.Cut(read(filepath.Join(root, "README.md")), "\n```go\npackage main\n")
	text, _, _ = strings.Cut(text, "\n```")
	if _, body, _ := strings.Cut(text, "func main() {\n"); strings.Count(body, "\n") > 30 || body == "" {
		t.Errorf("the README's program has %d lines", strings.Count(body, "\n"))
	}
	const self = "github.com/onnxprobe/onnxprobe"
	_, needs, _ := strings.Cut(read(filepath.Join(root, "go.mod")), "\n")
	module, work := t.TempDir(), t.TempDir()
	spill(t, filepath.Join(module, "go.mod"), fmt.Appendf(nil, "module example.org/embeds\n%s\nrequire %s v0.0.0\n\nreplace %[2]s => %[3]s\n", needs, self, root))
	spill(t, filepath.Join(module, "go.sum"), []byte(read(filepath.Join(root, "go.sum"))))
	spill(t, filepath.Join(module, "main.go"), []byte("package main\n"+strings.ReplaceAll(text, `"imagenet"`, `"mnist-01"`)))
	build := exec.Command("go", "build", "-o", filepath.Join(work, "program"), ".")
	build.Dir = module
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	spill(t, filepath.Join(work, "resnet50.onnx"), []byte(read(resnet)))
	if err := os.CopyFS(filepath.Join(work, "photos"), os.DirFS(digits+"/3")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(work)
	line := []string{"onnxprobe", "codes", "resnet50.onnx", "photos", "--preprocess", "mnist-01", "-o", "codes.parquet"}
	stdoutOf(t, line[1:]...)
	want := map[string][]byte{}
	for _, name := range []string{"codes.parquet", "codes.parquet.manifest.json"} {
		want[name] = []byte(read(name))
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	program := exec.Command(filepath.Join(work, "program"))
	program.Args = line // which the manifest has
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, b := range want {
		if got := []byte(read(name)); !bytes.Equal(got, b) {
			t.Errorf("%s of the program has %d bytes, the command's %d:\n%s\n%s", name, len(got), len(b), tail(got), tail(b))
		}
	}
}

func tail(b []byte) []byte { return b[max(len(b)-2000, 0):] }
