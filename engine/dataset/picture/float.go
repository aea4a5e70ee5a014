package picture

import (
	"errors"
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// float begins the names of filters that resample float32 after scaling, not bytes.
const float = "float-"

// Float says whether f resamples float32.
func (f Filter) Float() bool { return strings.HasPrefix(string(f), float) }

// renderFloat writes the sample of a picture that is scaled before it is resampled. Sums are
// of float64, so it is torchvision's up to rounding.
func (r *Renderer) renderFloat(p *Picture, dst []float32) error {
	w, h := r.Pre.resized(p.W, p.H)
	if w < 1 || h < 1 || int64(w) > r.MaxPixels/int64(h) {
		return onnx.Remedy(fmt.Errorf("resizing %d x %d pixels to %d x %d: want at least 1 and at most %d pixels",
			p.W, p.H, w, h, r.MaxPixels), "picture.Preprocess.Resize")
	}
	out, x0, y0 := Size{h, w}, 0, 0
	if c := r.Pre.Crop; c != (Size{}) {
		out, x0, y0 = c, r.Pre.offset(w, c.W), r.Pre.offset(h, c.H)
	}
	if err := r.CheckSize(out.W, out.H); err != nil {
		return err
	}
	if len(dst) != r.C*r.H*r.W {
		return fmt.Errorf("the buffer has %d elements, want %d", len(dst), r.C*r.H*r.W)
	}
	for i := range dst { // what a crop adds is black
		c := i / (r.H * r.W)
		if r.Pre.ChannelsLast {
			c = i % r.C
		}
		dst[i] = r.Pre.value(0, c)
	}
	kind, _ := r.Pre.Interpolation.kind()
	across, down := singles{newTaps(p.W, w, kind)}, singles{newTaps(p.H, h, kind)}
	for c := range r.C {
		from := min(r.from(c), p.C-1)
		for begin := max(-y0, 0); begin < min(r.H, h-y0); begin += band {
			end := min(begin+band, r.H, h-y0)
			top, _ := down.at(begin + y0)
			last, weights := down.at(end - 1 + y0)
			wide := p.widened(across, w, from, top, last+len(weights))
			for y := begin; y < end; y++ {
				lo, weights := down.at(y + y0)
				for x := max(-x0, 0); x < min(r.W, w-x0); x++ {
					sum := 0.0
					for i, weight := range weights {
						sum += float64(weight * float64(wide[(lo-top+i)*w+x+x0]))
					}
					dst[r.place(c, y, x)] = r.Pre.value(sum, c)
				}
			}
		}
	}
	return nil
}

// band is how many rows of a sample are made at a time.
const band = 64

// widened is the rows of a channel from top to bottom, resampled across to width w.
func (p *Picture) widened(across singles, w, channel, top, bottom int) []float32 {
	wide := make([]float32, w*(bottom-top))
	for x := range w {
		lo, weights := across.at(x)
		for y := range bottom - top {
			sum := 0.0
			for i, weight := range weights {
				sum += float64(weight * float64(p.Pix[((top+y)*p.W+lo+i)*p.C+channel]))
			}
			wide[y*w+x] = float32(sum)
		}
	}
	return wide
}

// singles are taps whose places and weights are computed in float32.
type singles struct{ taps }

func (t singles) at(i int) (lo int, weights []float64) {
	scale, reach := float32(t.scale), float32(t.support)
	center := scale * (float32(i) + 0.5)
	lo = max(int(float32(center-reach)+0.5), 0)
	n := min(int(float32(center+reach)+0.5), t.in) - lo
	weights = t.weights[:max(n, 0)]
	sum, shrink := float32(0), 1/float32(t.stretch)
	for x := range weights {
		w := float32(t.weight(float64(float32(float32(float32(x+lo)-center)+0.5) * shrink)))
		weights[x] = float64(w)
		sum += w
	}
	for x := range weights {
		weights[x] = float64(float32(weights[x]) / sum)
	}
	return lo, weights
}

// from is the channel of a picture that channel c of a sample is made of.
func (r *Renderer) from(c int) int {
	if r.Pre.BGR {
		return r.C - 1 - c
	}
	return c
}

// place is where a value lies in a sample.
func (r *Renderer) place(c, y, x int) int {
	if r.Pre.ChannelsLast {
		return (y*r.W+x)*r.C + c
	}
	return (c*r.H+y)*r.W + x
}

// floats checks what goes with a filter of float32.
func (p Preprocess) floats() error {
	if p.Interpolation.Float() && (p.Pad != Pad{} || len(p.Fill) > 0) {
		return errors.New("padding and filling do not go with an interpolation of float32")
	}
	return nil
}
