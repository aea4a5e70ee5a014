// Package picture turns image files into model inputs.
//
// Decode gives the pixels that PIL gives, Preprocess resizes, crops and normalises them
// as torchvision does, and Renderer lays them out as a model takes them. Resizing is bit
// for bit PIL's, and JPEG's pixels are libjpeg-turbo's; both are in plain Go.
// Geometry says where the pixels of the result lie on the picture. Every file is taken for hostile.
package picture

import (
	"image"
	"image/color"
	"sync"
)

// Picture is an 8-bit image in row-major order, its channels interleaved: 1
// (luminance) or 3 (red, green, blue).
type Picture struct {
	W, H, C int
	Pix     []uint8
	// Warning is what is doubtful about the pixels, and its remedy, in words that do not
	// differ from picture to picture: damage that the decoder went over, pixels that were
	// clipped. It is "" for most.
	Warning string
	// Transparent says that pixels may not be opaque, whose colors are there all the same.
	Transparent bool
}

// clippedWarning is of 16-bit grey, of which PIL's convert("RGB") makes white all that is
// over 255.
const clippedWarning = "more than 1 % of its pixels, which have 16 bits, are over 255 and were clipped to white, as PIL does; " +
	"scale such pictures to 8 bits before"

// New is a black picture of w x h pixels and c channels, 1 or 3.
func New(w, h, c int) *Picture {
	return &Picture{W: w, H: h, C: c, Pix: make([]uint8, w*h*c)}
}

// scratch is a picture of whatever was in memory before, which release gives back.
func scratch(w, h, c int) *Picture {
	p := idle.Get().(*Picture)
	if p.W, p.H, p.C = w, h, c; cap(p.Pix) < w*h*c {
		p.Pix = make([]uint8, w*h*c)
	}
	p.Pix = p.Pix[:w*h*c]
	p.Warning, p.Transparent = "", false
	return p
}

// Release gives a picture's memory to the next scratch; it is not used after.
func (p *Picture) Release() {
	if cap(p.Pix) <= maxIdle {
		idle.Put(p)
	}
}

var idle = sync.Pool{New: func() any { return new(Picture) }}

// maxIdle bounds the memory of one picture that waits for its next use.
const maxIdle = 16 << 20

// luma is PIL's conversion from RGB to L: ITU-R 601-2 in 16-bit fixed point.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// Channels converts between 1 and 3 channels as PIL's convert("L") and
// convert("RGB") do; a picture that has as many is returned itself.
func (p *Picture) Channels(c int) *Picture {
	if c == p.C {
		return p
	}
	q := New(p.W, p.H, c)
	q.Warning, q.Transparent = p.Warning, p.Transparent
	if c == 1 {
		for i := range q.Pix {
			q.Pix[i] = luma(p.Pix[3*i], p.Pix[3*i+1], p.Pix[3*i+2])
		}
		return q
	}
	for i, v := range p.Pix {
		q.Pix[3*i], q.Pix[3*i+1], q.Pix[3*i+2] = v, v, v
	}
	return q
}

// FromImage converts what Go's decoders return as PIL's convert("RGB") does:
// alpha is dropped, not blended; 16-bit colour keeps its high byte, but 16-bit
// grey is clipped at 255. Grey images keep one channel.
func FromImage(m image.Image) *Picture {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	switch m := m.(type) {
	case *image.Gray:
		p := New(w, h, 1)
		for y := range h {
			copy(p.Pix[y*w:(y+1)*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):])
		}
		return p
	case *image.Gray16:
		p, clipped := New(w, h, 1), 0
		for y := range h {
			row := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):]
			for x := range w {
				p.Pix[y*w+x] = row[2*x+1]
				if row[2*x] != 0 {
					p.Pix[y*w+x] = 255
					clipped++
				}
			}
		}
		if clipped*100 > w*h {
			p.Warning = clippedWarning
		}
		return p
	}
	p := New(w, h, 3)
	p.Transparent = transparent(m)
	rgb := colours(m)
	for i, y := 0, b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x, i = x+1, i+3 {
			p.Pix[i], p.Pix[i+1], p.Pix[i+2] = rgb(x, y)
		}
	}
	return p
}

func transparent(m image.Image) bool {
	o, ok := m.(interface{ Opaque() bool })
	return ok && !o.Opaque()
}

// reuse is FromImage for a picture that nobody else keeps: where that can be, its memory
// becomes the result's.
func reuse(m image.Image) *Picture {
	alpha := transparent(m)
	pack := func(pix []uint8, stride, step, next int) *Picture {
		w, h := m.Bounds().Dx(), m.Bounds().Dy()
		if stride != w*step {
			return FromImage(m)
		}
		for i, o := 0, 0; i+step <= len(pix); i, o = i+step, o+3 {
			pix[o], pix[o+1], pix[o+2] = pix[i], pix[i+next], pix[i+2*next]
		}
		return &Picture{W: w, H: h, C: 3, Pix: pix[:w*h*3], Transparent: alpha}
	}
	switch m := m.(type) {
	case *image.Gray:
		if w, h := m.Rect.Dx(), m.Rect.Dy(); m.Stride == w {
			return &Picture{W: w, H: h, C: 1, Pix: m.Pix[:w*h]}
		}
	case *image.RGBA:
		if !alpha {
			return pack(m.Pix, m.Stride, 4, 1)
		}
	case *image.NRGBA:
		return pack(m.Pix, m.Stride, 4, 1)
	case *image.RGBA64:
		if !alpha {
			return pack(m.Pix, m.Stride, 8, 2)
		}
	case *image.NRGBA64:
		return pack(m.Pix, m.Stride, 8, 2)
	}
	return FromImage(m)
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
func (p *Picture) crop(x0, y0, w, h int, fill []uint8) *Picture {
	if x0 == 0 && y0 == 0 && w == p.W && h == p.H {
		return p
	}
	q := New(w, h, p.C)
	if x0 < 0 || y0 < 0 || x0+w > p.W || y0+h > p.H {
		for i := range q.Pix {
			if len(fill) > 0 {
				q.Pix[i] = fill[i%p.C%len(fill)]
			}
		}
	}
	from, to := max(x0, 0), min(x0+w, p.W)
	for y := max(y0, 0); y < min(y0+h, p.H) && from < to; y++ {
		copy(q.Pix[((y-y0)*w+from-x0)*p.C:], p.Pix[(y*p.W+from)*p.C:(y*p.W+to)*p.C])
	}
	return q
}

// Image is a copy of the picture, in colour.
func (p *Picture) Image() image.Image {
	q := p.Channels(3)
	m := image.NewRGBA(image.Rect(0, 0, q.W, q.H))
	for k := range q.W * q.H {
		m.SetRGBA(k%q.W, k/q.W, color.RGBA{q.Pix[3*k], q.Pix[3*k+1], q.Pix[3*k+2], 255})
	}
	return m
}
