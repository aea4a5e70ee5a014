package picture

import (
	"bytes"
	"encoding/binary"
)

// Orientation is the EXIF orientation of an image file, 1 to 8; 1, upright,
// when it has none that can be read.
func Orientation(b []byte) int {
	t := exifOf(b)
	if len(t) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(t[4:]))
	if at+2 > int64(len(t)) {
		return 1
	}
	entries := t[at+2:]
	for range order.Uint16(t[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == 0x0112 {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			break
		}
		entries = entries[12:]
	}
	return 1
}

// exifOf finds the EXIF data, itself a small TIFF file, of an image file.
func exifOf(b []byte) []byte {
	switch {
	case hasMagic(b, "\xff\xd8"):
		for at := 2; at+4 <= len(b) && b[at] == 0xff && b[at+1] != 0xda; {
			n := int(binary.BigEndian.Uint16(b[at+2:]))
			if n < 2 || at+2+n > len(b) {
				break
			}
			if data, ok := bytes.CutPrefix(b[at+4:at+2+n], []byte("Exif\x00\x00")); ok && b[at+1] == 0xe1 {
				return data
			}
			at += 2 + n
		}
	case hasMagic(b, "\x89PNG"):
		for at := int64(8); at+12 <= int64(len(b)); {
			n := int64(binary.BigEndian.Uint32(b[at:]))
			if at+12+n > int64(len(b)) {
				break
			}
			if string(b[at+4:at+8]) == "eXIf" {
				return b[at+8 : at+8+n]
			}
			at += 12 + n
		}
	case hasMagic(b, "RIFF????WEBP"):
		for at := int64(12); at+8 <= int64(len(b)); {
			n := int64(binary.LittleEndian.Uint32(b[at+4:]))
			if at+8+n > int64(len(b)) {
				break
			}
			if string(b[at:at+4]) == "EXIF" {
				return bytes.TrimPrefix(b[at+8:at+8+n], []byte("Exif\x00\x00"))
			}
			at += 8 + n + n%2
		}
	}
	return nil
}

// Upright turns a picture stored with an EXIF orientation; one that is upright is returned
// itself.
func (p *Picture) Upright(orientation int) *Picture {
	if orientation <= 1 {
		return p
	}
	w, h := p.W, p.H
	if orientation >= 5 {
		w, h = h, w
	}
	q := New(w, h, p.C)
	q.Warning = p.Warning
	for y := range h {
		for x := range w {
			sx, sy := x, y
			if orientation&2 != 0 { // 2, 3, 6 and 7
				sx = w - 1 - x
			}
			if (orientation-1)&2 != 0 { // 3, 4, 7 and 8
				sy = h - 1 - y
			}
			if orientation >= 5 {
				sx, sy = sy, sx
			}
			copy(q.Pix[(y*w+x)*p.C:(y*w+x+1)*p.C], p.Pix[(sy*p.W+sx)*p.C:])
		}
	}
	return q
}
