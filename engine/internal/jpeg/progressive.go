package jpeg

// bitsAgree checks that a progressive scan goes on where the ones before left
// its coefficients.
func (d *decoder) bitsAgree(s *scan) error {
	if !d.progressive {
		return nil
	}
	for _, c := range s.components {
		if s.from > 0 && c.bitsLeft[0] < 0 {
			return broken("a progressive scan comes before its component's first")
		}
		for k := s.from; k <= s.to; k++ {
			c.bitsLeft[k] = int8(s.low)
		}
	}
	return nil
}

// refine reads what a progressive scan has of a block, T.81 G.1.2. The
// coefficients lie in rows, not yet multiplied.
func (b *bits) refine(s *scan, c *component, block *[64]int16) bool {
	switch {
	case s.from == 0 && s.high == 0:
		if !b.difference(c) {
			return false
		}
		block[0] = int16(c.last << s.low)
	case s.from == 0:
		block[0] |= int16(b.take(1) << s.low)
	case s.high == 0:
		return b.first(s, c.ac, block)
	default:
		return b.correct(s, c.ac, block)
	}
	return true
}

// first reads the first bits of a band.
func (b *bits) first(s *scan, t *table, block *[64]int16) bool {
	if s.run > 0 {
		s.run--
		return true
	}
	for k := s.from; k <= s.to; k++ {
		symbol, ok := b.symbol(t)
		if !ok {
			return false
		}
		run, size := int(symbol>>4), uint(symbol&15)
		k += run
		if size > 0 {
			block[zigzag[k&127]] = int16(extend(b.take(size), int32(size)) << s.low)
		} else if run < 15 {
			s.run = 1<<run - 1 + int(b.take(uint(run)))
			break
		}
	}
	return true
}

// correct adds one bit to the coefficients of a band, T.81 G.1.2.3: those that
// are not zero take a bit each as they are passed over, and the codes tell which
// zeroes become one.
func (b *bits) correct(s *scan, t *table, block *[64]int16) bool {
	one := int16(1) << s.low
	k := s.from
	for ; s.run == 0 && k <= s.to; k++ {
		symbol, ok := b.symbol(t)
		if !ok {
			return false
		}
		run, value := int(symbol>>4), int16(0)
		if symbol&15 != 0 { // a size other than 1 is taken for 1, as libjpeg does
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
		if value != 0 && k < 64 {
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
	return true
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
	for i := range d.components {
		c := &d.components[i]
		for y := c.seen.Min.Y; y < c.seen.Max.Y; y++ {
			for x := c.seen.Min.X; x < c.seen.Max.X; x++ {
				at := 64 * (y*c.across + x)
				from, to := (*[64]int16)(c.coefs[at:]), &d.pending.coefs[d.pending.n]
				var any int16
				for k, v := range from {
					to[k] = v * int16(c.quant[k])
					if k > 0 {
						any |= v
					}
				}
				d.push(c, x, y, any == 0)
			}
		}
	}
}
