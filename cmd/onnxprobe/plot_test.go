package main

import (
	"bytes"
	"fmt"
	pngs "image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every verb with a result draws it: the main figure, or all on a page.
func TestPlot(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	quick := func(args ...string) []string { return append(args, "--backend", "gorgonia") }
	stdoutOf(t, quick(with(pictures("codes", resnet, digits), "-o", at("given.parquet"))...)...)
	ckpts := checkpoints(t, map[string]string{"step-1.onnx": resnet, "step-100.onnx": resnet})
	networks := fmt.Sprintf("path,size,time\n%[1]s/step-1.onnx,1,1\n%[1]s/step-100.onnx,2,2\n", ckpts)
	if err := os.WriteFile(at("networks.csv"), []byte(networks), 0o666); err != nil {
		t.Fatal(err)
	}
	study := func(verb, of, out string, more ...string) []string {
		return quick(with([]string{verb, of, "--train", digits + "/3", "--test", digits + "/3", "--preprocess", "mnist-01", "-o", at(out)}, more...)...)
	}
	for name, c := range map[string]struct {
		args []string
		want string // on the page
	}{
		"codes":      {quick(with(pictures("codes", resnet, digits+"/3"), "-o", at("c.parquet"))...), "Map of the codes"},
		"digests":    {quick(with(pictures("codes", resnet, digits+"/3"), "--no-code", "-o", at("d.jsonl"))...), "Items of a linear region"},
		"complexity": {quick(with(pictures("complexity", resnet, digits+"/3"), "--radius", "0.05", "--directions", "2", "--map", at("maps"), "-o", at("l.parquet"))...), "Local complexity over the picture"},
		"evaluate":   {[]string{"evaluate", at("given.parquet"), "--test", at("given.parquet")}, "Accuracy from the codes alone"},
		"compare":    {with(pictures("compare", resnet, digits+"/3"), "-a", "gorgonia", "-b", "gorgonia,precision=float64", "-o", at("f.parquet")), "Determinism map"},
		"affine":     {[]string{"affine", resnet, digits + "/3/0213.png", "--preprocess", "mnist-01"}, "Distances to the boundaries"},
		"bench":      {quick("bench", resnet, "--batch", "4", "--images", "8", "--seconds", "0.1"), "What codes cost"},
		"dynamics":   {study("dynamics", ckpts, "run", "--random", "0", "--directions", "2"), "Linear regions during training"},
		"phases":     {study("phases", at("networks.csv"), "chart"), "Phases of the activation hash"},
		"regions":    {quick(with(pictures("codes", resnet, digits+"/3"), "--regions", "slic:4", "--channels", "-o", at("rc.parquet"))...), "Hamming distances between items"},
		"around":     {quick(with(pictures("complexity", resnet, digits+"/3"), "--regions", "slic:4", "--radius", "0.05", "--directions", "2", "-o", at("rl.parquet"))...), "Local complexity, by site"},
		"search":     {[]string{"search", at("given.parquet"), "--all", "-o", at("s.parquet")}, "Distances of the neighbors found"},
		"dedup":      {[]string{"dedup", at("given.parquet"), "--distance", "0.2", "--json"}, `title="0/0276.png"`},
		"hash":       {quick(with(pictures("hash", resnet, digits+"/3"), "-o", at("job"))...), "The batch job"},
	} {
		for _, ext := range []string{".html", ".svg", ".png"} {
			args := with(c.args, "--plot", at(name+ext))
			if ext != ".html" && name != "hash" && name != "dynamics" && name != "phases" {
				args = append(args, "--force")
			}
			if o := do(args...); o.code != 0 {
				t.Fatalf("%s: exit code %d: %s", name, o.code, o.messages)
			}
			b := slurp(t, at(name+ext))
			switch ext {
			case ".html":
				if !strings.Contains(b, c.want) || strings.Contains(b, "http") || strings.Contains(b, "<script") {
					t.Errorf("%s: the page lacks %q, or leads elsewhere", name, c.want)
				}
			case ".svg":
				if !strings.Contains(b, "<svg") {
					t.Errorf("%s: no SVG", name)
				}
			default:
				if _, err := pngs.DecodeConfig(bytes.NewReader([]byte(b))); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	stdoutOf(t, "hash", "finish", at("job"), "--plot", at("finish.html"))
	if page := slurp(t, at("finish.html")); !strings.Contains(page, "The batch job") {
		t.Error("finish: the page lacks the job")
	}
	stdoutOf(t, "report", at("f.parquet"), "-o", at("r.html"))
	if !strings.Contains(slurp(t, at("r.html")), "Determinism map") {
		t.Error("report does not show the rows of compare")
	}
	for _, c := range []struct{ flag, want string }{{at("x.pdf"), ".svg, .png, .html"}, {at("codes.svg"), "--force"}, {at("given.parquet"), "is of no figure"}} {
		if o := do("evaluate", at("given.parquet"), "--plot", c.flag); o.code != 2 || !strings.Contains(o.messages, c.want) {
			t.Errorf("--plot %s: exit code %d, %s", c.flag, o.code, o.messages)
		}
	}
	if o := do(quick(with(pictures("codes", resnet, digits), "-o", "-", "--plot", at("y.svg"))...)...); o.code != 2 || !strings.Contains(o.messages, "-o -") {
		t.Errorf("a plot of standard output: exit code %d, %s", o.code, o.messages)
	}
}
