package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

const sumsFile = "SHA256SUMS"

// target is a program that is built: for a system, with ONNX Runtime's engine or in pure Go.
type target struct {
	goos, goarch string
	cgo          bool
}

// static are the systems of the pure-Go program.
var static = []target{
	{"linux", "amd64", false}, {"linux", "arm64", false},
	{"darwin", "amd64", false}, {"darwin", "arm64", false},
	{"windows", "amd64", false}, {"windows", "arm64", false},
}

func (t target) String() string {
	if t.cgo {
		return t.goos + "/" + t.goarch + " with ONNX Runtime's engine"
	}
	return t.goos + "/" + t.goarch + " in pure Go"
}

// here says whether this system runs it.
func (t target) here() bool { return t.goos == runtime.GOOS && t.goarch == runtime.GOARCH }

// file is the program's name in a release of a version.
func (t target) file(version string) string {
	name := "onnxprobe-" + version + "-" + t.goos + "-" + t.goarch
	if t.cgo {
		name += "-onnxruntime"
	}
	return name + t.exe()
}

func (t target) exe() string {
	if t.goos == "windows" {
		return ".exe"
	}
	return ""
}

// environment is what decides the bytes of a build: nothing of it is the caller's.
func (t target) environment(cc string) []string {
	env := []string{"GOOS=" + t.goos, "GOARCH=" + t.goarch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off", "CGO_ENABLED=0"}
	if t.cgo {
		env = append(env[:len(env)-1], "CGO_ENABLED=1", "CGO_CFLAGS=-O2 -g", "CGO_CPPFLAGS=", "CGO_LDFLAGS=-O2 -g")
		if cc != "" {
			env = append(env, "CC="+cc)
		}
	}
	return env
}

// release is one in the making.
type release struct {
	tree string // the clone that is built
	dir  string // where the release goes
	cc   string
	log  io.Writer

	stage    string // the folder in dir that is written into until all is there
	version  string
	licenses []byte
	made     []file
}

// file is one of a release, with what it is and how far it was tried.
type file struct {
	name, what, tried string
	size              int
}

// all makes the release beside an earlier one in its folder, and replaces that one once the
// new one is whole.
func (r *release) all(ctx context.Context) error {
	if _, err := earlier(r.dir, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	var err error
	if r.stage, err = os.MkdirTemp(r.dir, hidden+"*"); err != nil {
		return err
	}
	defer os.RemoveAll(r.stage)
	if err := r.files(ctx); err != nil {
		return err
	}
	if err := replace(r.dir, r.stage); err != nil {
		return err
	}
	for _, f := range r.made {
		fmt.Fprintf(r.log, "%12d bytes  %s\n", f.size, filepath.Join(r.dir, f.name))
	}
	return nil
}

// files writes the files of the release.
func (r *release) files(ctx context.Context) error {
	if r.cc == "" {
		r.cc = zig(ctx)
	}
	work, err := os.MkdirTemp("", "onnxprobe-release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// With cgo first: what may be wrong with the compiler is said before minutes have gone.
	own := target{runtime.GOOS, runtime.GOARCH, true}
	for _, t := range append([]target{own}, static...) {
		path := filepath.Join(work, "onnxprobe"+t.exe())
		if err := r.build(ctx, t, path); err != nil {
			return err
		}
		if r.licenses == nil {
			if r.licenses, err = licenses(ctx, r.tree); err != nil {
				return err
			}
		}
		if err := r.keep(ctx, t, path); err != nil {
			return err
		}
	}
	if err := r.write("onnxprobe-"+r.version+"-licenses.txt", r.licenses, file{what: "the licenses of what the programs hold"}); err != nil {
		return err
	}
	if err := r.write("README.txt", r.readme(), file{what: "what each file is"}); err != nil {
		return err
	}
	return r.sums()
}

// zig is the zig compiler on PATH, by itself or as Python's package ziglang, for the oldest
// C library that wheels promise; "" where there is none.
func zig(ctx context.Context) string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || arch == "" {
		return ""
	}
	for _, c := range []string{"zig", "python3 -m ziglang"} {
		words := strings.Fields(c)
		if exec.CommandContext(ctx, words[0], append(words[1:], "version")...).Run() == nil {
			return fmt.Sprintf("%s cc -target %s-linux-gnu.%s", c, arch, newestGlibc)
		}
	}
	return ""
}

// build compiles one program and sees that it says which commit it is of.
func (r *release) build(ctx context.Context, t target, path string) error {
	fmt.Fprintln(r.log, "building for", t)
	args := []string{"build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w -buildid=", "-o", path, "./cmd/onnxprobe"}
	if _, err := output(ctx, r.tree, t.environment(r.cc), "go", args...); err != nil {
		return fmt.Errorf("building for %s: %w", t, err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading what was built for %s: %w", t, err)
	}
	v := result.VersionOf(info)
	switch {
	case v == "devel" || strings.HasSuffix(v, "+dirty"):
		return fmt.Errorf("the program for %s says it is %s, want a tag or a commit", t, v)
	case r.version == "":
		r.version = v
	case v != r.version:
		return fmt.Errorf("the program for %s says it is %s, the one before it %s", t, v, r.version)
	}
	if !t.here() {
		return nil
	}
	said, err := output(ctx, ".", nil, path, "--version")
	if said = strings.TrimSpace(said); err == nil && said != "onnxprobe version "+r.version {
		err = fmt.Errorf("it says %q, want %q", said, "onnxprobe version "+r.version)
	}
	if err != nil {
		return fmt.Errorf("trying the program for %s: %w", t, err)
	}
	return nil
}

// keep writes a program into the release, and the wheel that carries it.
func (r *release) keep(ctx context.Context, t target, path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tried := "built, not tried on its system"
	if t.here() {
		tried = "tried here: it says its version"
	}
	if err := r.write(t.file(r.version), program, file{what: "the program for " + t.String(), tried: tried}); err != nil {
		return err
	}
	tag, err := t.platform(path)
	if err != nil || tag == "" {
		return err
	}
	w := wheel{version: pythonVersion(r.version), tag: "py3-none-" + tag, program: program, name: "onnxprobe" + t.exe(), cgo: t.cgo, licenses: r.licenses}
	if w.license, err = os.ReadFile(filepath.Join(r.tree, "LICENSE")); err != nil {
		return err
	}
	b, err := w.bytes()
	if err != nil {
		return err
	}
	return r.write(w.file(), b, file{what: "the Python wheel of the program for " + t.String(), tried: "built, not installed"})
}

func (r *release) write(name string, content []byte, f file) error {
	mode := os.FileMode(0o644)
	if strings.HasPrefix(f.what, "the program") {
		mode = 0o755
	}
	f.name, f.size = name, len(content)
	r.made = append(r.made, f)
	return os.WriteFile(filepath.Join(r.stage, name), content, mode)
}

// readme says what each file is, and what nobody has tried.
func (r *release) readme() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "onnxprobe %s, built by %s on %s/%s.\n\nThe pure-Go programs need no library; the one for %s/%s with ONNX Runtime's engine needs\n"+
		"ONNX Runtime, which \"onnxprobe runtime install\" gets. sha256sum -c %s checks the files.\n\n",
		r.version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOOS, runtime.GOARCH, sumsFile)
	for _, f := range r.made {
		fmt.Fprintf(&b, "%s\n    %s", f.name, f.what)
		if f.tried != "" {
			fmt.Fprintf(&b, " (%s)", f.tried)
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}

// sums writes the checksums as sha256sum does.
func (r *release) sums() error {
	var lines []string
	for _, f := range r.made {
		content, err := os.ReadFile(filepath.Join(r.stage, f.name))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(content), f.name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return os.WriteFile(filepath.Join(r.stage, sumsFile), []byte(strings.Join(lines, "")), 0o644)
}
