package picture

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"runtime/debug"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// DefaultMaxPixels is the size at which PIL takes an image for a decompression bomb.
const DefaultMaxPixels = 178956970

// imageFormat is told by a file's first bytes, whatever its name says.
type imageFormat struct {
	name       string
	magic      []string // any of them; ? stands for any byte
	extensions []string
	size       func([]byte) (extent, error)
	// decode makes at least the pixels within the window.
	decode func(b []byte, window image.Rectangle) (*Picture, error)
}

var imageFormats = []imageFormat{
	{"JPEG", []string{"\xff\xd8\xff"}, []string{".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}, jpegSize, decodeJPEG},
	{"PNG", []string{pngMagic}, []string{".png", ".apng"}, pngSize, whole(decodePNG)},
	{"WebP", []string{"RIFF????WEBP"}, []string{".webp"}, webpSize, whole(decodeWebP)},
	{"GIF", []string{"GIF87a", "GIF89a"}, []string{".gif"}, gifSize, whole(decodeGIF)},
	{"BMP", []string{"BM"}, []string{".bmp", ".dib"}, bmpSize, whole(decodeBMP)},
	{"PNM", []string{"P1", "P2", "P3", "P4", "P5", "P6"}, []string{".ppm", ".pgm", ".pbm", ".pnm"}, pnmSize, whole(decodePNM)},
	{"TIFF", []string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"}, []string{".tif", ".tiff"}, tiffSize, whole(decodeTIFF)}, // + is BigTIFF
}

func (f imageFormat) begins(b []byte) bool {
	return slices.ContainsFunc(f.magic, func(m string) bool { return hasMagic(b, m) })
}

// extent is what a header says: the size of a picture, and the bytes that decoding takes
// for each of its pixels at most, those of what it makes among them.
type extent struct{ w, h, bytes int }

// extentOf is that of what Go's decoders make, with room for FromImage's result beside it
// where reuse does not spare that.
func extentOf(c image.Config) extent {
	e := extent{c.Width, c.Height, 4}
	switch c.ColorModel {
	case color.GrayModel:
		e.bytes = 1
	case color.Gray16Model:
		e.bytes = 3
	case color.RGBA64Model, color.NRGBA64Model:
		e.bytes = 8
	case color.YCbCrModel, color.NYCbCrAModel, color.CMYKModel:
		e.bytes = 7
	}
	return e
}

// whole is a decoder that makes all pixels.
func whole(decode func([]byte) (*Picture, error)) func([]byte, image.Rectangle) (*Picture, error) {
	return func(b []byte, _ image.Rectangle) (*Picture, error) { return decode(b) }
}

// Is reports whether a file that begins with b is an image of a format that Decode reads.
func Is(b []byte) bool {
	return slices.ContainsFunc(imageFormats, func(f imageFormat) bool { return f.begins(b) })
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

// SizeOf reads an image's size from its header, and checks it. More than maxPixels, or as
// many that take more than five bytes each to decode, are an error; 0 is DefaultMaxPixels.
func SizeOf(b []byte, maxPixels int64) (w, h int, err error) {
	_, e, err := imageSize(b, maxPixels)
	if err != nil {
		return 0, 0, err
	}
	return e.w, e.h, nil
}

// imageSize is SizeOf, with the format and the memory.
func imageSize(b []byte, maxPixels int64) (format imageFormat, e extent, err error) {
	defer safe.Rescue(&err)
	if len(b) == 0 {
		return format, e, errors.New("the file is empty")
	}
	if k := UnreadAs(b); k != nil {
		return format, e, k
	}
	i := slices.IndexFunc(imageFormats, func(f imageFormat) bool { return f.begins(b) })
	if i < 0 {
		return format, e, fmt.Errorf("it begins with %q, which is none of JPEG, PNG, WebP, GIF, BMP, PNM and TIFF", b[:min(len(b), 12)])
	}
	format = imageFormats[i]
	if e, err = format.size(b); err == nil {
		err = e.check(min(cmp.Or(maxPixels, DefaultMaxPixels), math.MaxInt64/pixelBytes), len(b))
	}
	if err != nil {
		err = fmt.Errorf("decoding %s: %w", format.name, err)
	}
	return format, e, err
}

// Memory of one picture in bytes, its file and what that becomes until it is decoded: for
// each pixel that a picture may have at most pixelBytes, but always fewBytes.
const (
	pixelBytes = 5
	fewBytes   = 64 << 20
)

func (e extent) memory() int64 { return int64(e.w) * int64(e.h) * int64(e.bytes) }

// check compares a picture with the limits. File is the bytes of its file.
func (e extent) check(maxPixels int64, file int) error {
	if e.w <= 0 || e.h <= 0 {
		return fmt.Errorf("it has %d x %d pixels", e.w, e.h)
	}
	if int64(e.w) > maxPixels/int64(e.h) {
		err := fmt.Errorf("its header claims %d x %d pixels, the limit is %d pixels in all", e.w, e.h, maxPixels)
		return onnx.Remedy(err, "dataset.Options.MaxPixels")
	}
	if need, most := e.memory()+int64(file), max(maxPixels*pixelBytes, fewBytes); need > most {
		err := fmt.Errorf("its header claims %d x %d pixels, which take %d bytes with the file; the limit of %d pixels is one of %d bytes too",
			e.w, e.h, need, maxPixels, most)
		return onnx.Remedy(err, "dataset.Options.MaxPixels")
	}
	return nil
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
// grey images, convert("L") gives it. What SizeOf refuses is an error before memory is
// taken for it; 0 is DefaultMaxPixels. Seen tells which of the pixels matter, and others
// may be anything; nil is all.
func Decode(b []byte, maxPixels int64, seen func(w, h int) image.Rectangle) (p *Picture, err error) {
	defer safe.Rescue(&err)
	format, e, err := imageSize(b, maxPixels)
	if err != nil {
		return nil, err
	}
	if e.memory() > large {
		debug.FreeOSMemory()
	}
	window := image.Rect(0, 0, e.w, e.h)
	if seen != nil {
		window = seen(e.w, e.h)
	}
	if p, err = format.decode(b, window); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", format.name, err)
	}
	return p, nil
}

// large is the memory of a picture before which that of the last is given back: garbage is
// collected at twice the memory in use, and would lie beside it.
const large = 256 << 20
