package dataset

import (
	"errors"
	"fmt"
	"image"
	"math"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// GeometryOf is where the pixels of sample i lie on the picture that it was made from.
// Samples read last are known; of others the picture's header is read, not the picture.
// Model inputs of [C,H,W], [H,W,C] or [H,W] are their own picture. Datasets of other
// packages that know it have a method Geometry. It is an error when the
// picture cannot be read, or when samples are no pictures.
func GeometryOf(ds Dataset, i int) (picture.Geometry, error) {
	if d, at, ok := find[interface {
		Geometry(i int) (picture.Geometry, error)
	}](ds, i); ok {
		return d.Geometry(at)
	}
	return picture.Geometry{}, errors.New("samples of this dataset are made of no pictures")
}

func (s *records) Geometry(int) (picture.Geometry, error) { return s.renderer.Pre.Geometry(s.w, s.h) }

func (a *array) Geometry(int) (picture.Geometry, error) {
	return ownGeometry(a.shape)
}

// ownGeometry is that of a model input, which is its own picture.
func ownGeometry(shape []int) (picture.Geometry, error) {
	p := picture.PlanesOf(shape)
	if p.H < 1 || p.W < 1 {
		return picture.Geometry{}, fmt.Errorf("samples of shape %v are no pictures; want [C,H,W], [H,W,C] or [H,W]", shape)
	}
	return picture.Preprocess{}.Geometry(p.W, p.H)
}

func (e *encoded) Geometry(i int) (picture.Geometry, error) {
	t, ok := e.traits.get(i)
	s := t.Size
	if !ok {
		var err error
		if s.W, s.H, err = e.size(i); err != nil {
			return picture.Geometry{}, fmt.Errorf("reading the size of image %q: %w", e.where(i), err)
		}
	}
	return e.renderer.Pre.Geometry(s.W, s.H)
}

// traits remembers what the pictures read last were like, so that sources which are read
// in order need not go back for it.
type traits struct {
	mu   sync.Mutex
	last []trait
}

type trait struct {
	i int
	picture.Size
	warning string
}

// maxTraits is more than the samples that a run reads ahead of its results.
const maxTraits = 1024

func (s *traits) put(i int, p *picture.Picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make([]trait, maxTraits)
		for k := range s.last {
			s.last[k].i = -1
		}
	}
	s.last[i%maxTraits] = trait{i, picture.Size{H: p.H, W: p.W}, p.Warning}
}

func (s *traits) get(i int) (trait, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last[i%maxTraits].i != i {
		return trait{}, false
	}
	return s.last[i%maxTraits], true
}

// WarningOf is what was doubtful about the picture of sample i when Sample gave it just
// now: damage that its decoder went over, pixels that were clipped. It is "" of most, and
// of samples that are made of no picture. Batches asks for it, and gives it in Batch.
func WarningOf(ds Dataset, i int) string {
	if d, at, ok := find[interface{ warning(i int) string }](ds, i); ok {
		return d.warning(at)
	}
	return ""
}

func (e *encoded) warning(i int) string {
	t, _ := e.traits.get(i)
	return t.warning
}

// pictured is sources that hold pictures.
type pictured interface {
	// picture is that of sample i, as it is stored.
	picture(i int) (*picture.Picture, error)
}

// Picture is sample i for people to look at: the picture as it is stored, of its own
// size and without preprocessing. Of model inputs with 1 or 3 planes, 0 is black and
// 1 white.
func Picture(ds Dataset, i int) (image.Image, error) {
	if d, at, ok := find[pictured](ds, i); ok {
		p, err := d.picture(at)
		if err != nil {
			return nil, err
		}
		return p.Image(), nil
	}
	for in, at := range chain(ds, i) {
		ds, i = in, at
	}
	s := ds.Shape()
	if len(s) != 3 || s[0] != 1 && s[0] != 3 {
		return nil, fmt.Errorf("samples of shape %v are no pictures, which have 1 or 3 planes", s)
	}
	x := make([]float32, s[0]*s[1]*s[2])
	if err := ds.Sample(i, x); err != nil {
		return nil, err
	}
	p := picture.New(s[2], s[1], s[0])
	for k, v := range x {
		p.Pix[k%(s[1]*s[2])*s[0]+k/(s[1]*s[2])] = uint8(math.Round(float64(min(max(v, 0), 1)) * 255))
	}
	return p.Image(), nil
}

func (e *encoded) picture(i int) (*picture.Picture, error) {
	b, err := e.read(i)
	var p *picture.Picture
	if err == nil {
		p, err = e.decode(i, b, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	return p, nil
}
