//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/internal/elftest"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// fakeDriver compiles a driver that starts with status and shows GPUs.
func fakeDriver(t *testing.T, status, cuda, gpus int) string {
	t.Helper()
	onLinux(t)
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "libcuda.so.580.1.2"), fmt.Sprintf(`
int cuInit(unsigned f) { return %d; }
int cuDriverGetVersion(int *v) { *v = %d; return 0; }
int cuDeviceGetCount(int *n) { *n = %d; return 0; }
int cuDeviceGet(int *d, int i) { *d = 7 + i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { s[0] = 'G'; s[1] = '0' + d; s[2] = 0; return 0; }
int cuDeviceTotalMem_v2(unsigned long *m, int d) { *m = 80000000000; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a - 70; return 0; }
int cuGetErrorString(int e, const char **s) { *s = "the reason"; return 0; }
`, status, cuda, gpus), "")
	if err := os.Symlink("libcuda.so.580.1.2", filepath.Join(dir, install.DriverLibrary)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inChild runs the body of the calling test in a fresh process, in which nothing is
// loaded yet, and returns what body printed; in that process it does not return.
func inChild(t *testing.T, body func(), env ...string) string {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	if os.Getenv("ORT_TEST_BODY") == name {
		body()
		os.Exit(0)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+name+"$")
	c.Env = append(append(os.Environ(), "ORT_TEST_BODY="+name), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CUDA's libraries are looked for on Linux")
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDriver(t *testing.T) {
	body := func() {
		d, err := askDriver(13)
		fmt.Printf("%s %d %v %v\n", d.version, d.cuda, d.gpus, err)
	}
	if os.Getenv("ORT_TEST_BODY") == "TestDriver" {
		inChild(t, body)
	}
	for _, c := range []struct {
		status, cuda, gpus int
		env                string
		want               []string
	}{
		{0, 13000, 2, "", []string{`580.1.2 13000 [{G7 80000000000 5.6} {G8 80000000000 5.6}] <nil>`}},
		{0, 12040, 1, "", []string{"driver 580.1.2 runs CUDA up to 12.4", "for CUDA 13: it needs driver 580 or newer"}},
		{100, 13000, 0, "", []string{"NVIDIA's driver sees no GPU\n"}},
		{100, 13000, 0, "CUDA_VISIBLE_DEVICES=", []string{`sees no GPU with CUDA_VISIBLE_DEVICES=""`}},
		{0, 13000, 0, "CUDA_VISIBLE_DEVICES=9", []string{`sees no GPU with CUDA_VISIBLE_DEVICES="9"`}},
		{34, 13000, 0, "", []string{"is a stub to link with"}},
		{803, 13000, 0, "", []string{"does not start: error 803, the reason"}},
	} {
		env := []string{"LD_LIBRARY_PATH=" + fakeDriver(t, c.status, c.cuda, c.gpus)}
		if c.env != "" {
			env = append(env, c.env)
		}
		out := inChild(t, body, env...)
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("status %d, CUDA %d, %d GPUs: %q does not say %q", c.status, c.cuda, c.gpus, out, w)
			}
		}
	}
	other := t.TempDir()
	compile(t, filepath.Join(other, install.DriverLibrary), "int f(void) { return 1; }", "")
	if out := inChild(t, body, "LD_LIBRARY_PATH="+other); !strings.Contains(out, "it is not a CUDA driver") {
		t.Errorf("another library of that name: %q", out)
	}
}

// Without a driver the message is about the driver, and the libraries, which are
// GBs, are not even looked for.
func TestCUDAWithoutDriver(t *testing.T) {
	onLinux(t)
	enginetest.Need(t, Backend{}, engine.Options{})
	if d, _ := askDriver(0); d.path != "" {
		t.Skip("there is a driver:", d.path)
	}
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	writeFile(t, filepath.Join(bin, "python3"), []byte("#!/bin/sh\ntouch "+bin+"/asked\n"))
	err := Backend{}.Available(engine.Options{Device: engine.Device{Kind: "cuda"}})
	for _, want := range []string{"there is no NVIDIA driver: libcuda.so.1 is not found", "take the device cpu", "the list of pieces"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if u := new(engine.UnavailableError); !errors.As(err, &u) || u.Remedy == "" {
		t.Errorf("got %v, want an UnavailableError with a remedy", err)
	}
	if _, err := os.Stat(filepath.Join(bin, "asked")); err == nil {
		t.Error("a Python was asked for libraries")
	}
}

// Libraries that the loader does not know are found by name once they were
// preloaded, those that others need first.
func TestPreload(t *testing.T) {
	onLinux(t)
	body := func() {
		dir := os.Getenv("ORT_TEST_DIR")
		fmt.Println("before:", dlopen("libcua.so.1") != nil)
		one := func(name, lib string) install.Found {
			return install.Found{Part: install.Part{Name: name, Libs: []string{lib}}, Dir: dir, From: "the rule"}
		}
		absent := install.Found{Part: install.Part{Name: "c", Libs: []string{"libcuc.so.1"}, Optional: "x"}}
		fmt.Println("preload:", preload([]install.Found{one("b", "libcub.so.1"), absent, one("a", "libcua.so.1"), one("cuDNN", "libcudnn.so.9")}, 13))
		fmt.Println("after:", dlopen("libcua.so.1"), dlopen("libcub.so.1"))
		fmt.Println("other:", preload([]install.Found{one("cuDNN", "libcudnn.so.9")}, 12))
		fmt.Println("broken:", preload([]install.Found{one("broken", "libcubroken.so.1")}, 13))
	}
	if os.Getenv("ORT_TEST_BODY") == "TestPreload" {
		inChild(t, body)
	}
	dir := t.TempDir()
	named := func(soname, code string, more ...string) {
		t.Helper()
		compile(t, filepath.Join(dir, soname), code, "")
		args := append([]string{"-shared", "-fPIC", "-Wl,-soname," + soname, "-o", filepath.Join(dir, soname), "-x", "c", "-"}, more...)
		c := exec.Command("cc", args...)
		c.Stdin = strings.NewReader(code)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	named("libcub.so.1", "int b(void) { return 1; }")
	named("libcua.so.1", "int b(void); int a(void) { return b(); }", "-x", "none", filepath.Join(dir, "libcub.so.1"))
	named("libcudnn.so.9", "unsigned long cudnnGetCudartVersion(void) { return 13000; }")
	named("libcubroken.so.1", "int nowhere(void); int f(void) { return nowhere(); }")
	out := inChild(t, body, "ORT_TEST_DIR="+dir)
	for _, w := range []string{"before: true", "preload: <nil>", "after: <nil> <nil>", "is for CUDA 13, the CUDA provider for 12", "(the rule) does not load", "nowhere", "install the parts of CUDA that go before it"} {
		if !strings.Contains(out, w) {
			t.Errorf("%s\ndoes not say %q", out, w)
		}
	}
}

func TestInventory(t *testing.T) {
	onLinux(t)
	body := func() {
		pieces := Inventory()
		for _, p := range pieces {
			fmt.Printf("%s %s|%s|%s|%t|%s\n", p.Name, p.Soname, p.From, p.Path, p.Usable, p.Why)
		}
		for _, d := range []engine.Device{{Kind: "cpu"}, {Kind: "cuda"}, {Kind: "cuda", Index: 1}} {
			fmt.Printf("%s: %v\n", d, Check(pieces, d))
		}
	}
	if os.Getenv("ORT_TEST_BODY") == "TestInventory" {
		inChild(t, body)
	}
	enginetest.Need(t, Backend{}, engine.Options{})
	library1, err := filepath.EvalSymlinks(libraryInUse())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, cache := filepath.Join(dir, "own"), filepath.Join(dir, "cache")
	ort := filepath.Join(dir, "libonnxruntime.so.1.30.0")
	b, err := os.ReadFile(library1)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, ort, b)
	elftest.Library(t, dir, "libonnxruntime_providers_cuda.so", "libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10", install.DriverLibrary)
	parts, _, err := install.FindCUDA("") // the pinned ones
	if err != nil {
		t.Fatal(err)
	}
	fill := func(parts ...install.Found) {
		for _, p := range parts {
			for _, l := range append(slices.Clone(p.Libs), p.Beside...) {
				elftest.Library(t, own, strings.ReplaceAll(l, "*", "0"))
			}
		}
	}
	fill(parts[0], parts[1], parts[2], parts[3])
	env := func(driver string) []string {
		return []string{install.EnvLibrary + "=" + ort, "XDG_CACHE_HOME=" + cache, "LD_LIBRARY_PATH=" + driver + ":" + own, "VIRTUAL_ENV=", "CONDA_PREFIX=", "PATH=" + dir}
	}
	expect := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s\ndoes not say %q", out, w)
			}
		}
	}
	driver := fakeDriver(t, 0, 13000, 1)
	expect(inChild(t, body, env(driver)...),
		"ONNX Runtime |"+install.EnvLibrary+"|"+ort+"|true|", "CUDA provider |"+install.EnvLibrary+"|"+dir+"/libonnxruntime_providers_cuda.so|true|",
		"cuBLAS libcublas.so.13|LD_LIBRARY_PATH|"+own+"/libcublas.so.13|true|", "cuFFT libcufft.so.12|||false|not found; only the operators Rfft and Irfft need it",
		"cuDNN libcudnn.so.9|||false|not found", "NVIDIA driver libcuda.so.1|system|"+driver, "cuda:0 |driver|G7, 80.0 GB|true|",
		"cpu: <nil>", "cuda:0: backend ort is not available: the device cuda:0 lacks libcudnn.so.9 (not found); install the build for CUDA")
	fill(parts[5])
	expect(inChild(t, body, env(driver)...), "cuda:0: <nil>", "cuda:1: backend ort is not available: the device cuda:1 lacks GPU 1 (the driver shows 1, counted from 0)")
	expect(inChild(t, body, env(fakeDriver(t, 100, 13000, 0))...), "cuda:0: backend ort is not available: the device cuda:0 lacks libcuda.so.1 (NVIDIA's driver sees no GPU); runs on CUDA need")
	os.Remove(filepath.Join(dir, "libonnxruntime_providers_cuda.so"))
	expect(inChild(t, body, env(driver)...), "CUDA provider |||false|the first usable ONNX Runtime, "+ort+", is a build without CUDA", "lacks CUDA provider (")
	os.Remove(ort)
	expect(inChild(t, body, env(driver)...), "cpu: backend ort is not available: the device cpu lacks ONNX Runtime (")
}
