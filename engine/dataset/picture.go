package dataset

import (
	"image"
	"image/color"
	"sync"
)

// picture is an 8-bit image in row-major order, its channels interleaved: 1
// (luminance) or 3 (red, green, blue).
type picture struct {
	w, h, c int
	pix     []uint8
}

func newPicture(w, h, c int) *picture {
	return &picture{w: w, h: h, c: c, pix: make([]uint8, w*h*c)}
}

// scratch is a picture of whatever was in memory before, which release gives back.
func scratch(w, h, c int) *picture {
	p := idle.Get().(*picture)
	if p.w, p.h, p.c = w, h, c; cap(p.pix) < w*h*c {
		p.pix = make([]uint8, w*h*c)
	}
	p.pix = p.pix[:w*h*c]
	return p
}

// release gives a picture's memory to the next scratch; it is not used after.
func (p *picture) release() {
	if cap(p.pix) <= maxIdle {
		idle.Put(p)
	}
}

var idle = sync.Pool{New: func() any { return new(picture) }}

// maxIdle bounds the memory of one picture that waits for its next use.
const maxIdle = 16 << 20

// luma is PIL's conversion from RGB to L: ITU-R 601-2 in 16-bit fixed point.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// channels converts between 1 and 3 channels as PIL's convert("L") and
// convert("RGB") do.
func (p *picture) channels(c int) *picture {
	if c == p.c {
		return p
	}
	q := newPicture(p.w, p.h, c)
	if c == 1 {
		for i := range q.pix {
			q.pix[i] = luma(p.pix[3*i], p.pix[3*i+1], p.pix[3*i+2])
		}
		return q
	}
	for i, v := range p.pix {
		q.pix[3*i], q.pix[3*i+1], q.pix[3*i+2] = v, v, v
	}
	return q
}

// fromImage converts what Go's decoders return as PIL's convert("RGB") does:
// alpha is dropped, not blended; 16-bit colour keeps its high byte, but 16-bit
// grey is clipped at 255. Grey images keep one channel.
func fromImage(m image.Image) *picture {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	switch m := m.(type) {
	case *image.Gray:
		p := newPicture(w, h, 1)
		for y := range h {
			copy(p.pix[y*w:(y+1)*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):])
		}
		return p
	case *image.Gray16:
		p := newPicture(w, h, 1)
		for y := range h {
			row := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):]
			for x := range w {
				p.pix[y*w+x] = row[2*x+1]
				if row[2*x] != 0 {
					p.pix[y*w+x] = 255
				}
			}
		}
		return p
	}
	p := newPicture(w, h, 3)
	rgb := colours(m)
	for i, y := 0, b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x, i = x+1, i+3 {
			p.pix[i], p.pix[i+1], p.pix[i+2] = rgb(x, y)
		}
	}
	return p
}

// colours is a reader of m's pixels, without alpha.
func colours(m image.Image) func(x, y int) (r, g, b uint8) {
	switch m := m.(type) {
	case *image.NRGBA:
		return func(x, y int) (r, g, b uint8) {
			s := m.Pix[m.PixOffset(x, y):]
			return s[0], s[1], s[2]
		}
	case *image.NRGBA64:
		return func(x, y int) (r, g, b uint8) {
			s := m.Pix[m.PixOffset(x, y):]
			return s[0], s[2], s[4]
		}
	case *image.RGBA:
		return func(x, y int) (r, g, b uint8) {
			s := m.Pix[m.PixOffset(x, y):]
			return unblend(s[0], s[3]), unblend(s[1], s[3]), unblend(s[2], s[3])
		}
	case *image.Paletted:
		var table [256][3]uint8 // an index past the palette is black
		for i, c := range m.Palette[:min(len(m.Palette), 256)] {
			table[i][0], table[i][1], table[i][2] = opaque(c)
		}
		return func(x, y int) (r, g, b uint8) {
			t := &table[m.Pix[m.PixOffset(x, y)]]
			return t[0], t[1], t[2]
		}
	case *image.CMYK: // PIL's cmyk2rgb
		return func(x, y int) (r, g, b uint8) {
			s := m.Pix[m.PixOffset(x, y):]
			k := 255 - s[3]
			return k - scale255(s[0], k), k - scale255(s[1], k), k - scale255(s[2], k)
		}
	}
	return func(x, y int) (r, g, b uint8) { return opaque(m.At(x, y)) }
}

// opaque is a colour's high bytes without its alpha.
func opaque(c color.Color) (r, g, b uint8) {
	switch c := c.(type) {
	case color.NRGBA:
		return c.R, c.G, c.B
	case color.RGBA:
		return unblend(c.R, c.A), unblend(c.G, c.A), unblend(c.B, c.A)
	}
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	return uint8(n.R >> 8), uint8(n.G >> 8), uint8(n.B >> 8)
}

// unblend undoes premultiplied alpha as PIL's rgba2rgbA does.
func unblend(v, alpha uint8) uint8 {
	if alpha == 0 || alpha == 255 {
		return v
	}
	return uint8(min(255*int(v)/int(alpha), 255))
}

// scale255 is a*b/255, rounded.
func scale255(a, b uint8) uint8 {
	t := uint32(a)*uint32(b) + 128
	return uint8((t>>8 + t) >> 8)
}

// crop copies the rectangle of w x h at (x0, y0), which may reach outside: fill
// is what lies there, one byte for each channel.
func (p *picture) crop(x0, y0, w, h int, fill []uint8) *picture {
	if x0 == 0 && y0 == 0 && w == p.w && h == p.h {
		return p
	}
	q := newPicture(w, h, p.c)
	if x0 < 0 || y0 < 0 || x0+w > p.w || y0+h > p.h {
		for i := range q.pix {
			if len(fill) > 0 {
				q.pix[i] = fill[i%p.c%len(fill)]
			}
		}
	}
	from, to := max(x0, 0), min(x0+w, p.w)
	for y := max(y0, 0); y < min(y0+h, p.h) && from < to; y++ {
		copy(q.pix[((y-y0)*w+from-x0)*p.c:], p.pix[(y*p.w+from)*p.c:(y*p.w+to)*p.c])
	}
	return q
}
