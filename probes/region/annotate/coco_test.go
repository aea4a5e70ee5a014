package annotate

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Numbers that are whole may be written as floats, wherever COCO means integers, and flags as
// Python's truths; other values are faults of their element.
func TestCOCOTakesWholeFloats(t *testing.T) {
	text := `{"images": [{"id": 1.0, "file_name": "a.jpg", "width": 200.0, "height": 1e2}, {"id": 2, "file_name": "b.jpg", "width": 20.5, "height": 3}],
"categories": [{"id": 3.0, "name": "cat"}],
"annotations": [{"id": 7.0, "image_id": 1, "category_id": 3, "bbox": [0.0, 0, 2, 2.0], "iscrowd": 1.0,
 "segmentation": {"size": [100.0, 200.0], "counts": [0.0, 2.0, 98, 2, 19898]}},
{"id": 8, "image_id": 1.0, "category_id": 3.0, "bbox": [1, 2, 10, 5], "iscrowd": false},
{"id": 9, "image_id": 1.0, "category_id": 3.0, "bbox": [1, 2, 10, 5], "iscrowd": "maybe"},
{"id": 10, "image_id": 1, "category_id": 4, "segmentation": {"size": [100, 200], "counts": [102, 3, 97, 1, 19797]}},
{"id": 11, "image_id": 1, "category_id": 3, "caption": "a cat"},
{"id": 13, "image_id": 1, "category_id": "` + "\xfc" + `", "bbox": [1, 2, 10, 5]},
{"id": 12, "image_id": 1, "category_id": 3, "segmentation": {"size": [100, 200], "counts": [99, 2, 19899]}}]}`
	rs, faults, s := read(t, write(t, "x.json", text), Options{})
	if got, want := describe(rs), "cat 7 0 0 2 2 mask 4 crowd; cat 8 1 2 11 7; 4 10 1 2 3 5 mask 4; cat 12 0 0 2 100 mask 2"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want := Counts{BadRow: 3, NoShape: 1}
	if fmt.Sprint(s.LeftOut().Counts()) != fmt.Sprint(want) || len(faults) != 4 {
		t.Errorf("left out %v, want %v: %v", s.LeftOut().Counts(), want, faults)
	}
	if s.Noted[CrowdKept] != 1 || s.Noted[Unnamed] != 1 || !(source{&Matched{set: s}}).Crowded() {
		t.Errorf("noted %v", s.Noted)
	}
}

// What is found wrong after reading is counted by reason, once however often it is asked for.
func TestLeftOutIsCountedByReason(t *testing.T) {
	s, err := Open(write(t, "x.json", cocoText), Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"a.jpg"})
	m.Regions(0, size)
	m.Regions(0, size)
	s.Match(items{"b.jpg"})
	want := "empty or inverted box: 3; annotation of an image that the file does not list: 1; box beyond the picture: 1; " +
		"picture that is not in the dataset: 1; polygon or mask that cannot be read: 1; row that cannot be read: 1"
	if got := s.LeftOut().Counts().String(); got != strings.Replace(want, "box: 3", "box: 4", 1) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Results name images by number: the file that lists them is asked for.
func TestCOCOResults(t *testing.T) {
	path := write(t, "r.json", `[{"image_id": 5, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.5},
 {"image_id": 5.0, "category_id": 2, "keypoints": [1, 2, 0.5, 7, 4, 1], "score": 0.25},
 {"image_id": 5, "category_id": 2, "segmentation": {"size": [100, 200], "counts": "0c3"}, "score": "high"},
 {"image_id": 99, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.5}]`)
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "give the COCO file that lists the images") {
		t.Fatalf("without images: %v", err)
	}
	images := write(t, "i.json", cocoText)
	rs, faults, s := read(t, path, Options{Images: images})
	if got := describe(rs); got != "cat NaN 0 10 20 40 60; cat NaN 1 1 2 7 4" || *rs[1].Score != 0.25 || len(faults) != 2 {
		t.Errorf("got %s and %v", got, faults)
	}
	first, err := s.Sum256()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(images, []byte(cocoText+" "), 0o666)
	if again, _ := s.Sum256(); again == first {
		t.Error("the sum does not follow the images")
	}
	for text, want := range map[string]string{
		`{"images": []}`: "give the file with the annotations", `{"info": {}}`: `got the keys ["info"]`,
		`{"version": "5", "shapes": [], "imagePath": "a.jpg"}`:                 "a file of LabelMe",
		`{"_via_settings": {}, "_via_img_metadata": {}}`:                       "a file of VIA",
		`{"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": []}}`:        "a file of VIA",
		`[{"id": 1, "annotations": [{"result": []}], "data": {"image": "x"}}]`: "a file of Label Studio",
		`[{"image": "a.jpg", "annotations": [{"label": "x"}]}]`:                "a file of CreateML",
		`{"info": {}, "categories": {}, "items": []}`:                          "a file of Datumaro",
		`[1, 2]`: "got the keys []",
		`7`:      "want {",
	} {
		if _, err := Open(write(t, "x.json", text), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Panoptic masks have R + 256 G + 65536 B in each pixel, in the folder named as the file.
func TestCOCOPanoptic(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 200, 100))
	for i := range m.Pix {
		m.Pix[i] = 255 * byte(i%4/3) // opaque black
	}
	for x := 10; x < 14; x++ {
		m.Set(x, 20, color.NRGBA{R: 3, A: 255})
		m.Set(x, 30, color.NRGBA{R: 1, G: 2, B: 1, A: 255})
		m.Set(x, 40, color.NRGBA{B: 9, A: 255})
	}
	var b bytes.Buffer
	png.Encode(&b, m)
	path := write(t, "p.json", `{"images": [{"id": 5, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "sky"}],
"annotations": [{"image_id": 5, "file_name": "a.png", "segments_info": [
 {"id": 3, "category_id": 1, "bbox": [10, 20, 4, 1], "iscrowd": 1}, {"id": 66049, "category_id": 1, "bbox": [10, 30, 4, 1]},
 {"id": 8, "category_id": 1, "bbox": [1, 1, 4, 1]}]}]}`)
	rs, faults, s := read(t, path, Options{})
	if len(rs) != 0 || len(faults) != 1 || !strings.Contains(faults[0].Error(), "a.png") {
		t.Errorf("without masks: %v, %v", describe(rs), faults)
	}
	if sum, err := s.Sum256(); err != nil || sum == "" {
		t.Errorf("without masks, which is a fault of their pictures, the sum is %q, %v", sum, err)
	}
	os.Mkdir(strings.TrimSuffix(path, ".json"), 0o777)
	os.WriteFile(filepath.Join(strings.TrimSuffix(path, ".json"), "a.png"), b.Bytes(), 0o666)
	rs, faults, s = read(t, path, Options{})
	if got := describe(rs); got != "sky 3 10 20 14 21 mask 4 crowd; sky 66049 10 30 14 31 mask 4" {
		t.Errorf("got %s", got)
	}
	if got := s.LeftOut().Counts(); got[NoSegment] != 1 || got[NoPixel] != 1 || len(faults) != 2 {
		t.Errorf("left out %v: %v", got, faults)
	}
	if rs, faults, _ = read(t, path, Options{BoxOnly: true}); describe(rs) != "sky 3 10 20 14 21 crowd; sky 66049 10 30 14 31; sky 8 1 1 5 2" || faults != nil {
		t.Errorf("boxes alone: %s, %v", describe(rs), faults)
	}
	if sum, err := s.Sum256(); err != nil || sum == "" {
		t.Error(err)
	}
}
