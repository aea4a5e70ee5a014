package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// diagram says what each package may import of this module: only what stands to
// its left in onnx <- engine <- probes <- cmd. Tests may import more.
var diagram = map[string][]string{
	"onnx/tensor":            {},
	"onnx":                   {"onnx/tensor"},
	"onnx/rewrite":           {"onnx", "onnx/tensor"},
	"engine":                 {"onnx", "onnx/tensor"},
	"engine/ort":             {"engine", "onnx", "onnx/rewrite", "onnx/tensor"},
	"engine/backends":        {"engine", "engine/gorgonia", "engine/ort"},
	"engine/gorgonia":        {"engine", "engine/gorgonia/kernel", "onnx", "onnx/rewrite", "onnx/tensor"},
	"engine/gorgonia/kernel": {},
	"engine/enginetest":      {"engine", "onnx", "onnx/tensor"},
	"engine/dataset":         {"engine/dataset/jpeg", "engine/dataset/parquet", "engine/internal/safe", "onnx/tensor"},
	"engine/dataset/parquet": {"engine/internal/safe"},
	"engine/internal/safe":   {},
	"engine/dataset/jpeg":    {},
	"probes":                 {"engine", "engine/dataset", "onnx", "onnx/rewrite", "onnx/tensor", "probes/site"},
	"probes/site":            {"onnx"},
	"probes/region":          {"engine/dataset", "onnx", "onnx/tensor", "probes", "probes/site"},
	"probes/region/annotate": {"engine/dataset", "probes/region", "probes/region/segment"},
	"probes/region/segment":  {"engine/dataset", "probes/region"},
	"probes/region/predict":  {"engine", "engine/dataset", "onnx", "onnx/tensor", "probes", "probes/region", "probes/region/segment"},
	"probes/region/draw":     {"engine/dataset", "probes", "probes/site", "probes/region"},
	"probes/region/score":    {"probes/encoding", "probes/region"},
	"probes/attack":          {"engine", "onnx", "onnx/rewrite", "onnx/tensor", "probes"},
	"probes/partition":       {"engine", "probes", "probes/site", "onnx", "onnx/rewrite", "onnx/tensor"},
	"probes/bench":           {"probes", "engine", "engine/dataset", "onnx/tensor"},
	"probes/sink":            {"probes", "onnx/tensor"},
	"probes/encoding":        {"probes", "probes/site", "probes/sink", "engine/dataset", "onnx/tensor"},
	"probes/dynamics":        {"engine", "engine/dataset", "onnx", "onnx/rewrite", "onnx/tensor", "probes", "probes/site", "probes/attack", "probes/encoding", "probes/sink"},
	"probes/report":          {"probes", "probes/bench", "probes/encoding", "probes/job", "probes/partition", "probes/region/draw", "probes/sink"},
	"probes/job":             {"engine/dataset", "onnx", "onnx/tensor", "probes", "probes/site", "probes/encoding", "probes/region", "probes/region/annotate", "probes/region/predict", "probes/region/segment", "probes/sink"},
	"cmd/onnxprobe": {"probes", "probes/site", "probes/bench", "probes/attack", "probes/dynamics", "probes/encoding", "probes/job", "probes/partition", "probes/region", "probes/region/annotate", "probes/region/draw", "probes/region/predict", "probes/region/score", "probes/region/segment", "probes/report", "probes/sink", "engine", "engine/backends", "engine/ort", "engine/dataset",
		"onnx", "onnx/rewrite", "onnx/tensor", "testdata"},
	"benchmarks": {},
	"testdata":   {},
}

// cgoOnly is the one package that may use cgo.
const cgoOnly = "engine/ort"

func TestImportsPointLeftwards(t *testing.T) {
	const module = "github.com/onnxprobe/onnxprobe"
	seen := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			if d != nil && d.IsDir() && (d.Name() == ".git" || strings.HasPrefix(d.Name(), "_")) {
				return fs.SkipDir
			}
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("../..", filepath.Dir(path))
		pkg := filepath.ToSlash(rel)
		seen[pkg] = true
		allowed, known := diagram[pkg]
		if !known {
			t.Errorf("package %s is not in the diagram", pkg)
		}
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			if p == "C" && pkg != cgoOnly {
				t.Errorf("%s uses cgo; only %s may", path, cgoOnly)
			}
			if local, ok := strings.CutPrefix(p, module+"/"); ok && !slices.Contains(allowed, local) {
				t.Errorf("%s imports %s; package %s may import only: %s", path, local, pkg, strings.Join(allowed, " "))
			}
			if !strings.Contains(strings.Split(p, "/")[0], ".") {
				continue
			}
			if pkg == "onnx/tensor" && !strings.HasPrefix(p, module) {
				t.Errorf("%s imports %s; onnx/tensor stands on the standard library alone", path, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range diagram {
		if !seen[pkg] && pkg != "benchmarks" {
			t.Errorf("package %s is in the diagram and does not exist", pkg)
		}
	}
}
