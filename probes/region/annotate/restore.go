package annotate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Pictures are the numbers, in the set, of the annotated pictures that stand for item
// i. They follow from the annotations alone, so that Restore can do without the whole
// dataset.
func (m *Matched) Pictures(i int) []int { return m.of[i] }

// Digest is the SHA-256, in hex, of the annotated pictures in their order, by which
// Pictures numbers them, and of how many regions each has.
func (s *Set) Digest() string {
	h := sha256.New()
	for i := range s.pictures {
		p := &s.pictures[i]
		fmt.Fprintf(h, "%q %d\n", p.name, len(p.marks))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Set is the annotations that were matched.
func (m *Matched) Set() *Set { return m.set }

// Restore is a match that is known already: of says for each item the numbers that
// Pictures gave.
func (s *Set) Restore(of map[int][]int) (*Matched, error) {
	for i, pictures := range of {
		for _, k := range pictures {
			if k < 0 || k >= len(s.pictures) {
				return nil, fmt.Errorf("item %d has the annotated picture %d, and there are %d", i, k, len(s.pictures))
			}
		}
	}
	return &Matched{set: s, of: of}, nil
}

// Source gives the matched regions to region.Rows.
func (m *Matched) Source() region.Source { return source{m} }

type source struct{ *Matched }

// Scored says whether some region of the set has a score.
func (s source) Scored() bool { return s.set.scored }

func (s source) Regions(i int, size picture.Size) ([]region.Region, []error) {
	rs, faults := s.Matched.Regions(i, size)
	var errs []error
	for _, f := range faults {
		errs = append(errs, f)
	}
	return rs, errs
}

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
