package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvaluate(t *testing.T) {
	path := sketched(t, "c.parquet")
	var got evaluated
	decode(t, stdoutOf(t, "evaluate", path, "--test", path, "-k", "1", "--kmeans", "--logistic", "--churn", path, "--kernel-score", "--json"), &got)
	// Every digit has a code of its own, whose nearest neighbor is itself.
	if got.On != "code" || got.Items != 100 || got.Bits != 3200 || got.Redundancy.Train.Regions != 100 || got.Redundancy.Test.Ratio != 0 ||
		got.KNN.Accuracy != 1 || got.KNN.DistanceTies != 0 || got.Churn.Moved != 0 || got.Churn.Items != 100 || got.Kernel == "" {
		t.Fatalf("%+v", got)
	}
	if k := got.KMeans.Train; k.Clusters != 10 || k.Matched > k.Purity || k.Matched < 0.3 || !k.Converged {
		t.Errorf("K-means: %+v", k)
	}
	if l := got.Logistic; l.Multinomial != 1 || l.OneVsOne != 1 || !l.Converged {
		t.Errorf("logistic: %+v", l) // 100 items of 3,200 bits can be told apart
	}
	// The bits of the first site, counted one by one.
	ones := make([]int, 512)
	items := rows(t, stdoutOf(t, with(pictures("codes", resnet, digits), "--sites", "relu", "-o", "-")...))
	for _, r := range items {
		code, err := hex.DecodeString(r["code"].(string))
		if err != nil {
			t.Fatal(err)
		}
		for i := range ones {
			ones[i] += int(code[i/8] >> (7 - i%8) & 1)
		}
	}
	dead, saturated := 0, 0
	for _, n := range ones {
		switch n {
		case 0:
			dead++
		case len(items):
			saturated++
		}
	}
	decode(t, stdoutOf(t, "evaluate", path, "--by-site", "--json"), &got)
	if len(got.Sites) != 9 || got.Sites[0].Name != "relu" {
		t.Fatalf("%d sites: %+v", len(got.Sites), got.Sites)
	}
	if u := got.Sites[0].Units.Train; u.Bits != 512 || u.Dead != dead || u.Saturated != saturated || u.Entropy <= 0 || u.Entropy >= 1 {
		t.Errorf("units of relu: %+v, want %d dead and %d saturated of 512", u, dead, saturated)
	}
	table := stdoutOf(t, "evaluate", path, "--test", path, "--sites", "layer1*")
	if strings.Count(table, "layer1.") != 8 || strings.Contains(table, "layer2") || !strings.Contains(table, "9-NN") {
		t.Errorf("the table:\n%s", table)
	}
	// Sketches and digests are measured where there is nothing else.
	brief := sketched(t, "b.jsonl", "--no-code")
	decode(t, stdoutOf(t, "evaluate", brief, "--json"), &got)
	if got.On != "sketch" || got.Bits != 256 {
		t.Errorf("without codes: %+v", got)
	}
	out := filepath.Join(t.TempDir(), "e.json")
	stdoutOf(t, "evaluate", path, "-o", out)
	for _, f := range []string{out, out + ".manifest.json"} {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{path, "-k", "0"}, 2, "-k 0"},
		{[]string{path, "--sites", "x*"}, 2, `no site matches ["x*"]`},
		{[]string{path, "-o", out}, 2, "--force"},
		{[]string{brief, "--by-site"}, 1, "--no-code"},
		{[]string{path, "--test", path, "-k", "200"}, 0, ""},
		{[]string{path, "--test", brief}, 1, "have no code"},
		{[]string{"nothing.parquet"}, 1, "nothing.parquet"},
	} {
		got := do(append([]string{"evaluate"}, c.args...)...)
		if got.code != c.exit || !strings.Contains(got.messages, c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, got.code, got.messages)
		}
	}
}
