package picture

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// media is the beginning of an ISO media file of brands.
func media(brands ...string) []byte {
	b := []byte("????ftyp" + brands[0] + "\x00\x00\x00\x00" + strings.Join(brands[1:], ""))
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return append(b, "\x00\x00\x00\x08mdat"...)
}

// tiffOf is a TIFF file of one directory of LONG tags and values, and of one more that
// follows it at byte 64.
func tiffOf(tags, second [][2]uint32) []byte {
	b := make([]byte, 128)
	copy(b, "II*\x00\x08")
	put := func(at int, tags [][2]uint32) {
		b[at] = byte(len(tags))
		for i, t := range tags {
			e := b[at+2+12*i:]
			binary.LittleEndian.PutUint16(e, uint16(t[0]))
			e[2], e[4] = 4, 1
			binary.LittleEndian.PutUint32(e[8:], t[1])
		}
	}
	put(8, tags)
	put(64, second)
	return b
}

// What is not read is refused by its name, and the words say how to convert it.
func TestUnread(t *testing.T) {
	for kind, files := range map[string][][]byte{
		"AVIF":       {media("avif", "avif", "mif1"), media("mif1", "miaf", "avif")},
		"HEIC":       {media("heic", "mif1"), media("mif1", "heic"), media("mif1"), media("msf1", "hevc")},
		"JPEG XL":    {[]byte("\xff\x0a\x00\x00"), []byte("\x00\x00\x00\x0cJXL \r\n\x87\n\x00")},
		"JPEG 2000":  {[]byte("\x00\x00\x00\x0cjP  \r\n\x87\n\x00"), []byte("\xff\x4f\xff\x51\x00")},
		"camera raw": {tiffOf([][2]uint32{{0x106, 2}, {0xc612, 1}}, nil), tiffOf([][2]uint32{{0x14a, 64}}, [][2]uint32{{0x106, 32803}}), media("crx ")},
		"PSD":        {[]byte("8BPS\x00\x01")},
		"SVG":        {[]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), []byte("\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn --><svg/>")},
		"PDF":        {[]byte("%PDF-1.7\n")},
		"DICOM":      {append(make([]byte, 128), "DICM\x02"...)},
		"PFM":        {[]byte("Pf\n2 2\n-1.0\n")},
	} {
		for _, b := range files {
			_, err := Decode(b, 0, nil)
			i := slices.IndexFunc(unreadKinds, func(k UnreadKind) bool { return k.Name == kind })
			if err != &unreadKinds[i] || !strings.Contains(err.Error(), kind) || !strings.Contains(err.Error(), unreadKinds[i].Convert) {
				t.Errorf("%q is told as %v, want %s", b[:min(len(b), 16)], err, kind)
			}
		}
	}
	for _, b := range [][]byte{media("mp42", "isom"), []byte("<?xml version='1.0'?><html/>"), tiffOf([][2]uint32{{0x106, 2}, {0x14a, 64}},
		[][2]uint32{{0x106, 2}}), []byte("BM"), nil, bytes.Repeat([]byte{'?'}, 200)} {
		if k := UnreadAs(b); k != nil {
			t.Errorf("%q is told as %s", b[:min(len(b), 16)], k.Name)
		}
	}
}

func TestUnreadNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range unreadKinds {
		for _, ext := range k.Extensions {
			if got := Unread("IMG_0001" + strings.ToUpper(ext)); got == nil || got.Name != k.Name {
				t.Errorf("%s: got %v, want %s", ext, got, k.Name)
			}
			if seen[ext] || IsName("a"+ext) {
				t.Errorf("%s is told twice", ext)
			}
			seen[ext] = true
		}
		if k.Name == "" || !strings.Contains(k.Convert, "IN") || len(k.magic) == 0 && k.is == nil && len(k.Extensions) == 0 {
			t.Errorf("%+v lacks something", k)
		}
	}
	for _, name := range []string{"a.png", "heic", ".heic", "a.txt", "a.jpeg"} {
		if k := Unread(name); k != nil {
			t.Errorf("%s is told as %s", name, k.Name)
		}
	}
}
