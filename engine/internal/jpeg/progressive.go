package jpeg

// progress notes how far a progressive scan brings its coefficients, and whether it goes
// on where the ones before left them.
func (d *decoder) progress(s *scan) {
	for _, c := range s.components {
		if s.from > 0 && c.bits[0] < 0 {
			d.damage |= strangeOrder
		}
		for k := min(s.from, 1); k < 64; k++ {
			if c.before[k] = c.bits[k]; d.found == 1 {
				c.before[k] = 0
			}
		}
		for k := s.from; k <= s.to; k++ {
			if int(s.high) != max(int(c.bits[k]), 0) {
				d.damage |= strangeOrder
			}
			c.bits[k] = int8(s.low)
		}
	}
}

// refine reads what a progressive scan has of a block, T.81 G.1.2. The
// coefficients lie in rows, not yet multiplied.
func (b *bits) refine(s *scan, c *component, block *[64]int16) {
	switch {
	case s.from == 0 && s.high == 0:
		b.difference(c)
		s.overflow = s.overflow || c.last != int(int32(c.last))
		block[0] = int16(c.last << s.low)
	case s.from == 0:
		block[0] |= int16(b.take(1) << s.low)
	case s.high == 0:
		b.first(s, c.ac, block)
	default:
		b.correct(s, c.ac, block)
	}
}

// first reads the first bits of a band.
func (b *bits) first(s *scan, t *table, block *[64]int16) {
	if s.run > 0 {
		s.run--
		return
	}
	for k := s.from; k <= s.to; k++ {
		symbol := b.symbol(t)
		run, size := int(symbol>>4), uint(symbol&15)
		k += run
		if size > 0 {
			block[zigzag[k&127]] = int16(extend(b.take(size), int32(size)) << s.low)
		} else if run < 15 {
			s.run = 1<<run - 1 + int(b.take(uint(run)))
			break
		}
	}
}

// correct adds one bit to the coefficients of a band, T.81 G.1.2.3: those that
// are not zero take a bit each as they are passed over, and the codes tell which
// zeroes become one.
func (b *bits) correct(s *scan, t *table, block *[64]int16) {
	one := int16(1) << s.low
	k := s.from
	for ; s.run == 0 && k <= s.to; k++ {
		symbol := b.symbol(t)
		run, value := int(symbol>>4), int16(0)
		if size := symbol & 15; size != 0 { // one other than 1 is taken for 1, as libjpeg does
			b.bad = b.bad || size != 1
			value = -one
			if b.take(1) == 1 {
				value = one
			}
		} else if run < 15 {
			s.run = 1<<run + int(b.take(uint(run)))
			break
		}
		for ; k <= s.to; k++ {
			v := &block[zigzag[k]]
			if *v != 0 {
				b.correctOne(v, one)
			} else if run--; run < 0 {
				break
			}
		}
		if value != 0 {
			block[zigzag[k]] = value
		}
	}
	if s.run > 0 {
		for ; k <= s.to; k++ {
			if v := &block[zigzag[k]]; *v != 0 {
				b.correctOne(v, one)
			}
		}
		s.run--
	}
}

func (b *bits) correctOne(v *int16, one int16) {
	if b.take(1) == 0 || *v&one != 0 {
		return
	}
	if *v >= 0 {
		*v += one
	} else {
		*v -= one
	}
}

// reconstruct transforms the blocks of a progressive file that are to be shown.
func (d *decoder) reconstruct() {
	smooth := d.smoothing()
	for i := range d.components {
		c := &d.components[i]
		for y := c.seen.Min.Y; y < c.seen.Max.Y; y++ {
			for x := c.seen.Min.X; x < c.seen.Max.X; x++ {
				block := &d.pending.coefs[d.pending.n]
				copy(block[:], c.coefs[64*(y*c.across+x):])
				if smooth {
					d.smooth(c, x, y, block)
				}
				d.push(c, x, y, extentOf(block))
			}
		}
	}
}

func extentOf(block *[64]int16) extent {
	var row, rest int16
	for _, v := range block[1:8] {
		row |= v
	}
	for _, v := range block[8:] {
		rest |= v
	}
	switch {
	case rest != 0:
		return whole
	case row != 0:
		return firstRow
	}
	return flat
}
