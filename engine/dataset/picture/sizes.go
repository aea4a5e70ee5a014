package picture

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Resize modes. The zero Resize leaves pictures as they are.
const (
	Shorter = "shorter" // the shorter edge becomes H, the other follows: torchvision's Resize(int)
	Exact   = "exact"   // H x W whatever the proportions: torchvision's Resize((H, W))
	Fit     = "fit"     // as large as fits into H x W: timm's crop mode "border"
	Cover   = "cover"   // as small as covers H x W: timm's mode "center" for oblong models
	Within  = "within"  // as large as fits into H x W, cut off: transformers' max_height and max_width
)

// Resize modes that families of models have to themselves, as transformers names the families.
const (
	aria    = "aria"    // the longer edge becomes H, the other at least Least
	dpt     = "dpt"     // one edge of H x W, whichever changes the scale less, then the nearest multiples
	dptFree = "dptfree" // H x W, then the nearest multiples
	emu3    = "emu3"    // multiples of about the proportions with Least to Most pixels
	glpn    = "glpn"    // the multiples below
	janus   = "janus"   // the longer edge becomes H, the other at least Least, rounded half to even
	pixtral = "pixtral" // no larger than H x W, then the multiples above
	sam     = "sam"     // the longer edge becomes H, rounded half up
	vilt    = "vilt"    // the shorter edge becomes H, the longer at most 1333/800 of that, then the multiples below
	yolos   = "yolos"   // as shorter, then the multiples below
)

// Resize says how a picture is brought to size before it is cropped.
type Resize struct {
	Mode string `json:"mode"`
	Size
	// Least and Most bound what a mode makes: Most the longer edge in mode shorter.
	Least int `json:"least,omitempty"`
	Most  int `json:"most,omitempty"`
	// Multiple is what both edges are rounded to multiples of, upwards in modes
	// shorter and within; 0 for none.
	Multiple int `json:"multiple,omitempty"`
}

// sizings holds each mode's width and height of a picture of w x h, with Python's
// roundings: int cuts off, round takes halves to even.
var sizings = map[string]func(r Resize, w, h float64) (float64, float64){
	Shorter: func(r Resize, w, h float64) (float64, float64) {
		w, h = r.shorter(w, h)
		return r.above(w), r.above(h)
	},
	Exact: func(r Resize, _, _ float64) (float64, float64) { return float64(r.W), float64(r.H) },
	Fit: func(r Resize, w, h float64) (float64, float64) {
		ratio := max(h/float64(r.H), w/float64(r.W))
		return math.RoundToEven(w / ratio), math.RoundToEven(h / ratio)
	},
	Cover: func(r Resize, w, h float64) (float64, float64) {
		ratio := min(h/float64(r.H), w/float64(r.W))
		return math.RoundToEven(w / ratio), math.RoundToEven(h / ratio)
	},
	Within: func(r Resize, w, h float64) (float64, float64) {
		scale := min(float64(r.H)/h, float64(r.W)/w)
		return r.above(math.Trunc(w * scale)), r.above(math.Trunc(h * scale))
	},
	aria: func(r Resize, w, h float64) (float64, float64) {
		edge := float64(r.H)
		scale := edge / max(w, h)
		if w >= h {
			return edge, max(math.Trunc(h*scale), float64(r.Least))
		}
		return max(math.Trunc(w*scale), float64(r.Least)), edge
	},
	dpt: func(r Resize, w, h float64) (float64, float64) {
		scale := float64(r.H) / h
		if across := float64(r.W) / w; math.Abs(1-across) < math.Abs(1-scale) {
			scale = across
		}
		return r.nearest(scale * w), r.nearest(scale * h)
	},
	dptFree: func(r Resize, w, h float64) (float64, float64) {
		return r.nearest(float64(r.W) / w * w), r.nearest(float64(r.H) / h * h)
	},
	emu3: Resize.smart,
	glpn: func(r Resize, w, h float64) (float64, float64) { return r.below(w), r.below(h) },
	janus: func(r Resize, w, h float64) (float64, float64) {
		scale, least := float64(r.H)/max(w, h), float64(r.Least)
		return max(math.RoundToEven(w*scale), least), max(math.RoundToEven(h*scale), least)
	},
	pixtral: func(r Resize, w, h float64) (float64, float64) {
		if ratio := max(h/float64(r.H), w/float64(r.W)); ratio > 1 {
			w, h = math.Floor(w/ratio), math.Floor(h/ratio)
		}
		return r.above(w), r.above(h)
	},
	sam: func(r Resize, w, h float64) (float64, float64) {
		scale := float64(r.H) / max(w, h)
		return halfUp(w * scale), halfUp(h * scale)
	},
	vilt: func(r Resize, w, h float64) (float64, float64) {
		edge := float64(r.H)
		scale, most := edge/min(w, h), math.Trunc(1333.0/800*edge)
		if h < w {
			w, h = scale*w, edge
		} else {
			w, h = edge, scale*h
		}
		if long := max(w, h); long > most {
			w, h = most/long*w, most/long*h
		}
		return r.below(halfUp(w)), r.below(halfUp(h))
	},
	yolos: func(r Resize, w, h float64) (float64, float64) {
		w, h = r.shorter(w, h)
		return r.below(w), r.below(h)
	},
}

// shorter is the size whose shorter edge is H, or less where the longer would be more than Most.
func (r Resize) shorter(w, h float64) (float64, float64) {
	edge, scaled := float64(r.H), float64(r.H)
	if short, long := min(w, h), max(w, h); r.Most > 0 && long/short*edge > float64(r.Most) {
		scaled = float64(float64(r.Most)*short) / long
		edge = math.RoundToEven(scaled)
	}
	switch {
	case min(w, h) == edge:
		return w, h
	case w <= h:
		return edge, math.Trunc(float64(scaled*h) / w)
	}
	return math.Trunc(float64(scaled*w) / h), edge
}

// smart is Qwen2-VL's way, which Emu3 has too.
func (r Resize) smart(w, h float64) (float64, float64) {
	m, least, most := float64(r.Multiple), float64(r.Least), float64(r.Most)
	if max(w, h)/min(w, h) > 200 {
		return 0, 0
	}
	outW, outH := math.RoundToEven(w/m)*m, math.RoundToEven(h/m)*m
	switch {
	case outW*outH > most:
		beta := math.Sqrt(h * w / most)
		return max(m, math.Floor(w/beta/m)*m), max(m, math.Floor(h/beta/m)*m)
	case outW*outH < least:
		beta := math.Sqrt(least / (h * w))
		return math.Ceil(float64(w*beta)/m) * m, math.Ceil(float64(h*beta)/m) * m
	}
	return outW, outH
}

func halfUp(v float64) float64 { return math.Trunc(float64(v) + 0.5) }

func (r Resize) above(v float64) float64 {
	m := float64(max(r.Multiple, 1))
	return math.Ceil(v/m) * m
}

func (r Resize) below(v float64) float64 {
	m := float64(max(r.Multiple, 1))
	return math.Floor(v/m) * m
}

func (r Resize) nearest(v float64) float64 {
	m := float64(max(r.Multiple, 1))
	return math.RoundToEven(v/m) * m
}

// of is the size that a picture of w x h is resampled to; 0 or less where it has none.
func (r Resize) of(w, h int) (int, int) {
	size := sizings[r.Mode]
	if size == nil || w < 1 || h < 1 {
		return w, h
	}
	outW, outH := size(r, float64(w), float64(h))
	whole := func(v float64) int { return int(min(v, maxPictureEdge)) }
	return whole(outW), whole(outH)
}

func (r Resize) check() error {
	if r.Mode == "" {
		return nil
	}
	if sizings[r.Mode] == nil {
		return fmt.Errorf("resize mode %q is not known, want one of %s", r.Mode, strings.Join(slices.Sorted(maps.Keys(sizings)), " "))
	}
	var errs []error
	if r.Mode != glpn && r.Mode != emu3 && !r.Size.sane() {
		errs = append(errs, fmt.Errorf("resize %s: both edges must be 1 to %d", r.Size, maxEdge))
	}
	if r.Least < 0 || r.Most < 0 || r.Multiple < 0 || r.Multiple > maxEdge {
		errs = append(errs, fmt.Errorf("resize least %d, most %d, multiple %d: want 0 or more, and multiples up to %d", r.Least, r.Most, r.Multiple, maxEdge))
	}
	if needs := r.Mode == glpn || r.Mode == emu3; needs && r.Multiple < 1 {
		errs = append(errs, fmt.Errorf("resize mode %s needs a multiple of 1 or more", r.Mode))
	}
	if r.Mode == emu3 && r.Most < 1 {
		errs = append(errs, fmt.Errorf("resize mode %s needs most, a number of pixels", r.Mode))
	}
	return errors.Join(errs...)
}

// sane says whether flags and files may ask for s.
func (s Size) sane() bool { return s.H >= 1 && s.W >= 1 && s.H <= maxEdge && s.W <= maxEdge }

// Ways of padding. The zero Pad adds nothing.
const (
	PadZero   = "zero"   // with 0 after normalization
	PadBlack  = "black"  // with black pixels, which are scaled and normalized
	PadMirror = "mirror" // with the picture mirrored at its edge, to the next larger multiple even where it is one
)

// Pad says what is added at the right and the bottom of a resized picture.
type Pad struct {
	Mode string `json:"mode"`
	// Size is the size with what is added, and Multiple what both edges become
	// multiples of: one of the two.
	Size
	Multiple int `json:"multiple,omitempty"`
	// Center adds on all sides.
	Center bool `json:"center,omitempty"`
}

func (p Pad) check() error {
	switch {
	case p == Pad{}:
		return nil
	case p.Mode != PadZero && p.Mode != PadBlack && p.Mode != PadMirror:
		return fmt.Errorf("pad mode %q is not known, want %s, %s or %s", p.Mode, PadZero, PadBlack, PadMirror)
	case (p.Size == Size{}) == (p.Multiple == 0), p.Multiple < 0, p.Multiple > maxEdge, p.Size != (Size{}) && !p.Size.sane():
		return fmt.Errorf("pad to %s or multiples of %d: want one of the two, 1 to %d", p.Size, p.Multiple, maxEdge)
	case p.Mode == PadMirror && p.Center:
		return errors.New("pad mode mirror adds at the right and the bottom alone")
	}
	return nil
}

// around is the size that padding gives a picture, and where the picture lies on it. It is the
// picture's own where that is larger than what is padded to.
func (p Pad) around(s Size) (out Size, x, y int) {
	up := func(v int) int {
		switch {
		case p.Multiple == 0:
			return v
		case p.Mode == PadMirror:
			return (v/p.Multiple + 1) * p.Multiple
		}
		return (v + p.Multiple - 1) / p.Multiple * p.Multiple
	}
	out = Size{max(up(s.H), p.H), max(up(s.W), p.W)}
	if p.Center {
		x, y = (out.W-s.W)/2, (out.H-s.H)/2
	}
	return out, x, y
}

// draw adds what is made of pixels.
func (p Pad) draw(m *Picture, limit int64) (*Picture, error) {
	out, x, y := p.around(Size{m.H, m.W})
	if p.Size != (Size{}) && out != p.Size {
		return nil, fmt.Errorf("padding %d x %d pixels (height x width) to %s: the picture is larger", m.H, m.W, p.Size)
	}
	if int64(out.W) > limit/int64(out.H) {
		return nil, fmt.Errorf("padding to %s: want at most %d pixels", out, limit)
	}
	switch p.Mode {
	case PadBlack:
		return m.crop(-x, -y, out.W, out.H, nil), nil
	case PadMirror:
		return m.mirrored(out.W, out.H), nil
	}
	return m, nil
}

// mirrored is p on w x h pixels, the rest of which mirrors it, edge pixels twice.
func (p *Picture) mirrored(w, h int) *Picture {
	q := New(w, h, p.C)
	fold := func(i, n int) int {
		if i %= 2 * n; i >= n {
			i = 2*n - 1 - i
		}
		return i
	}
	for y := range h {
		row := p.Pix[fold(y, p.H)*p.W*p.C:]
		for x := range w {
			copy(q.Pix[(y*w+x)*p.C:(y*w+x+1)*p.C], row[fold(x, p.W)*p.C:])
		}
	}
	return q
}
