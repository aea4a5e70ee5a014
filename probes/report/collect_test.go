package report

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

func save(t *testing.T, path string, manifest any, cols ...result.Column) string {
	t.Helper()
	to, err := result.Create(path, result.Options{})
	if err == nil {
		if err = to.Write(cols); err == nil {
			err = to.Commit(manifest)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func slurped(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func collect(t *testing.T, paths ...string) *Page {
	t.Helper()
	p, err := Collect(context.Background(), paths, Options{Sample: 50})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func titles(p *Page) (all []string) {
	for _, s := range p.Sections {
		for _, f := range s.Figures {
			all = append(all, f.Title)
		}
	}
	return all
}

func TestDynamicsInEveryFormat(t *testing.T) {
	dir := t.TempDir()
	var step, n []int64
	var set, site, measure []string
	var value, stderr []float64
	var null []bool
	for _, s := range []int64{0, 10, 1000} {
		for _, name := range []string{"train", "random"} {
			for _, at := range []string{"", "relu", "layer1.0.relu"} {
				step, n, set, site, measure = append(step, s), append(n, 100), append(set, name), append(site, at), append(measure, "complexity")
				value, stderr, null = append(value, float64(s)+2), append(stderr, 0.5), append(null, at == "relu")
			}
		}
	}
	cols := []result.Column{{Name: "step", Values: step}, {Name: "set", Values: set}, {Name: "site", Values: site}, {Name: "measure", Values: measure},
		{Name: "value", Values: value}, {Name: "stderr", Values: stderr, Null: null}, {Name: "n", Values: n}}
	lines := "step,set,site,measure,value,stderr,n\n"
	for i := range step {
		lines += fmt.Sprintf("%d,%s,%s,%s,%g,0.5,100\n", step[i], set[i], site[i], measure[i], value[i])
	}
	manifest := map[string]string{"verb": "dynamics"}
	for _, path := range []string{save(t, filepath.Join(dir, "d.parquet"), manifest, cols...), save(t, filepath.Join(dir, "d.jsonl"), manifest, cols...), write(t, filepath.Join(dir, "d.csv"), lines)} {
		p := collect(t, path)
		if got := strings.Join(titles(p), "; "); got != "Complexity during training; Complexity, by site" || len(p.Skipped) > 0 {
			t.Errorf("%s: figures %q, skipped %v", path, got, p.Skipped)
			continue
		}
		if row := strings.Join(p.Sections[0].Tables[0].Rows[0], " "); row != "complexity train 0 2 1,000 1,002" {
			t.Errorf("%s: the first row of the summary: %s", path, row)
		}
	}
}

func TestQuantilesAreBands(t *testing.T) {
	dir := t.TempDir()
	lines := "step,set,radius,measure,value\n"
	for _, step := range []int{0, 10} {
		for q, v := range map[string]int{"q05": 1, "q25": 3, "q50": 5, "q75": 9, "q95": 20} {
			lines += fmt.Sprintf("%d,test,0.5,complexity_%s,%d\n", step, q, v)
		}
		lines += fmt.Sprintf("%d,test,,knn_vote_ties,3\n%[1]d,,,error,\n", step)
	}
	path := write(t, filepath.Join(dir, "d.csv"), lines)
	table, err := readTable(path, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	charts, skipped := chartsOf(table)
	if len(charts) != 1 || skipped != 2 {
		t.Fatalf("%d charts, %d rows left out", len(charts), skipped)
	}
	if m := charts[0]; m.title != "median complexity, radius 0.5" || m.sites[""][0].Points[1] != (curvePoint{10, 5, 3, 9}) {
		t.Errorf("%+v", m)
	}
}

// A table as phases writes it: every setting once for each pair of axes.
func TestPhases(t *testing.T) {
	dir := t.TempDir()
	lines := "x,y,size,time,samples,redundancy_train,redundancy_test,knn_accuracy,regime\n"
	for _, pair := range []string{"size,time", "size,samples"} {
		for _, size := range []int{10, 100} {
			for _, other := range []int{1, 50} {
				lines += fmt.Sprintf("%s,%d,%d,%d,0.5,,0.9,under-expressive\n", pair, size, other, other)
			}
		}
	}
	write(t, filepath.Join(dir, "plan.json"), `{"fingerprint":"f","verb":"phases","settings":{}}`)
	write(t, filepath.Join(dir, "model-00ff.json"), `{}`)
	write(t, filepath.Join(dir, "phases.csv"), lines)
	p := collect(t, dir)
	want := "Phases of the activation hash: model size and training time; Redundancy, training set against model size; K-NN accuracy against model size; " +
		"Phases of the activation hash: model size and training samples; Redundancy, training set against model size; K-NN accuracy against model size"
	if got := strings.Join(titles(p), "; "); got != want || len(p.Skipped) > 0 {
		t.Errorf("figures %q, skipped %v", got, p.Skipped)
	}
}

func TestComplexityOfSeveralRadii(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lc.parquet")
	save(t, path, map[string]any{"verb": "complexity", "settings": map[string]any{"radius": []float64{0.1, 0.5, 1}}},
		result.Column{Name: "id", Values: []string{"a", "b", "c"}},
		result.Column{Name: "complexity", Width: 3, Parts: []result.Part{{Name: "r0.1", Width: 1}, {Name: "r0.5", Width: 1}, {Name: "r1", Width: 1}}, Values: []int64{1, 2, 3, 3, 4, 5, 0, 0, 0}, Null: []bool{false, false, true}},
		result.Column{Name: "fraction", Width: 3, Parts: []result.Part{{Name: "a.b@0.1", Width: 1}, {Name: "a.b@0.5", Width: 1}, {Name: "a.b@1", Width: 1}}, Values: []float64{.1, .2, .3, .3, .4, .5, 0, 0, 0}, Null: []bool{false, false, true}})
	p := collect(t, path)
	if got := strings.Join(titles(p), "; "); got != "Local complexity of the items; Local complexity against the radius; Local complexity, by site" {
		t.Fatalf("figures %q, skipped %v", got, p.Skipped)
	}
	if row := strings.Join(p.Sections[0].Tables[0].Rows[1], " "); row != "0.5 2 1 3 1.41 2 3 4" {
		t.Errorf("the row of radius 0.5: %s", row)
	}
	if alt := p.Sections[0].Figures[2].Alt; !strings.Contains(alt, "radius 0.5: largest 30 (a.b)") {
		t.Errorf("the mean of the fractions 0.2 and 0.4: %s", alt)
	}
}

func TestWhatIsNotShown(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.txt"), "text")
	write(t, filepath.Join(dir, "b.parquet"), "PAR1 but short PAR1")
	write(t, filepath.Join(dir, "c.json"), `{"other": 1}`)
	write(t, filepath.Join(dir, "d.csv"), "one,two\n1,2\n")
	write(t, filepath.Join(dir, "e.csv"), "step,measure,value\n1,m,\n")
	write(t, filepath.Join(dir, "f.jsonl"), "{\n")
	write(t, filepath.Join(dir, "g.csv"), "step,measure,value\n1,m,2\n")
	write(t, filepath.Join(dir, "g.csv.manifest.json"), "{broken")
	write(t, filepath.Join(dir, "sub", "plan.json"), `{"shards": []}`)
	p := collect(t, dir)
	var got []string
	for _, s := range p.Skipped {
		got = append(got, filepath.Base(s.Path))
		if s.Reason == "" {
			t.Errorf("%s: no reason", s.Path)
		}
	}
	if all := strings.Join(got, " "); all != "a.txt b.parquet c.json d.csv e.csv f.jsonl g.csv sub" || len(p.Sections) > 0 {
		t.Errorf("not shown: %s; shown: %d", all, len(p.Sections))
	}
	if _, err := Collect(context.Background(), []string{filepath.Join(dir, "none")}, Options{}); err == nil {
		t.Error("a path that there is not is an error")
	}
	if _, err := Collect(context.Background(), []string{dir}, Options{Sample: MaxItems + 1}); err == nil {
		t.Error("a sample that is too large is an error")
	}
}

// Readers of the three formats give the same table.
func TestReadTable(t *testing.T) {
	dir := t.TempDir()
	cols := []result.Column{{Name: "name", Values: []string{"a", "b"}}, {Name: "n", Values: []int64{1, 2}, Null: []bool{false, true}},
		{Name: "f", Width: 2, Parts: []result.Part{{Name: "x.y", Width: 1}, {Name: "z", Width: 1}}, Values: []float64{.5, 1, 1.5, 2}}}
	for _, path := range []string{save(t, filepath.Join(dir, "t.parquet"), nil, cols...), save(t, filepath.Join(dir, "t.jsonl"), nil, cols...),
		write(t, filepath.Join(dir, "t.csv"), "name,n,f.x.y,f.z\na,1,0.5,1\nb,,1.5,2\n")} {
		c, err := readTable(path, func(n string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if c.rows != 2 || c.text("name", 1) != "b" || c.number("n", 0) != 1 || !math.IsNaN(c.number("n", 1)) || c.number("f.x.y", 1) != 1.5 || strings.Join(c.below("f"), " ") != "x.y z" {
			t.Errorf("%s: %+v", path, c)
		}
		if c, err = readTable(path, func(n string) bool { return n == "n" }); err != nil || len(c.order) != 1 {
			t.Errorf("%s: one column: %+v, %v", path, c, err)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	dir := f.TempDir()
	for i, seed := range []string{"a,b\n1,2\n", `{"a":1,"b":{"c":"x"}}`, `{"step":0,"measure":"m","value":1}`, "step,measure,value\n0,m,1\n", "PAR1", "x,y,size,regime\nsize,,3,u\n"} {
		f.Add([]byte(seed), uint8(i%3))
	}
	path := filepath.Join(dir, "ok.parquet")
	to, err := result.Create(path, result.Options{})
	if err == nil {
		_ = to.Write([]result.Column{{Name: "complexity", Values: []int64{1, 2}}})
		err = to.Commit(map[string]string{})
	}
	if err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, format uint8) {
		path := filepath.Join(t.TempDir(), "f"+[]string{".csv", ".jsonl", ".parquet", ".json"}[format%4])
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := Collect(context.Background(), []string{path}, Options{MaxBytes: 1 << 24})
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "the page", []byte(strings.Replace(pageOf(t, *p), "<!DOCTYPE html>", "", 1)))
	})
}

func TestManifestIsShown(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "g.csv"), "step,measure,value\n1,m,2\n5,m,3\n")
	m, _ := json.Marshal(map[string]any{"verb": "dynamics", "model": "nets/a.onnx", "settings": map[string]any{"radius": "not a list"}})
	write(t, result.ManifestPath(path), string(m))
	p := collect(t, dir)
	if len(p.Sections) != 1 || p.Sections[0].Title != "dynamics: g.csv" || !strings.Contains(p.Sections[0].Manifest, `"model": "nets/a.onnx"`) {
		t.Errorf("%+v", p)
	}
}
