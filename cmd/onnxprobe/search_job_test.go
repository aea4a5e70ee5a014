package main

import (
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
	if got := stdoutOf(t, "dedup", at("a"), "--radius", "256"); !strings.Contains(got, "100") {
		t.Errorf("every item within the whole width of every other: got %s", got)
	}
	stdoutOf(t, hash("c", "--seed", "4")...)
	out := do("search", at("a"), "--query", at("c"))
	if out.code != exitUsage && out.code != exitFailed || !strings.Contains(out.messages, "seed") {
		t.Errorf("sketches of another seed: exit %d, %s", out.code, out.messages)
	}
}
