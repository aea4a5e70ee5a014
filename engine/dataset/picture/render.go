package picture

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Renderer turns pictures into samples of one shape. It is safe for use from many
// goroutines.
type Renderer struct {
	// Pre is the preprocessing, with what the model's input settled of it.
	Pre Preprocess
	// C, H and W are the channels and the size of samples, and Shape is [C,H,W], or
	// [H,W,C], or the model's own with as many elements.
	C, H, W int
	Shape   []int
	// MaxPixels is the most that a picture may have on the way.
	MaxPixels int64

	tables [3][256]float32
}

// RenderOptions say what samples a Renderer makes.
type RenderOptions struct {
	// Preprocess is what is done to pictures; nil is nothing.
	Preprocess *Preprocess
	// Input is the shape of the model's input without the batch axis, -1 for sizes
	// that are free; nil without a model.
	Input []int
	// MaxPixels bounds what a picture is resized to; 0 is DefaultMaxPixels.
	MaxPixels int64
}

// NewRenderer settles a sample's shape from, in this order, the preprocessing,
// the model's input and the pictures: natural is their number of channels, size
// gives the size of one of them and is called only when it is needed.
func NewRenderer(o RenderOptions, natural int, size func() (w, h int, err error)) (*Renderer, error) {
	r := &Renderer{MaxPixels: cmp.Or(o.MaxPixels, DefaultMaxPixels)}
	if o.Preprocess != nil {
		r.Pre = *o.Preprocess
	}
	if err := r.Pre.Check(); err != nil {
		return nil, err
	}
	want := PlanesOf(o.Input)
	r.Pre.ChannelsLast = r.Pre.ChannelsLast || want.Last
	out := r.Pre.fixed()
	if out == (Size{}) && want.H > 0 && want.W > 0 {
		out = Size{want.H, want.W}
	}
	if out == (Size{}) {
		w, h, err := size()
		if err != nil {
			return nil, err
		}
		out.W, out.H = r.Pre.OutputSize(w, h)
	}
	if out.H < 1 || out.W < 1 || int64(out.H) > r.MaxPixels/int64(out.W) {
		return nil, onnx.Remedy(fmt.Errorf("preprocessing gives samples of %s pixels, the limit is %d in all", out, r.MaxPixels), "dataset.Options.MaxPixels")
	}
	r.H, r.W = out.H, out.W
	r.C = r.Pre.Channels
	for _, c := range []int{len(r.Pre.Mean) / 3 * 3, want.C, natural} {
		if r.C == 0 {
			r.C = c
		}
	}
	if r.Pre.Channels == 0 && len(r.Pre.Mean) != 3 && want.C == 0 && known(o.Input) && tensor.Count(o.Input) == r.H*r.W {
		r.C = 1 // the model takes one value a pixel
	}
	if most := r.MaxPixels / 4 * 3; int64(r.C)*int64(r.H)*int64(r.W) > most {
		err := fmt.Errorf("preprocessing gives samples of %d x %s values of 4 bytes, the limit of %d pixels leaves %d values", r.C, out, r.MaxPixels, most)
		return nil, onnx.Remedy(err, "dataset.Options.MaxPixels")
	}
	sample := []int{r.C, r.H, r.W}
	if r.Pre.ChannelsLast {
		sample = []int{r.H, r.W, r.C}
	}
	var err error
	if r.Shape, err = ShapeFor(sample, o.Input); err != nil {
		return nil, err
	}
	for c := range r.C {
		r.tables[c] = r.Pre.table(c)
	}
	return r, nil
}

// Check is an error of a picture that is not what the preprocessing takes.
func (r *Renderer) Check(p *Picture) error {
	if r.Pre.Opaque && p.Transparent {
		return fmt.Errorf("it has transparent pixels, which transformers lays on white or fails over, by its class: flatten it first, for "+
			"example with %q", "magick IN -background white -flatten OUT.png")
	}
	return nil
}

// Render writes the sample that a picture becomes.
func (r *Renderer) Render(p *Picture, dst []float32) error {
	given := p
	if r.C == 1 {
		p = p.Channels(1)
	}
	if r.Pre.Interpolation.Float() {
		return r.renderFloat(p, dst)
	}
	p, err := r.Pre.scene(p, r.MaxPixels)
	if err != nil {
		return err
	}
	if p != given {
		defer p.Release()
	}
	out, left, top := r.Pre.Pad.around(Size{p.H, p.W})
	if r.Pre.Pad.Mode != PadZero {
		out, left, top = Size{p.H, p.W}, 0, 0 // drawn already
	}
	if err := r.CheckSize(out.W, out.H); err != nil {
		return err
	}
	if len(dst) != r.C*r.H*r.W {
		return fmt.Errorf("the buffer has %d elements, want %d", len(dst), r.C*r.H*r.W)
	}
	if p.W < r.W || p.H < r.H {
		clear(dst)
	}
	step := 1
	if r.Pre.ChannelsLast {
		step = r.C
	}
	for c := range r.C {
		table, from := &r.tables[c], min(r.from(c), p.C-1)
		for y := range p.H {
			o := r.place(c, top+y, left)
			row := p.Pix[y*p.W*p.C : (y+1)*p.W*p.C]
			for i := from; i < len(row); i += p.C {
				dst[o] = table[row[i]]
				o += step
			}
		}
	}
	return nil
}

// RenderLevels is Render of pixels between the 256 values of a byte: w x h x c values from 0
// to 255, the channels last. They can be cropped, scaled and normalised; what works on
// bytes, resampling and the conversion to grey, is an error.
func (r *Renderer) RenderLevels(v []float32, w, h, c int, dst []float32) error {
	rw, rh := r.Pre.resized(w, h)
	if rw != w || rh != h || r.C < c || r.Pre.Pad != (Pad{}) {
		return fmt.Errorf("its pixels lie between the 256 values of a byte, such as %v of 255, and are not resampled, padded or made grey: do that "+
			"before, or give bytes", v[slices.IndexFunc(v, func(x float32) bool { return x != float32(int(x)) })])
	}
	x0, y0 := 0, 0
	if r.Pre.Crop != (Size{}) {
		x0, y0, w, h = r.Pre.offset(w, r.Pre.Crop.W), r.Pre.offset(h, r.Pre.Crop.H), r.Pre.Crop.W, r.Pre.Crop.H
	}
	if err := r.CheckSize(w, h); err != nil {
		return err
	}
	if len(dst) != r.C*r.H*r.W {
		return fmt.Errorf("the buffer has %d elements, want %d", len(dst), r.C*r.H*r.W)
	}
	for k := range r.C {
		from := r.from(k)
		for i := range w * h {
			x, y := i%w+x0, i/w+y0
			level := 0.0
			switch {
			case x >= 0 && y >= 0 && x < rw && y < rh:
				level = float64(v[(y*rw+x)*c+min(from, c-1)])
			case len(r.Pre.Fill) > 0:
				level = float64(r.Pre.Fill[from%len(r.Pre.Fill)])
			}
			dst[r.place(k, i/w, i%w)] = r.Pre.value(level, k)
		}
	}
	return nil
}

// CheckSize compares a picture's size after preprocessing with the samples'.
func (r *Renderer) CheckSize(w, h int) error {
	if w != r.W || h != r.H {
		err := fmt.Errorf("the picture is %d x %d (height x width) after preprocessing, samples are %d x %d; "+
			"resize to %dx%d, or take a preset that resizes, such as imagenet", h, w, r.H, r.W, r.H, r.W)
		return onnx.Remedy(err, fmt.Sprintf("picture.Preprocess.Resize=%dx%d", r.H, r.W))
	}
	return nil
}
