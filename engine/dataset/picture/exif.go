package picture

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// metadata is what a file says of its picture's orientation, where PIL looks for it.
type metadata struct {
	exif []byte // a small TIFF file, with or without "Exif\0\0" before it
	raw  string // ImageMagick's "Raw profile type exif": numbers in hexadecimal after a head of 3 lines
	xmp  []byte
	// lenient is a JPEG file without a resolution: PIL looks for that in the EXIF data, which
	// it then takes for read even if they are broken.
	lenient bool
}

const exifHead = "Exif\x00\x00"

// Orientation is the EXIF orientation of an image file, 1 to 8, as PIL's exif_transpose
// takes it: from EXIF data, whatever type of number it is there, else from XMP. It is 1,
// upright, where there is none, and for TIFF files, which Decode turns. EXIF data that PIL
// fails over are an error.
func Orientation(b []byte) (int, error) {
	m := metadata{}
	switch {
	case hasMagic(b, "\xff\xd8"):
		m = jpegMetadata(b)
	case hasMagic(b, pngMagic):
		m = pngMetadata(b)
	case hasMagic(b, "RIFF????WEBP"):
		m = webpMetadata(b)
	}
	o, err := m.orientation()
	if err != nil {
		return 1, fmt.Errorf("reading its orientation: %w", err)
	}
	return o, nil
}

func (m metadata) orientation() (int, error) {
	data := m.exif
	if data == nil && m.raw != "" {
		lines := strings.Split(m.raw, "\n")
		text := strings.Join(lines[min(3, len(lines)):], "")
		var err error
		if data, err = hex.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return 1, errors.New("its raw profile of EXIF data is no row of hexadecimal numbers")
		}
	}
	for range 2 {
		data = bytes.TrimPrefix(data, []byte(exifHead))
	}
	if len(data) > 0 {
		d, ok := ifdOf(data)
		if !ok || d.big {
			if m.lenient {
				return 1, nil
			}
			return 1, fmt.Errorf("its EXIF data begin with %q, and not as those of a TIFF file", data[:min(len(data), 8)])
		}
		if f, ok := d.field(0x0112); ok {
			return upright(f.number(0)), nil
		}
	}
	if found := xmpOrientation.FindSubmatch(m.xmp); found != nil {
		return upright(float64(found[1][0] - '0')), nil
	}
	return 1, nil
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// upright is an orientation of a file; 1 for what is none.
func upright(v float64) int {
	if v >= 1 && v <= 8 && v == float64(int(v)) {
		return int(v)
	}
	return 1
}

func jpegMetadata(b []byte) metadata {
	m := metadata{lenient: true}
	for at := 2; at+4 <= len(b); {
		switch kind := b[at+1]; {
		case b[at] != 0xff || kind == 0: // junk
			at++
		case kind == 0xff: // padding
			at++
		case kind >= 0xd0 && kind <= 0xd9 || kind == 0xc8 || kind >= 0xf0 && kind <= 0xfd: // alone
			at += 2
		case kind == 0xda:
			return m
		default:
			end := at + 2 + max(int(binary.BigEndian.Uint16(b[at+2:])), 2)
			if end > len(b) {
				return m
			}
			data := b[at+4 : end]
			if exif, ok := bytes.CutPrefix(data, []byte(exifHead)); ok && kind == 0xe1 {
				if m.exif == nil {
					exif = data
				}
				m.exif = append(m.exif[:len(m.exif):len(m.exif)], exif...)
			} else if xmp, ok := bytes.CutPrefix(data, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok && kind == 0xe1 {
				m.xmp = xmp
			} else if kind == 0xe0 && bytes.HasPrefix(data, []byte("JFIF")) && len(data) >= 12 && (data[7] == 1 || data[7] == 2) {
				m.lenient = false
			}
			at = end
		}
	}
	return m
}

func pngMetadata(b []byte) (m metadata) {
	const xmp, raw = "XML:com.adobe.xmp", "Raw profile type exif"
	var text, international []byte
	f, err := parsePNG(b)
	if err != nil {
		return m
	}
	for _, t := range f.texts {
		data, err := t.unpack()
		if t.chunk == "iTXt" && string(t.key) == xmp && data != nil {
			international = data
		}
		switch {
		case err != nil, data == nil && t.packed:
		case t.chunk == "iTXt" && !(utf8.Valid(t.tongue) && utf8.Valid(data)): // PIL drops such
		case t.chunk == "eXIf":
			m.exif = append([]byte(exifHead), data...)
		case string(t.key) == "exif":
			m.exif = data
		case string(t.key) == raw:
			m.raw = string(data)
		case string(t.key) == xmp:
			text = data
		}
	}
	if m.xmp = text; len(text) == 0 {
		m.xmp = international
	}
	return m
}

func webpMetadata(b []byte) (m metadata) {
	const exif, xmp = 8, 4 // flags
	var flags byte
	for c := range riffChunks(b[12:]) {
		switch {
		case c.name == "VP8X" && len(c.data) > 0 && flags == 0:
			flags = c.data[0]
		case flags == 0:
			return m
		case c.name == "EXIF" && flags&exif != 0 && m.exif == nil:
			m.exif = c.data
		case c.name == "XMP " && flags&xmp != 0 && m.xmp == nil:
			m.xmp = c.data
		}
	}
	return m
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
	q.Warning, q.Transparent = p.Warning, p.Transparent
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
