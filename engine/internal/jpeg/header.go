package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
)

// Markers, T.81 table B.1.
const (
	mTEM   = 0x01
	mSOF0  = 0xc0
	mSOF1  = 0xc1
	mSOF2  = 0xc2
	mDHT   = 0xc4
	mSOF15 = 0xcf
	mDAC   = 0xcc
	mRST0  = 0xd0
	mRST7  = 0xd7
	mSOI   = 0xd8
	mEOI   = 0xd9
	mSOS   = 0xda
	mDQT   = 0xdb
	mDNL   = 0xdc
	mDRI   = 0xdd
	mDHP   = 0xde
	mEXP   = 0xdf
	mAPP0  = 0xe0
	mAPP14 = 0xee
	mAPP15 = 0xef
	mCOM   = 0xfe
)

var errShort = fmt.Errorf("the file ends before its end-of-image marker: %w", io.ErrUnexpectedEOF)

// zigzag is where the coefficients of a block lie in its rows, in the order of
// the file; runs past the end stay at the last, as in libjpeg.
var zigzag = [128]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
}

// next is the next marker; whatever lies before it is passed over, as libjpeg does.
func (d *decoder) next() (int, error) {
	if m := d.bits.marker; m != 0 { // the one that ended a scan
		d.bits.marker = 0
		return m, nil
	}
	for from := d.at; ; from = -1 {
		i := bytes.IndexByte(d.data[d.at:], 0xff)
		if i < 0 {
			d.at = len(d.data)
			return 0, errShort
		}
		if d.at += i; d.at != from {
			d.damage |= strayBytes
		}
		for d.at < len(d.data) && d.data[d.at] == 0xff {
			d.at++
		}
		if d.at == len(d.data) {
			return 0, errShort
		}
		d.at++
		if m := int(d.data[d.at-1]); m != 0 {
			return m, nil
		}
	}
}

// segment is the parameters of the marker just read.
func (d *decoder) segment() ([]byte, error) {
	if d.at+2 > len(d.data) {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(d.data[d.at:]))
	if n < 2 {
		return nil, broken("a marker's length is %d, want at least 2", n)
	}
	if d.at+n > len(d.data) {
		return nil, errShort
	}
	s := d.data[d.at+2 : d.at+n]
	d.at += n
	return s, nil
}

// header reads up to the frame.
func (d *decoder) header() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != mSOI {
		return broken("it does not begin with a start-of-image marker")
	}
	d.at = 2
	for d.width == 0 {
		m, err := d.next()
		if err != nil {
			return err
		}
		if m == mSOS || m == mEOI {
			return broken("it has no frame before marker %#x", m)
		}
		if err := d.marker(m); err != nil {
			return err
		}
	}
	return nil
}

// marker reads the parameters of a marker other than those of scans and of the
// image's end.
func (d *decoder) marker(m int) error {
	switch {
	case m == mTEM || m >= mRST0 && m <= mRST7:
		return nil
	case m == mSOI:
		return broken("it has two start-of-image markers")
	case m == mDAC || m > mSOF0+8 && m <= mSOF15:
		return errors.New("arithmetic coding is not supported; jpegtran writes the file again without loss in codes that are")
	case m == mSOF0+3:
		return errors.New("lossless JPEG is not supported; write it as PNG")
	case m > mSOF2 && m <= mSOF0+8 && m != mDHT || m == mDHP || m == mEXP:
		return fmt.Errorf("hierarchical JPEG (marker %#x) is not supported; write it as PNG", m)
	case m > mSOF2 && m != mDHT && m != mDQT && m != mDRI && !remark(m) || m < mSOF0:
		return broken("it has the marker %#x, which means nothing", m)
	}
	s, err := d.segment()
	if err != nil {
		return err
	}
	switch {
	case m == mDQT:
		return d.quantisation(s)
	case m == mDHT:
		return d.huffman(s)
	case m == mDRI:
		if len(s) != 2 {
			return broken("its restart interval has %d bytes, want 2", len(s))
		}
		d.interval = int(binary.BigEndian.Uint16(s))
	case m == mAPP0 && len(s) >= 14 && string(s[:5]) == "JFIF\x00":
		if s[5] != 1 {
			d.damage |= strangeMarkers
		}
		d.jfif = d.jfif || d.found == 0
	case m == mAPP14 && len(s) >= 12 && string(s[:5]) == "Adobe" && d.found == 0:
		d.adobe, d.transform = true, s[11]
	case m <= mSOF2:
		d.progressive = m == mSOF2
		return d.frame(s)
	}
	return nil
}

// remark reports whether a marker may be passed over.
func remark(m int) bool { return m >= mAPP0 && m <= mAPP15 || m == mCOM || m == mDNL }

func (d *decoder) quantisation(s []byte) error {
	for len(s) > 0 {
		wide, id := s[0]>>4 != 0, int(s[0]&15)
		n := 64
		if wide {
			n = 128
		}
		if id > 3 || len(s) < 1+n {
			return broken("a quantisation table %d in %d bytes, want tables 0 to 3 of %d", id, len(s), 1+n)
		}
		q := &d.quantStore[id]
		for i := range 64 {
			if wide {
				q[zigzag[i]] = int16(binary.BigEndian.Uint16(s[1+2*i:]))
			} else {
				q[zigzag[i]] = int16(s[1+i])
			}
		}
		d.quant[id], s = q, s[1+n:]
	}
	return nil
}

func (d *decoder) frame(s []byte) error {
	if d.width != 0 {
		return broken("it has two frames")
	}
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return broken("its frame has %d bytes", len(s))
	}
	if s[0] != 8 {
		return fmt.Errorf("%d bits a sample are not supported, 8 are; write it as PNG", s[0])
	}
	height, width, n := int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:])), int(s[5])
	if height == 0 || width == 0 {
		return fmt.Errorf("it has %d x %d pixels; a height that follows the scan is not supported", width, height)
	}
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("%d components are not supported, 1, 3 and 4 are", n)
	}
	d.components, d.hMax, d.vMax = d.store[:n], 1, 1
	for i := range d.components {
		c := &d.components[i]
		*c = component{id: int(s[6+3*i]), h: int(s[7+3*i] >> 4), v: int(s[7+3*i] & 15), tq: int(s[8+3*i]), plane: c.plane, coefs: c.coefs}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return broken("component %d has sampling factors %d x %d and quantisation table %d, want 1 to 4 and 0 to 3", i, c.h, c.v, c.tq)
		}
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
	}
	for i := range d.components {
		if c := &d.components[i]; d.hMax%c.h != 0 || d.vMax%c.v != 0 {
			return fmt.Errorf("sampling factors %d x %d beside %d x %d are not supported: libjpeg takes whole ratios only", c.h, c.v, d.hMax, d.vMax)
		}
	}
	d.width, d.height = width, height
	return nil
}

// prepare takes memory for the planes, all of whose sizes the frame tells.
func (d *decoder) prepare() error {
	if err := d.countScans(); err != nil {
		return err
	}
	d.mcusX, d.mcusY = ceil(d.width, 8*d.hMax), ceil(d.height, 8*d.vMax)
	blocks := 0
	for i := range d.components {
		c := &d.components[i]
		c.w, c.height = ceil(d.width*c.h, d.hMax), ceil(d.height*c.v, d.vMax)
		c.across, c.down = d.mcusX*c.h, d.mcusY*c.v
		c.seen = c.shown(d.window, d.hMax/c.h, d.vMax/c.v)
		blocks += ceil(c.w, 8) * ceil(c.height, 8)
	}
	if blocks/8 > len(d.data) { // a block takes at least a bit
		return broken("%d x %d pixels in a file of %d bytes: %w", d.width, d.height, len(d.data), io.ErrUnexpectedEOF)
	}
	for i := range d.components {
		c := &d.components[i]
		c.plane = sized(c.plane, 64*c.across*c.down)
		if d.progressive {
			c.coefs = sized(c.coefs, 64*c.across*c.down)
			clear(c.coefs)
		}
		for k := range c.bits {
			c.bits[k], c.before[k] = -1, -1
		}
	}
	return nil
}

// countScans refuses progressive files of more scans than the limit before anything is
// made of them.
func (d *decoder) countScans() error {
	if !d.progressive {
		return nil
	}
	n, limit := 0, d.maxScans()
	for at := d.at; at < len(d.data); {
		i := bytes.IndexByte(d.data[at:], 0xff)
		if i < 0 || at+i+4 > len(d.data) {
			break
		}
		at += i + 1
		m := d.data[at]
		if m == mEOI {
			break
		}
		if m == 0 || m == 0xff || m >= mRST0 && m <= mRST7 {
			continue
		}
		if m == mSOS {
			n++
		}
		at += 1 + int(binary.BigEndian.Uint16(d.data[at+1:]))
	}
	if n > limit {
		return fmt.Errorf("it has %d scans of %d x %d pixels, of which at most %d are accepted", n, d.width, d.height, limit)
	}
	return nil
}

// maxScans bounds the passes over a picture: MaxScans where it is small, and no more of
// a large one than maxPasses pixels have, though always minScans.
func (d *decoder) maxScans() int { return max(minScans, min(MaxScans, maxPasses/(d.width*d.height))) }

// shown is the blocks that the pixels of a window are made from, where a sample
// is sx x sy pixels: upsampling looks at the neighbours too.
func (c *component) shown(window image.Rectangle, sx, sy int) image.Rectangle {
	return image.Rect(max(window.Min.X/sx-1, 0)/8, max(window.Min.Y/sy-1, 0)/8,
		ceil(min(ceil(window.Max.X, sx)+1, c.w), 8), ceil(min(ceil(window.Max.Y, sy)+1, c.height), 8))
}
