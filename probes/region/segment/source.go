package segment

import (
	"errors"
	"fmt"
	"image"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Method is a way to find the regions of a picture in the picture itself, with all its
// parameters: SLIC or Lines is set. It marshals to JSON.
type Method struct {
	// SLIC makes each super-pixel a region.
	SLIC *SLICOptions `json:"slic,omitempty"`
	// Lines makes each line of text a region.
	Lines *LineOptions `json:"lines,omitempty"`
	// BoxOnly leaves the masks out: a region is the box around its pixels.
	BoxOnly bool `json:"box_only,omitempty"`
}

// ParseMethod reads the name of a method: "slic:N", about N super-pixels a picture, or
// "lines". It gives nil for a text that names no method, as a file's path does; it is an
// error when one is named and N is not a number from 1 to 2^26.
func ParseMethod(text string) (*Method, error) {
	name, number, numbered := strings.Cut(text, ":")
	switch {
	case text == "lines":
		o, err := LineOptions{}.withDefaults()
		return &Method{Lines: &o}, err
	case name == "slic":
		n, err := strconv.Atoi(number)
		if !numbered || err != nil || n < 1 || n > maxSLIC {
			return nil, fmt.Errorf("super-pixels: got %q, want slic:N, with N from 1 to %d", text, maxSLIC)
		}
		o, err := SLICOptions{Segments: n}.withDefaults(1, maxSLIC)
		return &Method{SLIC: &o}, err
	}
	return nil, nil
}

// Regions are those of a picture. Masks belong to the caller.
func (m *Method) Regions(p image.Image) ([]region.Region, error) {
	rs, err := m.masked(p)
	if m.BoxOnly {
		for i := range rs {
			rs[i].Mask = nil
		}
	}
	return rs, err
}

func (m *Method) masked(p image.Image) ([]region.Region, error) {
	switch {
	case m.SLIC != nil:
		labels, err := SLIC(p, *m.SLIC)
		if err != nil {
			return nil, err
		}
		return labels.Regions()
	case m.Lines != nil:
		return Lines(p, *m.Lines)
	}
	return nil, errors.New("regions of a picture: no method is given; want slic or lines")
}

// Finder finds the regions of a picture in the picture itself. A Method is one.
type Finder interface {
	// Regions are those of a picture of its own size. They belong to the caller.
	Regions(p image.Image) ([]region.Region, error)
}

// Source is those of Source with the method as the finder.
func (m *Method) Source(picture func(i int) (image.Image, error)) region.Source {
	return Source(m, picture)
}

// Source finds the regions of the pictures of a dataset, each when it is asked for.
// picture is that of item i, upright and of its own size, as dataset.Picture has it.
func Source(f Finder, picture func(i int) (image.Image, error)) region.Source {
	return &source{find: f, picture: picture}
}

type source struct {
	find        Finder
	picture     func(i int) (image.Image, error)
	left, noted region.Tally
}

// Counting is a Finder that says too what it leaves out, and what it notes of regions that
// stay.
type Counting interface {
	Finder
	Counted(p image.Image) (rs []region.Region, left, noted region.Counts, err error)
}

// LeftOut is what the finder has left out so far, each picture's once.
func (s *source) LeftOut() region.Counts { return s.left.Counts() }

// Noted is what it has noted.
func (s *source) Noted() region.Counts { return s.noted.Counts() }

func (s *source) Has(int) bool { return true }

// Scored says whether the finder gives scores.
func (s *source) Scored() bool { return region.Scored(s.find) }

func (s *source) Regions(i int, size picture.Size) ([]region.Region, []error) {
	p, err := s.picture(i)
	if err != nil {
		return nil, []error{&region.PictureError{Err: err}}
	}
	if b := p.Bounds(); b.Dx() != size.W || b.Dy() != size.H {
		return nil, []error{fmt.Errorf("regions of a picture: got one of %d x %d (width x height), want %d x %d", b.Dx(), b.Dy(), size.W, size.H)}
	}
	c, ok := s.find.(Counting)
	if !ok {
		rs, err := s.find.Regions(p)
		return rs, errorsOf(err)
	}
	rs, left, noted, err := c.Counted(p)
	s.left.Add(i, -1, left)
	s.noted.Add(i, -1, noted)
	return rs, errorsOf(err)
}

func errorsOf(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
