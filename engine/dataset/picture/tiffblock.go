package picture

import (
	"bytes"
	"compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
	tifflzw "golang.org/x/image/tiff/lzw"

	"github.com/onnxprobe/onnxprobe/engine/internal/jpeg"
)

const (
	// deepWarning is of grey of more than 16 bits, signed or of floats.
	deepWarning = "more than 1 % of its pixels are outside 0 to 255 and were clipped, as PIL does; scale such pictures to 8 bits before"
	// dimWarning is of floats.
	dimWarning = "its pixels are floating-point numbers of 0 to 1, which become black, as with PIL; scale such pictures to 8 bits before"
	// mappedWarning is of files that PIL maps into memory, with the wrong row length.
	mappedWarning = "PIL shows such a TIFF file, uncompressed in one strip and turned by its orientation, garbled when it opens it by name, " +
		"and right when it opens it from memory; store it upright or compressed"
)

// zstdWindow is the most memory of what came before that Zstandard data may refer to.
const zstdWindow = 128 << 20

// decode reads the strips or tiles row by row, and turns the picture upright.
func (t *tiffImage) decode() (*Picture, error) {
	across, down := (t.w+t.blockW-1)/t.blockW, (t.h+t.blockH-1)/t.blockH
	const small = 1 << 26
	if work := float64(across) * float64(t.blockW) * float64(down) * float64(t.blockH); work > small && work > 4*float64(t.w)*float64(t.h) {
		return nil, refuse("a picture of %d x %d pixels in tiles of %d x %d", t.w, t.h, t.blockW, t.blockH)
	}
	blocks, err := t.blocks(across * down)
	if err != nil {
		return nil, err
	}
	w, h := t.size()
	p := New(w, h, t.channels)
	together := t.samples / t.planes
	row := make([]byte, (t.blockW*together*t.bits+7)/8)
	samples, line := make([]uint8, t.blockW*t.samples), make([]uint8, t.blockW*t.channels)
	planes := make([]io.Reader, t.planes)
	for i := range across * down {
		x, y := i%across*t.blockW, i/across*t.blockH
		height := min(t.blockH, t.h-y)
		rows := height
		if t.tiled {
			rows = t.blockH
		}
		for k := range planes {
			if planes[k], err = t.open(planes[k], blocks[k*across*down+i], rows); err != nil {
				return nil, t.blockError(i, y, err)
			}
		}
		for r := range height {
			for k := range planes {
				if _, err := io.ReadFull(planes[k], row); err != nil {
					return nil, t.blockError(i, y+r, err)
				}
				t.undo(row, together)
				t.unpack(samples[k:], t.planes, row)
			}
			n := min(t.blockW, t.w-x)
			t.paint(line[:n*t.channels], samples)
			t.place(p, line[:n*t.channels], x, y+r)
		}
		for _, r := range planes {
			if err := t.rest(r, len(row)*(rows-height)); err != nil {
				return nil, t.blockError(i, y+height, err)
			}
		}
	}
	p.Warning = t.warning()
	p.Transparent = slices.ContainsFunc(t.extra, func(e int) bool { return e != extraUnspecified }) || t.photometric == tiffRGB && t.samples == 4
	return p, nil
}

// rest reads what a tile has below the picture, and the checksum that may follow: damage
// there is an error as with PIL, for which raw pixels have none.
func (t *tiffImage) rest(r io.Reader, below int) error {
	if t.compression == tiffRaw {
		return nil
	}
	if _, err := io.CopyN(io.Discard, r, int64(below)); err != nil {
		return err
	}
	if t.compression != tiffDeflate && t.compression != tiffDeflateOld {
		return nil
	}
	if _, err := r.Read(make([]byte, 1)); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	return nil
}

func (t *tiffImage) blockError(i, y int, err error) error {
	what := "strip"
	if t.tiled {
		what = "tile"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("its data end early")
	}
	return fmt.Errorf("%s %d, row %d of the picture: %w", what, i, y, err)
}

// blocks are the bytes of the strips or tiles, plane after plane, n in each. Those of raw
// ones go on to the file's end: their number of bytes plays no part, as with PIL.
func (t *tiffImage) blocks(n int) ([][]byte, error) {
	offsetsTag, countsTag, planes := uint16(tagStripOffsets), uint16(tagStripByteCounts), 1
	if t.tiled {
		offsetsTag, countsTag = tagTileOffsets, tagTileByteCounts
	}
	if t.planes > 1 || t.stored != t.samples {
		planes = t.stored
	}
	if n > len(t.b) { // each has a place in the file
		return nil, fmt.Errorf("it is to have %d strips or tiles, more than bytes", n)
	}
	offsets, counts := t.values(offsetsTag, n*planes), t.values(countsTag, n*planes)
	if t.err != nil {
		return nil, t.err
	}
	if t.compression == tiffRaw && counts == nil {
		counts = slices.Repeat([]int{1}, len(offsets))
	}
	if len(offsets) != n*planes || len(counts) != n*planes {
		return nil, fmt.Errorf("it has the places of %d strips or tiles and the sizes of %d, want %d", len(offsets), len(counts), n*planes)
	}
	file, sum := t.b, 0
	if t.fillOrder == 2 {
		file = bytes.Clone(file)
		for i, v := range file {
			file[i] = bits.Reverse8(v)
		}
	}
	blocks := make([][]byte, n*t.planes)
	for i := range blocks {
		from, to := offsets[i], len(t.b)
		if t.compression != tiffRaw {
			to = from + counts[i]
		}
		if counts[i] == 0 || from > len(t.b) || to > len(t.b) {
			return nil, fmt.Errorf("strip or tile %d, %d bytes at byte %d, is not in the file, which has %d bytes", i, counts[i], from, len(t.b))
		}
		blocks[i] = file[from:to]
		const most = 4 // times the file, as each is copied
		if sum += counts[i]; t.compression == tiffJPEG && sum > most*len(t.b) {
			return nil, errors.New("its strips or tiles of JPEG lie over each other")
		}
	}
	return blocks, nil
}

// open is a reader of the rows of a strip or tile; the one of the plane's last may serve
// again.
func (t *tiffImage) open(last io.Reader, b []byte, rows int) (io.Reader, error) {
	switch t.compression {
	case tiffLZW:
		if len(b) > 1 && b[0] == 0 && b[1]&1 == 1 { // as libtiff wrote it before TIFF 6
			return lzw.NewReader(bytes.NewReader(b), lzw.LSB, 8), nil
		}
		return tifflzw.NewReader(bytes.NewReader(b), tifflzw.MSB, 8), nil
	case tiffDeflate, tiffDeflateOld:
		if last, ok := last.(zlib.Resetter); ok {
			return last.(io.Reader), last.Reset(bytes.NewReader(b), nil)
		}
		return zlib.NewReader(bytes.NewReader(b))
	case tiffZstd:
		if last, ok := last.(*zstd.Decoder); ok {
			return last, last.Reset(bytes.NewReader(b))
		}
		return zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(false), zstd.WithDecoderMaxWindow(zstdWindow))
	case tiffPackBits:
		return &packBits{b: b}, nil
	case tiffJPEG:
		return t.openJPEG(b, rows)
	case tiffFaxRuns:
		return newFaxReader(b, t.blockW, faxBytes), nil
	case tiffG3:
		if t.t4Options&1 != 0 {
			return newFaxReader(b, t.blockW, faxG3In2D), nil
		}
		return newFaxReader(b, t.blockW, faxG3), nil
	case tiffG4:
		return newFaxReader(b, t.blockW, faxG4), nil
	}
	return bytes.NewReader(b), nil
}

// packBits reads runs of bytes.
type packBits struct {
	b     []byte
	run   int // bytes left of the run, which are the first of b, or are all the first of b
	alike bool
}

func (r *packBits) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.b) == 0 || r.run == 0 && len(r.b) == 1 {
			return n, io.ErrUnexpectedEOF
		}
		if r.run == 0 {
			v := int(int8(r.b[0]))
			r.alike, r.run = v < 0, 1+max(v, -v)
			if r.b = r.b[1:]; v == -128 {
				r.run = 0
			}
			continue
		}
		if !r.alike {
			k := copy(p[n:], r.b[:min(r.run, len(r.b))])
			n, r.run, r.b = n+k, r.run-k, r.b[k:]
			continue
		}
		k := min(r.run, len(p)-n)
		for i := range k {
			p[n+i] = r.b[0]
		}
		if n, r.run = n+k, r.run-k; r.run == 0 {
			r.b = r.b[1:]
		}
	}
	return n, nil
}

// openJPEG decodes a strip or tile, which is a JPEG file but for the tables that all share.
// Only the TIFF file says whether its colors are YCbCr, so that a marker is put in.
func (t *tiffImage) openJPEG(b []byte, rows int) (io.Reader, error) {
	file := []byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
	if t.photometric == tiffYCbCr {
		file[len(file)-1] = 1
	}
	file = append(file, t.jpegTables...)
	if !bytes.HasPrefix(b, []byte("\xff\xd8")) {
		return nil, errors.New("its JPEG data are damaged")
	}
	for b = b[2:]; len(b) > 4 && b[0] == 0xff && b[1] != 0xda; { // what other markers say of colors does not count
		n := min(2+int(binary.BigEndian.Uint16(b[2:])), len(b))
		if b[1]&0xf0 != 0xe0 {
			file = append(file, b[:n]...)
		}
		b = b[n:]
	}
	file = append(file, b...)
	c, err := jpeg.DecodeConfig(file)
	if err != nil {
		return nil, err
	}
	if c.Width != t.blockW || c.Height != rows || c.Channels != t.samples {
		return nil, fmt.Errorf("its JPEG has %d x %d pixels of %d samples, want %d x %d of %d", c.Width, c.Height, c.Channels, t.blockW, rows, t.samples)
	}
	const most = 256 << 20 // bytes for what is decoded at once
	if c.PixelBytes > most/c.Width/c.Height {
		return nil, refuse("JPEG compression of %d x %d pixels at once", c.Width, c.Height)
	}
	pix, _, warning, err := jpeg.Decode(file, image.Rect(0, 0, c.Width, c.Height), nil)
	if warning != "" { // libtiff may go over it in another way
		err = errors.New("its JPEG data are damaged")
	}
	return bytes.NewReader(pix), err
}

// undo takes back the predictor of a row.
func (t *tiffImage) undo(row []byte, together int) {
	size := t.bits / 8
	step := together * size
	switch {
	case t.predictor == 3:
		for i := 1; i < len(row); i++ {
			row[i] += row[i-1]
		}
		n := len(row) / size
		t.planesOfBytes = append(t.planesOfBytes[:0], row...)
		for k := range size { // the most significant first
			for i, v := range t.planesOfBytes[k*n : (k+1)*n] {
				row[i*size+size-1-k] = v
			}
		}
	case t.predictor == 2 && t.bits == 8:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case t.predictor == 2 && t.bits == 16:
		for i := step; i < len(row); i += 2 {
			t.order.PutUint16(row[i:], t.order.Uint16(row[i:])+t.order.Uint16(row[i-step:]))
		}
	case t.predictor == 2:
		for i := step; i < len(row); i += 4 {
			t.order.PutUint32(row[i:], t.order.Uint32(row[i:])+t.order.Uint32(row[i-step:]))
		}
	}
}

// unpack makes bytes of a row's samples and puts them at every step-th place: those of few
// bits as they are, the high bytes of deeper colors, deep grey clipped.
func (t *tiffImage) unpack(dst []uint8, step int, row []byte) {
	n := (len(dst) + step - 1) / step
	switch {
	case t.deep:
		t.unpackDeep(dst, row)
	case t.bits < 8:
		per, mask := 8/t.bits, byte(1<<t.bits-1)
		for i := range n {
			dst[i*step] = row[i/per] >> (8 - t.bits*(i%per+1)) & mask
		}
	case t.bits == 8 && step == 1:
		copy(dst, row)
	default:
		size, high := t.bits/8, 0
		if t.order == binary.LittleEndian {
			high = size - 1
		}
		for i := range n {
			dst[i*step] = row[i*size+high]
		}
	}
}

// unpackDeep clips numbers to bytes as PIL does.
func (t *tiffImage) unpackDeep(dst []uint8, row []byte) {
	for i := range dst {
		var v float64
		switch {
		case t.format == sampleFloat:
			v = float64(math.Float32frombits(t.order.Uint32(row[4*i:])))
			t.most = max(t.most, v)
		case t.bits == 32:
			v = float64(int32(t.order.Uint32(row[4*i:])))
		case t.bits == 16 && t.format == sampleSigned:
			v = float64(int16(t.order.Uint16(row[2*i:])))
		case t.bits == 16:
			v = float64(t.order.Uint16(row[2*i:]))
		case i%2 == 0: // 12 bits
			v = float64(int(row[i*3/2])<<4 | int(row[i*3/2+1])>>4)
		default:
			v = float64(int(row[i*3/2]&15)<<8 | int(row[i*3/2+1]))
		}
		switch {
		case v > 0 && v < 255:
			dst[i] = uint8(v)
			continue
		case v >= 255:
			dst[i] = 255
		default: // or no number
			dst[i] = 0
		}
		if v < 0 || v >= 256 {
			t.clipped++
		}
	}
}

// warning tells what is doubtful about the pixels.
func (t *tiffImage) warning() string {
	mapped := t.compression == tiffRaw && t.blockW == t.w && t.blockH == t.h && t.orientation >= 5 && t.w != t.h && t.fillOrder == 1 && !t.planar
	switch clipped := t.clipped*100 > t.w*t.h; {
	case clipped && t.bits <= 16 && t.format == sampleUnsigned:
		return clippedWarning
	case clipped:
		return deepWarning
	case t.deep && t.format == sampleFloat && t.most > 0 && t.most <= 1:
		return dimWarning
	case mapped && t.mapsRaw():
		return mappedWarning
	}
	return ""
}

// mapsRaw tells the pixels that PIL has in memory as they are in a file.
func (t *tiffImage) mapsRaw() bool {
	switch t.photometric {
	case blackIsZero, whiteIsZero:
		return t.samples == 1 && (t.bits == 8 && t.photometric == blackIsZero || t.bits == 16 && t.format == sampleUnsigned)
	case tiffPalette:
		return t.samples == 1 && t.bits == 8
	case tiffRGB:
		return t.samples == 4 && t.bits == 8 && (len(t.extra) == 0 || t.extra[0] >= extraAlpha)
	}
	return t.photometric == tiffCMYK && t.samples == 4 && t.bits == 8
}

// place puts pixels of a stored row that begin at (x, y) where they are when the picture
// is upright.
func (t *tiffImage) place(p *Picture, line []uint8, x, y int) {
	start, right, down := 0, 1, t.w
	if t.orientation >= 5 {
		right, down = t.h, 1
	}
	switch t.orientation {
	case 2, 3, 7, 8:
		start, right = start+(t.w-1)*right, -right
	}
	switch t.orientation {
	case 3, 4, 6, 7:
		start, down = start+(t.h-1)*down, -down
	}
	at, c := start+x*right+y*down, t.channels
	if right == 1 {
		copy(p.Pix[at*c:], line)
		return
	}
	for i := 0; i < len(line); i += c {
		copy(p.Pix[at*c:(at+1)*c], line[i:i+c])
		at += right
	}
}
