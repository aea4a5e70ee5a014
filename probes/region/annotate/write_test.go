package annotate

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// written writes pictures to a new file or folder and says where it is.
func written(t *testing.T, o Output, pictures ...Picture) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out"+o.Ext)
	var b bytes.Buffer
	var w *Writer
	if o.Folder() {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		w = o.In(path)
	} else {
		w = o.To(&b)
	}
	for _, p := range pictures {
		if err := w.Write(p); err != nil {
			return path, err
		}
	}
	err := w.Close()
	if err == nil && !o.Folder() {
		err = os.WriteFile(path, b.Bytes(), 0o644)
	}
	return path, err
}

func maskOf(t *testing.T, at ...[2]int) *region.Mask {
	t.Helper()
	m, err := region.NewMask(size.H, size.W)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range at {
		m.Set(p[0], p[1])
	}
	return m
}

func box(x0, y0, x1, y1 float64) region.Box { return region.Box{X0: x0, Y0: y0, X1: x1, Y1: y1} }

// What is written is read again as it was, in every format: boxes to the rounding of
// their numbers (MedRegA's to half a thousandth of the picture, label maps' to a pixel),
// labels, IDs and masks where the format has them, told apart by content alone.
func TestRoundTrips(t *testing.T) {
	a := Picture{Name: "sub/a.jpg", Size: size, Regions: []region.Region{
		{ID: "4", Label: "cat & <dog>", Box: box(0, 0.5, 100.25, 99)},
		{ID: "8", Label: "cat & <dog>", Box: box(150, 10, 200, 100)},
		{ID: "9", Label: "", Box: box(4, 3, 61, 10), Mask: maskOf(t, [2]int{3, 4}, [2]int{3, 5}, [2]int{9, 60})},
	}}
	b := Picture{Name: "b.jpg", Size: picture.Size{H: 10, W: 10}, Regions: []region.Region{{ID: "1", Label: "বাং লা: #1", Box: box(1, 2, 3, 4)}}}
	none := Picture{Name: "none.jpg", Size: size}
	loose := map[string]float64{"medrega": 0.51 / 999 * 200, "labels": 0.51}
	without := map[string][]string{"ids": {"yolo", "voc", "medrega"}, "labels": {"labels"}}
	for _, o := range Outputs {
		path, err := written(t, o, a, none, b)
		if err != nil {
			t.Fatalf("%s: %v", o.Name, err)
		}
		s, err := Open(path, Options{})
		if err != nil || s.Format != o.Name || s.Faults.Count > 0 {
			t.Errorf("%s: %v, read as %s, %v", o.Name, err, s.Format, s.Faults.Rows)
			continue
		}
		m := s.Match(items{"sub/a.jpg", "b.jpg", "none.jpg"})
		for i, p := range []Picture{a, b, none} {
			rs, faults := m.Regions(i, p.Size)
			if len(rs) != len(p.Regions) || faults != nil || m.Faults.Count > 0 {
				t.Errorf("%s: %s has %s; %v, %v", o.Name, p.Name, describe(rs), faults, m.Faults.Rows)
				continue
			}
			for k, want := range p.Regions {
				got := rs[k]
				if !slices.Contains(without["labels"], o.Name) && got.Label != want.Label || !slices.Contains(without["ids"], o.Name) && got.ID != want.ID {
					t.Errorf("%s: region %d of %s is %q %q, want %q %q", o.Name, k, p.Name, got.Label, got.ID, want.Label, want.ID)
				}
				for n, v := range numbersOf(got.Box, "xyxy") {
					if math.Abs(v-numbersOf(want.Box, "xyxy")[n]) > max(loose[o.Name], 1e-9) {
						t.Errorf("%s: region %d of %s is %v, want %v", o.Name, k, p.Name, got.Box, want.Box)
					}
				}
				if want.Mask != nil && o.Masks != (got.Mask != nil && slices.Equal(runsOf(got.Mask), runsOf(want.Mask))) {
					t.Errorf("%s: region %d of %s has the mask: want %v", o.Name, k, p.Name, o.Masks)
				}
			}
		}
	}
}

// IDs of COCO's annotations are numbers from 1 on and unique in the file.
func TestCOCONumbersAreUnique(t *testing.T) {
	var ps []Picture
	for i, ids := range [][]string{{"7", "0", "x"}, {"0", "7", "2", "-3"}} {
		p := Picture{Name: fmt.Sprintf("%d.png", i), Size: size}
		for _, id := range ids {
			p.Regions = append(p.Regions, region.Region{ID: id, Box: box(0, 0, 1, 1)})
		}
		ps = append(ps, p)
	}
	path, err := written(t, Outputs[0], ps...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"0.png", "1.png"})
	var got []string
	for i := range 2 {
		rs, _ := m.Regions(i, size)
		for _, r := range rs {
			got = append(got, r.ID)
		}
	}
	if want := "[7 1 2 3 4 5 6]"; fmt.Sprint(got) != want {
		t.Errorf("the ids are %v, want %v", got, want)
	}
}

// A map has the IDs of its regions where they fit, of up to 16 bits.
func TestMapValues(t *testing.T) {
	for _, c := range []struct {
		ids  []string
		want []uint16
	}{
		{[]string{"3", "700"}, []uint16{3, 700}}, {[]string{"0", "1"}, []uint16{1, 2}}, {[]string{"5", "5"}, []uint16{1, 2}},
		{[]string{"65536"}, []uint16{1}}, {[]string{"x", "9"}, []uint16{1, 2}},
	} {
		p := Picture{Name: "sub/a.jpg", Size: size}
		for k, id := range c.ids {
			p.Regions = append(p.Regions, region.Region{ID: id, Box: box(float64(9*k), 0, float64(9*k+4), 5.5)})
		}
		path, err := written(t, Outputs[len(Outputs)-1], p)
		if err != nil {
			t.Fatal(err)
		}
		rs, faults, _ := read(t, path, Options{})
		for k, v := range c.want {
			if len(rs) != len(c.want) || rs[k].ID != fmt.Sprint(v) || rs[k].Mask.Count() != 4*5 || faults != nil {
				t.Errorf("%v became %s, %v", c.ids, describe(rs), faults)
				break
			}
		}
	}
	if _, err := mapValues(make([]region.Region, 65536)); err == nil {
		t.Error("65536 regions were put into a map of 16 bits")
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	good := region.Region{Box: box(0, 0, 5, 5)}
	far := region.Region{Box: box(0, math.NaN(), 5, 5)}
	for _, o := range Outputs {
		for want, p := range map[string]Picture{
			"names no picture": {Size: size},
			"got the size":     {Name: "a.jpg", Regions: []region.Region{good}},
			"want finite":      {Name: "a.jpg", Size: size, Regions: []region.Region{far}},
		} {
			if _, err := written(t, o, p); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want one that says %s", o.Name, err, want)
			}
		}
		if !o.Folder() {
			continue
		}
		for want, names := range map[string][]string{"outside of the folder": {"../a.jpg"}, "two pictures": {"a.jpg", "a.png"}} {
			var ps []Picture
			for _, n := range names {
				ps = append(ps, Picture{Name: n, Size: size})
			}
			if _, err := written(t, o, ps...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want one that says %s", o.Name, err, want)
			}
		}
	}
	good.Label = "a</ref>"
	if _, err := written(t, Outputs[2], Picture{Name: "a.jpg", Size: size, Regions: []region.Region{good}}); err == nil {
		t.Error("a label with a tag was written")
	}
}

// A box thinner than a step keeps its place, at both edges.
func TestSteps(t *testing.T) {
	for _, c := range [][4]float64{{0, 0.01, 0, 1}, {199.99, 200, 998, 999}, {0, 200, 0, 999}, {100, 100.01, 500, 501}} {
		if a, b := steps(c[0], c[1], 200, 999); a != int(c[2]) || b != int(c[3]) {
			t.Errorf("%v to %v is %d to %d", c[0], c[1], a, b)
		}
	}
}

func TestOutputOf(t *testing.T) {
	for path, want := range map[string]string{"x.JSON": "coco", "a/x.csv": "csv", "x.jsonl": "medrega"} {
		if o, err := OutputOf(path, ""); err != nil || o.Name != want {
			t.Errorf("%s: %s, %v", path, o.Name, err)
		}
	}
	if o, err := OutputOf("x.jsonl", "boxes"); err != nil || o.Name != "boxes" {
		t.Errorf("%s, %v", o.Name, err)
	}
	for _, c := range [][2]string{{"out", ""}, {"x.xml", "auto"}, {"x.json", "bnhtrd"}} {
		if _, err := OutputOf(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "voc") {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// COCO's results carry scores, and annotations none.
func TestCOCOScores(t *testing.T) {
	sure := 0.25
	path, err := written(t, Outputs[0], Picture{Name: "a.jpg", Size: size, Regions: []region.Region{
		{ID: "1", Label: "cat", Box: box(1, 2, 3, 4), Score: &sure}, {ID: "2", Label: "cat", Box: box(1, 2, 3, 5)}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"a.jpg"})
	rs, _ := m.Regions(0, size)
	if len(rs) != 2 || rs[0].Score == nil || *rs[0].Score != sure || rs[1].Score != nil || !region.Scored(m.Source()) {
		t.Errorf("read %+v", rs)
	}
	text := `{"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"id":1,"image_id":1,"bbox":[1,2,3,4],"score":null}]}`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{}); err != nil || region.Scored(s.Match(items{"a.jpg"}).Source()) {
		t.Errorf("annotations without scores have some: %v", err)
	}
}

// What a format does not hold is counted by kind, and what it holds is read again.
func TestWhatIsLostIsCounted(t *testing.T) {
	sure := 0.25
	p := Picture{Name: "a.jpg", Size: size, Regions: []region.Region{
		{ID: "7", Label: "cat", Box: box(0, 0, 10, 10), Score: &sure, Crowd: true},
		{ID: "8", Label: "", Box: box(20, 0, 30, 10), Mask: maskOf(t, [2]int{3, 24}, [2]int{9, 25})},
		{ID: "9", Label: "dog", Box: box(20, 0, 30, 5)},
		{ID: "10", Label: "dog", Box: box(50.6, 0, 51.4, 5)},
		{ID: "11", Label: "dog", Box: box(60, 0, 70, 5)},
		{ID: "12", Label: "dog", Box: box(59, 0, 71, 6)},
	}}
	rows := Counts{OnlyBox: 1, CrowdLost: 1}
	folder := Counts{OnlyBox: 1, CrowdLost: 1, ScoreLost: 1, IDLost: 6}
	for name, want := range map[string]Counts{"coco": {}, "csv": rows, "boxes": rows, "medrega": folder, "yolo": folder, "voc": folder,
		"labels": {CrowdLost: 1, ScoreLost: 1, LabelLost: 5, PartCovered: 1, NoPixel: 1, Covered: 1}} {
		o, err := OutputOf("", name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		dir := t.TempDir()
		open := o.In
		if !o.Folder() {
			open = func(string) *Writer { return o.To(&b) }
		}
		w := open(dir)
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := w.Lost(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s loses %v, want %v", name, got, want)
		}
		if !o.Scores {
			continue
		}
		path := filepath.Join(dir, "x"+o.Ext)
		if os.WriteFile(path, b.Bytes(), 0o644) != nil {
			t.Fatal("not written")
		}
		rs, faults, s := read(t, path, Options{Format: name})
		if len(rs) != 6 || faults != nil || rs[0].Score == nil || *rs[0].Score != sure || rs[1].Score != nil || !s.scored {
			t.Errorf("%s: read %s, %v; the scores are lost", name, describe(rs), faults)
		}
	}
	ids := Picture{Name: "a.jpg", Size: size, Regions: []region.Region{{ID: "x", Box: box(0, 0, 5, 5)}, {ID: "0", Box: box(5, 0, 9, 5)}}}
	w := Outputs[len(Outputs)-1].In(t.TempDir())
	if err := w.Write(ids); err != nil || !reflect.DeepEqual(w.Lost(), Counts{IDLost: 2}) {
		t.Errorf("a label map with new values loses %v, %v", w.Lost(), err)
	}
}

// Scores have a column of a table, which may be empty, and a list in JSON Lines.
func TestScoresOfRows(t *testing.T) {
	for file, text := range map[string]string{
		"x.csv":   "path,x1,y1,x2,y2,Confidence\na.jpg,0,0,9,9,0.5\na.jpg,0,0,8,8, \na.jpg,0,0,7,7,high\n",
		"x.jsonl": `{"path": "a.jpg", "boxes": [[0,0,9,9], [0,0,8,8]], "scores": [0.5, null]}` + "\n" + `{"path": "a.jpg", "boxes": [[0,0,7,7]], "scores": []}` + "\n",
	} {
		rs, faults, s := read(t, write(t, file, text), Options{})
		if len(rs) != 2 || rs[0].Score == nil || *rs[0].Score != 0.5 || rs[1].Score != nil || !s.scored || len(faults) != 1 || !strings.Contains(faults[0].Error(), "score") {
			t.Errorf("%s: %s, %v", file, describe(rs), faults)
		}
	}
}
