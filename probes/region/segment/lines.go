package segment

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// LineOptions say how Lines finds lines of text. The zero value of a field is its
// default.
type LineOptions struct {
	// MaxSkew is by how many degrees lines may be turned either way; 0 is 10.
	MaxSkew float64 `json:"max_skew"`
	// Gap is how wide a gap within a line may be, in heights of a letter without
	// ascender and descender; 0 is 10.
	Gap float64 `json:"gap"`
	// Rise is by how much the pieces of a line may differ in height where one goes on
	// as the other, in distances of lines; 0 is 0.5.
	Rise float64 `json:"rise"`
}

// Page bounds.
const (
	maxPage       = 1 << 26 // pixels
	maxComponents = 20_000
)

func (o LineOptions) withDefaults() (LineOptions, error) {
	for _, d := range []struct {
		v    *float64
		or   float64
		most float64
		name string
	}{{&o.MaxSkew, 10, 45, "skew in degrees"}, {&o.Gap, 10, 1000, "gap"}, {&o.Rise, 0.5, 10, "rise"}} {
		if *d.v == 0 {
			*d.v = d.or
		}
		if !(*d.v > 0 && *d.v <= d.most) {
			return o, fmt.Errorf("lines of text: got %g for the %s, want more than 0 and at most %g", *d.v, d.name, d.most)
		}
	}
	return o, nil
}

// Lines finds the lines of text of a page, from the top, by the classical scheme of
// BN-HTRd (Rahman et al., 2022): Otsu's threshold, removal of specks, Hough lines for
// the page's skew and to take out rules, removal of circles, dilation, connected
// components, and OPTICS to gather these.
//
// Written lines climb, sag and waver, their words stand apart, and letters of one touch
// those of the next. So three things differ. What is gathered is not components but the
// ink of a letter's height and width in them, without what reaches above and below.
// OPTICS makes words of it, and words are joined to lines, the surest first, where the
// one, going on as it climbs, meets the other. And components go to the lines after
// that, those that pass through several being cut.
//
// A region's Box is around the line's ink, its Mask the band between the upper and the
// lower edge of the ink. A page without text has no lines. Writing must be dark on light
// or light on dark, of letters of similar height, and climb by less than MaxSkew.
//
// It is an error when the page has more than 2^26 pixels, or more than 20,000
// components, as noise has.
func Lines(m image.Image, o LineOptions) ([]region.Region, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := m.Bounds()
	if b.Empty() || b.Dy() > maxPage/b.Dx() {
		return nil, fmt.Errorf("lines of text: got a page of %d x %d (width x height), want positive edges and at most %d pixels", b.Dx(), b.Dy(), maxPage)
	}
	p := inkOf(m)
	g, err := p.gather(o)
	if g == nil {
		return nil, err
	}
	return p.regions(g.lines())
}

// gather takes out what is no writing and marks letters; nil without any.
func (p *ink) gather(o LineOptions) (*gathering, error) {
	height, pen := p.letterHeight(), p.pen()
	if height == 0 {
		return nil, nil
	}
	p.transpose()
	p.eraseRules(p.hough(1), height)
	p.transpose()
	h := p.hough(o.MaxSkew)
	if p.eraseRules(h, height) {
		h = p.hough(o.MaxSkew)
	}
	var parts []component
	for _, c := range p.components(p.dilate()) {
		size := float64(max(c.width(), c.height()))
		if size < max(0.8*pen, 3) || size > 2*height && p.round(c) {
			continue
		}
		parts = append(parts, c)
	}
	if len(parts) > maxComponents {
		return nil, fmt.Errorf("lines of text: the page has %d components, want at most %d: is it a page of text?", len(parts), maxComponents)
	}
	return newGathering(parts, p.w, h.skew(), coreHeight(parts, p.w, height), o), nil
}

// letterHeight is the height that the components of half the ink have at most, without
// those as wide as rules and specks; 0 without ink.
func (p *ink) letterHeight() float64 {
	type weighed struct{ height, weight int }
	var all []weighed
	total := 0
	for _, c := range p.components(p) {
		if c.width() > max(p.w/3, 8) || c.height() < 3 || len(c.pixels) < 6 || c.height() > 8 && p.round(c) {
			continue
		}
		all = append(all, weighed{c.height(), len(c.pixels)})
		total += len(c.pixels)
	}
	slices.SortFunc(all, func(a, b weighed) int { return a.height - b.height })
	sum := 0
	for _, w := range all {
		if sum += w.weight; 2*sum >= total {
			return float64(w.height)
		}
	}
	return 0
}

// coreHeight is that of letters without ascenders and descenders, given how tall letters
// are: half the columns of ink, each half a letter wide, are no taller.
func coreHeight(parts []component, w int, height float64) float64 {
	var all []float64
	for _, c := range parts {
		n := max(int(math.Ceil(2*float64(c.width())/height)), 1)
		for _, rows := range c.columns(w, n) {
			if _, _, tall := moments(rows); tall > height/6 {
				all = append(all, tall)
			}
		}
	}
	if len(all) == 0 {
		return height
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// regions makes the regions of lines, each a list of components.
func (p *ink) regions(lines [][]component) ([]region.Region, error) {
	if n := MaskBytes(p.h, p.w) * int64(len(lines)); n > MaxMaskBytes {
		return nil, fmt.Errorf("the masks of %d lines of a page of %d x %d would take %d bytes, want at most %d", len(lines), p.w, p.h, n, MaxMaskBytes)
	}
	var rs []region.Region
	for i, line := range lines {
		e := component{x0: p.w, y0: p.h}
		for _, c := range line {
			e.x0, e.y0, e.x1, e.y1 = min(e.x0, c.x0), min(e.y0, c.y0), max(e.x1, c.x1), max(e.y1, c.y1)
		}
		m, err := p.band(line, e)
		if err != nil {
			return nil, err
		}
		rs = append(rs, region.Region{
			ID: strconv.Itoa(i), Label: "line", Mask: m,
			Box: region.Box{X0: float64(e.x0), Y0: float64(e.y0), X1: float64(e.x1), Y1: float64(e.y1)},
		})
	}
	return rs, nil
}

// band is the pixels between the upper and the lower edge of a line's components,
// bridged straight where there is none.
func (p *ink) band(line []component, e component) (*region.Mask, error) {
	m, err := region.NewMask(p.h, p.w)
	if err != nil {
		return nil, err
	}
	top, bottom := make([]float64, e.width()), make([]float64, e.width())
	for x := range top {
		top[x] = math.Inf(1)
	}
	for _, c := range line {
		for x := c.x0 - e.x0; x < c.x1-e.x0; x++ {
			top[x], bottom[x] = min(top[x], float64(c.y0)), max(bottom[x], float64(c.y1))
		}
	}
	last := 0
	for x := range top {
		if math.IsInf(top[x], 1) {
			continue
		}
		for k := last + 1; k < x; k++ {
			t := float64(k-last) / float64(x-last)
			top[k], bottom[k] = top[last]+t*(top[x]-top[last]), bottom[last]+t*(bottom[x]-bottom[last])
		}
		last = x
	}
	for x := range top {
		for y := int(top[x]); y < int(math.Ceil(bottom[x])); y++ {
			m.Set(y, e.x0+x)
		}
	}
	return m, nil
}
