package dataset

import (
	"image"

	"github.com/onnxprobe/onnxprobe/engine/dataset/jpeg"
)

// jpegDecoder is what a manifest says of the decoder.
const jpegDecoder = "onnxprobe, as libjpeg-turbo"

func jpegSize(b []byte) (w, h int, err error) {
	c, err := jpeg.DecodeConfig(b)
	return c.Width, c.Height, err
}

func decodeJPEG(b []byte, window image.Rectangle) (*picture, error) {
	p := scratch(0, 0, 0)
	pix, c, err := jpeg.Decode(b, window, p.pix)
	if err != nil {
		p.release()
		return nil, err
	}
	*p = picture{c.Width, c.Height, c.Channels, pix}
	return p, nil
}
