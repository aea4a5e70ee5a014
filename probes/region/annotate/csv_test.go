package annotate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Columns of the picture's size are compared with it, and between rows; columns that mean the
// same are refused.
func TestColumnsOfTables(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"width,height,class,xmin,ymin,xmax,ymax,filename\n200,100,cat,1,1,9,9,a.jpg\n200.0,100,cat,2,1,9,9,a.jpg\n,,cat,3,1,9,9,a.jpg\n0,0,cat,4,1,9,9,a.jpg\n",
			"cat 0 1 1 9 9; cat 1 2 1 9 9; cat 2 3 1 9 9; cat 3 4 1 9 9 "},
		{"path,width,height,x1,y1,x2,y2\na.jpg,,,1,1,9,9\na.jpg,100,200,1,1,9,9\n", " picture of another size than annotated: 1"},
		{"path,width,height,x1,y1,x2,y2\na.jpg,200,100,1,1,9,9\na.jpg,200,101,1,1,9,9\na.jpg,200,x,1,1,9,9\na.jpg,-1,1.5,1,1,9,9\n",
			" 0 1 1 9 9 row that cannot be read: 2; picture of another size than annotated: 1"},
		{"path,x1,y1,x2,y2,class,label\na.jpg,1,1,9,9,7,cat\n", "the columns class and label, which mean the same"},
		{"1,-1,794.27,247.59,71.245,174.88,-1,-1,-1,-1\n", "a file of MOT"},
		{"path,x1,y1,x2,y2,image\na.jpg,1,1,9,9,b.jpg\n", "the columns path and image"},
	} {
		s, err := Open(write(t, "x.csv", c.text), Options{})
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: got %v, want %s", c.text, err, c.want)
			}
			continue
		}
		rs, _ := s.Match(items{"a.jpg"}).Regions(0, size)
		if got := describe(rs) + " " + s.LeftOut().Counts().String(); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

// Options that change nothing of a format are refused by name.
func TestOptionsOfOtherFormats(t *testing.T) {
	images := write(t, "i.json", `{"images": []}`)
	coco := `{"images": [{"id": 5, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 5, "bbox": [10, 20, 30, 40]}]}`
	table := "path,x1,y1,x2,y2\na.jpg,.1,.1,.9,.9\n"
	for _, c := range []struct {
		file, text, want string
		o                Options
	}{
		{"x.json", coco, "Images", Options{Images: images}}, {"x.json", coco, "Normalised", Options{Normalised: true}},
		{"x.json", coco, "Boxes", Options{Boxes: "xyxy"}}, {"x.json", coco, "Names", Options{Names: []string{"a"}}},
		{"x.csv", table, "Task", Options{Task: "detect"}}, {"x.csv", table, "Ignore", Options{Ignore: []int{1}}},
		{"x.csv", table, "", Options{Normalised: true, Boxes: "xyxy"}}, {"a.txt", yoloBoxRow, "", Options{Names: []string{"a"}, Task: "detect"}},
		{"x.json", "[" + `{"image_id": 5, "bbox": [1, 2, 3, 4]}]`, "", Options{Images: write(t, "j.json", coco)}},
	} {
		_, err := Open(write(t, c.file, c.text), c.o)
		var remedy *onnx.RemedyError
		got := ""
		if errors.As(err, &remedy) {
			got = fmt.Sprint(remedy.Options)
		}
		if c.want != "" {
			c.want = "[annotate.Options." + c.want + "]"
		}
		if got != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s %+v: got %v with %s, want %s", c.file, c.o, err, got, c.want)
		}
	}
}

// What options mend is said with them: boxes beyond the picture, and a picture that is turned.
func TestRemediesOfPlaces(t *testing.T) {
	s, err := Open(write(t, "x.csv", "path,x1,y1,x2,y2,width,height\na.jpg,1,1,300,9,,\nb.jpg,1,1,9,9,100,200\nc.jpg,1,1,9,9,100,201\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"a.jpg", "b.jpg", "c.jpg"})
	for i, want := range []string{"[annotate.Options.Clip]", "[dataset.Options.EXIF]", ""} {
		_, faults := m.Regions(i, size)
		var remedy *onnx.RemedyError
		got := ""
		if len(faults) == 1 && errors.As(faults[0], &remedy) {
			got = fmt.Sprint(remedy.Options)
		}
		if got != want || len(faults) != 1 {
			t.Errorf("picture %d: got %v with %s, want %s", i, faults, got, want)
		}
	}
}
