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
	"onnx/tensor":             {},
	"onnx/filetype":           {},
	"onnx":                    {"onnx/filetype", "onnx/tensor"},
	"onnx/rewrite":            {"onnx", "onnx/tensor"},
	"engine":                  {"onnx", "onnx/tensor"},
	"engine/enginetest":       {"onnx", "onnx/tensor", "engine"},
	"engine/internal/elftest": {},
	"engine/internal/jpeg":    {},
	"engine/internal/kernel":  {},
	"engine/gorgonia":         {"onnx", "onnx/rewrite", "onnx/tensor", "engine", "engine/internal/kernel"},
	"engine/internal/safe":    {},
	"engine/internal/scratch": {},
	"engine/internal/spare":   {"onnx/tensor"},
	"engine/isolate":          {"onnx", "onnx/tensor", "engine", "engine/internal/scratch", "engine/internal/spare"},
	"engine/dataset/parquet":  {"engine/internal/safe"},
	"engine/dataset/picture":  {"onnx", "onnx/tensor", "engine/internal/jpeg", "engine/internal/safe"},
	"engine/dataset": {
		"onnx", "onnx/filetype", "onnx/tensor", "engine/dataset/parquet", "engine/dataset/picture", "engine/internal/safe",
	},
	"engine/ort/install": {"onnx"},
	"engine/ort": {
		"onnx", "onnx/rewrite", "onnx/tensor", "engine", "engine/internal/scratch", "engine/internal/spare", "engine/ort/install",
	},
	"engine/backends":           {"engine", "engine/gorgonia", "engine/isolate", "engine/ort", "engine/ort/install"},
	"probes/text":               {},
	"probes/site":               {"onnx", "onnx/tensor", "probes/text"},
	"probes/internal/store":     {},
	"probes/internal/storetest": {"probes/internal/store"},
	"probes/result":             {"onnx", "onnx/filetype", "onnx/tensor", "engine/dataset", "probes/internal/store", "probes/site"},
	"probes": {
		"onnx", "onnx/rewrite", "onnx/tensor", "engine", "engine/dataset", "probes/result", "probes/site",
		"probes/text",
	},
	"benchmarks":      {},
	"probes/attack":   {"onnx", "onnx/rewrite", "onnx/tensor", "engine", "probes"},
	"probes/bench":    {"onnx/tensor", "engine", "engine/dataset", "probes", "probes/result", "probes/text"},
	"probes/encoding": {"onnx", "engine", "probes/internal/store", "probes/result", "probes/site", "probes/text"},
	"probes/dynamics": {
		"onnx", "onnx/rewrite", "onnx/tensor", "engine", "engine/dataset", "engine/dataset/picture", "probes",
		"probes/attack", "probes/encoding", "probes/internal/store", "probes/result", "probes/site",
		"probes/text",
	},
	"probes/partition": {
		"onnx", "onnx/rewrite", "onnx/tensor", "engine", "engine/dataset", "probes", "probes/site",
		"probes/text",
	},
	"probes/region": {
		"onnx", "onnx/tensor", "engine", "engine/dataset", "engine/dataset/picture", "probes", "probes/result",
		"probes/site",
	},
	"probes/internal/draw": {"engine/dataset/picture", "probes/region"},
	"probes/region/overlay": {
		"engine/dataset", "engine/dataset/picture", "probes/internal/draw", "probes/region", "probes/result",
		"probes/site",
	},
	"probes/region/score":   {"probes/encoding", "probes/region"},
	"probes/region/segment": {"engine/dataset/picture", "probes/region"},
	"probes/region/annotate": {
		"onnx", "engine/dataset", "engine/dataset/picture", "probes/region", "probes/region/segment",
	},
	"probes/region/locate": {
		"engine/dataset", "engine/dataset/picture", "probes", "probes/region", "probes/region/annotate",
		"probes/region/overlay", "probes/region/segment", "probes/result", "probes/text",
	},
	"probes/region/predict": {
		"onnx", "onnx/tensor", "engine", "engine/dataset/picture", "probes", "probes/region",
		"probes/region/segment",
	},
	"probes/job": {
		"onnx", "onnx/tensor", "engine/dataset", "engine/dataset/picture", "probes", "probes/encoding",
		"probes/internal/store", "probes/region", "probes/region/annotate", "probes/region/predict",
		"probes/region/segment", "probes/result", "probes/site", "probes/text",
	},
	"probes/region/survey": {
		"engine/dataset", "engine/dataset/picture", "probes/region", "probes/region/annotate",
		"probes/region/overlay", "probes/region/score", "probes/result", "probes/text",
	},
	"probes/report": {
		"engine/dataset", "probes", "probes/bench", "probes/encoding", "probes/internal/draw", "probes/job",
		"probes/partition", "probes/region/overlay", "probes/result", "probes/text",
	},
	"testdata":              {},
	"cmd/onnxprobe/release": {"engine/ort/install", "probes/result"},
	"cmd/onnxprobe": {
		"onnx", "onnx/filetype", "onnx/rewrite", "onnx/tensor", "engine", "engine/backends", "engine/dataset", "engine/dataset/picture",
		"engine/isolate", "engine/ort", "engine/ort/install", "probes", "probes/attack", "probes/bench", "probes/dynamics",
		"probes/encoding", "probes/job", "probes/partition", "probes/region", "probes/region/annotate",
		"probes/region/locate", "probes/region/overlay", "probes/region/predict", "probes/region/segment",
		"probes/region/survey", "probes/report", "probes/result", "probes/site", "probes/text", "testdata",
	},
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
