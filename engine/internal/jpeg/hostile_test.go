package jpeg

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"
)

// change is a file with some bytes after a marker replaced.
func change(t testing.TB, b []byte, marker byte, at int, v ...byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	i := bytes.Index(b, []byte{0xff, marker})
	if i < 0 {
		t.Fatalf("no marker %#x", marker)
	}
	copy(b[i+at:], v)
	return b
}

func find(t testing.TB, name string) []byte {
	t.Helper()
	for _, g := range read(t) {
		if g.Name == name {
			return g.file
		}
	}
	t.Fatalf("no golden picture %q", name)
	return nil
}

func TestErrors(t *testing.T) {
	j, late := find(t, "420 64x48"), find(t, "420 64x48 progressive")
	sos := bytes.Index(j, []byte{0xff, mSOS})
	lateEnd := bytes.Index(late, []byte{0xff, mSOS})
	for _, c := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "start-of-image", nil},
		{"not a JPEG", "start-of-image", []byte("\x89PNG")},
		{"no frame", "no frame", []byte{0xff, mSOI, 0xff, mEOI}},
		{"cut in the header", "end-of-image", j[:sos-5]},
		{"cut in the codes", "end-of-image", j[:len(j)-40]},
		{"no end", "end-of-image", j[:len(j)-2]},
		{"no end, progressive", "end-of-image", late[:len(late)-2]},
		{"no scans", "it has no scan", append(bytes.Clone(j[:sos]), 0xff, mEOI)},
		{"no scans, progressive", "it has no scan", append(bytes.Clone(late[:lateEnd]), 0xff, mEOI)},
		{"arithmetic", "arithmetic", change(t, j, mSOF0, 1, 0xc9)},
		{"lossless", "lossless", change(t, j, mSOF0, 1, 0xc3)},
		{"hierarchical", "hierarchical", change(t, j, mSOF0, 1, 0xc5)},
		{"12 bits", "12 bits", change(t, j, mSOF0, 4, 12)},
		{"no height", "height that follows", change(t, j, mSOF0, 5, 0, 0)},
		{"two components", "its frame has", change(t, j, mSOF0, 9, 2)},
		{"fraction", "whole ratios", change(t, j, mSOF0, 11, 0x32, 1, 2, 0x21)},
		{"no factor", "sampling factors", change(t, j, mSOF0, 11, 0)},
		{"no table", "quantisation table 3", change(t, j, mSOF0, 12, 3)},
		{"unknown component", "which the frame lacks", change(t, j, mSOS, 5, 77)},
		{"out of order", "which the frame lacks", change(t, j, mSOS, 5, 2, 0, 1)},
		{"twice", "twice", change(t, j, mSOS, 5, 3, 0, 3)},
		{"two scans", "component 1 has two scans", slices.Concat(j[:len(j)-2], j[sos:])},
		{"unknown marker", "marker 0xf0, which means nothing", slices.Concat(j[:sos], []byte{0xff, 0xf0, 0, 2}, j[sos:])},
		{"all ones", "more codes", slices.Concat(j[:sos], []byte("\xff\xc4\x00\x15\x00\x02"), make([]byte, 15), []byte{0, 1}, j[sos:])},
		{"fill within codes", "reads in two ways", slices.Concat(j[:sos+40], []byte{0xff, 0xff, 0}, j[sos+40:])},
		{"undefined codes", "not defined", change(t, j, mSOS, 6, 0x33)},
		{"no such codes", "not defined", change(t, j, mSOS, 6, 0x44)},
		{"too many codes", "more codes", change(t, j, mDHT, 5, 3, 1, 2)},
		{"huge DC", "of 31 bits", change(t, j, mDHT, 21, 31)},
		{"band", "progressive scan", change(t, late, mSOS, 11, 5, 3)},
		{"huge", "65535 x 65535 pixels in a file of", change(t, j, mSOF0, 5, 0xff, 0xff, 0xff, 0xff)},
		{"two frames", "two frames", append(bytes.Clone(j[:sos]), append(bytes.Clone(j[bytes.Index(j, []byte{0xff, mSOF0}):sos]), j[sos:]...)...)},
	} {
		if _, _, _, err := Decode(c.file, everything, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// A file of very many scans is refused before anything is made of it, a small picture of a
// hundred is read, and a large one of the scans that encoders write.
func TestScanLimit(t *testing.T) {
	j := find(t, "grey 5x40") // progressive
	first := bytes.Index(j, []byte{0xff, mSOS})
	dht := bytes.Index(j[first:], []byte{0xff, mDHT}) + first
	for _, c := range []struct {
		scans, side int
		want        string
	}{
		{100, 8, ""},
		{MaxScans, 8, ""},
		{MaxScans + 1, 8, "it has 1001 scans of 8 x 8 pixels, of which at most 1000 are accepted"},
		{40, 1024, "pixels in a file of"},
		{100, 16384, "it has 100 scans of 16384 x 16384 pixels, of which at most 32 are accepted"},
		{32, 16384, "pixels in a file of"},
	} {
		b := append(bytes.Clone(j[:first]), bytes.Repeat(j[first:dht], c.scans)...)
		b = change(t, append(b, 0xff, mEOI), mSOF2, 5, byte(c.side>>8), byte(c.side), byte(c.side>>8), byte(c.side))
		_, _, _, err := Decode(b, everything, nil)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d scans: error %v, want one with %q", c.scans, err, c.want)
		}
	}
}

// near compares with image/jpeg, whose transform rounds otherwise, where neither
// upsampling nor conversions differ: planes that are as large as the picture.
func near(t *testing.T, file, pix []byte, c Config) {
	m, err := jpeg.Decode(bytes.NewReader(file))
	if err != nil {
		return
	}
	if m.Bounds() != image.Rect(0, 0, c.Width, c.Height) {
		t.Fatalf("%d x %d pixels, image/jpeg has %v", c.Width, c.Height, m.Bounds())
	}
	grey, ok := m.(*image.Gray)
	if !ok || c.Channels != 1 ||
		slices.Contains(grey.Pix, 0) || slices.Contains(grey.Pix, 255) { // such as overflow, perhaps
		return
	}
	for y := range c.Height {
		for x := range c.Width {
			a, b := int(pix[y*c.Width+x]), int(grey.GrayAt(x, y).Y)
			if max(a-b, b-a) > 2 {
				t.Fatalf("(%d, %d) is %d, with image/jpeg %d", x, y, a, b)
			}
		}
	}
}

// Of broken files: no panic, no memory beyond what the size asks for, plain Go's bytes,
// and those of a window; of others those of image/jpeg, nearly.
func FuzzDecode(f *testing.F) {
	for i, g := range read(f) {
		if i%4 == 0 && len(g.file) < 3000 {
			f.Add(g.file)
			f.Add(g.file[:len(g.file)/2])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeConfig(b)
		if err != nil || c.Width*c.Height > 1<<20 {
			return
		}
		pix, got, warning, err := Decode(b, everything, nil)
		if err != nil {
			return
		}
		if got != c || len(pix) != c.Width*c.Height*c.Channels {
			t.Fatalf("%+v and %d bytes after %+v", got, len(pix), c)
		}
		if warning == "" && sane(b) {
			near(t, b, pix, c)
		}
		w := image.Rect(c.Width/3, c.Height/3, c.Width/3+1, c.Height/2+1)
		part, _, told, err := Decode(b, w, nil)
		at, end := (w.Min.Y*c.Width+w.Min.X)*c.Channels, ((w.Max.Y-1)*c.Width+w.Max.X)*c.Channels
		if err != nil || told != warning || !bytes.Equal(part[at:at+c.Channels], pix[at:at+c.Channels]) ||
			!bytes.Equal(part[end-c.Channels:end], pix[end-c.Channels:end]) {
			t.Fatalf("the window %v has other pixels, error %v, warning %q, want %q", w, err, told, warning)
		}
		chosen := fast
		defer func() { fast = chosen }()
		fast = plain
		again, _, _, err := Decode(b, everything, nil)
		if err != nil || !bytes.Equal(pix, again) {
			t.Fatalf("plain Go gives other pixels, error %v", err)
		}
	})
}

// sane reports whether a file's tables are those of an encoder: others overflow,
// each decoder in its own way. Nor is a file whose segments cannot be followed.
func sane(b []byte) bool {
	for at := 2; ; at += 2 + int(binary.BigEndian.Uint16(b[at+2:])) {
		if at+4 >= len(b) || b[at] != 0xff {
			return false
		}
		if b[at+1] == mSOS {
			return true
		}
		if b[at+1] == mDQT {
			for _, q := range b[min(at+5, len(b)):min(at+69, len(b))] {
				if q > 4 {
					return false
				}
			}
		}
	}
}
