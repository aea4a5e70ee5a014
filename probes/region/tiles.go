package region

import (
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// OfTiles gives to each tile of a picture the regions of the picture that meet it, the
// thumbnail among the tiles; they keep their place on the picture. tiles has the tiles,
// from the regions of the pictures that dataset.Untiled gives. What is wrong with
// regions, and those that lie on no tile, come with a picture's first tile alone. The
// regions of one picture are kept until another's are asked for.
func OfTiles(tiles dataset.Dataset, from Source) Source {
	_, of, ok := dataset.Untiled(tiles)
	if !ok {
		return from
	}
	return &tileSource{tiles: tiles, of: of, from: from, last: -1}
}

type tileSource struct {
	tiles dataset.Dataset
	of    func(i int) (picture, tile int)
	from  Source

	mu      sync.Mutex
	last    int // the picture that these are of
	regions []Region
	faults  []error
}

func (s *tileSource) Has(i int) bool {
	k, _ := s.of(i)
	return s.from.Has(k)
}

func (s *tileSource) Regions(i int, size picture.Size) (met []Region, faults []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, tile := s.of(i)
	if k != s.last {
		s.regions, s.faults = s.from.Regions(k, size)
		s.last = k
	}
	g, err := dataset.GeometryOf(s.tiles, i)
	if err != nil {
		return nil, []error{err}
	}
	whole := Box{0, 0, float64(g.Picture.W), float64(g.Picture.H)}
	x0, y0, x1, y1 := g.Seen()
	for _, r := range s.regions {
		if r.meets(Box{x0, y0, x1, y1}) || tile == 0 && !r.meets(whole) {
			met = append(met, r)
		}
	}
	if tile == 0 {
		faults = s.faults
	}
	return met, faults
}

// meets reports whether some of a region lies in a part of its picture.
func (r Region) meets(part Box) bool {
	if r.Mask == nil {
		return r.Box.intersect(part).area() > 0
	}
	kept, _, _ := r.Mask.seen(part)
	return kept > 0
}
