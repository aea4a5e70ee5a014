package main

import (
	"errors"
	"go/ast"
	gobuild "go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documented are the module's packages as pkg.go.dev shows them, by their folder.
func documented(t *testing.T) map[string]*doc.Package {
	t.Helper()
	all, err := godocs()
	if err != nil || len(all) < 30 {
		t.Fatalf("%d packages: %v", len(all), err)
	}
	return all
}

var godocs = sync.OnceValues(func() (map[string]*doc.Package, error) {
	all := map[string]*doc.Package{}
	read := func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		p, err := gobuild.ImportDir(path, 0)
		if err != nil {
			return nil // a folder without Go
		}
		set, files := token.NewFileSet(), []*ast.File{}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles) {
			f, err := parser.ParseFile(set, filepath.Join(path, name), nil, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		folder := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		all[folder], err = doc.NewFromFiles(set, files, "github.com/onnxprobe/onnxprobe/"+folder)
		return err
	}
	return all, errors.Join(filepath.WalkDir("../../onnx", read), filepath.WalkDir("../../engine", read), filepath.WalkDir("../../probes", read))
})

// publicNames gives every exported name of a package, methods as Type.Method, with its comment.
func publicNames(p *doc.Package, use func(name, comment string)) {
	values := func(of []*doc.Value) {
		for _, v := range of {
			for _, s := range v.Decl.Specs {
				s := s.(*ast.ValueSpec)
				for _, n := range s.Names {
					if n.IsExported() {
						use(n.Name, v.Doc+s.Doc.Text()+s.Comment.Text())
					}
				}
			}
		}
	}
	funcs := func(before string, of []*doc.Func) {
		for _, f := range of {
			use(before+f.Name, f.Doc)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs("", p.Funcs)
	for _, typ := range p.Types {
		use(typ.Name, typ.Doc)
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
	}
}

// Whoever reads go doc finds a sentence about every package and every name of it. What an
// error's methods Error and Unwrap do goes without saying.
func TestEveryNameHasAComment(t *testing.T) {
	for folder, p := range documented(t) {
		if !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") {
			t.Errorf("the comment of package %s begins with %.20q", folder, p.Doc)
		}
		publicNames(p, func(name, comment string) {
			if comment == "" && !strings.Contains(folder, "internal") && !strings.HasSuffix(name, ".Error") && !strings.HasSuffix(name, ".Unwrap") {
				t.Errorf("%s.%s has no comment", folder, name)
			}
		})
	}
}

// bare are the packages without an Example, and why.
var bare = map[string]string{
	"engine":                 "it has interfaces, and the packages of engines have examples",
	"onnx/filetype":          "it names files in messages",
	"engine/dataset/parquet": "package dataset reads files by it",
	"engine/enginetest":      "the tests of every engine call it",
	"engine/ort/install":     "what it finds and gets is this machine's",
	"probes/bench":           "it measures time",
	"probes/dynamics":        "it takes the checkpoints of a training",
	"probes/region/locate":   "it is what verbs have in common",
	"probes/region/overlay":  "its pictures are to be looked at",
	"probes/region/predict":  "it takes a detector, and the shipped networks have none",
	"probes/region/survey":   "it is the verb regions",
	"probes/report":          "its pages are to be looked at",
	"probes/text":            "it words messages and tables of this module",
}

// Every package that a program imports is shown at work.
func TestPackagesHaveExamples(t *testing.T) {
	for folder, p := range documented(t) {
		if strings.Contains(folder, "internal") {
			continue
		}
		n := len(p.Examples)
		for _, f := range p.Funcs {
			n += len(f.Examples)
		}
		for _, typ := range p.Types {
			n += len(typ.Examples)
			for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
				n += len(f.Examples)
			}
		}
		if why := bare[folder]; (n == 0) != (why != "") {
			t.Errorf("package %s has %d examples, and as the reason for none %q", folder, n, why)
		}
	}
}

// What a comment calls package.Name, or [package.Name], is there.
func TestCommentsNameWhatThereIs(t *testing.T) {
	all := documented(t)
	known := map[string]bool{}
	for _, p := range all {
		known[p.Name] = true
		publicNames(p, func(name, _ string) { known[p.Name+"."+name] = true })
		for _, typ := range p.Types {
			ast.Inspect(typ.Decl, func(n ast.Node) bool {
				if f, ok := n.(*ast.Field); ok {
					for _, name := range f.Names {
						known[p.Name+"."+typ.Name+"."+name.Name] = true
					}
				}
				return true
			})
		}
	}
	qualified := regexp.MustCompile(`(?:^|[\s(\[*])([a-z]+)(\.[A-Z]\w*)(\.[A-Z]\w*)?`)
	unresolved := regexp.MustCompile(`\[\*?[a-z]*\.?[A-Z][a-z]\w*(\.\w+)?\](?:[^:]|$)`)
	checked := 0
	for folder, p := range all {
		check := func(of, comment string) {
			if link := unresolved.Find(p.Text(comment)); link != nil {
				t.Errorf("the comment of %s.%s has the link %s, which leads nowhere", folder, of, link)
			}
			for _, m := range qualified.FindAllStringSubmatch(comment, -1) {
				if known[m[1]] {
					if checked++; !known[m[1]+m[2]+m[3]] {
						t.Errorf("the comment of %s.%s names %s, which there is not", folder, of, m[1]+m[2]+m[3])
					}
				}
			}
		}
		check("", p.Doc)
		publicNames(p, check)
		for _, typ := range p.Types {
			ast.Inspect(typ.Decl, func(n ast.Node) bool {
				if f, ok := n.(*ast.Field); ok {
					check(typ.Name, f.Doc.Text())
				}
				return true
			})
		}
	}
	if checked < 100 {
		t.Errorf("%d names were looked up", checked)
	}
}

// The guide to the library begins with the README's program.
func TestGuideHasTheProgramOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "\n```go\npackage main\n")
	program, _, _ = strings.Cut(program, "\n```")
	guide := strings.ReplaceAll("\n"+documented(t)["probes"].Doc, "\n\t", "\n")
	if program == "" || !strings.Contains(guide, "package main\n"+program+"\n") {
		t.Errorf("probes/doc.go has not this program:\n%s", program)
	}
}
