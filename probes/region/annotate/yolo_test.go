package annotate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Rows of each task as Ultralytics writes them, worked by hand in a picture of 200 x 100: what
// is read of them, or why it is asked what they are.
var yoloCases = []struct {
	name, rows, yaml string
	o                Options
	want             string // regions and scores, or part of the error
}{
	{"boxes", "0 .5 .5 .2 .4\n1.0 .5 .5 .1 .2\n", "", Options{}, "0 0 80 30 120 70; 1 1 90 40 110 60"},
	{"confidences", "0 .5 .5 .2 .4 .25\n0 .5 .5 .1 .2 1\n", "", Options{}, "0 0 80 30 120 70 at 0.25; 0 1 90 40 110 60 at 1"},
	{"tracks", "0 .5 .5 .2 .4 1\n0 .5 .5 .1 .2 7\n", "", Options{}, "0 1 80 30 120 70; 0 7 90 40 110 60"},
	{"tracks and confidences", "0 .5 .5 .2 .4 .9 1\n0 .2 .2 .2 .2 .8 2\n0 .2 .2 .2 .2 .8\n", "", Options{},
		"0 1 80 30 120 70 at 0.9; 0 2 20 10 60 30 at 0.8; 0 3 20 10 60 30 at 0.8"},
	{"one track", "0 .5 .5 .2 .4 .9 1\n0 .2 .2 .2 .2 .8 1\n", "", Options{}, "0 1 80 30 120 70 at 0.9; 0 1 20 10 60 30 at 0.8"},
	{"a triangle or a track", "0 .5 .5 .2 .4 .9 1\n", "", Options{}, "can be read as detect with a confidence and a track, and as segment;"},
	{"a track, said", "0 .5 .5 .2 .4 .9 1\n", "", Options{Task: "detect"}, "0 1 80 30 120 70 at 0.9"},
	{"a triangle, said", "0 .5 .5 .2 .4 .9 1\n", "", Options{Task: "segment"}, "0 0 40 40 180 100 mask 1090"},
	{"polygons", "0 .1 .1 .3 .1 .3 .3 .1 .3\n1 .5 .5 .6 .5 .6 .7\n", "", Options{}, "0 0 20 10 60 30 mask 800; 1 1 100 50 120 70 mask 190"},
	{"polygons and confidences", "0 .1 .1 .3 .1 .3 .3 .1 .3 .5\n1 .5 .5 .6 .5 .6 .7 .25\n", "", Options{},
		"0 0 20 10 60 30 mask 800 at 0.5; 1 1 100 50 120 70 mask 190 at 0.25"},
	{"polygons, confidences and tracks", "0 .1 .1 .3 .1 .3 .3 .1 .3 .5 4\n1 .5 .5 .6 .5 .6 .7 .25 9\n", "", Options{},
		"0 4 20 10 60 30 mask 800 at 0.5; 1 9 100 50 120 70 mask 190 at 0.25"},
	{"turned boxes", "0 .3 .3 .5 .4 .45 .6 .25 .5\n0 .2 .2 .3 .2 .3 .4 .2 .4 .75\n", "names: [car]\n", Options{Task: "obb"},
		"car 0 50 30 100 60 mask 900"},
	{"turned boxes alone", "0 .3 .3 .5 .4 .45 .6 .25 .5\n0 .6 .2 .7 .2 .7 .4 .6 .4\n", "", Options{}, "0 0 50 30 100 60 mask 900; 0 1 120 20 140 40 mask 400"},
	{"a turned box that holds its corners", "0 .5 .5 .6 .4 .7 .5 .6 .6\n", "", Options{}, "0 0 100 40 140 60 mask"},
	{"points of two", "0 .5 .5 .2 .4 .45 .4 .55 .4 .45 .6 .55 .6\n", "", Options{}, "0 0 80 30 120 70"},
	{"points of three", "0 .5 .5 .2 .4 .45 .4 2 .55 .4 1 0 0 0\n0 .2 .2 .2 .2 .15 .15 1 0 0 0 .25 .25 1\n", "", Options{}, "0 0 80 30 120 70; 0 1 20 10 60 30"},
	{"points of two, confidence", "0 .5 .5 .2 .4 .45 .4 .55 .4 .45 .6 .55 .6 .5\n", "kpt_shape: [4, 2]\n", Options{}, "0 0 80 30 120 70 at 0.5"},
	{"points that may be a polygon", "0 .5 .5 .4 .4 .6 .6\n", "", Options{}, "can be read as segment"},
	{"points by data.yaml", "0 .5 .5 .4 .4 .6 .6\n", "names: [a]\nkpt_shape: [1, 2]\n", Options{}, "a 0 60 30 140 70"},
	{"points by the task", "0 .5 .5 .4 .4 .6 .6\n0 .5 .5 .4 .4 .6 .6 .3 .3\n", "", Options{Task: "pose:1x2"}, "0 0 60 30 140 70"},
	{"no points by data.yaml", "0 .5 .5 .2 .4 .45 .4 .55 .4 .45 .6 .55 .6\n", "names: [a]\n", Options{}, "a 0 40 40 110 60 mask"},
	{"pictures listed", "data/a.jpg\ndata/b.jpg\n", "", Options{}, ""},
	{"kitti", "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n", "", Options{}, "KITTI"},
	{"dota", "2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n", "", Options{}, "DOTA"},
	{"mot", "1,-1,794.27,247.59,71.245,174.88,-1,-1,-1,-1\n", "", Options{}, "MOT"},
	{"task", "0 .5 .5 .2 .4\n", "", Options{Task: "pose:17"}, "17 points of 3 numbers"},
	{"shape", "0 .5 .5 .2 .4\n", "kpt_shape: [17, 4]\n", Options{}, "kpt_shape, line 1"},
}

func TestYOLOTasks(t *testing.T) {
	for _, c := range yoloCases {
		path := write(t, "a.txt", c.rows)
		if c.yaml != "" {
			os.WriteFile(filepath.Join(filepath.Dir(path), "data.yaml"), []byte(c.yaml), 0o666)
		}
		c.o.Format = "yolo"
		s, err := Open(path, c.o)
		if err != nil {
			var r *onnx.RemedyError
			asks := strings.HasPrefix(c.want, "can be read")
			if !strings.Contains(err.Error(), c.want) || c.want == "" || asks != errors.As(err, &r) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		rs, late := s.Match(items{"a.jpg"}).Regions(0, size)
		got := describe(rs)
		if s.scored {
			var all []string
			for _, r := range rs {
				one := describe(rs[len(all) : len(all)+1])
				if r.Score != nil {
					one += fmt.Sprint(" at ", *r.Score)
				}
				all = append(all, one)
			}
			got = strings.Join(all, "; ")
		}
		if got != c.want && !(strings.HasSuffix(c.want, "mask") && strings.HasPrefix(got, c.want)) || late != nil {
			t.Errorf("%s: got %s (%v, %v), want %s", c.name, got, s.Faults.Rows, late, c.want)
		}
	}
}

// Sets drawn at random are told as what they are, or it is asked; of large ones never.
func TestYOLOSetsAreTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	in := func(c, w float64) float64 { return c + w*(rng.Float64()-.5)*.9 }
	pose := func(points, each int) []float64 {
		w, h := .05+.3*rng.Float64(), .05+.3*rng.Float64()
		cx, cy := w/2+rng.Float64()*(1-w), h/2+rng.Float64()*(1-h)
		row := []float64{cx, cy, w, h}
		for range points {
			row = append(row, in(cx, w), in(cy, h))
			if each == 3 {
				row = append(row, float64(1+rng.IntN(2)))
			}
		}
		return row
	}
	star := func(points int) (row []float64) {
		cx, cy, r := .2+.6*rng.Float64(), .2+.6*rng.Float64(), .05+.14*rng.Float64()
		for k := range points {
			a := 2 * math.Pi * float64(k) / float64(points)
			row = append(row, cx+r*math.Cos(a)*(.5+.5*rng.Float64()), cy+r*math.Sin(a)*(.5+.5*rng.Float64()))
		}
		return row
	}
	conf := func() float64 { return .3 + .6*rng.Float64() }
	id := 0.0
	for name, c := range map[string]struct {
		row  func() []float64
		want string
	}{
		"segment":                              {func() []float64 { return star(3 + rng.IntN(20)) }, "segment"},
		"segment quads":                        {func() []float64 { return star(4) }, "segment"},
		"segment, confidence":                  {func() []float64 { return append(star(3+rng.IntN(20)), conf()) }, "segment with a confidence or track"},
		"segment, both":                        {func() []float64 { id++; return append(star(3+rng.IntN(20)), conf(), id) }, "segment with a confidence and a track"},
		"pose 5x2":                             {func() []float64 { return pose(5, 2) }, "pose:5x2"},
		"pose 17x2":                            {func() []float64 { return pose(17, 2) }, "pose:17x2"},
		"pose 17x3":                            {func() []float64 { return pose(17, 3) }, "pose:17x3"},
		"pose 17x3, confidence":                {func() []float64 { return append(pose(17, 3), conf()) }, "pose:17x3 with a confidence or track"},
		"pose 5x3, both":                       {func() []float64 { id++; return append(pose(5, 3), conf(), id) }, "pose:5x3 with a confidence and a track"},
		"detect with a confidence and a track": {func() []float64 { id++; return append(pose(0, 2), conf(), id) }, "detect with a confidence and a track"},
	} {
		for _, n := range []int{1, 3, 40, 3000} {
			var rows []yoloRow
			for range n {
				rows = append(rows, yoloRow{v: c.row()})
			}
			s := &Set{}
			all, said := s.layouts()
			l, err := choose(all, rows, said)
			l.settlePoints(rows)
			if got := l.String(); err == nil && got != c.want || err != nil && n >= 40 {
				t.Errorf("%d rows of %s are %q: %v", n, name, got, err)
			}
		}
	}
}

// The one number behind boxes is noted as what it was taken for.
func TestTailsOfBoxesAreNoted(t *testing.T) {
	for rows, want := range map[string]Counts{
		"0 .5 .5 .2 .4 .9\n0 .3 .3 .2 .4 .8\n0 .3 .3 .2 .4\n": {"row read as detect with a confidence": 2},
		"0 .5 .5 .2 .4 3\n0 .3 .3 .2 .4 4\n":                  {"row read as detect with a track": 2},
		"0 .5 .5 .2 .4\n":                                     {},
	} {
		if _, faults, s := read(t, write(t, "a.txt", rows), Options{}); faults != nil || !reflect.DeepEqual(s.Noted, want) {
			t.Errorf("%q: noted are %v, want %v (%v)", rows, s.Noted, want, faults)
		}
	}
}

// Lists of classes are found among the labels, and one of rows is the labels of a picture.
func TestListsOfClasses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"among the labels":   {map[string]string{"in/train/a.txt": yoloBoxRow, "in/train/classes.txt": "cat\ndog\n"}, "train/a cat"},
		"in two folders":     {map[string]string{"in/p/a.txt": yoloBoxRow, "in/p/classes.txt": "cat\n", "in/q/_darknet.labels": "cat\n"}, "p/a cat"},
		"of other names":     {map[string]string{"in/p/a.txt": yoloBoxRow, "in/p/classes.txt": "cat\n", "in/q/classes.txt": "dog\n"}, "are not the same"},
		"unlike those above": {map[string]string{"in/p/a.txt": yoloBoxRow, "classes.txt": "cat\n", "in/q/classes.txt": "dog\n"}, "are not the same"},
		"of a picture":       {map[string]string{"in/a.txt": yoloBoxRow, "in/classes.txt": yoloBoxRow}, "a 0; classes 0"},
		"of a picture alone": {map[string]string{"in/classes.txt": yoloBoxRow}, "classes 0"},
		"beside data.yaml":   {map[string]string{"in/classes.txt": yoloBoxRow, "in/data.yaml": "names: [cat]\n"}, "classes cat"},
		"of both":            {map[string]string{"in/a.txt": yoloBoxRow, "in/classes.txt": yoloBoxRow + "cat\n"}, "1 rows of labels and 1 other lines"},
	} {
		s, err := Open(filepath.Join(writeAll(t, c.files), "in"), Options{})
		got := []string{}
		if err != nil {
			got = append(got, err.Error())
		} else {
			for _, p := range s.pictures {
				got = append(got, p.name+" "+p.marks[0].label)
			}
		}
		if got := strings.Join(got, "; "); got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// Rows that repeat the class and box of another are dropped, as Ultralytics' np.unique does of
// float32, and counted.
func TestRepeatedRows(t *testing.T) {
	for _, c := range []struct {
		rows, want string
		repeated   int
	}{
		{"0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n0 .5 .5 .2 .2\n0 .50000000001 .5 .2 .2\n0 .5001 .5 .2 .2\n", "0 0 80 40 120 60; 1 1 80 40 120 60; 0 2 80.02 40 120 60", 2},
		{"0 .1 .1 .3 .1 .3 .3\n0 .1 .1 .3 .3 .1 .3\n1 .1 .1 .3 .1 .3 .3\n", "0 0 20 10 60 30 mask 400; 1 1 20 10 60 30 mask 400", 1},
		{"0 .5 .5 .2 .2 .9\n0 .5 .5 .2 .2 .8\n0 .5 .5 .2 .2 .8\n", "0 0 80 40 120 60; 0 1 80 40 120 60", 1},
	} {
		rs, faults, s := read(t, write(t, "a.txt", c.rows), Options{})
		if got := describe(rs); got != c.want || faults != nil || s.Noted[Repeated] != c.repeated {
			t.Errorf("%q: got %s, %v, noted %s", c.rows, got, faults, s.Noted)
		}
	}
}

// A region without an ID gets one that none of its picture has; IDs given twice are counted.
func TestNumbersAreFree(t *testing.T) {
	rs, _, s := read(t, write(t, "x.csv", "path,x1,y1,x2,y2,id\na.jpg,1,2,3,4,1\na.jpg,1,2,3,5,\na.jpg,1,2,3,6,1\na.jpg,1,2,3,7,4\na.jpg,1,2,3,8,\n"), Options{})
	if got := describe(rs); got != " 1 1 2 3 4;  5 1 2 3 5;  1 1 2 3 6;  4 1 2 3 7;  6 1 2 3 8" || s.Noted[DoubleID] != 1 {
		t.Errorf("got %s, noted %s", got, s.Noted)
	}
}
