package enginetest

import (
	"os"
	"path/filepath"
	"testing"
)

// SharedData is a folder of trained networks and real pictures that is no part of
// the repository: the one in ONNXPROBE_SHARED_DATA, or shared/data beside the
// repository. Without one the test is skipped.
func SharedData(t testing.TB) string {
	t.Helper()
	root := os.Getenv("ONNXPROBE_SHARED_DATA")
	if root == "" {
		root = beside(t)
	}
	if _, err := os.Stat(filepath.Join(root, "MANIFEST.tsv")); err != nil {
		t.Skipf("no trained networks here: %v; set ONNXPROBE_SHARED_DATA", err)
	}
	return root
}

// beside is shared/data beside the folder of the module, relative to the package.
func beside(t testing.TB) string {
	dir := "."
	for range 16 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", "data")
		}
		dir = filepath.Join(dir, "..")
	}
	t.Fatal("there is no go.mod above the package")
	return ""
}
