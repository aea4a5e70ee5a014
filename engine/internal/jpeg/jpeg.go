// Package jpeg decodes JPEG files to the very bytes that libjpeg-turbo gives by
// default, which are what PIL and torchvision show: the accurate integer inverse
// cosine transform (jidctint.c), triangle upsampling of chroma (jdsample.c) and
// 16-bit fixed-point colours (jdcolor.c).
//
// It reads Huffman-coded files of 8 bits a sample, sequential and progressive,
// of 1, 3 or 4 components, as in ITU-T T.81; arithmetic coding, lossless and
// hierarchical files and 12 bits are errors. So is a file that ends before its
// end-of-image marker, as with PIL. Other damage that libjpeg goes over with a warning
// is gone over in the same way and told of: codes that end early or make no sense,
// restart markers out of turn (jdmarker.c), and progressive files that lack scans, which
// are smoothed (jdcoefct.c).
package jpeg

import (
	"fmt"
	"image"
	"sync"
)

// MaxScans is how many scans a progressive file may have; large pictures may have fewer,
// though always 32. Encoders write some ten, and each costs a pass over the picture.
const MaxScans = 1000

const (
	minScans  = 32
	maxPasses = 1 << 30
)

// Config is what a file's header says.
type Config struct {
	Width, Height int
	// Channels is 1 for grey files and 3, red, green and blue, for others.
	Channels int
	// PixelBytes is the memory that Decode takes for each pixel at most, its result included.
	PixelBytes int
}

// DecodeConfig reads the header of a file up to its frame.
func DecodeConfig(b []byte) (Config, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	d.start(b)
	if err := d.header(); err != nil {
		return Config{}, err
	}
	return d.config(), nil
}

// Decode decodes a file to rows of interleaved bytes, as PIL's convert("RGB")
// gives them; those of grey files have one byte a pixel. The result takes pix's
// memory where that is large enough. Callers that do not trust the file check the
// size that DecodeConfig gives: memory for up to PixelBytes a pixel is taken, though
// not for more than 64 pixels of each component for a bit of the file.
//
// Only the pixels within window are made, and are those of the whole picture to
// the bit; what is written elsewhere is not defined.
//
// The warning tells of damage that was gone over, in words that are the same for all
// files that have it; it is "" for sound files.
func Decode(b []byte, window image.Rectangle, pix []byte) (rows []byte, c Config, warning string, err error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	d.start(b)
	if err := d.header(); err != nil {
		return nil, Config{}, "", err
	}
	c = d.config()
	d.window = window.Intersect(image.Rect(0, 0, c.Width, c.Height))
	if err := d.prepare(); err != nil {
		return nil, Config{}, "", err
	}
	if err := d.scans(); err != nil {
		return nil, Config{}, "", err
	}
	rows = sized(pix, c.Width*c.Height*c.Channels)
	d.paint(rows)
	return rows, c, d.damage.String(), nil
}

// decoder holds the state of one file and memory for the next.
type decoder struct {
	data []byte
	at   int

	width, height int
	progressive   bool
	components    []component
	store         [4]component
	hMax, vMax    int
	mcusX, mcusY  int
	quant         [4]*[64]int16 // that the file defines
	quantStore    [4][64]int16
	tables        [2][4]table // DC and AC
	interval      int         // restart interval in MCUs, 0 for none
	jfif, adobe   bool
	transform     uint8 // of the Adobe marker
	window        image.Rectangle
	found         int  // scans so far
	restarts      int  // in this scan
	lastGood      int  // the last row of MCUs, in the last scan, that began before its codes were over
	whole         bool // one scan had all
	damage        damage

	bits    bits
	pending pending
	rows    rows
}

// component is one plane of the picture.
type component struct {
	id, h, v, tq int
	w, height    int        // in samples
	across, down int        // in blocks, up to whole MCUs
	quant        *[64]int16 // nil before the first scan
	latched      [64]int16
	seen         image.Rectangle // the blocks to be shown
	plane        []byte          // of 8*across x 8*down samples
	coefs        []int16         // of progressive files: 64 a block, not yet multiplied
	bits         [64]int8        // of progressive files: which bit each coefficient has come to, -1 for none
	before       [64]int8        // the same before the last scan that may have changed it
	dc, ac       *table          // of this scan
	last         int             // the DC coefficient before
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// kept bounds the memory of a decoder that waits for the next file.
const kept = 16 << 20

func (d *decoder) release() {
	held := cap(d.bits.buf)
	for i := range d.store {
		held += cap(d.store[i].plane) + 2*cap(d.store[i].coefs)
	}
	d.data = nil
	if held <= kept {
		decoders.Put(d)
	}
}

// start forgets the last file but keeps its memory.
func (d *decoder) start(b []byte) {
	d.data, d.at = b, 0
	d.width, d.height, d.components = 0, 0, nil
	d.quant = [4]*[64]int16{}
	for i := range d.tables {
		for j := range d.tables[i] {
			d.tables[i][j].defined = false
		}
	}
	d.interval, d.transform, d.found = 0, 0, 0
	d.jfif, d.adobe = false, false
	d.pending.n = 0
	d.bits.marker = 0
	d.lastGood, d.whole, d.damage = 0, false, 0
}

func (d *decoder) config() Config {
	c := Config{Width: d.width, Height: d.height, Channels: 3}
	if len(d.components) == 1 {
		c.Channels = 1
	}
	samples := 0 // in the pixels of the largest sampling
	for _, of := range d.components {
		samples += of.h * of.v
	}
	if d.progressive {
		samples *= 3 // coefficients of 2 bytes each
	}
	c.PixelBytes = c.Channels + ceil(samples, d.hMax*d.vMax)
	return c
}

// sized is s with n elements, whatever these are.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func ceil(a, b int) int { return (a + b - 1) / b }

func broken(format string, args ...any) error {
	return fmt.Errorf("invalid JPEG: "+format, args...)
}
