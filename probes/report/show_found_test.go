package report

import (
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// What is shown of a search or of duplicates in memory is shown of their file too, by the
// codes that its manifest names: regions are cut out, and a picture that is gone is a name.
func TestFilesOfWhatWasFound(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	picture := write("a.png", string(flat(t, 9, 9, color.Black)))
	codes := write("codes.jsonl", `{"id":"a.png#1","path":"`+picture+`","image":"a.png","label":"cat","x0":0,"y0":0,"x1":4,"y1":4,"code":"00"}
{"id":"a.png#2","path":"`+picture+`","image":"a.png","label":"dog","x0":2,"y0":2,"x1":9,"y1":9,"code":"01"}
{"id":"gone.png","path":"`+dir+`/gone.png","code":"07"}
`)
	set, err := encoding.Open(codes, encoding.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	matches, err := encoding.Nearest(t.Context(), set, set, 1, encoding.SearchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := encoding.Duplicates(t.Context(), set, 2, encoding.NearOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]interface{ WriteTo(result.Sink) error }{"search.jsonl": matches, "dedup.jsonl": groups} {
		path := filepath.Join(dir, name)
		to, err := result.Create(path, result.Options{})
		if err == nil {
			err = x.WriteTo(to)
		}
		if err == nil {
			verb := strings.TrimSuffix(name, ".jsonl")
			err = to.Commit(map[string]any{"verb": verb, "inputs": []any{map[string]any{"path": codes, "on": set.On, "bits": set.Bits}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		strips := func(p *Page, err error) string {
			if err != nil {
				t.Fatal(err)
			}
			_, s, _ := strings.Cut(pageOf(t, *p), `<div class="strip">`)
			s, _, _ = strings.Cut(s, "<details>")
			s, _, _ = strings.Cut(s, "</section>")
			return strings.TrimSpace(s)
		}
		memory := strips(Document(t.Context(), name, x, Options{}))
		file := strips(Collect(t.Context(), []string{path}, Options{}))
		if memory != file || !strings.Contains(memory, "(dog)") || strings.Count(memory, "<use ") < 2 || !strings.Contains(memory, `class="name" title="gone.png"`) {
			t.Errorf("%s: in memory\n%s\nof the file\n%s", name, memory, file)
		}
	}
}
