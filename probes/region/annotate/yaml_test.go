package annotate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// yamlCases are what data.yaml may hold, and its names or what the error says.
var yamlCases = []struct {
	text string
	want []string
	err  string
}{
	{"path: ../coco8\ntrain: images/train # relative\n\nnames:\n  0: person\n  1: traffic light\n  2: 'it''s'\n\nscript: |\n  names: no\n", []string{"person", "traffic light", "it's"}, ""},
	{"nc: 2\nnames: [cat, 'dog, big', \"cow \\u00e9\"]\n", []string{"cat", "dog, big", "cow é"}, ""},
	{"names: ['a',\n  'b', # second\n  c#d\n]\nnc: 3", []string{"a", "b", "c#d"}, ""},
	{"names: {1: b, 0: a}", []string{"a", "b"}, ""},
	{"names:\n- x\n- y # why\nnc: 2\n", []string{"x", "y"}, ""},
	{"names: # below\n\n    - x y\n\n    # between\n    - \"- z\"\n", []string{"x y", "- z"}, ""},
	{"\xef\xbb\xbfnames:\r\n  '0': a\r\n", []string{"a"}, ""},
	{"nc: 2\nother:\n  names: [x]\n", nil, ""},
	{"\"names\" : [a] # all\nnc: 1", []string{"a"}, ""},
	{"'names':\n- http://a:8\n-  b\n", []string{"http://a:8", "b"}, ""},
	{"", nil, ""},
	{"# nothing\n", nil, ""},
	{"- names\n- a\n", nil, ""},
	{"names: [yes, 1, ~, 0x10]\n", []string{"yes", "1", "~", "0x10"}, ""},
	{"a: &all [x, y]\nnames: *all\n", []string{"x", "y"}, ""},
	{"a: &n cat\nb: &k 0\nnames: {*k : *n, 1: dog}\n", []string{"cat", "dog"}, ""},
	{"names: &x [a]\n", []string{"a"}, ""},
	{"{nc: 2, names: [a,\nb], path: x}\n", []string{"a", "b"}, ""},
	{"names: ['a\n', b]", []string{"a ", "b"}, ""},
	{"names: [\"\\x41\\\n  b\"]", []string{"Ab"}, ""},
	{"names:\n- >\n  traffic\n  light\n- |-\n  two\n  lines\n", []string{"traffic light\n", "two\nlines"}, ""},
	{"names: !!seq\n- !!str 1\n", []string{"1"}, ""},
	{"? names\n: ? 0\n  : a\n", []string{"a"}, ""},
	{"%YAML 1.1\n---\nnames: [a]\n---\nnames: [b]\n", []string{"a"}, ""},
	{"names:\n  0: a\n  2: b\n", nil, "line 2: got class 2 among 2 names, want the numbers from 0 to 1"},
	{"names: [a, b", nil, "line 1: did not find expected ',' or ']'"},
	{"names:\n  0: a\n  0: b\n", nil, "line 3: class 0 is named twice"},
	{"names:\n  a: 0\n", nil, "got the key \"a\""},
	{"names:\n  [0]: a\n", nil, "got the key \"\", want the number"},
	{"names:\n  <<: {0: a}\n", nil, "got the key \"<<\""},
	{"names:\n  - a\n  1: b\n", nil, "did not find expected '-'"},
	{"names:\n  0:\n    en: a\n", nil, "line 3: got a map, want a name"},
	{"names:\n  0:\n", nil, "line 2: a name is missing"},
	{"names: coco.names\n", nil, "line 1: got \"coco.names\", want a list or a map of names"},
	{"names:\nnc: 1\n", nil, "got \"\", want a list or a map of names"},
	{"names: []\n", nil, "got nothing"},
	{"names: ['a, b]", nil, "found unexpected end of stream"},
	{"names: [[a], b]", nil, "got a list, want a name"},
	{"names:\n- a: b\n- c\n", nil, "line 2: got a map, want a name"},
	{"names:\n  - a\n - b\n", nil, "did not find expected key"},
	{"names: [a, b] c\n", nil, "did not find expected key"},
	{"names: [a]\nnc: 1\nnames: [b]\n", nil, "line 3: the key is on line 1 already"},
	{"names: *nobody\n", nil, "unknown anchor 'nobody'"},
	{"names: &a [*a]\n", nil, "got a list, want a name"},
	{"names: [\"\\q\"]", nil, "found unknown escape"},
	{"names: [a]\n\x00", nil, "control characters"},
	{"names: [" + strings.Repeat("a,", maxYAML/2) + "a]", nil, "more than 2097152 bytes"},
	{"names: " + strings.Repeat("[", 1<<20), nil, "exceeded max depth"},
	{bomb, []string{"one"}, ""},
}

// bomb would be 10^9 names, were its aliases expanded.
var bomb = func() string {
	b := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		b += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	return b + "names: [one]\n"
}()

func TestYAMLNames(t *testing.T) {
	for _, c := range yamlCases {
		d, err := readYAML(strings.NewReader(c.text))
		var got []string
		if err == nil {
			got, err = d.names, d.unnamed
		}
		if !slices.Equal(got, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: got %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
}

// The names beside the labels count, those of classes.txt first, then the nearest
// data.yaml.
func TestClassNamesBesideLabels(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	label := func(path string) string {
		t.Helper()
		s, err := Open(filepath.Join(root, path), Options{})
		if err != nil {
			t.Fatal(err)
		}
		rs, _ := s.Match(items{"a.jpg"}).Regions(0, size)
		return rs[0].Label + " " + filepath.Base(s.NamesFile)
	}
	put("set/labels/train/a.txt", "1 .5 .5 .2 .2\n")
	sums := map[string]bool{}
	for _, step := range []struct{ file, text, want string }{
		{"data.yaml", "names: [far, far1]", "1 ."}, // three folders up
		{"set/data.yaml", "nc: 2", "1 ."},
		{"set/data.yml", "names: [no, up]", "up data.yml"},
		{"set/labels/train/data.yaml", "names: {0: no, 1: near}", "near data.yaml"},
		{"set/labels/train/classes.txt", "no\nlisted\n", "listed classes.txt"},
	} {
		put(step.file, step.text)
		if got := label("set/labels/train"); got != step.want {
			t.Errorf("with %s the label is %q, want %q", step.file, got, step.want)
		}
		s, err := Open(filepath.Join(root, "set/labels/train"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := s.Sum256()
		if unnamed := strings.HasSuffix(step.want, " ."); err != nil || sums[sum] != (unnamed && len(sums) > 0) {
			t.Errorf("with %s the sum is that of before: %v (%v)", step.file, sums[sum], err)
		}
		sums[sum] = true
	}
	os.Remove(filepath.Join(root, "set/labels/train/classes.txt"))
	if got := label("set/labels/train/a.txt"); got != "near data.yaml" {
		t.Errorf("of a file the label is %q", got)
	}
	put("set/labels/train/data.yaml", "names: [a, b")
	if _, err := Open(filepath.Join(root, "set/labels/train"), Options{}); err == nil || !strings.Contains(err.Error(), "data.yaml: yaml: line 1: did not find") {
		t.Errorf("names that are broken: %v", err)
	}
}
