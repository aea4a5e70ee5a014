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
	dry    bool   // they ended before their blocks did
	bad    bool   // some code was none
}

// padding is more than a block takes, so that what is missing is found after it.
const padding = 512

// load makes ready the codes up to the next marker.
func (d *decoder) load() error {
	b := &d.bits
	b.clear()
	b.dry = false
	for {
		i := bytes.IndexByte(d.data[d.at:], 0xff)
		if i < 0 {
			return errShort
		}
		b.buf = append(b.buf, d.data[d.at:d.at+i]...)
		from := d.at + i + 1
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
		if d.at != from+1 {
			if !d.progressive && d.interval == 0 {
				return broken("it has fill bytes within its codes, which libjpeg reads in two ways")
			}
			d.damage |= strayBytes
		}
		b.buf = append(b.buf, 0xff)
	}
}

// clear leaves no codes.
func (b *bits) clear() {
	b.buf, b.at = b.buf[:0], 0
	b.acc, b.n, b.size = 0, 0, 0
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

// symbol reads a code.
func (b *bits) symbol(t *table) uint8 {
	b.fill()
	e := t.entries[b.acc>>(64-look)]
	s, l := uint8(e), uint(e>>8&15)
	if l == 0 {
		s, l = t.long(int32(b.acc >> 48))
		b.bad = b.bad || l > 16
	}
	b.acc <<= l
	b.n -= l
	return s
}

// over reports whether more was read than there is.
func (b *bits) over() bool { return 8*b.at-int(b.n) > b.size }

// starve has zeroes follow what was over, as many as a block may take.
func (b *bits) starve() {
	b.at, b.acc, b.n, b.dry = b.size/8, 0, 0, true
}

// rest reports whether whole bytes were not read.
func (b *bits) rest() bool { return !b.dry && b.size-(8*b.at-int(b.n)) >= 8 }
