package report

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func pageOf(t *testing.T, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePage(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageIsWholeAndEscaped(t *testing.T) {
	p := Page{Title: hostile, Summary: []string{hostile}, Skipped: []Skipped{{hostile, hostile}}}
	for name, f := range drawn(t) {
		f.Title, f.Caption = name, hostile
		p.Sections = append(p.Sections, Section{Title: hostile, Path: hostile, Notes: []string{hostile}, Figures: []*Figure{f},
			Tables: []Table{{hostile, []string{"site", hostile}, [][]string{{hostile, "1"}}}}, Manifest: `{"command": ["</pre><script>"]}`})
	}
	s := pageOf(t, p)
	wellFormed(t, "the page", []byte(strings.Replace(s, "<!DOCTYPE html>", "", 1)))
	for _, bad := range []string{"http:", "https:", "//", "<script", "javascript:", "onload", "@import", "url(", "<link", "<iframe", "\x00", "\x1b", "</pre><script"} {
		text := s
		if bad == "//" || bad == "url(" { // which chance can write in an encoded picture
			text = regexp.MustCompile(`base64,[A-Za-z0-9+/=]+`).ReplaceAllString(s, "")
		}
		if i := strings.Index(text, bad); i >= 0 {
			t.Errorf("the page holds %q: …%q…", bad, text[max(0, i-60):min(len(text), i+60)])
		}
	}
	if n := strings.Count(s, "&lt;script&gt;"); n < 20 {
		t.Errorf("names are shown %d times", n)
	}
	for _, want := range []string{`role="img" aria-label="`, "<figcaption>", "<details><summary>Manifest", "prefers-color-scheme: dark", "@media print", `name="viewport"`, `<html lang="en">`, `scope="col"`} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(s, -1) {
		if ids[m[1]] {
			t.Errorf("two elements have the id %s", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(s, -1) {
		if !ids[m[1]] {
			t.Errorf("a link leads to %s, which there is not", m[1])
		}
	}
	if s != pageOf(t, p) {
		t.Error("a page of the same results is another")
	}
}

// variables are the colours that a block of the style sets.
func variables(t *testing.T, block string) map[string][3]float64 {
	t.Helper()
	all := map[string][3]float64{}
	for _, m := range regexp.MustCompile(`--([a-z]+): #([0-9a-f]{6})`).FindAllStringSubmatch(block, -1) {
		v, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = [3]float64{straight(uint8(v >> 16)), straight(uint8(v >> 8)), straight(uint8(v))}
	}
	return all
}

// contrast is that of WCAG 2.
func contrast(a, b [3]float64) float64 {
	l := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] + 0.05 }
	return math.Max(l(a), l(b)) / math.Min(l(a), l(b))
}

func TestTextIsReadable(t *testing.T) {
	blocks := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(pageStyle, -1)
	if len(blocks) != 3 {
		t.Fatalf("the style sets colours %d times; want light, dark and print", len(blocks))
	}
	for i, name := range []string{"light", "dark", "print"} {
		c := variables(t, blocks[i])
		for _, text := range []string{"ink", "muted", "link"} {
			for _, on := range []string{"paper", "panel"} {
				if _, ok := c[text]; !ok {
					t.Fatalf("%s: no colour %s", name, text)
				}
				if k := contrast(c[text], c[on]); !(k >= 4.5) {
					t.Errorf("%s: the contrast of %s on %s is %.2f; want 4.5", name, text, on, k)
				}
			}
		}
		if i == 0 { // what figures are drawn with is what the page sets
			for _, v := range []struct {
				name string
				of   [3]uint8
			}{{"ink", [3]uint8{ink.R, ink.G, ink.B}}, {"muted", [3]uint8{muted.R, muted.G, muted.B}}, {"rule", [3]uint8{rule.R, rule.G, rule.B}}, {"paper", [3]uint8{paper.R, paper.G, paper.B}}} {
				if want := fmt.Sprintf("--%s: #%02x%02x%02x", v.name, v.of[0], v.of[1], v.of[2]); !strings.Contains(blocks[0], want) {
					t.Errorf("the page does not set %s", want)
				}
			}
		}
	}
}
