package picture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"io"
	"slices"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// DefaultMaxPixels is the size at which PIL takes an image for a decompression bomb.
const DefaultMaxPixels = 178956970

// imageFormat is told by a file's first bytes, whatever its name says.
type imageFormat struct {
	name       string
	magic      string // ? stands for any byte
	extensions []string
	size       func([]byte) (w, h int, err error)
	// decode makes at least the pixels within the window.
	decode func(b []byte, window image.Rectangle) (*Picture, error)
}

var imageFormats = []imageFormat{
	{"JPEG", "\xff\xd8\xff", []string{".jpg", ".jpeg", ".jpe", ".jfif"}, jpegSize, decodeJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", []string{".png"}, header(png.DecodeConfig), with(png.Decode)},
	{"WebP", "RIFF????WEBP", []string{".webp"}, header(webp.DecodeConfig), whole(decodeWebP)},
	{"GIF", "GIF8?a", []string{".gif"}, header(gif.DecodeConfig), whole(decodeGIF)},
	{"BMP", "BM", []string{".bmp", ".dib"}, header(bmp.DecodeConfig), with(bmp.Decode)},
	{"TIFF", "II*\x00", []string{".tif", ".tiff"}, tiffSize, decodeTIFF},
	{"TIFF", "MM\x00*", nil, tiffSize, decodeTIFF},
	{"TIFF", "II+\x00", nil, tiffSize, decodeTIFF}, // BigTIFF
	{"TIFF", "MM\x00+", nil, tiffSize, decodeTIFF},
}

func header(config func(io.Reader) (image.Config, error)) func([]byte) (w, h int, err error) {
	return func(b []byte) (w, h int, err error) {
		c, err := config(bytes.NewReader(b))
		return c.Width, c.Height, err
	}
}

// whole is a decoder that makes all pixels.
func whole(decode func([]byte) (*Picture, error)) func([]byte, image.Rectangle) (*Picture, error) {
	return func(b []byte, _ image.Rectangle) (*Picture, error) { return decode(b) }
}

func with(decode func(io.Reader) (image.Image, error)) func([]byte, image.Rectangle) (*Picture, error) {
	return whole(func(b []byte) (*Picture, error) {
		m, err := decode(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return FromImage(m), nil
	})
}

// Is reports whether a file that begins with b is an image of a format that Decode reads.
func Is(b []byte) bool {
	return slices.ContainsFunc(imageFormats, func(f imageFormat) bool { return hasMagic(b, f.magic) })
}

// IsName reports whether a file is named as an image.
func IsName(name string) bool {
	return slices.ContainsFunc(imageFormats, func(f imageFormat) bool { return hasExtension(name, f.extensions) })
}

// Extensions are those of the files that Decode reads, with the dot, in small letters.
func Extensions() (all []string) {
	for _, f := range imageFormats {
		all = append(all, f.extensions...)
	}
	return all
}

// SizeOf reads an image's size from its header, and checks it. More than maxPixels are an
// error; 0 is DefaultMaxPixels.
func SizeOf(b []byte, maxPixels int64) (w, h int, err error) {
	_, w, h, err = imageSize(b, maxPixels)
	return w, h, err
}

// imageSize is SizeOf and the format.
func imageSize(b []byte, maxPixels int64) (format int, w, h int, err error) {
	defer safe.Rescue(&err)
	if len(b) == 0 {
		return 0, 0, 0, errors.New("the file is empty")
	}
	if k := UnreadAs(b); k != nil {
		return 0, 0, 0, k
	}
	format = -1
	for i, f := range imageFormats {
		if hasMagic(b, f.magic) {
			format = i
			break
		}
	}
	if format < 0 {
		return 0, 0, 0, fmt.Errorf("it begins with %q, which is none of JPEG, PNG, WebP, GIF, BMP and TIFF", b[:min(len(b), 12)])
	}
	name := imageFormats[format].name
	if w, h, err = imageFormats[format].size(b); err != nil {
		return 0, 0, 0, fmt.Errorf("decoding %s: %w", name, err)
	}
	if w <= 0 || h <= 0 {
		return 0, 0, 0, fmt.Errorf("decoding %s: it has %d x %d pixels", name, w, h)
	}
	if maxPixels = cmp.Or(maxPixels, DefaultMaxPixels); int64(w) > maxPixels/int64(h) {
		return 0, 0, 0, fmt.Errorf("decoding %s: its header claims %d x %d pixels, the limit is %d pixels in all", name, w, h, maxPixels)
	}
	return format, w, h, nil
}

func hasMagic(b []byte, magic string) bool {
	if len(b) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != b[i] {
			return false
		}
	}
	return true
}

// Decode decodes the first picture of an image file, as PIL's convert("RGB") or, for
// grey images, convert("L") gives it. More than maxPixels are an error before memory is
// taken for them; 0 is DefaultMaxPixels. Seen tells which of the pixels matter, and others
// may be anything; nil is all.
func Decode(b []byte, maxPixels int64, seen func(w, h int) image.Rectangle) (p *Picture, err error) {
	defer safe.Rescue(&err)
	format, w, h, err := imageSize(b, maxPixels)
	if err != nil {
		return nil, err
	}
	name, window := imageFormats[format].name, image.Rect(0, 0, w, h)
	if seen != nil {
		window = seen(w, h)
	}
	if p, err = imageFormats[format].decode(b, window); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	return p, nil
}

func decodeWebP(b []byte) (*Picture, error) {
	m, err := webp.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return fromWebP(m), nil
	case *image.NYCbCrA:
		return fromWebP(&m.YCbCr), nil
	}
	return FromImage(m), nil
}

// decodeGIF decodes the first frame on its canvas. Transparent pixels show
// their palette colour, and so does the canvas around the frame: index 0, or
// the transparent one.
func decodeGIF(b []byte) (*Picture, error) {
	b, background := opaqueGIF(b)
	c, err := gif.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	m, err := gif.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	frame, ok := m.(*image.Paletted)
	if !ok || m.Bounds() == image.Rect(0, 0, c.Width, c.Height) {
		return FromImage(m), nil
	}
	canvas := image.NewPaletted(image.Rect(0, 0, c.Width, c.Height), frame.Palette)
	for i := range canvas.Pix {
		canvas.Pix[i] = background
	}
	r := frame.Rect.Intersect(canvas.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(canvas.Pix[canvas.PixOffset(r.Min.X, y):canvas.PixOffset(r.Max.X, y)], frame.Pix[frame.PixOffset(r.Min.X, y):])
	}
	return FromImage(canvas), nil
}

// opaqueGIF clears the first frame's transparency flag, in a copy: Go's decoder
// would lose that palette entry's colour. It gives the index that was
// transparent, else 0.
func opaqueGIF(b []byte) ([]byte, uint8) {
	const screen = 13
	if len(b) < screen {
		return b, 0
	}
	at := screen
	if b[10]&0x80 != 0 {
		at += 3 << (b[10]&7 + 1)
	}
	for at+2 < len(b) && b[at] == 0x21 {
		if b[at+1] == 0xf9 && at+6 < len(b) && b[at+3]&1 != 0 {
			b = bytes.Clone(b)
			b[at+3] &^= 1
			return b, b[at+6]
		}
		for at += 2; at < len(b) && b[at] != 0; at += 1 + int(b[at]) {
		}
		at++
	}
	return b, 0
}
