package report

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Maps of agreement have one scale, which the figure says, and their own range; a number
// that is no share is not known.
func TestMapsOfAgreement(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "maps")
	line := `{"map": "a.png", "id": "x.png", "measure": "agreement", "reference": "x.png#7", "largest": 0.9, "least": 0.625, "from": 0.6, "to": 0.95}`
	write(t, filepath.Join(dir, "maps.jsonl"), line+"\n"+strings.Replace(strings.Replace(line, "x.png\",", "y.png\",", 1), `"least": 0.625, `, "", 1)+"\n")
	f, err := os.Create(filepath.Join(dir, "a.png"))
	if err == nil {
		err = png.Encode(f, image.NewGray(image.Rect(0, 0, 8, 6)))
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := collect(t, dir)
	if len(p.Sections) != 1 || len(p.Sections[0].Figures) != 1 {
		t.Fatalf("%d sections, skipped %v", len(p.Sections), p.Skipped)
	}
	s := p.Sections[0]
	got := s.Figures[0]
	if s.Title != "codes, agreement: maps" || got.Title != "Agreement with x.png#7" || !strings.Contains(got.Caption, "as in x.png#7") || strings.Count(got.Caption, "One scale for all pictures") != 1 {
		t.Errorf("%s, %s: %s", s.Title, got.Title, got.Caption)
	}
	for _, want := range []string{"bits as in the reference", "x.png: 62.5 % to 90 %", "y.png: not known to 90 %"} {
		if !strings.Contains(got.Alt, want) {
			t.Errorf("the figure is %q, want it to say %q", got.Alt, want)
		}
	}
	var svg bytes.Buffer
	if err := got.SVG(&svg); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"60 %", "95 %"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("the scale does not say %s", want)
		}
	}
	// A page shows them as a sheet under the key, each once, which a click enlarges.
	page := pageOf(t, *p)
	for want, n := range map[string]int{`<details class="picture">`: 2, ` href="data:image/`: 2, `aria-label="Colors of bits as in the reference`: 1,
		`<span class="detail">62.5 % to 90 %</span>`: 1, "Agreement with x.<wbr/>png#7": 1, "<svg viewBox": 3} {
		if got := strings.Count(page, want); got != n {
			t.Errorf("the page has %d of %s, want %d", got, want, n)
		}
	}
}
