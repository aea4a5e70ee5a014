package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	pngs "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const regionModels = "../../testdata/models/region/"

// regionArrays writes the pictures and boxes of a golden as .npy files.
func regionArrays(t *testing.T, name string) (x, box string, code *tensor.Tensor) {
	t.Helper()
	a, err := tensor.ReadNpzFile("../../testdata/golden/region/" + name + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string) string {
		var b bytes.Buffer
		path := filepath.Join(dir, name+".npy")
		if err := tensor.WriteNpy(&b, a[name]); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("input"), write("box"), a["code"]
}

// The codes that the command line writes of pictures and boxes are PyTorch's.
func TestCodesOfPicturesAndBoxes(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	for _, name := range []string{"regionblip", "roi_features"} {
		for _, exporter := range []string{"dynamo", "torchscript"} {
			x, box, want := regionArrays(t, name)
			for _, given := range []string{"box=" + box, box} {
				out := filepath.Join(t.TempDir(), "codes.npy")
				succeed(t, "codes", regionModels+name+"_"+exporter+".onnx", x, "--backend", "ort", "--input", given, "--batch", "2", "-o", out)
				got, err := tensor.ReadNpyFile(out)
				if err != nil {
					t.Fatal(err)
				}
				near := 0
				for i, b := range tensor.Data[uint8](want) {
					if b != tensor.Data[uint8](got)[i] {
						near++
					}
				}
				if near > 1 { // a bit near its knot; probes holds which
					t.Errorf("%s: %d bytes of the codes differ from PyTorch's", name, near)
				}
			}
		}
	}
}

// gradient writes a PNG whose pixels say where they are.
func gradient(t *testing.T, path string, w, h int) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / w), uint8(255 * y / h), uint8(7 * x * y), 255})
		}
	}
	var b bytes.Buffer
	if err := pngs.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// jsonRows reads the rows of JSON Lines.
func jsonRows(t *testing.T, lines string) (rows []map[string]any) {
	t.Helper()
	for line := range strings.Lines(lines) {
		row := map[string]any{}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// Regions as items have the code of the same boxes given as an array.
func TestRegionsGoIntoTheModel(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	for _, name := range []string{"a.png", "b.png"} {
		gradient(t, filepath.Join(dir, name), 40, 20+len(name))
	}
	boxes := filepath.Join(dir, "boxes.csv")
	if err := os.WriteFile(boxes, []byte("path,id,x0,y0,x1,y1\na.png,left,0,0,20,25\na.png,all,0,0,40,25\nb.png,mid,10,5,30,20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	model := regionModels + "regionblip_dynamo.onnx"
	flags := []string{"--backend", "ort", "--preprocess", "blip2", "--resize", "32x32", "--code=false", "--quiet", "-o", "-"}
	rows := jsonRows(t, succeed(t, slices.Concat([]string{"codes", model, dir + "/a.png", dir + "/b.png", "--regions", boxes, "--region-input", "box=xyxy01"}, flags)...).stdout)
	if len(rows) != 3 || !strings.HasSuffix(rows[0]["id"].(string), "a.png#left") || !strings.HasSuffix(rows[2]["id"].(string), "b.png#mid") {
		t.Fatalf("the rows are %v", rows)
	}
	for i, box := range []string{"0,0,0.5,1", "0,0,1,1", "0.25,0.2,0.75,0.8"} {
		name := []string{"a.png", "a.png", "b.png"}[i]
		one := jsonRows(t, succeed(t, slices.Concat([]string{"codes", model, filepath.Join(dir, name), "--input", "box=" + box}, flags)...).stdout)
		if one[0]["digest"] != rows[i]["digest"] {
			t.Errorf("%v: %v, with --input %s %v", rows[i]["id"], rows[i]["digest"], box, one[0]["digest"])
		}
	}
	if rows[0]["digest"] == rows[1]["digest"] {
		t.Error("two boxes of a picture have one code")
	}
	lc := jsonRows(t, succeed(t, "complexity", model, dir+"/a.png", "--regions", boxes, "--region-input", "xyxy01", "--frame-input", "box", "--radius", "0.2",
		"--backend", "ort", "--preprocess", "blip2", "--resize", "32x32", "--quiet", "-o", "-").stdout)
	if len(lc) != 2 || only(t, lc[0]["complexity"]) == 0 || lc[0]["count"].(map[string]any)["visual_encoder.blocks.0.mlp.act@0.2"].(float64) != 0 {
		t.Errorf("local complexity in the space of boxes: %v", lc)
	}
}

// A picture cut into tiles is an item a tile, which says what it shows.
func TestTilesAreItems(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	gradient(t, filepath.Join(dir, "wide.png"), 60, 20)
	if err := os.WriteFile(filepath.Join(dir, "x.png"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := attempt(time.Minute, "codes", regionModels+"internvit_rms_dynamo.onnx", dir, "--backend", "ort", "--preprocess", "internvl", "--resize", "32x32",
		"--tiles", "4", "--code=false", "--quiet", "-o", "-")
	if err != nil || r.code != exitSomeFailed {
		t.Fatalf("%v, exit code %d: %s", err, r.code, r.stderr)
	}
	rows := jsonRows(t, r.stdout)
	var got []string
	for _, row := range rows {
		got = append(got, fmt.Sprint(row["id"], row["tile"], row["status"]))
	}
	want := []string{"wide.png@0map[x0:0 x1:20 y0:0 y1:20]ok", "wide.png@1map[x0:20 x1:40 y0:0 y1:20]ok", "wide.png@2map[x0:40 x1:60 y0:0 y1:20]ok",
		"wide.png@thumbnailmap[x0:0 x1:60 y0:0 y1:20]ok", "x.png@0<nil>error"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where tiles are of another size than the model's, what the error tells to do helps.
func TestRemedyOfTiles(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	dir := t.TempDir()
	gradient(t, filepath.Join(dir, "wide.png"), 60, 20)
	args := []string{"codes", regionModels + "internvit_rms_dynamo.onnx", dir, "--backend", "ort", "--preprocess", "imagenet", "--tiles", "4", "--quiet", "-o", "-"}
	if r, err := attempt(time.Minute, args...); err != nil || r.code == exitDone || !strings.Contains(r.stderr, "(--resize 32x32, --crop none,") {
		t.Fatalf("%v, exit code %d: %s", err, r.code, r.stderr)
	}
	if r, err := attempt(time.Minute, append(args, "--resize", "32x32", "--crop", "none")...); err != nil || r.code != exitDone {
		t.Errorf("%v, exit code %d: %s", err, r.code, r.stderr)
	}
}

func TestOtherInputsWrongly(t *testing.T) {
	x, box, _ := regionArrays(t, "regionblip")
	two := regionModels + "regionblip_dynamo.onnx"
	for want, flags := range map[string][]string{
		`nothing is given for the model's input "box" (float32 [4])`: nil,
		`no input "bx" besides its data; it has "box"`:               {"--input", "bx=1"},
		`is given 2 values, want 1 or 4`:                             {"--input", "box=0,1"},
		`element 0 of row 0 is not a finite number`:                  {"--input", "box=nan"},
		`"box" is given twice`:                                       {"--input", box, "--input", "1"},
		`--region-input goes with --regions`:                         {"--region-input", "box"},
		`--tiles 65: 1 to 64`:                                        {"--tiles", "65"},
		`--tile-thumbnail goes with --tiles`:                         {"--tile-thumbnail=false"},
		`a box in "foo"; the choices are xyxy01`:                     {"--regions", box, "--region-input", "box=foo"},
		`--channels does not go with --region-input`:                 {"--regions", box, "--region-input", "box", "--channels"},
		`only pictures can be cut`:                                   {"--tiles", "2"},
	} {
		r, err := attempt(time.Minute, append([]string{"codes", two, x, "--backend", "ort", "-o", "-", "--quiet"}, flags...)...)
		if err != nil || r.code != exitUsage && !strings.Contains(want, "twice") || r.panicked != nil || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s%v; want %q", flags, r.code, r.stderr, r.panicked, want)
		}
	}
	for _, args := range [][]string{{"compare", two, x}, {"affine", two, x}, {"hash", two, x, "-o", filepath.Join(t.TempDir(), "job")}} {
		r, err := attempt(time.Minute, args...)
		if err != nil || r.code == exitDone || r.panicked != nil || !strings.Contains(r.stderr, `nothing is given for the model's input "box"`) {
			t.Errorf("%s: exit code %d, %s%v", args[0], r.code, r.stderr, r.panicked)
		}
	}
	if r, _ := attempt(time.Minute, "run", regionModels+"dinov2_dynamo.onnx", x, "--input", "1"); r.code != exitUsage || !strings.Contains(r.stderr, "the model has one input") {
		t.Errorf("a model of one input: exit code %d, %s", r.code, r.stderr)
	}
}
