package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

func spill(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// must runs a command that has to succeed and returns what it wrote.
func must(t testing.TB, dir string, env []string, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, said bytes.Buffer
	c := exec.Command(name, args...)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, append(os.Environ(), env...), &out, &said
	if err := c.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), said.String())
	}
	return out.String(), said.String()
}

// gitEnv makes git the same for everybody.
var gitEnv = []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org"}

func TestPythonVersion(t *testing.T) {
	for v, want := range map[string]string{
		"v1.2.3": "1.2.3", "v0.10.0-rc.1": "0.10.0rc1", "v2.0.0-beta3": "2.0.0b3", "v2.0.0-alpha.4": "2.0.0a4",
		"devel-8089c05abcde": "0.0.0.dev0+8089c05abcde", "devel-8089c05abcde+dirty": "0.0.0.dev0+8089c05abcde.dirty",
		"devel": "0.0.0.dev0", "v1.0.0-next.X": "0.0.0.dev0+v1.0.0.next.x",
	} {
		if got := pythonVersion(v); got != want {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
}

// The list in a wheel has each file but itself with its sum and length, by the sums of
// another program; the program can be run; and the bytes are the same again.
func TestWheelRecord(t *testing.T) {
	w := wheel{version: "1.2.3rc1", tag: "py3-none-manylinux_2_17_aarch64.musllinux_1_1_aarch64", program: []byte("program"), name: "onnxprobe",
		license: []byte("ours"), licenses: []byte("theirs")}
	b, err := w.bytes()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := w.bytes(); !bytes.Equal(b, again) {
		t.Error("a second time it has other bytes")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	content := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		content[f.Name] = string(text)
		line := f.Name + ",,"
		if !strings.HasSuffix(f.Name, "/RECORD") {
			sum := sha256.Sum256(text)
			line = fmt.Sprintf("%s,sha256=%s,%d", f.Name, strings.TrimRight(base64.URLEncoding.EncodeToString(sum[:]), "="), len(text))
		}
		want = append(want, line)
		if runs := f.Mode()&0o111 != 0; runs != strings.Contains(f.Name, ".data/scripts/") {
			t.Errorf("%s has the mode %v", f.Name, f.Mode())
		}
	}
	if got := content["onnxprobe-1.2.3rc1.dist-info/RECORD"]; got != strings.Join(want, "\n")+"\n" {
		t.Errorf("RECORD is\n%swant\n%s", got, strings.Join(want, "\n"))
	}
	tags := content["onnxprobe-1.2.3rc1.dist-info/WHEEL"]
	for _, tag := range []string{"Tag: py3-none-manylinux_2_17_aarch64\n", "Tag: py3-none-musllinux_1_1_aarch64\n"} {
		if !strings.Contains(tags, tag) {
			t.Errorf("WHEEL does not say %q:\n%s", tag, tags)
		}
	}
	if strings.Contains(content["onnxprobe-1.2.3rc1.dist-info/METADATA"], "onnxruntime==") {
		t.Error("the wheel of a pure-Go program asks for onnxruntime")
	}
}

// A wheel of a program that needs a newer C library than the tag may promise is refused, as
// is one that links to what not every Linux has. The programs are made by the C compiler
// here, which says itself what it made.
func TestNeededGlibc(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("of programs for Linux on amd64")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip(err)
	}
	// compile links a program against a C library of our own making, in these versions.
	compile := func(name, library, versions, body, calls string) string {
		dir := t.TempDir()
		so := filepath.Join(dir, library)
		must(t, dir, nil, cc, "-shared", "-nostdlib", "-fPIC", "-o", so, "-Wl,-soname,"+library, "-Wl,--version-script="+spill(t, filepath.Join(dir, "map"), versions),
			spill(t, filepath.Join(dir, "lib.c"), body))
		program := filepath.Join(dir, name)
		must(t, dir, nil, cc, "-nostdlib", "-pie", "-fPIE", "-o", program, spill(t, filepath.Join(dir, "main.c"), calls), so)
		return program
	}
	script := func(v string) string { return "GLIBC_2.2.5 { global: a; }; " + v + " { global: b; } GLIBC_2.2.5;" }
	const body, calls = "int a(void) { return 0; } int b(void) { return 0; }", "int a(void); int b(void); int _start(void) { return a() + b(); }"
	text := spill(t, filepath.Join(t.TempDir(), "text"), "no program")
	alone := filepath.Join(t.TempDir(), "alone")
	must(t, ".", nil, cc, "-nostdlib", "-static", "-o", alone, spill(t, filepath.Join(t.TempDir(), "main.c"), "int _start(void) { return 0; }"))
	own := target{"linux", "amd64", true}
	for _, c := range []struct {
		why, path string
		t         target
		want      string // or, after "error: ", words of one
	}{
		{"the newest that may be", compile("p", "libc.so.6", script("GLIBC_2.28"), body, calls), own, "manylinux_2_28_x86_64"},
		{"one newer", compile("p", "libc.so.6", script("GLIBC_2.29"), body, calls), own, "error: needs glibc 2.29, and its wheel may need 2.28"},
		{"by number, not by letter", compile("p", "libc.so.6", script("GLIBC_2.3.4"), body, calls), own, "manylinux_2_17_x86_64"},
		{"glibc's own business", compile("p", "libc.so.6", script("GLIBC_PRIVATE"), body, calls), own, "error: GLIBC_PRIVATE"},
		{"another library", compile("p", "libfoo.so.1", script("GLIBC_2.28"), body, calls), own, "error: links to libfoo.so.1"},
		{"no library, and it is to load one", alone, own, "error: links to no C library"},
		{"no library", alone, target{"linux", "arm64", false}, "manylinux_2_17_aarch64.musllinux_1_1_aarch64"},
		{"beside the wheel with ONNX Runtime", alone, target{"linux", "amd64", false}, "musllinux_1_1_x86_64"},
		{"no program", text, own, "error: no ELF file"},
		{"Windows", text, target{"windows", "arm64", false}, "win_arm64"},
		{"macOS", text, target{"darwin", "amd64", false}, "macosx_12_0_x86_64"},
	} {
		got, err := c.t.platform(c.path)
		if words, ok := strings.CutPrefix(c.want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: got %q and %v, want an error of %q", c.why, got, err, words)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%s: got %q and %v, want %q", c.why, got, err, c.want)
		}
	}
}

// held is what a folder holds: the paths under it with their contents.
func held(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if !e.Type().IsRegular() {
			all[path[len(dir)+1:]] = e.Type().String()
			return nil
		}
		b, err := os.ReadFile(path)
		all[path[len(dir)+1:]] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sumsOf is a list of a release as sha256sum writes it.
func sumsOf(names ...string) string {
	return strings.Repeat("0", 64) + "  " + strings.Join(names, "\n"+strings.Repeat("0", 64)+"  ") + "\n"
}

// A release replaces an earlier one, and nothing else: where there is anything else, nothing
// is gone after the refusal.
func TestReplace(t *testing.T) {
	const program = "onnxprobe-v1-linux-amd64"
	ours := map[string]string{program: "old", "README.txt": "old", sumsFile: sumsOf("README.txt", program)}
	fresh := map[string]string{"onnxprobe-v2-linux-amd64": "new", "README.txt": "new", sumsFile: sumsOf("README.txt", "onnxprobe-v2-linux-amd64")}
	for _, c := range []struct {
		why, refused string
		more         map[string]string
		without      string // of a release, "*" is all
	}{
		{"a release", "", nil, ""},
		{"a release without one of its files", "", nil, program},
		{"a file beside a release", "holds thesis.tex, which no release made", map[string]string{"thesis.tex": "x"}, ""},
		{"a folder by the name of a file", "holds " + program + ", which no release made", map[string]string{program + "/thesis.tex": "x"}, program},
		{"a program that is not listed", "holds onnxprobe-notes, which no release made", map[string]string{"onnxprobe-notes": "x"}, ""},
		{"files without a list", "holds README.txt, which no release made", nil, sumsFile},
		{"another's list", `lists "debian.iso", which no release made`, map[string]string{sumsFile: sumsOf("debian.iso"), "debian.iso": "x"}, "*"},
		{"a list of what lies elsewhere", `lists "onnxprobe-/../../outside", which`, map[string]string{sumsFile: sumsOf("onnxprobe-/../../outside")}, ""},
		{"another release in the making", "holds .onnxprobe-release-1, of another", map[string]string{hidden + "1/README.txt": "x"}, ""},
		{"a rename that fails halfway", "replacing the release", nil, ""},
	} {
		dir := filepath.Join(t.TempDir(), "dist")
		folder := []map[string]string{ours, c.more}
		if c.without == "*" {
			folder = folder[1:]
		}
		for _, files := range folder {
			for name, content := range files {
				if name != c.without {
					spill(t, filepath.Join(dir, name), content)
				}
			}
		}
		before := held(t, dir)
		stage := filepath.Join(dir, "work")
		for name, content := range fresh {
			spill(t, filepath.Join(stage, name), content)
		}
		if strings.HasPrefix(c.refused, "replacing") {
			spill(t, filepath.Join(stage, "work"), "") // it cannot take the place of its own folder
		}
		err := replace(dir, stage)
		if e := os.RemoveAll(stage); e != nil {
			t.Fatal(e)
		}
		want := before
		if c.refused == "" {
			want = fresh
		}
		if got := held(t, dir); !maps.Equal(got, want) {
			t.Errorf("%s: the folder holds %q, want %q", c.why, got, want)
		}
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: got the error %v, want %q", c.why, err, c.refused)
		}
	}
}

// A build that fails, here by a program that cannot load ONNX Runtime after it has been
// written, leaves the folder as it was.
func TestFailedBuild(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("of programs for Linux")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	tree, dir := t.TempDir(), t.TempDir()
	spill(t, filepath.Join(tree, "go.mod"), "module example.org/hello\n\ngo 1.24\n")
	spill(t, filepath.Join(tree, "cmd", "onnxprobe", "main.go"), `package main

import "syscall"

func main() { syscall.Write(1, []byte("onnxprobe version v1.2.3")) }
`)
	for _, line := range []string{"init -q", "add .", "commit -qm one", "tag v1.2.3"} {
		must(t, tree, gitEnv, "git", strings.Fields(line)...)
	}
	for name, content := range map[string]string{"onnxprobe-v1-linux-amd64": "old", "README.txt": "old", sumsFile: sumsOf("README.txt", "onnxprobe-v1-linux-amd64")} {
		spill(t, filepath.Join(dir, name), content)
	}
	before := held(t, dir)
	r := &release{tree: tree, dir: dir, cc: "cc", log: io.Discard, licenses: []byte("x")}
	if err := r.all(t.Context()); err == nil || !strings.Contains(err.Error(), "links to no C library") || len(r.made) != 1 {
		t.Errorf("got the error %v after %d files, want one about the C library after 1", err, len(r.made))
	}
	if got := held(t, dir); !maps.Equal(got, before) {
		t.Errorf("the folder holds %q, want %q", got, before)
	}
}

// go install takes a tag from the module proxy that is written of it, and finds it by its
// version.
func TestProxy(t *testing.T) {
	repository, proxy, path := t.TempDir(), t.TempDir(), t.TempDir()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	spill(t, filepath.Join(repository, "go.mod"), "module example.org/hello\n\ngo 1.24\n\n")
	spill(t, filepath.Join(repository, "cmd", "hello", "main.go"), `package main

import "runtime/debug"

func main() {
	info, _ := debug.ReadBuildInfo()
	print(info.Main.Path, " ", info.Main.Version)
}
`)
	for _, line := range []string{"init -q", "add .", "commit -qm one", "tag v1.2.3", "tag v1.2.2"} {
		must(t, repository, gitEnv, "git", strings.Fields(line)...)
	}
	for _, tag := range []string{"v1.2.3", "v1.2.2", "v1.2.3"} {
		if module, err := writeProxy(t.Context(), repository, tag, proxy); module != "example.org/hello" || err != nil {
			t.Fatalf("got %q and %v", module, err)
		}
	}
	if list := held(t, proxy)[filepath.Join("example.org", "hello", "@v", "list")]; list != "v1.2.2\nv1.2.3\n" {
		t.Errorf("the proxy lists %q", list)
	}
	env := []string{"GOPROXY=file://" + filepath.ToSlash(proxy), "GONOSUMDB=*", "GOFLAGS=-modcacherw", "GOMODCACHE=" + filepath.Join(path, "mod"), "GOBIN=" + path, "GOWORK=off"}
	for version, want := range map[string]string{"v1.2.2": "v1.2.2", "latest": "v1.2.3"} {
		must(t, path, env, "go", "install", "example.org/hello/cmd/hello@"+version)
		if _, said := must(t, path, nil, filepath.Join(path, "hello")); said != "example.org/hello "+want {
			t.Errorf("@%s says %q", version, said)
		}
	}
	if _, err := writeProxy(t.Context(), repository, "v9.9.9", proxy); err == nil {
		t.Error("a tag that there is not is served")
	}
}

// environment is a fresh environment of Python, with the wheel of this tree in it.
type environment struct {
	t    testing.TB
	work string
	cgo  bool // the program can load ONNX Runtime
}

func (e environment) bin(name string) string { return filepath.Join(e.work, "venv", "bin", name) }

// pip runs pip, which asks no registry, and is what it wrote.
func (e environment) pip(args ...string) string {
	env := []string{"PIP_CONFIG_FILE=/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK=1"}
	out, _ := must(e.t, e.work, env, e.bin("python"), append([]string{"-m", "pip"}, args...)...)
	return out
}

// sh runs a line with the environment's programs on PATH and no other ONNX Runtime in reach.
func (e environment) sh(line string) (stdout, stderr string) {
	path := filepath.Join(e.work, "venv", "bin") + ":" + os.Getenv("PATH")
	quiet := []string{"PATH=" + path, "HOME=" + e.work, "XDG_CACHE_HOME=" + e.work, install.EnvLibrary + "=", "LD_LIBRARY_PATH=", "VIRTUAL_ENV="}
	return must(e.t, e.work, quiet, "sh", "-c", line)
}

// freshEnvironment builds the program and its wheel, and installs that.
func freshEnvironment(t *testing.T) environment {
	e := environment{t: t, work: t.TempDir()}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(python, "-m", "venv", filepath.Join(e.work, "venv")).CombinedOutput(); err != nil {
		t.Skipf("this Python makes no environment: %v\n%s", err, out)
	}
	// As make builds it, so that packages are compiled once for all tests.
	program := filepath.Join(e.work, "onnxprobe")
	must(t, "../../..", nil, "go", "build", "-ldflags=-s -w", "-o", program, "./cmd/onnxprobe")
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	// Of this machine's C library, whichever that is.
	glibc, err := neededGlibc(program)
	if err != nil {
		t.Fatal(err)
	}
	e.cgo = glibc != ""
	if glibc == "" {
		glibc = oldestGlibc
	}
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	w := wheel{version: "1.2.3", tag: "py3-none-" + tagOf(glibc, arch), program: b, name: "onnxprobe", cgo: e.cgo, license: []byte("x"), licenses: []byte("x")}
	packed, err := w.bytes()
	if err != nil {
		t.Fatal(err)
	}
	e.pip("install", "--no-index", "--no-deps", spill(t, filepath.Join(e.work, w.file()), string(packed)))
	return e
}

// The wheel of this tree, in a fresh environment: the program is on PATH, says its version,
// and runs a network by the ONNX Runtime beside it, in pure Go where that is another one.
func TestWheelInAFreshEnvironment(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the paths are Linux's")
	}
	if testing.Short() {
		t.Skip("it builds a program")
	}
	e := freshEnvironment(t)
	e.pip("check")
	if about := e.pip("show", "-f", "onnxprobe"); !strings.Contains(about, "Version: 1.2.3\n") || !strings.Contains(about, "bin/onnxprobe") {
		t.Errorf("pip shows\n%s", about)
	}
	if said, _ := e.sh("onnxprobe --version"); !strings.HasPrefix(said, "onnxprobe version ") {
		t.Errorf("it says %q", said)
	}
	model, err := filepath.Abs("../../../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	line := "onnxprobe codes " + model + " --random 2 --force -o codes.npy"
	if _, said := e.sh(line); !strings.Contains(said, "engine: gorgonia") {
		t.Errorf("without ONNX Runtime: %s", said)
	}
	if !e.cgo {
		t.Skip("this Go builds without cgo: not tried beside ONNX Runtime")
	}
	site, err := filepath.Glob(filepath.Join(e.work, "venv", "lib", "python3*", "site-packages"))
	if err != nil || len(site) != 1 {
		t.Fatalf("the environment has %q", site)
	}
	beside := filepath.Join(site[0], "onnxruntime", "capi", "libonnxruntime.so."+install.Pinned)
	t.Run("beside ONNX Runtime", func(t *testing.T) {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		content, err := os.ReadFile(install.LibraryPath(filepath.Join(cache, "onnxprobe", "runtime"), false))
		if err != nil {
			t.Skip("onnxprobe runtime install has not been run")
		}
		spill(t, beside, string(content))
		e := environment{t, e.work, e.cgo}
		e.besideRuntime(line, beside)
		content[len(content)/2]++ // somebody changed it
		spill(t, beside, string(content))
		if _, said := e.sh(line); !strings.Contains(said, "engine: gorgonia") || !strings.Contains(said, beside+" ("+install.FromProgram+"): its SHA-256") {
			t.Errorf("with a changed ONNX Runtime beside it: %s", said)
		}
	})
}

// besideRuntime runs a line that has ONNX Runtime in the library beside, and writes codes.npy.
func (e environment) besideRuntime(line, beside string) {
	if _, said := e.sh(line); !strings.Contains(said, "engine: ort "+install.Pinned+" on cpu\nlibrary: "+beside+", version "+install.Pinned+" ("+install.FromProgram+")\n") {
		e.t.Errorf("with ONNX Runtime beside it: %s", said)
	}
	var manifest map[string]any
	text, err := os.ReadFile(filepath.Join(e.work, "codes.npy.manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &manifest)
	}
	if err != nil || manifest["backend_library"] != beside {
		e.t.Errorf("the manifest names %v, want %s: %v", manifest["backend_library"], beside, err)
	}
	if listed, _ := e.sh("onnxprobe runtime list"); !strings.Contains(listed, beside) || !strings.Contains(listed, install.FromProgram) {
		e.t.Errorf("runtime list:\n%s", listed)
	}
}
