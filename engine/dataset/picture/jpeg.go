package picture

import (
	"image"

	"github.com/onnxprobe/onnxprobe/engine/internal/jpeg"
)

// JPEGDecoder names what decodes JPEG files, for manifests: another may give other
// pixels.
const JPEGDecoder = "onnxprobe, as libjpeg-turbo"

func jpegSize(b []byte) (extent, error) {
	c, err := jpeg.DecodeConfig(b)
	return extent{c.Width, c.Height, c.PixelBytes}, err
}

func decodeJPEG(b []byte, window image.Rectangle) (*Picture, error) {
	p := scratch(0, 0, 0)
	pix, c, warning, err := jpeg.Decode(b, window, p.Pix)
	if err != nil {
		p.Release()
		return nil, err
	}
	*p = Picture{W: c.Width, H: c.Height, C: c.Channels, Pix: pix, Warning: warning}
	return p, nil
}
