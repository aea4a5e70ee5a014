package dynamics

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// corner is the network of two units, relu(x - tx) and relu(y - ty), and the logits 0.1
// and their sum.
func corner(tx, ty float32) *onnx.Model {
	value := func(name string) *onnx.Value {
		return &onnx.Value{Name: name, DType: tensor.Float32, Shape: []onnx.Dim{{Size: -1, Param: "batch"}, {Size: 2}}}
	}
	weight := func(name string, v []float32, shape ...int) *onnx.Tensor {
		return onnx.NewTensor(name, tensor.Of(v, shape...))
	}
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "corner",
		Inputs: []*onnx.Value{value("input")}, Outputs: []*onnx.Value{value("logits")},
		Initializers: []*onnx.Tensor{weight("w", []float32{1, 0, 0, 1}, 2, 2), weight("b", []float32{-tx, -ty}, 2),
			weight("v", []float32{0, 1, 0, 1}, 2, 2), weight("c", []float32{0.1, 0}, 2)},
		Nodes: []*onnx.Node{{Name: "in", Op: "Gemm", Inputs: []string{"input", "w", "b"}, Outputs: []string{"z"}},
			{Name: "relu", Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"h"}},
			{Name: "out", Op: "Gemm", Inputs: []string{"h", "v", "c"}, Outputs: []string{"logits"}}}}}
}

// plane is a dataset of labelled points; a nil one cannot be read.
func plane(x [][]float32, labels ...int) dataset.Dataset {
	items := make([]dataset.Item, len(x))
	for i := range items {
		items[i] = dataset.Item{ID: fmt.Sprintf("p%d", i), Label: labels[i]}
	}
	ds, err := dataset.Memory([]int{2}, x, items)
	if err != nil {
		panic(err)
	}
	return ds
}

var (
	trained = plane([][]float32{{0.2, 0.2}, {0.4, 0.2}, {0.2, 0.4}, {0.6, 0.6}}, 0, 1, 0, 1)
	tested  = plane([][]float32{{0.2, 0.2}, {0.5, 0.6}}, 0, 1)
)

// study is one of corner networks, with the axes as frame.
func study(t *testing.T) *Study {
	t.Helper()
	f, err := probes.FrameOf(tensor.Of([]float32{1, 0, 0, 1}, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	s := &Study{Train: trained, Test: tested, Frame: f, Load: onnx.Load, Backend: gorgonia.Backend{}, Gradients: gorgonia.Backend{}, Workers: 2}
	s.Settings = Settings{Layout: Layout, Batch: 3, K: 1, Complexity: &Complexity{Radii: []float64{0.06, 0.2}, Frame: f.SHA256(), Random: 5, High: 1}}
	for _, d := range []struct {
		to *Data
		ds dataset.Dataset
	}{{&s.Settings.Train, s.Train}, {&s.Settings.Test, s.Test}} {
		if *d.to, err = Mark(t.Context(), d.ds, 2); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// corners writes checkpoints of steps 1, 2 and 3 and so on.
func corners(t *testing.T, at ...[2]float32) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i, p := range at {
		save(t, corner(p[0], p[1]), filepath.Join(dir, fmt.Sprintf("step-%d.onnx", i+1)))
	}
	return dir
}

func save(t *testing.T, m *onnx.Model, path string) {
	t.Helper()
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
}

var threeSteps = [][2]float32{{0.25, 0.25}, {0.25, 0.5}, {0.5, 0.5}}

func survey(t *testing.T, s *Study, dir string) []Checkpoint {
	t.Helper()
	files, err := Files([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	cs, err := Survey(files, s.Load, s.siteOptions(), s.Train.Shape())
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// follow runs a study to its end.
func follow(t *testing.T, s *Study, ckpts, dir string) *Outcome {
	t.Helper()
	print, err := s.Begin(dir, "dynamics", false)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Follow(t.Context(), dir, print, survey(t, s, ckpts))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// get is one figure of a record.
func get(t *testing.T, r *Record, set, measure string, radius float64) Row {
	t.Helper()
	for _, f := range r.Rows {
		if f.Set == set && f.Measure == measure && f.Radius == radius && f.Site == "" {
			return f
		}
	}
	return Row{Value: Value(math.NaN()), StdErr: Value(math.NaN())}
}

// All of it was worked out by hand.
func TestFiguresOfCornerNetworks(t *testing.T) {
	s := study(t)
	s.Settings.Attack = &Attack{Norm: "linf", Epsilon: 0.3, Step: 0.1, Iterations: 5}
	out := follow(t, s, corners(t, threeSteps...), t.TempDir())
	if out.Measured != 3 || out.Kept != 0 || out.Failed != 0 {
		t.Fatalf("%+v", out)
	}
	none := math.NaN()
	for _, c := range []struct {
		set, measure string
		radius       float64
		want         [3]float64
		n            int
	}{
		{"train", "complexity", 0.06, [3]float64{1, 0.5, 0}, 4},
		{"train", "complexity_q05", 0.06, [3]float64{0.15, 0, 0}, 4}, // of 0, 1, 1, 2
		{"train", "complexity_q75", 0.06, [3]float64{1.25, 1, 0}, 4},
		{"test", "complexity", 0.06, [3]float64{1, 0.5, 0.5}, 2}, // a vertex at 0.5 of a knot at 0.5
		{"random", "complexity", 0.06, [3]float64{none, none, none}, 5},
		{"train", "accuracy", 0, [3]float64{0.75, 1, 0.75}, 4},
		{"train", "margin", 0, [3]float64{0.175, 0.15, 0.05}, 4},
		{"train", "mse", 0, [3]float64{0.309375, none, none}, 4},
		{"train", "redundancy", 0, [3]float64{0, 0.25, 0.5}, 4},
		{"train", "regions", 0, [3]float64{4, 3, 2}, 4},
		{"train", "churn", 0, [3]float64{none, 0.125, 0.125}, 4},
		{"train", "moved", 0, [3]float64{none, 0.25, 0.25}, 4},
		{"test", "churn_bits", 0, [3]float64{none, 0, 0.5}, 2},
		{"test", "knn_accuracy", 0, [3]float64{1, 1, 0.5}, 2},
		{"test", "knn_distance_ties", 0, [3]float64{0, 1, 2}, 2},
		{"test", "robust_accuracy", 0, [3]float64{0.5, 0.5, 0.5}, 2},
	} {
		for i, r := range out.Records {
			f := get(t, r, c.set, c.measure, c.radius)
			if !math.IsNaN(c.want[i]) && (!(math.Abs(float64(f.Value)-c.want[i]) < 1e-6) || f.N != c.n) {
				t.Errorf("step %d: %s %s at %g is %g of %d items, want %g of %d", i+1, c.set, c.measure, c.radius, f.Value, f.N, c.want[i], c.n)
			}
		}
	}
	first := get(t, out.Records[0], "train", "complexity", 0.06)
	if math.Abs(float64(first.StdErr)-math.Sqrt(2.0/3)/2) > 1e-12 {
		t.Errorf("standard error %g, want %g", first.StdErr, math.Sqrt(2.0/3)/2)
	}
	if f := get(t, out.Records[0], "random", "complexity", 0.06); f.N != 5 {
		t.Errorf("random points: %+v", f)
	}
	logistic := func(margin float64) float64 { return math.Log(1 + math.Exp(-margin)) }
	want := (logistic(0.1) + logistic(0.05) + logistic(-0.05) + logistic(0.6)) / 4
	if f := get(t, out.Records[0], "train", "cross_entropy", 0); math.Abs(float64(f.Value)-want) > 1e-7 {
		t.Errorf("cross-entropy %g, want %g", f.Value, want)
	}
}

// interrupted is a context that ends once the study has said something that begins so.
func interrupted(t *testing.T, s *Study, after string) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	s.Say = func(format string, args ...any) {
		if strings.HasPrefix(fmt.Sprintf(format, args...), after) {
			cancel()
		}
	}
	return ctx
}

func figures(out *Outcome) (rows [][]Row) {
	for _, r := range out.Records {
		rows = append(rows, r.Rows)
	}
	return rows
}

func words(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAStoppedRunGoesOn(t *testing.T) {
	ckpts, dir := corners(t, threeSteps...), t.TempDir()
	whole := figures(follow(t, study(t), ckpts, t.TempDir()))
	s := study(t)
	print, err := s.Begin(dir, "dynamics", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Follow(interrupted(t, s, "step 2"), dir, print, survey(t, s, ckpts)); err == nil {
		t.Fatal("the interrupted run gives no error")
	}
	out := follow(t, study(t), ckpts, dir)
	if out.Kept != 2 || out.Measured != 1 {
		t.Errorf("%d kept and %d measured, want 2 and 1", out.Kept, out.Measured)
	}
	if a, b := words(t, figures(out)), words(t, whole); a != b {
		t.Errorf("figures of a run in two parts:\n%s\nin one:\n%s", a, b)
	}
	// A checkpoint that comes in between changes the churn of the next one.
	save(t, corner(0.5, 0.25), filepath.Join(ckpts, "step-2.5e1.onnx"))
	if err := os.Rename(filepath.Join(ckpts, "step-3.onnx"), filepath.Join(ckpts, "step-30.onnx")); err != nil {
		t.Fatal(err)
	}
	out = follow(t, study(t), ckpts, dir)
	if out.Kept != 2 || out.Measured != 2 || get(t, out.Records[3], "train", "churn", 0).Value != 0.125 || get(t, out.Records[2], "train", "churn", 0).Value != 0.25 {
		t.Errorf("%d kept, %d measured, churn %+v and %+v", out.Kept, out.Measured, get(t, out.Records[2], "train", "churn", 0), get(t, out.Records[3], "train", "churn", 0))
	}
}

func TestRecordsThatAreNotWhatTheySayAreMadeAnew(t *testing.T) {
	ckpts, dir := corners(t, threeSteps...), t.TempDir()
	good := words(t, figures(follow(t, study(t), ckpts, dir)))
	path := filepath.Join(dir, "step-2.json")
	for name, change := range map[string]func(b string) string{
		"a figure":    func(b string) string { return strings.Replace(b, `"value": 0.25`, `"value": 0.26`, 1) },
		"model":       func(b string) string { return strings.Replace(b, `"sha256": "`, `"sha256": "0`, 1) },
		"before":      func(b string) string { return strings.Replace(b, `"before": "`, `"before": "0`, 1) },
		"sites":       func(b string) string { return strings.Replace(b, `"sites_hash": "`, `"sites_hash": "0`, 1) },
		"fingerprint": func(b string) string { return strings.Replace(b, `"fingerprint": "`, `"fingerprint": "0`, 1) },
		"cut":         func(b string) string { return b[:len(b)/2] },
		"empty":       func(string) string { return "" },
		"null":        func(string) string { return "null" },
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(string(b))
		if changed == string(b) {
			t.Fatalf("%s: nothing to change in\n%s", name, b)
		}
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		out := follow(t, study(t), ckpts, dir)
		if out.Kept != 2 || out.Measured != 1 || words(t, figures(out)) != good {
			t.Errorf("%s: %d kept, %d measured", name, out.Kept, out.Measured)
		}
	}
	// The second is kept between two that are not: churn is against it all the same.
	for _, name := range []string{"step-1.json", "step-3.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if out := follow(t, study(t), ckpts, dir); out.Kept != 1 || out.Measured != 2 || words(t, figures(out)) != good {
		t.Errorf("the first and the third: %d kept, %d measured", out.Kept, out.Measured)
	}
	// Another network of the same step.
	save(t, corner(0.3, 0.3), filepath.Join(ckpts, "step-2.onnx"))
	if out := follow(t, study(t), ckpts, dir); out.Kept != 1 || out.Measured != 2 {
		t.Errorf("a new network: %d kept, %d measured, want 1 and 2", out.Kept, out.Measured)
	}
}

// Records of versions that had no hash of the sites are kept where their figures are of
// the sites that this one finds.
func TestRecordsOfOlderVersions(t *testing.T) {
	ckpts, dir := corners(t, threeSteps...), t.TempDir()
	follow(t, study(t), ckpts, dir)
	path := filepath.Join(dir, "step-2.json")
	for _, c := range []struct {
		kept int
		site string
	}{{2, "old"}, {3, ""}} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r Record
		if err := json.Unmarshal(b, &r); err != nil || r.SitesHash == "" {
			t.Fatalf("%v in %s", err, b)
		}
		r.SitesHash, r.Rows[0].Site = "", c.site
		if err := r.write(path); err != nil {
			t.Fatal(err)
		}
		if out := follow(t, study(t), ckpts, dir); out.Kept != c.kept {
			t.Errorf("a figure of the site %q: %d records are kept, want %d", c.site, out.Kept, c.kept)
		}
	}
}

func TestOtherSettingsAndData(t *testing.T) {
	dir := t.TempDir()
	follow(t, study(t), corners(t, threeSteps...), dir)
	for want, change := range map[string]func(s *Study){
		"[k]":          func(s *Study) { s.K = 3 },
		"[complexity]": func(s *Study) { s.Complexity.Radii = []float64{0.06} },
		"[test]":       func(s *Study) { s.Settings.Test.Digest = "other" },
	} {
		s := study(t)
		change(s)
		if _, err := s.Begin(dir, "dynamics", false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := study(t).Begin(dir, "phases", false); err == nil || !strings.Contains(err.Error(), `folder of "dynamics"`) {
		t.Error(err)
	}
	s := study(t)
	s.K = 3
	if _, err := s.Begin(dir, "dynamics", true); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "step-*.json")); left != nil {
		t.Errorf("records of other settings are left: %q", left)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := study(t).Begin(foreign, "dynamics", false); err == nil || !strings.Contains(err.Error(), "notes.txt") {
		t.Error(err)
	}
	// One pixel, one label and one id tell data apart.
	same, _ := Mark(t.Context(), trained, 1)
	for i := range 2 {
		p := plane([][]float32{{0.2, 0.2}, {0.4, 0.2}, {0.2, 0.4}, {0.6, []float32{0.7, 0.6}[i]}}, 0, 1, 0, []int{1, 0}[i])
		if d, err := Mark(t.Context(), p, 3); err != nil || d.Digest == same.Digest {
			t.Errorf("change %d: %v, %v", i, d, err)
		}
	}
	if d, err := Mark(t.Context(), trained, 4); err != nil || !reflect.DeepEqual(d, same) {
		t.Errorf("%v, %v; want %v", d, err, same)
	}
}

func TestABrokenCheckpointIsARow(t *testing.T) {
	ckpts, dir := corners(t, threeSteps...), t.TempDir()
	path := filepath.Join(ckpts, "step-2.onnx")
	if err := os.WriteFile(path, []byte("no model"), 0o666); err != nil {
		t.Fatal(err)
	}
	s := study(t)
	out := follow(t, s, ckpts, dir)
	if out.Measured != 2 || out.Failed != 1 || out.Records[1].Error == "" {
		t.Fatalf("%+v", out)
	}
	// The churn of the third is against the first.
	if f := get(t, out.Records[2], "train", "churn", 0); f.Value != 0.25 {
		t.Errorf("churn past a broken checkpoint: %+v", f)
	}
	cols := LongTable(survey(t, s, ckpts), out.Records)
	at := slices.Index(cols[0].Values.([]int64), 2)
	last := cols[len(cols)-1]
	if at < 0 || last.Name != "error" || last.Null[at] || last.Values.([]string)[at] != out.Records[1].Error || cols[4].Values.([]string)[at] != "error" {
		t.Errorf("row %d of %+v", at, cols)
	}
	save(t, corner(0.25, 0.5), path)
	if out = follow(t, study(t), ckpts, dir); out.Failed != 0 || out.Measured != 2 || out.Kept != 1 {
		t.Errorf("mended: %+v", out)
	}
}

// An engine that is lost names the model by itself.
func TestALostEngineNamesTheModelOnce(t *testing.T) {
	ckpts := corners(t, threeSteps...)
	path := filepath.Join(ckpts, "step-2.onnx")
	s, said := study(t), ""
	s.Say = func(format string, args ...any) { said += fmt.Sprintf(format+"\n", args...) }
	s.Load = func(file string) (*onnx.Model, error) {
		if file == path {
			return nil, &engine.LostError{Engine: "ONNX Runtime", Model: file, Doing: "ran the model", Signal: "SIGFPE"}
		}
		return onnx.Load(file)
	}
	const lost = "ONNX Runtime crashed with SIGFPE while it ran the model"
	out := follow(t, s, ckpts, t.TempDir())
	if want := "step 2: " + path + ": " + lost + "\n"; !strings.Contains(said, want) || out.Records[1].Error != path+": "+lost {
		t.Errorf("said\n%swant %s\nrecord %q", said, want, out.Records[1].Error)
	}
}

// An item that cannot be read counts in no figure.
func TestBrokenItems(t *testing.T) {
	s := study(t)
	ckpts := corners(t, threeSteps[0])
	want := follow(t, s, ckpts, t.TempDir()).Records[0]
	s.Train = plane([][]float32{{0.2, 0.2}, {0.4, 0.2}, {0.2, 0.4}, {0.6, 0.6}, nil}, 0, 1, 0, 1, 0)
	got := follow(t, s, ckpts, t.TempDir()).Records[0]
	if got.Failed != 1 || words(t, got.Rows) != words(t, want.Rows) {
		t.Errorf("%d items failed, want 1; figures\n%s\nwant\n%s", got.Failed, words(t, got.Rows), words(t, want.Rows))
	}
}
