package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// snippetNames are what a snippet may use without having made it.
var snippetNames = map[string]string{
	"ctx": "context.Context", "data": "dataset.Dataset", "out": "result.Sink", "b": "engine.Backend", "m": "*onnx.Model",
}

// The Go of the README files compiles.
func TestSnippetsCompile(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, found := t.TempDir(), 0
	overlay := map[string]map[string]string{"Replace": {}}
	args := []string{"build", "-o", filepath.Join(dir, "bin") + string(filepath.Separator), "-overlay", filepath.Join(dir, "overlay.json")}
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && file != root:
			return filepath.SkipDir
		case d.IsDir() || d.Name() != "README.md":
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		line := 1
		for i, part := range strings.Split(string(text), "\n```go\n") {
			first := line
			line += strings.Count(part, "\n") + 2
			if i == 0 { // what comes before
				continue
			}
			code, _, _ := strings.Cut(part, "\n```")
			if code, err = snippet(code, fmt.Sprintf("//line %s:%d\n", file, first)); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			found++
			name := fmt.Sprintf("snippet%d", found)
			at := filepath.Join(dir, name+".go")
			overlay["Replace"][filepath.Join(root, name, name+".go")] = at
			args = append(args, "./"+name)
			if err := os.WriteFile(at, []byte(code), 0o666); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Fatalf("%d snippets, %v", found, err)
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", args...)
	build.Dir, build.Env = root, append(os.Environ(), "GOPROXY=off")
	if said, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// snippet is a file of some Go: as it is where it says its package, else a function that
// is given what it uses and has not made, and imports the packages that it names. place is
// a directive that says where it stands.
func snippet(code, place string) (string, error) {
	if strings.HasPrefix(code, "package ") {
		return place + code, nil
	}
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() {\n"+code+"\n}", 0)
	if err != nil {
		return "", fmt.Errorf("%w in\n%s", err, code)
	}
	uses := map[string]bool{}
	for _, id := range f.Unresolved {
		uses[id.Name] = types.Universe.Lookup(id.Name) == nil
	}
	var given, made, imports []string
	for name, of := range snippetNames {
		if uses[name] {
			given = append(given, name+" "+of)
			pkg, _, _ := strings.Cut(strings.TrimPrefix(of, "*"), ".")
			uses[pkg], uses[name] = true, false
		}
	}
	for _, s := range f.Decls[0].(*ast.FuncDecl).Body.List {
		if a, ok := s.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, x := range a.Lhs {
				made = append(made, x.(*ast.Ident).Name)
			}
		}
	}
	for at := range diagram {
		if uses[path.Base(at)] {
			imports, uses[path.Base(at)] = append(imports, "github.com/onnxprobe/onnxprobe/"+at), false
		}
	}
	for name, is := range uses {
		if is { // of the standard library, or the compiler says that it is not there
			imports = append(imports, name)
		}
	}
	slices.Sort(imports)
	text := "package p\n"
	for _, i := range imports {
		text += fmt.Sprintf("import %q\n", i)
	}
	text += "func _(" + strings.Join(given, ", ") + ") {\n" + place + code + "\n"
	for _, name := range made {
		if name != "_" {
			text += "_ = " + name + "\n"
		}
	}
	return text + "}\n", nil
}
