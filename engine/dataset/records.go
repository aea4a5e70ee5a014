package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// records is pictures of 8-bit pixels at equal distances in a file: CIFAR, IDX
// and uint8 arrays.
type records struct {
	part
	r              io.ReaderAt
	offset, stride int64 // of the first picture's pixels, and between pictures
	c, h, w        int
	last           bool    // pixels lie as [H,W,C]
	levels         *levels // nil where they are bytes
}

// describe says too what stored pixels are.
func (s *records) describe() Description {
	d := s.part.describe()
	if s.levels != nil {
		d.Sources[0].Pixels = strconv.Itoa(int(s.levels.white))
	}
	return d
}

// ready settles what samples look like. Pictures of a wrong size, which here are
// all of them, are an error at once.
func (s *records) ready(o Options) (*records, error) {
	var err error
	s.o = o
	s.renderer, err = picture.NewRenderer(o.render(), s.c, func() (int, int, error) { return s.w, s.h, nil })
	if err != nil {
		return nil, err
	}
	if s.name == "" {
		s.name = filepath.Base(s.path)
	}
	return s, s.renderer.CheckSize(s.renderer.Pre.OutputSize(s.w, s.h))
}

func (s *records) Sample(i int, dst []float32) error {
	if err := s.sample(i, dst); err != nil {
		return fmt.Errorf("reading picture %d of %q: %w", i, s.path, err)
	}
	return nil
}

func (s *records) sample(i int, dst []float32) error {
	if s.levels != nil {
		v, whole, err := s.values(i)
		switch {
		case err != nil:
			return err
		case !whole:
			return s.renderer.RenderLevels(v, s.w, s.h, s.c, dst)
		}
		return s.renderer.Render(s.pictureOf(v), dst)
	}
	p, err := s.picture(i)
	if err != nil {
		return err
	}
	return s.renderer.Render(p, dst)
}

// picture is picture i as it is stored.
func (s *records) picture(i int) (*picture.Picture, error) {
	if s.levels != nil {
		v, whole, err := s.values(i)
		if err == nil && !whole {
			err = errors.New("its pixels lie between the 256 values of a byte, and are no picture")
		}
		if err != nil {
			return nil, err
		}
		return s.pictureOf(v), nil
	}
	p := picture.New(s.w, s.h, s.c)
	raw := p.Pix
	if s.c > 1 && !s.last {
		raw = make([]uint8, len(p.Pix))
	}
	if err := s.readAt(s.r, raw, s.offset+int64(i)*s.stride); err != nil {
		return nil, err
	}
	if s.c > 1 && !s.last {
		for k, v := range raw {
			p.Pix[k%(s.w*s.h)*s.c+k/(s.w*s.h)] = v
		}
	}
	return p, nil
}

// eachFile opens the files of a source one by one.
func eachFile(o Options, path string, is func(name string) bool, open func(path string) (source, error)) ([]source, error) {
	files, err := filesOf(o.FS, path, is)
	if err != nil {
		return nil, err
	}
	var out []source
	for _, f := range files {
		s, err := open(f)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", filepath.Base(f), err)
		}
		if len(out) > 0 && !slices.Equal(s.Shape(), out[0].Shape()) {
			return nil, fmt.Errorf("%q has samples of %v, the files before it of %v", filepath.Base(f), s.Shape(), out[0].Shape())
		}
		out = append(out, s)
	}
	return out, nil
}

// eachShared is eachFile of files that are open only while they are in use. Those after
// the first have its shape.
func eachShared(o Options, path string, is func(name string) bool,
	open func(f *sharedFile, o Options) (source, error)) ([]source, error) {
	return eachFile(o, path, is, func(file string) (source, error) {
		f, err := o.shared.file(file)
		if err != nil {
			return nil, err
		}
		s, err := open(f, o)
		if err != nil {
			f.forget()
			return nil, err
		}
		if o.Input == nil {
			o.Input = s.Shape()
		}
		return s, nil
	})
}

// readLines is the lines of a small text file beside the data; nil without it.
func readLines(fsys fs.FS, path string) []string {
	b, err := readRegular(fsys, path, 1<<16)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
