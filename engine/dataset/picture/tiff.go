package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

const (
	tagWidth           = 256
	tagHeight          = 257
	tagBits            = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagFillOrder       = 266
	tagStripOffsets    = 273
	tagOrientation     = 274
	tagSamples         = 277
	tagRowsPerStrip    = 278
	tagStripByteCounts = 279
	tagPlanar          = 284
	tagT4Options       = 292
	tagPredictor       = 317
	tagColorMap        = 320
	tagTileWidth       = 322
	tagTileHeight      = 323
	tagTileOffsets     = 324
	tagTileByteCounts  = 325
	tagExtraSamples    = 338
	tagSampleFormat    = 339
	tagJPEGTables      = 347
	tagXMP             = 700
)

var tiffTags = []uint16{tagWidth, tagHeight, tagBits, tagCompression, tagPhotometric, tagFillOrder, tagStripOffsets, tagOrientation, tagSamples,
	tagRowsPerStrip, tagStripByteCounts, tagPlanar, tagT4Options, tagPredictor, tagColorMap, tagTileWidth, tagTileHeight, tagTileOffsets,
	tagTileByteCounts, tagExtraSamples, tagSampleFormat, tagJPEGTables, tagXMP}

// Compressions that are read; tiffCompressions names others.
const (
	tiffRaw        = 1
	tiffFaxRuns    = 2
	tiffG3         = 3
	tiffG4         = 4
	tiffLZW        = 5
	tiffJPEG       = 7
	tiffDeflate    = 8
	tiffPackBits   = 32773
	tiffDeflateOld = 32946
	tiffZstd       = 50000
)

var tiffCompressions = map[int]string{
	6: "old JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32771: "CCITT runs in words", 32809: "ThunderScan", 33003: "JPEG 2000",
	33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI log", 34677: "SGI log 24", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG",
	34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}

const (
	whiteIsZero = 0
	blackIsZero = 1
	tiffRGB     = 2
	tiffPalette = 3
	tiffCMYK    = 5
	tiffYCbCr   = 6
)

var tiffPhotometrics = map[int]string{
	4: "transparency mask", 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "color filter array", 32844: "LogL",
	32845: "LogLuv", 34892: "linear raw",
}

const (
	sampleUnsigned = 1
	sampleSigned   = 2
	sampleFloat    = 3
)

const (
	extraUnspecified = 0
	extraAssociated  = 1
	extraAlpha       = 2
	extraCorel       = 999 // what Corel Draw 10 writes of alpha
)

// tiffImage is what the first directory of a TIFF file says of its picture.
type tiffImage struct {
	ifd
	err                                            error // the first of reading the tags
	w, h, orientation                              int
	compression, photometric, fillOrder, predictor int
	bits, samples, format                          int
	extra                                          []int
	// planes is 1 where pixels lie together, else the samples' number, each of which lies by
	// itself; some of these that mean nothing may follow: stored is with them.
	planes, stored int
	planar         bool // even of one sample
	t4Options      int
	jpegTables     []byte // what goes between the beginning of a JPEG file and its strips' data
	tiled          bool
	blockW, blockH int // of a strip or tile

	channels int // of the picture
	// paint makes of the samples of a row, a byte each, those of the picture.
	paint func(dst, src []uint8)
	// deep is of grey of more than 8 bits, which is clipped to 0 to 255.
	deep          bool
	clipped       int
	most          float64
	planesOfBytes []byte // what undo takes
}

// refuse says that a sound file has what is not read.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%s is not supported: convert the picture first, for example with %q", fmt.Sprintf(format, args...), magick)
}

// values are all of a tag, up to most; those given where the file has no such tag.
func (t *tiffImage) values(tag uint16, most int, otherwise ...int) []int {
	f, ok := t.field(tag)
	if !ok {
		return otherwise
	}
	if f.kind != 3 && f.kind != 4 && f.kind != 16 || f.count > uint64(most) {
		t.fail(fmt.Errorf("tag %d has %d values of type %d: want at most %d that are SHORT or LONG", tag, f.count, f.kind, most))
		return otherwise
	}
	v := make([]int, f.count)
	for i := range v {
		v[i] = int(min(f.number(uint64(i)), 1<<53))
	}
	return v
}

// value is the one of a tag.
func (t *tiffImage) value(tag uint16, otherwise int) int { return t.values(tag, 1, otherwise)[0] }

func (t *tiffImage) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// readTIFF reads the tags, and refuses what is not read. Pillow reads raw and compressed
// pixels by different ways, so that what it makes of a file may hang on its compression.
func readTIFF(b []byte) (*tiffImage, error) {
	d, ok := ifdOf(b)
	if !ok {
		return nil, errors.New("its header is damaged")
	}
	t := &tiffImage{ifd: d}
	if n, first, step, _ := t.entries(); n == 0 || n > uint64(len(b)) || t.bytes(first, n*step) == nil {
		return nil, fmt.Errorf("its directory at byte %d is not in the file, which has %d bytes", t.from, len(b))
	}
	for tag, f := range t.fields() { // PIL would go on without what is damaged, or without all tags that follow
		if f.data == nil && (f.size() > 0 || slices.Contains(tiffTags, tag)) {
			return nil, fmt.Errorf("the %d values of tag %d, of type %d, are not in the file, which has %d bytes", f.count, tag, f.kind, len(b))
		}
	}
	t.w, t.h = t.value(tagWidth, 0), t.value(tagHeight, 0)
	t.compression, t.photometric = t.value(tagCompression, tiffRaw), t.value(tagPhotometric, whiteIsZero)
	t.fillOrder, t.predictor = t.value(tagFillOrder, 1), t.value(tagPredictor, 1)
	const mostSamples = 1 << 10
	depths, formats := t.values(tagBits, mostSamples, 1), t.values(tagSampleFormat, mostSamples, sampleUnsigned)
	t.samples, t.extra = t.value(tagSamples, 1), t.values(tagExtraSamples, mostSamples)
	t.readOrientation()
	t.readBlocks()
	if t.err != nil {
		return nil, t.err
	}
	const longest = 1 << 24 // of a side, which bounds the time that empty rows take
	if t.w > longest || t.h > longest {
		return nil, refuse("a picture of %d x %d pixels, a side over %d,", t.w, t.h, longest)
	}
	if len(depths) > t.samples {
		depths = depths[:max(t.samples, 1)]
	}
	for _, of := range [][]int{depths, formats} {
		if slices.Min(of) != slices.Max(of) {
			return nil, refuse("samples of unlike kinds, %v,", of)
		}
	}
	if t.bits, t.format = depths[0], formats[0]; len(depths) > 1 && len(depths) != t.samples {
		return nil, fmt.Errorf("it has bits for %d samples, want for %d", len(depths), t.samples)
	}
	t.stored = t.samples
	t.planes = 1
	if planar := t.value(tagPlanar, 1); planar != 1 {
		if t.planar = planar == 2; !t.planar {
			return nil, fmt.Errorf("its planar configuration is %d, want 1 or 2", planar)
		}
		if len(t.extra) > 0 && slices.Max(t.extra) == extraUnspecified {
			t.samples, t.extra = t.samples-len(t.extra), nil
		}
		t.planes = t.samples
	}
	if err := t.readKind(); err != nil {
		return nil, err
	}
	return t, t.checkWays()
}

// readOrientation sets how the picture is turned: PIL always turns it upright, by the XMP
// data where it has no tag.
func (t *tiffImage) readOrientation() {
	t.orientation = 1
	if f, ok := t.field(tagOrientation); ok {
		t.orientation = upright(f.number(0))
	} else if xmp, ok := t.field(tagXMP); ok {
		if found := xmpOrientation.FindSubmatch(xmp.data); found != nil {
			t.orientation = upright(float64(found[1][0] - '0'))
		}
	}
}

// readBlocks sets the size of strips or tiles.
func (t *tiffImage) readBlocks() {
	_, strips := t.field(tagStripOffsets)
	_, t.tiled = t.field(tagTileOffsets)
	if strips == t.tiled {
		t.fail(errors.New("it has neither strips nor tiles, or both"))
		return
	}
	if !t.tiled {
		t.blockW, t.blockH = t.w, min(t.value(tagRowsPerStrip, t.h), t.h)
	} else if t.blockW, t.blockH = t.value(tagTileWidth, 0), t.value(tagTileHeight, 0); t.blockW%16 != 0 || t.blockH%16 != 0 {
		t.fail(refuse("tiles of %d x %d pixels, no multiples of 16,", t.blockW, t.blockH))
	}
	if t.w > 0 && t.h > 0 && (t.blockW <= 0 || t.blockH <= 0) {
		t.fail(fmt.Errorf("it has strips or tiles of %d x %d pixels", t.blockW, t.blockH))
	}
}

// what says what a pixel is of.
func (t *tiffImage) what() string {
	name, ok := tiffPhotometrics[t.photometric]
	if !ok {
		name = strconv.Itoa(t.photometric)
		if t.photometric <= tiffCMYK {
			name = [...]string{"white is zero", "black is zero", "RGB", "palette", "", "CMYK"}[t.photometric]
		}
	}
	format := "format " + strconv.Itoa(t.format)
	if t.format >= sampleUnsigned && t.format <= sampleFloat {
		format = [...]string{"unsigned", "signed", "floating-point"}[t.format-1]
	}
	order := "little-endian"
	if t.order == binary.BigEndian {
		order = "big-endian"
	}
	s := fmt.Sprintf("photometric interpretation %s of %d x %d bits, %s, %s,", name, t.stored, t.bits, format, order)
	if len(t.extra) > 0 {
		s += fmt.Sprintf(" with extra samples of kind %v,", t.extra)
	}
	return s
}

// readKind sets how pixels are painted, or refuses them.
func (t *tiffImage) readKind() error {
	unsigned, one := t.format == sampleUnsigned, t.samples == 1 && len(t.extra) == 0
	two := t.samples == 2 && t.bits == 8 && (slices.Equal(t.extra, []int{extraUnspecified}) || slices.Equal(t.extra, []int{extraAlpha}))
	shallow := unsigned && (t.bits == 1 || t.bits == 2 || t.bits == 4 || t.bits == 8)
	padded := len(t.extra) <= 2 && t.samples == 4+len(t.extra) && !slices.ContainsFunc(t.extra, func(e int) bool { return e != 0 })
	switch {
	case t.photometric <= blackIsZero && one && shallow, t.photometric == blackIsZero && two && unsigned,
		t.photometric == blackIsZero && one && t.bits == 8 && t.format == sampleSigned: // whose bits PIL takes for unsigned
		var table [256]uint8
		top := 1<<t.bits - 1
		for i := range top + 1 {
			if table[i] = uint8(i * 255 / top); t.photometric == whiteIsZero {
				table[i] = ^table[i]
			}
		}
		t.channels, t.paint = 1, func(dst, src []uint8) {
			for i := range dst {
				dst[i] = table[src[i*t.samples]]
			}
		}
	case t.photometric <= blackIsZero && one && t.readsDeep():
		t.deep, t.channels, t.paint = true, 1, func(dst, src []uint8) { copy(dst, src) }
	case t.photometric == tiffPalette && (one && shallow || two && unsigned):
		return t.readPalette()
	case t.photometric == tiffRGB && unsigned && t.readsRGB():
		t.channels, t.paint = 3, t.paintRGB
		if len(t.extra) > 0 && t.extra[0] == extraAssociated {
			t.paint = t.paintBlended
		}
	case t.photometric == tiffCMYK && unsigned && (t.bits == 8 && padded || t.bits == 16 && t.samples == 4 && len(t.extra) == 0):
		t.channels, t.paint = 3, t.paintInks
	case t.photometric == tiffYCbCr && unsigned && t.compression == tiffJPEG && t.bits == 8 && t.samples == 3 && len(t.extra) == 0:
		t.channels, t.paint = 3, t.paintRGB // converted by the JPEG decoder
	default:
		return refuse("%s", t.what())
	}
	return nil
}

func (t *tiffImage) paintRGB(dst, src []uint8) {
	if t.samples == 3 {
		copy(dst, src)
		return
	}
	for i := 0; i < len(dst); i, src = i+3, src[t.samples:] {
		copy(dst[i:i+3], src)
	}
}

// paintBlended takes associated alpha out of colors; where all is transparent is black.
func (t *tiffImage) paintBlended(dst, src []uint8) {
	for i := 0; i < len(dst); i, src = i+3, src[t.samples:] {
		for c := range 3 {
			if dst[i+c] = unblend(src[c], src[3]); src[3] == 0 {
				dst[i+c] = 0
			}
		}
	}
}

func (t *tiffImage) paintInks(dst, src []uint8) {
	for i := 0; i < len(dst); i, src = i+3, src[t.samples:] {
		k := 255 - src[3]
		for c := range 3 {
			dst[i+c] = k - scale255(src[c], k)
		}
	}
}

// readsDeep tells the grey of more than 8 bits that PIL reads. It swaps the bytes of
// some that are big-endian and compressed; these are refused. What it says is unsigned of
// 32 bits it takes for signed, and it does not invert what is 0 for white.
func (t *tiffImage) readsDeep() bool {
	little, black, inOrder := t.order == binary.LittleEndian, t.photometric == blackIsZero, t.fillOrder == 1
	native := little || t.compression == tiffRaw
	switch {
	case t.bits == 12 && t.format == sampleUnsigned, t.bits == 32 && t.format == sampleUnsigned:
		return little && black && inOrder
	case t.bits == 16 && t.format == sampleUnsigned:
		return black && inOrder || little && (black || inOrder)
	case t.bits == 16 && t.format == sampleSigned, t.bits == 32 && t.format == sampleSigned:
		return native && black && inOrder
	}
	return t.bits == 32 && t.format == sampleFloat && native && inOrder
}

// readsRGB tells the samples of RGB that PIL reads: alpha, then what means nothing.
func (t *tiffImage) readsRGB() bool {
	n := len(t.extra)
	if n > 1 && slices.Max(t.extra[1:]) != extraUnspecified || n > 3 {
		return false
	}
	if t.samples != 3+n && (t.samples != 4 || n > 0) {
		return false
	}
	alpha := extraUnspecified
	if n > 0 {
		alpha = t.extra[0]
	}
	switch t.bits {
	case 8:
		return alpha <= extraAlpha || alpha == extraCorel && n == 1
	case 16:
		return alpha <= extraAlpha && n <= 1
	}
	return false
}

func (t *tiffImage) readPalette() error {
	n := 1 << t.bits
	colors := t.values(tagColorMap, 3*n)
	if t.err != nil {
		return t.err
	}
	if len(colors) != 3*n {
		return fmt.Errorf("its palette has %d values, want 3 x %d", len(colors), n)
	}
	t.channels, t.paint = 3, func(dst, src []uint8) {
		for i := 0; i < len(dst); i, src = i+3, src[t.samples:] {
			for c := range 3 {
				dst[i+c] = uint8(colors[c*n+int(src[0])] >> 8)
			}
		}
	}
	return nil
}

// checkWays refuses ways of storing that are not read, or that PIL reads wrongly.
func (t *tiffImage) checkWays() error {
	raw, one := t.compression == tiffRaw, t.samples == 1
	switch t.compression {
	case tiffRaw, tiffPackBits:
		t.predictor = 1 // as libtiff takes it
	case tiffFaxRuns, tiffG3, tiffG4:
		if t.predictor = 1; t.bits != 1 || t.stored != 1 {
			return refuse("fax compression of %s", t.what())
		}
		if t.t4Options = t.value(tagT4Options, 0); t.compression == tiffG3 && t.t4Options&2 != 0 {
			return refuse("fax compression with an uncompressed mode")
		}
	case tiffJPEG:
		rgb := t.samples == 3 && (t.photometric == tiffRGB || t.photometric == tiffYCbCr)
		if t.predictor = 1; t.bits != 8 || t.format != sampleUnsigned || t.planes > 1 || !rgb && (!one || t.photometric == tiffPalette) {
			return refuse("JPEG compression of %s", t.what())
		}
		const most = 1 << 12 // bytes, which are decoded anew for each strip
		if tables, ok := t.field(tagJPEGTables); ok {
			if n := len(tables.data); n < 4 || n > most {
				return fmt.Errorf("its JPEG tables have %d bytes, want 4 to %d", n, most)
			}
			t.jpegTables = bytes.TrimSuffix(tables.data[2:], []byte("\xff\xd9"))
		}
	case tiffLZW, tiffDeflate, tiffDeflateOld, tiffZstd:
	default:
		if name, ok := tiffCompressions[t.compression]; ok {
			return refuse("%s compression", name)
		}
		return refuse("compression %d", t.compression)
	}
	switch {
	case t.predictor == 1:
	case t.predictor == 2 && (t.bits == 8 || t.bits == 16 || t.bits == 32):
	case t.predictor == 3 && t.format == sampleFloat:
	default:
		return refuse("predictor %d of %s", t.predictor, t.what())
	}
	if t.fillOrder != 1 {
		rgb := t.photometric == tiffRGB && t.samples == 3 && t.bits == 8
		shuffled := raw && t.photometric == tiffPalette && t.bits < 8
		if t.fillOrder != 2 || !one && !rgb || t.format != sampleUnsigned || shuffled || t.planes > 1 || t.compression == tiffJPEG {
			return refuse("fill order %d of %s", t.fillOrder, t.what())
		}
	}
	if t.planar && !t.readsPlanar() {
		return refuse("planar configuration 2 of %s", t.what())
	}
	return t.err
}

// readsPlanar tells the planes that PIL reads rightly. It blends alpha that is not declared,
// takes raw samples of 16 bits for 8, and does not invert raw bits.
func (t *tiffImage) readsPlanar() bool {
	raw, undeclared := t.compression == tiffRaw, t.photometric == tiffRGB && t.samples == 4 && len(t.extra) == 0
	if t.stored == 1 {
		plain := t.photometric != whiteIsZero && t.format == sampleUnsigned && t.fillOrder == 1
		return !raw || plain && (t.bits == 8 || t.bits == 1 && t.photometric == blackIsZero)
	}
	if raw && (t.bits != 8 || t.samples != t.stored || t.samples < 3 || slices.Contains(t.extra, extraAssociated)) {
		return false
	}
	return len(t.extra) <= 1 && !undeclared && !slices.Contains(t.extra, extraCorel) && t.samples <= 4
}

func tiffSize(b []byte) (extent, error) {
	t, err := readTIFF(b)
	if err != nil {
		return extent{}, err
	}
	w, h := t.size()
	return extent{w, h, t.channels}, nil
}

// size is of the picture when it is upright.
func (t *tiffImage) size() (w, h int) {
	if t.orientation >= 5 {
		return t.h, t.w
	}
	return t.w, t.h
}

func decodeTIFF(b []byte) (*Picture, error) {
	t, err := readTIFF(b)
	if err != nil {
		return nil, err
	}
	return t.decode()
}
