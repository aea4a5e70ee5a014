package result

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// folders are those that MakeFolder is filling.
var folders struct {
	sync.Mutex
	paths map[string]bool
}

// MakeFolder makes a folder that appears under its name when it is complete, or not at
// all: fill puts files into the one that it is given, and the manifest is manifest.json there.
// The folders above it are made; one of its name may be there if it is empty.
func MakeFolder(path string, manifest any, fill func(dir string) error) error {
	path = filepath.Clean(path)
	dir, err := beginFolder(path)
	if err != nil {
		return fmt.Errorf("making the folder %s: %w", path, err)
	}
	if err = fill(dir); err == nil {
		var text []byte
		if text, err = encodeManifest(manifest); err == nil {
			err = os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o666)
		}
	}
	folders.Lock()
	defer folders.Unlock()
	if !folders.paths[dir] { // Abandon has removed it
		return errAborted
	}
	delete(folders.paths, dir)
	if err == nil {
		if err = os.Chmod(dir, 0o755); err == nil {
			_ = os.Remove(path) // an empty folder, which not every system replaces
			err = os.Rename(dir, path)
		}
	}
	if err != nil {
		os.RemoveAll(dir)
	}
	return err
}

func beginFolder(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return "", err
	}
	folders.Lock()
	defer folders.Unlock()
	dir, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err == nil {
		if folders.paths == nil {
			folders.paths = map[string]bool{}
		}
		folders.paths[dir] = true
	}
	return dir, err
}

// abandonFolders removes the folders that are being filled. It keeps the lock: none is made or
// completed after it.
func abandonFolders() {
	folders.Lock()
	for dir := range folders.paths {
		os.RemoveAll(dir)
	}
}
