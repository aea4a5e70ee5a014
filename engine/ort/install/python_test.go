package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/internal/elftest"
)

// environmentWith is a Python environment that has a library of this name and content.
func environmentWith(t *testing.T, name string, content []byte) (prefix, library string) {
	t.Helper()
	prefix = t.TempDir()
	library = filepath.Join(prefix, "lib", "python3.13", "site-packages", "onnxruntime", "capi", name)
	if err := os.MkdirAll(filepath.Dir(library), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, library, content)
	return prefix, library
}

// candidate is what Find says of a library.
func candidate(t *testing.T, library string) Candidate {
	t.Helper()
	all := Find("")
	i := slices.IndexFunc(all, func(c Candidate) bool { return c.Path == library })
	if i < 0 {
		t.Fatalf("%s is not found: %+v", library, all)
	}
	return all[i]
}

// Of a Python environment a library is taken that is, to the byte, one of those that this
// program knows; any other is listed, with the reason and what to do.
func TestFindInPythons(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("makes ELF libraries")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(EnvLibrary, "")
	const good = "libonnxruntime.so." + Pinned
	body := elftest.ELF(good)
	provider := []byte("the CUDA half")
	was := artifacts
	t.Cleanup(func() { artifacts = was })
	cuda := artifact{goos: runtime.GOOS, goarch: runtime.GOARCH, cuda: true, members: []member{
		{"capi/" + good, 0, sha(elftest.ELF(good, "libdl.so.2"))},
		{"capi/libonnxruntime_providers_cuda.so", int64(len(provider)), sha(provider)},
	}}
	elsewhere := artifact{goos: "darwin", goarch: runtime.GOARCH, members: []member{{"capi/" + good, 0, sha(elftest.ELF(good, "libm.so.6"))}}}
	artifacts = append(slices.Clone(was), artifact{goos: runtime.GOOS, goarch: runtime.GOARCH, members: []member{{"capi/" + good, 0, sha(body)}}}, cuda, elsewhere)
	for _, c := range []struct {
		why, name string
		content   []byte
		beside    []byte   // the CUDA provider; nil for none
		fault     []string // of Find; nil for none
		check     []string // of Check
	}{
		{"the pinned one", good, body, nil, nil, nil},
		{"a newer one", "libonnxruntime.so.1.32.0", body, nil, []string{"it is ONNX Runtime 1.32.0", Pinned + " alone", "pip install", "onnxruntime==" + Pinned}, nil},
		{"an older one", "libonnxruntime.so.1.20.1", body, nil, []string{"it is ONNX Runtime 1.20.1", "pip install"}, nil},
		{"no library", good, []byte("text"), nil, []string{"not a shared library"}, nil},
		{"one byte more", good, append(slices.Clone(body), 0), nil, nil, []string{"SHA-256", Pinned, "pip uninstall onnxruntime", "pip install onnxruntime=="}},
		{"another system's", good, elftest.ELF(good, "libm.so.6"), nil, nil, []string{"SHA-256"}},
		{"with CUDA", good, elftest.ELF(good, "libdl.so.2"), provider, nil, nil},
		{"with another's CUDA provider", good, elftest.ELF(good, "libdl.so.2"), []byte("the other half"), nil, []string{"libonnxruntime_providers_cuda.so", "got 14 bytes, want 13"}},
	} {
		prefix, library := environmentWith(t, c.name, c.content)
		if c.beside != nil {
			write(t, filepath.Join(filepath.Dir(library), "libonnxruntime_providers_cuda.so"), c.beside)
		}
		t.Setenv("VIRTUAL_ENV", prefix)
		got := candidate(t, library)
		if got.From != FromVenv {
			t.Errorf("%s: found by %q", c.why, got.From)
		}
		for i, err := range []error{got.Fault, got.Check()} {
			want := [][]string{c.fault, c.check}[i]
			switch {
			case i == 1 && c.fault != nil:
			case want != nil:
				says(t, err, want...)
			case err != nil:
				t.Errorf("%s: %v", c.why, err)
			}
		}
		// Whoever names it takes the responsibility.
		if named := Find(library)[0]; named.Check() != nil || named.From != FromFlag {
			t.Errorf("%s, asked for: %v", c.why, named.Check())
		}
	}
	t.Setenv("VIRTUAL_ENV", "relative")
	if places := pythonPlaces(); slices.ContainsFunc(places, func(p place) bool { return p.from == FromVenv }) {
		t.Errorf("a relative environment: %v", places)
	}
}

// The environment that the program itself lies in goes before the active one.
func TestFindBesideTheProgram(t *testing.T) {
	if os.Getenv("INSTALL_TEST_CHILD") != "" {
		for _, p := range pythonPlaces() {
			os.Stdout.WriteString(p.from + " " + p.dir + "\n")
		}
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, library := environmentWith(t, "x", nil)
	active, other := environmentWith(t, "x", nil)
	program := filepath.Join(own, scripts, "onnxprobe.test")
	link := filepath.Join(t.TempDir(), "onnxprobe.test")
	if err := os.Mkdir(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	write(t, program, content)
	if err := os.Symlink(program, link); err != nil {
		t.Skip(err)
	}
	want := FromProgram + " " + realPath(filepath.Dir(library)) + "\n"
	for _, path := range []string{program, link} {
		out := command(t, path, "INSTALL_TEST_CHILD=1", "VIRTUAL_ENV="+active)
		at, then := strings.Index(out, want), strings.Index(out, FromVenv+" "+filepath.Dir(other)+"\n")
		if at < 0 || then < at {
			t.Errorf("%s: got %q, want %q before %s", path, out, want, active)
		}
	}
}

func command(t *testing.T, path string, env ...string) string {
	t.Helper()
	c := exec.Command(path, "-test.run=^TestFindBesideTheProgram$")
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestOtherPythons(t *testing.T) {
	for system, sums := range otherPythons {
		for _, s := range sums {
			if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
				t.Errorf("%s: %q is no SHA-256", system, s)
			}
		}
	}
}
