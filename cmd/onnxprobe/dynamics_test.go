package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/dynamics"
)

// checkpoints copies models to a folder, as files of these names.
func checkpoints(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, model := range files {
		b, err := os.ReadFile(model)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// following is a command line of dynamics.
func following(ckpts, out string, more ...string) []string {
	return append([]string{"dynamics", ckpts, "--train", digits, "--test", digits, "--preprocess", "mnist-01", "--resize", "none", "--crop", "none",
		"--backend", "gorgonia", "-o", out}, more...)
}

// figuresOf reads the table of a run: the value at STEP SET SITE RADIUS MEASURE.
func figuresOf(t *testing.T, path string) map[string]float64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, r := range all[1:] {
		v, err := strconv.ParseFloat(r[5], 64)
		if err != nil {
			v = math.NaN()
		}
		out[strings.Join(r[:5], " ")] = v
	}
	return out
}

func TestDynamics(t *testing.T) {
	ckpts := checkpoints(t, map[string]string{"step-000010.onnx": mlp, "step-000100.onnx": mlp})
	out := filepath.Join(t.TempDir(), "run")
	args := following(ckpts, out, "--output-format", "csv", "--radius", "0.05,0.5", "--points", "40", "--random-points", "7", "--by-site", "--fragile", "1e-3",
		"--attack", "linf", "--epsilon", "0.1", "--attack-points", "30", "--directions", "5")
	shown := stdoutOf(t, args...)
	if strings.Count(shown, "\n") != 3 || !strings.Contains(shown, "CHURN TEST") {
		t.Errorf("the table:\n%s", shown)
	}
	got := figuresOf(t, filepath.Join(out, "dynamics.csv"))
	for key, want := range map[string]float64{"10 test   accuracy": 0.97, "100 test   churn": 0, "100 train   moved": 0, "10 test   redundancy": 0, "100 test relu1  churn": 0} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %g, %t; want %g", key, v, ok, want)
		}
	}
	for _, key := range []string{"10 random  0.5 complexity", "10 test relu1 0.05 complexity_q50", "10 test relu2  knn_accuracy", "10 test   fragile", "10 test   robust_accuracy"} {
		if v, ok := got[key]; !ok || v < 0 {
			t.Errorf("%s: %g, %t", key, v, ok)
		}
	}
	// The frame that it wrote gives the verb complexity the same counts.
	total, sites := 0.0, map[string]float64{}
	frame := filepath.Join(out, "frame.npy")
	all := filepath.Join(t.TempDir(), "all")
	stdoutOf(t, following(ckpts, all, "--output-format", "csv", "--radius", "0.05", "--points", "0", "--frame", frame)...)
	items := rows(t, stdoutOf(t, "complexity", mlp, digits, "--preprocess", "mnist-01", "--resize", "none", "--crop", "none",
		"--backend", "gorgonia", "--radius", "0.05", "--frame", frame, "-o", "-"))
	for _, r := range items {
		total += only(t, r["complexity"])
		for site, n := range r["count"].(map[string]any) {
			sites[strings.TrimSuffix(site, "@0.05")] += n.(float64)
		}
	}
	got = figuresOf(t, filepath.Join(all, "dynamics.csv"))
	sites[""] = total
	for site, n := range sites {
		if v := got["10 test "+site+" 0.05 complexity"]; math.Abs(v-n/float64(len(items))) > 1e-12 || total == 0 {
			t.Errorf("site %q: %g, want %g", site, v, n/float64(len(items)))
		}
	}
	// It goes on, and nothing is left to do.
	var sum studySummary
	decode(t, stdoutOf(t, append(args, "--json")...), &sum)
	if sum.Measured != 0 || sum.Kept != 2 || len(sum.Failed) != 0 || len(sum.Tables) != 1 {
		t.Errorf("%+v", sum)
	}
	// Only what the settings hold decides whether it goes on.
	if r := do(append(args, "-k", "3")...); r.code != exitFailed || !strings.Contains(r.messages, "[k] differ") {
		t.Errorf("other settings: %+v", r)
	}
	// One more checkpoint, which the other exporter wrote: the same network and sites.
	b, err := os.ReadFile(data + "models/mlp_torchscript.onnx")
	if err == nil {
		err = os.WriteFile(filepath.Join(ckpts, "1e3.onnx"), b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	decode(t, stdoutOf(t, append(args, "--json")...), &sum)
	if sum.Measured != 1 || sum.Kept != 2 {
		t.Errorf("%+v", sum)
	}
	if v, ok := figuresOf(t, filepath.Join(out, "dynamics.csv"))["1000 test   churn"]; !ok || v != 0 {
		t.Errorf("churn between exporters: %g, %t", v, ok)
	}
}

func TestDynamicsExitCodes(t *testing.T) {
	ckpts := checkpoints(t, map[string]string{"step-10.onnx": mlp, "step-20.onnx": mlp})
	if err := os.WriteFile(filepath.Join(ckpts, "step-15.onnx"), []byte("torn"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "run")
	quick := []string{"--points", "2", "--directions", "2", "--limit", "20"}
	r := do(following(ckpts, out, append(quick, "--json")...)...)
	var sum studySummary
	decode(t, r.stdout, &sum)
	if r.code != exitSomeFailed || sum.Measured != 2 || len(sum.Failed) != 1 || !strings.HasSuffix(sum.Failed[0].Path, "step-15.onnx") {
		t.Errorf("%+v, %+v", r, sum)
	}
	twice := checkpoints(t, map[string]string{"step-10.onnx": mlp, "ckpt_1e1.onnx": mlp})
	other := checkpoints(t, map[string]string{"step-10.onnx": mlp, "step-20.onnx": cnn})
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"doubled":      {following(twice, out+"2", quick...), exitFailed, "step 10"},
		"other sites":  {following(other, out+"8", quick...), exitFailed, "other sites"},
		"no output":    {[]string{"dynamics", ckpts, "--train", digits, "--test", digits}, exitUsage, "-o DIR"},
		"no test":      {[]string{"dynamics", ckpts, "--train", digits, "-o", out}, exitUsage, "--test"},
		"no folder":    {following(ckpts+"/none", out), exitFailed, "there is no"},
		"glob":         {following(ckpts, out+"3", "--sites", "nothing*"), exitUsage, "nothing*"},
		"logits":       {following(ckpts, out+"7", "--logits", "nothing"), exitFailed, `no value "nothing"`},
		"norm":         {following(ckpts, out, "--attack", "l1"), exitUsage, "l1"},
		"epsilon":      {following(ckpts, out, "--attack", "l2", "--epsilon", "8/0"), exitUsage, "8/255"},
		"radius":       {following(ckpts, out, "--radius", "-1"), exitUsage, "--radius"},
		"table":        {following(ckpts, out, "--output-format", "xlsx"), exitUsage, "parquet, jsonl, csv"},
		"memory":       {following(ckpts, out+"4", append(quick, "--memory", "1e-7")...), exitFailed, "bytes of memory"},
		"directions":   {following(ckpts, out+"5", "--directions", "65"), exitUsage, "--directions"},
		"thresholds":   {[]string{"phases", "m.csv", "--train", digits, "--test", digits, "-o", out, "--unique", "2"}, exitUsage, "unique"},
		"no such list": {[]string{"phases", "m.csv", "--train", digits, "--test", digits, "-o", out + "6"}, exitFailed, "m.csv"},
	} {
		if r := do(c.args...); r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%s: exit code %d, want %d with %q: %s", name, r.code, c.code, c.want, r.messages)
		}
	}
}

func TestPhasesVerb(t *testing.T) {
	dir := checkpoints(t, map[string]string{"a.onnx": mlp, "b.onnx": cnn})
	list := filepath.Join(dir, "models.csv")
	if err := os.WriteFile(list, []byte("path,size,time\na.onnx,108,1\nb.onnx,2000,1\nnone.onnx,9,1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "chart")
	args := []string{"phases", list, "--train", digits, "--test", digits, "--preprocess", "mnist-01", "--resize", "none", "--crop", "none",
		"--backend", "gorgonia", "-o", out, "--output-format", "csv", "--json"}
	for i := range 2 {
		r := do(args...)
		var sum struct {
			studySummary
			Cells []struct {
				X, Y    string
				At      map[string]float64
				Models  int
				Train   float64 `json:"redundancy_train"`
				KNN     float64 `json:"knn_accuracy"`
				ChangeX float64 `json:"change_x"`
			} `json:"cells"`
		}
		decode(t, r.stdout, &sum)
		if r.code != exitSomeFailed || sum.Networks != 3 || sum.Kept != 2*i || len(sum.Failed) != 1 || len(sum.Cells) != 2 || *sum.Thresholds != dynamics.DefaultThresholds {
			t.Fatalf("%+v, %+v", r, sum)
		}
		c := sum.Cells[0]
		if c.X != "size" || c.Y != "" || c.At["size"] != 108 || c.Train != 0 || c.Models != 1 || c.ChangeX != sum.Cells[1].KNN-c.KNN {
			t.Errorf("%+v", c)
		}
		if !strings.Contains(r.messages, "onnxprobe's own") {
			t.Errorf("the thresholds are not said to be ours: %s", r.messages)
		}
	}
}
