package segment

import (
	"math"
	"slices"
)

// hough counts the ink on straight lines that are nearly level: votes by angle and by
// distance from the picture's corner (Duda and Hart, Use of the Hough Transformation to
// Detect Lines and Curves in Pictures, 1972).
type hough struct {
	angles []float64 // radians; a positive one goes down to the right
	votes  [][]int32
	least  int // the distance of the first vote
}

// perDegree is how many angles there are to a degree.
const perDegree = 4

// maxVoters bounds the pixels that vote.
const maxVoters = 200_000

func (p *ink) hough(maxSkew float64) hough {
	every, k := p.count()/maxVoters+1, 0
	var xs, ys []float64
	for y := range p.h {
		for x, on := range p.on[y*p.w : (y+1)*p.w] {
			if !on {
				continue
			}
			if k%every == 0 {
				xs, ys = append(xs, float64(x)), append(ys, float64(y))
			}
			k++
		}
	}
	h := hough{least: -p.w}
	n := int(math.Ceil(maxSkew * perDegree))
	for k := -n; k <= n; k++ {
		angle := float64(k) / perDegree * math.Pi / 180
		sin, cos := math.Sincos(angle)
		votes := make([]int32, 2*p.w+p.h+2)
		shift := .5 - float64(h.least) // what is no less than 0 is rounded
		for v, x := range xs {
			votes[int(ys[v]*cos-x*sin+shift)]++
		}
		h.angles, h.votes = append(h.angles, angle), append(h.votes, votes)
	}
	return h
}

// skew is the angle at which ink gathers most on few lines: the largest sum of squared
// votes, and the one nearest to level among equal ones.
func (h hough) skew() float64 {
	best, angle := -1.0, 0.0
	for i, votes := range h.votes {
		sum := 0.0
		for _, v := range votes {
			sum += float64(v) * float64(v)
		}
		if sum > best || sum == best && math.Abs(h.angles[i]) < math.Abs(angle) {
			best, angle = sum, h.angles[i]
		}
	}
	return angle
}

// maxRules bounds the lines that are looked at as rules.
const maxRules = 512

// eraseRules takes ruled lines out: level ones with an unbroken stretch of a third of
// the page's width and of eight letters' height. Ink that is thicker than a rule, such
// as strokes that cross one, stays. It reports whether there were any.
func (p *ink) eraseRules(h hough, height float64) (any bool) {
	long, thick := max(p.w/3, int(8*height), 1), max(int(height/4), 3)
	type peak struct {
		votes  int32
		angle  float64
		offset int
	}
	var peaks []peak
	least := int32(max(long/(p.count()/maxVoters+1), 1))
	for i, votes := range h.votes {
		for d, v := range votes {
			if v >= least {
				peaks = append(peaks, peak{v, h.angles[i], d + h.least})
			}
		}
	}
	slices.SortStableFunc(peaks, func(a, b peak) int { return int(b.votes - a.votes) })
	for _, k := range peaks[:min(len(peaks), maxRules)] {
		on := p.along(k.angle, k.offset)
		if from, to := stretch(on, 3); to-from >= long {
			any = true
			for x := from; x < to; x++ {
				if on[x] >= 0 {
					p.eraseRun(x, on[x], thick)
				}
			}
		}
	}
	return any
}

func (p *ink) count() (n int) {
	for _, on := range p.on {
		if on {
			n++
		}
	}
	return n
}

// along is the row at which a line meets ink in each column, within a pixel, or -1.
func (p *ink) along(angle float64, offset int) []int {
	sin, cos := math.Sincos(angle)
	rows := make([]int, p.w)
	for x := range rows {
		rows[x] = -1
		y := int(math.Round((float64(offset) + float64(x)*sin) / cos))
		for _, v := range []int{y, y - 1, y + 1} {
			if v >= 0 && v < p.h && p.on[v*p.w+x] {
				rows[x] = v
				break
			}
		}
	}
	return rows
}

// stretch is the longest stretch of columns with ink that has no gap wider than so many.
func stretch(rows []int, gap int) (from, to int) {
	start, last := 0, -gap-2
	for x, y := range rows {
		if y < 0 {
			continue
		}
		if x-last > gap+1 {
			start = x
		}
		if last = x; last+1-start > to-from {
			from, to = start, last+1
		}
	}
	return from, to
}

// eraseRun takes out the ink above and below a pixel if it is no more than thick.
func (p *ink) eraseRun(x, y, thick int) {
	top, bottom := y, y
	for top > 0 && p.on[(top-1)*p.w+x] {
		top--
	}
	for bottom+1 < p.h && p.on[(bottom+1)*p.w+x] {
		bottom++
	}
	if bottom-top < thick {
		for v := top; v <= bottom; v++ {
			p.on[v*p.w+x] = false
		}
	}
}

// round reports whether a component is a ring or a disc, such as a punched hole: the
// one circle that a component's box leaves to the Hough transform gets the votes of
// nearly all its ink.
func (p *ink) round(c component) bool {
	w, h := float64(c.width()), float64(c.height())
	if w > 1.25*h || h > 1.25*w {
		return false
	}
	r := (w + h) / 4
	rim, inside := 0, 0
	for _, i := range c.pixels {
		dx, dy := float64(int(i)%p.w)+.5-float64(c.x0+c.x1)/2, float64(int(i)/p.w)+.5-float64(c.y0+c.y1)/2
		d := math.Hypot(dx, dy) / r
		if d >= 0.75 && d <= 1.1 {
			rim++
		}
		if d <= 1.05 {
			inside++
		}
	}
	n := float64(len(c.pixels))
	return float64(rim) >= 0.9*n || float64(inside) >= 0.97*n && n >= 0.9*math.Pi*r*r
}
