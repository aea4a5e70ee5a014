package dataset

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// records is pictures of 8-bit pixels at equal distances in a file: CIFAR, IDX
// and uint8 arrays.
type records struct {
	path, format   string
	name, before   string // of the IDs
	r              io.ReaderAt
	offset, stride int64 // of the first picture's pixels, and between pictures
	n              int
	c, h, w        int
	last           bool // pixels lie as [H,W,C]
	label          func(i int) int
	class          []string
	renderer       *picture.Renderer
	fsys           fs.FS
}

// ready settles what samples look like. Pictures of a wrong size, which here are
// all of them, are an error at once.
func (s *records) ready(o Options) (*records, error) {
	var err error
	s.fsys = o.FS
	s.renderer, err = picture.NewRenderer(o.render(), s.c, func() (int, int, error) { return s.w, s.h, nil })
	if err != nil {
		return nil, err
	}
	if s.name == "" {
		s.name = filepath.Base(s.path)
	}
	return s, s.renderer.CheckSize(s.renderer.Pre.OutputSize(s.w, s.h))
}

func (s *records) rendering() *picture.Renderer { return s.renderer }
func (s *records) prefix(p string)              { s.before = p }
func (s *records) classes() []string            { return s.class }
func (s *records) distinct() (string, bool)     { return plain(s.before+s.name) + "[", true }
func (s *records) Len() int                     { return s.n }
func (s *records) Shape() []int                 { return slices.Clone(s.renderer.Shape) }

func (s *records) Item(i int) Item {
	it := Item{ID: fmt.Sprintf("%s[%d]", plain(s.before+s.name), i), Path: s.path, Label: -1}
	if s.label != nil {
		it.Label = s.label(i)
	}
	if it.Label >= 0 && it.Label < len(s.class) {
		it.Class = s.class[it.Label]
	}
	return it
}

func (s *records) Sample(i int, dst []float32) error {
	p, err := s.picture(i)
	if err == nil {
		err = s.renderer.Render(p, dst)
	}
	if err != nil {
		return fmt.Errorf("reading picture %d of %q: %w", i, s.path, err)
	}
	return nil
}

// picture is picture i as it is stored.
func (s *records) picture(i int) (*picture.Picture, error) {
	p := picture.New(s.w, s.h, s.c)
	raw := p.Pix
	if s.c > 1 && !s.last {
		raw = make([]uint8, len(p.Pix))
	}
	err := patiently(s.fsys, func() string { return s.path }, func() error { return safe.ReadAt(s.r, raw, s.offset+int64(i)*s.stride) })
	if err != nil {
		return nil, err
	}
	if s.c > 1 && !s.last {
		for k, v := range raw {
			p.Pix[k%(s.w*s.h)*s.c+k/(s.w*s.h)] = v
		}
	}
	return p, nil
}

func (s *records) describe() Description {
	return Description{Sources: []Source{{Path: s.path, Format: s.format, Items: s.n, Preprocess: &s.renderer.Pre}}}
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

// readLines is the lines of a small text file beside the data; nil without it.
func readLines(fsys fs.FS, path string) []string {
	b, err := readRegular(fsys, path, 1<<16)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
