package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The files and PIL's pixels of them were made by testdata/export/pictures_tiff.py.
const tiffs = "../../../testdata/golden/pictures/tiff"

func tiffFiles(t testing.TB) (files map[string][]byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(tiffs, "*.tif"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s (%v)", tiffs, err)
	}
	files = map[string][]byte{}
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestTIFFLikePIL(t *testing.T) {
	arrays, err := tensor.ReadNpzFile(filepath.Join(tiffs, "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	warned := map[string]string{"gray16_signed.tif": deepWarning, "gray32.tif": deepWarning, "gray_float.tif": deepWarning,
		"gray_float_predictor.tif": deepWarning, "gray12.tif": clippedWarning, "gray16.tif": clippedWarning,
		"gray16_white.tif": clippedWarning, "turned8_gray.tif": mappedWarning}
	for name, b := range tiffFiles(t) {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(b, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := arrays[name]
			if w, h, err := SizeOf(b, 0); err != nil || w != want.Shape[1] || h != want.Shape[0] {
				t.Errorf("the size is %d x %d (%v), want %v", w, h, err, want.Shape)
			}
			if got.H != want.Shape[0] || got.W != want.Shape[1] {
				t.Fatalf("got %d x %d, want %v", got.W, got.H, want.Shape)
			}
			if most, mean := differs(t, got.Channels(3).Pix, tensor.Data[uint8](want)); most != 0 {
				t.Errorf("differs by at most %d, %.4f on average; want bit for bit", most, mean)
			}
			if got.Warning != warned[name] {
				t.Errorf("warns %q, want %q", got.Warning, warned[name])
			}
			if o, err := Orientation(b); o != 1 || err != nil {
				t.Errorf("orientation is %d (%v), which would turn the picture twice", o, err)
			}
		})
	}
}

// tinyTIFF is a raw 4 x 2 picture of 8 bits of grey, but for what tags say. A tag without
// values is left out.
func tinyTIFF(tags map[uint16][]uint16) []byte {
	const pixels = 64
	b := append([]byte("II*\x00\x00\x00\x00\x00"), make([]byte, pixels)...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	all := map[uint16][]uint16{tagWidth: {4}, tagHeight: {2}, tagBits: {8}, tagCompression: {tiffRaw}, tagPhotometric: {blackIsZero},
		tagStripOffsets: {8}, tagStripByteCounts: {pixels}}
	for tag, values := range tags {
		if all[tag] = values; values == nil {
			delete(all, tag)
		}
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(all)))
	later := len(b) + len(all)*12
	var values []byte
	for tag, v := range all {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = append(b, 3, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
		if len(v) <= 2 {
			b = binary.LittleEndian.AppendUint16(b, v[0])
			b = binary.LittleEndian.AppendUint16(b, v[len(v)-1])
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(later+len(values)))
		for _, n := range v {
			values = binary.LittleEndian.AppendUint16(values, n)
		}
	}
	return append(b, values...)
}

// What PIL refuses or reads wrongly is refused by its name, never called broken.
func TestTIFFRefusesByName(t *testing.T) {
	rgb := func(more map[uint16][]uint16) map[uint16][]uint16 {
		tags := map[uint16][]uint16{tagPhotometric: {tiffRGB}, tagSamples: {3}, tagBits: {8, 8, 8}}
		for tag, v := range more {
			tags[tag] = v
		}
		return tags
	}
	for want, tags := range map[string]map[uint16][]uint16{
		"LZMA compression":                   {tagCompression: {34925}},
		"compression 777":                    {tagCompression: {777}},
		"old JPEG compression":               {tagCompression: {6}},
		"interpretation CIELab":              rgb(map[uint16][]uint16{tagPhotometric: {8}}),
		"interpretation YCbCr":               rgb(map[uint16][]uint16{tagPhotometric: {tiffYCbCr}}),
		"interpretation transparency mask":   {tagPhotometric: {4}},
		"RGB of 3 x 4 bits, unsigned":        rgb(map[uint16][]uint16{tagBits: {4, 4, 4}}),
		"samples of unlike kinds":            rgb(map[uint16][]uint16{tagBits: {5, 6, 5}}),
		"1 x 64 bits, floating-point":        {tagBits: {64}, tagSampleFormat: {sampleFloat}},
		"of 1 x 6 bits":                      {tagBits: {6}},
		"extra samples of kind [1]":          {tagSamples: {2}, tagBits: {8, 8}, tagExtraSamples: {extraAssociated}},
		"fill order 2":                       {tagSamples: {2}, tagBits: {8, 8}, tagExtraSamples: {extraAlpha}, tagFillOrder: {2}},
		"planar configuration 2":             rgb(map[uint16][]uint16{tagBits: {16, 16, 16}, tagPlanar: {2}}),
		"predictor 2":                        {tagBits: {4}, tagPredictor: {2}, tagCompression: {tiffLZW}},
		"predictor 3":                        {tagPredictor: {3}, tagCompression: {tiffLZW}},
		"fax compression of":                 {tagCompression: {tiffG4}},
		"fax compression with an uncompress": {tagCompression: {tiffG3}, tagBits: {1}, tagT4Options: {2}},
		"JPEG compression of":                {tagCompression: {tiffJPEG}, tagBits: {4}},
		"in tiles of 65520 x 65520": {tagWidth: {1}, tagHeight: {60000}, tagStripOffsets: nil, tagTileOffsets: {8}, tagTileByteCounts: {64},
			tagTileWidth: {65520}, tagTileHeight: {65520}},
		"tiles of 20 x 20 pixels": {tagStripOffsets: nil, tagTileOffsets: {8}, tagTileWidth: {20}, tagTileHeight: {20}},
	} {
		_, err := Decode(tinyTIFF(tags), 0, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "is not supported: convert") {
			t.Errorf("want a refusal of %s, got %v", want, err)
		}
	}
	if _, err := Decode(tinyTIFF(nil), 0, nil); err != nil {
		t.Error(err)
	}
}

// A JPEG strip is decoded as a whole, beside the picture.
func TestTIFFBoundsJPEG(t *testing.T) {
	b := tinyTIFF(map[uint16][]uint16{tagWidth: {20000}, tagHeight: {8000}, tagCompression: {tiffJPEG}, tagPhotometric: {tiffYCbCr},
		tagSamples: {3}, tagBits: {8, 8, 8}})
	copy(b[8:], "\xff\xd8\xff\xc0\x00\x11\x08\x1f\x40\x4e\x20\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00\xff\xda")
	if _, err := Decode(b, 0, nil); err == nil || !strings.Contains(err.Error(), "JPEG compression of 20000 x 8000 pixels at once") {
		t.Error(err)
	}
}

// Floats of 0 to 1 are black to PIL.
func TestTIFFOfSmallFloatsWarns(t *testing.T) {
	b := tinyTIFF(map[uint16][]uint16{tagBits: {32}, tagSampleFormat: {sampleFloat}})
	binary.LittleEndian.PutUint32(b[8:], 0x3f000000) // 0.5
	p, err := Decode(b, 0, nil)
	if err != nil || p.Pix[0] != 0 || p.Warning != dimWarning {
		t.Errorf("got %v, %v", p, err)
	}
}

// A file that was cut is an error, or its pixels are all there.
func TestCutTIFF(t *testing.T) {
	for name, b := range tiffFiles(t) {
		whole, err := Decode(b, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if p, err := Decode(b[:n], 0, nil); err == nil && !bytes.Equal(p.Pix, whole.Pix) {
				t.Errorf("%s: %d of its %d bytes are taken for another picture", name, n, len(b))
			}
		}
	}
}

// Files of a few bytes take little time, whatever they claim.
func TestTIFFClaims(t *testing.T) {
	for _, tags := range []map[uint16][]uint16{
		{tagWidth: {60000}, tagHeight: {60000}},
		{tagWidth: {10000}, tagHeight: {10000}, tagBits: {16}},
		{tagWidth: {13000}, tagHeight: {13000}, tagRowsPerStrip: {1}},
		{tagWidth: {13000}, tagHeight: {13000}, tagBits: {1}, tagCompression: {tiffG4}},
		{tagWidth: {0}},
		{tagRowsPerStrip: {0}},
		{tagBits: {0}},
		{tagSamples: {0}},
		{tagPhotometric: {tiffPalette}, tagColorMap: {1, 2, 3}},
		{tagPlanar: {2}, tagExtraSamples: {0, 0, 0, 0}},
	} {
		start := time.Now()
		if _, err := Decode(tinyTIFF(tags), 0, nil); err == nil || time.Since(start) > 10*time.Second {
			t.Errorf("%v: error %v after %v", tags, err, time.Since(start))
		}
	}
}

// Rows of fax data, worked by hand from the tables of ITU-T T.4 and T.6.
func TestFaxRows(t *testing.T) {
	for _, c := range []struct {
		form  faxForm
		width int
		codes string
		want  []string // the rows' bits; an error follows
	}{
		{faxBytes, 6, "1011 11 00 00111 0 10", []string{"000011", ""}},                                   // 4 white, 2 black; 10 white are too many
		{faxBytes, 6, "1011 11 00 1110", []string{"000011", "000000"}},                                   // rows begin at bytes
		{faxG3, 6, "000000000001 1011 11 0000 000000000001 00110101 0010", []string{"000011", "111111"}}, // zeros may fill; 0 white, 6 black
		{faxG3, 6, "1011 11", nil}, // no end of line
		{faxG3In2D, 6, "000000000001 1 1011 11 000000000001 0 1 1", []string{"000011", "000011"}},
		{faxG4, 6, "001 1011 11 010 1", []string{"000011", "000111"}},       // horizontal; vertical by -1, by 0
		{faxG4, 6, "001 000111 010 1 0001 1", []string{"010000", "000000"}}, // passes over the black one above
		{faxG4, 6, "001 1011 010 1 0000011 1", []string{"000010", ""}},      // 3 right of 4 is outside
	} {
		digits := strings.ReplaceAll(c.codes, " ", "")
		digits += strings.Repeat("0", (8-len(digits)%8)%8)
		b := make([]byte, len(digits)/8)
		for i, d := range digits {
			b[i/8] = b[i/8]<<1 | byte(d-'0')
		}
		r := newFaxReader(b, c.width, c.form)
		for k, want := range append(c.want, "") {
			row := make([]byte, (c.width+7)/8)
			_, err := io.ReadFull(r, row)
			got := fmt.Sprintf("%08b", row)[1:][:c.width]
			if err != nil {
				got = ""
			}
			if got != want {
				t.Errorf("%s, row %d: got %q (%v), want %q", c.codes, k, got, err, want)
			}
			if err != nil {
				break
			}
		}
	}
}

func FuzzTIFF(f *testing.F) {
	for _, b := range tiffFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 20
		p, err := Decode(b, most, nil)
		if err != nil {
			return
		}
		w, h, err := SizeOf(b, most)
		if err != nil || p.W != w || p.H != h || w*h > most || len(p.Pix) != w*h*p.C {
			t.Errorf("%d x %d x %d pixels, %d bytes; the size is %d x %d (%v)", p.W, p.H, p.C, len(p.Pix), w, h, err)
		}
	})
}
