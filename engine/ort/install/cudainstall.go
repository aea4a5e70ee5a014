package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// job is one package to install: the archives that hold it, in order of
// preference, and its folder.
type job struct {
	arts []artifact
	dir  string
}

// installCUDA installs the build with the CUDA provider and, of the libraries
// that the provider needs, those that this machine has not; with o.All every one.
func installCUDA(ctx context.Context, o Options, arts []artifact, parts []Part) (string, error) {
	if o.Client == "npm" {
		err := errors.New("installing ONNX Runtime with CUDA: it comes through pip alone; take pip as the client")
		return "", onnx.Remedy(err, "install.Options.Client=pip")
	}
	dir := folder(o.Root, true)
	jobs := append([]job{{arts, dir}}, partJobs(o, parts)...)
	todo := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return installed(j.dir, j.arts) })
	announce(o, todo)
	if err := checkFrom(o.From, todo); err != nil {
		return "", err
	}
	rest := []job(nil)
	if o.From != "" && !isDir(o.From) && len(todo) > 0 { // one file: one package
		i := max(0, slices.IndexFunc(todo, func(j job) bool { return j.is(o.From) }))
		todo, rest = todo[i:i+1], slices.Delete(slices.Clone(todo), i, i+1)
	}
	for _, j := range todo {
		if _, err := ensure(ctx, o, j.arts, j.dir); err != nil {
			return "", err
		}
	}
	if len(rest) > 0 {
		err := fmt.Errorf("installing from %q: it is one of %d packages; still missing: %s; "+
			"put them into one folder and install from that", o.From, len(rest)+1, strings.Join(files(rest), ", "))
		return "", onnx.Remedy(err, "install.Options.From")
	}
	return arts[0].target(dir, 0), nil
}

// partJobs lists the packages of NVIDIA's to install, and says of the other parts
// where they were found.
func partJobs(o Options, parts []Part) []job {
	provider := ""
	if p := CUDAProvider(LibraryPath(o.Root, true)); exists(p) {
		provider = p
	}
	var jobs []job
	for _, p := range findParts(parts, cudaRules(o.Root, provider)) {
		switch {
		case p.pin.file == "":
			o.logf("no package is pinned for %s", strings.Join(p.Libs, ", "))
		case o.All || p.From == FromInstall || p.Missing() && p.Optional == "":
			for _, why := range p.Passed {
				o.logf("%s: passed over: %s", p.Name, why)
			}
			jobs = append(jobs, job{[]artifact{p.pin}, filepath.Join(o.Root, p.pin.name())})
		case p.Missing():
			o.logf("%s: left out; only %s need it, and an install of all parts brings it", p.Name, p.Optional)
		default:
			o.logf("%s: found in %s (%s)", p.Name, p.Dir, p.From)
		}
	}
	return jobs
}

// announce says what is about to be fetched, how much of it, and where it goes.
func announce(o Options, todo []job) {
	if len(todo) == 0 {
		return
	}
	var fetch, disk int64
	for _, j := range todo {
		fetch += j.arts[0].size
		disk += j.arts[0].unpacked()
	}
	verb := "to download"
	if o.From != "" {
		verb = "to take from " + o.From
	}
	o.logf("%s: %d package(s), %s; on disk %s, in %s", verb, len(todo), bytesText(fetch), bytesText(disk), o.Root)
	nvidia := false
	for _, j := range todo {
		a := j.arts[0]
		nvidia = nvidia || a.version != ""
		o.logf("  %-20s %-10s %8s", a.pkg, a.release(), bytesText(a.size))
	}
	if nvidia {
		o.logf("NVIDIA's packages come under NVIDIA's licence: https://docs.nvidia.com/cuda/eula")
	}
}

// checkFrom is nil when the folder from has something for every job: nothing is
// installed out of a folder that lacks some of it.
func checkFrom(from string, todo []job) error {
	if from == "" || !isDir(from) {
		return nil
	}
	lack := slices.DeleteFunc(slices.Clone(todo), func(j job) bool {
		return slices.ContainsFunc(j.arts, func(a artifact) bool {
			return exists(filepath.Join(from, a.file)) || exists(filepath.Join(from, filepath.Base(a.members[0].path)))
		})
	})
	if len(lack) == 0 {
		return nil
	}
	return fmt.Errorf("installing from the folder %q: it lacks %d of %d files: %s; get them with pip download on a machine with a network",
		from, len(lack), len(todo), strings.Join(files(lack), ", "))
}

// is reports whether path has the name of one of the job's archives.
func (j job) is(path string) bool {
	return slices.ContainsFunc(j.arts, func(a artifact) bool { return a.file == filepath.Base(path) })
}

func files(jobs []job) []string {
	var out []string
	for _, j := range jobs {
		out = append(out, j.arts[0].file)
	}
	return out
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// bytesText is n in MB or GB, of 1000 to the step as downloads are counted.
func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e7:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
