package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The choices of Options.Pixels.
const (
	Pixels255  = "255"
	Pixels1    = "1"
	PixelsNone = "none"
)

// PixelChoices are what Options.Pixels can be, besides "".
var PixelChoices = []string{Pixels255, Pixels1, PixelsNone}

func (o Options) checkPixels() error {
	if o.Pixels == "" || slices.Contains(PixelChoices, o.Pixels) {
		return nil
	}
	return fmt.Errorf("pixels %q is not known, want one of %q", o.Pixels, PixelChoices)
}

// white is the value of a white pixel in an array, 0 where samples are model inputs: what
// Options.Pixels says; else bytes are pixels, and with a preprocessing all integers are.
// Of floats a preprocessing does not say what they are.
func (o Options) white(h tensor.NpyHeader, r io.ReaderAt) (float64, error) {
	p := o.Preprocess
	switch {
	case o.Pixels == Pixels255:
		return 255, nil
	case o.Pixels == Pixels1:
		return 1, nil
	case o.Pixels == PixelsNone:
		return 0, nil
	case h.DType == tensor.Uint8:
		return 255, nil
	case p == nil:
		return 0, nil
	case h.DType == tensor.Bool:
		return 1, nil
	case !h.DType.IsFloat():
		return 255, nil
	case p.Bare():
		return 0, nil
	}
	const most = 1000
	low, high, err := rangeOf(h, r, most)
	if err != nil {
		return 0, err
	}
	items := "its samples"
	if h.Shape[0] > most {
		items = fmt.Sprintf("its first %d samples", most)
	}
	err = fmt.Errorf("it holds %s, from %.4g to %.4g in %s, and a preprocessing is for pixels: say whether they are pixels from 0 to 255 (%s), "+
		"from 0 to 1 (%s), or model inputs already (%s)", h.DType, low, high, items, Pixels255, Pixels1, PixelsNone)
	return 0, onnx.Remedy(err, "dataset.Options.Pixels=255", "dataset.Options.Pixels=1", "dataset.Options.Pixels=none")
}

// rangeOf is the least and the largest value of the first samples of an array, by its first
// axis.
func rangeOf(h tensor.NpyHeader, r io.ReaderAt, most int) (low, high float64, err error) {
	const chunk = 1 << 16
	shape := slices.Clone(h.Shape)
	shape[0] = min(shape[0], most)
	size := h.DType.Bits() / 8
	raw, values := make([]byte, chunk*size), make([]float32, chunk)
	low, high = math.Inf(1), math.Inf(-1)
	at := h.Offset
	for left := tensor.Count(shape); left > 0; left -= chunk {
		n := min(left, chunk)
		if _, err := r.ReadAt(raw[:n*size], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		at += int64(n * size)
		floats(h, raw[:n*size], values[:n])
		low, high = min(low, float64(slices.Min(values[:n]))), max(high, float64(slices.Max(values[:n])))
	}
	return low, high, nil
}

// levels are pixels that are stored as other numbers than bytes.
type levels struct {
	h     tensor.NpyHeader
	white float64
}

// read gives the values of pixels, from 0 to 255, and whether all are one of the 256 of a
// byte, which picture processing works on.
func (l *levels) read(raw []byte, dst []float32) (whole bool, err error) {
	floats(l.h, raw, dst)
	const slack = 1e-4 // k/255 in float32 is so near to it
	whole = true
	for k, v := range dst {
		x := float64(v) * 255 / l.white
		if !(x >= 0 && x <= 255+slack) {
			err := fmt.Errorf("element %d is %v, and pixels are from 0 to %v: scale them, or say that they are model inputs (%s)", k, v, l.white, PixelsNone)
			return false, onnx.Remedy(err, "dataset.Options.Pixels=none")
		}
		near := math.Round(x)
		if math.Abs(x-near) <= slack {
			x = near
		} else {
			whole = false
		}
		dst[k] = float32(x)
	}
	return whole, nil
}

// values is sample i where it is stored so, as [H,W,C].
func (s *records) values(i int) (v []float32, whole bool, err error) {
	n := s.c * s.h * s.w
	raw, flat := make([]byte, s.stride), make([]float32, n)
	if err := s.readAt(s.r, raw, s.offset+int64(i)*s.stride); err != nil {
		return nil, false, err
	}
	if whole, err = s.levels.read(raw, flat); err != nil || s.c == 1 || s.last {
		return flat, whole, err
	}
	v = make([]float32, n)
	for k, x := range flat {
		v[k%(s.w*s.h)*s.c+k/(s.w*s.h)] = x
	}
	return v, whole, nil
}

// pictureOf makes bytes of values that are whole.
func (s *records) pictureOf(v []float32) *picture.Picture {
	p := picture.New(s.w, s.h, s.c)
	for k, x := range v {
		p.Pix[k] = uint8(x)
	}
	return p
}
