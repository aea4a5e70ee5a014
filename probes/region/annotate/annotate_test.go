package annotate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// items is a dataset of pictures by ID, below a folder.
type items []string

func (s items) Len() int { return len(s) }
func (s items) Item(i int) dataset.Item {
	return dataset.Item{ID: s[i], Path: "data/" + s[i], Label: -1}
}

// write makes a file below a folder of the test's own, and says where.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var size = picture.Size{H: 100, W: 200}

// describe is regions as text: label, id and box.
func describe(rs []region.Region) string {
	var out []string
	for _, r := range rs {
		mask := ""
		if r.Mask != nil {
			mask = fmt.Sprintf(" mask %d", r.Mask.Count())
		}
		if r.Crowd {
			mask += " crowd"
		}
		out = append(out, fmt.Sprintf("%s %s %.4g %.4g %.4g %.4g%s", r.Label, r.ID, r.Box.X0, r.Box.Y0, r.Box.X1, r.Box.Y1, mask))
	}
	return strings.Join(out, "; ")
}

// read opens a file and gives the regions of a.jpg and all faults, reading's first.
func read(t testing.TB, path string, o Options) (rs []region.Region, faults []Fault, s *Set) {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"sub/a.jpg", "b.jpg"})
	rs, late := m.Regions(0, size)
	return rs, slices.Concat(s.Faults.Rows, m.Faults.Rows, late), s
}

const cocoText = `{"info": {"x": [1, {"y": 2}]},
"annotations": [
 {"id": 1, "image_id": 5, "category_id": 2, "bbox": [10, 20, 30, 40], "iscrowd": 0},
 {"id": 2, "image_id": 5, "category_id": 9, "bbox": [0, 0, 4, 4], "segmentation": [[0,0, 4,0, 4,4, 0,4]]},
 {"id": 3, "image_id": 5, "category_id": 2, "bbox": [NaN, 0, 4, 4]},
 {"id": 4, "image_id": 5, "category_id": 2, "bbox": [1, 2, 3]},
 {"id": 5, "image_id": 5, "category_id": 2, "bbox": [5, 5, -3, 4]},
 {"id": 6, "image_id": 6, "category_id": 2, "bbox": [5, 5, 3, 4]},
 {"id": 7, "image_id": 5, "category_id": 2, "bbox": [190, 90, 40, 40]},
 {"id": 8, "image_id": 5, "category_id": 2, "bbox": "x"},
 {"id": 9, "image_id": 5, "category_id": 2, "bbox": [0, 0, 2, 2], "iscrowd": 1, "segmentation": {"size": [100, 200], "counts": [0, 2, 98, 2, 19898]}},
 {"id": 10, "image_id": 5, "category_id": 2, "bbox": [0, 0, 2, 2], "segmentation": {"size": [9, 9], "counts": [81]}},
 {"id": 11, "image_id": 5, "category_id": 2, "bbox": [0, -Infinity, 2, 2]}
],
"categories": [{"id": 2, "name": "cat NaN"}],
"images": [{"id": 5, "file_name": "a.jpg", "width": 200, "height": 100}]}`

// Each format's rows, good and bad: what is read of a.jpg, 200 wide and 100 high, and the
// faults by line.
var readings = []struct {
	name, file, content string
	o                   Options
	want                string
	faults              []string
}{
	{"coco", "x.json", cocoText, Options{}, "cat NaN 1 10 20 40 60; 9 2 0 0 4 4 mask 16; cat NaN 9 0 0 2 2 mask 4 crowd", []string{
		":5: ", "want finite", ":6: ", "3 numbers, want 4", ":7: ", "inverted", ":10: ", "bbox got a JSON string, want a list", ":13: ", "want finite",
		":8: ", `got image_id "6"`, ":9: ", "want them in a picture of 200 x 100", ":12: ", "got a mask of 9 x 9"}},
	{"coco boxes", "x.json", cocoText, Options{BoxOnly: true}, "cat NaN 1 10 20 40 60; 9 2 0 0 4 4; cat NaN 9 0 0 2 2 crowd; cat NaN 10 0 0 2 2", nil},
	{"coco clipped", "x.json", cocoText, Options{Clip: true}, "cat NaN 1 10 20 40 60; 9 2 0 0 4 4 mask 16; cat NaN 7 190 90 200 100; cat NaN 9 0 0 2 2 mask 4 crowd", nil},
	{"yolo", "a.txt", "0 0.5 0.5 0.1 0.2\n1 .5 .5 .1 .2 .9\n\n2 0 0 .02 0 .02 .04 0 .04\n0 0.5 nan 0.1 0.2\n0 0.5 0.5 0 0.2\nx 0.5 0.5 0.1 0.2\n0 50 50 10 10\n0 1 2\n", Options{},
		"0 0 90 40 110 60; 1 1 90 40 110 60; 2 2 0 0 4 4 mask 16", []string{":5: ", `got "nan"`, ":7: ", `got class "x"`, ":9: ", "got 3 fields", ":6: ", "empty", ":8: ", "fractions"}},
	{"yolo names", "a.txt", "1 0.5 0.5 0.1 0.2\n2 .5 .5 .1 .1", Options{Names: []string{"cat", "dog"}}, "dog 0 90 40 110 60", []string{":2: ", "one of the 2 named"}},
	{"csv", "x.csv", "path,x1,y1,x2,y2,label,id\na.jpg,1,2,3,4,cat,q\na.jpg,1,2,3\n\"a.jpg\",5,6,\"7\",8,\"do\ng\",r\na.jpg,1,2,x,4,cat,q\na.jpg,9,2,3,4,cat,q\n,1,2,3,4,cat,q\na.jpg,1,2,300,4,cat,s\nzzz.jpg,1,2,3,4,,\n", Options{},
		"cat q 1 2 3 4; do\ng r 5 6 7 8", []string{":3: ", "got 4 fields, want 7", ":6: ", `got "x"`, ":7: ", "inverted", ":8: ", "names no picture", ":10: ", `"zzz.jpg" is not in the dataset`, ":9: ", "want them in a picture"}},
	{"csv xywh", "x.csv", "image,x,y,w,h\nsub/a.jpg,10,20,30,40\n", Options{}, " 0 10 20 40 60", nil},
	{"csv cxcywh", "x.tsv", "label\tcx\tcy\tw\th\tfilename\ncat\t0.5\t0.5\t0.1\t0.2\tdata/sub/a.jpg\n", Options{Normalised: true}, "cat 0 90 40 110 60", nil},
	{"csv other meaning", "x.csv", "\ufeffpath,x1,y1,x2,y2\n/mnt/sub/a.jpg,10,20,30,40\n", Options{Boxes: "xywh"}, " 0 10 20 40 60", nil},
	{"voc", "a.xml", "<?xml version=\"1.0\"?>\n<annotation><folder>f</folder><filename>a.jpg</filename>\n<size><width>200</width><height>100</height></size>\n<object><name>cat</name><part><name>head</name><bndbox/></part><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>200</xmax><ymax>100</ymax></bndbox></object>\n<object><name>dog</name></object>\n<object><name>cow</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>3</xmax><ymax>NaN</ymax></bndbox></object>\n</annotation>", Options{},
		"cat 0 0 0 200 100", []string{":5: ", "no bndbox", ":6: ", "want a finite number"}},
	{"voc without a name", "a.xml", "<annotation><object><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>", Options{}, " 0 2 3 3 4", nil},
	{"medrega", "x.txt", "a.jpg\tThe <ref>left lung</ref><box>[[0, 0, 999, 999], [500,500,600,600]]</box> and <ref> heart</ref> <box>[[1, 2, 3, 4]]</box>.\na.jpg\t<box>[[1, 2, 3, 1000]]</box><box>[[0,0,1.5,2],[0,0,1,1],[5,5,5,5]]</box>\nno tab <box>\na.jpg\t<ref>x</ref><box>[1,2\na.jpg\tno region\n", Options{},
		"left lung 0 0 0 200 100; left lung 1 100.1 50.05 120.1 60.06; heart 2 0.2002 0.2002 0.6006 0.4004; \u200b 3 0 0 0.2002 0.1001",
		[]string{":2: ", "0 to 999", ":2: ", "four whole numbers", ":2: ", "empty", ":3: ", "no tab", ":4: ", "no </box>"}},
	{"medrega json", "x.jsonl", "{\"image\": \"a.jpg\", \"conversations\": [{\"from\": \"human\", \"value\": \"<box>[[1,1,2,2]]</box>?\"}, {\"from\": \"gpt\", \"value\": \"<ref>a</ref><box>[[0,0,500,1000]]</box>\"}]}\n{\"answer\": \"<box>[[0,0,1,1]]</box>\"}\n", Options{Scale: 1000},
		"a 0 0 0 100 100", []string{":2: ", "names no picture"}},
	{"boxes", "x.jsonl", "{\"id\": \"sub/a.jpg\", \"boxes\": [[1, 2, 3, 4], [1, 2, 3], [4, 4, 4, 4]], \"labels\": [\"cat\", 7, \"x\"]}\n{\"id\": \"sub/a.jpg\", \"boxes\": [5, 6, 7, 8]}\n{\"id\": \"sub/a.jpg\", \"boxes\": [5, 6, 7]}\n{\"id\": 3}\n", Options{},
		"cat 0 1 2 3 4;  1 5 6 7 8", []string{":1: ", "3 numbers, want 4", ":1: ", "empty", ":3: ", "[5, 6, 7]", ":4: ", "no boxes"}},
}

func TestReaders(t *testing.T) {
	for _, c := range readings {
		t.Run(c.name, func(t *testing.T) {
			rs, faults, _ := read(t, write(t, c.file, c.content), c.o)
			if got := describe(rs); got != strings.ReplaceAll(c.want, "\u200b", "") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if c.faults == nil {
				return
			}
			if len(faults) != len(c.faults)/2 {
				t.Errorf("got %d faults, want %d: %v", len(faults), len(c.faults)/2, faults)
				return
			}
			for i, f := range faults {
				if m := f.Error(); !strings.Contains(m, c.file+c.faults[2*i]) || !strings.Contains(m, c.faults[2*i+1]) {
					t.Errorf("fault %d is %q, want %q and %q", i, m, c.faults[2*i], c.faults[2*i+1])
				}
			}
		})
	}
}

func TestFolders(t *testing.T) {
	dir := filepath.Dir(write(t, "classes.txt", "cat\r\ndog\r\n"))
	for name, content := range map[string]string{"sub/a.txt": "1 .5 .5 .5 .5\n", "b.txt": "0 .5 .5 .5 .5\n", "c.v2.txt": "0 .5 .5 .1 .1"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"train/sub/a.jpg", "train/b.png", "c.v2.jpg", "none.jpg"})
	for i, want := range []string{"dog 0 50 25 150 75", "cat 0 50 25 150 75", "cat 0 90 45 110 55", ""} {
		if rs, faults := m.Regions(i, size); describe(rs) != want || faults != nil || m.Has(i) != (want != "") {
			t.Errorf("item %d: got %s (%v), want %s", i, describe(rs), faults, want)
		}
	}
	if s.Format != "yolo" || s.Len() != 3 || s.Regions() != 3 || m.Faults.Count != 0 {
		t.Errorf("%s, %d pictures, %d regions, %v", s.Format, s.Len(), s.Regions(), m.Faults)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name string
		ds   items
		want string // the item, or part of the fault
	}{
		{"x/a.jpg", items{"a.jpg", "x/a.jpg"}, "1"},                        // the ID, though two end so
		{"a.jpg", items{"x/a.jpg", "a.jpg"}, "1"},                          // the ID before the file name
		{"y/x/a.jpg", items{"x/a.jpg", "z/a.jpg"}, "0"},                    // ends in the ID
		{"x/a.jpg", items{"y/x/a.jpg", "z/a.jpg"}, "0"},                    // the ID ends so
		{`C:\y\a.jpg`, items{"b.jpg", "a.jpg"}, "1"},                       // another system's path
		{"q/a.jpg", items{"x/a.jpg", "b.jpg"}, "0"},                        // the file name
		{"q/a.jpg", items{"x/a.jpg", "y/a.jpg"}, `"q/a.jpg" is ambiguous`}, // the file name, twice
		{"a.jpg", items{"x/a.jpg", "y/a.jpg"}, "ambiguous"},
		{"a.jpg", items{"x/a.png", "aa.jpg"}, "is not in the dataset of 2"}, // the extension counts
		{"a.jpg", items{"xa.jpg"}, "is not in the dataset"},
		{"t.npy[3]", items{"t.npy[2]", "t.npy[3]"}, "1"},
		{"/home/me/x/a.jpg", items{"a.jpg", "x/a.jpg"}, "1"},          // ends in both: the longer end
		{"/home/me/x/a.jpg", items{"q/x/a.jpg", "x/a.jpg"}, "1"},      // ends in one
		{`..\..\pics\x\a.jpg`, items{"a.jpg", "x/a.jpg"}, "1"},        // another system's relative path
		{"x/%C3%BC%20b.jpg", items{"ü b.jpg", "u b.jpg"}, "0"},        // as in a URL
		{"u\u0308.jpg", items{"ü.jpg", "u.jpg"}, "0"},                 // letters and marks apart
		{"a%20b.jpg", items{"a b.jpg", "a%20b.jpg"}, "1"},             // as it is, before its meaning
		{"a b.jpg", items{"a%20b.jpg", "b.jpg"}, "0"},                 // the item as in a URL
		{"sp%20ace%20x.jpg", items{"sp ace%20x.jpg"}, "0"},            // both
		{"sp%20ace%2520x.jpg", items{"sp ace%20x.jpg", "x.jpg"}, "0"}, // escaped as it should be
		{"a%2.jpg", items{"a.jpg", "a%2.jpg"}, "1"},
	} {
		s := &Set{index: map[string]int{}}
		s.add(c.name, "f.csv", mark{line: 7, box: region.Box{X1: 1, Y1: 1}})
		m := s.Match(c.ds)
		got := ""
		for i := range c.ds {
			if m.Has(i) {
				got += fmt.Sprint(i)
			}
		}
		for _, f := range m.Faults.Rows {
			if got += f.Error(); !strings.HasPrefix(got, "f.csv:7: ") {
				t.Errorf("the fault is %q", got)
			}
		}
		if got != c.want && (len(c.want) == 1 || !strings.Contains(got, c.want)) {
			t.Errorf("%q in %q is %s, want %s", c.name, c.ds, got, c.want)
		}
	}
}

func TestSizeIsCompared(t *testing.T) {
	s, err := Open(write(t, "x.json", cocoText), Options{})
	if err != nil {
		t.Fatal(err)
	}
	rs, faults := s.Match(items{"a.jpg"}).Regions(0, picture.Size{H: 200, W: 100})
	if len(rs) != 0 || len(faults) != 1 || !strings.Contains(faults[0].Error(), "got a picture of 100 x 200 (width x height), want 200 x 100") {
		t.Errorf("got %d regions and %v", len(rs), faults)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		file, content string
		o             Options
		want          string
	}{
		{"x.json", "[]", Options{}, "the list is empty"},
		{"x.json", `{"images": [{"id": 1, `, Options{}, "unexpected EOF"},
		{"x.json", `{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": {"a": 1}}`, Options{}, "the value of annotations is not a list"},
		{"x.json", `{"images": {"1": "a.jpg"}, "annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}]}`, Options{}, "of which there are 0"},
		{"x.json", `{"images": {"1": "a.jpg"}, "annotations": []}`, Options{}, "the value of images is not a list"},
		{"x.json", "", Options{}, "the file is empty"},
		{"x.json", "null", Options{}, "got null, want {"},
		{"x.json", `{"images": [], "annotations": [{"segmentation": "x"}]}`, Options{}, "the segmentation: got a JSON string, want an object"},
		{"x.csv", "", Options{}, "the file is empty"},
		{"x.jsonl", `{"image": "a.jpg", "answer": ["<box>"]}`, Options{}, "answer got a JSON list, want a string"},
		{"x.jsonl", `{"path": "a.jpg", "boxes": [], "labels": 7}`, Options{}, "labels got a JSON number, want a list"},
		{"x.csv", "a,b\n1,2\n", Options{}, "want a column path"},
		{"x.csv", "path,b\n1,2\n", Options{}, "want the columns x1"},
		{"x.csv", "filename,region_count,region_shape_attributes\n", Options{}, "a file of VIA"},
		{"x.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\n", Options{}, "a file of Open Images"},
		{"x.xml", "<svg/>", Options{}, "want <annotation>"},
		{"x.txt", "hello", Options{}, "say the format"},
		{"x.txt", "hello", Options{Format: "kitti"}, "want auto, coco, yolo, csv, voc, medrega, boxes, labels"},
		{"x.txt", "0 1 2", Options{Boxes: "yxyx"}, "want xyxy, xywh or cxcywh"},
		{"x.txt", "0 9 9 9 9", Options{}, "x.txt:1: "},
	} {
		if _, err := Open(write(t, c.file, c.content), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.file, c.content, err, c.want)
		}
	}
	if _, err := Open("missing.json", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "say the format") {
		t.Errorf("an empty folder: %v", err)
	}
}

// A broken end costs what comes after it, not what was read.
func TestTruncatedCOCO(t *testing.T) {
	whole := `{"images": [{"id": 5, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 5, "category_id": 2, "bbox": [10, 20, 30, 40]},` + "\n{\"id\": 2"
	rs, faults, _ := read(t, write(t, "x.json", whole), Options{})
	if describe(rs) != "2 1 10 20 40 60" || len(faults) != 1 || !strings.Contains(faults[0].Error(), "the rest is not read") {
		t.Errorf("got %s and %v", describe(rs), faults)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, faults, s := read(t, write(t, "a.txt", "0 .5 .5 .1 .1\n"+strings.Repeat("0 1\n", MaxFaults+50)), Options{})
	if len(faults) != MaxFaults || s.Faults.Count != MaxFaults+50 {
		t.Errorf("%d faults are kept of %d", len(faults), s.Faults.Count)
	}
}

func TestUTF16(t *testing.T) {
	text := "path,x1,y1,x2,y2,label\na.jpg,1,2,3,4,বাংলা 𝄞\n"
	for _, order := range []string{"little", "big"} {
		var b bytes.Buffer
		for _, u := range utf16Of("\ufeff" + text) {
			if order == "little" {
				b.Write([]byte{byte(u), byte(u >> 8)})
			} else {
				b.Write([]byte{byte(u >> 8), byte(u)})
			}
		}
		rs, faults, _ := read(t, write(t, "x.csv", b.String()), Options{})
		if describe(rs) != "বাংলা 𝄞 0 1 2 3 4" || faults != nil {
			t.Errorf("%s: got %s, %v", order, describe(rs), faults)
		}
	}
}

// A fault names the line on which its element begins.
func TestLinesOfIndentedCOCO(t *testing.T) {
	text := "{\n\"images\": [\n{\n\"id\": 5,\n\"file_name\": \"a.jpg\"\n}\n],\n\"annotations\": [\n{\n\"id\": 1,\n\"image_id\": 5,\n\"bbox\": [\n1,\n2,\n3,\n4\n]\n},\n{\n\"id\": 2,\n\"image_id\": 5,\n\"bbox\": [\n1,\nNaN,\n3,\n4\n]\n}\n]\n}\n"
	rs, faults, _ := read(t, write(t, "x.json", text), Options{})
	if describe(rs) != " 1 1 2 4 6" || len(faults) != 1 || faults[0].Line != 19 {
		t.Errorf("got %s and %v, want a fault on line 19", describe(rs), faults)
	}
}

// A mask without a pixel is called so, whatever its box.
func TestEmptyMasksAreNamed(t *testing.T) {
	text := `{"images": [{"id": 5, "file_name": "a.jpg"}], "annotations": [
{"id": 1, "image_id": 5, "bbox": [300, 0, 4, 4], "segmentation": {"size": [100, 200], "counts": [20000]}},
{"id": 2, "image_id": 5, "bbox": [300, 0, 4, 4], "segmentation": {"size": [100, 200], "counts": [5, 19995]}}]}`
	_, _, s := read(t, write(t, "x.json", text), Options{})
	if got := s.LeftOut().Counts(); got[NoPixel] != 1 || got[Outside] != 1 {
		t.Errorf("counted are %v", got)
	}
}
