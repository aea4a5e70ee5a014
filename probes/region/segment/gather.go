package segment

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// gathering puts a page's marks together into lines, and its components into these.
type gathering struct {
	parts  []component
	w      int     // the page's width
	slope  float64 // how far lines go down to the right, as a whole
	height float64 // of letters without ascenders and descenders
	o      LineOptions

	letters []mark  // from the top
	pitch   float64 // how far lines are apart
}

func newGathering(parts []component, w int, skew, height float64, o LineOptions) *gathering {
	g := &gathering{parts: parts, w: w, slope: math.Tan(skew), height: height, o: o}
	for _, c := range parts {
		for _, m := range c.marks(w, height) {
			if m.tall >= 0.35*height { // no dot or dash
				g.letters = append(g.letters, m)
			}
		}
	}
	slices.SortStableFunc(g.letters, func(a, b mark) int { return cmp.Compare(a.y, b.y) })
	return g
}

// lines are the components of each line, from the top.
func (g *gathering) lines() [][]component {
	pieces := g.pieces()
	g.pitch = g.pitchOf(pieces)
	all := g.choose(g.join(pieces))
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.y(), b.y()) })
	out := make([][]component, len(all))
	for _, c := range g.parts {
		g.assign(c, all, out)
	}
	return slices.DeleteFunc(out, func(l []component) bool { return len(l) == 0 })
}

// line is the marks of a line, or of a piece of one, from left to right, and its ends.
type line struct {
	marks  []mark
	x0, x1 float64
}

func newLine(marks ...mark) line {
	l := line{marks, math.Inf(1), math.Inf(-1)}
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.x0, b.x0) })
	for _, m := range marks {
		l.x0, l.x1 = min(l.x0, m.x0), max(l.x1, m.x1)
	}
	return l
}

// y is the mean height of a line.
func (l line) y() float64 {
	sum := 0.0
	for _, m := range l.marks {
		sum += m.y
	}
	return sum / float64(len(l.marks))
}

// at is how high a line is at x, on it or where it would go on: on the straight line
// through the ink of the eight marks nearest to x. The slope of that is learned from
// them as far as they spread, and else that of the page: a word of few letters says
// where its line is, not yet how it climbs.
func (g *gathering) at(l line, x float64) float64 {
	const nearest = 8
	i, _ := slices.BinarySearchFunc(l.marks, x, func(m mark, x float64) int { return cmp.Compare(m.x0, x) })
	from := max(min(i-nearest/2, len(l.marks)-nearest), 0)
	near := l.marks[from:min(from+nearest, len(l.marks))]
	ink, mx, my := 0.0, 0.0, 0.0
	for _, m := range near {
		ink, mx, my = ink+m.ink, mx+m.ink*m.x(), my+m.ink*m.y
	}
	mx, my = mx/ink, my/ink
	// Ridge regression: the prior weighs as much as marks 4.5 heights from their middle.
	xx, xy := 20*g.height*g.height*ink/float64(len(near)), 0.0
	for _, m := range near {
		dx := m.x() - mx
		xx += m.ink * dx * dx
		xy += m.ink * dx * (m.y - my - g.slope*dx)
	}
	return my + (g.slope+xy/xx)*(x-mx)
}

// pieces gathers letters into words, or parts of them, by OPTICS.
func (g *gathering) pieces() []line {
	order, reach := optics(len(g.letters), 2, g.near)
	var all []line
	for _, c := range clusters(order, reach, 1) {
		var marks []mark
		for _, i := range c {
			marks = append(marks, g.letters[i])
		}
		all = append(all, newLine(marks...))
	}
	return all
}

// near names the letters that are one word with a letter; a distance of 1 is the widest
// gap, or the highest rise.
func (g *gathering) near(i int, use func(j int, d float64)) {
	a := g.letters[i]
	rise, gap := 0.5*g.height, 1.2*g.height
	most := rise + math.Abs(g.slope)*(gap+g.height)
	from, _ := slices.BinarySearchFunc(g.letters, a.y-most, func(m mark, y float64) int { return cmp.Compare(m.y, y) })
	for j := from; j < len(g.letters) && g.letters[j].y <= a.y+most; j++ {
		b := g.letters[j]
		apart := max(a.x0-b.x1, b.x0-a.x1, 0)
		if d := math.Hypot(apart/gap, (b.y-a.y-g.slope*(b.x()-a.x()))/rise); j != i && d <= 1 {
			use(j, d)
		}
	}
}

// pitchOf is how far lines are apart: the median of how far it is from a piece to the
// nearest one above or below, or beside that. It is at most four heights, and three
// where no piece has a neighbor.
func (g *gathering) pitchOf(pieces []line) float64 {
	words := slices.DeleteFunc(slices.Clone(pieces), func(l line) bool { return len(l.marks) < 3 })
	var apart []float64
	for i, a := range words {
		next := math.Inf(1)
		for j, b := range words {
			left, right := max(a.x0, b.x0), min(a.x1, b.x1)
			if i == j || left-right > 5*g.height {
				continue
			}
			x := (left + right) / 2
			if d := math.Abs(g.at(a, x) - g.at(b, x)); d > g.height {
				next = min(next, d)
			}
		}
		if !math.IsInf(next, 1) {
			apart = append(apart, next)
		}
	}
	if len(apart) == 0 {
		return 3 * g.height
	}
	slices.Sort(apart)
	return min(apart[len(apart)/2], 4*g.height)
}

// maxPieces bounds the pieces that are compared with each other.
const maxPieces = 1000

// join makes lines of pieces, two at a time, those first that most surely go together.
func (g *gathering) join(all []line) []line {
	if len(all) > maxPieces {
		return all
	}
	var next joints
	gone := make([]bool, 2*len(all))
	add := func(i int) {
		for j := range i {
			if gone[j] {
				continue
			}
			if d := g.apart(all[i], all[j]); d <= 1 {
				heap.Push(&next, joint{i, j, d})
			}
		}
	}
	for i := range all {
		add(i)
	}
	for len(next) > 0 {
		n := heap.Pop(&next).(joint)
		if gone[n.i] || gone[n.j] {
			continue
		}
		gone[n.i], gone[n.j] = true, true
		all = append(all, newLine(slices.Concat(all[n.i].marks, all[n.j].marks)...))
		add(len(all) - 1)
	}
	var left []line
	for i, l := range all {
		if !gone[i] {
			left = append(left, l)
		}
	}
	return left
}

// apart is how little two pieces look like one line: 1 for the widest gap, or for the
// largest difference in height at the ends of the gap, or of what both pass over.
func (g *gathering) apart(a, b line) float64 {
	left, right := max(a.x0, b.x0), min(a.x1, b.x1)
	gap := max(left-right, 0) / (g.o.Gap * g.height)
	if gap > 1 {
		return gap
	}
	rise := max(math.Abs(g.at(a, left)-g.at(b, left)), math.Abs(g.at(a, right)-g.at(b, right)))
	return math.Hypot(gap, rise/(g.o.Rise*g.pitch))
}

// joint is two pieces and how far they are apart.
type joint struct {
	i, j  int
	apart float64
}

// joints is a heap of them, the nearest first.
type joints []joint

func (q joints) Len() int           { return len(q) }
func (q joints) Less(a, b int) bool { return q[a].apart < q[b].apart }
func (q joints) Swap(a, b int)      { q[a], q[b] = q[b], q[a] }
func (q *joints) Push(v any)        { *q = append(*q, v.(joint)) }
func (q *joints) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// choose leaves out pieces that are no lines: single marks, as of dirt, and those that
// are too near a longer line to be one, as signs above letters are.
func (g *gathering) choose(all []line) (chosen []line) {
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(b.x1-b.x0, a.x1-a.x0) })
	for _, l := range all {
		x := (l.x0 + l.x1) / 2
		sign := slices.ContainsFunc(chosen, func(long line) bool {
			return long.x0 < x && x < long.x1 && math.Abs(g.at(long, x)-g.at(l, x)) < 0.65*g.pitch
		})
		if !sign && (len(l.marks) > 1 || l.x1-l.x0 >= 1.5*g.height) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

// assign gives a component to the line in which it is, or near which it lies; what
// passes through the middles of several lines is cut between them, and what is tall and
// narrow, as the edge of a page is, belongs to none.
func (g *gathering) assign(c component, all []line, out [][]component) {
	if float64(c.height()) > 5*g.height && float64(c.width()) < g.height {
		return
	}
	x0, x1, y0, y1 := float64(c.x0), float64(c.x1), float64(c.y0), float64(c.y1)
	var over []int
	nearest, least := -1, 1.2*g.height
	for i, l := range all {
		if x1 < l.x0-1.5*g.height || x0 > l.x1+1.5*g.height {
			continue
		}
		left, mid, right := g.at(l, x0), g.at(l, (x0+x1)/2), g.at(l, x1)
		top, bottom := min(left, mid, right), max(left, mid, right)
		if y0 < bottom && y1 > top {
			over = append(over, i)
		}
		if d := max(top-(y0+y1)/2, (y0+y1)/2-bottom); d < least {
			nearest, least = i, d
		}
	}
	switch {
	case len(over) > 1:
		g.share(c, all, over, out)
	case len(over) == 1:
		out[over[0]] = append(out[over[0]], c)
	case nearest >= 0:
		out[nearest] = append(out[nearest], c)
	}
}

// share cuts a component between those of some lines through whose middles it passes, or
// gives it to the line that has most of it.
func (g *gathering) share(c component, all []line, over []int, out [][]component) {
	pieces := g.cut(c, all, over)
	var through []int
	most := 0
	for k, p := range pieces {
		if p.above >= 0.25*g.height && p.below >= 0.25*g.height {
			through = append(through, over[k])
		}
		if len(p.pixels) > len(pieces[most].pixels) {
			most = k
		}
	}
	if len(through) < 2 {
		i := over[most]
		if len(through) == 1 {
			i = through[0]
		}
		out[i] = append(out[i], c)
		return
	}
	for k, p := range g.cut(c, all, through) {
		if len(p.pixels) > 0 {
			out[through[k]] = append(out[through[k]], p.component)
		}
	}
}

// piece is a part of a component, and how far it reaches from the middle of a line.
type piece struct {
	component
	above, below float64
}

// cut gives each pixel of a component to the nearest of some lines.
func (g *gathering) cut(c component, all []line, over []int) []piece {
	pieces := make([]piece, len(over))
	heights := make([][]float64, len(over))
	for k, i := range over {
		pieces[k].component = component{x0: c.x1, y0: c.y1}
		for x := c.x0; x < c.x1; x++ {
			heights[k] = append(heights[k], g.at(all[i], float64(x)+.5))
		}
	}
	for _, i := range c.pixels {
		x, y := int(i)%g.w, int(i)/g.w
		at, down := 0, math.Inf(1)
		for k, h := range heights {
			if d := float64(y) + .5 - h[x-c.x0]; math.Abs(d) < math.Abs(down) {
				at, down = k, d
			}
		}
		p := &pieces[at]
		p.above, p.below = max(p.above, -down), max(p.below, down)
		p.pixels = append(p.pixels, i)
		p.x0, p.y0, p.x1, p.y1 = min(p.x0, x), min(p.y0, y), max(p.x1, x+1), max(p.y1, y+1)
	}
	return pieces
}
