package install

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/internal/elftest"
)

// fill puts every library of the parts, and what belongs beside it, into dir.
func fill(t *testing.T, dir string, parts ...Part) {
	t.Helper()
	for _, p := range parts {
		for _, l := range append(slices.Clone(p.Libs), p.Beside...) {
			elftest.Library(t, dir, strings.ReplaceAll(l, "*", "0"))
		}
	}
}

func needLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CUDA's libraries are looked for on Linux")
	}
}

// part is the pinned part of this name.
func part(t *testing.T, name string) Part {
	t.Helper()
	for _, p := range pinnedParts() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no part is called %s", name)
	return Part{}
}

func TestPartsOf(t *testing.T) {
	needLinux(t)
	dir := t.TempDir()
	describe := func(needed ...string) string {
		elftest.Library(t, dir, "provider.so", needed...)
		parts, major, err := partsOf(filepath.Join(dir, "provider.so"))
		if err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprint(major)
		for _, p := range parts {
			s += fmt.Sprintf(" %v", p.Libs)
			if p.pin.file == "" {
				s += "-"
			}
		}
		return s
	}
	pinned := []string{"libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudart.so.13", DriverLibrary, "libstdc++.so.6", "libc.so.6"}
	for _, c := range []struct {
		needed []string
		want   string
	}{
		{pinned, "13 [libcudart.so.13] [libcublasLt.so.13 libcublas.so.13] [libcurand.so.10] [libnvrtc.so.13] [libcufft.so.12] [libcudnn.so.9]"},
		{[]string{"libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11", "libcusparse.so.12"},
			"12 [libcudart.so.12]- [libcublasLt.so.12 libcublas.so.12]- [libnvrtc.so.12]- [libcufft.so.11]- [libcudnn.so.9]- [libcusparse.so.12]-"},
		{[]string{"libcudart.so.14"}, "14 [libcudart.so.14]- [libnvrtc.so.14]- [libcufft.so.13]- [libcudnn.so.9]-"},
	} {
		want := c.want
		if runtime.GOARCH != "amd64" { // nothing is pinned there
			want = strings.ReplaceAll(strings.ReplaceAll(want, "]-", "]"), "]", "]-")
		}
		if got := describe(c.needed...); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.needed, got, want)
		}
	}
	write(t, filepath.Join(dir, "text.so"), []byte("not a library"))
	if _, _, err := partsOf(filepath.Join(dir, "text.so")); err == nil || !strings.Contains(err.Error(), "not a shared library") {
		t.Errorf("a text: %v", err)
	}
	if _, _, err := partsOf(filepath.Join(dir, "absent.so")); err == nil {
		t.Error("an absent provider gave no error")
	}
}

// The table says what the real provider links to.
func TestPinnedProvider(t *testing.T) {
	needLinux(t)
	root, err := cacheRoot()
	if err != nil {
		t.Skip(err)
	}
	provider := CUDAProvider(filepath.Join(folder(root, true), libraryName()))
	if !exists(provider) {
		t.Skip("the CUDA build is not installed")
	}
	parts, major, err := partsOf(provider)
	if err != nil || major != pinnedCUDA || fmt.Sprint(parts) != fmt.Sprint(pinnedParts()) {
		t.Errorf("the provider for CUDA %d needs %v, the table says %v (%v)", major, parts, pinnedParts(), err)
	}
}

// An earlier rule goes before a later one, and a later one is not asked when
// everything was found.
func TestRulesInOrder(t *testing.T) {
	needLinux(t)
	root := t.TempDir()
	p := part(t, "cuBLAS")
	at := func(name string) string { return filepath.Join(root, name) }
	var asked []string
	rules := func(names ...string) (out []rule) {
		for _, n := range names {
			out = append(out, rule{n, func() []string { asked = append(asked, n); return []string{at(n), "relative"} }})
		}
		return out
	}
	fill(t, at("b"), p)
	fill(t, at("c"), p)
	elftest.Library(t, at("a"), "libcublas.so.12")
	found := findParts([]Part{p}, rules("a", "b", "c"))[0]
	if found.From != "b" || found.Dir != at("b") || fmt.Sprint(asked) != "[a b]" {
		t.Errorf("found in %s by %s after asking %q", found.Dir, found.From, asked)
	}
	if want := "[" + at("a") + "/libcublas.so.12 is another release than libcublas.so.13 (a)]"; fmt.Sprint(found.Passed) != want {
		t.Errorf("passed over %q, want %s", found.Passed, want)
	}
	// Both libraries come from one folder, never one from each.
	os.Remove(filepath.Join(at("b"), p.Libs[0]))
	os.Remove(filepath.Join(at("c"), p.Libs[1]))
	found = findParts([]Part{p}, rules("a", "b", "c"))[0]
	if !found.Missing() || len(found.Passed) != 3 || !strings.Contains(found.Passed[1], "libcublas.so.13 has no libcublasLt.so.13 beside it") {
		t.Errorf("halves in two folders: found in %q, passed over %q", found.Dir, found.Passed)
	}
}

func TestRuleFolders(t *testing.T) {
	needLinux(t)
	root, bin := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	site := "/lib/python3.12/site-packages"
	for _, d := range []string{"cache/nvidia-cublas-1", "venv" + site + "/nvidia/cu13/lib", "conda" + site, "ort" + site + "/onnxruntime/capi", "ort" + site + "/nvidia/cudnn/lib",
		"python/x-packages/nvidia/cu13/lib", "local/cuda-9.2", "local/cuda-13.0"} {
		if err := os.MkdirAll(at(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("LD_LIBRARY_PATH", at("x")+":"+at("y"))
	t.Setenv("VIRTUAL_ENV", at("venv"))
	t.Setenv("CONDA_PREFIX", at("conda"))
	t.Setenv("PATH", bin)
	write(t, filepath.Join(bin, "python3"), []byte("#!/bin/sh\necho "+at("python/x-packages")+"\n"))
	got := map[string]string{}
	var order []string
	for _, r := range cudaRules(at("cache"), at("ort"+site+"/onnxruntime/capi/provider.so")) {
		order = append(order, r.from)
		got[r.from] = strings.ReplaceAll(fmt.Sprint(r.dirs()), root, "")
	}
	if want := []string{FromInstall, FromPath, FromBeside, FromVenv, FromConda, FromSystem, FromToolkit, FromPython}; !slices.Equal(order, want) {
		t.Errorf("the order is %q, want %q", order, want)
	}
	for from, want := range map[string]string{
		FromInstall: "[/cache/nvidia-cublas-1]",
		FromPath:    "[/x /y]",
		FromBeside:  "[/ort" + site + "/onnxruntime/capi /ort" + site + "/nvidia/cudnn/lib /ort" + site + "/torch/lib]",
		FromVenv:    "[/venv" + site + "/nvidia/cu13/lib /venv" + site + "/torch/lib /venv/lib]",
		FromConda:   "[/conda" + site + "/torch/lib /conda/lib]",
		FromPython:  "[/python/x-packages/nvidia/cu13/lib /python/x-packages/torch/lib]",
	} {
		if got[from] != want {
			t.Errorf("%s: got %s, want %s", from, got[from], want)
		}
	}
	if !strings.Contains(got[FromSystem], "/usr/lib") || strings.Contains(got[FromSystem], "/x ") {
		t.Errorf("the loader's folders are %s", got[FromSystem])
	}
	if got := strings.ReplaceAll(fmt.Sprint(toolkits(at("local"))), root, ""); !strings.HasPrefix(got, "[/local/cuda-13.0/lib64 /local/cuda-13.0/targets/x86_64-linux/lib /local/cuda-9.2/lib64") {
		t.Errorf("toolkits, the newest first: %s", got)
	}
}

// A Python that hangs or fails costs little and finds nothing.
func TestPythonFails(t *testing.T) {
	needLinux(t)
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if got := pythonPath(); got != nil {
		t.Errorf("without a Python: %q", got)
	}
	write(t, filepath.Join(bin, "python3"), []byte("#!/bin/sh\nexit 127\n"))
	write(t, filepath.Join(bin, "python"), []byte("#!/bin/sh\necho /a\n"))
	if got := pythonPath(); fmt.Sprint(got) != "[/a]" {
		t.Errorf("with one that fails first: %q", got)
	}
	old := pythonTime
	defer func() { pythonTime = old }()
	pythonTime = 100 * time.Millisecond
	for _, name := range []string{"python3", "python"} {
		write(t, filepath.Join(bin, name), []byte("#!/bin/sh\nexec /bin/sleep 20\n"))
	}
	if got := pythonPath(); got != nil {
		t.Errorf("with one that hangs: %q", got)
	}
}

func TestUnfitParts(t *testing.T) {
	needLinux(t)
	cublas, cudnn, nvrtc := part(t, "cuBLAS"), part(t, "cuDNN"), part(t, "NVRTC")
	for _, c := range []struct {
		name string
		part Part
		make func(dir string)
		want string // in what is said; "" when nothing is
	}{
		{"nothing", cublas, func(dir string) {}, ""},
		{"another release", cublas, func(dir string) { elftest.Library(t, dir, "libcublasLt.so.12") }, "libcublasLt.so.12 is another release than libcublasLt.so.13"},
		{"another name inside", cublas, func(dir string) {
			fill(t, dir, cublas)
			write(t, filepath.Join(dir, "libcublas.so.13"), elftest.ELF("libcublas.so.12"))
		}, "calls itself libcublas.so.12"},
		{"no library", cublas, func(dir string) {
			fill(t, dir, cublas)
			write(t, filepath.Join(dir, "libcublas.so.13"), []byte("text"))
		}, "not a shared library"},
		{"another processor", cublas, func(dir string) {
			fill(t, dir, cublas)
			b := elftest.ELF("libcublas.so.13")
			binary.LittleEndian.PutUint16(b[18:], uint16(elf.EM_S390))
			write(t, filepath.Join(dir, "libcublas.so.13"), b)
		}, "is built for EM_S390"},
		{"cut short", cublas, func(dir string) {
			fill(t, dir, cublas)
			write(t, filepath.Join(dir, "libcublas.so.13"), elftest.ELF("libcublas.so.13")[:100])
		}, "not a shared library"},
		{"without its engines", cudnn, func(dir string) {
			fill(t, dir, cudnn)
			os.Remove(filepath.Join(dir, "libcudnn_engines_precompiled.so.9"))
		}, "has no libcudnn_engines_precompiled.so.9 beside it"},
		{"builtins of another release", nvrtc, func(dir string) {
			fill(t, dir, nvrtc)
			os.Rename(filepath.Join(dir, "libnvrtc-builtins.so.13.0"), filepath.Join(dir, "libnvrtc-builtins.so.12.0"))
		}, "has no libnvrtc-builtins.so.13.* beside it"},
	} {
		dir := t.TempDir()
		c.make(dir)
		found := findParts([]Part{c.part}, []rule{{"rule", func() []string { return []string{dir} }}})[0]
		if said := strings.Join(found.Passed, "; "); !found.Missing() || (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: found in %q, said %q, want %q", c.name, found.Dir, said, c.want)
		}
		if got := Lacking([]Found{found}); !strings.Contains(got, c.part.Libs[0]) || !strings.Contains(got, c.want) {
			t.Errorf("%s: lacking says %q", c.name, got)
		}
	}
}

// cuDNN for CUDA 12 and for 13 have one soname; their packages differ.
func TestPackagesOfPython(t *testing.T) {
	needLinux(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("nothing is pinned for", runtime.GOARCH)
	}
	p := part(t, "cuDNN")
	for dist, want := range map[string]string{
		"nvidia_cudnn_cu13-9.1.2.dist-info": "9.1.2 <nil>", "nvidia_cudnn_cu12-9.1.2.dist-info": "is of the package nvidia_cudnn_cu12, for another CUDA", "": " <nil>",
	} {
		site := t.TempDir()
		dir := filepath.Join(site, "nvidia", "cudnn", "lib")
		fill(t, dir, p)
		os.Mkdir(filepath.Join(site, dist), 0o700)
		version, err := p.fits(dir, FromVenv)
		if got := fmt.Sprint(version, " ", err); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", dist, got, want)
		}
	}
	// Elsewhere the file that the soname links to tells.
	dir := t.TempDir()
	fill(t, dir, p)
	os.Rename(filepath.Join(dir, p.Libs[0]), filepath.Join(dir, "libcudnn.so.9.13.1"))
	os.Symlink("libcudnn.so.9.13.1", filepath.Join(dir, p.Libs[0]))
	if version, err := p.fits(dir, FromSystem); version != "9.13.1" || err != nil {
		t.Errorf("by its name: %q, %v", version, err)
	}
}

// What the found libraries link to is looked for in turn, and loaded first; one
// that links back does not go on for ever.
func TestLinkedInTurn(t *testing.T) {
	needLinux(t)
	a, b := t.TempDir(), t.TempDir()
	elftest.Library(t, a, "libcudart.so.13", "libcusparse.so.12", "libc.so.6", "libnvbeside.so.1", DriverLibrary)
	elftest.Library(t, a, "libnvbeside.so.1")
	elftest.Library(t, b, "libcusparse.so.12", "libnvJitLink.so.13")
	elftest.Library(t, b, "libnvJitLink.so.13", "libcusparse.so.12", "libcudart.so.13", "libcuabsent.so.1")
	os.Rename(filepath.Join(b, "libnvJitLink.so.13"), filepath.Join(a, "libnvJitLink.so.13"))
	found := findParts([]Part{part(t, "CUDA runtime")}, []rule{{"rule", func() []string { return []string{a, b} }}})
	var got []string
	for _, p := range found {
		got = append(got, p.Libs[0])
	}
	want := []string{"libcuabsent.so.1", "libnvJitLink.so.13", "libcusparse.so.12", "libcudart.so.13"}
	if !slices.Equal(got, want) || !found[0].Missing() || found[1].Missing() {
		t.Errorf("got %q, want %q, the first missing", got, want)
	}
	if s := PartsRemedy(found, 13); !strings.Contains(s, "no package is pinned") || !strings.Contains(s, "CUDA 13") {
		t.Errorf("the remedy %q", s)
	}
}
