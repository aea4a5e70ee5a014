package annotate

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// placed is a dataset of pictures, "ID" or "ID PATH".
type placed []string

func (s placed) Len() int { return len(s) }
func (s placed) Item(i int) dataset.Item {
	id, path, ok := strings.Cut(s[i], " ")
	if !ok {
		path = "data/" + id
	}
	return dataset.Item{ID: id, Path: path, Label: -1}
}

// writeAll makes files below a folder of the test's own, and gives it.
func writeAll(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	yoloBoxRow = "0 .5 .5 .2 .2\n"
	vocOf      = "<annotation><filename>%s</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)

// Pictures go to the names that fit them best, worked by hand: of each, which items have which
// names, and why others are left out.
func TestNamesOfPictures(t *testing.T) {
	tree := func(row string, names ...string) map[string]string {
		files := map[string]string{}
		for _, n := range names {
			files[n] = row
		}
		return files
	}
	two := func(a, b string) map[string]string {
		return map[string]string{"x.csv": "path,x1,y1,x2,y2\n" + a + ",1,2,3,4\n" + b + ",1,2,3,4\n"}
	}
	for name, c := range map[string]struct {
		files map[string]string
		path  string
		items placed
		want  string
	}{
		"another folder's picture": {two("train/a.png", "val/a.png"), "x.csv", placed{"train/a.png"}, "0 train/a.png; another picture's name: 1"},
		"as good":                  {two("p/a.png", "q/a.png"), "x.csv", placed{"a.png"}, "0 p/a.png; 0 q/a.png; "},
		"the whole name":           {two("a.png", "val/a.png"), "x.csv", placed{"a.png"}, "0 a.png; another picture's name: 1"},
		"two absolute paths":       {two("/mnt/val/a.png", "/mnt/train/a.png"), "x.csv", placed{"train/a.png"}, "0 /mnt/train/a.png; another picture's name: 1"},
		"other split of labels":    {tree(yoloBoxRow, "labels/train/a.txt", "labels/val/a.txt"), "labels", placed{"a.png D/images/train/a.png"}, "0 train/a; another picture's name: 1"},
		"Ultralytics' tree": {tree(yoloBoxRow, "labels/train/a.txt", "labels/val/a.txt"), ".",
			placed{"images/train/a.png D/images/train/a.png", "images/val/a.png D/images/val/a.png"}, "0 labels/train/a; 1 labels/val/a; "},
		"Roboflow's tree": {tree(yoloBoxRow, "train/labels/a.txt", "valid/labels/a.txt"), ".",
			placed{"train/images/a.png D/train/images/a.png", "valid/images/a.png D/valid/images/a.png"}, "0 train/labels/a; 1 valid/labels/a; "},
		"one folder of labels": {tree(yoloBoxRow, "labels/val/a.txt"), "labels/val",
			placed{"train/a.png D/images/train/a.png", "val/a.png D/images/val/a.png"}, "1 a; "},
		"VOC's tree": {tree(fmt.Sprintf(vocOf, "a.png"), "Annotations/p/a.xml", "Annotations/q/a.xml"), ".",
			placed{"JPEGImages/p/a.png D/JPEGImages/p/a.png", "JPEGImages/q/a.png D/JPEGImages/q/a.png"}, "0 a.png; 1 a.png; "},
		"no tree":      {tree(yoloBoxRow, "notes/a.txt"), "notes", placed{"p/a.png", "q/a.png"}, "picture name that several have: 1"},
		"tar's name":   {tree(yoloBoxRow, "a.txt"), ".", placed{"a.tar/b D/a.tar"}, "picture that is not in the dataset: 1"},
		"table's name": {tree(yoloBoxRow, "a.txt"), ".", placed{"a.npy[0] D/a.npy", "a.npy[1] D/a.npy"}, "picture that is not in the dataset: 1"},
		"in a tar":     {tree(yoloBoxRow, "b.txt"), ".", placed{"a.tar/b D/a.tar"}, "0 b; "},
		"row's path":   {tree(yoloBoxRow, "b.txt"), ".", placed{"a.parquet[0] b.png", "a.parquet[1] a.png"}, "0 b; "},
		"row's ID":     {two("a.npy[1]", "a.npy[0]"), "x.csv", placed{"a.npy[0] D/a.npy", "a.npy[1] D/a.npy"}, "0 a.npy[0]; 1 a.npy[1]; "},
	} {
		dir := writeAll(t, c.files)
		s, err := Open(filepath.Join(dir, c.path), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range c.items {
			c.items[i] = strings.Replace(id, " D/", " "+filepath.ToSlash(dir)+"/", 1)
		}
		m, got := s.Match(c.items), ""
		for _, i := range slices.Sorted(maps.Keys(m.of)) {
			for _, k := range m.of[i] {
				got += fmt.Sprintf("%d %s; ", i, s.pictures[k].name)
			}
		}
		if got += m.Faults.ByReason.String(); got != c.want || s.LeftOut().Counts().String() != m.Faults.ByReason.String() {
			t.Errorf("%s: got %s (%v), want %s", name, got, m.Faults.Rows, c.want)
		}
	}
}
