package annotate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

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
