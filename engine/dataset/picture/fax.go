package picture

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"sync"
)

// The codes of ITU-T T.4 for runs of 0 to 63 pixels, then of 64, 128, ... to 1728.
const (
	faxWhite = "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 101011 " +
		"0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010 " +
		"00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 " +
		"00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001 01011010 " +
		"01011011 01001010 01001011 00110010 00110011 00110100 " +
		"11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 " +
		"011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 " +
		"010011010 011000 010011011"
	faxBlack = "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 " +
		"0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 " +
		"000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 000001101011 000011010010 " +
		"000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 000011011011 " +
		"000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 000000100100 " +
		"000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 " +
		"000001100110 000001100111 " +
		"0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101 " +
		"0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 0000001110101 " +
		"0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 0000001011011 " +
		"0000001100100 0000001100101"
	// faxLong are the codes of either color for runs of 1792 to 2560.
	faxLong = "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 " +
		"000000011100 000000011101 000000011110 000000011111"
	// faxModes are the codes of T.4 and T.6 for rows that are told from the row above: pass,
	// horizontal, and vertical by -3 to 3.
	faxModes = "0001 001 0000010 000010 010 1 011 000011 0000011"
)

const (
	faxPass = iota
	faxHorizontal
	faxVertical // by -3; those by more follow

	faxCodeBits = 13 // of the longest code
)

// faxCode is what a code stands for, and how long it is; 0 bits where there is none.
type faxCode struct{ value, bits int16 }

// faxTables are looked up by the next 13 bits: runs of white and of black, and modes.
var faxTables = sync.OnceValue(func() (t [3][]faxCode) {
	for i, codes := range []string{faxWhite + " " + faxLong, faxBlack + " " + faxLong, faxModes} {
		t[i] = make([]faxCode, 1<<faxCodeBits)
		for value, code := range strings.Fields(codes) {
			if i < 2 && value >= 64 {
				value = (value - 63) * 64
			}
			first := 0
			for _, bit := range code {
				first = first<<1 | int(bit-'0')
			}
			free := faxCodeBits - len(code)
			for k := first << free; k < (first+1)<<free; k++ {
				t[i][k] = faxCode{int16(value), int16(len(code))}
			}
		}
	}
	return t
})

// faxForm is how the rows of a fax follow each other.
type faxForm int

const (
	faxG4     faxForm = iota // each told from the one above
	faxBytes                 // runs alone; rows begin at bytes
	faxG3                    // runs alone; before each row is an end-of-line code
	faxG3In2D                // as faxG3, and a bit that tells rows of runs from rows as in faxG4
)

// faxReader decodes faxes of ITU-T T.4 and T.6 to rows of bits, most significant first; 1
// is black. golang.org/x/image/ccitt has no two-dimensional T.4, no rows without
// end-of-line codes and no fill bits before these.
type faxReader struct {
	b     []byte
	at    int // bit
	width int
	form  faxForm
	// above and row are where a row's color changes, first to black; no place comes twice.
	above, row []int
	out        []byte // what is left of the row's bits
	bits       []byte
}

func newFaxReader(b []byte, width int, form faxForm) *faxReader {
	return &faxReader{b: b, width: width, form: form, bits: make([]byte, (width+7)/8)}
}

func (f *faxReader) Read(p []byte) (int, error) {
	if len(f.out) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

var (
	errFaxEnds   = fmt.Errorf("the fax data end early: %w", io.ErrUnexpectedEOF)
	errFaxLeaves = errors.New("a row of the fax data leaves the picture")
)

// peek is the next 13 bits, zeros after the end.
func (f *faxReader) peek() int {
	v := 0
	for i := f.at / 8; i < f.at/8+3; i++ {
		v <<= 8
		if i < len(f.b) {
			v |= int(f.b[i])
		}
	}
	return v >> (24 - faxCodeBits - f.at%8) & (1<<faxCodeBits - 1)
}

// skip goes over bits, which are to be there.
func (f *faxReader) skip(n int) error {
	if f.at += n; f.at > 8*len(f.b) {
		return errFaxEnds
	}
	return nil
}

// code reads a code of table 0, 1 or 2: a run of white, of black, or a mode.
func (f *faxReader) code(table int) (int, error) {
	c := faxTables()[table][f.peek()]
	if c.bits == 0 {
		if f.at+faxCodeBits > 8*len(f.b) {
			return 0, errFaxEnds
		}
		return 0, fmt.Errorf("the fax data have no code at bit %d", f.at)
	}
	return int(c.value), f.skip(int(c.bits))
}

// next decodes a row.
func (f *faxReader) next() error {
	f.above, f.row = f.row, f.above[:0]
	flat := f.form != faxG4
	switch f.form {
	case faxBytes:
		f.at = (f.at + 7) &^ 7
	case faxG3, faxG3In2D:
		if err := f.endOfLine(); err != nil {
			return err
		}
		if f.form == faxG3In2D {
			flat = f.peek()>>(faxCodeBits-1) == 1
			if err := f.skip(1); err != nil {
				return err
			}
		}
	}
	var err error
	if flat {
		for at, color := 0, 0; at < f.width && err == nil; color = 1 - color {
			at, err = f.run(at, color)
		}
	} else {
		err = f.fromAbove()
	}
	f.draw()
	return err
}

// endOfLine reads the code that is before each row, 11 zeros or more and a one.
func (f *faxReader) endOfLine() error {
	const zeros = 11
	start := f.at
	for f.at < 8*len(f.b) {
		rest := f.b[f.at/8] << (f.at % 8)
		n := min(bits.LeadingZeros8(rest), 8-f.at%8)
		if f.at += n; f.at%8 == 0 && n > 0 {
			continue
		}
		if f.at-start < zeros {
			return fmt.Errorf("the fax data have no end-of-line code at bit %d", start)
		}
		f.at++
		return nil
	}
	return errFaxEnds
}

// run reads a run of a color that begins at a pixel, and gives its end.
func (f *faxReader) run(at, color int) (end int, err error) {
	for {
		n, err := f.code(color)
		if err != nil {
			return 0, err
		}
		if at += n; at > f.width {
			return 0, errors.New("a row of the fax data is longer than the picture is wide")
		}
		if n < 64 {
			return at, f.change(at)
		}
	}
}

// change notes that the color changes at a pixel. Twice is not at all, as where an encoder
// splits a long run; a row that the next is told from has none such.
func (f *faxReader) change(at int) error {
	if n := len(f.row); n == 0 || f.row[n-1] != at {
		f.row = append(f.row, at)
	} else if f.row = f.row[:n-1]; at < f.width && (f.form == faxG4 || f.form == faxG3In2D) {
		return errors.New("a row of the fax data has a run of no pixels")
	}
	return nil
}

// fromAbove decodes a row that is told from the one above.
func (f *faxReader) fromAbove() error {
	at, color := -1, 0
	edge := func(k int) int { // of the row above
		if k < len(f.above) {
			return f.above[k]
		}
		return f.width
	}
	for k := 0; at < f.width; {
		// k is of the first change above that is right of here and away from this color.
		for k > 0 && edge(k-1) > at {
			k--
		}
		for k < len(f.above) && edge(k) <= at {
			k++
		}
		if k%2 != color {
			k++
		}
		mode, err := f.code(2)
		if err != nil {
			return err
		}
		switch mode {
		case faxPass:
			if at = edge(k + 1); at == f.width {
				return errFaxLeaves
			}
		case faxHorizontal:
			at = max(at, 0)
			for _, c := range []int{color, 1 - color} {
				if at, err = f.run(at, c); err != nil {
					return err
				}
			}
		default:
			to := edge(k) + mode - faxVertical - 3
			if to < max(at, 0) || to > f.width {
				return errFaxLeaves
			}
			if at, color, err = to, 1-color, f.change(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// draw sets the row's bits.
func (f *faxReader) draw() {
	clear(f.bits)
	for k := 0; k < len(f.row) && f.row[k] < f.width; k += 2 {
		from, to := f.row[k], f.width
		if k+1 < len(f.row) {
			to = min(to, f.row[k+1])
		}
		first, last := from/8, (to-1)/8
		left, right := byte(0xff)>>(from%8), byte(0xff)<<(7-(to-1)%8)
		if first == last {
			f.bits[first] |= left & right
			continue
		}
		f.bits[first] |= left
		for i := first + 1; i < last; i++ {
			f.bits[i] = 0xff
		}
		f.bits[last] |= right
	}
	f.out = f.bits
}
