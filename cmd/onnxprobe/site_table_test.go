package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rewriteJSON changes a JSON file.
func rewriteJSON(t *testing.T, path string, change func(m map[string]any)) {
	t.Helper()
	var m map[string]any
	decode(t, slurp(t, path), &m)
	change(m)
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tables are changes to a manifest, and what a comparison with the unchanged one says.
var tables = []struct {
	name, says string // "" where the two can be compared
	change     func(m map[string]any)
}{
	{"an older version, the same sites", "", func(m map[string]any) { delete(m, "sites_rule"); delete(m, "sites_hash") }},
	{"an older version, a site that bends elsewhere", `"layer1.0.relu" is another in each, found by rules `, func(m map[string]any) {
		delete(m, "sites_rule")
		delete(m, "sites_hash")
		m["sites"].([]any)[1].(map[string]any)["knots"] = []float64{0.5}
	}},
	{"another table of this rule", `"relu" is another in each; make both with one version`, func(m map[string]any) {
		m["sites_hash"] = strings.Repeat("0", 32)
		m["sites"].([]any)[0].(map[string]any)["op"] = "Abs"
	}},
	{"another rule, the same sites", "", func(m map[string]any) { m["sites_rule"] = 1 }},
	{"a site that the other has not", `"relu" is in the `, func(m map[string]any) {
		delete(m, "sites_hash")
		m["sites"].([]any)[0].(map[string]any)["name"] = "older"
	}},
}

// No verb lays two results side by side whose sites are not the same.
func TestResultsOfOtherSitesAreNotCompared(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	results := filepath.Join(dir, "results")
	if err := os.Mkdir(results, 0o700); err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(results, "a.jsonl"), filepath.Join(results, "b.jsonl")
	for _, path := range []string{a, b} {
		stdoutOf(t, pictures("codes", resnet, digits+"/3", digits+"/4", "-o", path, "--quiet")...)
	}
	manifest := b + ".manifest.json"
	whole := slurp(t, manifest)
	for _, c := range tables {
		spill(t, manifest, []byte(whole))
		rewriteJSON(t, manifest, c.change)
		for _, args := range [][]string{
			{"search", a, "--query", b, "-o", "-"}, {"evaluate", a, "--test", b, "-k", "1"}, {"evaluate", a, "--churn", b}, {"dedup", results},
		} {
			r := do(args...)
			if (r.code == exitDone) != (c.says == "") || !strings.Contains(r.messages, c.says) {
				t.Errorf("%s: %q ends with %d, want %q: %s", c.name, args, r.code, c.says, r.messages)
			}
		}
	}
}

// A job planned by a version that finds other sites is neither run nor extended, and one
// of the same sites is.
func TestJobsOfOtherSites(t *testing.T) {
	needORT(t)
	for _, c := range tables {
		job := filepath.Join(t.TempDir(), "job")
		args := pictures("hash", resnet, digits+"/3", "-o", job, "--quiet")
		stdoutOf(t, append([]string{"hash", "plan"}, args[1:]...)...)
		rewriteJSON(t, filepath.Join(job, "plan.json"), func(m map[string]any) { c.change(m["manifest"].(map[string]any)) })
		for _, x := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"hash", "run", job, "--quiet"}, exitFailed, "or plan it anew in another folder"},
			{append(args, "--mode", "extend"), exitUsage, "overwrite it to begin anew (--force)"},
			{args, exitUsage, "overwrite it to begin anew (--force)"},
		} {
			r := do(x.args...)
			switch {
			case c.says == "" && r.code != exitDone:
				t.Errorf("%s: %q ends with %d: %s", c.name, x.args, r.code, r.messages)
			case c.says != "" && (r.code != x.code || !strings.Contains(r.messages, c.says) || !strings.Contains(r.messages, x.says)):
				t.Errorf("%s: %q ends with %d, want %d and %q: %s", c.name, x.args, r.code, x.code, c.says, r.messages)
			case c.says != "":
				if left := glob(t, filepath.Join(job, "0*")); left != nil {
					t.Errorf("%s: %q wrote %q", c.name, x.args, left)
				}
			}
		}
	}
}
