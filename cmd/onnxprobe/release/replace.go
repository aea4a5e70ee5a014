package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hidden begins the names of the folders that a release has in its folder while it works.
const hidden = ".onnxprobe-release-"

// earlier are the names of an earlier release's files in the folder dir, its list first; none
// where dir is absent or empty. It refuses a folder that holds anything else, apart from the
// folder own, and changes nothing.
func earlier(dir, own string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	listed, err := listedIn(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch name := e.Name(); {
		case name == own:
		case strings.HasPrefix(name, hidden):
			return nil, fmt.Errorf("the folder %s holds %s, of another release that is being made or was killed; wait for that one, or remove it", dir, name)
		case !e.Type().IsRegular() || !slices.Contains(listed, name):
			return nil, fmt.Errorf("the folder %s holds %s, which no release made; take another folder, or empty it", dir, name)
		case name == sumsFile:
			names = slices.Insert(names, 0, name)
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

// listedIn are the names in the list of the release in dir, with the list's own. A list of
// files that no release has is somebody else's.
func listedIn(dir string) ([]string, error) {
	sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := []string{sumsFile}
	for line := range strings.Lines(string(sums)) {
		_, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "  ")
		if name != "README.txt" && (!strings.HasPrefix(name, "onnxprobe-") || strings.ContainsAny(name, `/\`)) {
			return nil, fmt.Errorf("%s lists %q, which no release made; take another folder, or empty it", filepath.Join(dir, sumsFile), name)
		}
		names = append(names, name)
	}
	return names, nil
}

// replace moves the files of the folder stage, which lies in dir, into dir, in the place of an
// earlier release's: all of them, or none. While it works dir has no list, so that a list is
// always of files that are there.
func replace(dir, stage string) error {
	old, err := earlier(dir, filepath.Base(stage))
	if err != nil {
		return err
	}
	made, err := os.ReadDir(stage)
	if err != nil {
		return err
	}
	aside, err := os.MkdirTemp(dir, hidden+"earlier-*")
	if err != nil {
		return err
	}
	var moves [][2]string
	for _, name := range old {
		moves = append(moves, [2]string{filepath.Join(dir, name), filepath.Join(aside, name)})
	}
	var last [][2]string
	for _, e := range made {
		move := [2]string{filepath.Join(stage, e.Name()), filepath.Join(dir, e.Name())}
		if e.Name() == sumsFile {
			last = append(last, move)
		} else {
			moves = append(moves, move)
		}
	}
	moves = append(moves, last...)
	for i, m := range moves {
		if err := os.Rename(m[0], m[1]); err != nil {
			for _, m := range slices.Backward(moves[:i]) {
				err = errors.Join(err, os.Rename(m[1], m[0]))
			}
			// Not with what is in it: what could not be moved back stays there.
			return errors.Join(fmt.Errorf("replacing the release in %s: %w", dir, err), os.Remove(aside))
		}
	}
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("the release in %s is whole, but the earlier one could not be removed: %w", dir, err)
	}
	return nil
}
