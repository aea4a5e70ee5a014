package annotate

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// panoptic takes the segments of a panoptic annotation; the mask is read when the picture's
// regions are asked for.
func (c *coco) panoptic(v *cocoObject, line int) error {
	g := c.group(v.Image)
	paint, err := c.maskFile(v.FileName)
	if err == nil && g.paint != "" && g.paint != paint {
		err = errors.New("an annotation of this image came before")
	}
	if err != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("annotation of image %q: %w", v.Image, err))
		return nil
	}
	g.paint = paint
	for i := range v.Segments {
		o := &v.Segments[i]
		m, err := c.mark(o, line)
		var id whole
		if err == nil {
			if err = id.UnmarshalJSON([]byte(o.ID)); err == nil && !c.s.o.BoxOnly {
				m.shape = segmentID(id)
			}
		}
		if err != nil {
			c.s.Faults.add(c.file, line, fmt.Errorf("segment %q of image %q: %w", o.ID, v.Image, err))
			continue
		}
		g.marks = append(g.marks, m)
	}
	return nil
}

// maskFile is where the mask of a panoptic annotation lies: in the folder that is named as
// the file, or else in that of the file.
func (c *coco) maskFile(name string) (string, error) {
	if c.pngs == "" {
		c.pngs = strings.TrimSuffix(c.file, filepath.Ext(c.file))
		if info, err := c.s.disk.Stat(c.pngs); err != nil || !info.IsDir() {
			c.pngs = filepath.Dir(c.file)
		}
	}
	if name = filepath.FromSlash(name); !filepath.IsLocal(name) {
		return "", fmt.Errorf("got the mask %q, want the name of a PNG file", name)
	}
	return filepath.Join(c.pngs, name), nil
}

// segmentID is the value that a segment has in its picture's mask.
type segmentID int

func (segmentID) mask(picture.Size) (*region.Mask, error) {
	return nil, errors.New("the mask of the panoptic segments was not read")
}

// painted is a panoptic mask, four bytes a pixel: the segment is R + 256 G + 65536 B.
type painted struct {
	size   picture.Size
	pix    []byte
	stride int
}

// each calls use with the segments of the pixels.
func (p *painted) each(use func(y, x int, id uint32)) {
	for y := range p.size.H {
		row := p.pix[y*p.stride:]
		for x := range p.size.W {
			use(y, x, uint32(row[4*x])|uint32(row[4*x+1])<<8|uint32(row[4*x+2])<<16)
		}
	}
}

// segmentOf is a segment of a mask.
type segmentOf struct {
	*painted
	id uint32
}

func (s segmentOf) mask(size picture.Size) (*region.Mask, error) {
	m, err := region.NewMask(size.H, size.W)
	if err != nil {
		return nil, err
	}
	s.each(func(y, x int, id uint32) {
		if id == s.id {
			m.Set(y, x)
		}
	})
	return m, nil
}

// strangers are the segments of a mask that are not among some; 0 is none.
func (p *painted) strangers(marks []mark) (ids []uint32) {
	known := map[uint32]bool{0: true}
	for _, m := range marks {
		if id, ok := m.shape.(segmentID); ok {
			known[uint32(id)] = true
		}
	}
	p.each(func(_, _ int, id uint32) {
		if !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	return ids
}

// paintOf is the mask of a picture's panoptic segments, nil where it has none. An error may
// come with the mask, of segments that are not listed.
func (s *Set) paintOf(p *annotated, size picture.Size) (*painted, error) {
	if p.paint == "" || s.o.BoxOnly {
		return nil, nil
	}
	paint, err := s.readPainted(p.paint, size)
	if err != nil {
		return nil, because(NoLabelMap, fmt.Errorf("the panoptic mask %s: %w", p.paint, err))
	}
	if ids := paint.strangers(p.marks); len(ids) > 0 {
		err = because(NoSegment, fmt.Errorf("the panoptic mask %s has %d segments that are not listed, %d among them", p.paint, len(ids), ids[0]))
	}
	return paint, err
}

// readPainted reads the mask of a picture's panoptic segments
// (https://cocodataset.org/#format-data, 4).
func (s *Set) readPainted(file string, size picture.Size) (*painted, error) {
	b, err := s.mapBytes(file)
	if err != nil {
		return nil, err
	}
	m, err := decodeMap(b, size)
	if err != nil {
		return nil, err
	}
	return paint(m, size)
}

func paint(m image.Image, size picture.Size) (*painted, error) {
	switch m := m.(type) {
	case *image.RGBA:
		return &painted{size, m.Pix, m.Stride}, nil
	case *image.NRGBA:
		return &painted{size, m.Pix, m.Stride}, nil
	default:
		return nil, fmt.Errorf("the panoptic mask got %T, want colors of 8 bits, whose R + 256 G + 65536 B is the segment's id", m)
	}
}

// mapBytes is the file of a label map or a panoptic mask.
func (s *Set) mapBytes(file string) (b []byte, err error) {
	err = dataset.ReadItem(s.path, func() error {
		f, err := s.disk.openRegular(file)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, maxMapBytes+1))
		return err
	})
	if err == nil && len(b) > maxMapBytes {
		err = fmt.Errorf("the label map has more than %d bytes", maxMapBytes)
	}
	return b, err
}

// decodeMap decodes a label map or a panoptic mask of a picture's size.
func decodeMap(b []byte, size picture.Size) (image.Image, error) {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the label map: %w", err)
	}
	if c.Width != size.W || c.Height != size.H {
		return nil, fmt.Errorf("got a label map of %d x %d (width x height), want the picture's %d x %d", c.Width, c.Height, size.W, size.H)
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the label map: %w", err)
	}
	return m, nil
}
