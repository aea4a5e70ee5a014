package annotate

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Links to files and folders of annotations are followed, each folder once, and one that leads
// nowhere is a fault.
func TestLinksAreFollowed(t *testing.T) {
	dir := writeAll(t, map[string]string{"in/a.txt": yoloBoxRow, "out/b.txt": yoloBoxRow, "out/deep/c.txt": yoloBoxRow})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	link("../out/b.txt", "in/b.txt")
	link("../out/deep", "in/deep")
	link("../out/deep", "in/deep2")
	link(".", "in/self")
	link("..", "in/up")
	link("nowhere", "in/lost.txt")
	in := filepath.Join(dir, "in")
	s, err := Open(in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range s.pictures {
		names = append(names, p.name)
	}
	// "up" leads to the folder above, in which "in" was seen.
	want := []string{"a", "b", "deep/c", "up/out/b"}
	if got := s.Faults.ByReason.String(); !slices.Equal(names, want) || got != "file that cannot be read: 1" {
		t.Errorf("got %q and %s (%v), want %q", names, got, s.Faults.Rows, want)
	}
	before, err := s.Sum256()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "out", "b.txt"), []byte("1 .5 .5 .2 .2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Sum256(); err != nil || after == before {
		t.Errorf("a changed file behind a link has the sum %s, %v", after, err)
	}
}
