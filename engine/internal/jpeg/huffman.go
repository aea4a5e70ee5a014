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
	// What the file defines, and whether entries are made of it.
	defined, made bool
	counts        [16]uint8
	symbols       [256]uint8
	entries       [1 << look]uint32
	// Of the codes of each length, aligned to 16 bits: the first that is longer,
	// and what turns a code into the index of its symbol.
	limit  [17]int32
	offset [17]int32
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
		d.tables[class][id].define(s[1:17], s[17:17+total])
		s = s[17+total:]
	}
	return nil
}

func (t *table) define(counts, symbols []byte) {
	t.defined, t.made = true, false
	copy(t.counts[:], counts)
	clear(t.symbols[copy(t.symbols[:], symbols):])
}

// use makes a table ready for a scan. Tables that no scan uses may be wrong.
func (d *decoder) use(class, id int) (*table, error) {
	if id > 3 || !d.tables[class][id].defined {
		return nil, broken("a scan has Huffman table %d of class %d, which is not defined", id, class)
	}
	t := &d.tables[class][id]
	if t.made {
		return t, nil
	}
	clear(t.entries[:])
	code, at := int32(0), int32(0)
	for l := int32(1); l <= 16; l++ {
		t.offset[l] = at - code
		for range t.counts[l-1] {
			if code >= 1<<l-1 { // no code is all ones
				return nil, broken("a Huffman table has more codes of %d bits than there are", l)
			}
			if class == 0 && t.symbols[at] > 15 {
				return nil, broken("a Huffman table has a DC coefficient of %d bits", t.symbols[at])
			}
			if l <= look {
				t.fill(code, l, t.symbols[at])
			}
			code++
			at++
		}
		t.limit[l] = code << (16 - l)
		code <<= 1
	}
	t.made = true
	return t, nil
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

// long is a code longer than look that begins 16 bits: its symbol and length. What is
// no code is taken, as libjpeg does, for one of 17 bits and symbol 0.
func (t *table) long(v int32) (symbol uint8, l uint) {
	for l := look + 1; l <= 16; l++ {
		if v < t.limit[l] {
			return t.symbols[(v>>(16-l)+t.offset[l])&255], uint(l)
		}
	}
	return 0, 17
}

// standard defines the tables that many Motion JPEG frames leave out, T.81 K.3, which
// libjpeg takes where a sequential file has none.
func (d *decoder) standard() {
	for class, pair := range standardTables {
		for id, s := range pair {
			if t := &d.tables[class][id]; !t.defined {
				t.define([]byte(s.counts), []byte(s.symbols))
			}
		}
	}
}

var standardTables = [2][2]struct{ counts, symbols string }{
	{
		{"\x00\x01\x05\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{"\x00\x03\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
	},
	{
		{"\x00\x02\x01\x03\x03\x02\x04\x03\x05\x05\x04\x04\x00\x00\x01\x7d", "" +
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1" +
			"\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37" +
			"\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a" +
			"\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3" +
			"\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3" +
			"\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa"},
		{"\x00\x02\x01\x02\x04\x04\x03\x04\x07\x05\x04\x04\x00\x01\x02\x77", "" +
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1" +
			"\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36" +
			"\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69" +
			"\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a" +
			"\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca" +
			"\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa"},
	},
}
