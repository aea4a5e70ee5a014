package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	pngs "image/png"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// ofRegion are the columns that say which region a row is of.
var ofRegion = []string{"id", "image", "path", "region", "label", "score", "x0", "y0", "x1", "y1", "kept"}

// said is what the rows of a run say of their regions, in order.
func said(all []map[string]any) (out []string) {
	for _, r := range all {
		line := ""
		for _, name := range ofRegion {
			v, ok := r[name]
			line += fmt.Sprintf(" %s:%v/%v", name, v, ok)
		}
		out = append(out, line)
	}
	return out
}

// Rows of regions whose boxes go into the model say which regions they are as rows of
// --regions do, column for column: in codes, complexity, run and a job of each format.
func TestRowsOfBoxesSayTheirRegions(t *testing.T) {
	needORT(t)
	const model = regionModels + "roi_features_dynamo.onnx" // has sites on the picture too
	dir, work := t.TempDir(), t.TempDir()
	gradient(t, filepath.Join(dir, "a.png"), 40, 20)
	gradient(t, filepath.Join(dir, "b.png"), 64, 48)
	gradient(t, filepath.Join(dir, "c.png"), 30, 30)
	spill(t, filepath.Join(dir, "d.png"), nil)
	table := spill(t, filepath.Join(work, "boxes.csv"), []byte("path,id,label,x0,y0,x1,y1\na.png,7,cell,4,5,20,18\na.png,7,rod,1,1,9,9\n"+
		"b.png,x,cell,10,5,60,40\nb.png,away,cell,70,5,90,40\nb.png,y,cell,1,5,x,40\nd.png,z,rod,0,0,2,2\n"))
	scored := spill(t, filepath.Join(work, "found.json"), []byte(`{"images":[{"id":1,"file_name":"a.png","width":40,"height":20}],
		"categories":[{"id":3,"name":"cell"}],"annotations":[{"id":11,"image_id":1,"category_id":3,"bbox":[4,5,16,10],"score":0.75}]}`))
	flags := func(verb, regions string, more ...string) []string {
		return slices.Concat([]string{verb, model, dir, "--regions", regions, "--backend", "ort", "--quiet"}, blip, more)
	}
	for name, regions := range map[string]string{"annotations": table, "results": scored} {
		want := rows(t, do(flags("codes", regions, "--input", "box=0,0,1,1", "--region-rule", "any", "-o", "-")...).stdout)
		if len(want) != map[string]int{"annotations": 6, "results": 1}[name] {
			t.Fatalf("%s: %d rows of --regions", name, len(want))
		}
		for _, verb := range []string{"codes", "complexity", "run"} {
			r := do(flags(verb, regions, "--region-input", "xyxy01", "-o", "-")...)
			got := rows(t, r.stdout)
			for _, row := range got { // a score of run's is of classes
				if v, there := row["region_score"]; there {
					row["score"] = v
				} else if verb == "run" {
					delete(row, "score")
				}
			}
			if !slices.Equal(said(got), said(want)) {
				t.Errorf("%s, %s\ngot  %s\nwant %s", name, verb, strings.Join(said(got), "\n     "), strings.Join(said(want), "\n     "))
			}
			for i, row := range got {
				if row["status"] != want[i]["status"] || row["error"] == nil != (want[i]["error"] == nil) {
					t.Errorf("%s, %s, row %d: %v %v, of --regions %v %v", name, verb, i, row["status"], row["error"], want[i]["status"], want[i]["error"])
				}
			}
			if code := map[string]int{"annotations": exitSomeFailed, "results": exitDone}[name]; r.code != code {
				t.Errorf("%s, %s: exit code %d\n%s", name, verb, r.code, r.messages)
			}
		}
		// A job says of annotations that cannot be read when it is planned, and has no row of them.
		want = slices.DeleteFunc(want, func(r map[string]any) bool { return r["image"] == "" })
		for _, form := range []string{"jsonl", "npy"} {
			job := filepath.Join(work, name+form)
			do(flags("hash", regions, "--region-input", "xyxy01", "--output-format", form, "--shard-size", "1", "-o", job)...)
			if got := itemsOf(t, job); !slices.Equal(said(got), said(want)) {
				t.Errorf("%s, a job\ngot  %s\nwant %s", name, strings.Join(said(got), "\n     "), strings.Join(said(want), "\n     "))
			}
		}
	}
	var m struct {
		Settings struct {
			Rows map[string]any `json:"region_rows"`
		}
	}
	out := filepath.Join(work, "codes.jsonl")
	do(flags("codes", table, "--region-input", "xyxy01", "-o", out)...)
	decode(t, slurp(t, out+".manifest.json"), &m)
	delete(m.Settings.Rows, "errors")
	if want := map[string]any{"regions": 6.0, "failed": 3.0, "pictures": 3.0, "pictures_without_regions": 1.0,
		"left_out": map[string]any{"box beyond the picture": 1.0}}; !reflect.DeepEqual(m.Settings.Rows, want) {
		t.Errorf("the manifest says %v, want %v", m.Settings.Rows, want)
	}
}

// itemsOf are the rows of a job's shards, or of the items beside its arrays.
func itemsOf(t *testing.T, dir string) (all []map[string]any) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".jsonl") {
			all = append(all, rows(t, slurp(t, filepath.Join(dir, f.Name())))...)
		}
	}
	return all
}

// Of a crop that cuts regions off, rows, stderr and the manifest say so, and what they tell
// to do keeps all.
func TestRemedyOfCroppedRegions(t *testing.T) {
	needORT(t)
	const model = regionModels + "roi_features_dynamo.onnx"
	dir, work := t.TempDir(), t.TempDir()
	gradient(t, filepath.Join(dir, "a.png"), 64, 48)
	// Its shorter edge becomes 40 pixels, of 53 x 40 the middle 32 x 32 are left: x from 12 to 51, y from 5 to 43.
	boxes := spill(t, filepath.Join(work, "boxes.csv"), []byte("path,id,x0,y0,x1,y1\na.png,in,20,10,40,30\na.png,part,5,10,40,30\na.png,off,0,0,10,48\n"))
	said := "cuts regions off, 1 in part and 1 wholly; to keep all, resize the whole picture to what the model takes, and crop nothing (--resize 32x32, --crop none)"
	cropped := map[string]any{"partly": 1.0, "wholly": 1.0, "input": map[string]any{"h": 32.0, "w": 32.0}}
	for name, more := range map[string][]string{"rows": {"--input", "box=0,0,1,1", "--region-rule", "any"}, "boxes": {"--region-input", "xyxy01"}} {
		args := slices.Concat([]string{model, dir, "--regions", boxes, "--backend", "ort"}, blip, more)
		crop := with(args, "--resize", "40", "--crop", "32")
		out, job := filepath.Join(work, name+".jsonl"), filepath.Join(work, name)
		for _, of := range []struct {
			run      []string
			manifest string
			keys     []string
		}{
			{with([]string{"codes", "-o", out}, crop...), out + ".manifest.json", []string{"settings", "region_rows", "cropped"}},
			{with([]string{"hash", "--output-format", "jsonl", "-o", job}, crop...), filepath.Join(job, "manifest.json"), []string{"regions", "cropped"}},
		} {
			r := do(of.run...)
			if !strings.Contains(r.messages, said) {
				t.Errorf("%s: %s\nwant %s", name, r.messages, said)
			}
			var m any
			decode(t, slurp(t, of.manifest), &m)
			for _, k := range of.keys {
				m, _ = m.(map[string]any)[k]
			}
			if !reflect.DeepEqual(m, any(cropped)) {
				t.Errorf("%s: the manifest of %s says %v, want %v", name, of.run[0], m, cropped)
			}
		}
		for i, got := range [][]map[string]any{rows(t, slurp(t, out)), itemsOf(t, job)} {
			if len(got) != 3 || got[0]["kept"] != 1.0 || got[1]["kept"].(float64) >= 1 || got[2]["kept"] != 0.0 ||
				!strings.Contains(fmt.Sprint(got[2]["error"]), `region "off": the crop to 32x32 pixels (height x width) leaves nothing of it`) ||
				!strings.HasSuffix(got[2]["error"].(string), "(--resize 32x32, --crop none)") {
				t.Errorf("%s, %d: %v", name, i, got)
			}
		}
		r := do(slices.Concat([]string{"codes", "-o", "-"}, args, []string{"--resize", "32x32", "--crop", "none"})...)
		if r.code != exitDone || strings.Contains(r.messages, "crop") || len(rows(t, r.stdout)) != 3 {
			t.Errorf("%s, as told: exit code %d, %s", name, r.code, r.messages)
		}
	}
}

// patches draws pictures of two bright or dark patches each, and says where in COCO's form,
// whose classes are numbered in the order of names.
func patches(t *testing.T, dir, coco string, seed int, names ...string) {
	t.Helper()
	var images, annotations, classes []string
	for k, name := range names {
		classes = append(classes, fmt.Sprintf(`{"id":%d,"name":%q}`, k+1, name))
	}
	for i := range 6 {
		file := fmt.Sprintf("%d.png", i)
		m := image.NewNRGBA(image.Rect(0, 0, 32, 32))
		for at := range m.Pix {
			m.Pix[at] = uint8(120 + (at*7+i*seed)%9)
		}
		images = append(images, fmt.Sprintf(`{"id":%d,"file_name":%q,"width":32,"height":32}`, i+1, file))
		for k := range 2 {
			name, x, y := []string{"dark", "light"}[(i+k+seed)%2], 1+16*k, 2+(i*seed)%8
			for a := range 14 * 14 {
				v := map[string]uint8{"dark": 5, "light": 250}[name]
				m.SetNRGBA(x+a%14, y+a/14, color.NRGBA{v, v, uint8(100 + a%14), 255})
			}
			annotations = append(annotations, fmt.Sprintf(`{"id":%d,"image_id":%d,"category_id":%d,"bbox":[%d,%d,14,14]}`,
				2*i+k+1, i+1, slices.Index(names, name)+1, x, y))
		}
		var b bytes.Buffer
		if err := pngs.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		spill(t, filepath.Join(dir, file), b.Bytes())
	}
	spill(t, coco, fmt.Appendf(nil, `{"images":[%s],"annotations":[%s],"categories":[%s]}`,
		strings.Join(images, ","), strings.Join(annotations, ","), strings.Join(classes, ",")))
}

// The labels of regions are names to evaluate, search and dedup, whatever number a file gives
// them and however rows are written, and so by site; those of boxes that go in are too.
func TestLabelsOfRegionsAreLabels(t *testing.T) {
	needORT(t)
	const model = regionModels + "roi_features_dynamo.onnx"
	work := t.TempDir()
	dirs := map[string]string{"train": t.TempDir(), "test": t.TempDir()}
	patches(t, dirs["train"], filepath.Join(work, "train.json"), 1, "dark", "light")
	patches(t, dirs["test"], filepath.Join(work, "test.json"), 2, "light", "dark")
	made := func(set, name, verb string, more ...string) string {
		out := filepath.Join(work, set+name)
		args := slices.Concat([]string{verb, model, dirs[set], "--regions", filepath.Join(work, set+".json")}, blip, more)
		stdoutOf(t, with(args, "--backend", "ort", "--quiet", "-o", out)...)
		return out
	}
	type neighbors struct{ Accuracy float64 }
	type measured struct {
		Name string
		KNN  *neighbors
	}
	whole := []string{"--input", "box=0,0,1,1", "--region-rule", "any", "--channels"}
	for name, c := range map[string]struct {
		verb  string
		more  []string
		on    string
		sites int
		least float64 // accuracy of one neighbor
	}{
		".parquet": {"codes", whole, "channels", 7, 1},
		".jsonl":   {"codes", whole, "channels", 7, 1},
		"array":    {"hash", with(whole, "--output-format", "npy"), "channels", 7, 1},
		"job":      {"hash", whole, "channels", 7, 1},
		"boxes":    {"hash", []string{"--region-input", "xyxy01", "--code"}, "code", 9, 0},
	} {
		train, test := made("train", name, c.verb, c.more...), made("test", name, c.verb, c.more...)
		var e struct {
			Labels []struct {
				Label string
				Items int
			}
			measured
			Sites []measured
		}
		decode(t, stdoutOf(t, "evaluate", train, "--test", test, "--on", c.on, "--by-site", "-k", "1", "--json"), &e)
		if len(e.Labels) != 2 || e.Labels[0].Label != "dark" || e.Labels[0].Items != 6 || e.KNN == nil || e.KNN.Accuracy < c.least || len(e.Sites) != c.sites {
			t.Errorf("%s: evaluate gives %+v of %v at %d sites", name, e.KNN, e.Labels, len(e.Sites))
		}
		first := rows(t, stdoutOf(t, "search", train, "--query", "0.png#1", "-k", "11", "-o", "-"))
		group := rows(t, stdoutOf(t, "dedup", train, "--on", c.on, "--distance", "0.99", "-o", "-"))
		for i, all := range [][]map[string]any{first, group} {
			names := map[any]int{}
			for _, r := range all {
				names[r["label"]]++
			}
			if names["dark"]+i < 5 || names["light"]+i < 5 || len(names) != 2 {
				t.Errorf("%s: %s names the labels %v", name, []string{"search", "dedup"}[i], names)
			}
		}
		for _, verb := range [][]string{{"search", train, "--query", "0.png#1"}, {"dedup", train, "--on", c.on, "--distance", "0.99"}} {
			if text := stdoutOf(t, verb...); !strings.Contains(text, "light") || !strings.Contains(text, "dark") {
				t.Errorf("%s: %s prints\n%s", name, verb[0], text)
			}
			if text := stdoutOf(t, with(verb, "--json")...); !strings.Contains(text, `"label": "light"`) {
				t.Errorf("%s: %s --json prints\n%s", name, verb[0], text)
			}
		}
	}
}

// The map of a region whose box goes in has its box.
func TestMapsOfBoxes(t *testing.T) {
	needORT(t)
	dir, work := t.TempDir(), t.TempDir()
	gradient(t, filepath.Join(dir, "a.png"), 160, 120)
	boxes := spill(t, filepath.Join(work, "boxes.csv"), []byte("path,id,x0,y0,x1,y1\na.png,4,10,20,150,100\na.png,5,60,30,90,90\n"))
	maps := filepath.Join(work, "maps")
	args := with([]string{"complexity", regionModels + "roi_features_dynamo.onnx", dir, "--regions", boxes, "--region-input", "xyxy01"}, blip...)
	stdoutOf(t, with(args, "--backend", "ort", "--quiet", "--map", maps, "-o", filepath.Join(work, "lc.parquet"))...)
	for i, edges := range [][]image.Point{{{10, 60}, {149, 60}, {80, 99}}, {{60, 60}, {89, 60}, {75, 89}}} {
		m := opened(t, maps, i)
		for _, p := range edges {
			if r, g, b, _ := m.At(p.X, p.Y).RGBA(); r&g&b != 0xffff {
				t.Errorf("map %d: no edge of its box at %v", i, p)
			}
		}
		if r, g, b, _ := m.At(75, 60).RGBA(); r&g&b == 0xffff {
			t.Errorf("map %d: the other's box too", i)
		}
	}
}
