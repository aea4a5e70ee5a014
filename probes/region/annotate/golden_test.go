package annotate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

func utf16Of(s string) []uint16 { return utf16.Encode([]rune(s)) }

// golden is what pycocotools and torchvision make of annotations
// (testdata/export/annotations.py).
type golden struct {
	Polygons []struct {
		W, H, Area int
		Polygons   [][]float64
		Counts     string
	}
	Runs []struct {
		W, H, Area int
		List       []int
		String     string
		Box        [4]float64
	}
	Results struct {
		Truth json.RawMessage
		Lists map[string]json.RawMessage
		Want  map[string][]struct {
			BBox [4]float64
			Area float64
		}
	}
	Boxes struct{ XYXY, XYWH, CXCYWH [][4]float64 }
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile("../../../testdata/golden/annotations.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil || len(g.Polygons) < 70 || len(g.Runs) < 4 || len(g.Boxes.XYXY) < 4 {
		t.Fatalf("the golden file: %v", err)
	}
	return g
}

func TestPolygonsArePycocotools(t *testing.T) {
	for i, c := range readGolden(t).Polygons {
		raw, _ := json.Marshal(c.Polygons)
		s, err := parseSegmentation(raw)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.mask(picture.Size{H: c.H, W: c.W})
		if err != nil {
			t.Fatal(err)
		}
		if got := packRuns(runsOf(m)); got != c.Counts || m.Count() != c.Area {
			t.Errorf("polygons %d: %d pixels, %q; want %d, %q", i, m.Count(), got, c.Area, c.Counts)
		}
	}
}

func TestRunLengthsArePycocotools(t *testing.T) {
	for i, c := range readGolden(t).Runs {
		list, _ := json.Marshal(c.List)
		text, _ := json.Marshal(c.String)
		for _, counts := range [][]byte{list, text} {
			s, err := parseSegmentation(fmt.Appendf(nil, `{"size": [%d, %d], "counts": %s}`, c.H, c.W, counts))
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.mask(picture.Size{H: c.H, W: c.W})
			if err != nil {
				t.Fatal(err)
			}
			if m.Count() != c.Area || packRuns(runsOf(m)) != c.String || !slices.Equal(runsOf(m), c.List) {
				t.Errorf("mask %d from %.20s has %d pixels, want %d; or packs otherwise", i, counts, m.Count(), c.Area)
			}
		}
	}
}

// The boxes of masks without one are those of toBbox, and regions of results, by box, mask or
// keypoints, those of loadRes.
func TestBoxesArePycocotools(t *testing.T) {
	g := readGolden(t)
	for i, c := range g.Runs {
		text, _ := json.Marshal(c.String)
		s, err := parseSegmentation(fmt.Appendf(nil, `{"size": [%d, %d], "counts": %s}`, c.H, c.W, text))
		if err != nil {
			t.Fatal(err)
		}
		if got := numbersOf(s.(*runs).bounds(), "xywh"); c.Area > 0 && got != c.Box {
			t.Errorf("mask %d: the box %v, want %v", i, got, c.Box)
		}
	}
	if len(g.Results.Lists) != 3 {
		t.Fatalf("%d lists of results", len(g.Results.Lists))
	}
	images := write(t, "truth.json", string(g.Results.Truth))
	for kind, list := range g.Results.Lists {
		rs, faults, _ := read(t, write(t, "results.json", string(list)), Options{Images: images})
		want := g.Results.Want[kind]
		if len(rs) != len(want) || faults != nil {
			t.Fatalf("%s: %s, %v", kind, describe(rs), faults)
		}
		for i, r := range rs {
			b := numbersOf(r.Box, "xywh")
			area := b[2] * b[3]
			if r.Mask != nil {
				area = float64(r.Mask.Count())
			}
			if b != want[i].BBox || area != want[i].Area || r.Score == nil {
				t.Errorf("%s: the box %v with the area %g, want %v", kind, b, area, want[i])
			}
		}
	}
}

func TestBoxesAreTorchvisions(t *testing.T) {
	g := readGolden(t).Boxes
	for meaning, boxes := range map[string][][4]float64{"xyxy": g.XYXY, "xywh": g.XYWH, "cxcywh": g.CXCYWH} {
		for i, v := range boxes {
			if got := numbersOf(corners(v, meaning), "xyxy"); !closeTo(got, g.XYXY[i]) {
				t.Errorf("%s %v is %v, want %v", meaning, v, got, g.XYXY[i])
			}
			if got := numbersOf(corners(g.XYXY[i], "xyxy"), meaning); !closeTo(got, v) {
				t.Errorf("%v as %s is %v, want %v", g.XYXY[i], meaning, got, v)
			}
		}
	}
}

func closeTo(a, b [4]float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-9 {
			return false
		}
	}
	return true
}

func TestLabelMaps(t *testing.T) {
	bounds := image.Rect(0, 0, 200, 100)
	grey, deep := image.NewGray(bounds), image.NewGray16(bounds)
	palette := image.NewPaletted(bounds, color.Palette{color.Black, color.White, color.RGBA{R: 255, A: 255}})
	for x := 10; x < 14; x++ {
		grey.SetGray(x, 20, color.Gray{Y: 2})
		deep.SetGray16(x, 20, color.Gray16{Y: 700})
		palette.SetColorIndex(x, 20, 2)
	}
	for _, c := range []struct {
		m    image.Image
		o    Options
		want string
	}{
		{grey, Options{}, "2 2 10 20 14 21 mask 4"},
		{palette, Options{Names: []string{"sky", "sea", "sand"}}, "sand 2 10 20 14 21 mask 4"},
		{deep, Options{}, "700 700 10 20 14 21 mask 4"},
		{grey, Options{Ignore: []int{2}}, "0 0 0 0 200 100 mask 19996"},
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, c.m); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(write(t, "a.png", b.String()))
		rs, faults, _ := read(t, dir, c.o)
		if describe(rs) != c.want || faults != nil {
			t.Errorf("%T: got %s, %v; want %s", c.m, describe(rs), faults, c.want)
		}
	}
	for _, c := range []struct {
		m    image.Image
		want string
	}{{image.NewRGBA(bounds), "want a palette or grey"}, {image.NewGray(image.Rect(0, 0, 3, 3)), "got a label map of 3 x 3"}} {
		var b bytes.Buffer
		png.Encode(&b, c.m)
		_, faults, _ := read(t, write(t, "a.png", b.String()), Options{})
		if len(faults) != 1 || !strings.Contains(faults[0].Error(), c.want) {
			t.Errorf("%T: %v, want %s", c.m, faults, c.want)
		}
	}
}
