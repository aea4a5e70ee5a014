package picture

import (
	"fmt"
	"image"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Sample is a picture as a model's input, and where that lies on the picture: what
// dataset.Open makes of a picture in a file, for pictures that come one by one. For the same
// pixels decode files by [Decode], whose Picture has an Image: package image/jpeg rounds
// otherwise than libjpeg, and Pillow, do. input is the
// shape of the model's sample, without the batch axis. The tensor has that shape, is
// float32 and the caller's; ChannelsLast follows from input.
func (p Preprocess) Sample(m image.Image, input []int) (*tensor.Tensor, Geometry, error) {
	b := m.Bounds()
	g, err := p.Geometry(b.Dx(), b.Dy())
	if err != nil {
		return nil, g, err
	}
	o := RenderOptions{Preprocess: &p, Input: input}
	r, err := NewRenderer(o, 3, func() (w, h int, err error) { return b.Dx(), b.Dy(), nil })
	if err != nil {
		return nil, g, err
	}
	t, err := tensor.New(tensor.Float32, r.Shape...)
	if err != nil {
		return nil, g, fmt.Errorf("a sample of shape %v: %w", r.Shape, err)
	}
	from := FromImage(m)
	if err := r.Check(from); err != nil {
		return nil, g, err
	}
	return t, g, r.Render(from, tensor.Data[float32](t))
}

// Fixed is the shape of the sample that every picture becomes for a model's input,
// without the batch axis; nil where it depends on the picture.
func (p Preprocess) Fixed(input []int) []int {
	if p.fixed() == (Size{}) {
		return nil
	}
	want, channels := PlanesOf(input), 3
	if want.C > 0 {
		channels = want.C
	}
	p.ChannelsLast = p.ChannelsLast || want.Last
	r, err := NewRenderer(RenderOptions{Preprocess: &p}, channels, nil)
	if err != nil {
		return nil // Sample says why
	}
	return r.Shape
}
