package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What hash writes, finished or not, search and dedup read: by the job's folder, as
// a query, and as the FAISS index.
func TestSearchAndDedupOfAJob(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	hash := func(to string, more ...string) []string {
		return with([]string{"hash", resnet, digits, "--preprocess", "mnist-01", "--shard-size", "30", "--backend", "gorgonia", "--faiss", "-o", at(to)}, more...)
	}
	stdoutOf(t, hash("a")...)
	stdoutOf(t, hash("b", "--limit", "40")...)
	found := rows(t, stdoutOf(t, "search", at("a"), "--query", "3/0213.png", "-k", "5", "-o", "-"))
	if len(found) != 5 || found[0]["distance"].(float64) > found[4]["distance"].(float64) {
		t.Fatalf("got %v", found)
	}
	// An item's nearest in another job of the same items is itself.
	same := rows(t, stdoutOf(t, "search", at("a"), "--query", at("b"), "-k", "1", "-o", "-"))
	if len(same) != 40 {
		t.Fatalf("%d rows for 40 queries", len(same))
	}
	for _, r := range same {
		if r["distance"].(float64) != 0 {
			t.Errorf("got %v, want a distance of 0", r)
		}
	}
	if got := stdoutOf(t, "search", filepath.Join(at("a"), "sketches.faiss"), "--all", "-k", "1", "-o", "-"); strings.Count(got, "\n") != 100 {
		t.Errorf("the FAISS index gives %d rows, want 100", strings.Count(got, "\n"))
	}
	if got := stdoutOf(t, "dedup", at("a"), "--distance", "256"); !strings.Contains(got, "100") {
		t.Errorf("every item within the whole width of every other: got %s", got)
	}
	stdoutOf(t, hash("c", "--seed", "4")...)
	out := do("search", at("a"), "--query", at("c"))
	if out.code != exitUsage && out.code != exitFailed || !strings.Contains(out.messages, "seed") {
		t.Errorf("sketches of another seed: exit %d, %s", out.code, out.messages)
	}
}

// What reads a job's folder takes no file for a shard that is none, and says of codes that
// cannot be read that they cannot, instead of measuring others.
func TestReadersOfDamagedJobs(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, pureJob(whole, "--code")...)
	verbs := [][]string{{"search", "--all", "--json"}, {"dedup", "--json"}, {"evaluate", "--json"}, {"report", "-o", filepath.Join(t.TempDir(), "r.html"), "--force"}}
	for what, damage := range map[string]func(dir string){
		"one more shard": func(dir string) {
			duplicate(t, filepath.Join(dir, "00001.parquet"), filepath.Join(dir, "00009.parquet"))
		},
		"another's shard": func(dir string) {
			duplicate(t, filepath.Join(dir, "00001.parquet"), filepath.Join(dir, "00002.parquet"))
		},
		"a shard lost": func(dir string) { os.Remove(filepath.Join(dir, "00001.parquet")) },
		"a shard cut":  func(dir string) { os.Truncate(filepath.Join(dir, "00001.parquet"), 100) },
		"codes damaged": func(dir string) {
			path := filepath.Join(dir, "00001.parquet")
			b := []byte(slurp(t, path))
			for i := len(b) / 8; i < len(b)/2; i++ {
				b[i] ^= 0x5a
			}
			spill(t, path, b)
		},
	} {
		dir := filepath.Join(t.TempDir(), "job")
		for _, f := range list(t, whole) {
			duplicate(t, filepath.Join(whole, f), filepath.Join(dir, f))
		}
		damage(dir)
		for _, v := range verbs {
			if r := do(with([]string{v[0], dir}, v[1:]...)...); r.code != exitFailed || !strings.Contains(r.messages, "0000") && !strings.Contains(r.messages, "shard 1") {
				t.Errorf("%s: %s: exit code %d\n%.300s\n%s", what, v[0], r.code, r.stdout, r.messages)
			}
		}
	}
}
