package dynamics

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// charted makes models of given redundancy and accuracy.
func charted(rows ...[5]float64) (models []Model, records []*Record) {
	for _, r := range rows {
		models = append(models, Model{Path: "m.onnx", At: [3]float64{r[0], r[1], r[2]}})
		records = append(records, &Record{Rows: []Row{figure("train", "", "redundancy", r[3], 100), figure("test", "", "redundancy", 0, 100),
			figure("test", "relu", "knn_accuracy", 0.5, 100), figure("test", "", "knn_accuracy", r[4], 100)}})
	}
	return models, records
}

func TestPhases(t *testing.T) {
	nan := math.NaN()
	// Sizes 10, 20, 40 and times 1, 2: accuracy settles at the far corner alone.
	models, records := charted(
		[5]float64{10, 1, nan, 0.4, 0.5}, [5]float64{20, 1, nan, 0.05, 0.8}, [5]float64{40, 1, nan, 0.001, 0.9},
		[5]float64{10, 2, nan, 0.051, 0.6}, [5]float64{20, 2, nan, 0.001, 0.9}, [5]float64{40, 2, nan, 0, 0.91})
	models, records = append(models, models[5]), append(records, &Record{Error: "broken"})
	cells := Phases(models, []int{0, 1}, records, DefaultThresholds)
	want := []string{under, under, critical, critical, critical, sufficient} // by size, then time
	if len(cells) != 6 {
		t.Fatalf("%d cells: %+v", len(cells), cells)
	}
	for i, c := range cells {
		if c.Pair != [2]string{"size", "time"} || c.Models != 1 || c.Regime != want[i] {
			t.Errorf("cell %d: %+v, want %s", i, c, want[i])
		}
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b) }
	for i, want := range [][2]float64{{0.3, 0.1}, {0.3, 0.1}, {0.1, 0.1}, {0.01, 0.1}, {0.1, 0.01}, {0.01, 0.01}} {
		if d := cells[i].Change; !near(d[0], want[0]) || !near(d[1], want[1]) {
			t.Errorf("cell %d changes by %v, want %v", i, d, want)
		}
	}
	// Of the largest setting the change is from the one below, in both axes.
	strict := DefaultThresholds
	strict.Saturated = 0.009
	for _, c := range Phases(models, []int{0, 1}, records, strict) {
		if c.Regime == sufficient {
			t.Errorf("a change of 0.01 is no more than %g: %+v", strict.Saturated, c)
		}
	}
	// One axis, repeats, an axis that does not vary, and a model that stands alone.
	models, records = charted([5]float64{10, 1, 7, 0, 0.8}, [5]float64{10, 1, 7, 0, 1}, [5]float64{30, 1, 7, 0, 0.9})
	cells = Phases(models, []int{0, 1, 2}, records, DefaultThresholds)
	if len(cells) != 2 || cells[0].Models != 2 || cells[0].KNN != 0.9 || cells[0].Pair != [2]string{"size", ""} || cells[0].Regime != sufficient {
		t.Errorf("repeats: %+v", cells)
	}
	cells = Phases(models[2:], []int{0, 1, 2}, records[2:], DefaultThresholds)
	if len(cells) != 1 || cells[0].Regime != undecided || !math.IsNaN(cells[0].Change[0]) {
		t.Errorf("alone: %+v", cells)
	}
	// Three axes make three pairs; neighbors differ in one axis alone.
	models, records = charted([5]float64{10, 1, 5, 0, 0.9}, [5]float64{20, 2, 5, 0, 0.9}, [5]float64{20, 1, 6, 0, 0.9})
	cells = Phases(models, []int{0, 1, 2}, records, DefaultThresholds)
	if len(cells) != 9 || slices.ContainsFunc(cells, func(c Cell) bool { return c.Regime != undecided }) {
		t.Errorf("apart: %+v", cells)
	}
	for _, bad := range []Thresholds{{0.05, 0.1, 0.01}, {2, 0, 0}, {0.1, -1, 0}, {0.1, 0, -1}, {nan, 0, 0}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestReadModels(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.csv")
	read := func(text string) ([]Model, []int, error) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return ReadModels(path)
	}
	models, axes, err := read("\ufeffTime, note ,PATH\n1,x,a.onnx\n 2.5,\"a,b\",/b.onnx\n")
	if err != nil || len(models) != 2 || !slices.Equal(axes, []int{1}) || models[0].Path != filepath.Join(dir, "a.onnx") || models[1].Path != "/b.onnx" ||
		models[1].At[1] != 2.5 || !math.IsNaN(models[0].At[0]) {
		t.Fatalf("%+v, %v, %v", models, axes, err)
	}
	for text, want := range map[string]string{
		"":                      "first line",
		"size,time\n1,2\n":      "no column path",
		"path,width\na,2\n":     "none of the columns size, time, samples",
		"path,size,size\na,1,2": "two columns",
		"path,size\n":           "no rows",
		"path,size\na,1\nb,\n":  `line 3: the size ""`,
		"path,size\na,NaN\n":    "no finite number",
		"path,size\n,1\n":       "line 2: no path",
		"path,size\na\n":        "wrong number of fields",
	} {
		if _, _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestModelsOfPhasesAreKept(t *testing.T) {
	dir, ckpts := t.TempDir(), corners(t, threeSteps...)
	s := study(t)
	s.Complexity = nil
	var models []Model
	for i, name := range []string{"step-1.onnx", "none.onnx", "step-3.onnx", "step-1.onnx"} {
		models = append(models, Model{Path: filepath.Join(ckpts, name), At: [3]float64{float64(i), math.NaN(), math.NaN()}})
	}
	print, err := s.Begin(dir, "phases", false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Outcome{{Measured: 2, Kept: 1, Failed: 1}, {Kept: 3, Failed: 1}} {
		out, err := s.Evaluate(t.Context(), dir, print, models)
		if err != nil || out.Measured != want.Measured || out.Kept != want.Kept || out.Failed != want.Failed {
			t.Fatalf("run %d: %+v, %v; want %+v", i, out, err, want)
		}
		if r := out.Records[2]; r.Figure("train", "redundancy") != 0.5 || !math.IsNaN(r.Figure("train", "churn")) {
			t.Errorf("run %d: %+v", i, r)
		}
		cols := ModelTable(models, out.Records)
		if fault := cols[len(cols)-1]; !slices.Equal(fault.Null, []bool{true, false, true, true}) {
			t.Errorf("run %d: %+v", i, fault)
		}
	}
	if _, err := s.Evaluate(t.Context(), dir, print, models[1:2]); err == nil {
		t.Error("no model that can be read gives no error")
	}
}

func FuzzReadModels(f *testing.F) {
	f.Add("path,size\na.onnx,1\n")
	f.Add("path,time,samples\n\"a\nb\",1e3,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		models, axes, err := readModels(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(models) == 0 || len(axes) == 0 {
			t.Fatalf("%d models, %d axes and no error", len(models), len(axes))
		}
		for _, m := range models {
			for _, a := range axes {
				if math.IsNaN(m.At[a]) || m.Path == "" {
					t.Fatalf("%+v", m)
				}
			}
		}
	})
}
