package report

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// documents are what verbs print with --json, in short, with the figures that they give.
var documents = map[string]struct{ text, figures, alt string }{
	"compare":     {`{"items": 2, "sites": [{"site": "relu", "bits": 2000000, "flips": 4, "items": 1, "margin": 1e-6, "scale": 2}, {"site": "b", "bits": 10}], "regions": 1, "outputs": 0.5}`, "Determinism map: bits that differ between the two settings, by site; How far from their knot the values of flipped bits lie, by site", "largest 2 (relu)"},
	"equal sides": {`{"items": 2, "sites": [{"site": "relu", "bits": 10}], "regions": 0, "outputs": 0}`, "Determinism map: bits that differ between the two settings, by site", "largest 0 (relu)"},
	"affine":      {`{"output": "logits", "rows": [3], "bias": [1], "value": [2], "norm": [3], "along": 3, "sites": [{"site": "relu", "ahead": {"distance": 0.25}}, {"site": "b", "behind": {"distance": 0}}]}`, "Distances to the boundaries of the linear region, by site", "ahead: largest 0.25 (relu). behind: largest 0 (b)"},
	"bench": {`{"code_bytes": 5, "results": [{"batch": 8, "plain": {"rate": {"median": 10, "p10": 9, "p90": 11}}, "codes": {"rate": {"median": 8, "p10": 8, "p90": 9}}, "ratio": {"median": 0.8, "p10": 0.7, "p90": 0.9}},
	{"batch": 1, "plain": {"rate": {"median": 1, "p10": 1, "p90": 1}}, "codes": {"rate": {"median": 0.5, "p10": 0.5, "p90": 0.5}}, "ratio": {"median": 0.5, "p10": 0.5, "p90": 0.5}}]}`, "What codes cost; Images a second", "ratio: largest 0.8 (batch 8)"},
	"evaluate": {evaluationText, "Accuracy from the codes alone; Rate reduction of clusters found without labels; Coding length of the clusters", "the network itself: 97"},
}

const evaluationText = `{"redundancy": {"train": {"items": 4, "regions": 4}, "test": {"items": 4, "regions": 4}}, "units": {"train": {}, "test": {}}, "knn": {"accuracy": 0.5},
	"network": {"test": {"accuracy": 0.97}}, "unlabelled": {"items": 4, "of": 4, "clusters": 2, "sizes": [2, 2], "rate": 3, "conditional_rate": 1, "rate_reduction": 2, "matched": 0.75},
	"sites": [{"name": "relu", "redundancy": {"train": {"items": 4, "regions": 4}}, "units": {"train": {}}, "knn": {"accuracy": 0.25}, "unlabelled": {"rate": 5}}]}`

// A document gives the same section printed or in a file.
func TestDocuments(t *testing.T) {
	for name, c := range documents {
		path := write(t, filepath.Join(t.TempDir(), "d.json"), c.text)
		p := collect(t, path)
		if got := strings.Join(titles(p), "; "); got != c.figures || len(p.Skipped) > 0 {
			t.Errorf("%s: figures %q, skipped %v", name, got, p.Skipped)
			continue
		}
		if alt := p.Sections[0].Figures[0].Alt; !strings.Contains(alt, c.alt) {
			t.Errorf("%s: %q does not say %q", name, alt, c.alt)
		}
		printed, err := Document(context.Background(), path, json.RawMessage(c.text), Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if pageOf(t, *printed) != pageOf(t, *p) {
			t.Errorf("%s: printed, it is another page than in a file", name)
		}
		if main, others := p.Main(); main != p.Sections[0].Figures[0] || others != len(p.Sections[0].Figures)-1 {
			t.Errorf("%s: the main figure, and %d others", name, others)
		}
	}
	if _, err := Document(context.Background(), "x", map[string]int{"other": 1}, Options{}); err == nil {
		t.Error("a document of no result is shown")
	}
}

// The tables of an evaluation: K-NN is of the test set, clusters are of the training set.
func TestEvaluationTables(t *testing.T) {
	p := collect(t, write(t, filepath.Join(t.TempDir(), "e.json"), evaluationText))
	var rows []string
	for _, table := range p.Sections[0].Tables {
		for _, row := range table.Rows {
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	want := "all|train|4|4|0.0000|0|0|0|0.000||0.7500| all|test|4|4|0.0000|0|0|0|0.000|0.5000||0.9700 relu|train|4|4|0.0000|0|0|0|0.000||| all|4|4|2|[2 2]|0|3|1|2||0.7500 relu|0|0|0|[]|0|5|0|0||"
	if got := strings.Join(rows, " "); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
}

// Results of one name have as much of their paths in their titles as tells them apart.
func TestTitles(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"a/x/d.csv", "b/x/d.csv", "b/e.csv", "b/y/d.csv"} {
		write(t, filepath.Join(dir, path), "step,measure,value\n1,m,2\n5,m,3\n")
	}
	var got []string
	for _, s := range collect(t, dir).Sections {
		got = append(got, s.Title)
	}
	if want := "dynamics: a/x/d.csv; dynamics: e.csv; dynamics: b/x/d.csv; dynamics: y/d.csv"; strings.Join(got, "; ") != want {
		t.Errorf("titles %q, want %q", strings.Join(got, "; "), want)
	}
}

// Captions speak of bands only where there are some.
func TestCaptionsOfBands(t *testing.T) {
	for stderr, want := range map[string]bool{"": false, "0": false, "0.5": true} {
		p := collect(t, write(t, filepath.Join(t.TempDir(), "d.csv"), fmt.Sprintf("step,measure,site,value,stderr\n1,m,,2,%[1]s\n5,m,,3,%[1]s\n1,m,relu,3,%[1]s\n", stderr)))
		for _, f := range p.Sections[0].Figures {
			if strings.Contains(strings.ToLower(f.Caption), "bands") != want {
				t.Errorf("stderr %q: the caption of %s: %q", stderr, f.Title, f.Caption)
			}
		}
	}
}

// Maps over pictures are shown by their index, hostile names are not followed.
func TestMaps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "maps")
	index := `{"map": "000000-a.png", "id": "a.png", "largest": 0.25}` + "\n" + `{"map": "../../secret.png", "id": "b", "largest": 1}` + "\n"
	write(t, filepath.Join(dir, "maps.jsonl"), index)
	f, err := os.Create(filepath.Join(dir, "000000-a.png"))
	if err == nil {
		err = png.Encode(f, image.NewGray(image.Rect(0, 0, 8, 6)))
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := collect(t, dir)
	if len(p.Sections) != 1 || len(p.Skipped) > 0 {
		t.Fatalf("%d sections, skipped %v", len(p.Sections), p.Skipped)
	}
	s := p.Sections[0]
	if s.Title != "complexity, maps: maps" || len(s.Figures) != 1 || !strings.Contains(s.Figures[0].Alt, "a.png: up to 25 %") || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "no name of a file") {
		t.Errorf("%+v", s)
	}
}

// The rows of compare -o and what their manifest adds are the document's.
func TestComparisonTable(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "c.jsonl"), `{"site": "relu", "bits": 100, "flips": 2, "items": 1, "margin": 0.5, "scale": 2, "for_a": 2, "for_b": 0}`+"\n")
	write(t, result.ManifestPath(path), `{"verb": "compare", "settings": {"a": "ort", "b": "gorgonia"}, "summary": {"items": 7, "outputs": 0.5, "judge": "gorgonia"}}`)
	s := collect(t, path).Sections[0]
	if len(s.Tables) != 1 || !strings.Contains(s.Tables[0].Caption, "of 7 items") || strings.Join(s.Tables[0].Rows[0], " ") != "relu 100 2 1 0.5 0.25" || !strings.Contains(s.Figures[0].Alt, "side a is right: largest 2e+04") || !strings.Contains(strings.Join(s.Notes, " "), "Side a: ort. Side b: gorgonia.") {
		t.Errorf("%+v", s)
	}
}

func TestUnshown(t *testing.T) {
	p := Page{Skipped: []Skipped{{"a", "x"}, {"b", "y"}, {"c", "y"}}}
	g := p.Unshown()
	if len(g) != 2 || g[0].Reason != "y" || strings.Join(g[0].Paths, "") != "bc" {
		t.Errorf("%+v", g)
	}
	if s := pageOf(t, p); !strings.Contains(s, "2 files: y") || !strings.Contains(s, "1 file: x") {
		t.Error("the page does not say how many files are not shown for which reason")
	}
}
