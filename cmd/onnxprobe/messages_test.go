package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// sources goes over the Go files below folders of this module, without tests, by their
// names from its top.
func sources(t *testing.T, each func(name string, set *token.FileSet, f *ast.File), folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir("../../"+folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err == nil {
				each(filepath.ToSlash(strings.TrimPrefix(path, "../../")), set, f)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// libraries are the folders of what has no command line.
var libraries = []string{"engine", "onnx", "probes"}

// otherPrograms are the files whose flags are those of the programs that they start.
var otherPrograms = map[string]string{
	"engine/ort/install/client.go": "pip and npm",
	"probes/bench/machine.go":      "nvidia-smi",
}

var flagWord = regexp.MustCompile(`(?:^|[\s("'=])--[a-z]`)

// Libraries name fields and values; the flags are added here, by flagOf. Every option that
// an error names has its flag there, and no other has.
func TestLibrariesKnowNoFlags(t *testing.T) {
	others, named := map[string]bool{}, map[string]bool{}
	sources(t, func(name string, set *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			stated, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if flagWord.MatchString(stated) {
				if otherPrograms[name] == "" {
					t.Errorf("%s: %q names a flag; say it in words, with onnx.Remedy and a row of flagOf",
						set.Position(lit.Pos()), stated)
				}
				others[name] = true
			}
			option, _, _ := strings.Cut(stated, "=")
			named[option] = true
			return true
		})
	}, libraries...)
	for name, program := range otherPrograms {
		if !others[name] {
			t.Errorf("%s has no flags of %s", name, program)
		}
	}
	for option, flag := range flagOf {
		if !named[option] {
			t.Errorf("no library names the option %s (%s)", option, flag)
		}
	}
}

// Whatever a library gives as the option of a remedy has its flag.
func TestEveryRemedyHasItsFlag(t *testing.T) {
	option := regexp.MustCompile(`^(?:Batch|[a-z]+\.[A-Z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)*)(?:=.*)?$`)
	found := 0
	sources(t, func(name string, set *token.FileSet, f *ast.File) {
		check := func(n ast.Node) {
			ast.Inspect(n, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				stated, _ := strconv.Unquote(lit.Value)
				if !option.MatchString(stated) {
					return true
				}
				found++
				if name, _, _ := strings.Cut(stated, "="); flagOf[name] == "" {
					t.Errorf("%s: the option %q has no flag in flagOf", set.Position(lit.Pos()), stated)
				}
				return true
			})
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr: // onnx.Remedy(err, options...)
				if called := spelled(n.Fun); called == "onnx.Remedy" || called == "Remedy" && strings.HasPrefix(name, "onnx/") {
					for _, a := range n.Args[1:] {
						check(a)
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "RemedyOptions" {
					check(n)
				}
			case *ast.CompositeLit: // lists of options
				if spelled(n.Type) == "[]string" {
					for _, e := range n.Elts {
						check(e)
					}
				}
			case *ast.ValueSpec:
				if strings.HasPrefix(strings.ToLower(n.Names[0].Name), "option") {
					for _, v := range n.Values {
						check(v)
					}
				}
			}
			return true
		})
	}, libraries...)
	if found < 30 {
		t.Errorf("found %d options, fewer than there are", found)
	}
}

// stated is a short expression as it is written.
func spelled(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return spelled(e.X) + "." + e.Sel.Name
	case *ast.ArrayType:
		return "[]" + spelled(e.Elt)
	}
	return ""
}

// The flags stand behind the words of each remedy, wherever it is wrapped.
func TestFlagsOfRemedies(t *testing.T) {
	links := onnx.Remedy(errors.New("allow links"), "onnx.LoadOptions.AllowLinks")
	size := onnx.Remedy(errors.New("resize to 8x9"), "picture.Preprocess.Resize=8x9", "picture.Preprocess")
	hidden := onnx.Remedy(errors.New("not said"), "Batch")
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{fmt.Errorf("loading: %w; or not", links), "loading: allow links (--allow-links); or not"},
		{errors.Join(size, usageError{links}), "resize to 8x9 (--resize 8x9, --preprocess NAME|FILE)\nallow links (--allow-links)"},
		{onnx.Remedy(fmt.Errorf("%w, or less", links), "Batch"), "allow links (--allow-links), or less (--batch N)"},
		{onnx.Remedy(links, "onnx.LoadOptions.AllowLinks"), "allow links (--allow-links)"},
		{silent{hidden}, "silent (--batch N)"},
		{errors.Join(onnx.Remedy(errors.New("take less"), "Batch"), onnx.Remedy(errors.New("take less"), "Batch")), "take less (--batch N)\ntake less (--batch N)"},
	} {
		if got := withFlags(c.err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// silent is an error that does not say what it wraps.
type silent struct{ error }

func (silent) Error() string   { return "silent" }
func (s silent) Unwrap() error { return s.error }

// longTables are functions that are one table.
var longTables = []string{"graphCases"}

// A function is read at one sight: at most 90 lines of the command, 110 of a library.
func TestFunctionsAreShort(t *testing.T) {
	left := slices.Clone(longTables)
	short := func(most int) func(string, *token.FileSet, *ast.File) {
		return func(_ string, set *token.FileSet, f *ast.File) {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
				if lines <= most {
					continue
				}
				name := fn.Name.Name
				if fn.Recv != nil {
					receiver := fn.Recv.List[0].Type
					if star, ok := receiver.(*ast.StarExpr); ok {
						receiver = star.X
					}
					name = spelled(receiver) + "." + name
				}
				if i := slices.Index(left, name); i >= 0 {
					left = slices.Delete(left, i, i+1)
				} else {
					t.Errorf("%s: %s has %d lines, more than %d", set.Position(fn.Pos()), name, lines, most)
				}
			}
		}
	}
	sources(t, short(90), "cmd")
	sources(t, short(110), libraries...)
	for _, name := range left {
		t.Logf("%s is short now, and need not be in its list", name)
	}
}
