package picture

import (
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Size is a height and a width in pixels; the zero Size is none.
type Size struct {
	H int `json:"h"`
	W int `json:"w"`
}

// String is HxW.
func (s Size) String() string { return fmt.Sprintf("%dx%d", s.H, s.W) }

// Preprocess turns a picture into a model's input, in the order of its fields
// and with torchvision's roundings: resize, centre crop or pad, channels, scale,
// normalise. It marshals to JSON, and ParsePreprocess reads that back.
type Preprocess struct {
	// Name is the preset or the file it came from.
	Name string `json:"name,omitempty"`
	// Note is what a user should know of how the file was read; it changes nothing.
	Note          string `json:"note,omitempty"`
	Resize        Resize `json:"resize,omitzero"`
	Interpolation Filter `json:"interpolation,omitempty"`
	// Crop is cut from the centre; where the picture is smaller, Fill is added
	// around it: one value for each channel, black when empty.
	Crop Size  `json:"crop,omitzero"`
	Fill []int `json:"fill,omitempty"`
	// Floor rounds an odd crop offset down, as Hugging Face does with PIL, and Cut
	// toward 0, as it does with torchvision; torchvision itself rounds it half to even.
	Floor bool `json:"crop_floor,omitempty"`
	Cut   bool `json:"crop_cut,omitempty"`
	Pad   Pad  `json:"pad,omitzero"`
	// Opaque makes a transparent picture an error: transformers lays it on white, or fails.
	Opaque bool `json:"opaque,omitempty"`
	// Channels is 1 or 3; 0 takes what the model wants.
	Channels int  `json:"channels,omitempty"`
	BGR      bool `json:"bgr,omitempty"`
	// Scale multiplies the pixels 0 to 255. 0 stands for 1/255.
	Scale float64 `json:"scale,omitempty"`
	// Mean and Std normalise after scaling, (x-mean)/std in float32: none, one
	// value, or one for each channel.
	Mean []float64 `json:"mean,omitempty"`
	Std  []float64 `json:"std,omitempty"`
	// ChannelsLast lays a sample out as [H,W,C], for models converted from
	// TensorFlow. NewRenderer sets it from the model's input.
	ChannelsLast bool `json:"channels_last,omitempty"`
}

// maxEdge bounds the sizes that flags and files can ask for.
const maxEdge = 1 << 16

// Check reports every fault of p's values.
func (p Preprocess) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, p.Resize.check(), p.Pad.check())
	if p.Crop != (Size{}) && !p.Crop.sane() {
		bad("crop %s: both edges must be 1 to %d", p.Crop, maxEdge)
	}
	if p.Crop != (Size{}) && p.Pad != (Pad{}) {
		bad("crop %s and a pad: give one of them", p.Crop)
	}
	if p.Channels != 0 && p.Channels != 1 && p.Channels != 3 {
		bad("channels %d: want 1 or 3", p.Channels)
	}
	if p.BGR && p.Channels != 3 {
		bad("bgr needs channels 3, got %d", p.Channels)
	}
	if math.IsNaN(p.Scale) || math.IsInf(p.Scale, 0) {
		bad("scale %v is not a number", p.Scale)
	}
	if len(p.Mean) != len(p.Std) {
		bad("mean has %d values and std %d: give both, alike", len(p.Mean), len(p.Std))
	}
	for _, vs := range [][]float64{p.Mean, p.Std} {
		if n := len(vs); n > 1 && n != 3 || n == 3 && p.Channels == 1 {
			bad("mean and std %v: %d values do not suit %d channels", vs, n, p.Channels)
		}
	}
	for i := range min(len(p.Mean), len(p.Std)) {
		if m, s := float32(p.Mean[i]), float32(p.Std[i]); s == 0 || m-m != 0 || s-s != 0 {
			bad("mean %v and std %v: want finite numbers and no std of 0", p.Mean[i], p.Std[i])
		}
	}
	for _, v := range p.Fill {
		if v < 0 || v > 255 {
			bad("fill %d is not a pixel value 0 to 255", v)
		}
	}
	errs = append(errs, p.Interpolation.check(), p.floats())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("preprocessing %q: %w", p.Name, err)
	}
	return nil
}

// Bare reports whether p leaves pixels as they are, but for their scale: what nothing but
// the preset none, or the pixels of a model of uint8, asks for.
func (p Preprocess) Bare() bool {
	return p.Resize == (Resize{}) && p.Crop == (Size{}) && p.Pad == (Pad{}) && p.Channels == 0 && len(p.Mean) == 0 && !p.BGR &&
		(p.Scale == 0 || p.Scale == 1 || p.Scale == 1.0/255)
}

// fixed is the size that every picture comes out with, if that does not depend
// on the picture.
func (p Preprocess) fixed() Size {
	switch {
	case p.Crop != Size{}:
		return p.Crop
	case p.Resize.Mode == Exact:
		out, _, _ := p.Pad.around(p.Resize.Size)
		return out
	}
	return p.Pad.Size
}

// resized is the size that a picture of w x h is resampled to.
func (p Preprocess) resized(w, h int) (int, int) { return p.Resize.of(w, h) }

// OutputSize is what a picture of w x h comes out with.
func (p Preprocess) OutputSize(w, h int) (int, int) {
	if p.Crop != (Size{}) {
		return p.Crop.W, p.Crop.H
	}
	w, h = p.resized(w, h)
	out, _, _ := p.Pad.around(Size{h, w})
	return out.W, out.H
}

// offset is where a centre crop of size out begins on an axis; negative where
// the axis is shorter than the crop.
func (p Preprocess) offset(in, out int) int {
	d := in - out
	switch {
	case p.Floor:
		return d >> 1
	case p.Cut || d < 0:
		return d / 2
	}
	return int(math.RoundToEven(float64(d) / 2))
}

// cut is where the centre crop of a resized picture begins, and the part of that
// picture that is within it.
func (p Preprocess) cut(w, h int) (x, y int, in image.Rectangle) {
	x, y = p.offset(w, p.Crop.W), p.offset(h, p.Crop.H)
	return x, y, image.Rect(x, y, x+p.Crop.W, y+p.Crop.H).Intersect(image.Rect(0, 0, w, h))
}

// Seen is the part of a picture of w x h pixels that decides its sample: what a crop leaves
// out, and no filter reads, is not within it.
func (p Preprocess) Seen(w, h int) image.Rectangle {
	outW, outH := p.resized(w, h)
	if p.Crop == (Size{}) || outW < 1 || outH < 1 {
		return image.Rect(0, 0, w, h)
	}
	_, _, in := p.cut(outW, outH)
	return reads(w, h, outW, outH, p.Interpolation, in)
}

// scene resizes, crops and pads with pixels. Limit bounds the pixels of what it makes on the way.
func (p Preprocess) scene(m *Picture, limit int64) (*Picture, error) {
	w, h := p.resized(m.W, m.H)
	if w < 1 || h < 1 || int64(w) > limit/int64(h) {
		err := fmt.Errorf("resizing %d x %d pixels to %d x %d: want at least 1 and at most %d pixels; "+
			"crop such long pictures first, or resize to HxW", m.W, m.H, w, h, limit)
		return nil, onnx.Remedy(err, "picture.Preprocess.Resize")
	}
	if p.Crop == (Size{}) {
		return p.Pad.draw(m.resize(w, h, p.Interpolation), limit)
	}
	x, y, in := p.cut(w, h)
	m = m.ResizeIn(w, h, p.Interpolation, in)
	fill := make([]uint8, len(p.Fill))
	for i, v := range p.Fill {
		fill[i] = uint8(v)
	}
	if m.C == 1 && len(fill) == 3 && !(fill[0] == fill[1] && fill[1] == fill[2]) {
		m = m.Channels(3)
	}
	return m.crop(x-in.Min.X, y-in.Min.Y, p.Crop.W, p.Crop.H, fill), nil
}

// table is the float32 that each pixel value of a channel becomes. The scaling
// is Hugging Face's; with 1/255 it gives torchvision's x/255 in every bit.
func (p Preprocess) table(channel int) (t [256]float32) {
	for v := range t {
		t[v] = p.value(float64(v), channel)
	}
	return t
}

// value is that of a level from 0 to 255.
func (p Preprocess) value(level float64, channel int) float32 {
	scale := p.Scale
	if scale == 0 {
		scale = 1.0 / 255
	}
	x := float32(level * scale)
	if n := len(p.Mean); n > 0 {
		x = (x - float32(p.Mean[channel%n])) / float32(p.Std[channel%n])
	}
	return x
}

// Overrides replace parts of a preset, in the form in which people give them. Zero values
// leave the preset's.
type Overrides struct {
	Resize        string // "256" for the shorter edge, "224x224" for height x width, "none"
	Crop          string // "224", "224x160" or "none"
	Interpolation string
	Mean, Std     []float64
	Scale         float64
}

// With is p with the overrides in their places, checked.
func (p Preprocess) With(o Overrides) (Preprocess, error) {
	if o.Resize != "" || o.Crop != "" {
		p.Pad = Pad{} // to the size of another resize or crop
	}
	if o.Resize != "" {
		s, square, err := parseSize("resize", o.Resize)
		if err != nil {
			return p, err
		}
		p.Resize = Resize{Mode: Exact, Size: s}
		switch {
		case s == Size{}:
			p.Resize = Resize{}
		case square:
			p.Resize.Mode = Shorter
		}
	}
	if o.Crop != "" {
		s, _, err := parseSize("crop", o.Crop)
		if err != nil {
			return p, err
		}
		p.Crop = s
	}
	if o.Interpolation != "" {
		p.Interpolation = Filter(strings.ToLower(o.Interpolation))
	}
	if len(o.Mean) > 0 {
		p.Mean = slices.Clone(o.Mean)
	}
	if len(o.Std) > 0 {
		p.Std = slices.Clone(o.Std)
	}
	if o.Scale != 0 {
		p.Scale = o.Scale
	}
	if r := p.Resize; (o.Resize != "" || o.Crop != "") && r.Mode == Exact && (p.Crop.H > r.H || p.Crop.W > r.W) {
		return p, onnx.Remedy(fmt.Errorf("preprocessing %q: crop %s is larger than resize %s, which would add a black border; "+
			"give both", p.Name, p.Crop, r.Size), "picture.Preprocess.Resize", "picture.Preprocess.Crop")
	}
	return p, p.Check()
}

func parseSize(flag, s string) (size Size, single bool, err error) {
	if s == "none" {
		return Size{}, false, nil
	}
	hs, ws, two := strings.Cut(s, "x")
	if !two {
		ws = hs
	}
	h, err1 := strconv.Atoi(hs)
	w, err2 := strconv.Atoi(ws)
	if errors.Join(err1, err2) != nil || h < 1 || w < 1 || max(h, w) > maxEdge {
		return Size{}, false, fmt.Errorf("--%s %q: want a number of pixels up to %d, HEIGHTxWIDTH, or none", flag, s, maxEdge)
	}
	return Size{h, w}, !two, nil
}
