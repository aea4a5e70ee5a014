package picture

import (
	"encoding/binary"
	"iter"
	"math"
)

// ifd is a directory of tags of a TIFF or BigTIFF file, which EXIF data are too. Nothing
// in it is believed.
type ifd struct {
	b     []byte
	order binary.ByteOrder
	big   bool
	from  uint64
}

// ifdOf is the first directory of a TIFF file.
func ifdOf(b []byte) (ifd, bool) {
	if len(b) < 8 {
		return ifd{}, false
	}
	d := ifd{b: b, order: binary.LittleEndian, big: b[2]|b[3] == 43}
	switch string(b[:4]) {
	case "II*\x00", "II\x00*", "II+\x00":
	case "MM\x00*", "MM*\x00", "MM\x00+":
		d.order = binary.BigEndian
	default:
		return ifd{}, false
	}
	if d.from = uint64(d.order.Uint32(b[4:])); d.big {
		if len(b) < 16 {
			return ifd{}, false
		}
		d.from = d.order.Uint64(b[8:])
	}
	return d, true
}

// at is the directory at an offset of the file.
func (d ifd) at(offset uint64) ifd { d.from = offset; return d }

// bytes is n bytes of the file at an offset; nil where it has fewer.
func (d ifd) bytes(at, n uint64) []byte {
	if size := uint64(len(d.b)); n > size || at > size-n {
		return nil
	}
	return d.b[at : at+n]
}

// field is a tag's type and its values' bytes.
type field struct {
	order binary.ByteOrder
	kind  uint16
	count uint64
	data  []byte
}

// sizes of the types of fields; 0 where there is no such type.
var fieldSizes = [...]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}

// size is how many bytes the values have; 0 where that is not known.
func (f field) size() uint64 {
	if int(f.kind) >= len(fieldSizes) {
		return 0
	}
	return f.count * fieldSizes[f.kind]
}

// entries are how many the directory says it has, where the first lies, each one's bytes
// and how many of these may be values.
func (d ifd) entries() (n, first, step, room uint64) {
	head := uint64(2)
	if step, room = 12, 4; d.big {
		head, step, room = 8, 20, 8
	}
	b := d.bytes(d.from, head)
	switch {
	case b == nil:
	case d.big:
		n = d.order.Uint64(b)
	default:
		n = uint64(d.order.Uint16(b))
	}
	return n, d.from + head, step, room
}

// fields are the tags in their order and what they have; data are nil where there are none,
// the type is not known or the file ends before.
func (d ifd) fields() iter.Seq2[uint16, field] {
	return func(yield func(uint16, field) bool) {
		n, first, step, room := d.entries()
		for i := range n {
			e := d.bytes(first+i*step, step)
			if e == nil {
				return
			}
			f := field{order: d.order, kind: d.order.Uint16(e[2:]), count: uint64(d.order.Uint32(e[4:])), data: e[step-room:]}
			at := uint64(d.order.Uint32(f.data))
			if d.big {
				f.count, at = d.order.Uint64(e[4:]), d.order.Uint64(f.data)
			}
			if size := f.size(); size == 0 || f.count > uint64(len(d.b)) {
				f.data = nil
			} else if size <= room {
				f.data = f.data[:size]
			} else {
				f.data = d.bytes(at, size)
			}
			if !yield(d.order.Uint16(e), f) {
				return
			}
		}
	}
}

// field is the first one with a tag, as PIL's ImageFileDirectory_v2.load finds it: those of
// unknown types, without values, or with values that with those before take more bytes than
// the file has, are passed over, and values outside the file end the directory.
func (d ifd) field(tag uint16) (field, bool) {
	_, _, _, room := d.entries()
	outside := uint64(0)
	for at, f := range d.fields() {
		size := f.size()
		if size == 0 {
			continue
		}
		if f.count > uint64(len(d.b)) { // where size may have overflown
			size = uint64(len(d.b)) + 1
		}
		if size > room {
			if outside += size; outside > uint64(len(d.b)) {
				continue
			}
			if f.data == nil {
				break
			}
		}
		if at == tag {
			return f, true
		}
	}
	return field{}, false
}

// number is value i of a field of numbers; NaN where there is none.
func (f field) number(i uint64) float64 {
	if i >= f.count {
		return math.NaN()
	}
	size := fieldSizes[f.kind]
	switch b := f.data[i*size : (i+1)*size]; f.kind {
	case 3:
		return float64(f.order.Uint16(b))
	case 4, 13:
		return float64(f.order.Uint32(b))
	case 5:
		return float64(f.order.Uint32(b)) / float64(f.order.Uint32(b[4:]))
	case 6:
		return float64(int8(b[0]))
	case 8:
		return float64(int16(f.order.Uint16(b)))
	case 9:
		return float64(int32(f.order.Uint32(b)))
	case 10:
		return float64(int32(f.order.Uint32(b))) / float64(int32(f.order.Uint32(b[4:])))
	case 11:
		return float64(math.Float32frombits(f.order.Uint32(b)))
	case 12:
		return math.Float64frombits(f.order.Uint64(b))
	case 16:
		return float64(f.order.Uint64(b))
	}
	return math.NaN()
}

// value is the first number of a tag; NaN where there is none.
func (d ifd) value(tag uint16) float64 {
	f, ok := d.field(tag)
	if !ok {
		return math.NaN()
	}
	return f.number(0)
}
