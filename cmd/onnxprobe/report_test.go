package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind of result, made by the verbs themselves, is on the page.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, "results", name) }
	quick := func(args ...string) []string { return append(args, "--backend", "gorgonia") }
	stdoutOf(t, quick(with(pictures("codes", resnet, digits), "--sketch", "64", "-o", at("codes.parquet"))...)...)
	stdoutOf(t, quick(with(pictures("codes", resnet, digits), "--no-code", "-o", at("digests.jsonl"))...)...)
	stdoutOf(t, quick(with(pictures("complexity", resnet, digits+"/3"), "--radius", "0.05", "--radius", "0.2", "--directions", "2", "-o", at("complexity.parquet"))...)...)
	stdoutOf(t, quick(with(pictures("complexity", resnet, digits+"/4"), "--radius", "0.05", "--directions", "2", "-o", at("complexity.npy"))...)...)
	stdoutOf(t, quick(with(pictures("hash", resnet, digits), "--code", "--complexity", "--radius", "0.05", "--directions", "2", "--shard-size", "60", "-o", at("job"))...)...)
	stdoutOf(t, "evaluate", at("codes.parquet"), "--test", at("codes.parquet"), "--by-site", "-o", at("evaluate.json"))
	stdoutOf(t, "search", at("codes.parquet"), "--query", at("codes.parquet"), "-k", "2", "-o", at("search.parquet"))
	stdoutOf(t, "dedup", at("codes.parquet"), "--distance", "8", "-o", at("dedup.jsonl"))
	compared := stdoutOf(t, with(pictures("compare", resnet, digits+"/3"), "-a", "gorgonia", "-b", "gorgonia,precision=float64", "--json")...)
	spill(t, at("compare.json"), []byte(compared))
	spill(t, at("notes.txt"), []byte("not a result"))

	out, figures := filepath.Join(dir, "report.html"), filepath.Join(dir, "figures")
	o := do("report", filepath.Dir(at("x")), "-o", out, "--figures", figures, "--title", "<Digits>", "--sample", "60")
	if o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.messages)
	}
	page := slurp(t, out)
	for _, want := range []string{"&lt;Digits&gt;", "codes: codes.parquet", "codes: digests.jsonl", "complexity: complexity.parquet", "complexity: complexity.npy", "hash: job", "evaluate: evaluate.json", "compare: compare.json",
		"search: search.parquet", "dedup: dedup.jsonl", "notes.<wbr/>txt", "is of no result", "A sample of 60 of 100 items, seed 0.", "Map of the codes", "within a class", "Local complexity, by site", "Encoding properties", "The batch job",
		"Sizes of the groups of duplicates", "Distances of the neighbors found", "Accuracy from the codes alone", "Bits that differ, of"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "http") || strings.Contains(page, "not shown:") || strings.Contains(page, "is not shown: ") || strings.Contains(page, "are not shown: ") {
		t.Error("the page leads to the network, or leaves out what it should show")
	}
	// The nearest neighbor and the query of 50 searches of 100, and the groups.
	if n := strings.Count(page, `<use href="#picture-`); n < 50*3 || !strings.Contains(page, "The sheet shows 50 of 100 queries, those whose nearest neighbor is farthest first: they are the most doubtful. It leaves out 50 more.") {
		t.Errorf("%d pictures of items that are alike", n)
	}
	if n := strings.Count(page, ` href="data:image/`); n < 100 || n > 200 {
		t.Errorf("%d pictures of 100 items in the page, want each once, and once small", n)
	}
	if n, drawn := len(list(t, figures)), strings.Count(page, `role="img"`)+strings.Count(page, `role="group" aria-label="Map of the codes`); n != 2*drawn || drawn < 18 {
		t.Errorf("%d files of %d figures; want an SVG and a PNG each", n, drawn)
	}
	again := filepath.Join(dir, "again.html")
	stdoutOf(t, "report", filepath.Dir(at("x")), "-o", again, "--title", "<Digits>", "--sample", "60")
	if !bytes.Equal([]byte(page), []byte(slurp(t, again))) {
		t.Error("a second report on the same results is another")
	}
	if _, err := os.Stat(out + ".manifest.json"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{at("codes.parquet"), "-o", out}, 2, "--force"},
		{[]string{at("codes.parquet"), "-o", at("codes.parquet"), "--force"}, 2, ""},
		{[]string{at("codes.parquet"), "-o", again, "--force", "--sample", "1"}, 2, "--sample 1"},
		{[]string{at("codes.parquet"), "-o", again, "--force", "--memory", "0"}, 2, "--memory 0"},
		{[]string{at("none"), "-o", again, "--force"}, 1, "no such file"},
		{[]string{at("notes.txt"), "-o", again, "--force"}, 1, "no file of 1"},
		{[]string{at("codes.parquet"), "-o", filepath.Join(dir, "third.html"), "--figures", figures}, 2, "--figures"},
		{nil, 2, "results"},
	} {
		if o := do(append([]string{"report"}, c.args...)...); o.code != c.exit || !strings.Contains(o.messages, c.want) {
			t.Errorf("report %q: exit code %d, %q; want %d, %q", c.args, o.code, o.messages, c.exit, c.want)
		}
	}
}
