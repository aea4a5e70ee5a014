package main

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/bench"
)

// regionBlip takes a picture of 3 x 32 x 32 and a box.
const regionBlip = regionModels + "regionblip_dynamo.onnx"

// gradients are two pictures of 40 x 25, and a file with three boxes on them.
func gradients(t *testing.T) (pictures, boxes string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a.png", "b.png"} {
		gradient(t, filepath.Join(dir, name), 40, 25)
	}
	boxes = filepath.Join(t.TempDir(), "boxes.csv")
	spill(t, boxes, []byte("path,id,x0,y0,x1,y1\na.png,left,0,0,20,25\na.png,all,0,0,40,25\nb.png,mid,10,5,30,20\n"))
	return dir, boxes
}

var blip = []string{"--preprocess", "blip2", "--resize", "32x32"}

// Vertices around a box, and around a picture beside a box, change the same bits when the
// model is widened to float64.
func TestVerticesOfTwoInputsInFloat64(t *testing.T) {
	dir, boxes := gradients(t)
	for _, of := range [][]string{{"--frame-input", "box"}, nil} {
		counts := func(precision string) []any {
			var all []any
			for _, r := range rows(t, stdoutOf(t, with(with([]string{"complexity", regionBlip, filepath.Join(dir, "a.png"), "--regions", boxes, "--region-input", "xyxy01", "--radius", "0.2",
				"--backend", "gorgonia", "--precision", precision, "-o", "-"}, blip...), of...)...)) {
				all = append(all, r["count"], r["complexity"])
			}
			return all
		}
		single, double := counts("float32"), counts("float64")
		if len(single) != 4 || only(t, single[1]) == 0 || !reflect.DeepEqual(single, double) {
			t.Errorf("%v: float32 %v, float64 %v", of, single, double)
		}
	}
}

// A comparison finds its regions with a model on the engine of its first side.
func TestCompareOnBoxesOfAModel(t *testing.T) {
	needORT(t)
	dir, _ := gradients(t)
	var got struct{ Items, Failed int }
	decode(t, stdoutOf(t, with([]string{"compare", regionBlip, dir, "--regions", "boxes:" + twoBoxes(t), "--region-preprocess", "mnist-01", "--region-input", "xyxy01",
		"-a", "ort", "-b", "gorgonia", "--json"}, blip...)...), &got)
	if got.Items != 4 || got.Failed != 0 {
		t.Errorf("compared %+v, want the 4 boxes that the detector finds in 2 pictures", got)
	}
}

func TestBenchOfTwoInputs(t *testing.T) {
	needORT(t)
	for _, given := range [][]string{nil, {"--input", "box=0.1,0.1,0.6,0.9"}} {
		var r bench.Report
		decode(t, stdoutOf(t, with([]string{"bench", regionBlip, "--batches", "2", "--images", "4", "--backend", "ort", "--json"}, given...)...), &r)
		if len(r.Results) != 1 || r.Results[0].Codes.Items < 4 || r.Results[0].Codes.BytesIn != 4*(3*32*32+4) {
			t.Errorf("%v: %+v", given, r.Results)
		}
	}
	if r := do("bench", regionBlip, "--input", "bx=1"); r.code != exitUsage || !strings.Contains(r.messages, `no input "bx" besides its data; it has "box"`) {
		t.Errorf("a wrong name: exit code %d, %s", r.code, r.messages)
	}
}

// The attached model has both inputs, and gives the codes that codes does to anyone.
func TestAttachToAModelOfTwoInputs(t *testing.T) {
	needORT(t)
	x, box, _ := regionArrays(t, "regionblip")
	probed := filepath.Join(t.TempDir(), "probed.onnx")
	stdoutOf(t, "attach", regionBlip, "-o", probed)
	_, out := outputsOf(t, probed, readArray(t, x), readArray(t, box))
	for i, r := range rows(t, stdoutOf(t, "codes", regionBlip, x, "--input", box, "--backend", "ort", "-o", "-")) {
		var code []byte
		for _, s := range inspectJSON(t, regionBlip).Sites {
			bits := out["onnxprobe.code/"+s.Name]
			n := s.Bytes()
			code = append(code, bits.Data.([]uint8)[i*n:(i+1)*n]...)
		}
		if hex.EncodeToString(code) != r["code"] {
			t.Errorf("item %d has another code than the codes verb gives", i)
		}
	}
}

// The automatic batch is no larger than there are items, where these fill it.
func TestBatchOfFewItems(t *testing.T) {
	needORT(t)
	batch := func(args ...string) int {
		out := filepath.Join(t.TempDir(), "out.jsonl")
		stdoutOf(t, with(args, resnet, digits, "--preprocess", "mnist-01", "--backend", "ort", "-o", out)...)
		var m struct{ Batch int }
		decode(t, slurp(t, out+".manifest.json"), &m)
		return m.Batch
	}
	for want, args := range map[int][]string{3: {"codes", "--limit", "3"}, 64: {"codes"}, 8: {"codes", "--limit", "3", "--batch", "8"}} {
		if got := batch(args...); got != want {
			t.Errorf("%v: a batch of %d, want %d", args, got, want)
		}
	}
	if got := batch("complexity", "--limit", "3", "--directions", "4"); got != 64 {
		t.Errorf("complexity of 3 items: a batch of %d, want 64 vertices", got)
	}
	out := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, "hash", "plan", resnet, digits, "--preprocess", "mnist-01", "--limit", "3", "-o", out)
	if plan := slurp(t, filepath.Join(out, "plan.json")); !strings.Contains(strings.ReplaceAll(plan, " ", ""), `"batch":64`) {
		t.Errorf("a job, which can be extended, has another batch than 64: %s", plan)
	}
}

// A job of YOLO labels is not run on with other names of their classes.
func TestJobKeepsTheNamesOfClasses(t *testing.T) {
	needORT(t)
	dir, _ := gradients(t)
	root := t.TempDir()
	labels, names, out := filepath.Join(root, "labels", "train"), filepath.Join(root, "data.yaml"), filepath.Join(t.TempDir(), "job")
	spill(t, filepath.Join(labels, "a.txt"), []byte("1 .5 .5 .4 .4\n"))
	spill(t, names, []byte("names: [cat, dog]\n"))
	plan := with([]string{"hash", "plan", regionModels + "dinov2_dynamo.onnx", dir, "--regions", labels, "-o", out}, blip...)
	stdoutOf(t, plan...)
	spill(t, names, []byte("names: [cat, horse]\n"))
	if r := do("hash", "run", out); r.code != exitFailed || !strings.Contains(r.messages, "not those that the job was planned for") {
		t.Errorf("other names: exit code %d, %s", r.code, r.messages)
	}
	if r := do(plan...); r.code != exitUsage || !strings.Contains(r.messages, "regions") {
		t.Errorf("another plan: exit code %d, %s", r.code, r.messages)
	}
	spill(t, names, []byte("names: [cat, dog]\n"))
	stdoutOf(t, "hash", "run", out)
}

// What a folder of mixed kinds leaves out is said, and nothing of others.
func TestLeftOutOfFolders(t *testing.T) {
	needORT(t)
	dir, boxes := gradients(t)
	for _, name := range []string{"x.npy", "y.npy", "s.tar", "notes.txt"} {
		spill(t, filepath.Join(dir, name), nil)
	}
	want := fmt.Sprintf("%s is read as images, and what is of another kind is left out: 2 .npy files, 1 .tar file\n", dir)
	for _, args := range [][]string{
		{"codes", regionBlip, dir, "--input", "box=0,0,1,1", "-o", "-"}, {"run", regionBlip, dir, "--input", "box=0,0,1,1"},
		{"hash", "plan", regionBlip, dir, "--input", "box=0,0,1,1", "-o", filepath.Join(t.TempDir(), "job")},
		{"regions", dir, "--regions", boxes},
	} {
		more := blip
		if args[0] == "regions" {
			more = nil
		}
		if r := do(slices.Concat(args, more)...); r.code != exitDone || strings.Count(r.messages, want) != 1 {
			t.Errorf("%v: exit code %d, %s; want %q", args, r.code, r.messages, want)
		}
	}
	if r := do(with([]string{"run", regionBlip, filepath.Join(dir, "a.png"), "--input", "box=0,0,1,1"}, blip...)...); strings.Contains(r.messages, "left out") {
		t.Errorf("one picture: %s", r.messages)
	}
}
