package report

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// coded are codes of one byte in a file, of pictures beside it that are there.
func coded(t *testing.T, codes map[string]string, order ...string) *encoding.Codes {
	t.Helper()
	dir := t.TempDir()
	lines := ""
	for i, id := range order {
		path := filepath.Join(dir, fmt.Sprintf("%d.png", i))
		if err := os.WriteFile(path, flat(t, 90+i, 70, color.RGBA{uint8(40 * i), 90, 30, 255}), 0o666); err != nil {
			t.Fatal(err)
		}
		lines += fmt.Sprintf("{\"id\": %q, \"path\": %q, \"code\": %q}\n", id, path, codes[id])
	}
	set, err := encoding.Open(write(t, filepath.Join(dir, "codes.jsonl"), lines), encoding.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func sheetOf(t *testing.T, printed any, o Options) *Page {
	t.Helper()
	p, err := Document(t.Context(), "codes.jsonl", printed, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// names are those of a strip, with the mark before and the equal ones behind.
func names(s Strip) string {
	var all []string
	for _, i := range s.Items {
		said := strings.TrimSpace(i.Mark + " " + i.Caption)
		for _, e := range i.Equal {
			said += "=" + e.Caption
		}
		all = append(all, said)
	}
	return strings.Join(all, ", ")
}

// The group with the largest distance comes first, and in it the farthest item behind the one
// that is kept; equal codes are folded. Which groups are left out is said.
func TestSheetOfDuplicates(t *testing.T) {
	codes := map[string]string{"a": "00", "a2": "00", "a3": "00", "b": "0f", "b1": "0e", "c": "f0", "c2": "f1", "c3": "f3", "c4": "f0"}
	set := coded(t, codes, "a", "b", "c", "a2", "c2", "b1", "a3", "c3", "c4")
	groups, err := encoding.Duplicates(t.Context(), set, 2, encoding.NearOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := sheetOf(t, groups, Options{}).Sections[0]
	var got []string
	for _, strip := range s.Strips {
		got = append(got, names(strip))
	}
	want := []string{"kept c=c4, c3, c2", "kept b, b1", "kept a=a2=a3"}
	if !slices.Equal(got, want) {
		t.Errorf("the sheet is %q, want %q", got, want)
	}
	if titles := []string{s.Strips[0].Title, s.Strips[2].Title}; !strings.HasSuffix(titles[0], "4 items, up to 2 bits apart") || !strings.HasSuffix(titles[1], "3 items with equal codes") {
		t.Errorf("titles %q", titles)
	}
	page := sheetOf(t, groups, Options{Pictures: 1})
	if n := len(page.Sections[0].Strips); n != 1 || !strings.Contains(pageOf(t, *page), "The sheet shows 1 of 3 groups, those with the largest distances first: they are the most doubtful. It leaves out 2 more.") {
		t.Errorf("%d groups of 3, want 1, and the others named: %q", n, page.Sections[0].Notes)
	}
	html := pageOf(t, *sheetOf(t, groups, Options{}))
	for _, want := range []string{`<b class="mark">kept</b>`, `<details class="equal"><summary>2 equal: a2, a3</summary>`, `<div class="sheet">`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// Equal sketches may be of different codes: whoever looks sees each, and how far it is by the whole.
func TestEqualSketchesAreNotFolded(t *testing.T) {
	set := coded(t, map[string]string{"a": "00", "a2": "00", "b": "0f"}, "a", "a2", "b")
	set.On, set.Bits, set.FullBits = encoding.Sketch, 8, 1000
	groups, err := encoding.Duplicates(t.Context(), set, 0, encoding.NearOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := sheetOf(t, groups, Options{})
	s := p.Sections[0]
	if len(s.Strips) != 1 || names(s.Strips[0]) != "kept a, a2" || !strings.HasSuffix(s.Strips[0].Title, "2 items with equal sketches") || !strings.HasPrefix(s.Strips[0].Items[1].Detail, "0 of 8; about ") {
		t.Errorf("the sheet is %+v", s.Strips)
	}
	if page := pageOf(t, *p); strings.Contains(page, "equal codes") || strings.Contains(page, `<details class="equal">`) {
		t.Error("the page says that codes are equal")
	}
}

// The query whose nearest neighbor is farthest comes first; neighbors keep their order.
func TestSheetOfSearch(t *testing.T) {
	set := coded(t, map[string]string{"a": "00", "b": "01", "c": "ff", "d": "00"}, "a", "b", "c", "d")
	matches, err := encoding.Nearest(t.Context(), set, set, 2, encoding.SearchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := sheetOf(t, matches, Options{}).Sections[0]
	var got []string
	for _, strip := range s.Strips {
		got = append(got, names(strip))
	}
	if want := []string{"query c, b, a", "query b, a, d", "query a=d, b", "query d=a, b"}; !slices.Equal(got, want) {
		t.Errorf("the sheet is %q, want %q", got, want)
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// A page with a sheet, and with points that have pictures, is well-formed, needs no other
// file, has every picture once and every id once, and breaks names where they have breaks.
func TestPageOfPictures(t *testing.T) {
	codes, order := map[string]string{}, []string{}
	for i := range 9 {
		id := fmt.Sprintf("photographs/of-2026/<b>%d</b>_a.long&name.jpeg", i)
		codes[id], order = fmt.Sprintf("%02x", i*i), append(order, id)
	}
	set := coded(t, codes, order...)
	matches, err := encoding.Nearest(t.Context(), set, set, 3, encoding.SearchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := collect(t, set.Name)
	p.Sections = append(p.Sections, sheetOf(t, matches, Options{}).Sections...)
	s := pageOf(t, *p)
	wellFormed(t, "the page", []byte(strings.Replace(s, "<!DOCTYPE html>", "", 1)))
	bare := regexp.MustCompile(`data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+`).ReplaceAllString(s, "")
	for _, bad := range []string{"http:", "https:", "//", "<script", "javascript:", " onclick", "@import", "url(", "<link", "<iframe", "<img"} {
		if strings.Contains(bare, bad) {
			t.Errorf("the page holds %q", bad)
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
	if n := strings.Count(s, ` href="data:image/`); n != 9 {
		t.Errorf("%d pictures in the page of 9 items, none larger than a point's", n)
	}
	if n := strings.Count(s, `<a class="spot"`); n != 9 || strings.Count(s, `class="peek"`) != 9 {
		t.Errorf("%d points with a picture, want 9", n)
	}
	for _, m := range regexp.MustCompile(`<text[^>]*>`).FindAllString(s, -1) {
		if !strings.Contains(m, "textLength=") {
			t.Errorf("a text without a width: %s", m)
		}
	}
	whole, broken := 0, regexp.MustCompile(`(.)<wbr/>`)
	for _, m := range regexp.MustCompile(`<span class="words"[^>]*>(.*?)</span>`).FindAllStringSubmatch(s, -1) {
		for _, b := range broken.FindAllStringSubmatch(m[1], -1) {
			if !strings.Contains(breaks, b[1]) {
				t.Errorf("%q breaks behind %q", m[1], b[1])
			}
		}
		if text := tags.ReplaceAllString(m[1], ""); strings.HasSuffix(text, "_a.long&amp;name.jpeg") {
			whole++
		}
	}
	if whole != 9*4 || !strings.Contains(stripStyle, "word-break: keep-all; overflow-wrap: normal") {
		t.Errorf("%d names are whole, want %d", whole, 9*4)
	}
	if s != pageOf(t, *p) {
		t.Error("a page of the same results is another")
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"a.png": "a.png", "some/folder/with-a/very_long_name/of.many.parts/photograph_of_a_dog.jpeg": "…name/of.many.parts/photograph_of_a_dog.jpeg",
		strings.Repeat("x", 60): strings.Repeat("x", 60),
	} {
		if got := shortened(in); got != want {
			t.Errorf("%s is shortened to %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"a_b.c": "a_<wbr/>b.<wbr/>c", "plain": "plain", "a/": "a/", "<a>.b": "&lt;a&gt;.<wbr/>b", "": ""} {
		if got := wrapped(in); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"12345 of 188416 bits; about 20608 ± 3673": "12,345 of 188,416 bits; about 20,608 ± 3,673", "n01440764 and 0.12345": "n01440764 and 0.12345", "999": "999"} {
		if got := separated(in); got != want {
			t.Errorf("%q is written %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"altered copies/n01440764_tench_q40.jpg": "…tench_q40.jpg", "short.png": "short.png", strings.Repeat("y", 30): "…" + strings.Repeat("y", 18)} {
		if got := tail(in, 19); got != want {
			t.Errorf("%q ends in %q, want %q", in, got, want)
		}
	}
}

// However many pictures, a page of them can be opened: the more there are, the smaller.
func TestSizeOfPictures(t *testing.T) {
	last := 1 << 20
	for _, n := range []int{1, 60, 61, 200, 500, 1000, 100000} {
		edge := edgeFor(n)
		if edge > last || edge < sheetEdge || n*edge*edge > 60e6 && n <= mostPictures {
			t.Errorf("%d pictures have an edge of %d", n, edge)
		}
		last = edge
	}
}
