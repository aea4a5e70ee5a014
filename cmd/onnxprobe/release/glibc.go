package main

import (
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The C libraries that a wheel's tag may promise: pip knows none before oldestGlibc by this
// name, and ONNX Runtime's own wheels need newestGlibc.
const (
	oldestGlibc = "2.17"
	newestGlibc = "2.28"
)

// manylinux are the libraries that each Linux of a manylinux tag has, of those that come
// with the C library.
var manylinux = []string{
	"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}

// platform is the part of a wheel's tag that says where the program at path runs; "" where
// no wheel is made of it.
func (t target) platform(path string) (string, error) {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[t.goarch]
	switch t.goos {
	case "linux":
		return linuxPlatform(path, t, arch)
	case "darwin": // Go 1.26's programs need macOS 12
		return "macosx_12_0_" + map[string]string{"amd64": "x86_64", "arm64": "arm64"}[t.goarch], nil
	case "windows":
		return "win_" + t.goarch, nil
	}
	return "", nil
}

// linuxPlatform reads what a program needs of Linux out of it.
func linuxPlatform(path string, t target, arch string) (string, error) {
	glibc, err := neededGlibc(path)
	if err != nil {
		return "", fmt.Errorf("reading what the program for %s needs: %w", t, err)
	}
	switch {
	case glibc == "" && t.cgo:
		return "", fmt.Errorf("the program for %s links to no C library, so that it cannot load ONNX Runtime", t)
	case glibc == "" && t.here():
		// Where the C library is glibc the wheel with ONNX Runtime's engine goes.
		return "musllinux_1_1_" + arch, nil
	case glibc == "":
		return tagOf(oldestGlibc, arch) + ".musllinux_1_1_" + arch, nil
	case newer(glibc, newestGlibc):
		return "", fmt.Errorf("the program for %s needs glibc %s, and its wheel may need %s at most: give a C compiler for that by -cc, "+
			"such as \"zig cc -target %s-linux-gnu.%s\" (python3 -m pip install ziglang, and the same as \"python3 -m ziglang cc ...\")",
			t, glibc, newestGlibc, arch, newestGlibc)
	}
	return tagOf(glibc, arch), nil
}

// tagOf is the tag of programs that need a glibc.
func tagOf(glibc, arch string) string {
	if newer(oldestGlibc, glibc) {
		glibc = oldestGlibc
	}
	return "manylinux_" + strings.ReplaceAll(glibc, ".", "_") + "_" + arch
}

// neededGlibc is the oldest glibc that has every symbol, in the version of it, that the ELF
// program at path asks the C library for; "" for a program that links to nothing. A
// library that not every Linux has is an error.
func neededGlibc(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("%s is no ELF file: %w", path, err)
	}
	libraries, err := e.ImportedLibraries()
	if err != nil {
		return "", err
	}
	for _, l := range libraries {
		if !slices.Contains(manylinux, l) {
			return "", fmt.Errorf("it links to %s; a wheel may link to these alone: %s", l, strings.Join(manylinux, ", "))
		}
	}
	if len(libraries) == 0 {
		return "", nil
	}
	needs, err := e.DynamicVersionNeeds()
	if err != nil {
		return "", err
	}
	most := "2.0"
	for _, n := range needs {
		for _, d := range n.Needs {
			v, ok := strings.CutPrefix(d.Dep, "GLIBC_")
			if !ok || numbers(v) == nil {
				return "", fmt.Errorf("it asks %s for %s, which is no release of glibc", n.Name, d.Dep)
			}
			if newer(v, most) {
				most = v
			}
		}
	}
	return most, nil
}

// newer says whether release a comes after b, by their numbers.
func newer(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) > 0 }

// numbers are those of a release such as 2.3.2; nil where it is none.
func numbers(release string) []int {
	var out []int
	for _, part := range strings.Split(release, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}
