package jpeg

import (
	"encoding/binary"
	"fmt"
	"image"
	"slices"
)

// scan is the parameters of a scan, T.81 B.2.3.
type scan struct {
	components []*component
	from, to   int  // the band of coefficients of a progressive scan
	high, low  uint // its bits: the one before, 0 in a first scan, and its own
	run        int  // blocks that the band is over for
	overflow   bool
}

// scans reads to the end of the image, which may be missing behind one scan of all
// components: PIL does not wait for it then.
func (d *decoder) scans() error {
	for {
		m, err := d.next()
		switch {
		case err != nil:
		case m == mEOI && d.found == 0:
			err = broken("it has no scan")
		case m == mEOI:
			d.finish()
			return nil
		case m == mSOS:
			err = d.scan()
		default:
			err = d.marker(m)
		}
		if err == errShort && d.whole && (m == 0 || remark(m)) {
			d.damage |= noEnd
			d.finish()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// finish makes the planes of what was read.
func (d *decoder) finish() {
	for i := range d.components {
		c := &d.components[i]
		if c.quant != nil {
			continue
		}
		d.damage |= noScan
		c.latched = [64]int16{}
		if c.quant = &c.latched; !d.progressive {
			for j := range c.plane {
				c.plane[j] = 128
			}
		}
	}
	if d.progressive {
		d.reconstruct()
	}
	d.flush()
}

func (d *decoder) scanHeader() (s scan, err error) {
	p, err := d.segment()
	if err != nil {
		return s, err
	}
	if len(p) < 6 || p[0] > 4 || len(p) != 4+2*int(p[0]) {
		return s, broken("a scan's header has %d bytes", len(p))
	}
	n, blocks := int(p[0]), 0
	last := p[1+2*n:]
	s.from, s.to, s.high, s.low = int(last[0]), int(last[1]), uint(last[2]>>4), uint(last[2]&15)
	if !d.progressive {
		if s.from != 0 || s.to != 63 || s.high != 0 || s.low != 0 {
			d.damage |= notSequential
		}
		s.from, s.to, s.high, s.low = 0, 63, 0, 0
		if d.found == 1 {
			d.standard()
		}
	} else if s.from > s.to || s.to > 63 || s.from == 0 && s.to != 0 || s.from > 0 && n > 1 || s.low > 13 || s.high != 0 && s.high != s.low+1 {
		return s, broken("a progressive scan of %d components has coefficients %d to %d, bits %d to %d", n, s.from, s.to, s.high, s.low)
	}
	var slots [4]*component // libjpeg's way to tell components of one identifier apart
	for i := range n {
		id, tables := int(p[1+2*i]), p[2+2*i]
		var c *component
		for j := range d.components {
			if d.components[j].id == id && slots[j] == nil {
				c = &d.components[j]
				break
			}
		}
		if c == nil {
			return s, broken("a scan has a component %d, which the frame lacks", id)
		}
		if slices.Contains(s.components, c) {
			return s, broken("a scan has component %d twice", id)
		}
		if !d.progressive && c.quant != nil {
			return s, broken("component %d has two scans", id)
		}
		slots[i] = c
		if err := d.latch(c); err != nil {
			return s, err
		}
		if s.from == 0 && s.high == 0 {
			if c.dc, err = d.use(0, int(tables>>4)); err != nil {
				return s, err
			}
		}
		if s.to > 0 {
			if c.ac, err = d.use(1, int(tables&15)); err != nil {
				return s, err
			}
		}
		s.components = append(s.components, c)
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return s, broken("a scan has %d blocks in a unit, want at most 10", blocks)
	}
	if d.progressive {
		d.progress(&s)
	}
	return s, nil
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

// scan reads a scan.
func (d *decoder) scan() error {
	if d.found++; d.found > d.maxScans() {
		return fmt.Errorf("it has more scans than the limit, at most %d are accepted", d.maxScans())
	}
	s, err := d.scanHeader()
	if err != nil {
		return err
	}
	if err := d.load(); err != nil {
		return err
	}
	across, down, rows := d.mcusX, d.mcusY, 1
	if one := s.components[0]; len(s.components) == 1 {
		across, down, rows = ceil(one.w, 8), ceil(one.height, 8), one.v
	}
	s.reset()
	left := d.interval
	d.restarts = 0
	for y := range down {
		for x := range across {
			if d.interval > 0 {
				if left == 0 {
					if err := d.restart(&s); err != nil {
						return err
					}
					left = d.interval
				}
				left--
			}
			if d.bits.dry {
				d.blank(&s, x, y)
				continue
			}
			d.lastGood = y / rows
			d.unit(&s, x, y)
		}
		if s.overflow {
			return broken("its DC coefficients overflow 32 bits")
		}
	}
	d.leave()
	d.whole = !d.progressive && len(s.components) == len(d.components)
	return nil
}

// leave looks at what the codes of a scan, or of a part between restart markers, left.
func (d *decoder) leave() {
	b := &d.bits
	if b.bad {
		d.damage |= badCodes
		b.bad = false
	}
	if b.dry {
		d.damage |= endsEarly
	}
	if b.rest() {
		d.damage |= strayBytes
	}
}

// restart goes on behind the restart marker that is due, or goes over one that is
// missing or out of turn as jdmarker.c's jpeg_resync_to_restart does.
func (d *decoder) restart(s *scan) error {
	d.leave()
	s.reset()
	b := &d.bits
	due := mRST0 + d.restarts&7
	d.restarts++
	if b.marker == due {
		return d.load()
	}
	d.damage |= outOfTurn
	for {
		m := b.marker
		turn, isRestart := (m-due)&7, m >= mRST0 && m <= mRST7
		switch {
		case m < mSOF0 || isRestart && turn >= 6: // none, or one of the two before: the next may be it
			b.marker = 0
			var err error
			if b.marker, err = d.next(); err != nil {
				return err
			}
		case isRestart && (turn == 0 || turn >= 3): // it, or too far off to be believed
			return d.load()
		default: // one of the two after it, or the end: this part has no codes
			b.clear()
			b.buf = append(b.buf, zeroes[:]...)
			return nil
		}
	}
}

// reset is what a restart marker does.
func (s *scan) reset() {
	s.run = 0
	for _, c := range s.components {
		c.last = 0
	}
}

// unit reads one MCU.
func (d *decoder) unit(s *scan, x, y int) {
	if len(s.components) == 1 {
		d.block(s, s.components[0], x, y)
		return
	}
	for _, c := range s.components {
		for v := range c.v {
			for h := range c.h {
				d.block(s, c, x*c.h+h, y*c.v+v)
			}
		}
	}
}

func (d *decoder) block(s *scan, c *component, x, y int) {
	b := &d.bits
	switch {
	case d.progressive:
		at := 64 * (y*c.across + x)
		b.refine(s, c, (*[64]int16)(c.coefs[at:]))
	case !image.Pt(x, y).In(c.seen):
		b.skip(c)
	default:
		p := &d.pending
		block := &p.coefs[p.n]
		clear(block[:])
		d.push(c, x, y, b.sequential(c, block))
	}
	if b.over() {
		b.starve()
	}
}

// blank is an MCU that the codes ended before: it is grey, or what scans before left.
func (d *decoder) blank(s *scan, x, y int) {
	if d.progressive {
		return
	}
	for _, c := range s.components {
		h, v := c.h, c.v
		if len(s.components) == 1 {
			h, v = 1, 1
		}
		for i := range h * v {
			if at := image.Pt(x*h+i%h, y*v+i/h); at.In(c.seen) {
				d.pending.coefs[d.pending.n][0] = 0
				d.push(c, at.X, at.Y, flat)
			}
		}
	}
}

// difference reads a DC coefficient, T.81 F.2.2.1.
func (b *bits) difference(c *component) {
	if size := b.symbol(c.dc); size > 0 {
		c.last += int(extend(b.take(uint(size)), int32(size)))
	}
}

// sequential reads a block.
func (b *bits) sequential(c *component, out *[64]int16) extent {
	b.difference(c)
	t, used := c.ac, uint8(0)
	out[0] = int16(c.last)
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
			out[z] = v
			used |= z
			continue
		}
		s, l := uint8(e), uint(e>>8&15)
		if l == 0 {
			s, l = t.long(int32(acc >> 48))
			b.bad = b.bad || l > 16
		}
		acc <<= l
		n -= l
		k += int(s >> 4)
		if size := uint(s & 15); size > 0 {
			v := extend(int32(acc>>(64-size)), int32(size))
			acc <<= size
			n -= size
			z := zigzag[k&127] & 63
			out[z] = int16(v)
			used |= z
		} else if s>>4 < 15 {
			break
		}
	}
	b.at, b.acc, b.n = at, acc, n
	return extent(used)
}

// skip reads a block that will not be shown.
func (b *bits) skip(c *component) {
	b.difference(c)
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
			s, l = t.long(int32(acc >> 48))
			b.bad = b.bad || l > 16
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
}
