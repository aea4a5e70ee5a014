//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// compile makes a shared library from C; version, when given, becomes its symbol
// version as in the real one.
func compile(t *testing.T, path, code, version string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("makes ELF libraries")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip(err)
	}
	src := filepath.Join(t.TempDir(), "lib.c")
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-shared", "-fPIC", "-o", path, src}
	if version != "" {
		script := filepath.Join(t.TempDir(), "versions")
		if err := os.WriteFile(script, []byte("VERS_"+version+" { global: *; };"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-Wl,--version-script="+script)
	}
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
}

func fake(version string) string {
	return `static const char *v(void) { return "` + version + `"; } static void *g(unsigned n) { return 0; }
	static struct { void *(*g)(unsigned); const char *(*v)(void); } b = { g, v }; void *OrtGetApiBase(void) { return &b; }`
}

// TestChild is no test: it is the other side of child.
func TestChild(t *testing.T) {
	library, ok := os.LookupEnv("ORT_TEST_CHILD")
	if !ok {
		t.Skip("run by other tests")
	}
	o := engine.Options{Library: library}
	err := Backend{}.Available(o)
	u := new(engine.UnavailableError)
	fmt.Printf("%v\n%t\n", err, errors.As(err, &u))
	if err == nil { // a run that fails inside, and is repeated, says nothing
		s := prepared(t, model([]*onnx.Value{value("x", tensor.Float32, 2)}, []*onnx.Value{onnx.NewValue("y", tensor.Int64, nil)}, nil,
			node("NonZero", "n", "x", "y")), o)
		run(t, s, tensor.Of([]float32{1, 1}, 2))
		run(t, s, tensor.Of([]float32{1, 0}, 2))
	}
	os.Exit(0)
}

// child asks a fresh process, which has no library loaded yet, whether the
// backend is available, and returns everything it wrote.
func child(t *testing.T, library string, env ...string) string {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestChild$")
	c.Env = append(append(os.Environ(), "ORT_TEST_CHILD="+library), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestLibraryFaults(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("text.so"), []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	compile(t, at("old.so"), fake("1.20.1"), "1.20.1")
	compile(t, at("silent.so"), fake("1.28.0"), "") // tells its version only when loaded
	compile(t, at("other.so"), "int f(void) { return 1; }", "")
	compile(t, at("needs.so"), "int nowhere(void); int f(void) { return nowhere(); } void *p = (void *)nowhere;", "")
	for _, c := range []struct {
		library string
		want    []string
	}{
		{at("absent.so"), []string{"no such file"}},
		{dir, []string{"is not a file", "libonnxruntime"}},
		{at("text.so"), []string{"not a shared library"}},
		{at("old.so"), []string{"1.20.1", "too old", "1.29"}},
		{at("silent.so"), []string{"1.28.0", "too old", "1.29"}},
		{at("other.so"), []string{"OrtGetApiBase"}},
		{at("needs.so"), []string{"does not load", "nowhere"}},
	} {
		want := append(c.want, "onnxprobe runtime install", c.library, "\ntrue\n")
		for from, out := range map[string]string{
			install.FromFlag: child(t, c.library, install.EnvLibrary+"="),
			install.FromEnv:  child(t, "", install.EnvLibrary+"="+c.library),
		} {
			for _, w := range append(want, from) {
				if !strings.Contains(out, w) {
					t.Errorf("%s by %s: %q does not say %q", filepath.Base(c.library), from, out, w)
				}
			}
		}
	}
	// The flag goes before the environment.
	if out := child(t, at("old.so"), install.EnvLibrary+"="+at("text.so")); !strings.Contains(out, "1.20.1") || strings.Contains(out, "text.so") {
		t.Errorf("flag and environment: %q", out)
	}
}

// A library that was found, not asked for, and is no good makes way for the next
// one.
func TestFoundLibraries(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	dir := t.TempDir()
	cache, lib := filepath.Join(dir, "cache"), filepath.Join(dir, "lib")
	installed := install.LibraryPath(filepath.Join(cache, "onnxprobe", "runtime"), false)
	for _, d := range []string{filepath.Dir(installed), lib} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	compile(t, installed, fake("1.20.1"), "1.20.1")
	compile(t, filepath.Join(lib, "libonnxruntime.so.1.9.0"), fake("1.9.0"), "1.9.0")
	if err := os.Symlink(libraryInUse(), filepath.Join(lib, "libonnxruntime.so.1.30.0")); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CACHE_HOME=" + cache, "VIRTUAL_ENV=", "LD_LIBRARY_PATH=" + lib, install.EnvLibrary + "="}
	if out := child(t, "", env...); out != "<nil>\nfalse\n" {
		t.Errorf("with a good library third: %q", out)
	}
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("LD_LIBRARY_PATH", lib)
	t.Setenv(install.EnvLibrary, "")
	var got []string
	for _, c := range List()[:3] {
		got = append(got, fmt.Sprintf("%s %s %t", c.From, c.Version, c.Fault == nil))
	}
	if want := []string{install.FromInstall + " 1.20.1 false", install.FromSystem + " " + Backend{}.Version() + " true", install.FromSystem + " 1.9.0 false"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("List: got %q, want %q", got, want)
	}
}

func TestNoLibrary(t *testing.T) {
	err := unusable(nil)
	if u := new(engine.UnavailableError); !errors.As(err, &u) || !strings.Contains(err.Error(), "onnxprobe runtime install") {
		t.Errorf("got %v", err)
	}
}

func TestOneLibraryAProcess(t *testing.T) {
	enginetest.Need(t, Backend{}, engine.Options{})
	dir := t.TempDir()
	link, other := filepath.Join(dir, "link.so"), filepath.Join(dir, "other.so")
	if err := os.Symlink(libraryInUse(), link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Backend{}).Available(engine.Options{Library: link}); err != nil {
		t.Errorf("the library in use under another name: %v", err)
	}
	if err := (Backend{}).Available(engine.Options{Library: other}); err == nil || !strings.Contains(err.Error(), "already uses") {
		t.Errorf("a second library: got %v, want an error that says one is in use", err)
	}
}

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{"1.29.0": true, "1.30.0": true, "1.100.0": true, "1.28.9": false, "1.3.0": false, "2.0.0": false, "": false, "1": false, "x.y": false} {
		if err := install.CheckVersion(version); (err == nil) != ok {
			t.Errorf("%q: got %v", version, err)
		}
	}
}

// libraryInUse is the path of the library in use, "" before the first use.
func libraryInUse() string {
	loaded.Lock()
	defer loaded.Unlock()
	return loaded.path
}
