package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// pngFile is the parts of a PNG file that decide its pixels. PIL drops alpha, so tRNS is
// none of them; PIL checks the chunks before the pixels, reads the pixels as far as they
// go, and does not care for what comes after.
type pngFile struct {
	header, palette []byte
	pixels          [][]byte // the zlib stream, as its chunks lie in the file
	texts           []pngText
	transparent     bool // by tRNS
}

// pngText is a text, a color profile or EXIF data.
type pngText struct {
	chunk     string
	key, data []byte
	packed    bool
	tongue    []byte // language and translated key, of iTXt
}

// pngChunk is the chunk at the beginning of b; its data end where the file ends.
func pngChunk(b []byte) (name string, data []byte, whole bool) {
	if len(b) < 8 {
		return "", nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	data = b[8:]
	if n+4 > uint64(len(data)) {
		return string(b[4:8]), data[:min(n, uint64(len(data)))], false
	}
	return string(b[4:8]), data[:n], true
}

func parsePNG(b []byte) (f pngFile, err error) {
	at := len(pngMagic)
	for {
		name, data, whole := pngChunk(b[at:])
		if name == "IDAT" {
			break
		}
		if !whole {
			return f, errors.New("the file ends before its pixels")
		}
		if crc32.ChecksumIEEE(b[at+4:at+8+len(data)]) != binary.BigEndian.Uint32(b[at+8+len(data):]) {
			return f, fmt.Errorf("its chunk %q is damaged: the checksum is another", name)
		}
		switch {
		case (name == "IHDR") != (f.header == nil), name == "IHDR" && len(data) != 13:
			return f, errors.New("it does not begin with a header of 13 bytes, or has another")
		case name == "IHDR":
			f.header = data
		case name == "PLTE" && len(data) > 3*256:
			return f, fmt.Errorf("its palette has %d colors, want at most 256", len(data)/3)
		case name == "PLTE":
			f.palette = data
		case name == "tRNS" && len(data) < map[byte]int{0: 2, 2: 6}[f.header[9]]:
			return f, errors.New("its chunk \"tRNS\" is cut short")
		case name == "tRNS":
			f.transparent = f.header[9] != 3 || slices.ContainsFunc(data, func(alpha byte) bool { return alpha < 255 })
		case name == "IEND", name == "fdAT":
			return f, errors.New("it has no pixels before its end or its animation")
		case name == "fcTL" && (len(data) < 26 || !bytes.Equal(data[4:20], append(f.header[:8:8], make([]byte, 8)...))):
			return f, errors.New("it is an animation whose first frame is not as large as its canvas, which is not read")
		}
		f.note(name, data)
		at += 12 + len(data)
	}
	if f.header == nil || f.header[9] == 3 && len(f.palette) < 3 {
		return f, errors.New("it has no palette, and its pixels are colors of one")
	}
	name, data, whole := pngChunk(b[at:])
	for ; name == "IDAT"; name, data, whole = pngChunk(b[at:]) {
		f.pixels = append(f.pixels, data)
		at += min(12+len(data), len(b)-at)
	}
	for ; whole && name != "IEND"; name, data, whole = pngChunk(b[at:]) {
		f.note(name, data)
		at += 12 + len(data)
	}
	return f, nil
}

// note keeps texts and their like.
func (f *pngFile) note(name string, data []byte) {
	t := pngText{chunk: name, data: data}
	switch name {
	case "eXIf":
	case "tEXt":
		t.key, t.data, _ = bytes.Cut(data, []byte{0})
	case "zTXt", "iCCP":
		if t.key, t.data, t.packed = bytes.Cut(data, []byte{0}); len(t.data) == 0 {
			return
		}
		t.data = t.data[1:] // the method, always 0
	case "iTXt":
		parts := bytes.SplitN(data, []byte{0}, 2)
		if len(parts) < 2 || len(parts[1]) < 2 || parts[1][0] != 0 && parts[1][1] != 0 { // another method is unknown
			return
		}
		t.key, t.packed = parts[0], parts[1][0] != 0
		if parts = bytes.SplitN(parts[1][2:], []byte{0}, 3); len(parts) < 3 {
			return
		}
		t.tongue, t.data = slices.Concat(parts[0], parts[1]), parts[2]
	default:
		return
	}
	f.texts = append(f.texts, t)
}

// PIL's bounds for texts and color profiles, in bytes: of one and of all.
const maxPNGText, maxPNGTexts = 1 << 20, 64 << 20

// unpack is the data without compression: as much as is there where they end early, nil
// where they are damaged otherwise.
func (t pngText) unpack() ([]byte, error) {
	if !t.packed {
		return t.data, nil
	}
	z, err := zlib.NewReader(bytes.NewReader(t.data))
	if err != nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(z, maxPNGText+1))
	if len(b) > maxPNGText {
		return nil, fmt.Errorf("its chunk %q unpacks to more than %d bytes, the limit for texts and color profiles", t.chunk, maxPNGText)
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, nil
	}
	return b, nil
}

// checkTexts bounds what a reader of the texts would meet, as PIL does.
func (f pngFile) checkTexts() error {
	all := 0
	for _, t := range f.texts {
		b, err := t.unpack()
		if err != nil {
			return err
		}
		if all += len(b); all > maxPNGTexts {
			return fmt.Errorf("its texts and color profiles unpack to more than %d bytes, the limit for all", maxPNGTexts)
		}
	}
	return nil
}

// chunkOf is a chunk of the parts of its data.
func chunkOf(name string, data ...[]byte) io.Reader {
	size, sum := 0, crc32.ChecksumIEEE([]byte(name))
	for _, d := range data {
		size, sum = size+len(d), crc32.Update(sum, crc32.IEEETable, d)
	}
	head, end := append(binary.BigEndian.AppendUint32(nil, uint32(size)), name...), binary.BigEndian.AppendUint32(nil, sum)
	return io.MultiReader(readers(append(append([][]byte{head}, data...), end))...)
}

func readers(parts [][]byte) (rs []io.Reader) {
	for _, p := range parts {
		rs = append(rs, bytes.NewReader(p))
	}
	return rs
}

// file is a well-formed file of the parts with other chunks of pixels.
func (f pngFile) file(pixels io.Reader) io.Reader {
	palette := io.MultiReader()
	if f.header[9] == 3 && f.palette != nil {
		most := 3 << min(f.header[8], 8)
		palette = chunkOf("PLTE", f.palette[:min(len(f.palette)/3*3, most)])
	}
	return io.MultiReader(strings.NewReader(pngMagic), chunkOf("IHDR", f.header), palette, pixels, chunkOf("IEND"))
}

// restored is the chunks of pixels made anew, without compression, of as much of the
// stream as the picture needs.
func (f pngFile) restored() (io.Reader, error) {
	z, err := zlib.NewReader(io.MultiReader(readers(f.pixels)...))
	if err != nil {
		return nil, err
	}
	w, h := int64(binary.BigEndian.Uint32(f.header)), int64(binary.BigEndian.Uint32(f.header[4:]))
	bits := int64(f.header[8]) * []int64{1, 0, 3, 1, 2, 0, 4}[f.header[9]]
	size := func(w, h int64) int64 {
		if w == 0 {
			return 0
		}
		return h * (1 + (w*bits+7)/8)
	}
	left := size(w, h)
	if f.header[12] != 0 {
		left = size((w+7)/8, (h+7)/8) + size((w+3)/8, (h+7)/8) + size((w+3)/4, (h+3)/8) + size((w+1)/4, (h+3)/4) +
			size((w+1)/2, (h+1)/4) + size(w/2, (h+1)/2) + size(w, h/2)
	}
	return &storing{from: z, left: left, sum: adler32.New()}, nil
}

// storing reads the pixels of from as chunks of a stored zlib stream.
type storing struct {
	from  io.Reader
	left  int64
	sum   hash.Hash32
	begun bool
	out   io.Reader
}

func (s *storing) Read(b []byte) (int, error) {
	for {
		if s.out != nil {
			if n, err := s.out.Read(b); n > 0 || err != io.EOF {
				return n, err
			}
		}
		if s.left == 0 {
			return 0, io.EOF
		}
		block := make([]byte, min(s.left, math.MaxUint16))
		if _, err := io.ReadFull(s.from, block); err != nil {
			return 0, err
		}
		s.sum.Write(block)
		n, head, tail := uint16(len(block)), []byte{0}, []byte(nil)
		if s.left -= int64(n); s.left == 0 {
			if _, err := io.ReadFull(s.from, make([]byte, 1)); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return 0, err // the checksum, most likely
			}
			head[0], tail = 1, s.sum.Sum(nil)
		}
		if head = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(head, n), ^n); !s.begun {
			head, s.begun = append([]byte{0x78, 0x01}, head...), true
		}
		s.out = chunkOf("IDAT", head, block, tail)
	}
}

// pngSize is that of the header, with what Go's decoder takes for a pixel.
func pngSize(b []byte) (s extent, err error) {
	name, data, whole := pngChunk(b[len(pngMagic):])
	if name != "IHDR" || len(data) != 13 || !whole {
		return s, errors.New("it does not begin with a header of 13 bytes")
	}
	f := pngFile{header: data, palette: make([]byte, 3)}
	c, err := png.DecodeConfig(f.file(chunkOf("IDAT")))
	if err != nil {
		return s, err
	}
	s = extentOf(c)
	if f.header[12] != 0 { // the passes are pictures of their own
		s.bytes *= 2
	}
	if c.Height > 0 {
		s.bytes += 16 / c.Height // two rows of at most 8 bytes a pixel
	}
	return s, nil
}

func decodePNG(b []byte) (*Picture, error) {
	f, err := parsePNG(b)
	if err != nil {
		return nil, err
	}
	if err := f.checkTexts(); err != nil {
		return nil, err
	}
	m, err := png.Decode(f.file(chunkOf("IDAT", f.pixels...)))
	if err != nil { // what follows the last pixel may be wrong, as far as PIL cares
		pixels, again := f.restored()
		if again == nil {
			m, again = png.Decode(f.file(pixels))
		}
		if again != nil {
			return nil, err
		}
	}
	p := reuse(m)
	p.Transparent = p.Transparent || f.transparent
	return p, nil
}
