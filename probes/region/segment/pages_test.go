package segment

import (
	"encoding/json"
	"errors"
	"image"
	_ "image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/score"
)

// firstFreshSeed begins the seeds of pages that Lines was not developed on: that was
// done on 0 to 99.
const firstFreshSeed = 1000

func TestLinesOfManuscripts(t *testing.T) {
	n := 6
	if os.Getenv("ONNXPROBE_EVERY_PAGE") != "" {
		n = 200
	} else if testing.Short() {
		n = 2
	}
	var all, bengali score.Detection
	for seed := uint64(firstFreshSeed); seed < firstFreshSeed+uint64(n); seed++ {
		m := drawManuscript(seed)
		d := detect(t, m, m.boxes)
		if all.Add(d); m.bengali {
			bengali.Add(d)
		}
	}
	t.Logf("%d pages: DR %.3f, RA %.3f, FM %.3f; of the Bengali half %.3f (%+v)", n, all.DR(), all.RA(), all.FM(), bengali.FM(), all)
	if all.FM() < 0.9 {
		t.Errorf("FM is %.3f, want 0.9 (%+v)", all.FM(), all)
	}
}

// detect compares the lines of a page with the true boxes.
func detect(t *testing.T, m image.Image, truth []region.Box) score.Detection {
	t.Helper()
	found, err := Lines(m, LineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return score.Detect(len(truth), len(found), 0.9, func(i, j int) float64 { return score.BoxIoU(truth[i], found[j].Box) })
}

// Three pages of BN-HTRd, with boxes of their 57 lines, which are not part of the
// repository.
func TestLinesOfRealPages(t *testing.T) {
	const shared = "../../../../shared"
	var truth struct {
		Images []struct {
			ID   int    `json:"id"`
			File string `json:"file_name"`
		} `json:"images"`
		Annotations []struct {
			Image int        `json:"image_id"`
			Box   [4]float64 `json:"bbox"`
		} `json:"annotations"`
	}
	text := readOrSkip(t, filepath.Join(shared, "cases/seeds/bn57.json"))
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	var all score.Detection
	for _, page := range truth.Images {
		path := filepath.Join(shared, "data/images/bn_handwriting", page.File)
		readOrSkip(t, path)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, _, err := image.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		var boxes []region.Box
		for _, a := range truth.Annotations {
			if b := a.Box; a.Image == page.ID {
				boxes = append(boxes, region.Box{X0: b[0], Y0: b[1], X1: b[0] + b[2], Y1: b[1] + b[3]})
			}
		}
		d := detect(t, m, boxes)
		t.Logf("%s: %+v, FM %.3f", page.File, d, d.FM())
		all.Add(d)
	}
	t.Logf("FM %.3f", all.FM())
	if all.FM() < 0.9 {
		t.Errorf("FM is %.3f, want 0.9 (%+v)", all.FM(), all)
	}
}

func readOrSkip(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not here", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Two words on a slope that the page as a whole has not, farther apart than letters are
// high, are a line; so is a word of its own below.
func TestWordsOnASlope(t *testing.T) {
	p := newPage(t, 900, 420, 0, 5)
	p.boxes = []region.Box{{X0: 900, Y0: 420}, {X0: 900, Y0: 420}}
	for range p.boxes {
		m, err := region.NewMask(420, 900)
		if err != nil {
			t.Fatal(err)
		}
		p.truth = append(p.truth, m)
	}
	for _, x := range []float64{80, 105, 130, 155, 180, 205, 300, 325, 350, 375, 400} {
		p.letter(x, 120+0.12*x, 0)
	}
	for _, x := range []float64{80, 105, 130} {
		p.letter(x, 220, 1)
	}
	if d := detect(t, p, p.boxes); d.Matched != 2 || d.Found != 2 {
		t.Errorf("%+v, want 2 lines", d)
	}
}

// A component of two letters that touch, of two lines, is cut between these; what only
// reaches the middle of a line is not.
func TestCutTouchingLetters(t *testing.T) {
	lines := []line{newLine(mark{0, 10, 20, 20, 50}, mark{10, 20, 20, 20, 50}), newLine(mark{0, 10, 60, 20, 50}, mark{10, 20, 60, 20, 50})}
	g := &gathering{w: 20, height: 20, pitch: 40}
	for _, c := range []struct {
		name    string
		y0, y1  int
		heights [2]int
	}{{"two letters", 10, 70, [2]int{30, 30}}, {"a tall letter of the second line", 18, 70, [2]int{0, 52}}, {"a letter of the first", 10, 55, [2]int{45, 0}}} {
		part := component{x0: 5, x1: 6, y0: c.y0, y1: c.y1}
		for y := c.y0; y < c.y1; y++ {
			part.pixels = append(part.pixels, int32(y*g.w+5))
		}
		out := make([][]component, 2)
		g.assign(part, lines, out)
		for i, want := range c.heights {
			got := 0
			for _, p := range out[i] {
				got += p.height()
			}
			if got != want {
				t.Errorf("%s: line %d has %d rows of it, want %d", c.name, i, got, want)
			}
		}
	}
}

// The marks of a column 40 tall with letters 10 tall at its ends: the ink between, half
// a letter's, is none.
func TestMarks(t *testing.T) {
	c := component{x1: 4, y1: 40}
	for y := range 40 {
		for x := range 4 {
			if y < 10 || y >= 30 || x == 0 {
				c.pixels = append(c.pixels, int32(y*4+x))
			}
		}
	}
	got := c.marks(4, 10)
	if len(got) != 2 || got[0].y != 5 || got[1].y != 35 || got[0].ink != 40 || got[0].x0 != 0 || got[0].x1 != 4 {
		t.Errorf("the marks are %+v, want two of 40 pixels at 5 and 35", got)
	}
}

// Rules up and down are taken out as level ones are.
func TestRulesUpAndDown(t *testing.T) {
	p := newPage(t, 900, 800, 0, 7)
	p.write(t, 60, 0)
	p.stroke(60, 0, 64, 800, -1)
	if d := detect(t, p, p.boxes); d.FM() < 0.95 {
		t.Errorf("FM is %.3f with a margin's line, want 0.95 (%+v)", d.FM(), d)
	}
}
