package install

import (
	"cmp"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// EnvLibrary names the environment variable that holds the path of the ONNX
// Runtime library to use.
const EnvLibrary = "ONNXPROBE_ORT_LIBRARY"

// MinMinor is the oldest 1.x release of ONNX Runtime that speaks the C interface which
// package ort asks for.
const MinMinor = 29

// Where a candidate was found, in the order they are tried: FromProgram and FromVenv come
// before FromSystem.
const (
	FromFlag    = "asked for"
	FromEnv     = EnvLibrary
	FromInstall = "onnxprobe runtime install"
	FromSystem  = "system"
)

// Candidate is one ONNX Runtime library on this machine.
type Candidate struct {
	Path    string // as found; links are not followed
	Version string // "" when the file does not say
	From    string // one of the From constants
	CUDA    bool   // the CUDA provider lies beside it
	// Fault is nil when the library can be used, else why not.
	Fault error
}

// Find lists the libraries in the order they are tried, without loading any. One that was
// asked for, by library or EnvLibrary, is the only one. Candidate.Check, which takes longer,
// goes before a library is loaded.
func Find(library string) []Candidate {
	if library != "" {
		return []Candidate{inspect(library, FromFlag)}
	}
	if env := os.Getenv(EnvLibrary); env != "" {
		return []Candidate{inspect(env, FromEnv)}
	}
	var out []Candidate
	seen := map[string]bool{}
	add := func(path, from string) {
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			return
		}
		seen[real] = true
		out = append(out, inspect(path, from))
	}
	if root, err := cacheRoot(); err == nil {
		for _, cuda := range []bool{true, false} {
			if p := LibraryPath(root, cuda); exists(p) {
				add(p, FromInstall)
			}
		}
	}
	for _, at := range pythonPlaces() {
		for _, p := range librariesIn(at.dir) {
			add(p, at.from)
		}
	}
	for _, dir := range systemDirs() {
		for _, p := range librariesIn(dir) {
			add(p, FromSystem)
		}
	}
	return out
}

// librariesIn lists the ONNX Runtime libraries of one folder, the newest name
// first.
func librariesIn(dir string) []string {
	pattern := "libonnxruntime.so*"
	switch runtime.GOOS {
	case "windows":
		pattern = "onnxruntime.dll"
	case "darwin":
		pattern = "libonnxruntime*.dylib"
	}
	found := glob(dir, pattern)
	slices.SortFunc(found, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	return found
}

var digits = regexp.MustCompile(`[0-9]+`)

func numbers(path string) []int {
	var out []int
	for _, d := range digits.FindAllString(filepath.Base(path), -1) {
		n, _ := strconv.Atoi(d)
		out = append(out, n)
	}
	return out
}

// systemDirs is where this system keeps libraries, what its loader is told
// first.
func systemDirs() []string {
	var dirs []string
	switch runtime.GOOS {
	case "windows":
		dirs = filepath.SplitList(os.Getenv("PATH"))
	case "darwin":
		dirs = append(filepath.SplitList(os.Getenv("DYLD_LIBRARY_PATH")), "/usr/local/lib", "/opt/homebrew/lib", "/opt/onnxruntime/lib")
	default:
		dirs = append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), "/opt/onnxruntime/lib")
		dirs = append(dirs, loaderDirs()...)
	}
	var out []string
	for _, d := range dirs {
		if filepath.IsAbs(d) && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// loaderDirs is where Linux's loader looks when nothing tells it otherwise.
func loaderDirs() []string {
	dirs := append([]string{"/usr/local/lib"}, ldconfDirs("/etc/ld.so.conf", 0)...)
	return append(dirs, "/usr/lib64", "/lib64", "/usr/lib", "/lib")
}

// ldconfDirs reads the folders that ldconfig caches.
func ldconfDirs(path string, depth int) []string {
	text, err := os.ReadFile(path)
	if err != nil || depth > 4 {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include "); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			for _, f := range glob(pattern) {
				out = append(out, ldconfDirs(f, depth+1)...)
			}
		} else if line != "" {
			out = append(out, line)
		}
	}
	return out
}

// inspect says what can be known of a library without loading it.
func inspect(path, from string) Candidate {
	c := Candidate{Path: path, From: from}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.Fault = err
		return c
	case !info.Mode().IsRegular():
		c.Fault = fmt.Errorf("%s is not a file; name the library itself, such as %s", path, filepath.Join(path, libraryName()))
		return c
	}
	c.CUDA = exists(CUDAProvider(path))
	if c.Version, c.Fault = fileVersion(path); c.Fault == nil && c.Version != "" {
		c.Fault = cmp.Or(c.pinned(), CheckVersion(c.Version))
	}
	return c
}

// CUDAProvider is where the CUDA half of the library at path would be.
func CUDAProvider(path string) string {
	name := "libonnxruntime_providers_cuda.so"
	if runtime.GOOS == "windows" {
		name = "onnxruntime_providers_cuda.dll"
	}
	return filepath.Join(filepath.Dir(realPath(path)), name)
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// fileVersion reads the release out of the file: from the symbol version
// VERS_1.30.0 in an ELF library, elsewhere from the file's name; "" when neither
// tells. A library for another processor is an error.
func fileVersion(path string) (string, error) {
	if runtime.GOOS == "linux" {
		f, err := openLibrary(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		versions, _ := f.DynamicVersions()
		for _, v := range versions {
			if s, ok := strings.CutPrefix(v.Name, "VERS_"); ok {
				return s, nil
			}
		}
	}
	return versionInName.FindString(filepath.Base(realPath(path))), nil
}

// openLibrary opens a shared library for this processor.
func openLibrary(path string) (*elf.File, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a shared library: %w", path, err)
	}
	if want, ok := machines[runtime.GOARCH]; ok && f.Machine != want {
		f.Close()
		return nil, fmt.Errorf("%s is built for %v, this program for %v", path, f.Machine, want)
	}
	return f, nil
}

// realPath is a path without links, as it is where that cannot be told.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

var versionInName = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`)

// CheckVersion is nil when a release can be used.
func CheckVersion(version string) error {
	if parts := strings.Split(version, "."); len(parts) >= 2 {
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		switch {
		case err1 != nil || err2 != nil || major != 1:
		case minor >= MinMinor:
			return nil
		default:
			return fmt.Errorf("it is ONNX Runtime %s, too old: this program needs 1.%d or newer", version, MinMinor)
		}
	}
	return fmt.Errorf("it says it is ONNX Runtime %q; this program needs 1.%d or newer", version, MinMinor)
}
