package result

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file that could not be written whole leaves what was there, and nothing beside it.
func TestPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "frame.npy")
	put := func(s string, err error) error {
		return Put(path, func(w io.Writer) error { _, werr := io.WriteString(w, s); return errors.Join(err, werr) })
	}
	full := errors.New("no space left")
	if err := put("half", full); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("half a file has the name")
	}
	if err := errors.Join(put("one", nil), put("two", nil)); err != nil {
		t.Error(err)
	}
	if err := put("three", full); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	b, err := os.ReadFile(path)
	entries, _ := os.ReadDir(filepath.Dir(path))
	if err != nil || string(b) != "two" || len(entries) != 1 {
		t.Errorf("it holds %q beside %d others, %v", b, len(entries)-1, err)
	}
	if err := Put(filepath.Dir(path), func(io.Writer) error { return nil }); err == nil {
		t.Error("a folder was written over")
	}
}
