package annotate

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

type named []string

func (n named) Len() int                { return len(n) }
func (n named) Item(i int) dataset.Item { return dataset.Item{ID: n[i], Path: n[i]} }

// A part of the dataset gets by its numbers what the whole one was matched with, which
// its own names could not say: both pictures are called 1.png.
func TestRestoreGivesAPartWhatTheWholeHas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.csv")
	if err := os.WriteFile(path, []byte("path,x0,y0,x1,y1\na/1.png,0,0,1,1\nb/1.png,0,0,2,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole := s.Match(named{"a/1.png", "c.png", "b/1.png"})
	if whole.Faults.Count > 0 || whole.Pictures(1) != nil {
		t.Fatalf("%v", whole.Faults.Rows)
	}
	part, err := s.Restore(map[int][]int{1: whole.Pictures(2)})
	if err != nil {
		t.Fatal(err)
	}
	size := picture.Size{H: 9, W: 9}
	want, _ := whole.Source().Regions(2, size)
	got, errs := part.Source().Regions(1, size)
	if errs != nil || len(got) != 1 || got[0].Box.X1 != 2 || !reflect.DeepEqual(got, want) || part.Has(0) || !part.Has(1) {
		t.Errorf("%v, %v, want %v", got, errs, want)
	}
	if _, errs := part.Source().Regions(1, picture.Size{H: 1, W: 1}); len(errs) != 0 && errs[0] == nil {
		t.Error("a fault that is nil")
	}
	for _, k := range []int{-1, 2} {
		if _, err := s.Restore(map[int][]int{0: {k}}); err == nil {
			t.Errorf("picture %d of 2 is taken", k)
		}
	}
}

// The sum follows the content, and in a folder the names.
func TestSum256(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.txt")
	bare := func(path string) *Set { return &Set{disk: disk{dataset.NewWitness(dataset.Local)}, path: path} }
	sum := func(path, content string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := bare(path).Sum256()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := sum(file, "abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" { // FIPS 180-2
		t.Errorf("the SHA-256 of abc is %s", got)
	}
	first := sum(dir, "abc")
	if sum(dir, "abd") == first || sum(dir, "abc") != first {
		t.Error("a folder's sum does not follow its content")
	}
	if err := os.Rename(file, filepath.Join(dir, "b.txt")); err != nil {
		t.Fatal(err)
	}
	if got, err := bare(dir).Sum256(); err != nil || got == first {
		t.Errorf("a folder's sum does not follow its names: %v", err)
	}
	if _, err := bare(filepath.Join(dir, "none")).Sum256(); err == nil {
		t.Error("a file that is not there has a sum")
	}
}
