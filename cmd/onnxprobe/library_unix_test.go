//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// A library that cannot be used is not passed over in silence, and one that the environment
// names not at all.
func TestLibraryThatCannotBeUsed(t *testing.T) {
	needORT(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	model, err := filepath.Abs(mlp)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	broken := spill(t, filepath.Join(dir, "libonnxruntime.so"), []byte("no library"))
	home := []string{"HOME=" + dir, "XDG_CACHE_HOME=" + dir}
	for _, c := range []struct {
		env, args []string
		code      int
		want      string
	}{
		{[]string{install.EnvLibrary + "=", "LD_LIBRARY_PATH=" + dir}, nil, 0, broken + " (system)"},
		{[]string{install.EnvLibrary + "=" + broken}, nil, exitUnavailable, broken + " (" + install.EnvLibrary + ")"},
		{[]string{install.EnvLibrary + "=" + broken}, []string{"--precision", "float64"}, 0, "engine: gorgonia"},
		{[]string{install.EnvLibrary + "=" + broken}, []string{"--backend", "gorgonia"}, 0, "2 items"},
	} {
		cmd := exec.Command(self, append([]string{"codes", model, "--random", "2", "-o", "-"}, c.args...)...)
		cmd.Env = append(append(append(os.Environ(), home...), c.env...), asProgram+"=1")
		var said strings.Builder
		cmd.Stderr = &said
		_ = cmd.Run()
		if c.code == 0 && c.args == nil && strings.Contains(said.String(), "engine: ort") {
			t.Skip("the system has a library of its own")
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q %q: exit code %d, want %d and %q: %s", c.env, c.args, code, c.code, c.want, said.String())
		}
	}
}

// ONNX Runtime's telemetry makes files where nobody asked for any.
func TestNothingInTheTemporaryFolder(t *testing.T) {
	needORT(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	model, err := filepath.Abs(resnet)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range isolate.Modes {
		dir := t.TempDir()
		before, _ := filepath.Glob(filepath.Join(os.TempDir(), "mat-debug-*"))
		cmd := exec.Command(self, "run", model, "--random", "2", "-o", "-", "--isolate="+mode)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir, asProgram+"=1")
		if err := cmd.Run(); err != nil && (mode != string(isolate.Yes) || cmd.ProcessState.ExitCode() != exitUnavailable) {
			t.Fatalf("--isolate=%s: %v", mode, err)
		}
		after, _ := filepath.Glob(filepath.Join(os.TempDir(), "mat-debug-*"))
		if left := list(t, dir); len(left) > 0 || len(after) > len(before) {
			t.Errorf("--isolate=%s: %q and %d files more in %s", mode, left, len(after)-len(before), os.TempDir())
		}
	}
}
