package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What would make a figure say something else than it seems to is said: pictures that were
// prepared in two ways, one network compared with itself, a test set that lies in the training
// set or has no labels, class folders that were given one by one.
func TestWhatFiguresHide(t *testing.T) {
	dir := t.TempDir()
	codes := func(name, preset string, data ...string) string {
		out := filepath.Join(dir, name)
		args := with(with([]string{"codes", resnet}, data...), "--preprocess", preset, "--backend", "gorgonia", "-o", out)
		if r := do(args...); r.code != exitDone {
			t.Fatalf("%q: %s", args, r.messages)
		}
		return out
	}
	a, b := codes("a.parquet", "mnist-01", digits), codes("b.parquet", "mnist", digits)
	three, err := filepath.Glob(digits + "/3/*.png")
	if err != nil {
		t.Fatal(err)
	}
	bare := codes("bare.parquet", "mnist-01", three...)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"evaluate", a, "--test", b}, "pictures of " + b + " were preprocessed otherwise (mnist) than those of " + a + " (mnist-01)"},
		{[]string{"evaluate", a, "--churn", b, "--by-site"}, "preprocessed otherwise"},
		{[]string{"evaluate", a, "--churn", b}, b + " and " + a + " are of one network"},
		{[]string{"search", a, "--query", b, "-k", "1"}, "preprocessed otherwise"},
		{[]string{"evaluate", a, "--test", a}, "100 items of " + a + ", the test set, are in the training set with the same code"},
		{[]string{"evaluate", a, "--test", bare}, "no accuracy: no item of " + bare + " has a label"},
		{[]string{"search", a, "--query", three[0], "-k", "1"}, "is the item 3/"},
		{[]string{"search", a, "--query", filepath.Base(three[0]), "-k", "1"}, "is the item 3/"},
		{[]string{"codes", resnet, digits + "/3", digits + "/4", "--preprocess", "mnist-01", "--backend", "gorgonia", "-o", "-"}, "no item has a label"},
	} {
		r := do(c.args...)
		if r.code != exitDone || strings.Count(r.messages, c.says) != 1 {
			t.Errorf("%q: exit code %d, does not say once %q:\n%s", c.args, r.code, c.says, r.messages)
		}
	}
	for _, args := range [][]string{{"evaluate", a}, {"evaluate", a, "--by-site"}, {"search", a, "--query", "3/" + filepath.Base(three[0]), "-k", "1"}} {
		for _, none := range []string{"otherwise", "one network", "in the training set with"} {
			if r := do(args...); strings.Contains(r.messages, none) {
				t.Errorf("%q says %q", args, r.messages)
			}
		}
	}
	if out := stdoutOf(t, "evaluate", a, "--test", bare, "--json"); strings.Contains(out, `"accuracy"`) {
		t.Errorf("an accuracy of items without labels: %s", out)
	}
}

// Sketches of regions are compared within one selection of units alone.
func TestSketchesOfRegionsOfOneSelection(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "r.parquet")
	boxes := spill(t, filepath.Join(dir, "boxes.csv"), []byte("path,x1,y1,x2,y2\n3/0213.png,0,0,4,4\n3/0213.png,3,3,8,8\n"))
	stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--backend", "gorgonia", "--regions", boxes, "--sketch", "64", "-o", at)
	if r := do("search", at, "--all", "--on", "sketch"); r.code != exitFailed || !strings.Contains(r.messages, "different selections of units") {
		t.Errorf("two selections: exit code %d, %s", r.code, r.messages)
	}
}

// A job takes no picture twice, whichever way it is named.
func TestHashExtendTakesNoPictureTwice(t *testing.T) {
	dir := t.TempDir()
	photos, job := filepath.Join(dir, "photos"), filepath.Join(dir, "job")
	duplicate(t, digits+"/3/0213.png", filepath.Join(photos, "a.png"))
	args := func(data ...string) []string {
		return with(append([]string{"hash", resnet}, data...), "--preprocess", "mnist-01", "--backend", "gorgonia", "-o", job)
	}
	stdoutOf(t, args(photos)...)
	late := duplicate(t, digits+"/0/0276.png", filepath.Join(photos, "b.png"))
	r := do(args(filepath.Join(photos, "a.png"), late, "--mode", "extend")...)
	if r.code != exitDone || !strings.Contains(r.messages, "1 new item: 2 items") {
		t.Errorf("exit code %d: %s", r.code, r.messages)
	}
	if r = do(with(args(filepath.Join(photos, "*.png")), "--mode", "extend")...); r.code != exitDone || !strings.Contains(r.messages, "0 new items: 2 items") {
		t.Errorf("again: exit code %d: %s", r.code, r.messages)
	}
}
