package segment

import (
	"cmp"
	"math"
	"slices"
)

// mark is a component in the coordinates of the level page: the middle of its ink and
// where it begins and ends.
type mark struct {
	x0, x1, y float64
	component int
}

// gathering puts a page's components together into lines.
type gathering struct {
	parts  []component
	height float64
	o      LineOptions

	w        int // the page's width
	sin, cos float64
	// letters are the marks of a letter's height, from the top; rest are the others.
	letters, rest []mark
}

func newGathering(parts []component, w int, skew, height float64, o LineOptions) *gathering {
	g := &gathering{parts: parts, height: height, o: o, w: w}
	g.sin, g.cos = math.Sincos(skew)
	for i, c := range parts {
		x, y := g.level(float64(c.x0+c.x1)/2, float64(c.y0+c.y1)/2)
		half := float64(c.width()) / 2 * g.cos
		m := mark{x - half, x + half, y, i}
		// A long component climbs as the page does.
		tall := float64(c.height()) - math.Abs(g.sin)*float64(c.width())
		if tall >= 0.4*height && tall <= 2*height {
			g.letters = append(g.letters, m)
		} else {
			g.rest = append(g.rest, m)
		}
	}
	slices.SortStableFunc(g.letters, func(a, b mark) int { return cmp.Compare(a.y, b.y) })
	return g
}

// level is a place of the page when its lines are level.
func (g *gathering) level(x, y float64) (float64, float64) {
	return x*g.cos + y*g.sin, y*g.cos - x*g.sin
}

// line is the marks of a line from left to right.
type line []mark

func (l line) y() float64 {
	sum := 0.0
	for _, m := range l {
		sum += m.y
	}
	return sum / float64(len(l))
}

// around is the mean height of the marks that are nearest to a place, three of them.
func (l line) around(x float64) float64 {
	i, _ := slices.BinarySearchFunc(l, x, func(m mark, x float64) int { return cmp.Compare(m.x0, x) })
	from := max(min(i-1, len(l)-3), 0)
	return l[from:min(from+3, len(l))].y()
}

func (l line) extent() (x0, x1 float64) {
	x0, x1 = math.Inf(1), math.Inf(-1)
	for _, m := range l {
		x0, x1 = min(x0, m.x0), max(x1, m.x1)
	}
	return x0, x1
}

func newLine(marks ...mark) line {
	l := line(marks)
	slices.SortStableFunc(l, func(a, b mark) int { return cmp.Compare(a.x0, b.x0) })
	return l
}

// lines are the components of each line, from the top.
func (g *gathering) lines() [][]component {
	order, reach := optics(len(g.letters), 2, g.near)
	var all []line
	for _, c := range clusters(order, reach, 1) {
		var l line
		for _, i := range c {
			l = append(l, g.letters[i])
		}
		all = append(all, newLine(l...))
	}
	all = g.merge(all)
	g.addRest(all)
	all = slices.DeleteFunc(all, func(l line) bool {
		x0, x1 := l.extent()
		return len(l) < 2 && x1-x0 < 1.5*g.height
	})
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.y(), b.y()) })
	out := make([][]component, len(all))
	for i, l := range all {
		for _, m := range l {
			out[i] = append(out[i], g.parts[m.component])
		}
	}
	return out
}

// near names the letters to which a letter may be joined; a distance of 1 is the widest
// gap, or the highest rise.
func (g *gathering) near(i int, use func(j int, d float64)) {
	a := g.letters[i]
	rise := g.o.Rise * g.height
	from, _ := slices.BinarySearchFunc(g.letters, a.y-rise, func(m mark, y float64) int { return cmp.Compare(m.y, y) })
	for j := from; j < len(g.letters) && g.letters[j].y <= a.y+rise; j++ {
		b := g.letters[j]
		gap := max(a.x0-b.x1, b.x0-a.x1, 0)
		if d := math.Hypot(gap/(g.o.Gap*g.height), (a.y-b.y)/rise); j != i && d <= 1 {
			use(j, d)
		}
	}
}

// maxPieces bounds the pieces that are compared with each other.
const maxPieces = 1000

// merge joins pieces of a line: one goes on, at the same height, about where another
// ends.
func (g *gathering) merge(all []line) []line {
	if len(all) > maxPieces {
		return all
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.y(), b.y()) })
	for i := 0; i < len(all); i++ {
		for j := i + 1; j < len(all); {
			if !g.goesOn(all[i], all[j]) {
				j++
				continue
			}
			all[i] = newLine(append(slices.Clone(all[i]), all[j]...)...)
			all = slices.Delete(all, j, j+1)
			j = i + 1
		}
	}
	return all
}

func (g *gathering) goesOn(a, b line) bool {
	a0, a1 := a.extent()
	b0, b1 := b.extent()
	overlap := min(a1, b1) - max(a0, b0)
	if overlap < -2*g.o.Gap*g.height || overlap > 0.3*min(a1-a0, b1-b0) {
		return false
	}
	x := (max(a0, b0) + min(a1, b1)) / 2
	return math.Abs(a.around(x)-b.around(x)) <= g.o.Rise*g.height
}

// addRest adds what is no letter - dots, strokes, letters that have grown together - to
// the line at whose height it is, or near which it lies; what reaches over the middles
// of several lines is cut between them.
func (g *gathering) addRest(all []line) {
	kept := make([]line, len(all))
	for _, m := range g.rest {
		over := g.linesOver(all, m)
		if len(over) > 1 {
			for i, piece := range g.cut(m, all, over) {
				kept[i] = append(kept[i], piece)
			}
			continue
		}
		best, at := 1.2*g.height, -1
		for i, l := range all {
			if !g.beside(l, m) {
				continue
			}
			if d := math.Abs(m.y - l.around((m.x0+m.x1)/2)); d < best {
				best, at = d, i
			}
		}
		if at >= 0 {
			kept[at] = append(kept[at], m)
		}
	}
	for i, more := range kept {
		all[i] = newLine(append(all[i], more...)...)
	}
}

// beside reports whether a mark is between the ends of a line, or not far from them.
func (g *gathering) beside(l line, m mark) bool {
	x0, x1 := l.extent()
	return m.x1 >= x0-2*g.height && m.x0 <= x1+2*g.height
}

// linesOver are the lines whose middle a component reaches over.
func (g *gathering) linesOver(all []line, m mark) (over []int) {
	c := g.parts[m.component]
	half := (float64(c.height()) - math.Abs(g.sin)*float64(c.width())) / 2
	for i, l := range all {
		if g.beside(l, m) && math.Abs(m.y-l.around((m.x0+m.x1)/2)) < half {
			over = append(over, i)
		}
	}
	return over
}

// cut gives each pixel of a component to the nearest of some lines; the pieces are
// components of their own.
func (g *gathering) cut(m mark, all []line, over []int) map[int]mark {
	c := g.parts[m.component]
	pieces := map[int]mark{}
	for _, i := range c.pixels {
		px, py := int(i)%g.w, int(i)/g.w
		x, y := g.level(float64(px)+.5, float64(py)+.5)
		best, at := math.Inf(1), 0
		for _, k := range over {
			if d := math.Abs(y - all[k].around(x)); d < best {
				best, at = d, k
			}
		}
		piece, ok := pieces[at]
		if !ok {
			piece = mark{x0: x, x1: x, y: all[at].around(x), component: len(g.parts)}
			g.parts = append(g.parts, component{x0: px, y0: py})
		}
		piece.x0, piece.x1 = min(piece.x0, x), max(piece.x1, x)
		pieces[at] = piece
		p := &g.parts[piece.component]
		p.pixels = append(p.pixels, i)
		p.x0, p.y0, p.x1, p.y1 = min(p.x0, px), min(p.y0, py), max(p.x1, px+1), max(p.y1, py+1)
	}
	return pieces
}
