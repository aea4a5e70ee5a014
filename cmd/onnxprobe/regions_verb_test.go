package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	encoder "image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawing is a white picture of w x h pixels in a folder, with boxes of ink.
func drawing(t *testing.T, path string, w, h int, ink ...image.Rectangle) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Pix[m.PixOffset(x, y)] = 255
			for _, r := range ink {
				if (image.Point{X: x, Y: y}).In(r) {
					m.Pix[m.PixOffset(x, y)] = 0
				}
			}
		}
	}
	var b bytes.Buffer
	if err := encoder.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	spill(t, path, b.Bytes())
}

// regionsDocument is what the verb prints with --json.
type regionsDocument struct {
	Format                           string
	Pictures, Regions, Masks, Failed int
	Faults                           []string
	Score                            *scoreJSON
	Labels                           []struct {
		Label    string
		Regions  int
		Pictures int
		Score    *scoreJSON
	}
	ByPicture []struct {
		ID      string
		Regions int
		Score   *scoreJSON
	} `json:"by_picture"`
}

// scoreJSON spells the keys of a score.
type scoreJSON struct {
	Truth    int                `json:"truth"`
	Found    int                `json:"found"`
	Matched  int                `json:"matched"`
	DR       float64            `json:"dr"`
	RA       float64            `json:"ra"`
	FM       float64            `json:"fm"`
	MeanIoU  float64            `json:"mean_iou"`
	Accuracy map[string]float64 `json:"accuracy"`
}

func regionsJSON(t *testing.T, code int, args ...string) (d regionsDocument) {
	t.Helper()
	r := do(with([]string{"regions"}, with(args, "--json")...)...)
	if r.code != code {
		t.Fatalf("%q: exit code %d, want %d: %s", args, r.code, code, r.messages)
	}
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
		t.Fatalf("%q: %v in %s", args, err, r.stdout)
	}
	return d
}

func near(got, want float64) bool { return math.Abs(got-want) < 1e-12 }

// Hand-worked: of two cats one is found with IoU 0.8, of a dog all; a bird is not there.
// The picture has 999 pixels an edge, so that MedRegA's numbers are pixels.
func TestRegionsAreScored(t *testing.T) {
	dir := t.TempDir()
	drawing(t, filepath.Join(dir, "p", "a.png"), 999, 999)
	drawing(t, filepath.Join(dir, "p", "b.png"), 20, 20)
	answers := spill(t, filepath.Join(dir, "answers.jsonl"), []byte(`{"image": "a.png", "answer": "<ref>cat</ref><box>[[0, 0, 100, 80]]</box> <ref>dog</ref><box>[[200, 200, 300, 300]]</box><ref>bird</ref><box>[[7, 7, 9, 9]]</box>"}`))
	truth := spill(t, filepath.Join(dir, "truth.csv"), []byte("path,x,y,w,h,label\na.png,0,0,100,100,cat\na.png,500,500,100,100,cat\na.png,200,200,100,100,dog\n"))
	args := []string{filepath.Join(dir, "p"), "--regions", answers, "--truth", truth}
	d := regionsJSON(t, exitDone, with(args, "--by-picture")...)
	s := d.Score
	if s.Truth != 3 || s.Found != 3 || s.Matched != 1 || !near(s.DR, 1.0/3) || !near(s.RA, 1.0/3) || !near(s.FM, 1.0/3) || !near(s.MeanIoU, 0.6) || !near(s.Accuracy["0.75"], 2.0/3) {
		t.Errorf("in all: %+v", s)
	}
	if len(d.Labels) != 3 || len(d.ByPicture) != 2 || *d.ByPicture[0].Score.sums() != *s.sums() || d.ByPicture[1].Score.Truth != 0 {
		t.Fatalf("%+v", d)
	}
	bird, cat, dog := d.Labels[0].Score, d.Labels[1].Score, d.Labels[2].Score
	if bird.Truth != 0 || bird.Found != 1 || cat.Truth != 2 || !near(cat.MeanIoU, 0.4) || !near(cat.Accuracy["0.75"], 0.5) || cat.Matched != 0 || dog.Matched != 1 || dog.MeanIoU != 1 {
		t.Errorf("bird %+v, cat %+v, dog %+v", bird, cat, dog)
	}
	if d := regionsJSON(t, exitDone, with(args, "--iou", "0.8")...); d.Score.Matched != 2 || d.ByPicture != nil {
		t.Errorf("at 0.8: %+v", d.Score)
	}
	table := stdoutOf(t, with([]string{"regions"}, with(args, "--by-picture")...)...)
	for _, want := range []string{"MATCHED (IOU 0.9)", "a.png", `"bird"`, "0.6000"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %s:\n%s", want, table)
		}
	}
	other := spill(t, filepath.Join(dir, "other.csv"), []byte("path,x,y,w,h\na.png,0,0,100,100\n"))
	args[4] = other
	if r := do(with([]string{"regions"}, args...)...); r.code != exitDone || !strings.Contains(r.messages, "--any-label") {
		t.Errorf("labels that nothing has: exit code %d, %s", r.code, r.messages)
	}
	if d := regionsJSON(t, exitDone, with(args, "--any-label")...); !near(d.Score.MeanIoU, 0.8) || d.Labels[0].Score != nil {
		t.Errorf("whatever the labels: %+v", d.Score)
	}
}

// sums are the numbers of a score that == compares.
func (s *scoreJSON) sums() *[5]float64 {
	return &[5]float64{float64(s.Truth), float64(s.Found), float64(s.Matched), s.MeanIoU, s.FM}
}

// Lines are found where they were drawn, exactly; masks that are read again agree with
// themselves, and boxes with those of other lines do not.
func TestLinesAreFoundDrawnAndScored(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var ink []image.Rectangle
	truth := "path,x1,y1,x2,y2,label\n"
	for line := range 3 { // of ten letters, 8 x 12 pixels of ink
		for k := range 10 {
			ink = append(ink, image.Rect(20+16*k, 20+32*line, 28+16*k, 32+32*line))
		}
		truth += fmt.Sprintf("page.png,20,%d,172,%d,text\n", 20+32*line, 32+32*line)
	}
	drawing(t, at("pages/page.png"), 200, 120, ink...)
	spill(t, at("truth.csv"), []byte(truth))
	lines := []string{at("pages"), "--regions", "lines"}
	stdoutOf(t, with([]string{"regions"}, with(lines, "-o", at("lines.json"), "--draw", at("drawn"), "--truth", at("truth.csv"))...)...)
	if d := regionsJSON(t, exitDone, with(lines, "--truth", at("truth.csv"))...); d.Score.FM != 1 || d.Score.Found != 3 || d.Masks != 3 || d.Format != "lines" {
		t.Errorf("lines: %+v", d.Score)
	}
	if d := regionsJSON(t, exitDone, with(lines, "--truth", at("lines.json"))...); d.Score.FM != 1 || d.Score.MeanIoU != 1 {
		t.Errorf("masks: %+v", d.Score)
	}
	if d := regionsJSON(t, exitDone, at("pages"), "--regions", "slic:4", "--truth", at("truth.csv")); d.Score.FM != 0 || d.Score.Found < 2 {
		t.Errorf("super-pixels: %+v", d.Score)
	}
	f, err := os.Open(filepath.Join(at("drawn"), list(t, at("drawn"))[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := encoder.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	r, g, b, _ := m.At(150, 52).RGBA()
	if m.Bounds().Dx() != 200 || r>>8 != 230 || g>>8 != 30 || b>>8 != 160 {
		t.Errorf("the upper edge of the second line is %d %d %d", r>>8, g>>8, b>>8)
	}
	var manifest struct{ Settings map[string]any }
	if err := json.Unmarshal([]byte(slurp(t, at("lines.json.manifest.json"))), &manifest); err != nil || manifest.Settings["regions"] == nil {
		t.Errorf("the manifest: %v, %v", manifest, err)
	}
}

// Every format that is written is read again as the same boxes, and polygons become the
// masks that pycocotools makes of them.
func TestRegionsAreConverted(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var golden struct {
		Polygons []struct {
			W, H     int
			Polygons [][]float64
			Counts   string
		}
	}
	if err := json.Unmarshal([]byte(slurp(t, data+"golden/annotations.json")), &golden); err != nil {
		t.Fatal(err)
	}
	p := golden.Polygons[1]
	drawing(t, at("p/sub/a.png"), p.W, p.H)
	drawing(t, at("p/b.png"), 64, 32) // whose fractions are exact
	polygons, _ := json.Marshal(p.Polygons)
	coco := spill(t, at("in.json"), fmt.Appendf(nil, `{"images": [{"id": 1, "file_name": "sub/a.png"}, {"id": 2, "file_name": "b.png"}], "categories": [{"id": 4, "name": "star"}, {"id": 2, "name": "box"}],
"annotations": [{"id": 3, "image_id": 1, "category_id": 4, "segmentation": %s}, {"id": 5, "image_id": 2, "category_id": 2, "bbox": [10, 8, 20, 16]}]}`, polygons))
	boxes := func(from string) (label, box string) {
		t.Helper()
		row := strings.Split(strings.Split(stdoutOf(t, "regions", at("p/b.png"), "--regions", from, "-o", "-", "--output-format", "csv"), "\n")[1], ",")
		return row[5], fmt.Sprint(row[:5])
	}
	_, want := boxes(coco)
	for format, name := range map[string]string{"coco": "o.json", "csv": "o.csv", "medrega": "o.jsonl", "boxes": "b.jsonl", "yolo": "yolo", "voc": "voc", "labels": "labels"} {
		stdoutOf(t, "regions", at("p"), "--regions", coco, "--output-format", format, "-o", at(name))
		label, box := boxes(at(name))
		if label != "box" && format != "labels" {
			t.Errorf("%s: the label is %q", format, label)
		}
		if box != want && format != "medrega" { // which rounds
			t.Errorf("%s: the box is %s, want %s", format, box, want)
		}
		d := regionsJSON(t, exitDone, at("p"), "--regions", at(name), "--truth", coco, "--any-label")
		if d.Regions != 2 || d.Pictures != 2 || d.Score.FM != 1 && format != "labels" {
			t.Errorf("%s: %+v %+v", format, d, d.Score)
		}
	}
	if !strings.Contains(slurp(t, at("o.json")), `"counts":`+quoted(t, p.Counts)) {
		t.Errorf("the mask is not pycocotools' %s: %s", p.Counts, slurp(t, at("o.json")))
	}
	if r := do("regions", at("p"), "--regions", coco, "-o", at("again.csv")); !strings.Contains(r.messages, "what is written does not hold: mask, of which the box alone is written: 1") {
		t.Errorf("nothing says that masks are lost: %s", r.messages)
	}
}

func quoted(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// Words of BN-HTRd are regions labelled with their text, and boxes lie in lines.
func TestRegionsOfHandwriting(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	drawing(t, at("Segmentation_Images/Lines/7/7_1/7_1_1.png"), 100, 20)
	spill(t, at("Segmentation_Images/Lines/7/7_1/7_1_1.txt"), []byte("0 .5 .5 .2 1\n0 .8 .5 .2 1\nx\n"))
	drawing(t, at("Segmentation_Images/Words/7/7_1/7_1_1/7_1_1_1.png"), 30, 20)
	r := do("regions", root, "--regions", root, "--output-format", "csv", "-o", "-")
	want := "path,x1,y1,x2,y2,label,id,score\nSegmentation_Images/Lines/7/7_1/7_1_1.png,40,0,60,20,0,0,\nSegmentation_Images/Lines/7/7_1/7_1_1.png,70,0,90,20,0,1,\nSegmentation_Images/Words/7/7_1/7_1_1/7_1_1_1.png,0,0,30,20,,7_1_1_1,\n"
	if r.code != exitSomeFailed || !strings.Contains(r.messages, "7_1_1.txt:3: ") || r.stdout != want {
		t.Errorf("exit code %d, %s, %s", r.code, r.stdout, r.messages)
	}
}

// What cannot be read is named, by file and line, and the rest stays.
func TestFaultsOfTheRegionsVerb(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	drawing(t, at("p/a.png"), 30, 20)
	spill(t, at("p/broken.png"), []byte("\x89PNG\r\n\x1a\nnothing"))
	table := spill(t, at("r.csv"), []byte("path,x1,y1,x2,y2,label\na.png,0,0,9,9,x\na.png,5,5,4,4,x\na.png,0,0,99,9,x\n"))
	d := regionsJSON(t, exitSomeFailed, at("p"), "--regions", table, "-o", at("out.json"))
	if d.Regions != 1 || d.Pictures != 1 || d.Failed != 3 || len(d.Faults) != 3 {
		t.Fatalf("%+v", d)
	}
	for i, want := range []string{"r.csv:3: ", "r.csv:4: ", "broken.png"} {
		if !strings.Contains(d.Faults[i], want) {
			t.Errorf("fault %d is %s, want one that says %s", i, d.Faults[i], want)
		}
	}
	if d := regionsJSON(t, exitDone, at("p/a.png"), "--regions", at("out.json")); d.Regions != 1 {
		t.Errorf("what could be read is not written: %+v", d)
	}
	spill(t, at("full/x"), nil)
	use := []string{"regions", at("p"), "--regions", table}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "takes pictures", []string{"regions"}},
		{exitUsage, "say which regions", use[:2]},
		{exitUsage, "--truth", with(use, "--iou", "0.5")},
		{exitUsage, "at most 1", with(use, "--truth", table, "--iou", "1.5")},
		{exitUsage, "--region-rule is of the units", with(use, "--region-rule", "any")},
		{exitUsage, "go with -o", with(use, "--output-format", "csv")},
		{exitUsage, "cannot be told by its name", with(use, "-o", at("folder"))},
		{exitUsage, "--output-format \"bnhtrd\" is not known", with(use, "-o", at("x"), "--output-format", "bnhtrd")},
		{exitUsage, "is not empty", with(use, "-o", at("full"), "--output-format", "voc")},
		{exitUsage, "is a folder", with(use, "-o", at("full"), "--output-format", "csv")},
		{exitUsage, "--force replaces it", with(use, "-o", at("out.json"))},
		{exitUsage, "would be made from", with(use, "-o", table, "--force")},
		{exitUsage, "a format of one file", with(use, "-o", "-", "--output-format", "yolo")},
		{exitFailed, "no such file", with(use, "--truth", at("nowhere.json"))},
		{exitUsage, "the choices are", with(use, "--format", "x")},
		{exitUsage, "slic:N", []string{"regions", at("p"), "--regions", "slic:0"}},
		{exitFailed, "no picture of 100", []string{"regions", digits, "--regions", spill(t, at("one.csv"), []byte("path,x1,y1,x2,y2\na.png,0,0,9,9\n"))}},
	} {
		if r := do(c.args...); r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%q: exit code %d, %s; want %d and %q", c.args, r.code, r.messages, c.code, c.want)
		}
	}
	drawing(t, at("twins/a.png"), 30, 20)
	drawing(t, at("twins/a.bmp.png"), 30, 20)
	drawing(t, at("twins/a.bmp"), 30, 20)
	if r := do("regions", at("twins"), "--regions", "lines", "-o", at("twin"), "--output-format", "voc"); r.code != exitFailed || !strings.Contains(r.messages, "two pictures") {
		t.Errorf("two pictures of one name: exit code %d, %s", r.code, r.messages)
	}
	for _, name := range list(t, dir) {
		if strings.Contains(name, "twin-") || name == "twin" {
			t.Errorf("%s is left of what failed", name)
		}
	}
}

// COCO's ids are unique numbers: where they are not those of the pictures it is said, once.
func TestRenumberedRegionsAreSaid(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	drawing(t, at("p/a.png"), 30, 20)
	drawing(t, at("p/b.png"), 30, 20)
	spill(t, at("own.csv"), []byte("path,x0,y0,x1,y1,label,id\na.png,0,0,5,5,l,7\nb.png,0,0,5,5,l,8\n"))
	spill(t, at("twice.csv"), []byte("path,x0,y0,x1,y1,label,id\na.png,0,0,5,5,l,7\nb.png,0,0,5,5,l,7\n"))
	for _, c := range []struct{ regions, out, want string }{
		{at("own.csv"), "own.json", ""},
		{at("twice.csv"), "twice.json", "id that the region has in its picture: 1"},
		{"slic:4", "slic.json", "--draw, and codes with the same --regions, have the ids"},
		{"slic:4", "slic.csv", ""},
	} {
		r := do("regions", at("p"), "--regions", c.regions, "-o", at(c.out))
		if want := min(len(c.want), 1); r.code != exitDone || strings.Count(r.messages, "have the ids of the picture") != want || !strings.Contains(r.messages, c.want) {
			t.Errorf("%s: exit code %d, %q; want %q", c.out, r.code, r.messages, c.want)
		}
	}
}
