package segment

import "image"

// ink is a page as black and white: rows of pixels that are written on.
type ink struct {
	h, w int
	on   []bool
}

// inkOf separates a page's ink from its ground by Otsu's threshold. What covers less
// of the page is the ink, so that light writing on dark ground is found too.
func inkOf(m image.Image) *ink {
	b := m.Bounds()
	p := &ink{b.Dy(), b.Dx(), make([]bool, b.Dx()*b.Dy())}
	grey := make([]uint8, len(p.on))
	var hist [256]int
	for i := range grey {
		r, g, bl, _ := m.At(b.Min.X+i%p.w, b.Min.Y+i/p.w).RGBA()
		grey[i] = uint8((299*r + 587*g + 114*bl) / 1000 >> 8)
		hist[grey[i]]++
	}
	t := otsu(hist)
	n := 0
	for i, v := range grey {
		if p.on[i] = int(v) <= t; p.on[i] {
			n++
		}
	}
	if n > len(grey)/2 {
		for i := range p.on {
			p.on[i] = !p.on[i]
		}
	}
	return p
}

// otsu is the last grey value of the darker class when the variance between two classes
// is the largest (Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979);
// -1 for a page of one grey.
func otsu(hist [256]int) int {
	total, sum := 0, 0
	for v, n := range hist {
		total, sum = total+n, sum+v*n
	}
	best, at := 0.0, -1
	below, belowSum := 0, 0
	for v, n := range hist {
		below, belowSum = below+n, belowSum+v*n
		if below == 0 || below == total {
			continue
		}
		d := float64(belowSum)/float64(below) - float64(sum-belowSum)/float64(total-below)
		if between := float64(below) * float64(total-below) * d * d; between > best {
			best, at = between, v
		}
	}
	return at
}

// dilate is the ink with its eight neighbours.
func (p *ink) dilate() *ink {
	out := &ink{p.h, p.w, make([]bool, len(p.on))}
	for i, on := range p.on {
		if !on {
			continue
		}
		x, y := i%p.w, i/p.w
		for v := max(y-1, 0); v <= min(y+1, p.h-1); v++ {
			for u := max(x-1, 0); u <= min(x+1, p.w-1); u++ {
				out.on[v*p.w+u] = true
			}
		}
	}
	return out
}

// component is a connected part of the ink.
type component struct {
	pixels         []int32
	x0, y0, x1, y1 int
}

func (c component) height() int { return c.y1 - c.y0 }
func (c component) width() int  { return c.x1 - c.x0 }

// components are the parts of wide that are connected by eight neighbours, in the order
// of their first pixels; a part's pixels and box are those of p that lie in it.
func (p *ink) components(wide *ink) []component {
	seen := make([]bool, len(p.on))
	var all []component
	var stack []int
	for i := range wide.on {
		if !wide.on[i] || seen[i] {
			continue
		}
		c := component{x0: p.w, y0: p.h}
		seen[i] = true
		for stack = append(stack[:0], i); len(stack) > 0; {
			j := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := j%p.w, j/p.w
			if p.on[j] {
				c.pixels = append(c.pixels, int32(j))
				c.x0, c.y0, c.x1, c.y1 = min(c.x0, x), min(c.y0, y), max(c.x1, x+1), max(c.y1, y+1)
			}
			for v := max(y-1, 0); v <= min(y+1, p.h-1); v++ {
				for u := max(x-1, 0); u <= min(x+1, p.w-1); u++ {
					if k := v*p.w + u; wide.on[k] && !seen[k] {
						seen[k] = true
						stack = append(stack, k)
					}
				}
			}
		}
		if len(c.pixels) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// transpose makes rows of columns, block by block.
func (p *ink) transpose() {
	const block = 64
	on := make([]bool, len(p.on))
	for y0 := 0; y0 < p.h; y0 += block {
		for x0 := 0; x0 < p.w; x0 += block {
			for y := y0; y < min(y0+block, p.h); y++ {
				for x := x0; x < min(x0+block, p.w); x++ {
					on[x*p.h+y] = p.on[y*p.w+x]
				}
			}
		}
	}
	p.h, p.w, p.on = p.w, p.h, on
}

// pen is the median length of runs of ink in rows.
func (p *ink) pen() float64 {
	runs := make([]int, p.w+1)
	n := 0
	for y := range p.h {
		run := 0
		for _, v := range p.on[y*p.w : (y+1)*p.w] {
			if v {
				run++
			} else if run > 0 {
				runs[run]++
				n++
				run = 0
			}
		}
	}
	for l, k := range runs {
		if n -= 2 * k; n < 0 {
			return float64(l)
		}
	}
	return 0
}
