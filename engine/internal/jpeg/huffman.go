package jpeg

// look is how many bits a table is indexed with.
const look = 10

// table is a Huffman code. An entry tells what begins with look bits:
//
//	bits 0-7    the symbol: a run of zeroes and the size of what follows them
//	bits 8-11   the length of its code, 0 where that is longer than look
//	bits 12-15  the length of the code and of the coefficient together
//	bits 16-31  that coefficient, where it is within the look bits; else 0
type table struct {
	defined bool
	entries [1 << look]uint32
	// Of the codes of each length, aligned to 16 bits: the first that is longer,
	// and what turns a code into the index of its symbol.
	limit   [17]int32
	offset  [17]int32
	symbols [256]uint8
}

// huffman reads tables, T.81 B.2.4.2.
func (d *decoder) huffman(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return broken("a Huffman table of %d bytes", len(s))
		}
		class, id, total := int(s[0]>>4), int(s[0]&15), 0
		for _, n := range s[1:17] {
			total += int(n)
		}
		if class > 1 || id > 3 || total > 256 || len(s) < 17+total {
			return broken("a Huffman table %d of class %d with %d symbols in %d bytes", id, class, total, len(s))
		}
		if err := d.tables[class][id].build(s[1:17], s[17:17+total]); err != nil {
			return err
		}
		if class == 0 {
			for _, v := range s[17 : 17+total] {
				if v > 15 {
					return broken("a Huffman table has a DC coefficient of %d bits", v)
				}
			}
		}
		s = s[17+total:]
	}
	return nil
}

func (t *table) build(counts, symbols []byte) error {
	t.defined = false
	clear(t.entries[:])
	copy(t.symbols[:], symbols)
	code, at := int32(0), int32(0)
	for l := int32(1); l <= 16; l++ {
		t.offset[l] = at - code
		for range counts[l-1] {
			if code >= 1<<l {
				return broken("a Huffman table has more codes of %d bits than there are", l)
			}
			if l <= look {
				t.fill(code, l, symbols[at])
			}
			code++
			at++
		}
		t.limit[l] = code << (16 - l)
		code <<= 1
	}
	t.defined = true
	return nil
}

// fill writes the entries that begin with a code of length l.
func (t *table) fill(code, l int32, symbol uint8) {
	rest, size := look-l, int32(symbol&15)
	for j := range int32(1) << rest {
		e := uint32(symbol) | uint32(l)<<8
		if size > 0 && size <= rest {
			e |= uint32(l+size)<<12 | uint32(extend(j>>(rest-size), size))<<16
		}
		t.entries[code<<rest|j] = e
	}
}

// extend is the coefficient that size bits stand for, T.81 F.12.
func extend(v, size int32) int32 {
	if v < 1<<(size-1) {
		v += -1<<size + 1
	}
	return v
}

// long is a code longer than look that begins 16 bits: its symbol and length,
// 0 where there is none.
func (t *table) long(v int32) (symbol uint8, l uint) {
	for l := look + 1; l <= 16; l++ {
		if v < t.limit[l] {
			return t.symbols[(v>>(16-l)+t.offset[l])&255], uint(l)
		}
	}
	return 0, 0
}
