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
// of float64, so it is torchvision's to rounding.
func (r *Renderer) renderFloat(p *Picture, dst []float32) error {
	w, h := r.Pre.resized(p.W, p.H)
	if w < 1 || h < 1 || int64(w) > r.MaxPixels/int64(h) || int64(w) > r.MaxPixels/int64(p.H) {
		return onnx.Remedy(fmt.Errorf("resizing %d x %d pixels to %d x %d: want at least 1 and at most %d pixels on the way",
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
	kind, _ := r.Pre.Interpolation.kind()
	across, down := singles{newTaps(p.W, w, kind)}, singles{newTaps(p.H, h, kind)}
	wide := make([]float64, w*p.H) // a channel, resampled across
	for c := range r.C {
		from := min(r.from(c), p.C-1)
		for x := range w {
			lo, weights := across.at(x)
			for y := range p.H {
				sum := 0.0
				for i, weight := range weights {
					sum += float64(weight * float64(p.Pix[(y*p.W+lo+i)*p.C+from]))
				}
				wide[y*w+x] = sum
			}
		}
		for y := range r.H {
			var lo int
			var weights []float64
			if at := y + y0; at >= 0 && at < h {
				lo, weights = down.at(at)
			}
			for x := range r.W {
				sum := 0.0
				for i, weight := range weights {
					if at := x + x0; at >= 0 && at < w {
						sum += float64(weight * wide[(lo+i)*w+at])
					}
				}
				dst[r.place(c, y, x)] = r.Pre.value(sum, c)
			}
		}
	}
	return nil
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
