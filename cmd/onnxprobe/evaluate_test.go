package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

func TestEvaluate(t *testing.T) {
	path := sketched(t, "c.parquet")
	var got encoding.Evaluated
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
		{[]string{brief, "--by-site"}, 1, "--code"},
		{[]string{path, "--memory", "0.00001"}, 1, "raise --memory"}, // not the sketches, which would fit
		{[]string{path, "--test", path, "-k", "200"}, 0, ""},
		{[]string{path, "--test", brief}, 1, "have no code"},
		{[]string{"nothing.parquet"}, 1, "nothing.parquet"},
		{[]string{path, "--together"}, 2, "--sites"},
		{[]string{path, "--unlabeled", "--sample", "1"}, 2, "--sample 1"},
		{[]string{path, "--unlabeled", "--eta", "0"}, 2, "--eta 0"},
		{[]string{path, "--unlabeled", "--clusters", "101"}, 1, "101 clusters of 100 items"},
	} {
		got := do(append([]string{"evaluate"}, c.args...)...)
		if got.code != c.exit || !strings.Contains(got.messages, c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, got.code, got.messages)
		}
	}
}

// A job's channel codes by site, and the network's own prediction, against its rows.
func TestEvaluateJob(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	for _, form := range []string{"jsonl", "parquet", "npy"} {
		stdoutOf(t, "hash", resnet, digits, "--preprocess", "mnist-01", "--shard-size", "40", "--channels", "--logits", "--output-format", form, "-o", filepath.Join(dir, form))
	}
	job := filepath.Join(dir, "jsonl")
	right, items, ones, saturated := 0, 0, make([]int, 8), 0
	for _, name := range list(t, job) {
		if !strings.HasSuffix(name, ".jsonl") {
			continue
		}
		for _, r := range rows(t, slurp(t, filepath.Join(job, name))) {
			best, logits := 0, r["logits"].([]any)
			for i, v := range logits {
				if v.(float64) > logits[best].(float64) {
					best = i
				}
			}
			if items++; float64(best) == r["label"] {
				right++
			}
			code, err := hex.DecodeString(r["channels"].(map[string]any)["relu"].(string))
			if err != nil || len(code) != 1 {
				t.Fatalf("%x %v", code, err)
			}
			for i := range ones {
				ones[i] += int(code[0] >> (7 - i) & 1)
			}
		}
	}
	for _, n := range ones {
		if n == items {
			saturated++
		}
	}
	var got encoding.Evaluated
	decode(t, stdoutOf(t, "evaluate", job, "--on", "channels", "--by-site", "--test", job, "--json"), &got)
	// 5 sites of 8 channels, 2 of 14, in two bytes, and 2 of 24.
	if got.On != "channels" || got.Items != items || got.Items != 100 || got.Bits != 116 || len(got.Sites) != 9 || got.Name != "" {
		t.Errorf("%+v", got)
	}
	if u := got.Sites[0].Units.Train; got.Sites[0].Name != "relu" || u.Bits != 8 || u.Saturated != saturated {
		t.Errorf("units of relu: %+v, want %d saturated of 8", u, saturated)
	}
	if n := got.Network; n == nil || n.Train.Right != right || n.Train.Items != items || *n.Test != *n.Train {
		t.Errorf("the network's accuracy is %+v, want %d of %d", n, right, items)
	}
	for _, form := range []string{"parquet", "npy"} {
		var other encoding.Evaluated
		decode(t, stdoutOf(t, "evaluate", filepath.Join(dir, form), "--on", "channels", "--by-site", "--json"), &other)
		if *other.Network.Train != *got.Network.Train || other.Bits != got.Bits || len(other.Sites) != 9 || other.Sites[8].Units.Train != got.Sites[8].Units.Train {
			t.Errorf("%s: %+v, of JSON Lines %+v", form, other, got)
		}
	}
	table := stdoutOf(t, "evaluate", job, "--on", "channels")
	if want := fmt.Sprintf("%.4f\n", float64(right)/float64(items)); !strings.Contains(table, "NETWORK") || !strings.Contains(table, want) {
		t.Errorf("the table lacks %s:\n%s", want, table)
	}
}

// Clusters without labels, and sites taken together.
func TestEvaluateGroups(t *testing.T) {
	path := sketched(t, "c.parquet")
	var got, alone encoding.Evaluated
	decode(t, stdoutOf(t, "evaluate", path, "--sites", "relu", "--sites", "layer1*", "--together", "--unlabeled", "--sample", "60", "--clusters", "10", "--json"), &got)
	decode(t, stdoutOf(t, "evaluate", path, "--sites", "relu", "--sites", "layer1*", "--json"), &alone)
	bits, dead := 0, 0
	for _, s := range alone.Sites {
		bits, dead = bits+s.Units.Train.Bits, dead+s.Units.Train.Dead
	}
	if len(got.Sites) != 1 || len(alone.Sites) != 5 || got.Sites[0].Name != "relu, layer1* (5 sites)" || got.Sites[0].Units.Train.Bits != bits || got.Sites[0].Units.Train.Dead != dead {
		t.Errorf("together %+v, one by one %d bits and %d dead", got.Sites, bits, dead)
	}
	if got.Network != nil || alone.Unlabelled != nil {
		t.Error("what was not asked for")
	}
	for _, u := range []*encoding.Unlabelled{got.Unlabelled, got.Sites[0].Unlabelled} {
		if u == nil || u.Items != 60 || u.Of != 100 || u.Clusters != 10 || u.Chosen || len(u.Sizes) != 10 || u.RateItems != 60 ||
			*u.Matched > *u.Purity || *u.Matched < 0.3 || !(u.Reduction > 0) {
			t.Errorf("%+v", u)
		}
	}
	table := stdoutOf(t, "evaluate", path, "--unlabeled")
	if r := do("evaluate", path, "--unlabeled"); !strings.Contains(r.messages, "more bits (3200) than items (100)") {
		t.Errorf("the messages: %s", r.messages)
	}
	if !strings.Contains(table, "all, without labels: 100 of 100 items in ") || !strings.Contains(table, "matched") || strings.Contains(table, "NETWORK") {
		t.Errorf("the table:\n%s", table)
	}
}

// The bits of a digest are those of a hash: nothing is counted or compared of them.
func TestEvaluateDigests(t *testing.T) {
	path := sketched(t, "c.parquet")
	var got map[string]any
	decode(t, stdoutOf(t, "evaluate", path, "--test", path, "--on", "digest", "--churn", path, "--json"), &got)
	for _, name := range []string{"units", "knn"} {
		if got[name] != nil {
			t.Errorf("%s of digests: %v", name, got[name])
		}
	}
	if churn := got["churn"].(map[string]any); churn["moved"] != 0. || churn["mean"] != nil {
		t.Errorf("churn of digests: %v", churn)
	}
	if r := do("evaluate", path, "--on", "digest"); r.code != 0 || strings.Contains(r.stdout, "ENTROPY") || !strings.Contains(r.messages, "digests only") {
		t.Errorf("exit %d, %s\n%s", r.code, r.messages, r.stdout)
	}
	for _, flag := range []string{"--kmeans", "--unlabeled", "--kernel-score"} {
		if r := do("evaluate", path, "--on", "digest", flag); r.code != 1 || !strings.Contains(r.messages, "digests only, which are equal or not") {
			t.Errorf("%s: exit %d, %s", flag, r.code, r.messages)
		}
	}
}

// A flag that would change nothing is refused.
func TestEvaluateFlagsThatGoTogether(t *testing.T) {
	path := sketched(t, "c.parquet")
	for want, args := range map[string][]string{
		"--logistic goes with --test":                  {"--logistic"},
		"--neighbors goes with --test":                 {"-k", "3"},
		"--clusters goes with --kmeans or --unlabeled": {"--clusters", "3"},
	} {
		if r := do(append([]string{"evaluate", path}, args...)...); r.code != 2 || !strings.Contains(r.messages, want) {
			t.Errorf("%v: exit %d, %s", args, r.code, r.messages)
		}
	}
}

// Churn by site against the sites' bytes, and what evaluate says before it reads.
func TestEvaluateChurnBySite(t *testing.T) {
	dir := t.TempDir()
	needORT(t)
	a, b := filepath.Join(dir, "a.parquet"), filepath.Join(dir, "b.parquet")
	stdoutOf(t, with(pictures("codes", resnet, digits), "-o", a)...)
	// The same network with other pixels is another network as far as churn knows.
	stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist", "-o", b)
	var got encoding.Evaluated
	decode(t, stdoutOf(t, "evaluate", b, "--churn", a, "--by-site", "--json"), &got)
	bits := func(path string) map[string][]byte {
		codes, err := encoding.Open(path, encoding.OpenOptions{On: encoding.Code})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]byte{}
		for i := range codes.Len() {
			all[codes.ID(i)] = make([]byte, codes.Width())
			codes.At(all[codes.ID(i)], i)
		}
		return all
	}
	before, after := bits(a), bits(b)
	offset, total := 0, 0
	for _, site := range got.Sites {
		width := (site.Units.Train.Bits + 7) / 8
		moved, changed := 0, 0
		for id, code := range after {
			if d := probes.Hamming(code[offset:offset+width], before[id][offset:offset+width]); d > 0 {
				moved, changed = moved+1, changed+d
			}
		}
		offset, total = offset+width, total+changed
		if x := site.Churn; x == nil || x.Items != 100 || x.Moved != moved || math.Abs(*x.Mean-float64(changed)/100) > 1e-9 {
			t.Errorf("%s: %+v; want %d moved, %d bits", site.Name, site.Churn, moved, changed)
		}
	}
	if len(got.Sites) != 9 || total == 0 || got.Churn == nil || math.Abs(*got.Churn.Mean-float64(total)/100) > 1e-9 {
		t.Errorf("%d sites, %d bits changed, %+v", len(got.Sites), total, got.Churn)
	}
	r := do("evaluate", b, "--churn", a, "--by-site", "--plot", filepath.Join(dir, "p.html"))
	if !strings.Contains(r.stdout, "CHANGED BITS") || strings.Contains(r.messages, "no K-NN") ||
		!strings.Contains(slurp(t, filepath.Join(dir, "p.html")), "Churn by site") {
		t.Errorf("%s\n%s", r.stdout, r.messages)
	}
	if r := do("evaluate", a); !strings.Contains(r.messages, "which --test CODES names") || strings.Contains(r.messages, "labels") {
		t.Errorf("without --test: %s", r.messages)
	}
	// Pictures without class folders have no labels.
	flat := filepath.Join(dir, "flat.parquet")
	stdoutOf(t, with(pictures("codes", resnet, filepath.Join(digits, "3")), "-o", flat)...)
	for _, x := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{flat}, 0, "have 0 different labels"},
		{[]string{flat, "--kmeans"}, 1, "a folder for each class"},
		{[]string{a, "--test", flat}, 0, "no accuracy: no item of"},
	} {
		if r := do(append([]string{"evaluate"}, x.args...)...); r.code != x.exit || !strings.Contains(r.messages, x.want) {
			t.Errorf("%q: exit code %d, %s", x.args, r.code, r.messages)
		}
	}
}
