package region

// line says for every place of one axis of a map which pixels of the input's axis it
// goes with. Lines are shared and never written to once made.
type line []bitset

// field is a set of pixels for every position, the product of its rows and columns.
type field struct{ y, x line }

// grid is what is known of the positions of a value: those of a map, or of a grid of
// tokens.
type grid struct {
	// terms are what a position depends on: the union of products. One that another
	// holds is left out.
	terms []field
	// cell is the position's own part of the picture: what strides alone leave of it,
	// without the overlap of kernels.
	cell field
	// wide is set where terms may hold more than a position depends on.
	wide bool
}

func (g *grid) h() int { return len(g.cell.y) }
func (g *grid) w() int { return len(g.cell.x) }

// size is the number of rows or of columns.
func (g *grid) size(r role) int {
	if r == column {
		return g.w()
	}
	return g.h()
}

// hull is the product that holds all terms.
func (g *grid) hull() field {
	t := g.terms[0]
	for _, s := range g.terms[1:] {
		t = field{union(t.y, s.y), union(t.x, s.x)}
	}
	return t
}

// pixels is the grid of the input itself.
func pixels(h, w int) *grid {
	f := field{identity(h), identity(w)}
	return &grid{terms: []field{f}, cell: f}
}

func identity(n int) line {
	l := make(line, n)
	for i := range l {
		l[i] = newBitset(n)
		l[i].set(i)
	}
	return l
}

// along changes the lines of one axis: fields by f, cells by c.
func (g *grid) along(r role, f, c func(line) line) *grid {
	out := &grid{wide: g.wide}
	do := func(p field, f func(line) line) field {
		if r == row {
			return field{f(p.y), p.x}
		}
		return field{p.y, f(p.x)}
	}
	for _, t := range g.terms {
		out.terms = append(out.terms, do(t, f))
	}
	out.cell = do(g.cell, c)
	return out
}

// maxTerms bounds the products of a field; beyond, their hull is taken.
const maxTerms = 8

// join is the grid of values that are made of both: positions depend on what either
// depends on, and have the smaller of the cells.
func (g *grid) join(o *grid) *grid {
	if g == o {
		return g
	}
	out := &grid{wide: g.wide || o.wide, cell: g.cell}
	if size(o.cell) < size(g.cell) {
		out.cell = o.cell
	}
	for _, t := range append(append([]field{}, g.terms...), o.terms...) {
		out.add(t)
	}
	if len(out.terms) > maxTerms {
		out.terms, out.wide = []field{out.hull()}, true
	}
	return out
}

func (g *grid) add(t field) {
	kept := g.terms[:0]
	for _, s := range g.terms {
		if holds(s.y, t.y) && holds(s.x, t.x) {
			return
		}
		if !holds(t.y, s.y) || !holds(t.x, s.x) {
			kept = append(kept, s)
		}
	}
	g.terms = append(kept, t)
}

func size(f field) (n int) {
	for _, l := range []line{f.y, f.x} {
		for _, s := range l {
			n += s.count()
		}
	}
	return n
}

func holds(a, b line) bool {
	if len(a) > 0 && len(b) > 0 && &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if !a[i].holds(b[i]) {
			return false
		}
	}
	return true
}

func union(a, b line) line {
	out := make(line, len(a))
	for i := range a {
		out[i] = append(bitset{}, a[i]...)
		out[i].or(b[i])
	}
	return out
}

// pick makes a line of n places, each of which goes with what the places that from
// names go with; those outside are left out.
func (l line) pick(n int, from func(o int, use func(i int))) line {
	out := make(line, n)
	words := 0
	if len(l) > 0 {
		words = len(l[0])
	}
	all := make(bitset, n*words)
	for o := range out {
		s := all[o*words : (o+1)*words : (o+1)*words]
		from(o, func(i int) {
			if i >= 0 && i < len(l) {
				s.or(l[i])
			}
		})
		out[o] = s
	}
	return out
}

// pick changes both the fields and the cells of a grid in one way.
func (g *grid) pick(r role, n int, from func(o int, use func(i int))) *grid {
	f := func(l line) line { return l.pick(n, from) }
	return g.along(r, f, f)
}
