package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"iter"

	"golang.org/x/image/webp"
)

type riffChunk struct {
	name string
	data []byte
}

// riffChunks are the whole chunks of a RIFF list.
func riffChunks(b []byte) iter.Seq[riffChunk] {
	return func(yield func(riffChunk) bool) {
		for len(b) >= 8 {
			n := uint64(binary.LittleEndian.Uint32(b[4:]))
			if n > uint64(len(b)-8) || !yield(riffChunk{string(b[:4]), b[8 : 8+n]}) {
				return
			}
			b = b[min(8+n+n%2, uint64(len(b))):]
		}
	}
}

// webpFile is the first frame of a WebP file and where it lies on the canvas.
type webpFile struct {
	canvas, frame image.Rectangle
	pixels        riffChunk // VP8 or VP8L
	alpha         bool      // in a chunk of its own
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// parseWebP finds the first frame. Alpha has chunks of its own, which are not looked into:
// PIL's convert("RGB") drops it.
func parseWebP(b []byte) (f webpFile, err error) {
	const animated = 2
	n := uint64(binary.LittleEndian.Uint32(b[4:]))
	if n+8 > uint64(len(b)) {
		return f, fmt.Errorf("the file has %d bytes, its header says %d", len(b), n+8)
	}
	flags := byte(0)
	for c := range riffChunks(b[12 : max(n, 4)+8]) {
		switch {
		case c.name == "VP8X" && len(c.data) >= 10 && f.canvas.Empty():
			flags, f.canvas = c.data[0], image.Rect(0, 0, uint24(c.data[4:])+1, uint24(c.data[7:])+1)
			f.frame = f.canvas
		case c.name == "ANMF" && flags&animated != 0:
			if len(c.data) < 16 {
				return f, errors.New("its first frame has no header")
			}
			at := image.Pt(2*uint24(c.data), 2*uint24(c.data[3:]))
			f.frame = image.Rect(0, 0, uint24(c.data[6:])+1, uint24(c.data[9:])+1).Add(at)
			for inner := range riffChunks(c.data[16:]) {
				f.alpha = f.alpha || inner.name == "ALPH"
				if inner.name == "VP8 " || inner.name == "VP8L" {
					f.pixels = inner
					return f, f.check()
				}
			}
			return f, errors.New("its first frame has no pixels")
		case c.name == "ALPH":
			f.alpha = true
		case c.name == "VP8 " || c.name == "VP8L":
			if flags&animated == 0 {
				f.pixels = c
				return f, f.check()
			}
		}
	}
	return f, errors.New("it has no picture")
}

// check compares the frame's own size with the one in the headers around it.
func (f *webpFile) check() error {
	c, err := webp.DecodeConfig(f.file())
	if err != nil {
		return err
	}
	if own := image.Rect(0, 0, c.Width, c.Height); f.canvas.Empty() {
		f.canvas, f.frame = own, own
	}
	if f.frame.Dx() != c.Width || f.frame.Dy() != c.Height || !f.frame.In(f.canvas) {
		return fmt.Errorf("its first frame has %d x %d pixels, and should lie at %v on a canvas of %d x %d",
			c.Width, c.Height, f.frame, f.canvas.Dx(), f.canvas.Dy())
	}
	return nil
}

// file is a WebP file of the frame alone.
func (f *webpFile) file() io.Reader {
	n := len(f.pixels.data)
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(12+n+n%2))
	head = binary.LittleEndian.AppendUint32(append(head, "WEBP"+f.pixels.name...), uint32(n))
	return io.MultiReader(readers([][]byte{head, f.pixels.data, make([]byte, n%2)})...)
}

func webpSize(b []byte) (extent, error) {
	f, err := parseWebP(b)
	e := extent{f.canvas.Dx(), f.canvas.Dy(), 6}
	if f.frame != f.canvas {
		e.bytes += 3
	}
	return e, err
}

// decodeWebP decodes the first frame. What it leaves of the canvas is black: PIL, and
// libwebp's animation decoder below it, pass over the background color.
func decodeWebP(b []byte) (*Picture, error) {
	f, err := parseWebP(b)
	if err != nil {
		return nil, err
	}
	m, err := webp.Decode(f.file())
	if err != nil {
		return nil, err
	}
	var p *Picture
	switch m := m.(type) {
	case *image.YCbCr:
		p = fromWebP(m)
	default:
		p = reuse(m)
	}
	p.Transparent = p.Transparent || f.alpha || f.frame != f.canvas
	if f.frame != f.canvas {
		clear := p.Transparent
		at := f.canvas.Min.Sub(f.frame.Min)
		p = p.crop(at.X, at.Y, f.canvas.Dx(), f.canvas.Dy(), nil)
		p.Transparent = clear
	}
	return p, nil
}

// fromWebP converts a lossy WebP's planes as libwebp does by default: its own
// "fancy" upsampling of 4:2:0 chroma and its limited-range colour matrix
// (upsampling.c, yuv.h). Go's own conversion takes the planes for JPEG's.
func fromWebP(m *image.YCbCr) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	p := New(w, h, 3)
	cw, ch := (w+1)/2, (h+1)/2
	cb, cr := make([]uint8, w), make([]uint8, w)
	for y := range h {
		near := y / 2
		far := min(max(near-1+2*(y%2), 0), ch-1)
		for _, c := range []struct{ dst, plane []uint8 }{{cb, m.Cb}, {cr, m.Cr}} {
			webpRow(c.dst, c.plane[near*m.CStride:near*m.CStride+cw], c.plane[far*m.CStride:far*m.CStride+cw])
		}
		for x := range w {
			l, u, v := int32(m.Y[y*m.YStride+x])*19077>>8, int32(cb[x]), int32(cr[x])
			i := (y*w + x) * 3
			p.Pix[i] = clamp((l + v*26149>>8 - 14234) >> 6)
			p.Pix[i+1] = clamp((l - u*6419>>8 - v*13320>>8 + 8708) >> 6)
			p.Pix[i+2] = clamp((l + u*33050>>8 - 17685) >> 6)
		}
	}
	return p
}

// webpRow doubles a chroma row: weights 9, 3, 3 and 1 of the four samples
// around, computed over the diagonals with libwebp's two roundings.
func webpRow(dst, near, far []uint8) {
	edge := func(x int) uint8 { return uint8((3*uint32(near[x]) + uint32(far[x]) + 2) >> 2) }
	dst[0] = edge(0)
	for x := 1; 2*x-1 < len(dst); x++ {
		if x == len(near) {
			dst[2*x-1] = edge(x - 1)
			break
		}
		n0, n1, f0, f1 := uint32(near[x-1]), uint32(near[x]), uint32(far[x-1]), uint32(far[x])
		sum := n0 + n1 + f0 + f1 + 8
		dst[2*x-1] = uint8(((sum+2*(n1+f0))>>3 + n0) >> 1)
		if 2*x < len(dst) {
			dst[2*x] = uint8(((sum+2*(n0+f1))>>3 + n1) >> 1)
		}
	}
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
