package jpeg

import (
	"bytes"
	"encoding/binary"
)

// bits reads the codes between two markers.
type bits struct {
	buf    []byte // without stuffing, and padding zeroes at its end
	at     int    // what acc has not
	acc    uint64 // the next bits, at the top
	n      uint   // how many
	size   int    // bits in all
	marker int    // that ended them, 0 before that is known
}

// padding is more than a block takes, so that what is missing is found after it.
const padding = 512

// load makes ready the codes up to the next marker.
func (d *decoder) load() error {
	b := &d.bits
	b.at, b.size, b.marker = 0, 0, 0
	b.acc, b.n = 0, 0
	b.buf = b.buf[:0]
	for {
		i := bytes.IndexByte(d.data[d.at:], 0xff)
		if i < 0 {
			return errShort
		}
		b.buf = append(b.buf, d.data[d.at:d.at+i]...)
		for d.at += i; d.at < len(d.data) && d.data[d.at] == 0xff; d.at++ {
		}
		if d.at == len(d.data) {
			return errShort
		}
		m := int(d.data[d.at])
		d.at++
		if m != 0 {
			b.size, b.marker = 8*len(b.buf), m
			b.buf = append(b.buf, zeroes[:]...)
			return nil
		}
		b.buf = append(b.buf, 0xff)
	}
}

var zeroes [padding]byte

// fill gives b at least 32 bits.
func (b *bits) fill() {
	if b.n < 32 {
		b.acc |= uint64(binary.BigEndian.Uint32(b.buf[b.at:])) << (32 - b.n)
		b.at += 4
		b.n += 32
	}
}

// take reads up to 16 bits.
func (b *bits) take(n uint) int32 {
	b.fill()
	v := int32(b.acc >> 1 >> (63 - n))
	b.acc <<= n
	b.n -= n
	return v
}

// symbol reads a code; ok is false where there is none such.
func (b *bits) symbol(t *table) (s uint8, ok bool) {
	b.fill()
	e := t.entries[b.acc>>(64-look)]
	s, l := uint8(e), uint(e>>8&15)
	if l == 0 {
		if s, l = t.long(int32(b.acc >> 48)); l == 0 {
			return 0, false
		}
	}
	b.acc <<= l
	b.n -= l
	return s, true
}

// over reports whether more was read than there is.
func (b *bits) over() bool { return 8*b.at-int(b.n) > b.size }
