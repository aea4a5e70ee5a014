package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// jobRows are the rows of a job in JSON Lines, in order.
func jobRows(t *testing.T, dir string) (all []map[string]any) {
	t.Helper()
	shards, err := filepath.Glob(filepath.Join(dir, "[0-9]*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(shards)
	for _, s := range shards {
		all = append(all, rows(t, slurp(t, s))...)
	}
	return all
}

// sameDigests holds the rows of a job against those of codes.
func sameDigests(t *testing.T, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i]["id"] != want[i]["id"] || got[i]["digest"] != want[i]["digest"] || got[i]["status"] != want[i]["status"] {
			t.Errorf("row %d: %v %v, codes say %v %v", i, got[i]["id"], got[i]["digest"], want[i]["id"], want[i]["digest"])
		}
	}
}

// The rows of an array go into the model beside the items of a job in the order of its
// plan, over shards, slices and several sources, on both engines.
func TestHashOfPicturesAndBoxes(t *testing.T) {
	needORT(t)
	x, box, _ := regionArrays(t, "regionblip")
	dir := t.TempDir()
	twice := filepath.Join(dir, "again.npy")
	duplicate(t, x, twice)
	b, err := tensor.ReadNpyFile(box)
	if err != nil {
		t.Fatal(err)
	}
	v := tensor.Data[float32](b)
	both := slices.Concat(v, v)
	slices.Reverse(both[12:]) // other boxes for the same pictures
	for i := 12; i < 24; i += 4 {
		slices.Sort(both[i : i+4])
	}
	boxes := saveArray(t, filepath.Join(dir, "boxes.npy"), tensor.Of(both, 6, 4))
	model := regionModels + "regionblip_dynamo.onnx"
	for _, engine := range []string{"ort", "gorgonia"} {
		out := filepath.Join(dir, engine)
		data := []string{model, x, twice, "--input", "box=" + boxes, "--quiet"}
		stdoutOf(t, slices.Concat([]string{"hash", "plan"}, data, []string{"--shard-size", "2", "--output-format", "jsonl", "-o", out})...)
		for _, slice := range []string{"1/2", "0/2"} {
			stdoutOf(t, "hash", "run", out, "--shard", slice, "--backend", engine, "--quiet")
		}
		stdoutOf(t, "hash", "finish", out, "--quiet")
		sameDigests(t, jobRows(t, out), rows(t, stdoutOf(t, slices.Concat([]string{"codes"}, data, []string{"--code=false", "--backend", engine, "-o", "-"})...)))
		m := slurp(t, filepath.Join(out, "manifest.json"))
		if !strings.Contains(m, `"command": [`) || !strings.Contains(m, `"other_inputs": [`) || strings.Contains(slurp(t, filepath.Join(out, "plan.json")), `"command": null`) {
			t.Errorf("the manifest lacks the command or the other inputs:\n%s", m)
		}
	}
	again := []string{"hash", model, x, twice, "--shard-size", "2", "--output-format", "jsonl", "-o", filepath.Join(dir, "ort")}
	for name, c := range map[string]struct {
		more []string
		want string
	}{
		"other boxes":  {[]string{"--input", "0,0,1,1"}, "what differs: other_inputs"},
		"extend":       {[]string{"--input", boxes, "--mode", "extend"}, "does not go with --mode extend: its rows are those of the items"},
		"nothing":      {nil, `nothing is given for the model's input "box"`},
		"too few rows": {[]string{"--input", box}, "a row for each of 6 items"},
		"tiles":        {[]string{"--input", "0,0,1,1", "--tiles", "2"}, "only pictures can be cut"},
	} {
		if r := do(with(again, c.more...)...); r.code == exitDone || !strings.Contains(r.messages, c.want) {
			t.Errorf("%s: exit code %d, want %q\n%s", name, r.code, c.want, r.messages)
		}
	}
	// The file is another when a worker comes.
	fresh := filepath.Join(dir, "fresh")
	stdoutOf(t, "hash", "plan", model, x, twice, "--input", boxes, "-o", fresh, "--quiet")
	both[0] += 0.125
	if err := os.Remove(boxes); err != nil {
		t.Fatal(err)
	}
	saveArray(t, boxes, tensor.Of(both, 6, 4))
	if r := do("hash", "run", fresh, "--backend", "ort"); r.code != exitFailed || !strings.Contains(r.messages, `the rows for the input "box"`) || !strings.Contains(r.messages, "their SHA-256 is another") {
		t.Errorf("a changed array: exit code %d\n%s", r.code, r.messages)
	}
}

// Regions whose boxes go into the model are items, shard by shard: a shard without any
// is a file without rows.
func TestHashOfRegionsAsItems(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	pictures := filepath.Join(dir, "in")
	if err := os.Mkdir(pictures, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		gradient(t, filepath.Join(pictures, fmt.Sprintf("%c.png", 'a'+i)), 40, 20+i)
	}
	boxes := spill(t, filepath.Join(dir, "boxes.csv"), []byte("path,id,x0,y0,x1,y1\na.png,left,0,0,20,20\na.png,all,0,0,40,20\ne.png,mid,10,5,30,20\n"))
	model := regionModels + "regionblip_dynamo.onnx"
	flags := []string{"--regions", boxes, "--region-input", "box=xyxy01", "--backend", "ort", "--preprocess", "blip2", "--resize", "32x32", "--quiet"}
	want := rows(t, stdoutOf(t, slices.Concat([]string{"codes", model, pictures}, flags, []string{"--code=false", "-o", "-"})...))
	out := filepath.Join(dir, "job")
	job := slices.Concat([]string{"hash", model, pictures}, flags, []string{"--shard-size", "2", "-o", out})
	stdoutOf(t, with(job, "--output-format", "jsonl")...)
	sameDigests(t, jobRows(t, out), want)
	if s := stdoutOf(t, "hash", "status", out); !strings.Contains(s, "3 of 2 pictures, 0 failed; 3 pictures without") {
		t.Errorf("status:\n%s", s)
	}
	for _, form := range []string{"parquet", "npy"} {
		stdoutOf(t, with(job, "--output-format", form, "--mode", "overwrite")...)
		if found := stdoutOf(t, "search", out, "--query", "a.png#left", "-k", "1"); !strings.Contains(found, "a.png#all") {
			t.Errorf("%s: search finds\n%s", form, found)
		}
	}
	for flag, why := range map[string]string{"--limit=1": "a job counts pictures", "--faiss": "how many regions there are", "--input=box=1": "given twice"} {
		if r := do(with(job, flag, "--mode", "overwrite")...); r.code != exitUsage || !strings.Contains(r.messages, why) {
			t.Errorf("%s: exit code %d\n%s", flag, r.code, r.messages)
		}
	}
}

// Both engines are held against one another on a picture and its box.
func TestCompareOfPicturesAndBoxes(t *testing.T) {
	needORT(t)
	x, box, _ := regionArrays(t, "regionblip")
	model := regionModels + "regionblip_dynamo.onnx"
	for _, more := range [][]string{{"-b", "gorgonia"}, {"-b", "gorgonia", "--decide", "float64"}, {"-b", "gorgonia,precision=float64"}, {"-b", "ort,batch=2"}} {
		out := stdoutOf(t, with([]string{"compare", model, x, "--input", box, "-a", "ort", "--quiet"}, more...)...)
		if !strings.Contains(out, "of 6,948 bits differ") {
			t.Errorf("%v:\n%s", more, out)
		}
	}
}
