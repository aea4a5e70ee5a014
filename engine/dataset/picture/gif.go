package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"io"
	"slices"
)

// gifFile is the first frame of a GIF file and its canvas, as PIL's GifImagePlugin finds
// them.
type gifFile struct {
	w, h       int
	frame      image.Rectangle
	interlaced bool
	palette    []byte // nil where colors are the pixels themselves, as gray
	clear      bool   // one color is transparent: the background
	background uint8  // what the frame leaves of the canvas: the transparent color, else the first
	data       []byte // compressed, from the first byte on
}

func parseGIF(b []byte) (f gifFile, err error) {
	const screen, descriptor = 13, 9
	short := errors.New("the file ends before its first frame")
	if len(b) < screen {
		return f, short
	}
	f.w, f.h = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	f.palette, b = gifPalette(b[10], b[screen:])
	for len(b) > 0 {
		kind := b[0]
		switch b = b[1:]; kind {
		case ';':
			return f, short
		case '!':
			if len(b) < 2 {
				return f, short
			}
			if n := int(b[1]); b[0] == 0xf9 && n > 0 {
				if n < 4 || len(b) < 6 {
					return f, errors.New("its graphic control is too short")
				}
				if b[2]&1 != 0 {
					f.background, f.clear = b[5], true
				}
			}
			for b = b[1:]; len(b) > 0 && b[0] != 0; {
				b = b[min(1+int(b[0]), len(b)):]
			}
		case ',':
			if len(b) < descriptor {
				return f, short
			}
			at := func(i int) int { return int(binary.LittleEndian.Uint16(b[i:])) }
			f.frame = image.Rect(at(0), at(2), at(0)+at(4), at(2)+at(6))
			f.w, f.h = max(f.w, f.frame.Max.X), max(f.h, f.frame.Max.Y)
			flags := b[8]
			f.interlaced = flags&0x40 != 0
			var own []byte // where it is grays alone, PIL takes the one of the file
			if own, f.data = gifPalette(flags, b[descriptor:]); own != nil {
				f.palette = own
			}
			return f, nil
		}
	}
	return f, short
}

// gifPalette is the palette that flags announce at the beginning of b, and what follows.
// One that makes each color the gray of its own number is none to PIL.
func gifPalette(flags byte, b []byte) (palette, rest []byte) {
	if flags&0x80 == 0 {
		return nil, b
	}
	n := min(3<<(flags&7+1), len(b))
	for i, v := range b[:n] {
		if int(v) != i/3 {
			return b[:n], b[n:]
		}
	}
	return nil, b[n:]
}

// file is a GIF file of the frame alone, with a palette that has all colors.
func (f gifFile) file() io.Reader {
	size := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, uint16(f.frame.Dx())), uint16(f.frame.Dy()))
	head := append(append([]byte("GIF89a"), size...), 0xf7, 0, 0)
	colors := make([]byte, 3*256)
	image := append(append([]byte{',', 0, 0, 0, 0}, size...), 0)
	if f.interlaced {
		image[9] = 0x40
	}
	return io.MultiReader(readers([][]byte{head, colors, image, f.data, {0, ';'}})...)
}

func gifSize(b []byte) (extent, error) {
	f, err := parseGIF(b)
	e := extent{f.w, f.h, 4}
	if f.interlaced {
		e.bytes++
	}
	return e, err
}

// decodeGIF decodes the first frame on its canvas. Transparent pixels show their color.
func decodeGIF(b []byte) (*Picture, error) {
	f, err := parseGIF(b)
	if err != nil {
		return nil, err
	}
	m, err := gif.Decode(f.file())
	if err != nil {
		return nil, err
	}
	frame, ok := m.(*image.Paletted)
	if !ok || frame.Rect.Size() != f.frame.Size() {
		return nil, fmt.Errorf("its first frame has %v pixels, want %v", m.Bounds().Size(), f.frame.Size())
	}
	var colors [256][3]uint8 // one past the palette is black
	for i := range colors {
		if f.palette == nil {
			colors[i] = [3]uint8{uint8(i), uint8(i), uint8(i)}
		} else if len(f.palette) >= 3*(i+1) {
			colors[i] = [3]uint8(f.palette[3*i:])
		}
	}
	p := New(f.w, f.h, 3)
	if f.frame.Dx() < f.w || f.frame.Dy() < f.h {
		copy(p.Pix, bytes.Repeat(colors[f.background][:], f.w))
		for y := 1; y < f.h; y++ {
			copy(p.Pix[y*f.w*3:], p.Pix[:f.w*3])
		}
	}
	p.Transparent = f.clear && (f.frame.Size() != image.Pt(f.w, f.h) || slices.Contains(frame.Pix, f.background))
	for y := range f.frame.Dy() {
		dst := p.Pix[((y+f.frame.Min.Y)*f.w+f.frame.Min.X)*3:]
		for x, v := range frame.Pix[y*frame.Stride : y*frame.Stride+f.frame.Dx()] {
			copy(dst[3*x:], colors[v][:])
		}
	}
	return p, nil
}
