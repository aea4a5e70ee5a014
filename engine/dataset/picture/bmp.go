package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// bmpFile is the header of a BMP file and its palette, read as PIL's BmpImagePlugin does.
type bmpFile struct {
	w, h, bits  int
	topDown     bool
	compression uint32
	masks       [4]uint32 // red, green, blue, alpha
	// colors are what pixels of 8 bits or fewer stand for. Gray means that the colors are the
	// pixels themselves: black and white of pixels of 1 bit, else 0 to 255.
	colors [256][3]uint8
	gray   bool
	pixels int // where they begin
}

// Compressions of BMP files.
const (
	bmpRaw       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitfields = 3
)

var bmpCompressions = map[uint32]string{4: "JPEG, or RLE of 24 bits", 5: "PNG", 11: "CMYK", 12: "CMYK with RLE8", 13: "CMYK with RLE4"}

func parseBMP(b []byte) (f bmpFile, err error) {
	le := binary.LittleEndian
	const head = 14
	if len(b) < head+12 {
		return f, errors.New("the file ends before its header")
	}
	f.pixels = int(le.Uint32(b[10:]))
	size := int(le.Uint32(b[head:]))
	at, entry, colors := head+size, 4, 0 // where the palette begins, the bytes and the number of its colors
	switch size {
	case 12:
		h := b[head:]
		f.w, f.h, f.bits, entry = int(le.Uint16(h[4:])), int(le.Uint16(h[6:])), int(le.Uint16(h[10:])), 3
	case 40, 52, 56, 64, 108, 124:
		if len(b) < at {
			return f, errors.New("the file ends before its header does")
		}
		h := b[head:at]
		f.w, f.h, f.topDown = int(le.Uint32(h[4:])), int(le.Uint32(h[8:])), h[11] == 0xff
		if f.topDown {
			f.h = 1<<32 - f.h
		}
		f.bits, f.compression, colors = int(le.Uint16(h[14:])), le.Uint32(h[16:]), int(le.Uint32(h[32:]))
		if f.compression == bmpBitfields {
			masks := append([]byte(nil), h[40:]...)
			if size == 40 {
				masks = append(masks, b[at:min(at+12, len(b))]...)
				at += 12
			}
			if len(masks) < 12 {
				return f, errors.New("the file ends before its bit fields")
			}
			f.masks = [4]uint32{le.Uint32(masks), le.Uint32(masks[4:]), le.Uint32(masks[8:])}
			if len(masks) >= 16 {
				f.masks[3] = le.Uint32(masks[12:])
			}
		}
	default:
		return f, fmt.Errorf("its header has %d bytes, which is of no known kind", size)
	}
	if colors == 0 && f.bits <= 8 {
		colors = 1 << f.bits
	}
	if f.bits <= 8 && f.pixels == head+size {
		f.pixels += entry * colors
	}
	if f.bits <= 8 {
		if colors < 1 || colors > 1<<16 {
			return f, fmt.Errorf("its palette has %d colors", colors)
		}
		f.palette(b[min(at, len(b)):min(at+entry*colors, len(b))], entry, colors)
		at = min(at+entry*colors, len(b))
	}
	if f.pixels == 0 {
		f.pixels = at
	}
	return f, f.check(colors)
}

// palette reads the colors, of which a file may lack the last. As many grays as there are
// colors, one for each, or black and white are none to PIL.
func (f *bmpFile) palette(b []byte, entry, colors int) {
	f.gray = true
	for i := range colors {
		value := uint8(i)
		if colors == 2 {
			value *= 255
		}
		if len(b) < entry*i+3 {
			f.gray = false
			break
		}
		c := [3]uint8{b[entry*i+2], b[entry*i+1], b[entry*i]}
		if i < len(f.colors) && len(b) >= entry*(i+1) {
			f.colors[i] = c
		}
		f.gray = f.gray && c == [3]uint8{value, value, value}
	}
}

// bmpLayouts are the masks that PIL knows, by the bits of a pixel.
var bmpLayouts = map[int][][4]uint32{
	32: {{0xff0000, 0xff00, 0xff, 0}, {0xff000000, 0xff0000, 0xff00, 0}, {0xff000000, 0xff00, 0xff, 0},
		{0xff000000, 0xff0000, 0xff00, 0xff}, {0xff, 0xff00, 0xff0000, 0xff000000}, {0xff0000, 0xff00, 0xff, 0xff000000},
		{0xff000000, 0xff00, 0xff, 0xff0000}, {}},
	24: {{0xff0000, 0xff00, 0xff}},
	16: {{0xf800, 0x7e0, 0x1f}, {0x7c00, 0x3e0, 0x1f}},
}

// check refuses what PIL refuses, and what it reads wrong.
func (f *bmpFile) check(colors int) error {
	switch f.bits {
	case 1, 4, 8, 16, 24, 32:
	default:
		return fmt.Errorf("its pixels have %d bits, want 1, 4, 8, 16, 24 or 32", f.bits)
	}
	switch f.compression {
	case bmpRaw:
		f.masks = map[int][4]uint32{16: {0x7c00, 0x3e0, 0x1f}, 24: {0xff0000, 0xff00, 0xff}, 32: {0xff0000, 0xff00, 0xff}}[f.bits]
	case bmpBitfields:
		known := false
		for _, m := range bmpLayouts[f.bits] {
			known = known || f.masks == m || f.bits < 32 && [3]uint32(f.masks[:3]) == [3]uint32(m[:3])
		}
		if !known {
			return fmt.Errorf("its bit fields %x of %d bits are of no known layout", f.masks, f.bits)
		}
		if f.masks == [4]uint32{} {
			f.masks = [4]uint32{0xff0000, 0xff00, 0xff}
		}
	case bmpRLE8, bmpRLE4:
		if f.bits > 8 {
			return fmt.Errorf("its pixels of %d bits are compressed as those of a palette", f.bits)
		}
		return f.checkPalette(colors, 8)
	default:
		return fmt.Errorf("its compression is %d (%s), which is not read", f.compression, bmpCompressions[f.compression])
	}
	return f.checkPalette(colors, f.bits)
}

// checkPalette refuses palettes that PIL takes for pixels of other bits than they are.
func (f *bmpFile) checkPalette(colors, bits int) error {
	switch {
	case bits > 8:
	case !f.gray && colors > len(f.colors):
		return fmt.Errorf("its palette has %d colors, want at most %d", colors, len(f.colors))
	case f.gray && (bits == 4 || (bits == 1) != (colors <= 2)) && f.compression == bmpRaw:
		return fmt.Errorf("its palette is %d grays alone for pixels of %d bits, which is not read: PIL takes such for other pixels", colors, f.bits)
	}
	return nil
}

func bmpSize(b []byte) (extent, error) {
	f, err := parseBMP(b)
	e := extent{f.w, f.h, 3}
	if f.gray {
		e.bytes = 1
	}
	if f.compression == bmpRLE8 || f.compression == bmpRLE4 {
		e.bytes++
	}
	return e, err
}

func decodeBMP(b []byte) (*Picture, error) {
	f, err := parseBMP(b)
	if err != nil {
		return nil, err
	}
	row, stride := (f.w*f.bits+7)/8, (f.w*f.bits+31)/32*4
	data := b[min(f.pixels, len(b)):]
	if f.compression == bmpRLE8 || f.compression == bmpRLE4 {
		if data, err = f.unpack(data); err != nil {
			return nil, err
		}
		f.bits, row, stride = 8, f.w, f.w
	}
	if need := stride*(f.h-1) + row; len(data) < need {
		return nil, fmt.Errorf("the file ends before its pixels do: %d of %d bytes are there", len(data), need)
	}
	channels := 3
	if f.gray {
		channels = 1
	}
	p := New(f.w, f.h, channels)
	p.Transparent = f.masks[3] != 0
	n := p.W * p.C
	for y := range f.h {
		to := f.h - 1 - y
		if f.topDown {
			to = y
		}
		f.row(p.Pix[to*n:(to+1)*n], data[y*stride:y*stride+row])
	}
	return p, nil
}

// row makes the pixels of a row of the file.
func (f *bmpFile) row(dst, src []byte) {
	switch {
	case f.bits <= 8:
		for x := range f.w {
			at := x * f.bits
			v := src[at/8] << (at % 8) >> (8 - f.bits)
			switch {
			case !f.gray:
				copy(dst[3*x:], f.colors[v][:])
			case f.whole():
				dst[x] = v
			case v != 0:
				dst[x] = 255
			}
		}
	case f.bits == 16:
		for x := range f.w {
			v := uint32(binary.LittleEndian.Uint16(src[2*x:]))
			for c := range 3 {
				low := f.masks[c] & -f.masks[c]
				dst[3*x+c] = uint8((v & f.masks[c]) / low * 255 / (f.masks[c] / low))
			}
		}
	default:
		step := f.bits / 8
		var at [3]int
		for c := range at {
			for m := f.masks[c]; m > 0xff; m >>= 8 {
				at[c]++
			}
		}
		for i, o := 0, 0; i < len(src); i, o = i+step, o+3 {
			dst[o], dst[o+1], dst[o+2] = src[i+at[0]], src[i+at[1]], src[i+at[2]]
		}
	}
}

// whole reports that grays are those of the pixels, not black and white.
func (f *bmpFile) whole() bool { return f.colors[1] == [3]uint8{1, 1, 1} }

// unpack undoes run lengths: a byte a pixel, in the order of the file. What is skipped is
// color 0. As PIL does, it cuts runs off at the end of a row, and takes a picture without
// all its pixels for broken.
func (f *bmpFile) unpack(b []byte) ([]byte, error) {
	size := f.w * f.h
	out := make([]byte, 0, size+255)
	four := f.compression == bmpRLE4
	x := 0
	for at := 0; len(out) < size && at+1 < len(b); {
		n, v := int(b[at]), b[at+1]
		at += 2
		switch {
		case n > 0:
			n = max(min(n, f.w-x), 0)
			for i := range n {
				out = append(out, nibble(v, i, four))
			}
			x += n
		case v == 0:
			out = out[:len(out)+(f.w-len(out)%f.w)%f.w] // never written: 0
			x = 0
		case v == 1:
			at = len(b)
		case v == 2:
			if at+2 > len(b) {
				break
			}
			out = out[:min(size, len(out)+int(b[at])+int(b[at+1])*f.w)]
			x, at = len(out)%f.w, at+2
		default:
			count := min(size-len(out), int(v))
			bytes := count
			if four {
				bytes = (count + 1) / 2
			}
			if at+bytes > len(b) {
				at = len(b)
				break
			}
			for i := range count {
				if four {
					out = append(out, nibble(b[at+i/2], i, true))
				} else {
					out = append(out, b[at+i])
				}
			}
			x, at = x+int(v), at+bytes
			at += (f.pixels + at) % 2
		}
	}
	if len(out) < size {
		return nil, fmt.Errorf("its run lengths make %d of %d pixels", len(out), size)
	}
	return out, nil
}

// nibble is pixel i of a byte that stands for two, the first of which is the high one.
func nibble(v byte, i int, four bool) byte {
	switch {
	case !four:
		return v
	case i%2 == 0:
		return v >> 4
	}
	return v & 15
}
