package result

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "map.npz")
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	holds := func(want string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("it holds %q, %v; want %q", b, err, want)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 2 {
			t.Errorf("the folder has %v, %v", entries, err)
		}
	}
	if err := Save(path, false, map[string]int{"k": 1}, text("one")); err != nil {
		t.Fatal(err)
	}
	holds("one")
	if b, err := os.ReadFile(ManifestPath(path)); err != nil || !strings.Contains(string(b), `"k": 1`) {
		t.Errorf("manifest %q, %v", b, err)
	}
	if err := Save(path, false, nil, text("two")); err == nil || !strings.Contains(err.Error(), "force it") {
		t.Errorf("%v", err)
	}
	holds("one")
	full := errors.New("the disk is full")
	if err := Save(path, true, nil, func(io.Writer) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	holds("one")
	if err := Save(path, true, nil, text("three")); err != nil {
		t.Error(err)
	}
	holds("three")
}
