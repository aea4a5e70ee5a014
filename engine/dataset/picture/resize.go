package picture

import (
	"fmt"
	"image"
	"math"
	"strings"
)

// Filter names a way of resampling, as PIL does; "torchvision-bilinear", -bicubic,
// -lanczos and -nearest are torchvision's of tensors of bytes, 1 or 2 of 255 away and more
// beside sharp edges, and "float-bilinear", -bicubic and -lanczos its of float32. The zero Filter is bilinear.
type Filter string

// PIL's six filters.
const (
	Nearest  Filter = "nearest"
	Box      Filter = "box"
	Bilinear Filter = "bilinear"
	Hamming  Filter = "hamming"
	Bicubic  Filter = "bicubic"
	Lanczos  Filter = "lanczos"
)

// filters holds each antialiasing filter's reach, in input pixels at scale 1,
// and its weight at a distance, as in PIL's Resample.c.
var filters = map[Filter]struct {
	support float64
	weight  func(x float64) float64
}{
	Box: {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	Bilinear: {1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	Hamming: {1, func(x float64) float64 {
		x = math.Abs(x)
		switch {
		case x == 0:
			return 1
		case x >= 1:
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (float64(float32(0.54)) + float64(float64(float32(0.46))*math.Cos(x))) // floats in PIL
	}},
	Bicubic: {2, func(x float64) float64 { // the cubic with a = -0.5
		x = math.Abs(x)
		switch {
		case x < 1:
			return float64(float64((float64(1.5*x)-2.5)*x)*x) + 1
		case x < 2:
			return float64(float64(float64(float64((x-5)*x)+8)*x)-4) * -0.5
		}
		return 0
	}},
	Lanczos: {3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

const torchvision = "torchvision-"

// Filters are the names of filters: PIL's, and torchvision's by name.
var Filters = []string{string(Nearest), string(Box), string(Bilinear), string(Hamming), string(Bicubic), string(Lanczos),
	torchvision + string(Nearest), torchvision + string(Bilinear), torchvision + string(Bicubic), torchvision + string(Lanczos)}

// kind is the filter by PIL's name, and whether torchvision's arithmetic is meant.
func (f Filter) kind() (pil Filter, torch bool) {
	name, torch := strings.CutPrefix(strings.TrimPrefix(string(f), float), torchvision)
	if f = Filter(name); f == "" {
		f = Bilinear
	}
	return f, torch
}

func (f Filter) check() error {
	kind, torch := f.kind()
	if (torch || f.Float()) && (kind == Box || kind == Hamming) || f.Float() && kind == Nearest {
		return fmt.Errorf("interpolation %q: torchvision has no %s for such tensors", f, kind)
	}
	if kind == Nearest || filters[kind].weight != nil {
		return nil
	}
	return fmt.Errorf("interpolation %q is not known, want one of %s", f, strings.Join(Filters, ", "))
}

// precision is the number of fraction bits of PIL's weights: 32 less 8 for the
// pixel and 2 for the overshoot of filters with negative lobes.
const precision = 32 - 8 - 2

// kernel is one output pixel's window: weights of the input pixels from min on.
type kernel struct {
	min     int
	weights []int32
}

// kernels is PIL's precompute_coeffs and normalize_coeffs_8bpc, for the output
// pixels from begin to end. torchvision's weights have as many fraction bits as let
// the largest of all stay below 2^15; shifted up, they go the way of PIL's.
func kernels(in, out int, f Filter, begin, end int) []kernel {
	kind, torch := f.kind()
	if !torch {
		return quantized(in, out, kind, begin, end, precision)
	}
	t, heaviest := newTaps(in, out, kind), 0.0
	for i := range out {
		_, weights := t.at(i)
		for _, w := range weights {
			heaviest = max(heaviest, w)
		}
	}
	bits := 0
	for bits < precision && int(0.5+float64(heaviest*float64(int(2)<<bits))) < 1<<15 {
		bits++
	}
	return quantized(in, out, kind, begin, end, bits)
}

func quantized(in, out int, f Filter, begin, end, bits int) []kernel {
	t, ks := newTaps(in, out, f), make([]kernel, end-begin)
	store, one := make([]int32, 0, len(t.weights)*len(ks)), float64(int(1)<<bits)
	for i := range ks {
		lo, weights := t.at(begin + i)
		first := len(store)
		for _, w := range weights {
			store = append(store, int32(math.Copysign(0.5, w)+float64(w*one))<<(precision-bits))
		}
		ks[i] = kernel{lo, store[first:len(store):len(store)]}
	}
	return ks
}

// taps makes the weights of output pixels, one after the other in the same memory.
// float64(...) around products keeps compilers from fusing them with sums, which
// rounds differently.
type taps struct {
	in                      int
	scale, stretch, support float64
	weight                  func(x float64) float64
	weights                 []float64
}

func newTaps(in, out int, f Filter) taps {
	t := taps{in: in, scale: float64(in) / float64(out), weight: filters[f].weight}
	t.stretch = max(t.scale, 1)
	t.support = filters[f].support * t.stretch
	t.weights = make([]float64, int(math.Ceil(t.support))*2+1)
	return t
}

// at is where output pixel i begins to read, and its weights, which add up to 1.
func (t taps) at(i int) (lo int, weights []float64) {
	center := (float64(i) + 0.5) * t.scale
	lo = max(int(float64(center-t.support)+0.5), 0)
	n := min(int(float64(center+t.support)+0.5), t.in) - lo
	sum := 0.0
	for x := range n {
		w := t.weight((float64(x+lo) - center + 0.5) * (1 / t.stretch))
		t.weights[x] = w
		sum += w
	}
	weights = t.weights[:max(n, 0)]
	for x := range weights {
		if sum != 0 {
			weights[x] /= sum
		}
	}
	return lo, weights
}

// clip8 rounds a fixed-point sum, which includes one half, to a byte.
func clip8(v int32) uint8 { return uint8(min(max(v>>precision, 0), 255)) }

// resize resamples to w x h exactly as PIL's Image.resize does for 8-bit
// pictures: antialiased, one axis after the other, rounded to bytes in between.
// Pillow 13 takes the vertical pass first when that drops clearly more; earlier
// ones never do, and then differ by rounding. Resizing that keeps the picture's
// proportions is the same in all of them.
func (p *Picture) resize(w, h int, f Filter) *Picture {
	return p.ResizeIn(w, h, f, image.Rect(0, 0, w, h))
}

// ResizeIn resamples to w x h, as PIL's Image.resize does, and makes the pixels within a
// rectangle of the result, at the cost of those alone: each depends on none of the others.
// Where that is the whole of a picture of this size, it is the picture itself.
func (p *Picture) ResizeIn(w, h int, f Filter, in image.Rectangle) *Picture {
	whole := in == image.Rect(0, 0, w, h)
	switch {
	case w == p.W && h == p.H:
		if whole {
			return p
		}
		return p.crop(in.Min.X, in.Min.Y, in.Dx(), in.Dy(), nil)
	case f == Nearest || f == torchvision+Nearest:
		if q := p.nearest(w, h, f); !whole {
			return q.crop(in.Min.X, in.Min.Y, in.Dx(), in.Dy(), nil)
		} else {
			return q
		}
	}
	_, torch := f.kind()
	// A pass over an axis that keeps its size copies it.
	columns, rows := kernels(p.W, w, f, in.Min.X, in.Max.X), kernels(p.H, h, f, in.Min.Y, in.Max.Y)
	var q *Picture
	switch {
	case w == p.W && in.Dx() == w:
		return p.vertical(rows)
	case h < p.H && p.H-h > 2*(p.W-w) && !torch:
		q = p.vertical(rows)
		defer q.Release()
		return q.horizontal(columns, 0, len(rows))
	case h == p.H:
		return p.horizontal(columns, in.Min.Y, in.Max.Y)
	}
	// The horizontal pass need only make what the rows read.
	top, bottom := reach(rows)
	for i := range rows {
		rows[i].min -= top
	}
	q = p.horizontal(columns, top, bottom)
	defer q.Release()
	return q.vertical(rows)
}

// reach is from where to where windows read.
func reach(ks []kernel) (from, to int) {
	last := ks[len(ks)-1]
	return ks[0].min, last.min + len(last.weights)
}

// reads is the part of a picture of inW x inH that ResizeIn looks at.
func reads(inW, inH, w, h int, f Filter, in image.Rectangle) image.Rectangle {
	switch {
	case in.Empty() || f == Nearest || f == torchvision+Nearest:
		return image.Rect(0, 0, inW, inH)
	case w == inW && h == inH:
		return in
	}
	axis := func(size, out, begin, end int) (from, to int) {
		kind, _ := f.kind()
		from, _ = reach(quantized(size, out, kind, begin, begin+1, precision))
		_, to = reach(quantized(size, out, kind, end-1, end, precision))
		return from, to
	}
	left, right := axis(inW, w, in.Min.X, in.Max.X)
	top, bottom := axis(inH, h, in.Min.Y, in.Max.Y)
	return image.Rect(left, top, right, bottom)
}

func (p *Picture) horizontal(ks []kernel, top, bottom int) *Picture {
	q := scratch(len(ks), bottom-top, p.C)
	for y := top; y < bottom; y++ {
		row, out := p.Pix[y*p.W*p.C:(y+1)*p.W*p.C], q.Pix[(y-top)*q.W*q.C:(y-top+1)*q.W*q.C]
		switch {
		case p.C == 1:
			across1(out, row, ks)
		case y+1 < min(p.H, bottom):
			across(out, row, ks)
		default: // the vectors touch a byte of the next row
			across3(out, row, ks)
		}
	}
	return q
}

func across1(out, row []uint8, ks []kernel) {
	for x, k := range ks {
		sum := int32(1 << (precision - 1))
		for i, v := range row[k.min : k.min+len(k.weights)] {
			sum += int32(v) * k.weights[i]
		}
		out[x] = clip8(sum)
	}
}

func across3(out, row []uint8, ks []kernel) {
	for x, k := range ks {
		r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
		at := row[k.min*3:]
		for _, w := range k.weights {
			r += int32(at[0]) * w
			g += int32(at[1]) * w
			b += int32(at[2]) * w
			at = at[3:]
		}
		out[3*x], out[3*x+1], out[3*x+2] = clip8(r), clip8(g), clip8(b)
	}
}

func (p *Picture) vertical(ks []kernel) *Picture {
	q := scratch(p.W, len(ks), p.C)
	n := p.W * p.C
	for y, k := range ks {
		down(q.Pix[y*n:(y+1)*n], p.Pix[k.min*n:(k.min+len(k.weights))*n], k.weights)
	}
	return q
}

// down1 makes the end of a row, from element begin on, of as many rows as there
// are weights.
func down1(out, rows []uint8, weights []int32, begin int) {
	for i := begin; i < len(out); i++ {
		sum := int32(1 << (precision - 1))
		for j, w := range weights {
			sum += int32(rows[j*len(out)+i]) * w
		}
		out[i] = clip8(sum)
	}
}

// nearest is PIL's ImagingScaleAffine: positions are summed up, not multiplied
// out, and what rounding pushes past the edge stays black. torchvision's, nearest-exact,
// multiplies in float32 and stays within.
func (p *Picture) nearest(w, h int, f Filter) *Picture {
	steps := func(in, out int) []int {
		at, scale := make([]int, out), float64(in)/float64(out)
		for i, pos := 0, scale*0.5; i < out; i, pos = i+1, pos+scale {
			at[i] = int(pos)
		}
		return at
	}
	if f != Nearest {
		steps = func(in, out int) []int {
			at, scale := make([]int, out), float32(in)/float32(out)
			for i := range at {
				at[i] = min(int((float32(i)+0.5)*scale), in-1)
			}
			return at
		}
	}
	q := New(w, h, p.C)
	xs, ys := steps(p.W, w), steps(p.H, h)
	for y, from := range ys {
		if from >= p.H {
			continue
		}
		for x, fx := range xs {
			if fx < p.W {
				copy(q.Pix[(y*w+x)*p.C:(y*w+x+1)*p.C], p.Pix[(from*p.W+fx)*p.C:])
			}
		}
	}
	return q
}
