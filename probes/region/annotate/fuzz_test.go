package annotate

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// check reads hostile bytes and fails where a reader panics, or where a region is no
// part of its picture.
func check(t *testing.T, b []byte, o Options, read func(s *Set, r io.Reader) error) {
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var mask bytes.Buffer
	png.Encode(&mask, image.NewNRGBA(image.Rect(0, 0, size.W, size.H)))
	files := fstest.MapFS{"images.json": {Data: []byte(cocoText)}, "m.png": {Data: mask.Bytes()}}
	s := &Set{o: o, index: map[string]int{}, disk: disk{dataset.NewWitness(files)}, path: "."}
	read(s, bytes.NewReader(b))
	m := s.Match(items{"sub/a.jpg", "b.jpg"})
	for i := range 2 {
		rs, _ := m.Regions(i, size)
		for _, r := range rs {
			if b := r.Box; checkBox(b) != nil || b.X0 < 0 || b.Y0 < 0 || b.X1 > 200 || b.Y1 > 100 {
				t.Errorf("the box %v was taken", b)
			}
			if r.Mask != nil && (r.Mask.H != size.H || r.Mask.W != size.W || r.Mask.Count() == 0) {
				t.Errorf("a mask of %d x %d was taken", r.Mask.H, r.Mask.W)
			}
			if _, err := region.NewMask(size.H, size.W); err != nil {
				t.Error(err)
			}
		}
	}
}

// seed adds the rows of the tests, of one format.
func seed(f *testing.F, ext string) {
	for _, c := range readings {
		if filepath.Ext(c.file) == ext {
			f.Add([]byte(c.content))
		}
	}
}

func FuzzCOCO(f *testing.F) {
	seed(f, ".json")
	f.Add([]byte(`{"images":[{"id":"b","file_name":"b.jpg"}],"annotations":[{"image_id":"b","bbox":[0,0,5,5],"segmentation":{"size":[100,200],"counts":"0c3"}}]}`))
	f.Add([]byte(`[{"image_id":5,"category_id":2,"keypoints":[1,2,2,7,8,1],"score":0.5},{"image_id":5,"bbox":[1,2,3,4]}]`))
	f.Add([]byte(`{"images":[{"id":5,"file_name":"b.jpg"}],"annotations":[{"image_id":5.0,"file_name":"m.png","segments_info":[{"id":3,"bbox":[1,2,3,4]}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b, Options{Images: "images.json"}, func(s *Set, r io.Reader) error {
			c := &coco{s: s, file: "x", images: map[name]int{}, categories: map[name]string{}}
			err := c.read(newJSONStream(r))
			c.finish()
			return err
		})
	})
}

func FuzzYOLO(f *testing.F) {
	for _, c := range yoloCases {
		f.Add([]byte(c.rows), c.o.Task)
	}
	f.Fuzz(func(t *testing.T, b []byte, task string) {
		if _, err := parseTask(task); err != nil {
			return
		}
		check(t, b, Options{Task: task}, func(s *Set, r io.Reader) error {
			if err := s.readYOLO(r, "x", "a"); err != nil {
				return err
			}
			return s.settleYOLO()
		})
	})
}

func FuzzCSV(f *testing.F) {
	seed(f, ".csv")
	seed(f, ".tsv")
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b, Options{Clip: true}, func(s *Set, r io.Reader) error { return s.readCSV(r, "x") })
	})
}

func FuzzVOC(f *testing.F) {
	seed(f, ".xml")
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b, Options{}, func(s *Set, r io.Reader) error { return s.readVOC(r, "x", "a") })
	})
}

func FuzzMedRegA(f *testing.F) {
	seed(f, ".txt")
	seed(f, ".jsonl")
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b, Options{}, func(s *Set, r io.Reader) error { return s.readAnswers(r, "x") })
	})
}

func FuzzBoxes(f *testing.F) {
	seed(f, ".jsonl")
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b, Options{Clip: true}, func(s *Set, r io.Reader) error { return s.readBoxes(r, "x") })
	})
}

func FuzzLabelMap(f *testing.F) {
	var b bytes.Buffer
	m := image.NewGray(image.Rect(0, 0, 200, 100))
	m.Pix[77] = 3
	png.Encode(&b, m)
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		o, _ := Options{}.withDefaults()
		rs, _ := (&Set{o: o}).readLabelMap(b, size)
		for _, r := range rs {
			if r.Mask.Count() == 0 {
				t.Error("a region without a pixel was made")
			}
		}
	})
}

func FuzzPanopticMask(f *testing.F) {
	var b bytes.Buffer
	m := image.NewNRGBA(image.Rect(0, 0, 200, 100))
	m.Pix[77] = 3
	png.Encode(&b, m)
	f.Add(b.Bytes(), uint32(3))
	f.Fuzz(func(t *testing.T, b []byte, id uint32) {
		m, err := decodeMap(b, size)
		if err != nil {
			return
		}
		p, err := paint(m, size)
		if err != nil {
			return
		}
		mask, err := segmentOf{p, id}.mask(size)
		if err != nil || id != 0 && (mask.Count() > 0) != slices.Contains(p.strangers(nil), id) {
			t.Errorf("segment %d has %d pixels: %v", id, mask.Count(), err)
		}
	})
}

func FuzzForeign(f *testing.F) {
	f.Add([]byte(`{"a.jpg1": {"filename": "a.jpg", "regions": []}}`))
	f.Add([]byte(`[{"image_id": 1}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newJSONStream(bytes.NewReader(b))
		if keys := s.firstKeys(); len(keys) > 100 {
			t.Errorf("%d keys", len(keys))
		}
		foreignRow(strings.Fields(string(b)))
	})
}

func FuzzNames(f *testing.F) {
	f.Add("sp%20ace%2520x.jpg", "sub/sp ace%20x.jpg", true)
	f.Fuzz(func(t *testing.T, name, item string, bare bool) {
		s := &Set{pictures: []annotated{{name: name, bare: bare, own: "a"}}}
		if m := s.Match(items{item, "b.jpg"}); len(m.of)+m.Faults.Count != 1 {
			t.Errorf("%q is %d pictures with %d faults", name, len(m.of), m.Faults.Count)
		}
	})
}

func FuzzRunLengths(f *testing.F) {
	f.Add("0c3", []byte("[[1,1,5,1,5,5]]"))
	f.Fuzz(func(t *testing.T, packed string, raw []byte) {
		if counts, err := unpackRuns(packed); err == nil {
			again, err := unpackRuns(packRuns(counts))
			if err != nil || len(again) != len(counts) {
				t.Errorf("%v became %v, %v", counts, again, err)
			}
		}
		s, err := parseSegmentation(raw)
		if err != nil || s == nil {
			return
		}
		s.mask(size)
		if r, ok := s.(*runs); ok {
			r.bounds()
		}
	})
}

func FuzzWorkbook(f *testing.F) {
	b, err := os.ReadFile(workbook(f, "s"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { parseWorkbook(bytes.NewReader(b), int64(len(b))) })
}

func FuzzSniff(f *testing.F) {
	for _, c := range readings {
		f.Add([]byte(c.content))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if name, err := sniff(b); (name == "") != (err != nil) {
			t.Errorf("got %q and %v", name, err)
		}
	})
}

func FuzzYAMLNames(f *testing.F) {
	for _, c := range yamlCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := readYAML(bytes.NewReader(b)); (d == nil) != (err != nil) {
			t.Errorf("got %v and %v", d, err)
		}
	})
}
