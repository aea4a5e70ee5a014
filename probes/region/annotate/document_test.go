package annotate

import (
	"strings"
	"testing"
)

// What comes behind a document, other than white space, is a fault and is not read, as
// json.load and XML parsers refuse it.
func TestOneDocument(t *testing.T) {
	coco := `{"images": [{"id": 5, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 5, "category_id": 2, "bbox": [10, 20, 30, 40]}]}`
	voc := strings.ReplaceAll(vocOf, "%s", "a.jpg")
	for _, c := range []struct{ file, text, want string }{
		{"x.json", coco + " \r\n\t\n", ""}, {"x.json", coco + "\n garbage", "line 1: got more behind"}, {"x.json", coco + "\n\n" + coco, "line 1: got more behind"},
		{"x.json", coco + "}", "got more behind"}, {"x.json", coco + "\x00", "got more behind"},
		{"x.xml", voc + "\n\n<!-- by a tool --><?pi?>\n", ""}, {"x.xml", voc + "\n" + voc, "line 2: got the element <annotation> behind"},
		{"x.xml", voc + "\ngarbage", `got the text "garbage"`}, {"x.xml", "garbage\n" + voc, `got the text "garbage"`},
	} {
		s, err := Open(write(t, c.file, c.text), Options{})
		got := ""
		if err != nil {
			got = err.Error()
		} else if s.Regions() != 1 {
			t.Errorf("%q: got %d regions, want 1", c.text, s.Regions())
		} else if s.Faults.Count > 0 {
			got = s.Faults.Rows[0].Error()
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
	results := `[{"image_id": 5, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.5}]`
	images := write(t, "i.json", coco)
	if s, err := Open(write(t, "r.json", results+"[]"), Options{Images: images}); err != nil || s.Faults.Count != 1 {
		t.Errorf("two lists of results: %v", err)
	}
	if _, err := Open(write(t, "r.json", results), Options{Images: write(t, "i.json", coco+"]")}); err == nil || !strings.Contains(err.Error(), "got more behind") {
		t.Errorf("images of results with more behind: %v", err)
	}
}
