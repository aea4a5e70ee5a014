package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

const (
	// DefaultMaxPixels is the size at which PIL takes an image for a
	// decompression bomb.
	DefaultMaxPixels = 178956970
	// DefaultMaxFileBytes bounds one image file.
	DefaultMaxFileBytes = 1 << 30
	// A progressive JPEG has some ten scans; each costs a pass over the picture.
	maxScans = 1000
)

// imageFormat is told by a file's first bytes, whatever its name says.
type imageFormat struct {
	name       string
	magic      string // ? stands for any byte
	extensions []string
	config     func(io.Reader) (image.Config, error)
	decode     func([]byte) (*picture, error)
}

var imageFormats = []imageFormat{
	{"JPEG", "\xff\xd8\xff", []string{".jpg", ".jpeg", ".jpe", ".jfif"}, jpeg.DecodeConfig, decodeJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", []string{".png"}, png.DecodeConfig, with(png.Decode)},
	{"WebP", "RIFF????WEBP", []string{".webp"}, webp.DecodeConfig, decodeWebP},
	{"GIF", "GIF8?a", []string{".gif"}, gif.DecodeConfig, decodeGIF},
	{"BMP", "BM", []string{".bmp", ".dib"}, bmp.DecodeConfig, with(bmp.Decode)},
	{"TIFF", "II*\x00", []string{".tif", ".tiff"}, tiff.DecodeConfig, with(tiff.Decode)},
	{"TIFF", "MM\x00*", nil, tiff.DecodeConfig, with(tiff.Decode)},
}

func with(decode func(io.Reader) (image.Image, error)) func([]byte) (*picture, error) {
	return func(b []byte) (*picture, error) {
		m, err := decode(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return fromImage(m), nil
	}
}

// isImageName reports whether a file is named as an image.
func isImageName(name string) bool {
	for _, f := range imageFormats {
		for _, ext := range f.extensions {
			if len(name) > len(ext) && strings.EqualFold(name[len(name)-len(ext):], ext) {
				return true
			}
		}
	}
	return false
}

// limits bound what one image may cost.
type limits struct{ pixels, bytes int64 }

// readRegular reads a whole file of at most limit bytes. Pipes and devices,
// which may never end, are an error.
func readRegular(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, reason(err)
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	b := bytes.NewBuffer(make([]byte, 0, min(st.Size(), limit)+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, reason(err)
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("it has more than %d bytes, the limit for one image", limit)
	}
	return b.Bytes(), nil
}

// reason drops the path that os errors repeat.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// imageSize reads an image's size from its header, and checks it.
func imageSize(b []byte, l limits) (format int, w, h int, err error) {
	defer rescue(&err)
	if len(b) == 0 {
		return 0, 0, 0, errors.New("the file is empty")
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
	c, err := imageFormats[format].config(bytes.NewReader(b))
	if err != nil {
		return 0, 0, 0, fmt.Errorf("decoding %s: %w", name, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return 0, 0, 0, fmt.Errorf("decoding %s: it has %d x %d pixels", name, c.Width, c.Height)
	}
	if int64(c.Width) > l.pixels/int64(c.Height) {
		return 0, 0, 0, fmt.Errorf("decoding %s: its header claims %d x %d pixels, the limit is %d pixels in all", name, c.Width, c.Height, l.pixels)
	}
	return format, c.Width, c.Height, nil
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

// decodeImage decodes the first picture of an image file, as PIL's
// convert("RGB") or, for grey images, convert("L") gives it.
func decodeImage(b []byte, l limits) (p *picture, err error) {
	defer rescue(&err)
	format, _, _, err := imageSize(b, l)
	if err != nil {
		return nil, err
	}
	name := imageFormats[format].name
	if p, err = imageFormats[format].decode(b); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	return p, nil
}

// rescue turns a panic, as decoders throw over files nobody thought of, into
// an error.
func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the decoder failed: %v", r)
	}
}

func decodeJPEG(b []byte) (*picture, error) {
	if n := scans(b); n > maxScans {
		return nil, fmt.Errorf("it has %d scans, at most %d are accepted", n, maxScans)
	}
	return decodeScans(b)
}

func goJPEG(b []byte) (*picture, error) {
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if y, ok := m.(*image.YCbCr); ok {
		return fromYCbCr(y), nil
	}
	return fromImage(m), nil
}

// scans counts a JPEG's scans: its SOS markers up to the end of the image.
func scans(b []byte) (n int) {
	for at := 2; at+4 <= len(b); {
		next := bytes.IndexByte(b[at:], 0xff)
		if next < 0 || at+next+4 > len(b) {
			break
		}
		at += next
		switch m := b[at+1]; {
		case m == 0xff: // fill
			at++
		case m <= 1, m >= 0xd0 && m <= 0xd8: // a stuffed byte, a restart
			at += 2
		case m == 0xd9:
			return n
		default:
			if m == 0xda {
				n++
			}
			at += 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		}
	}
	return n
}

func decodeWebP(b []byte) (*picture, error) {
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
	return fromImage(m), nil
}

// decodeGIF decodes the first frame on its canvas. Transparent pixels show
// their palette colour, and so does the canvas around the frame: index 0, or
// the transparent one.
func decodeGIF(b []byte) (*picture, error) {
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
		return fromImage(m), nil
	}
	canvas := image.NewPaletted(image.Rect(0, 0, c.Width, c.Height), frame.Palette)
	for i := range canvas.Pix {
		canvas.Pix[i] = background
	}
	r := frame.Rect.Intersect(canvas.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(canvas.Pix[canvas.PixOffset(r.Min.X, y):canvas.PixOffset(r.Max.X, y)], frame.Pix[frame.PixOffset(r.Min.X, y):])
	}
	return fromImage(canvas), nil
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
