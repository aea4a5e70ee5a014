package report

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// What is planted in a result is said at the top of the page: what was found, and what asks
// for attention.
func TestVerdicts(t *testing.T) {
	manifest := `{"verb": "codes", "summary": {"items": 2000, "failed": 3}, "units": 1000, "backend": "ort", "model": "m.onnx",
		"unwatched": [{"name": "swish/Mul", "op": "Mul", "kind": "bend"}, {"name": "softmax", "op": "Softmax", "kind": "smooth"}]}`
	row := func(id, label, code string, fragile int) string {
		return fmt.Sprintf("{\"id\": %q, \"class\": %q, \"status\": \"ok\", \"code\": %q, \"fragile\": %d}\n", id, label, code, fragile)
	}
	for name, c := range map[string]struct {
		file, text, manifest string
		found, alarms        string // parts of them, by |
	}{
		"collapsed": {"a.jsonl", row("1", "x", "00", 5) + row("2", "x", "00", 5) + row("3", "y", "00", 5) + row("4", "y", "01", 5), manifest,
			"The 4 items lie in 2 linear regions.|Of 1,000 values of an item 5 lie so near",
			"The regions collapse: 4 items share 2 linear regions.|7 of 8 bits have one value for all items.|3 of 2,000 items failed|1 bend of the network is unwatched, so codes do not tell all of its linear regions apart: swish/Mul.|5 in a thousand values are fragile"},
		"failed, without a manifest": {"i.jsonl", row("1", "", "0f", 0) + row("2", "", "f0", 0) + `{"id": "3", "status": "error"}` + "\n", "",
			"Each of the 2 items", "1 item without a code."},
		"healthy": {"b.jsonl", row("1", "x", "0f", 0) + row("2", "x", "f0", 0), `{"verb": "codes", "summary": {"items": 2, "failed": 0}, "units": 100, "backend": "ort", "unwatched": []}`,
			"Each of the 2 items has a linear region of its own.", ""},
		"complexity": {"c.csv", "complexity\n0\n0\n3\n", `{"verb": "complexity", "settings": {"radius": [0.1]}}`,
			"Around an item so many units change their side on average: 1 at radius 0.1.", "Around 2 of 3 items no unit changes at radius 0.1: a larger one says more."},
		"duplicates": {"d.jsonl", duplicated(30), `{"verb": "dedup", "summary": {"items": 40}}`,
			"32 items of 40 are in 2 groups; one of each is kept, 30 could go.|In 1 group all codes are equal; elsewhere they differ in up to 9 bits.", "One group holds 30 of 40 items"},
		"compare":  {"e.json", documents["compare"].text, "", "4 of 2,000,010 bits differ, 2 in a million, at 1 of 2 sites.", "Codes depend on the setting"},
		"equal":    {"f.json", documents["equal sides"].text, "", "No bit of 2 items differs between the two settings.", ""},
		"evaluate": {"g.json", evaluationText, "", "Each of the 4 items has a linear region of its own.|K nearest neighbors of the codes find the label of 50.0 %, the network itself of 97.0 %.", ""},
		"tangent":  {"h.json", strings.Replace(documents["affine"].text, `"along"`, `"bent": ["gelu"], "on_knot": 2, "along"`, 1), "", "", "Not exact: the network is not piecewise linear|2 units exactly on a knot"},
	} {
		path := write(t, filepath.Join(t.TempDir(), c.file), c.text)
		if c.manifest != "" {
			write(t, result.ManifestPath(path), c.manifest)
		}
		p := collect(t, path)
		if len(p.Sections) != 1 {
			t.Errorf("%s is not shown: %v", name, p.Skipped)
			continue
		}
		s := p.Sections[0]
		for said, want := range map[string]string{strings.Join(s.Found, " "): c.found, strings.Join(s.Attention, " "): c.alarms} {
			for _, w := range strings.Split(want, "|") {
				if !strings.Contains(said, w) {
					t.Errorf("%s: %q does not say %q", name, said, w)
				}
			}
		}
		if c.alarms == "" && len(s.Attention) > 0 {
			t.Errorf("%s asks for attention: %q", name, s.Attention)
		}
		page := pageOf(t, *p)
		top, _, _ := strings.Cut(page, "<main>")
		if strings.Contains(top, "Nothing in this result asks for attention.") != (c.alarms == "") || strings.Contains(top, "To be looked at") != (c.alarms != "") {
			t.Errorf("%s: the top of the page is %s", name, top)
		}
		for _, said := range append(s.Found, s.Attention...) {
			if !strings.Contains(top, escape(said)) {
				t.Errorf("%s: %q is not at the top", name, said)
			}
		}
	}
}

// duplicated is a file of a group of n items that lie apart, and one of two that are equal.
func duplicated(n int) (lines string) {
	for i := range n {
		lines += fmt.Sprintf("{\"group\": 0, \"size\": %d, \"keep\": %v, \"id\": \"a%d\", \"path\": \"\", \"distance\": %d}\n", n, i == 0, i, min(i, 9))
	}
	for i := range 2 {
		lines += fmt.Sprintf("{\"group\": 1, \"size\": 2, \"keep\": %v, \"id\": \"b%d\", \"path\": \"\", \"distance\": 0}\n", i == 0, i)
	}
	return lines
}

// A chart of one bar is a sentence on a page; a file that is asked for is drawn all the same.
func TestOneBarIsASentence(t *testing.T) {
	one := `{"verb": "compare", "items": 2, "sites": [{"site": "relu", "bits": 2000000, "flips": 4000, "items": 1, "margin": 1e-6, "scale": 2}], "regions": 1, "outputs": 0.5}`
	p := collect(t, write(t, filepath.Join(t.TempDir(), "c.json"), one))
	page := pageOf(t, *p)
	if strings.Contains(page, "<svg") || !strings.Contains(page, "by site.</strong> Bits that differ (per million) of relu: 2,000.") {
		t.Errorf("one bar is drawn, or not said: %s", page)
	}
	main, others := p.Main()
	if main == nil || others != 0 || main.Says() == "" {
		t.Errorf("the main figure is %v, with %d others", main, others)
	}
	dir := filepath.Join(t.TempDir(), "figures")
	if err := p.WriteFigures(dir, false); err != nil {
		t.Fatal(err)
	}
	f, err := histogram("h", "items of a group", binned{"groups", []float64{2, 2, 2}})
	if err != nil || f.Says() != "Items of a group: 2, for all 3 (groups)." {
		t.Errorf("%v, %v", f, err)
	}
	if f, err = histogram("h", "x", binned{"g", []float64{2, 3}}); err != nil || f.Says() != "" {
		t.Errorf("%q of two bars", f.Says())
	}
}
