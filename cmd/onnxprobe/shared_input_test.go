package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A number beside the data, such as the time of a diffusion step, goes into every verb
// that runs a model.
func TestInputWithoutBatchAxis(t *testing.T) {
	dir := t.TempDir()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test", Inputs: []*onnx.Value{
		onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "n"}, {Size: 3}}), onnx.NewValue("t", tensor.Float32, []onnx.Dim{})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		e.Output(e.Op("Relu", nil, e.Op("Mul", nil, "x", "t")), tensor.Float32, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "timed.onnx")
	if err := m.Save(model); err != nil {
		t.Fatal(err)
	}
	x := saveArray(t, filepath.Join(dir, "x.npy"), tensor.Of([]float32{1, -2, 3, -1, -2, -3}, 2, 3))
	two := saveArray(t, filepath.Join(dir, "two.npy"), tensor.Scalar(float32(-2)))
	engine := []string{"--backend", "gorgonia", "--quiet"}
	for _, given := range []string{"t=-2.0", "-2", "t=" + two} {
		out := filepath.Join(dir, "codes.npy")
		stdoutOf(t, with(engine, "codes", model, x, "--input", given, "-o", out, "--force")...)
		if code := readArray(t, out).Data.([]uint8); code[0] != 0x40 || code[1] != 0xe0 {
			t.Errorf("--input %s: the codes %x, want 40e0", given, code)
		}
		if side := readManifest(t, out).Dataset.Inputs[0]; strings.TrimSuffix(side.From, ".0") != "-2" || len(side.Shape) != 0 {
			t.Errorf("--input %s: the manifest has %+v", given, side)
		}
	}
	verbs := map[string][]string{
		"codes": {"-o", "-"}, "complexity": {"-o", "-"}, "run": nil, "affine": {"--index", "0"}, "hash": {"-o", filepath.Join(dir, "job")},
		"compare": {"-a", "gorgonia", "-b", "gorgonia,precision=float64"},
	}
	for verb, more := range verbs {
		args := append([]string{verb, model, x, "--quiet"}, more...)
		if verb != "compare" {
			args = append(args, "--backend", "gorgonia")
		}
		if r := do(args...); r.code != exitUsage || !strings.Contains(r.messages, "give --input t=VALUE") {
			t.Errorf("%s without it ends with %d: %s", verb, r.code, r.messages)
		}
		if r := do(append(args, "--input", "t=-2.0")...); r.code != exitDone {
			t.Errorf("%s ends with %d: %s", verb, r.code, r.messages)
		}
	}
	for given, want := range map[string]string{"t=1,2": "is given 2 values, want 1: its shape is []; it has no batch axis", "t=" + x: "the input has no batch axis, so all items share it", "u=1": `it has "t"`} {
		if r := do("codes", model, x, "--input", given, "--backend", "gorgonia", "-o", "-"); r.code == exitDone || !strings.Contains(r.messages, want) || r.stdout != "" {
			t.Errorf("--input %s ends with %d, want %q: %s", given, r.code, want, r.messages)
		}
	}
	if r := do("affine", model, x, "--index", "0", "--input", "t=1", "--frame-input", "t"); r.code == exitDone || !strings.Contains(r.messages, "has no batch axis") {
		t.Errorf("a map by it ends with %d: %s", r.code, r.messages)
	}
}
