package annotate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// Sum256 is the SHA-256, in hex, of the annotation file that the set was read from, or of
// the names, sizes and contents of the regular files below its folder, in the order of
// their names; and of NamesFile, where that lies elsewhere.
func (s *Set) Sum256() (string, error) {
	if s.NamesFile == "" {
		return s.disk.sum256(s.path, "")
	}
	root, err := filepath.Abs(s.path)
	if err != nil {
		return "", err
	}
	names := s.NamesFile
	if in, err := filepath.Rel(root, names); err == nil && filepath.IsLocal(in) {
		names = ""
	}
	return s.disk.sum256(s.path, names)
}

func (d disk) sum256(path, names string) (string, error) {
	h := sha256.New()
	add := func(file string) error {
		f, err := d.openRegular(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(h, f)
		return err
	}
	info, err := d.Stat(path)
	if err == nil && !info.IsDir() {
		err = add(path)
	} else if err == nil {
		err = fs.WalkDir(d, path, func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			st, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%q %d\n", relative(path, p), st.Size())
			return add(p)
		})
	}
	if err == nil && names != "" {
		fmt.Fprintln(h, "names")
		err = add(names)
	}
	if err != nil {
		return "", fmt.Errorf("reading the regions of %q: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
