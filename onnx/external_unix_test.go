//go:build unix

package onnx

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// externalFolder lays out what the tests of external data refer to, and returns
// the folder for the model.
func externalFolder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir, out := filepath.Join(root, "model"), filepath.Join(root, "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755),
		os.MkdirAll(out, 0o755),
		os.WriteFile(filepath.Join(dir, "w.bin"), []byte("12345678"), 0o644),
		os.WriteFile(filepath.Join(dir, "sub", "w.bin"), []byte("12345678"), 0o644),
		os.WriteFile(filepath.Join(out, "w.bin"), []byte("12345678"), 0o644),
		os.WriteFile(filepath.Join(out, "hard.bin"), []byte("12345678"), 0o644),
		os.Symlink("sub/w.bin", filepath.Join(dir, "inside")),
		os.Symlink("../outside/w.bin", filepath.Join(dir, "link")),
		os.Symlink("../outside", filepath.Join(dir, "linked")),
		os.Symlink(filepath.Join(out, "w.bin"), filepath.Join(dir, "absolute")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
		os.Symlink("/dev/zero", filepath.Join(dir, "zero")),
		os.Link(filepath.Join(out, "hard.bin"), filepath.Join(dir, "hard")),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A path that is no model file is refused at once, a pipe without a writer too.
func TestLoadNoFile(t *testing.T) {
	dir := externalFolder(t)
	for name, want := range map[string]string{
		"fifo": "a pipe", "zero": "a device", "sub": "a folder", "none": "no such file", "loop": "too many",
	} {
		_, err := Load(filepath.Join(dir, name))
		wantError(t, err, "loading", name, want)
	}
}
