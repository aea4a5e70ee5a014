package jpeg

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
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
	j, restarts, late := find(t, "420 64x48"), find(t, "restart 1"), find(t, "420 64x48 progressive")
	sos := bytes.Index(j, []byte{0xff, mSOS})
	rst := bytes.Index(restarts, []byte{0xff, mRST0 + 1})
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
		{"ended early", "end too early", append(bytes.Clone(j[:sos+100]), 0xff, mEOI)},
		{"no scans", "component 0 has no scan", append(bytes.Clone(j[:sos]), 0xff, mEOI)},
		{"no scans, progressive", "component 0 has no scan", append(bytes.Clone(late[:lateEnd]), 0xff, mEOI)},
		{"restart out of turn", "where restart marker 0xd1 is due", append(append(bytes.Clone(restarts[:rst]), 0xff, mRST0+5), restarts[rst+2:]...)},
		{"arithmetic", "arithmetic", change(t, j, mSOF0, 1, 0xc9)},
		{"lossless", "lossless", change(t, j, mSOF0, 1, 0xc3)},
		{"12 bits", "12 bits", change(t, j, mSOF0, 4, 12)},
		{"no height", "height that follows", change(t, j, mSOF0, 5, 0, 0)},
		{"two components", "its frame has", change(t, j, mSOF0, 9, 2)},
		{"fraction", "whole ratios", change(t, j, mSOF0, 11, 0x32, 1, 2, 0x21)},
		{"no factor", "sampling factors", change(t, j, mSOF0, 11, 0)},
		{"same name", "identifier", change(t, j, mSOF0, 13, 1)},
		{"no table", "quantisation table 3", change(t, j, mSOF0, 12, 3)},
		{"unknown component", "which the frame lacks", change(t, j, mSOS, 5, 77)},
		{"twice", "twice", change(t, j, mSOS, 7, 1)},
		{"undefined codes", "not defined", change(t, j, mSOS, 6, 0x33)},
		{"no such codes", "want 0 to 3", change(t, j, mSOS, 6, 0x44)},
		{"too many codes", "more codes", change(t, j, mDHT, 5, 3, 1, 2)},
		{"huge DC", "of 31 bits", change(t, j, mDHT, 21, 31)},
		{"band", "progressive scan", change(t, late, mSOS, 11, 5, 3)},
		{"huge", "65535 x 65535 pixels in a file of", change(t, j, mSOF0, 5, 0xff, 0xff, 0xff, 0xff)},
		{"two frames", "two frames", append(bytes.Clone(j[:sos]), append(bytes.Clone(j[bytes.Index(j, []byte{0xff, mSOF0}):sos]), j[sos:]...)...)},
	} {
		if _, _, err := Decode(c.file, everything, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// A file of very many scans is refused.
func TestScanLimit(t *testing.T) {
	j := find(t, "grey 8x8")
	sos := bytes.Index(j, []byte{0xff, mSOS})
	for n, bad := range map[int]bool{MaxScans: false, MaxScans + 1: true} {
		b := append(bytes.Clone(j[:sos]), bytes.Repeat(j[sos:len(j)-2], n)...)
		_, _, err := Decode(append(b, 0xff, mEOI), everything, nil)
		if bad != (err != nil && strings.Contains(err.Error(), "at most 1000 are accepted")) {
			t.Errorf("%d scans: error %v", n, err)
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
	if !ok || c.Channels != 1 {
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

// Of broken files: no panic, no memory beyond what the size asks for, and plain
// Go's bytes; of others those of image/jpeg, nearly.
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
		pix, got, err := Decode(b, everything, nil)
		if err != nil {
			return
		}
		if got != c || len(pix) != c.Width*c.Height*c.Channels {
			t.Fatalf("%+v and %d bytes after %+v", got, len(pix), c)
		}
		if sane(b) {
			near(t, b, pix, c)
		}
		chosen := fast
		defer func() { fast = chosen }()
		fast = plain
		again, _, err := Decode(b, everything, nil)
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
