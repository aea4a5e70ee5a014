package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// twoBoxes writes a detector that gives for every picture the two boxes of boxed: the
// whole digit, and its left half.
func twoBoxes(t *testing.T) string {
	t.Helper()
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: out, Op: op, Inputs: strings.Fields(in), Outputs: []string{out}}
	}
	g := &onnx.Graph{Name: "g",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Param: "n"}, {Size: 1}, {Param: "h"}, {Param: "w"}})},
		Initializers: []*onnx.Tensor{onnx.NewTensor("base", tensor.Of([]float32{0, 0, 8, 8, 0, 0, 4, 8}, 2, 4)),
			onnx.NewTensor("scores_", tensor.Of([]float32{.9, .6}, 2)), onnx.NewTensor("one", tensor.Of([]int64{1}, 1)), onnx.NewTensor("zero", tensor.Of([]float32{0}, 1))},
		Nodes: []*onnx.Node{node("ReduceMax", "x", "most"), node("Reshape", "most one", "flat"), node("Mul", "flat zero", "nothing"),
			node("Add", "base nothing", "boxes"), node("Add", "scores_ nothing", "scores")},
		Outputs: []*onnx.Value{onnx.NewValue("boxes", tensor.Float32, []onnx.Dim{{Size: 2}, {Size: 4}}), onnx.NewValue("scores", tensor.Float32, []onnx.Dim{{Size: 2}})}}
	path := filepath.Join(t.TempDir(), "detector.onnx")
	if err := (&onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 13}}, Graph: g}).Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Boxes of a model give the rows that the same boxes give when they are annotated: of
// codes, complexity, complexity of the region alone, and the batch job.
func TestRegionsOfAModel(t *testing.T) {
	needORT(t)
	model := twoBoxes(t)
	flags := []string{resnet, digits, "--preprocess", "mnist-01", "--limit", "10", "--batch", "8", "--backend", "ort"}
	strip := func(all []map[string]any) (out []string) {
		for _, r := range all {
			out = append(out, fmt.Sprint(r["image"], r["x0"], r["x1"], r["y1"], r["units"], r["digest"], r["count"], r["status"]))
		}
		return out
	}
	boxes := boxed(t, 100)
	for _, verb := range [][]string{{"codes", "-o", "-"}, {"complexity", "--directions", "4", "-o", "-"}, {"complexity", "--directions", "4", "--region-frame", "-o", "-"}} {
		got := strip(rows(t, stdoutOf(t, with(verb, with(flags, "--regions", "boxes:"+model)...)...)))
		want := strip(rows(t, stdoutOf(t, with(verb, with(flags, "--regions", boxes)...)...)))
		if len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("%v: %d rows %v, annotated %d rows %v", verb, len(got), got, len(want), want)
		}
	}
	if got := rows(t, stdoutOf(t, with([]string{"codes", "-o", "-"}, with(flags, "--regions", "boxes:"+model, "--region-score", "0.7")...)...)); len(got) != 10 {
		t.Errorf("%d rows of score 0.7, want 10", len(got))
	}

	// What the detector's scores leave out is counted everywhere.
	for _, v := range []struct {
		file string
		run  []string
		at   []string
	}{
		{"c.jsonl", with([]string{"codes"}, flags...), []string{"settings", "regions", "left_out"}},
		{"r.csv", []string{"regions", digits, "--limit", "10", "--backend", "ort", "--region-preprocess", "mnist-01"}, []string{"settings", "regions", "left_out"}},
		{"job", with([]string{"hash", "--output-format", "jsonl"}, flags...), []string{"regions_left_out"}},
	} {
		out := filepath.Join(t.TempDir(), v.file)
		r := do(with(v.run, "--regions", "boxes:"+model, "--region-score", "0.7", "-o", out)...)
		path := out + ".manifest.json"
		if v.file == "job" {
			path = filepath.Join(out, "manifest.json")
		} else if !strings.Contains(r.messages, "box under the least score: 10") {
			t.Errorf("%s says %s", v.file, r.messages)
		}
		var m any
		if err := json.Unmarshal([]byte(slurp(t, path)), &m); err != nil {
			t.Fatal(err)
		}
		for _, key := range v.at {
			m, _ = m.(map[string]any)[key]
		}
		if fmt.Sprint(m) != "map[box under the least score:10]" {
			t.Errorf("%s: exit code %d, the manifest leaves out %v", v.file, r.code, m)
		}
	}

	dir := filepath.Join(t.TempDir(), "job")
	job := with([]string{"hash"}, with(flags, "--regions", "boxes:"+model, "--output-format", "jsonl", "-o", dir)...)
	stdoutOf(t, job...)
	want := strip(rows(t, stdoutOf(t, with([]string{"codes", "-o", "-"}, with(flags, "--regions", boxes)...)...)))
	if got := strip(rows(t, slurp(t, filepath.Join(dir, "00000.jsonl")))); !slices.Equal(got, want) {
		t.Errorf("the job has %v, codes %v", got, want)
	}
	var plan struct {
		Settings struct {
			Regions struct {
				Model struct {
					Kind  string
					Model []string
					Score float64
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(slurp(t, filepath.Join(dir, "plan.json"))), &plan); err != nil {
		t.Fatal(err)
	}
	if m := plan.Settings.Regions.Model; m.Kind != "boxes" || len(m.Model) != 1 || len(m.Model[0]) != 64 || m.Score != 0.5 {
		t.Errorf("the plan says %+v", m)
	}
	if r := do(with(job, "--region-score", "0.7")...); r.code != exitUsage || !strings.Contains(r.messages, "regions") {
		t.Errorf("another score: exit code %d, %s", r.code, r.messages)
	}
	for want, more := range map[string][]string{
		"--region-smooth goes with --regions labels": {"--regions", "boxes:" + model, "--region-smooth", "4"},
		"--region-score goes with --regions boxes":   {"--regions", "lines", "--region-score", "0.4"},
		"--region-score goes with --regions":         {"--region-score", "0.4"},
		"--region-clip does not go":                  {"--regions", "boxes:" + model, "--region-clip"},
		"name the model":                             {"--regions", "labels:"},
		"write ROLE=NAME":                            {"--regions", "boxes:" + model, "--region-output", "b"},
	} {
		if r := do(with([]string{"codes", "-o", "-"}, with(flags, more...)...)...); r.code != exitUsage || !strings.Contains(r.messages, want) {
			t.Errorf("%q: exit code %d, %s; want one that says %q", more, r.code, r.messages, want)
		}
	}
	if r := do(with([]string{"codes", "-o", "-"}, with(flags, "--regions", "labels:"+model)...)...); r.code != exitFailed || !strings.Contains(r.messages, "none of its outputs can be its labels") {
		t.Errorf("labels of a detector: exit code %d, %s", r.code, r.messages)
	}
	fixed := []string{digits, "--regions", "labels:" + resnet, "--region-preprocess", "imagenet", "--backend", "ort"}
	for _, verb := range [][]string{{"regions"}, {"codes", resnet, "--preprocess", "mnist-01", "-o", "-"}} {
		if r := do(with(verb, fixed...)...); r.code != exitFailed || !strings.Contains(r.messages, "the preprocessing imagenet gives [3 224 224]: give a JSON file made for it (--region-preprocess FILE)") {
			t.Errorf("%s by a model of another size: exit code %d, %s", verb[0], r.code, r.messages)
		}
	}
}
