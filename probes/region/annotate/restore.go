package annotate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
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

// Crowded says whether some region of the set is a crowd.
func (s source) Crowded() bool { return s.set.crowded }

// LeftOut counts what of the regions that were asked for is left out.
func (s source) LeftOut() Counts { return s.late.Counts() }

func (s source) Regions(i int, size picture.Size) ([]region.Region, []error) {
	rs, faults := s.Matched.Regions(i, size)
	var errs []error
	for _, f := range faults {
		errs = append(errs, f)
	}
	return rs, errs
}

// Sum256 is the SHA-256, in hex, of the annotation file that the set was read from, or of
// the names, sizes and contents of the regular files below its folder, links followed, in the
// order of their names; and of the files that were read elsewhere: those of names, of the images of
// results and of panoptic masks.
func (s *Set) Sum256() (string, error) {
	h := sha256.New()
	err := s.disk.sum(h, s.path)
	files, err2 := s.beside()
	err = cmp.Or(err, err2)
	for _, b := range files {
		if err == nil {
			fmt.Fprintln(h, b.what)
			err = s.disk.copy(h, b.file)
			if b.what == maskFile && dataset.FaultOf(err) <= dataset.NameFault { // is a fault of its picture
				err = nil
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("reading the regions of %q: %w", s.path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

const maskFile = "mask"

// besides is a file outside of the path of a set, and what it is to it.
type besides struct{ what, file string }

// beside are the files that were read, or will be, outside of the path.
func (s *Set) beside() (files []besides, err error) {
	info, err := s.disk.Stat(s.path)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(s.path)
	if err != nil {
		return nil, err
	}
	seen := map[besides]bool{}
	add := func(what, file string) {
		b := besides{what, file}
		if file == "" || seen[b] {
			return
		}
		seen[b] = true
		if at, err2 := filepath.Abs(file); info.IsDir() && err2 == nil {
			if in, err := filepath.Rel(root, at); err == nil && filepath.IsLocal(in) {
				return
			}
		}
		files = append(files, b)
	}
	add("names", s.NamesFile)
	add("points", s.pointsFile)
	if s.results {
		add("images", s.o.Images)
	}
	for i := range s.pictures {
		if s.pictures[i].paint != "" && !s.o.BoxOnly {
			add(maskFile, s.pictures[i].paint)
		}
	}
	return files, nil
}

// copy writes a file's bytes to w.
func (d disk) copy(w io.Writer, file string) error {
	f, err := d.openRegular(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// sum writes what Sum256 says of a file or folder to h.
func (d disk) sum(h io.Writer, path string) error {
	info, err := d.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return d.copy(h, path)
	}
	return d.walk(path, func(file string, broken bool) error {
		if broken {
			fmt.Fprintf(h, "%q broken\n", relative(path, file))
			return nil
		}
		st, err := d.Stat(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %d\n", relative(path, file), st.Size())
		return d.copy(h, file)
	})
}
