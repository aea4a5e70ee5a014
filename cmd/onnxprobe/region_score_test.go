package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// Rows of what a detector found say how sure it was, in codes and the batch job; so do
// those of its boxes once they are written as COCO's results. Others have no such column.
func TestRowsOfRegionsHaveScores(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	model, job := twoBoxes(t), filepath.Join(dir, "job")
	flags := []string{resnet, digits, "--preprocess", "mnist-01", "--limit", "2", "--backend", "ort"}
	scores := func(all []map[string]any) (out []any) {
		for _, r := range all {
			out = append(out, r["score"])
		}
		return out
	}
	want := []any{.9, .6, .9, .6}
	near := func(got []any) bool {
		return slices.EqualFunc(got, want, func(a, b any) bool { v, ok := a.(float64); return ok && v-b.(float64) < 1e-6 && b.(float64)-v < 1e-6 })
	}
	codes := func(regions string) []any {
		return scores(rows(t, stdoutOf(t, with([]string{"codes", "-o", "-"}, with(flags, "--regions", regions)...)...)))
	}
	if got := codes("boxes:" + model); !near(got) {
		t.Errorf("codes: scores %v, want %v", got, want)
	}
	stdoutOf(t, with([]string{"hash"}, with(flags, "--regions", "boxes:"+model, "--output-format", "jsonl", "-o", job)...)...)
	if got := scores(rows(t, slurp(t, filepath.Join(job, "00000.jsonl")))); !near(got) {
		t.Errorf("hash: scores %v, want %v", got, want)
	}
	coco := filepath.Join(dir, "found.json")
	stdoutOf(t, "regions", digits, "--region-preprocess", "mnist-01", "--limit", "2", "--backend", "ort", "--regions", "boxes:"+model, "-o", coco)
	if got := codes(coco); !near(got) {
		t.Errorf("written as COCO: scores %v, want %v", got, want)
	}
	for _, r := range rows(t, stdoutOf(t, with([]string{"codes", "-o", "-"}, with(flags, "--regions", boxed(t, 2))...)...)) {
		if v, ok := r["score"]; ok {
			t.Errorf("an annotated region has the score %s", fmt.Sprint(v))
		}
	}
}
