package dataset

import (
	"fmt"
	"image"
	"math"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

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
		p, err = picture.Decode(b, e.o.MaxPixels, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	return p.Upright(e.turn(b)), nil
}
