package jpeg

import (
	"encoding/binary"
	"fmt"
)

// scan is the parameters of a scan, T.81 B.2.3.
type scan struct {
	components []*component
	from, to   int  // the band of coefficients of a progressive scan
	high, low  uint // its bits: the one before, 0 in a first scan, and its own
	run        int  // blocks that the band is over for
}

// scans reads to the end of the image.
func (d *decoder) scans() error {
	for {
		m, err := d.next()
		if err != nil {
			return err
		}
		switch m {
		case mEOI:
			for i := range d.components {
				if !d.components[i].scanned {
					return broken("component %d has no scan", i)
				}
			}
			if d.progressive {
				d.reconstruct()
			}
			d.flush()
			return nil
		case mSOS:
			if d.found++; d.found > MaxScans {
				return fmt.Errorf("it has more scans than the limit, at most %d are accepted", MaxScans)
			}
			err = d.scan()
		default:
			err = d.marker(m)
		}
		if err != nil {
			return err
		}
	}
}

func (d *decoder) scanHeader() (s scan, err error) {
	p, err := d.segment()
	if err != nil {
		return s, err
	}
	if len(p) < 6 || len(p) != 4+2*int(p[0]) {
		return s, broken("a scan's header has %d bytes", len(p))
	}
	n, blocks := int(p[0]), 0
	last := p[1+2*n:]
	s.from, s.to, s.high, s.low = int(last[0]), int(last[1]), uint(last[2]>>4), uint(last[2]&15)
	if !d.progressive {
		s.from, s.to, s.high, s.low = 0, 63, 0, 0
	} else if s.from > s.to || s.to > 63 || s.from == 0 && s.to != 0 || s.from > 0 && n > 1 || s.low > 13 || s.high != 0 && s.high != s.low+1 {
		return s, broken("a progressive scan of %d components has coefficients %d to %d, bits %d to %d", n, s.from, s.to, s.high, s.low)
	}
	for i := range n {
		id, tables := int(p[1+2*i]), p[2+2*i]
		var c *component
		for j := range d.components {
			if d.components[j].id == id {
				c = &d.components[j]
			}
		}
		if c == nil {
			return s, broken("a scan has a component %d, which the frame lacks", id)
		}
		for _, o := range s.components {
			if o == c {
				return s, broken("a scan has component %d twice", id)
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return s, broken("a scan has Huffman tables %d and %d, want 0 to 3", tables>>4, tables&15)
		}
		c.dc, c.ac = &d.tables[0][tables>>4], &d.tables[1][tables&15]
		if s.from == 0 && s.high == 0 && !c.dc.defined || s.to > 0 && !c.ac.defined {
			return s, broken("a scan has Huffman tables %d and %d, which are not defined", tables>>4, tables&15)
		}
		if err := d.latch(c); err != nil {
			return s, err
		}
		s.components = append(s.components, c)
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return s, broken("a scan has %d blocks in a unit, want at most 10", blocks)
	}
	return s, d.bitsAgree(&s)
}

// latch keeps the quantisation table that a component has in its first scan.
func (d *decoder) latch(c *component) error {
	if c.quant != nil {
		return nil
	}
	if d.quant[c.tq] == nil {
		return broken("quantisation table %d is not defined", c.tq)
	}
	c.latched = *d.quant[c.tq]
	c.quant = &c.latched
	return nil
}

// scan reads the codes of a scan.
func (d *decoder) scan() error {
	s, err := d.scanHeader()
	if err != nil {
		return err
	}
	if err := d.load(); err != nil {
		return err
	}
	across, down := d.mcusX, d.mcusY
	if one := s.components[0]; len(s.components) == 1 {
		across, down = ceil(one.w, 8), ceil(one.height, 8)
	}
	s.reset()
	left, restarts := d.interval, 0
	for y := range down {
		for x := range across {
			if d.interval > 0 {
				if left == 0 {
					if d.bits.marker != mRST0+restarts&7 {
						return broken("marker %#x where restart marker %#x is due", d.bits.marker, mRST0+restarts&7)
					}
					if err := d.load(); err != nil {
						return err
					}
					s.reset()
					left, restarts = d.interval, restarts+1
				}
				left--
			}
			if !d.unit(&s, x, y) {
				if d.bits.over() {
					return broken("a scan's codes end too early: %d of %d x %d units are there", y*across+x, across, down)
				}
				return broken("a scan has a code that is none")
			}
		}
	}
	for _, c := range s.components {
		c.scanned = c.scanned || s.from == 0
	}
	return nil
}

// reset is what a restart marker does.
func (s *scan) reset() {
	s.run = 0
	for _, c := range s.components {
		c.last = 0
	}
}

// unit reads one MCU.
func (d *decoder) unit(s *scan, x, y int) bool {
	if len(s.components) == 1 {
		return d.block(s, s.components[0], x, y)
	}
	for _, c := range s.components {
		for v := range c.v {
			for h := range c.h {
				if !d.block(s, c, x*c.h+h, y*c.v+v) {
					return false
				}
			}
		}
	}
	return true
}

func (d *decoder) block(s *scan, c *component, x, y int) bool {
	if d.progressive {
		at := 64 * (y*c.across + x)
		return d.bits.refine(s, c, (*[64]int16)(c.coefs[at:])) && !d.bits.over()
	}
	if x < c.seen.Min.X || x >= c.seen.Max.X || y < c.seen.Min.Y || y >= c.seen.Max.Y {
		return d.bits.skip(c) && !d.bits.over()
	}
	p := &d.pending
	block := &p.coefs[p.n]
	clear(block[:])
	last, ok := d.bits.sequential(c, block)
	if !ok || d.bits.over() {
		return false
	}
	d.push(c, x, y, last == 0)
	return true
}

// difference reads a DC coefficient, T.81 F.2.2.1.
func (b *bits) difference(c *component) bool {
	size, ok := b.symbol(c.dc)
	if ok && size > 0 {
		c.last += extend(b.take(uint(size)), int32(size))
	}
	return ok
}

// sequential reads a block, multiplied by its quantisation table as libjpeg-turbo
// multiplies, in 16 bits. It gives where the last coefficient lies in zigzag order.
func (b *bits) sequential(c *component, out *[64]int16) (last int, ok bool) {
	if !b.difference(c) {
		return 0, false
	}
	t, q := c.ac, c.quant
	out[0] = int16(c.last) * int16(q[0])
	buf, at, acc, n := b.buf, b.at, b.acc, b.n
	for k := 1; k < 64; k++ {
		if n < 32 {
			acc |= uint64(binary.BigEndian.Uint32(buf[at:])) << (32 - n)
			at += 4
			n += 32
		}
		e := t.entries[acc>>(64-look)]
		if v := int16(e >> 16); v != 0 {
			l := uint(e >> 12 & 15)
			acc <<= l
			n -= l
			k += int(e >> 4 & 15)
			z := zigzag[k&127] & 63
			out[z] = v * int16(q[z])
			last = k
			continue
		}
		s, l := uint8(e), uint(e>>8&15)
		if l == 0 {
			if s, l = t.long(int32(acc >> 48)); l == 0 {
				return 0, false
			}
		}
		acc <<= l
		n -= l
		k += int(s >> 4)
		if size := uint(s & 15); size > 0 {
			v := extend(int32(acc>>(64-size)), int32(size))
			acc <<= size
			n -= size
			z := zigzag[k&127] & 63
			out[z] = int16(v) * int16(q[z])
			last = k
		} else if s>>4 < 15 {
			break
		}
	}
	b.at, b.acc, b.n = at, acc, n
	return last, true
}

// skip reads a block that will not be shown.
func (b *bits) skip(c *component) bool {
	if !b.difference(c) {
		return false
	}
	t, buf, at := c.ac, b.buf, b.at
	acc, n := b.acc, b.n
	for k := 1; k < 64; k++ {
		if n < 32 {
			acc |= uint64(binary.BigEndian.Uint32(buf[at:])) << (32 - n)
			at += 4
			n += 32
		}
		e := t.entries[acc>>(64-look)]
		if e>>16 != 0 {
			l := uint(e >> 12 & 15)
			acc <<= l
			n -= l
			k += int(e >> 4 & 15)
			continue
		}
		s, l := uint8(e), uint(e>>8&15)
		if l == 0 {
			if s, l = t.long(int32(acc >> 48)); l == 0 {
				return false
			}
		}
		l += uint(s & 15)
		acc <<= l
		n -= l
		k += int(s >> 4)
		if s&15 == 0 && s>>4 < 15 {
			break
		}
	}
	b.at, b.acc, b.n = at, acc, n
	return true
}
