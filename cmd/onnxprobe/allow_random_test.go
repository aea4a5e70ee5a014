package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A model that draws random numbers gives an item no code of its own: every verb that
// runs it refuses, unless that is allowed, and then says so.
func TestModelsThatDrawRandomNumbers(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test", Inputs: []*onnx.Value{
		onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 64}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		x := e.Op("Dropout", nil, "x", e.Const(tensor.Scalar(float32(.5))), e.Const(tensor.Scalar(true)))
		e.Output(e.Op("Relu", nil, e.Op("Sub", nil, x, e.Const(tensor.Scalar(float32(.5))))), tensor.Float32, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "dropout.onnx")
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	const says = `the model draws random numbers or is in training mode, so that an item has other numbers in every run: Dropout "Dropout"`
	x := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of(make([]float32, 4*64), 4, 64))
	job, planned := filepath.Join(dir, "job"), filepath.Join(dir, "planned")
	if r := do("hash", "plan", model, x, "-o", planned); r.code != exitDone || !strings.Contains(r.messages, says) {
		t.Errorf("hash plan ends with %d: %s", r.code, r.messages)
	}
	for _, args := range [][]string{
		{"codes", model, x, "-o", filepath.Join(dir, "codes.npy")}, {"complexity", model, x, "-o", filepath.Join(dir, "lc.npy")}, {"run", model, x, "-o", filepath.Join(dir, "y.npy")},
		{"compare", model, x, "-a", "ort", "-b", "ort", "-o", filepath.Join(dir, "diff.jsonl")},
		{"hash", model, x, "-o", job}, {"hash", "run", planned}, {"bench", model, "--seconds", "0.01"},
	} {
		r := do(args...)
		if r.code != exitFailed || !strings.Contains(r.messages, says) || !strings.Contains(r.messages, "--allow-random") || r.stdout != "" {
			t.Errorf("%q ends with %d: %s%s", args, r.code, r.stdout, r.messages)
		}
		if len(glob(t, args[len(args)-1])) > 0 && args[1] != "run" {
			t.Errorf("%q wrote %s", args, args[len(args)-1])
		}
		if r = do(append(args, "--allow-random")...); r.code != exitDone || strings.Count(r.messages, says) != 1 {
			t.Errorf("%q, allowed, ends with %d: %s", args, r.code, r.messages)
		}
	}
	for _, path := range []string{"codes.npy.manifest.json", "lc.npy.manifest.json", "y.npy.manifest.json", "diff.jsonl.manifest.json", "job/manifest.json"} {
		if got := slurp(t, filepath.Join(dir, path)); !strings.Contains(got, "draws random numbers") {
			t.Errorf("%s does not say it:\n%s", path, got)
		}
	}
	study := filepath.Join(dir, "study")
	step := filepath.Join(dir, "step-1.onnx")
	if err := m.Save(step); err != nil {
		t.Fatal(err)
	}
	train := saveArray(t, filepath.Join(dir, "train.npy"), tensor.Of(make([]float32, 6*64), 6, 64))
	args := []string{"dynamics", step, "--train", train, "--test", x, "-k", "1", "--batch", "2", "-o", study}
	if r := do(args...); r.code != exitFailed || !strings.Contains(r.messages, says) {
		t.Errorf("dynamics ends with %d: %s", r.code, r.messages)
	}
	if r := do(append(args, "--allow-random")...); r.code != exitDone || !strings.Contains(r.messages, says) {
		t.Errorf("dynamics, allowed, ends with %d: %s", r.code, r.messages)
	}
	if got := slurp(t, filepath.Join(study, "dynamics.parquet.manifest.json")); !strings.Contains(got, "draw random numbers") {
		t.Errorf("the manifest of dynamics does not say it:\n%s", got)
	}
	if notes := strings.Join(inspectJSON(t, model).Notes, "\n"); !strings.Contains(notes, says) {
		t.Errorf("inspect does not say it: %s", notes)
	}
	if r := do("attach", model, "-o", filepath.Join(dir, "probed.onnx")); r.code != exitDone || !strings.Contains(r.messages, says) {
		t.Errorf("attach ends with %d: %s", r.code, r.messages)
	}
	for _, args := range [][]string{{"affine", model, x, "--index", "0"}, {"regions", digits + "/3", "--regions", "boxes:" + model, "--region-preprocess", "mnist-01"}} {
		if r := do(args...); r.code != exitFailed || !strings.Contains(r.messages, says) {
			t.Errorf("%q ends with %d: %s", args, r.code, r.messages)
		}
	}
	// What the pure-Go engine refuses stays refused.
	if r := do("codes", model, x, "--backend", "gorgonia", "--allow-random", "-o", "-"); r.code != exitFailed || !strings.Contains(r.messages, "Dropout") {
		t.Errorf("the pure-Go engine ends with %d: %s", r.code, r.messages)
	}
}

func glob(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(path)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
