package report

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// What --plot FILE.svg takes is the first figure: it has every radius, and so have the bars.
func TestAllRadiiAreInOneFigure(t *testing.T) {
	radii := []string{"0.005", "0.01", "0.02", "0.05", "0.1"}
	var totals, sites []result.Part
	var complexity []int64
	var fraction []float64
	for _, r := range radii {
		totals = append(totals, result.Part{Name: "r" + r, Width: 1})
		sites = append(sites, result.Part{Name: "relu@" + r, Width: 1}, result.Part{Name: "gelu@" + r, Width: 1})
	}
	for row := range 4 {
		for k := range radii {
			complexity = append(complexity, int64(10*k*k+row))
			fraction = append(fraction, float64(k)/10, float64(row)/10)
		}
	}
	path := save(t, filepath.Join(t.TempDir(), "lc.parquet"), map[string]string{"verb": "complexity"},
		result.Column{Name: "complexity", Width: len(totals), Parts: totals, Values: complexity},
		result.Column{Name: "fraction", Width: len(sites), Parts: sites, Values: fraction})
	p := collect(t, path)
	if got := strings.Join(titles(p), "; "); got != "Local complexity of the items; Local complexity against the radius; Local complexity, by site" {
		t.Fatalf("figures %q", got)
	}
	main, _ := p.Main()
	bars := p.Sections[0].Figures[2]
	for _, r := range radii {
		if want := "radius " + r + " (4)"; strings.Count(string(svgOf(t, main)), ">"+want+"<") != 1 {
			t.Errorf("the first figure lacks %q", want)
		}
		if strings.Count(string(svgOf(t, bars)), ">radius "+r+"<") != 1 {
			t.Errorf("the bars lack the radius %s", r)
		}
	}
}

// Results of earlier versions, in which one radius was not named, are shown as those of today.
func TestComplexityOfEarlierVersions(t *testing.T) {
	for _, radius := range []string{"0.05", "one"} { // one that is not known
		dir := t.TempDir()
		old := write(t, filepath.Join(dir, "old", "lc.jsonl"), `{"complexity": 3, "fraction": {"relu": 0.5, "gelu": 0.25}}`+"\n"+`{"complexity": 5, "fraction": {"relu": 0.25, "gelu": 0.5}}`+"\n")
		now := write(t, filepath.Join(dir, "now", "lc.jsonl"), strings.NewReplacer(`"complexity": 3`, `"complexity": {"rR": 3}`, `"complexity": 5`, `"complexity": {"rR": 5}`,
			`"relu"`, `"relu@R"`, `"gelu"`, `"gelu@R"`).Replace(slurped(t, old)))
		write(t, now, strings.ReplaceAll(slurped(t, now), "R", radius))
		var shown []string
		for _, path := range []string{old, now} {
			manifest := fmt.Sprintf(`{"verb": "complexity", "settings": {"radius": [%s]}}`, radius)
			if radius == "one" {
				manifest = `{"verb": "complexity"}`
			}
			write(t, result.ManifestPath(path), manifest)
			p := collect(t, path)
			if len(p.Sections) != 1 {
				t.Fatalf("%s: %v", path, p.Skipped)
			}
			s := p.Sections[0]
			said := fmt.Sprint(s.Tables)
			for _, f := range s.Figures {
				said += "\n" + f.Alt
			}
			shown = append(shown, said)
		}
		if shown[0] != shown[1] || !strings.Contains(shown[0], "radius "+radius) || !strings.Contains(shown[0], "(relu)") {
			t.Errorf("radius %s: the old file\n%s\nthe new\n%s", radius, shown[0], shown[1])
		}
	}
}
