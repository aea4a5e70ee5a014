package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"strconv"
)

// pnmFile is the header of a PBM, PGM or PPM file, read as PIL's PpmImagePlugin does.
type pnmFile struct {
	kind         byte // '1' to '6': bits, gray and color, as text and as bytes
	w, h, maxval int
	pixels       int // where they begin
}

func isPNMSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func parsePNM(b []byte) (f pnmFile, err error) {
	if len(b) < 3 || !isPNMSpace(b[2]) {
		return f, errors.New("after its first two letters is no space")
	}
	f.kind, f.maxval = b[1], 1
	numbers := []*int{&f.w, &f.h, &f.maxval}
	if f.kind == '1' || f.kind == '4' {
		numbers = numbers[:2]
	}
	text := pnmText{b, 3}
	for _, n := range numbers {
		if *n, err = text.number(); err != nil {
			return f, fmt.Errorf("reading its header: %w", err)
		}
	}
	if f.maxval < 1 || f.maxval > math.MaxUint16 {
		return f, fmt.Errorf("its largest value is %d, want 1 to %d", f.maxval, math.MaxUint16)
	}
	f.pixels = text.at
	return f, nil
}

// pnmText reads a header, or pixels as text. A comment goes to the end of its line, and
// does not end a number.
type pnmText struct {
	b  []byte
	at int
}

// next is the next byte outside comments.
func (t *pnmText) next() (c byte, ok bool) {
	for t.at < len(t.b) {
		c, t.at = t.b[t.at], t.at+1
		if c != '#' {
			return c, true
		}
		for t.at < len(t.b) && t.b[t.at] != '\n' && t.b[t.at] != '\r' {
			t.at++
		}
		t.at++
	}
	t.at = len(t.b)
	return 0, false
}

// number reads a number and the one space behind it.
func (t *pnmText) number() (int, error) {
	const most = 10
	digits := make([]byte, 0, most+1)
	for len(digits) <= most {
		c, ok := t.next()
		if !ok && len(digits) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if ok && !isPNMSpace(c) {
			digits = append(digits, c)
		} else if len(digits) > 0 {
			n, err := strconv.ParseUint(string(digits), 10, 63)
			if err != nil {
				return 0, fmt.Errorf("%q is not a number", digits)
			}
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%q and what follows is no number of at most %d digits", digits, most)
}

func (f *pnmFile) channels() int {
	if f.kind == '3' || f.kind == '6' {
		return 3
	}
	return 1
}

// deep is a gray picture of more than 8 bits, of which PIL makes 16 bits.
func (f *pnmFile) deep() bool { return f.channels() == 1 && f.maxval > 255 }

func pnmSize(b []byte) (extent, error) {
	f, err := parsePNM(b)
	e := extent{f.w, f.h, f.channels()}
	if f.deep() {
		e.bytes = 3
	}
	return e, err
}

func decodePNM(b []byte) (*Picture, error) {
	f, err := parsePNM(b)
	if err != nil {
		return nil, err
	}
	if f.deep() {
		m := image.NewGray16(image.Rect(0, 0, f.w, f.h))
		if err = f.values(b, math.MaxUint16, func(i, v int) { binary.BigEndian.PutUint16(m.Pix[2*i:], uint16(v)) }); err != nil {
			return nil, err
		}
		return FromImage(m), nil
	}
	p := New(f.w, f.h, f.channels())
	switch f.kind {
	case '1':
		err = f.bits(b[f.pixels:], p.Pix)
	case '4':
		err = f.packed(b[f.pixels:], p.Pix)
	default:
		err = f.values(b, math.MaxUint8, func(i, v int) { p.Pix[i] = uint8(v) })
	}
	return p, err
}

func (f *pnmFile) short(got, want int) error {
	return fmt.Errorf("the file ends before its pixels do: %d of %d are there", got, want)
}

// values reads pixels, as text or as bytes, and scales them to most.
func (f *pnmFile) values(b []byte, most float64, put func(i, v int)) error {
	n := f.w * f.h * f.channels()
	scaled := func(v int) int { return min(int(math.RoundToEven(float64(v)/float64(f.maxval)*most)), int(most)) }
	data, size := b[f.pixels:], 1
	if f.kind < '4' {
		return f.text(data, n, func(i, v int) { put(i, scaled(v)) })
	}
	if f.maxval > 255 {
		size = 2
	}
	if len(data)/size < n {
		return f.short(len(data)/size, n)
	}
	for i := range n {
		if size == 1 {
			put(i, scaled(int(data[i])))
		} else {
			put(i, scaled(int(binary.BigEndian.Uint16(data[2*i:]))))
		}
	}
	return nil
}

// text reads n numbers.
func (f *pnmFile) text(b []byte, n int, put func(i, v int)) error {
	text := pnmText{b: b}
	for i := range n {
		v, err := text.number()
		switch {
		case err == io.ErrUnexpectedEOF:
			return f.short(i, n)
		case err == nil && v > f.maxval:
			err = fmt.Errorf("it is %d, and the largest is %d", v, f.maxval)
		}
		if err != nil {
			return fmt.Errorf("reading value %d: %w", i, err)
		}
		put(i, v)
	}
	return nil
}

// packed reads pixels of a bit each, in rows of whole bytes.
func (f *pnmFile) packed(b []byte, pix []uint8) error {
	row := (f.w + 7) / 8
	if len(b) < row*f.h {
		return f.short(len(b), row*f.h)
	}
	for i := range pix {
		if x := i % f.w; b[i/f.w*row+x/8]<<(x%8)&0x80 == 0 {
			pix[i] = 255
		}
	}
	return nil
}

// bits reads pixels of one digit each, with or without space between them.
func (f *pnmFile) bits(b []byte, pix []uint8) error {
	text := pnmText{b: b}
	for i := 0; i < len(pix); {
		switch c, ok := text.next(); {
		case !ok:
			return f.short(i, len(pix))
		case c == '0' || c == '1':
			pix[i], i = uint8('1'-c)*255, i+1
		case !isPNMSpace(c):
			return fmt.Errorf("reading value %d: %q is no bit", i, c)
		}
	}
	return nil
}
