package report

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// What is planted in a result is said at the top of the page: what was found, and what asks
// for attention.
func TestVerdicts(t *testing.T) {
	manifest := `{"verb": "codes", "summary": {"items": 2000, "failed": 3}, "units": 1000, "backend": "ort", "model": "m.onnx",
		"settings": {"fragile": 1e-5}, "unwatched": [{"name": "swish/Mul", "op": "Mul", "kind": "bend"}, {"name": "softmax", "op": "Softmax", "kind": "smooth"}]}`
	row := func(id, label, code string, fragile int) string {
		return fmt.Sprintf("{\"id\": %q, \"class\": %q, \"status\": \"ok\", \"code\": %q, \"fragile\": %d}\n", id, label, code, fragile)
	}
	for name, c := range map[string]struct {
		file, text, manifest string
		found, alarms        string // parts of them, by |
	}{
		"collapsed": {"a.jsonl", row("1", "x", "00", 5) + row("2", "x", "00", 5) + row("3", "y", "00", 5) + row("4", "y", "01", 5), manifest,
			"The 4 items lie in 2 linear regions.|Of 1,000 values of an item on average 5 lie within 1e-05 of their knot, where rounding can turn their bit: 5,000 in a million.",
			"The regions collapse: 4 items share 2 linear regions.|7 of 8 bits have one value for all items.|3 of 2,000 items failed|1 bend of the network is unwatched, so codes do not tell all of its linear regions apart: swish/Mul.|5 in a thousand values are fragile"},
		"failed, without a manifest": {"i.jsonl", row("1", "", "0f", 0) + row("2", "", "f0", 0) + `{"id": "3", "status": "error"}` + "\n", "",
			"Each of the 2 items", "1 item without a code."},
		"healthy": {"b.jsonl", row("1", "x", "0f", 0) + row("2", "x", "f0", 0), `{"verb": "codes", "summary": {"items": 2, "failed": 0}, "units": 100, "backend": "ort", "unwatched": []}`,
			"Each of the 2 items has a linear region of its own.", ""},
		"complexity": {"c.csv", "complexity\n0\n0\n3\n", `{"verb": "complexity", "settings": {"radius": [0.1]}}`,
			"Around an item so many units change their side on average: 1 at radius 0.1.", "Around 2 of 3 items no unit changes at radius 0.1: a larger one says more."},
		"duplicates": {"d.jsonl", duplicated(30), `{"verb": "dedup", "summary": {"items": 40}, "inputs": [{"path": "gone", "on": "code", "bits": 16}]}`,
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

// What is said of codes is true of these: of sign codes, of sketches and channel codes, which may be
// equal where codes are not, of the distance that was asked for, and of radii in any order.
func TestVerdictsAreOfWhatIsCompared(t *testing.T) {
	sites := func(smooth ...bool) string {
		var all []string
		for i, s := range smooth {
			all = append(all, fmt.Sprintf(`{"name": "s%d", "op": "Gelu", "units": 8, "planes": 1, "smooth": %v}`, i, s))
		}
		return `"model": "m.onnx", "sha256": {"m.onnx": "00"}, "units": 100, "code_bytes": 1, "sites": [` + strings.Join(all, ", ") + `]`
	}
	rows := func(on string, codes ...string) (lines string) {
		for i, code := range codes {
			lines += fmt.Sprintf("{\"id\": \"%d\", \"status\": \"ok\", %q: %q, \"fragile\": 60}\n", i, on, code)
		}
		return lines
	}
	of := func(verb, on string) string {
		return fmt.Sprintf(`{"verb": %q, "summary": {"items": 4, "failed": 0}, "inputs": [{"path": "gone", "on": %q, "bits": 8}]}`, verb, on)
	}
	found := `{"query": "a", "rank": 1, "id": "b", "distance": 0}` + "\n" + `{"query": "b", "rank": 1, "id": "a", "distance": 3}` + "\n"
	radii := func(first, second float64) (file, manifest string) {
		for range 3 {
			file += fmt.Sprintf("{\"complexity\": {\"r%g\": %g, \"r%g\": %g}}\n", first, math.Floor(50*first), second, math.Floor(50*second))
		}
		return file, fmt.Sprintf(`{"verb": "complexity", "settings": {"radius": [%g, %g]}}`, first, second)
	}
	falling, falls := radii(1, 0.0001)
	rising, rises := radii(0.0001, 1)
	const signs = "smooth (GELU, SiLU and their like bend everywhere): their bits are sign codes, not sides of linear regions."
	for name, c := range map[string]struct{ text, manifest, found, alarms, never string }{
		"sign codes": {rows("code", "0f", "f0"), `{"verb": "codes", ` + sites(true) + `}`, "Each of the 2 items has a code of its own (a sign code).", "1 of 1 sites are " + signs, "linear region of|regions nearby"},
		"in part": {rows("code", "0000", "0f00", "0f00", "0f00"), `{"verb": "codes", ` + sites(true, false) + `}`, "The 4 items have 2 different codes (in part sign codes).",
			"1 of 2 sites are " + signs + "|The codes collapse: 4 items share 2 codes.", "2 linear regions|The regions"},
		"digests of sign codes": {rows("digest", strings.Repeat("0", 32), strings.Repeat("1", 32)), `{"verb": "codes", ` + sites(true) + `}`, "Each of the 2 items has a code of its own (a sign code).", signs, "linear region of"},
		"sides":                 {rows("code", "0f", "f0"), `{"verb": "codes", ` + sites(false) + `}`, "Each of the 2 items has a linear region of its own.", "", "sign"},
		"sketches": {rows("sketch", "00", "0f", "0f", "0f"), `{"verb": "codes"}`, "The 4 items have 2 different sketches.|Items with equal sketches may have different whole codes.",
			"The sketches collapse: 4 items share 2 sketches.", "linear|region"},
		"channel codes": {rows("channels", "f0", "0f", "0f"), `{"verb": "codes"}`, "The 3 items have 2 different channel codes.|Items with equal channel codes may have", "", "linear|region"},
		"one item":      {rows("code", "00"), "", "The only item has a linear region of its own.", "have one value", "Each of the 1"},

		"found by sketches": {found, of("search", "sketch"), "For 1 of them it has an equal sketch, which need not mean an equal whole code.", "", "equal code."},
		"found by codes":    {found, of("search", "code"), "For 1 of them it has an equal code.", "", "sketch"},
		"found by what":     {found, "", "For 1 of them it has an equal code of a kind not known, which need not", "", "equal code."},
		"groups of sketches": {duplicated(3), of("dedup", "sketch"), "In 1 group all sketches are equal; elsewhere they differ in up to 2 bits.|Items with equal sketches may have different whole codes.",
			"", "all codes|equal codes"},

		"a wide distance": {rows("code", "0f", "f0"), `{"verb": "codes", "settings": {"fragile": 1}, ` + sites(false) + `}`,
			"Of 100 values of an item on average 60 lie within 1 of their knot: 600,000 in a million.", "", "rounding|fragile:"},
		"a distance of rounding": {rows("code", "0f", "f0"), `{"verb": "codes", "settings": {"fragile": 1e-5}, ` + sites(false) + `}`,
			"60 lie within 1e-05 of their knot, where rounding can turn their bit", "600 in a thousand values are fragile", ""},
		"no distance": {rows("code", "0f", "f0"), `{"verb": "codes", ` + sites(false) + `}`, "(the manifest does not say how near)", "", "rounding|fragile:"},

		"falling radii":  {falling, falls, "on average: 0 at radius 0.0001, 50 at radius 1.", "", "a larger one"},
		"rising radii":   {rising, rises, "on average: 0 at radius 0.0001, 50 at radius 1.", "", "a larger one"},
		"smooth, around": {`{"complexity": 3}` + "\n", `{"verb": "complexity", ` + sites(true) + `}`, "Around an item", signs, "more linear regions nearby"},
		"failed once": {`{"id": "a", "status": "ok", "complexity": 3}` + "\n" + `{"id": "b", "status": "error", "complexity": null}` + "\n",
			`{"verb": "complexity", "summary": {"items": 2, "failed": 1}}`, "", "1 of 2 items failed; the column error says why.", "1 item without"},

		"evaluated":          {strings.Replace(evaluationText, "{", `{"on": "code", "smooth_sites": {"smooth": 2, "all": 3}, `, 1), "", "Each of the 4 items has a code of its own (in part a sign code).", "2 of 3 sites are " + signs, "a linear region of"},
		"evaluated sketches": {strings.Replace(evaluationText, "{", `{"on": "sketch", `, 1), "", "Each of the 4 items has a sketch of its own.", "", "linear region"},
	} {
		file := "r.jsonl"
		if strings.HasPrefix(name, "evaluated") {
			file = "r.json"
		}
		path := write(t, filepath.Join(t.TempDir(), file), c.text)
		if c.manifest != "" {
			write(t, result.ManifestPath(path), c.manifest)
		}
		p := collect(t, path)
		if len(p.Sections) != 1 {
			t.Errorf("%s is not shown: %v", name, p.Skipped)
			continue
		}
		s := &p.Sections[0]
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
		said := fmt.Sprint(s.Found, s.Attention, s.Tables)
		for _, f := range s.Figures {
			said += f.Title + f.Caption
		}
		for _, n := range strings.Split(c.never, "|") {
			if said := strings.ReplaceAll(said, signs, ""); n != "" && strings.Contains(said, n) {
				t.Errorf("%s: %q says %q", name, said, n)
			}
		}
	}
}

// Of a job whose manifest counts the items that failed this is said once, and so it is of one
// without a manifest yet.
func TestFailuresAreSaidOnce(t *testing.T) {
	for name, m := range map[string]*result.Manifest{"finished": {Kind: "hash", Summary: map[string]any{"items": 11, "failed": 1}}, "going on": {}} {
		r := newShown("job")
		r.know(m)
		r.failing(1, 11)
		r.around([]binned{{"radius 1", []float64{3}}}, 1)
		r.manifested()
		if want := "1 of 11 items failed; the column error says why."; len(r.Attention) != 1 || r.Attention[0] != want {
			t.Errorf("%s: %q, want %q", name, r.Attention, want)
		}
		if r.around([]binned{{"radius 1", []float64{3}}}, 2); len(r.Attention) != 2 {
			t.Errorf("%s: nothing is said of one more item without local complexity", name)
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
