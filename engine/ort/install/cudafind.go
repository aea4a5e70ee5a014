package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Where CUDA's libraries are looked for, in this order. What Install put there
// goes first, so that installing all of them mends a machine whose own
// libraries do not work.
const (
	FromPath    = "LD_LIBRARY_PATH"
	FromBeside  = "beside ONNX Runtime"
	FromVenv    = "VIRTUAL_ENV"
	FromConda   = "CONDA_PREFIX"
	FromToolkit = "/usr/local/cuda"
	FromPython  = "python on PATH"
)

// rule is one way to come by folders. Rules are asked one after the other, until
// every part is found: the last one starts a process.
type rule struct {
	from string
	dirs func() []string
}

// cudaRules are the rules for an install under root and a CUDA provider at
// provider, which may be "".
func cudaRules(root, provider string) []rule {
	return []rule{
		{FromInstall, func() []string { return glob(root, "nvidia-*") }},
		{FromPath, func() []string { return filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) }},
		{FromBeside, func() []string {
			if provider == "" {
				return nil
			}
			dir := filepath.Dir(provider)
			return append([]string{dir}, sitePackages(filepath.Join(dir, "..", ".."))...)
		}},
		{FromVenv, func() []string { return environment(os.Getenv("VIRTUAL_ENV")) }},
		{FromConda, func() []string { return environment(os.Getenv("CONDA_PREFIX")) }},
		{FromSystem, loaderDirs},
		{FromToolkit, func() []string { return toolkits("/usr/local") }},
		{FromPython, func() []string {
			var out []string
			for _, site := range pythonPath() {
				out = append(out, sitePackages(site)...)
			}
			return out
		}},
	}
}

func glob(parts ...string) []string {
	found, _ := filepath.Glob(filepath.Join(parts...))
	return found
}

// sitePackages lists the folders below one site-packages in which PyTorch and
// NVIDIA's packages keep libraries.
func sitePackages(site string) []string {
	return append(glob(site, "nvidia", "*", "lib"), filepath.Join(site, "torch", "lib"))
}

// environment lists the library folders of a Python or conda environment.
func environment(prefix string) []string {
	if prefix == "" {
		return nil
	}
	var out []string
	for _, site := range glob(prefix, "lib", "python*", "site-packages") {
		out = append(out, sitePackages(site)...)
	}
	return append(out, filepath.Join(prefix, "lib"))
}

// toolkits lists the library folders of the CUDA toolkits below dir.
func toolkits(dir string) []string {
	found := glob(dir, "cuda*")
	slices.SortFunc(found, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	var out []string
	for _, f := range found {
		out = append(out, filepath.Join(f, "lib64"), filepath.Join(f, "targets", "x86_64-linux", "lib"))
	}
	return out
}

// pythonTime is how long a Python may take to answer.
var pythonTime = 5 * time.Second

// pythonPath asks the Python on PATH for its package folders.
func pythonPath() []string {
	for _, name := range []string{"python3", "python"} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), pythonTime)
		defer cancel()
		c := exec.CommandContext(ctx, name, "-c", `import sys; print("\n".join(p for p in sys.path if p.endswith("-packages")))`)
		c.WaitDelay = time.Second
		out, err := c.Output()
		if err == nil {
			return strings.Fields(string(out))
		}
	}
	return nil
}

// Found is where a part was found or, when Dir is "", why it was not.
type Found struct {
	Part
	Dir, From, Version string
	Passed             []string // places that have something of it, and why they do not do
}

// Missing says that the part was not found.
func (p Found) Missing() bool { return p.Dir == "" }

// Paths are the libraries to load.
func (p Found) Paths() []string {
	var out []string
	for _, l := range p.Libs {
		out = append(out, filepath.Join(p.Dir, l))
	}
	return out
}

// findParts looks for each part by the rules, and for what the libraries it finds
// link to in turn. Those come first in what it returns: they are loaded first.
func findParts(parts []Part, rules []rule) []Found {
	var all []Found
	known := map[string]bool{}
	for len(parts) > 0 {
		for _, p := range parts {
			for _, l := range p.Libs {
				known[l] = true
			}
		}
		found := search(parts, rules)
		parts = linkedBy(found, known)
		all = append(found, all...) // needed later is loaded earlier
	}
	return all
}

// search looks for each part by the rules, in their order.
func search(parts []Part, rules []rule) []Found {
	found := make([]Found, len(parts))
	for i, p := range parts {
		found[i].Part = p
	}
	for _, r := range rules {
		if !slices.ContainsFunc(found, Found.Missing) {
			break
		}
		for _, dir := range r.dirs() {
			if !filepath.IsAbs(dir) {
				continue
			}
			for i := range found {
				found[i].try(dir, r.from)
			}
		}
	}
	return found
}

// try takes a part that is still missing from dir if it is there, whole and fit.
func (p *Found) try(dir, from string) {
	if !p.Missing() {
		return
	}
	version, err := p.fits(dir, from)
	switch {
	case err == nil:
		p.Dir, p.From, p.Version = dir, from, version
	case !errors.Is(err, fs.ErrNotExist):
		p.Passed = append(p.Passed, fmt.Sprintf("%v (%s)", err, from))
	}
}

// fits is nil when dir holds the whole part; fs.ErrNotExist when it holds nothing
// of it.
func (p *Part) fits(dir, from string) (version string, err error) {
	for _, l := range p.Libs {
		path := filepath.Join(dir, l)
		if !exists(path) {
			return "", p.absent(dir, l)
		}
		if name, _, err := dynamic(path); err != nil {
			return "", err
		} else if name != l {
			return "", fmt.Errorf("%s calls itself %s", path, name)
		}
	}
	for _, b := range p.Beside {
		if len(glob(dir, b)) == 0 {
			return "", fmt.Errorf("%s has no %s beside it", filepath.Join(dir, p.Libs[0]), b)
		}
	}
	if from == FromInstall {
		return p.pin.version, p.wholeIn(dir)
	}
	return p.versionIn(dir)
}

// absent says why a folder without lib does not do: other releases of it, or the
// rest of the part, may be there.
func (p *Part) absent(dir, lib string) error {
	for _, l := range p.Libs {
		if path := filepath.Join(dir, l); exists(path) {
			return fmt.Errorf("%s has no %s beside it", path, lib)
		}
		for _, other := range glob(dir, stem(l)+".so.*") {
			if soMajor(filepath.Base(other)) != soMajor(l) {
				return fmt.Errorf("%s is another release than %s", other, l)
			}
		}
	}
	return fs.ErrNotExist
}

// wholeIn is nil when dir, which an install made, has every file of the pinned
// package in its size. Their content was checked when they were put there.
func (p *Part) wholeIn(dir string) error {
	if filepath.Base(dir) != p.pin.name() {
		return fmt.Errorf("%s is not the package %s", dir, p.pin.name())
	}
	for i, m := range p.pin.members {
		info, err := os.Stat(p.pin.target(dir, i))
		if err != nil {
			return fmt.Errorf("%s is not whole: it has no %s", dir, filepath.Base(p.pin.target(dir, i)))
		}
		if info.Size() != m.size {
			return fmt.Errorf("%s is not whole: got %d bytes, want %d", p.pin.target(dir, i), info.Size(), m.size)
		}
	}
	return nil
}

// versionIn reads the release from the package that a Python keeps dir for, else
// from the name of the file that the soname links to; "" when neither tells. A
// cuDNN for another CUDA has the same soname: its package tells.
func (p *Part) versionIn(dir string) (string, error) {
	site := filepath.Join(dir, "..", "..", "..")
	if pkg := p.pin.pkg; pkg != "" && exists(filepath.Join(site, "nvidia")) {
		normal := strings.ReplaceAll(pkg, "-", "_")
		if found := glob(site, normal+"-*.dist-info"); len(found) > 0 {
			return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), normal+"-"), ".dist-info"), nil
		}
		if base, _, ok := strings.Cut(normal, "_cu13"); ok {
			if found := glob(site, base+"_cu*-*.dist-info"); len(found) > 0 {
				name, _, _ := strings.Cut(filepath.Base(found[0]), "-")
				return "", fmt.Errorf("%s is of the package %s, for another CUDA", filepath.Join(dir, p.Libs[0]), name)
			}
		}
	}
	_, version, _ := strings.Cut(filepath.Base(realPath(filepath.Join(dir, p.Libs[0]))), ".so.")
	if !strings.Contains(version, ".") {
		version = ""
	}
	return version, nil
}

// linkedBy lists the libraries of NVIDIA's that the found ones link to and that
// are neither known nor in the same folder.
func linkedBy(found []Found, known map[string]bool) []Part {
	var more []Part
	for _, p := range found {
		if p.Missing() {
			continue
		}
		for _, path := range p.Paths() {
			_, needed, _ := dynamic(path) // it was readable a moment ago
			for _, n := range needed {
				if nvidias(n) && !known[n] && !exists(filepath.Join(p.Dir, n)) {
					known[n] = true
					more = append(more, Part{Name: stem(n), Libs: []string{n}, linked: true})
				}
			}
		}
	}
	return more
}

// FindCUDA looks for everything that the CUDA provider at path needs; "" stands
// for the pinned one. major is the CUDA release that the provider is for.
func FindCUDA(provider string) (found []Found, major int, err error) {
	parts, major := pinnedParts(), pinnedCUDA
	if provider != "" {
		if parts, major, err = partsOf(provider); err != nil {
			return nil, 0, err
		}
	}
	root, _ := cacheRoot() // without a cache folder nothing is installed
	return findParts(parts, cudaRules(root, provider)), major, nil
}

// Lacking names every part that is missing and needed, with the places that do
// not do; "" when none is.
func Lacking(found []Found) string {
	var out []string
	for _, p := range found {
		if p.Missing() && p.Optional == "" {
			s := strings.Join(p.Libs, " and ")
			if p.Passed != nil {
				s += " (" + strings.Join(p.Passed, "; ") + ")"
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// PartsRemedy says how to come by the missing parts.
func PartsRemedy(found []Found, major int) string {
	for _, p := range found {
		if p.Missing() && p.Optional == "" && p.pin.file == "" {
			return fmt.Sprintf("no package is pinned for all of these: install CUDA %d and cuDNN, and put their folders in LD_LIBRARY_PATH", major)
		}
	}
	return CUDARemedy
}
