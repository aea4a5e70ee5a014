package annotate

import (
	"errors"
	"image"
	"io"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// maxMapBytes bounds a label map's file.
const maxMapBytes = 256 << 20

// readLabels finds label maps: PNG files named as the pictures, whose palette index or
// grey value, of 1 to 16 bits, is the region that a pixel is in. They are read when the
// picture's regions are asked for.
func (s *Set) readLabels(_ io.Reader, file, name string) error {
	p := s.picture(name, file, 0)
	p.bare, p.labels = true, file
	return nil
}

// labelMap reads the regions of a picture's label map.
func (s *Set) labelMap(p *annotated, size picture.Size) ([]region.Region, error) {
	b, err := s.mapBytes(p.labels)
	if err != nil {
		return nil, err
	}
	return s.readLabelMap(b, size)
}

func (s *Set) readLabelMap(b []byte, size picture.Size) ([]region.Region, error) {
	m, err := decodeMap(b, size)
	if err != nil {
		return nil, err
	}
	labels, err := segment.NewLabels(size.H, size.W)
	if err != nil {
		return nil, err
	}
	if err := fillLabels(labels.Of, m, size.W); err != nil {
		return nil, err
	}
	return labels.Named(s.o.Names, s.o.Ignore...)
}

// fillLabels takes the values of a map's pixels.
func fillLabels(of []int32, m image.Image, w int) error {
	b := m.Bounds()
	var at func(x, y int) int32
	switch m := m.(type) {
	case *image.Paletted:
		at = func(x, y int) int32 { return int32(m.ColorIndexAt(x, y)) }
	case *image.Gray:
		at = func(x, y int) int32 { return int32(m.GrayAt(x, y).Y) }
	case *image.Gray16:
		at = func(x, y int) int32 { return int32(m.Gray16At(x, y).Y) }
	default:
		return errors.New("the label map got colors, or grey with alpha; want a palette or grey of up to 16 bits")
	}
	for i := range of {
		of[i] = at(b.Min.X+i%w, b.Min.Y+i/w)
	}
	return nil
}
