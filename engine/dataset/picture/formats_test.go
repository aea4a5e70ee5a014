package picture

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The golden files and their pixels were made by Pillow: testdata/export/pictures_formats.py.
func formatGoldens(t testing.TB) (names []string, arrays map[string]*tensor.Tensor) {
	t.Helper()
	arrays, err := tensor.ReadNpzFile(filepath.Join(pillow, "formats.npz"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range arrays {
		if name, ok := strings.CutPrefix(key, "file/"); ok {
			names = append(names, name)
		}
	}
	if len(names) < 400 {
		t.Fatalf("there are %d golden files", len(names))
	}
	return names, arrays
}

// What Pillow reads and Decode refuses, with a word of the reason.
var refusedFormats = map[string]string{
	"png/palette_none":  "no palette",
	"png/animated_part": "not as large as its canvas",
	"bmp/gray_4":        "grays alone",
	"bmp/black_white_8": "grays alone",
}

func TestFormatsLikePillow(t *testing.T) {
	names, arrays := formatGoldens(t)
	for _, name := range names {
		b := tensor.Data[uint8](arrays["file/"+name])
		p, err := Decode(b, 0, nil)
		rgb := arrays["rgb/"+name]
		switch why := refusedFormats[name]; {
		case rgb == nil || why != "":
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: got error %v, want a refusal %q", name, err, why)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		o, err := Orientation(b)
		up := arrays["up/"+name]
		switch {
		case up != nil && up.Shape[0] == 0:
			if err == nil {
				t.Errorf("%s: orientation %d, and Pillow fails over it", name, o)
			}
			up = nil
		case err != nil:
			t.Errorf("%s: %v", name, err)
		}
		for what, c := range map[string]struct {
			p    *Picture
			want *tensor.Tensor
		}{"pixels": {p, rgb}, "upright": {p.Upright(o), up}} {
			if c.want == nil {
				if o != 1 {
					t.Errorf("%s: orientation %d, want none", name, o)
				}
				continue
			}
			got := c.p.Channels(3)
			if got.H != c.want.Shape[0] || got.W != c.want.Shape[1] || !bytes.Equal(got.Pix, tensor.Data[uint8](c.want)) {
				t.Errorf("%s: the %s are not Pillow's: %d x %d, want %v", name, what, got.H, got.W, c.want.Shape)
			}
		}
		if w, h, err := SizeOf(b, 0); w != p.W || h != p.H || err != nil {
			t.Errorf("%s: its header says %d x %d (%v), its pixels are %d x %d", name, w, h, err, p.W, p.H)
		}
	}
}

// Values of 16 bits that are cut off are said.
func TestClippedFormats(t *testing.T) {
	_, arrays := formatGoldens(t)
	for name, want := range map[string]bool{"png/0_16_0": true, "png/0_16_1_trns": true, "pnm/5_1000": true, "png/2_16_0": false, "pnm/6_1000": false,
		"pnm/5_255": false} {
		p, err := Decode(tensor.Data[uint8](arrays["file/"+name]), 0, nil)
		if err != nil || (p.Warning != "") != want {
			t.Errorf("%s: got warning %q (error %v), want one: %v", name, p.Warning, err, want)
		}
	}
}

// A header's pixels are refused by the bytes that they take, before memory is taken.
func TestDecodedBytesAreBounded(t *testing.T) {
	_, arrays := formatGoldens(t)
	sized := func(name string, at int, order binary.ByteOrder, w, h uint32) []byte {
		b := bytes.Clone(tensor.Data[uint8](arrays["file/"+name]))
		order.PutUint32(b[at:], w)
		order.PutUint32(b[at+4:], h)
		if name[:3] == "png" {
			b = append(b[:8], chunkBytes("IHDR", b[16:29], b[33:])...)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"16 bits and alpha": sized("png/6_16_0", 16, binary.BigEndian, 13000, 13000),
		"interlaced":        sized("png/2_8_1", 16, binary.BigEndian, 12000, 12000),
		"one row":           sized("png/2_8_0", 16, binary.BigEndian, DefaultMaxPixels, 1),
		"canvas":            []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"),
		"run lengths":       sized("bmp/rle8_whole", 18, binary.LittleEndian, 1<<16, 1<<16),
		"text":              []byte("P3 60000 60000 255\n1"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(b, 0, nil)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "its header claims") || !strings.Contains(err.Error(), "178956970 pixels") {
			t.Errorf("%s: got %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

// chunkBytes is a chunk of a PNG file and what follows it.
func chunkBytes(name string, data, rest []byte) []byte {
	var b bytes.Buffer
	if _, err := b.ReadFrom(chunkOf(name, data)); err != nil {
		panic(err)
	}
	return append(b.Bytes(), rest...)
}

// Whatever a file holds, it is a picture of its header's size, or an error.
func FuzzFormats(f *testing.F) {
	names, arrays := formatGoldens(f)
	for _, name := range names {
		f.Add(tensor.Data[uint8](arrays["file/"+name]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 20
		p, err := Decode(b, most, nil)
		if err != nil {
			return
		}
		if w, h, err := SizeOf(b, most); err != nil || w != p.W || h != p.H || len(p.Pix) != w*h*p.C || p.C != 1 && p.C != 3 {
			t.Fatalf("got %d x %d pixels of %d channels in %d bytes, its header says %d x %d (%v)", p.W, p.H, p.C, len(p.Pix), w, h, err)
		}
	})
}

func FuzzOrientation(f *testing.F) {
	names, arrays := formatGoldens(f)
	for _, name := range names {
		if strings.HasPrefix(name, "up/") {
			f.Add(tensor.Data[uint8](arrays["file/"+name]))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := Orientation(b); o < 1 || o > 8 || err != nil && o != 1 {
			t.Fatalf("got %d (%v)", o, err)
		}
		UnreadAs(b)
	})
}
