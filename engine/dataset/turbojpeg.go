//go:build turbojpeg

package dataset

/*
#cgo pkg-config: libturbojpeg
#include <stdlib.h>
#include <turbojpeg.h>
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"strings"
	"unsafe"
)

// With the build tag turbojpeg, JPEGs are decoded by libjpeg-turbo (Debian:
// libturbojpeg0-dev), bit for bit what PIL shows: the accurate inverse cosine
// transform, fancy upsampling, no scaled decoding. Colour spaces that TurboJPEG
// does not convert, CMYK and YCCK, stay with Go.

// jpegDecoder is what a manifest says of the decoder; TurboJPEG 2 does not tell
// its version at run time.
const jpegDecoder = "libjpeg-turbo (TurboJPEG)"

func decodeScans(b []byte) (*picture, error) {
	h := C.tjInitDecompress()
	if h == nil {
		return nil, errors.New("libjpeg-turbo gives no decoder")
	}
	defer C.tjDestroy(h)
	data, size := (*C.uchar)(unsafe.Pointer(&b[0])), C.ulong(len(b))
	var w, height, sampling, space C.int
	if C.tjDecompressHeader3(h, data, size, &w, &height, &sampling, &space) != 0 {
		return nil, errors.New(C.GoString(C.tjGetErrorStr2(h)))
	}
	if space == C.TJCS_CMYK || space == C.TJCS_YCCK {
		return goJPEG(b)
	}
	// The limit was held against the header as Go reads it.
	if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width != int(w) || c.Height != int(height) {
		return nil, fmt.Errorf("it has two sizes, %d x %d and %d x %d", w, height, c.Width, c.Height)
	}
	c, format := 3, C.int(C.TJPF_RGB)
	if space == C.TJCS_GRAY {
		c, format = 1, C.TJPF_GRAY
	}
	p := newPicture(int(w), int(height), c)
	if C.tjDecompress2(h, data, size, (*C.uchar)(unsafe.Pointer(&p.pix[0])), w, 0, height, format, C.TJFLAG_ACCURATEDCT) != 0 {
		// Warnings that PIL ignores are ignored; a file that ends early is not read.
		if text := C.GoString(C.tjGetErrorStr2(h)); C.tjGetErrorCode(h) != C.TJERR_WARNING || strings.Contains(text, "Premature end of JPEG file") {
			return nil, errors.New(text)
		}
	}
	return p, nil
}
