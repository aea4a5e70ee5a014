package dataset

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// renderer turns pictures into samples of one shape.
type renderer struct {
	pre     Preprocess
	c, h, w int
	shape   []int // [c,h,w], or [h,w,c], or the model's own with as many elements
	pixels  int64 // the most that a picture may have on the way
	tables  [3][256]float32
}

// newRenderer settles a sample's shape from, in this order, the preprocessing,
// the model's input and the pictures: natural is their number of channels, size
// gives the size of one of them and is called only when it is needed.
func newRenderer(o Options, natural int, size func() (w, h int, err error)) (*renderer, error) {
	r := &renderer{pixels: o.MaxPixels}
	if o.Preprocess != nil {
		r.pre = *o.Preprocess
	}
	if err := r.pre.Check(); err != nil {
		return nil, err
	}
	want := planesOf(o.Input)
	r.pre.ChannelsLast = r.pre.ChannelsLast || want.last
	out := r.pre.fixed()
	if out == (Size{}) && want.h > 0 && want.w > 0 {
		out = Size{want.h, want.w}
	}
	if out == (Size{}) {
		w, h, err := size()
		if err != nil {
			return nil, err
		}
		out.W, out.H = r.pre.size(w, h)
	}
	if out.H < 1 || out.W < 1 || int64(out.H) > r.pixels/int64(out.W) {
		return nil, fmt.Errorf("preprocessing gives samples of %s pixels, the limit is %d in all", out, r.pixels)
	}
	r.h, r.w = out.H, out.W
	r.c = r.pre.Channels
	for _, c := range []int{len(r.pre.Mean) / 3 * 3, want.c, natural} {
		if r.c == 0 {
			r.c = c
		}
	}
	if r.pre.Channels == 0 && len(r.pre.Mean) != 3 && want.c == 0 && known(o.Input) && tensor.Count(o.Input) == r.h*r.w {
		r.c = 1 // the model takes one value a pixel
	}
	sample := []int{r.c, r.h, r.w}
	if r.pre.ChannelsLast {
		sample = []int{r.h, r.w, r.c}
	}
	var ok bool
	if r.shape, ok = form(sample, o.Input); !ok {
		return nil, shapeError(sample, o.Input)
	}
	for c := range r.c {
		r.tables[c] = r.pre.table(c)
	}
	return r, nil
}

// render writes the sample that a picture becomes.
func (r *renderer) render(p *picture, dst []float32) error {
	given := p
	if r.c == 1 {
		p = p.channels(1)
	}
	p, err := r.pre.scene(p, r.pixels)
	if err != nil {
		return err
	}
	if p != given {
		defer p.release()
	}
	if err := r.checkSize(p.w, p.h); err != nil {
		return err
	}
	if len(dst) != r.c*r.h*r.w {
		return fmt.Errorf("the buffer has %d elements, want %d", len(dst), r.c*r.h*r.w)
	}
	step, plane := 1, r.h*r.w
	if r.pre.ChannelsLast {
		step, plane = r.c, 1
	}
	for c := range r.c {
		from := c
		if r.pre.BGR {
			from = r.c - 1 - c
		}
		if p.c == 1 {
			from = 0
		}
		table, o := &r.tables[c], c*plane
		for i := from; i < len(p.pix); i += p.c {
			dst[o] = table[p.pix[i]]
			o += step
		}
	}
	return nil
}

// checkSize compares a picture's size after preprocessing with the samples'.
func (r *renderer) checkSize(w, h int) error {
	if w != r.w || h != r.h {
		return fmt.Errorf("the picture is %d x %d (height x width) after preprocessing, samples are %d x %d; give --resize %dx%d or a preset that resizes, such as imagenet",
			h, w, r.h, r.w, r.h, r.w)
	}
	return nil
}

// planes is what a model's input says about pictures; 0 where it says nothing.
type planes struct {
	c, h, w int
	last    bool
}

func planesOf(input []int) planes {
	pos := func(d int) int { return max(d, 0) }
	if len(input) == 3 {
		isChannels := func(d int) bool { return d == 1 || d == 3 }
		if !isChannels(input[0]) && isChannels(input[2]) {
			return planes{input[2], pos(input[0]), pos(input[1]), true}
		}
		return planes{pos(input[0]), pos(input[1]), pos(input[2]), false}
	}
	if len(input) == 2 && input[0] > 1 && input[1] > 1 {
		return planes{1, input[0], input[1], false}
	}
	return planes{}
}

func known(shape []int) bool {
	return len(shape) > 0 && !slices.ContainsFunc(shape, func(d int) bool { return d < 1 })
}

// CheckShape reports whether samples of a shape suit a model's input, both
// without the batch axis. A dimension of the model below 1 accepts any size,
// axes of 1 may be missing, and a flat input takes samples of any rank with as
// many elements. The error names what would help.
func CheckShape(sample, input []int) error {
	if _, ok := form(sample, input); !ok {
		return shapeError(sample, input)
	}
	return nil
}

// form gives samples the model's shape, which must not change their order.
func form(sample, input []int) ([]int, bool) {
	if input == nil {
		return sample, true
	}
	if len(sample) == len(input) {
		for i, d := range input {
			if d > 0 && d != sample[i] {
				return nil, false
			}
		}
		return sample, true
	}
	long := func(shape []int) []int {
		return slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
	}
	if !known(input) || tensor.Count(sample) != tensor.Count(input) {
		return nil, false
	}
	if in := long(input); len(in) <= 1 || slices.Equal(in, long(sample)) {
		return slices.Clone(input), true
	}
	return nil, false
}

func shapeError(sample, input []int) error {
	remedy := "give data of the model's shape"
	if p := planesOf(input); len(sample) == 3 && p.h > 0 && p.w > 0 {
		channels := sample[0]
		if p.last {
			channels = sample[2]
		}
		remedy = fmt.Sprintf("give --resize %dx%d --crop none, or a --preprocess made for the model", p.h, p.w)
		if p.c != channels {
			remedy = fmt.Sprintf("give a --preprocess for %d channels, such as %s", p.c, map[bool]string{true: "mnist", false: "imagenet or cifar10"}[p.c == 1])
		}
	}
	return fmt.Errorf("a sample has shape %v, the model takes %v (without the batch axis): %s", sample, input, remedy)
}
