package region

import (
	"fmt"
	"math/bits"
)

// bitset is a set of small numbers; all sets of one line have the same length.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) has(i int) bool { return b[i>>6]>>(i&63)&1 == 1 }

func (b bitset) or(c bitset) {
	for i, w := range c {
		b[i] |= w
	}
}

func (b bitset) and(c bitset) {
	for i, w := range c {
		b[i] &= w
	}
}

func (b bitset) meets(c bitset) bool {
	for i, w := range c {
		if b[i]&w != 0 {
			return true
		}
	}
	return false
}

// holds reports whether c is a subset.
func (b bitset) holds(c bitset) bool {
	for i, w := range c {
		if w&^b[i] != 0 {
			return false
		}
	}
	return true
}

func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b bitset) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// Mask is a set of pixels of a picture or cells of a model's input, H rows of W.
type Mask struct {
	H, W int
	rows []bitset
}

// maxMask bounds a mask's pixels: 32 MB.
const maxMask = 1 << 28

// NewMask makes an empty mask of h x w pixels. It is an error when an edge is not
// positive or the mask has more than 2^28 pixels.
func NewMask(h, w int) (*Mask, error) {
	if h < 1 || w < 1 || h > maxMask/w {
		return nil, fmt.Errorf("a mask of %d x %d pixels (height x width): want positive edges and at most %d pixels", h, w, maxMask)
	}
	return newMask(h, w), nil
}

func newMask(h, w int) *Mask {
	m := &Mask{h, w, make([]bitset, h)}
	words := (w + 63) / 64
	all := make(bitset, h*words)
	for y := range m.rows {
		m.rows[y] = all[y*words : (y+1)*words : (y+1)*words]
	}
	return m
}

// Set puts the pixel in row y and column x into the mask; one outside is left out.
func (m *Mask) Set(y, x int) {
	if m.inside(y, x) {
		m.rows[y].set(x)
	}
}

// Has reports whether the mask holds a pixel; it holds none outside.
func (m *Mask) Has(y, x int) bool { return m.inside(y, x) && m.rows[y].has(x) }

func (m *Mask) inside(y, x int) bool { return y >= 0 && x >= 0 && y < m.H && x < m.W }

// Count is the number of pixels in the mask.
func (m *Mask) Count() int {
	n := 0
	for _, r := range m.rows {
		n += r.count()
	}
	return n
}

// Runs makes a mask of h x w pixels from run lengths, that of pixels outside first,
// then alternating: COCO's uncompressed RLE, which goes down column after column, or
// row after row with rowMajor. It is an error when the runs do not add up to h times w.
func Runs(h, w int, runs []int, rowMajor bool) (*Mask, error) {
	m, err := NewMask(h, w)
	if err != nil {
		return nil, err
	}
	at := 0
	for i, n := range runs {
		if n < 0 || n > h*w-at {
			return nil, fmt.Errorf("a mask of %d x %d pixels: run %d has length %d, %d pixels are left", h, w, i, n, h*w-at)
		}
		for ; i%2 == 1 && n > 0; n, at = n-1, at+1 {
			if rowMajor {
				m.rows[at/w].set(at % w)
			} else {
				m.rows[at%h].set(at / h)
			}
		}
		at += n
	}
	if at != h*w {
		return nil, fmt.Errorf("a mask of %d x %d pixels: the runs cover %d of %d", h, w, at, h*w)
	}
	return m, nil
}

// each calls use with the members in order.
func (b bitset) each(use func(i int)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			use(i<<6 + bits.TrailingZeros64(w))
		}
	}
}

// Each calls use with the pixels of the mask, row by row.
func (m *Mask) Each(use func(y, x int)) {
	for y, r := range m.rows {
		r.each(func(x int) { use(y, x) })
	}
}
