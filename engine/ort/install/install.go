// Package install finds ONNX Runtime's library and what its CUDA provider needs on this
// machine, and gets them: Find and FindCUDA look, in the order in which package ort
// tries, and load nothing; Install downloads through pip or npm, checks SHA-256 sums
// that are part of this program, and keeps the files in the user's cache folder.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Options say what Install provides and from where. The zero value gets
// the CPU library through a package client.
type Options struct {
	// From is a wheel, an npm archive, the library itself, or a folder that holds
	// one of these, with CUDA all of them: for machines without a network. "" asks a
	// package client.
	From string
	// Client is "pip" or "npm" to use only that one; "" tries pip, then npm.
	Client string
	// CUDA asks for the build with the CUDA provider and those of CUDA's and cuDNN's
	// libraries that are not found on this machine.
	CUDA bool
	// All asks, with CUDA, for every one of those libraries: found elsewhere or
	// not, and needed by few models or by all.
	All bool
	// Root is the folder to install under; "" is the user's cache folder, the
	// only place that is searched later.
	Root string
	// Log receives lines of progress; nil drops them.
	Log io.Writer
}

func (o Options) logf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// cacheRoot is the folder that Install fills, onnxprobe/runtime in the user's cache
// folder.
func cacheRoot() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(cache, "onnxprobe", "runtime"), nil
}

// folder is where one build lies under root.
func folder(root string, cuda bool) string {
	if cuda {
		return filepath.Join(root, Pinned+"-cuda")
	}
	return filepath.Join(root, Pinned)
}

// LibraryPath is where Install puts the library of a build under root.
func LibraryPath(root string, cuda bool) string {
	return filepath.Join(folder(root, cuda), libraryName())
}

// Install puts ONNX Runtime where the backend looks for it and returns the
// library's path. Every file is compared with a SHA-256 that is part of this
// program; one that differs is an error and is not kept. A second Install finds
// the first one's work and does nothing. An interrupted Install leaves the
// library absent, never half there, and the next one goes on from what was
// already downloaded. Installs that run at the same time wait for each other.
func Install(ctx context.Context, o Options) (string, error) {
	arts, err := forSystem(runtime.GOOS, runtime.GOARCH, o.CUDA)
	if err != nil {
		return "", err
	}
	if o.Client != "" && o.Client != "pip" && o.Client != "npm" {
		return "", fmt.Errorf("installing ONNX Runtime: no package client is called %q; the choices are pip and npm", o.Client)
	}
	if o.Root == "" {
		if o.Root, err = cacheRoot(); err != nil {
			return "", err
		}
	}
	if o.CUDA {
		return installCUDA(ctx, o, arts, pinnedParts())
	}
	return ensure(ctx, o, arts, folder(o.Root, o.CUDA))
}

// ensure makes dir hold the files of one of arts and returns the path of the
// first of them.
func ensure(ctx context.Context, o Options, arts []artifact, dir string) (string, error) {
	if installed(dir, arts) {
		return arts[0].target(dir, 0), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("installing %s: %w", arts[0].pkg, err)
	}
	unlock, err := lock(ctx, filepath.Join(o.Root, "lock"), func() {
		o.logf("another install is running; waiting for it")
	})
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", arts[0].pkg, err)
	}
	defer unlock()
	if installed(dir, arts) { // by the one we waited for
		return arts[0].target(dir, 0), nil
	}
	// Whoever left these is gone: the lock is ours.
	for _, stale := range append(glob(dir, "*.tmp"), glob(dir, "download-*")...) {
		os.RemoveAll(stale)
	}
	if o.From != "" {
		err = installFrom(o, arts, dir)
	} else {
		err = installClient(ctx, o, arts, dir)
	}
	if err != nil {
		return "", err
	}
	path := arts[0].target(dir, 0)
	o.logf("installed %s", path)
	return path, nil
}

// installed reports whether dir holds every file of one of arts, unchanged.
func installed(dir string, arts []artifact) bool {
	return slices.ContainsFunc(arts, func(a artifact) bool {
		for i, m := range a.members {
			if checkFile(a.target(dir, i), m.size, m.sha256) != nil {
				return false
			}
		}
		return true
	})
}

// installClient downloads the first artifact that a client here can get.
func installClient(ctx context.Context, o Options, arts []artifact, dir string) error {
	var faults []error
	tried := false
	for _, a := range arts {
		if o.Client != "" && a.client != o.Client {
			continue
		}
		archive := filepath.Join(dir, a.file)
		if err := checkFile(archive, 0, a.sha256); err == nil {
			o.logf("%s is already downloaded", a.file)
		} else {
			os.Remove(archive) // cut short or changed
			cmd := findClient(ctx, a.client)
			if cmd == nil {
				faults = append(faults, fmt.Errorf("there is no %s here", a.client))
				continue
			}
			tried = true
			o.logf("downloading %s %s with %s", a.pkg, a.release(), strings.Join(cmd, " "))
			if err := download(ctx, cmd, a, dir, o.logf); err != nil {
				if ctx.Err() != nil {
					return fmt.Errorf("downloading %s: %w", a.file, ctx.Err())
				}
				faults = append(faults, err)
				continue
			}
		}
		err := unpack(archive, a, dir)
		os.Remove(archive)
		return err
	}
	err := fmt.Errorf("installing %s %s: %w", arts[0].pkg, arts[0].release(), errors.Join(faults...))
	way := ""
	if !tried {
		way = " install pip or npm,"
	}
	err = fmt.Errorf("%w;%s or bring %s from another machine and install from it", err, way, arts[0].file)
	return onnx.Remedy(err, "install.Options.From")
}

// installFrom takes the library out of what the user named.
func installFrom(o Options, arts []artifact, dir string) error {
	info, err := os.Stat(o.From)
	if err != nil {
		return fmt.Errorf("installing from %q: %w", o.From, err)
	}
	if !info.IsDir() {
		return installFile(o.From, arts, dir)
	}
	// A folder: an archive by its name, or the files themselves.
	for _, a := range arts {
		if f := filepath.Join(o.From, a.file); exists(f) {
			return installFile(f, arts, dir)
		}
	}
	var want []string
	for _, a := range arts {
		library := filepath.Base(a.members[0].path)
		if f := filepath.Join(o.From, library); exists(f) {
			return installFile(f, arts, dir)
		}
		want = append(want, a.file, library)
	}
	return fmt.Errorf("installing from the folder %q: it holds none of %q", o.From, want)
}

// installFile takes the library out of one file: a wheel, an npm archive, or
// the library itself. What decides is the file's content, never its name.
func installFile(path string, arts []artifact, dir string) error {
	kind, err := sniff(path)
	if err != nil {
		return fmt.Errorf("installing from %q: %w", path, err)
	}
	var faults []error
	for _, a := range arts {
		switch {
		case kind == "library":
			err = copyMembers(path, a, dir)
		case kind == archiveKind(a):
			err = unpack(path, a, dir)
		default:
			continue
		}
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	if faults == nil {
		faults = []error{fmt.Errorf("%q is a %s, which no artifact for %s/%s is", path, kind, runtime.GOOS, runtime.GOARCH)}
	}
	if arts[0].version != "" {
		return errors.Join(faults...)
	}
	err = fmt.Errorf("%w; a library of your own needs no install: name it where it is used, or in %s",
		errors.Join(faults...), EnvLibrary)
	return onnx.Remedy(err, "engine.Options.Library")
}

// copyMembers installs a library that lies unpacked at path, with the files
// that belong to it beside it.
func copyMembers(path string, a artifact, dir string) error {
	if err := checkFile(path, a.members[0].size, a.members[0].sha256); err != nil {
		return fmt.Errorf("installing %s %s: %w", a.pkg, a.release(), err)
	}
	return a.put(dir, func(m member) (io.ReadCloser, string, error) {
		from := path
		if m != a.members[0] {
			from = filepath.Join(filepath.Dir(path), filepath.Base(m.path))
		}
		f, err := os.Open(from)
		if err != nil {
			err = fmt.Errorf("installing %q: %w", from, err)
		}
		return f, from, err
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
