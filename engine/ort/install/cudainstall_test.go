package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/internal/elftest"
)

// cudaFixture is a fixture with two pinned parts more, a and b, and an optional
// one, c; pip has all of them.
type cudaFixture struct {
	*fixture
	parts  []Part
	wheels string // a folder with every wheel
}

func newCUDAFixture(t *testing.T) *cudaFixture {
	t.Helper()
	needLinux(t)
	x := &cudaFixture{fixture: newFixture(t)}
	x.wheels = filepath.Join(x.dir, "wheels")
	os.Mkdir(x.wheels, 0o700)
	write(t, filepath.Join(x.wheels, "thing.whl"), x.whl)
	x.arts, x.o.CUDA = x.arts[:1], true
	for _, n := range []string{"a", "b", "c"} {
		lib := "libcu" + n + ".so.1"
		body := elftest.ELF(lib)
		w := wheel(t, map[string][]byte{"nvidia/" + n + "/lib/" + lib: body, "nvidia/" + n + "/lib/beside.so": []byte("beside " + n), "nvidia/other": nil})
		p := Part{Name: n, Libs: []string{lib}, pin: artifact{cuda: true, client: "pip", pkg: "nvidia-" + n, version: "1.5", platform: "here",
			file: "nvidia_" + n + "-1.5.whl", size: int64(len(w)), sha256: sha(w), members: []member{
				{"nvidia/" + n + "/lib/" + lib, int64(len(body)), sha(body)}, {"nvidia/" + n + "/lib/beside.so", 8, sha([]byte("beside " + n))}}}}
		if n == "c" {
			p.Optional = "the operators Xfft and Yfft"
		}
		x.parts = append(x.parts, p)
		write(t, filepath.Join(x.wheels, p.pin.file), w)
	}
	x.client(t, "pip", `case "$*" in *nvidia-a==1.5*) f=nvidia_a-1.5.whl;; *nvidia-b==1.5*) f=nvidia_b-1.5.whl;; *nvidia-c==1.5*) f=nvidia_c-1.5.whl;; *) f=thing.whl;; esac
cp `+x.wheels+`/$f "$DEST"`)
	for _, v := range []string{"LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"} {
		t.Setenv(v, "")
	}
	return x
}

func (x *cudaFixture) install(t *testing.T) error {
	t.Helper()
	path, err := installCUDA(t.Context(), x.o, x.arts, x.parts)
	if err == nil && path != filepath.Join(x.o.Root, Pinned+"-cuda", libraryName()) {
		t.Errorf("it returned %s", path)
	}
	return err
}

// have lists the packages that are whole.
func (x *cudaFixture) have() string {
	var out []string
	if installed(folder(x.o.Root, true), x.arts) {
		out = append(out, "ort")
	}
	for _, p := range x.parts {
		if installed(filepath.Join(x.o.Root, p.pin.name()), []artifact{p.pin}) {
			out = append(out, p.Name)
		}
	}
	return strings.Join(out, " ")
}

func TestInstallCUDA(t *testing.T) {
	x := newCUDAFixture(t)
	if err := x.install(t); err != nil || x.have() != "ort a b" {
		t.Fatalf("installed %q: %v", x.have(), err)
	}
	log := x.log.String()
	for _, w := range []string{"to download: 3 package(s)", "in " + x.o.Root, "nvidia-a", "1.5", "NVIDIA's licence", "c: left out; only the operators Xfft and Yfft need it, and an install of all parts brings it"} {
		if !strings.Contains(log, w) {
			t.Errorf("the log does not say %q:\n%s", w, log)
		}
	}
	if strings.Index(log, "to download") > strings.Index(log, "downloading") {
		t.Error("it said too late what it fetches")
	}
	args, _ := os.ReadFile(x.calls)
	if !strings.Contains(string(args), "--no-cache-dir") || !strings.Contains(string(args), "--platform here") {
		t.Errorf("pip was called with %s", args)
	}
	// Nothing to do, then one library changed in its size, then one in its content.
	n := x.count(t)
	lib := filepath.Join(x.o.Root, "nvidia-a-1.5", "libcua.so.1")
	for i, damage := range []func(){func() {}, func() { os.Truncate(lib, 80) }, func() {
		b, _ := os.ReadFile(lib)
		b[len(b)-1] ^= 1
		write(t, lib, b)
	}, func() { os.Remove(filepath.Join(x.o.Root, "nvidia-b-1.5", "beside.so")) }} {
		damage()
		if err := x.install(t); err != nil || x.have() != "ort a b" {
			t.Errorf("again %d: installed %q: %v", i, x.have(), err)
		}
		if got := x.count(t) - n; got != i {
			t.Errorf("again %d: pip was called %d times more", i, got)
		}
	}
	x.o.All = true
	if err := x.install(t); err != nil || x.have() != "ort a b c" {
		t.Errorf("with all: installed %q: %v", x.have(), err)
	}
	for _, d := range []string{"1.30.0-cuda", "nvidia-a-1.5", "nvidia-b-1.5", "nvidia-c-1.5"} {
		if names := glob(x.o.Root, d, "*"); len(names) != 2 {
			t.Errorf("%s holds %q", d, names)
		}
	}
}

// What the machine has is not fetched, unless all of it is wanted.
func TestInstallCUDAFound(t *testing.T) {
	x := newCUDAFixture(t)
	own, old := filepath.Join(x.dir, "own"), filepath.Join(x.dir, "old")
	elftest.Library(t, own, "libcua.so.1")
	elftest.Library(t, old, "libcub.so.0")
	t.Setenv("LD_LIBRARY_PATH", own+":"+old)
	if err := x.install(t); err != nil || x.have() != "ort b" {
		t.Fatalf("installed %q: %v", x.have(), err)
	}
	for _, w := range []string{"a: found in " + own + " (LD_LIBRARY_PATH)", "b: passed over: " + old + "/libcub.so.0 is another release than libcub.so.1"} {
		if !strings.Contains(x.log.String(), w) {
			t.Errorf("the log does not say %q:\n%s", w, x.log)
		}
	}
	x.o.All = true
	if err := x.install(t); err != nil || x.have() != "ort a b c" {
		t.Errorf("with all: installed %q: %v", x.have(), err)
	}
	// What an install put there goes before what was found.
	if p := findParts(x.parts, cudaRules(x.o.Root, ""))[0]; p.From != FromInstall || p.Version != "1.5" {
		t.Errorf("found in %s by %s, version %s", p.Dir, p.From, p.Version)
	}
}

// A package that is not whole is not found.
func TestHalfInstalledCUDA(t *testing.T) {
	x := newCUDAFixture(t)
	a := x.parts[0]
	dir := filepath.Join(x.o.Root, a.pin.name())
	elftest.Library(t, dir, "libcua.so.1")
	find := func() Found { return findParts(x.parts[:1], cudaRules(x.o.Root, ""))[0] }
	if p := find(); !p.Missing() || !strings.Contains(fmt.Sprint(p.Passed), "is not whole: it has no beside.so") {
		t.Errorf("half: found in %q, passed over %q", p.Dir, p.Passed)
	}
	write(t, filepath.Join(dir, "beside.so"), []byte("besid"))
	if p := find(); !p.Missing() || !strings.Contains(fmt.Sprint(p.Passed), "got 5 bytes, want 8") {
		t.Errorf("short: found in %q, passed over %q", p.Dir, p.Passed)
	}
	os.Rename(dir, filepath.Join(x.o.Root, "nvidia-a-1.4"))
	if p := find(); !p.Missing() || !strings.Contains(fmt.Sprint(p.Passed), "is not the package nvidia-a-1.5") {
		t.Errorf("older: found in %q, passed over %q", p.Dir, p.Passed)
	}
}

func TestInstallCUDAFrom(t *testing.T) {
	x := newCUDAFixture(t)
	os.Remove(filepath.Join(x.bin, "pip")) // no network
	some := filepath.Join(x.dir, "some")
	os.Mkdir(some, 0o700)
	bring := func(name string) {
		b, err := os.ReadFile(filepath.Join(x.wheels, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(some, name), b)
	}
	x.o.From = some
	bring("thing.whl")
	err := x.install(t)
	says(t, err, some, "it lacks 2 of 3 files", "nvidia_a-1.5.whl, nvidia_b-1.5.whl", "pip download")
	if strings.Contains(err.Error(), "thing.whl") || x.have() != "" {
		t.Errorf("with files missing it installed %q: %v", x.have(), err)
	}
	bring("nvidia_a-1.5.whl")
	write(t, filepath.Join(some, "nvidia_b-1.5.whl"), wheel(t, map[string][]byte{"nvidia/b/lib/libcub.so.1": elftest.ELF("libcub.so.1", "libevil.so"), "nvidia/b/lib/beside.so": []byte("beside b")}))
	says(t, x.install(t), "libcub.so.1", "nvidia_b-1.5.whl", "bytes")
	if x.have() != "ort a" {
		t.Errorf("with one wrong wheel it installed %q", x.have())
	}
	bring("nvidia_b-1.5.whl")
	if err := x.install(t); err != nil || x.have() != "ort a b" {
		t.Errorf("installed %q: %v", x.have(), err)
	}
	// File by file: each says what is still missing.
	os.RemoveAll(x.o.Root)
	for _, c := range []struct{ file, have, still string }{
		{"nvidia_b-1.5.whl", "b", "thing.whl, nvidia_a-1.5.whl"}, {"thing.whl", "ort b", "nvidia_a-1.5.whl"}, {"nvidia_a-1.5.whl", "ort a b", ""},
	} {
		x.o.From = filepath.Join(x.wheels, c.file)
		err := x.install(t)
		if (err == nil) != (c.still == "") || err != nil && !strings.Contains(err.Error(), "still missing: "+c.still+";") || x.have() != c.have {
			t.Errorf("from %s: installed %q: %v", c.file, x.have(), err)
		}
	}
}

func TestInstallCUDAFails(t *testing.T) {
	x := newCUDAFixture(t)
	x.o.Client = "npm"
	says(t, x.install(t), "through pip alone")
	x.o.Client = ""
	x.client(t, "pip", `case "$*" in *nvidia-*) echo no route >&2; exit 1;; esac; cp `+x.wheels+`/thing.whl "$DEST"`)
	says(t, x.install(t), "no route", "nvidia-a 1.5", "install from it", "nvidia_a-1.5.whl")
	if x.have() != "ort" {
		t.Errorf("installed %q", x.have())
	}
}

func TestProgress(t *testing.T) {
	x := newCUDAFixture(t)
	old := watchEvery
	defer func() { watchEvery = old }()
	watchEvery = 20 * time.Millisecond
	x.client(t, "pip", `[ -d "$TMPDIR" ] || exit 1; cp `+x.wheels+`/nvidia_a-1.5.whl "$TMPDIR/part"; sleep 0.2; cp `+x.wheels+`/nvidia_a-1.5.whl "$DEST"`)
	dir := t.TempDir()
	if err := download(t.Context(), []string{"pip"}, x.parts[0].pin, dir, x.o.logf); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(x.log.String(), "nvidia-a: 0.0 MB of 0.0 MB") {
		t.Errorf("the log is %q", x.log)
	}
	for n, want := range map[int64]string{2243632: "2.2 MB", 420882912: "421 MB", 1372000000: "1.4 GB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// The pinned packages hold what the parts name.
func TestCUDAPackages(t *testing.T) {
	for _, a := range cudaPackages {
		if !strings.Contains(a.file, a.version) || len(a.sha256) != 64 || a.size < 1e6 || a.platform == "" || !strings.HasPrefix(a.pkg, "nvidia-") {
			t.Errorf("the row %+v", a)
		}
		for _, m := range a.members {
			if len(m.sha256) != 64 || m.size < 1000 || m.size > maxUnpacked {
				t.Errorf("%s: the member %+v", a.file, m)
			}
		}
	}
	for _, p := range pinnedParts() {
		for _, pattern := range append(append([]string{}, p.Libs...), p.Beside...) {
			if p.pin.file == "" {
				continue // another system
			}
			held := false
			for i := range p.pin.members {
				ok, _ := filepath.Match(pattern, filepath.Base(p.pin.target("", i)))
				held = held || ok
			}
			if !held {
				t.Errorf("%s is not in %s", pattern, p.pin.file)
			}
		}
	}
}
