package region

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Rule says which positions lie inside a mask.
type Rule int

const (
	// Nominal takes positions whose nominal cell meets the mask. The cells are those
	// of the grid that strides make: RoI pooling's, 32 x 32 pixels for a stride of 32,
	// a token's patch. Of its cell a position keeps the pixels that it really depends
	// on; where it depends on none of them, as dilation can have it, the nearest ones
	// that it depends on stand for them on each axis.
	Nominal Rule = iota
	// Any takes positions whose field meets the mask.
	Any
	// All takes positions whose field lies within the mask.
	All
)

var ruleNames = []string{"nominal", "any", "all"}

// String is what ParseRule reads.
func (r Rule) String() string { return ruleNames[r] }

// ParseRule reads "nominal", "any" or "all".
func ParseRule(s string) (Rule, error) {
	for i, n := range ruleNames {
		if s == n {
			return Rule(i), nil
		}
	}
	return 0, fmt.Errorf("the rule %q for what lies inside a region is not known, want one of %q", s, ruleNames)
}

// Layout says where the units of a site lie.
//
// A unit's field is the set of input pixels that it depends on by way of convolutions,
// pooling, resampling and joins. Changing pixels outside it changes no bit of the unit,
// unless the layout is Global. With every rule, a position that is inside depends on a
// pixel of the mask. Units of one position have one field: where an activation takes
// channels of different branches at once, what any of them depends on.
type Layout struct {
	// Site is the site's name.
	Site string
	// Reason says why the site is not spatial: "" when it is. Such a site has no
	// units inside any mask.
	Reason string
	// H and W are the rows and columns of positions, InputH and InputW the pixels of
	// the model's input.
	H, W           int
	InputH, InputW int
	// Channels is the number of units at each position, Special the number of tokens
	// that stand for no position, as a class token: they are in no region.
	Channels, Special int
	// Global is set where units also depend, through attention, normalisation over
	// positions, pooling or an operator that is not followed, on pixels outside their
	// field. Their field is then that of the main path, and the rule for what is inside
	// goes by position: a token is its patch.
	Global bool
	// Wide is set where fields may hold more than the units depend on: branches of
	// more than 8 shapes were joined, or parts of maps with different fields.
	Wide bool

	grid    *grid
	nominal []field
	axes    []axis
	tokens  []int
	units   int
	planes  int
}

// layout makes a site's layout of what is known of its value.
func (mp *mapper) layout(s *site.Site, in *grid) Layout {
	l := Layout{Site: s.Name, InputH: in.h(), InputW: in.w(), units: s.Units, planes: s.Planes()}
	v := mp.values[s.Place()]
	switch {
	case v == nil:
		l.Reason = "it does not follow from the picture"
		return l
	case v.grid == nil:
		l.Reason = v.why
		return l
	case places(v) == 1:
		l.Reason = "its units have one position, the whole picture: positions were pooled or fully connected before it"
		return l
	}
	skip := len(v.axes) - len(s.Shape)
	n := 1
	for i := max(skip, 0); i < len(v.axes); i++ {
		n *= v.axes[i].size()
	}
	if skip < 0 || n != s.Units || len(v.with(v.axes[:skip]).located()) > 0 {
		l.Reason = fmt.Sprintf("its shape %v does not fit the shape %v that was followed", s.Shape, v.dims())
		return l
	}
	l.axes, l.tokens, l.Global = v.axes[skip:], v.tokens, v.global
	l.grid, l.Wide, l.H, l.W = v.grid, v.grid.wide, v.grid.h(), v.grid.w()
	l.Channels = 1
	for _, a := range l.axes {
		for _, d := range a {
			if !d.role.spatial() {
				l.Channels *= d.size
			}
		}
	}
	for _, t := range l.tokens {
		if t < 0 {
			l.Special++
		}
	}
	l.nominal = v.grid.nominal()
	return l
}

// located is the digits of all axes that lie on the grid, but those of one place.
func (v *value) located() (out axis) {
	for _, a := range v.axes {
		for _, d := range a.places() {
			if d.size > 1 {
				out = append(out, d)
			}
		}
	}
	return out
}

// nominal is the part of each position's cell that it depends on. Of a field of
// several products the one that holds most of the cells counts, and where that is empty
// the others.
func (g *grid) nominal() []field {
	best, most := 0, -1
	for i, t := range g.terms {
		if n := shared(g.cell.y, t.y) + shared(g.cell.x, t.x); n > most {
			best, most = i, n
		}
	}
	first := g.terms[best]
	all := []field{{nearest(g.cell.y, first.y), nearest(g.cell.x, first.x)}}
	for i, t := range g.terms {
		if i == best {
			continue
		}
		y, x := nearest(g.cell.y, t.y), nearest(g.cell.x, t.x)
		if rows, some := y.where(first.y); some {
			all = append(all, field{rows, x})
		}
		if columns, some := x.where(first.x); some {
			all = append(all, field{y, columns})
		}
	}
	return all
}

// where is l at the places that have nothing in o; some is false where there are none.
func (l line) where(o line) (out line, some bool) {
	out = make(line, len(l))
	for i := range l {
		if out[i] = l[i]; !o[i].empty() {
			out[i] = make(bitset, len(l[i]))
		}
		some = some || !out[i].empty()
	}
	return out, some
}

func shared(a, b line) (n int) {
	for i := range a {
		if a[i].meets(b[i]) {
			n++
		}
	}
	return n
}

// nearest is for each place the members of field within cell, or where there are none
// the ones nearest to the cell's middle.
func nearest(cell, field line) line {
	out := make(line, len(cell))
	for i := range cell {
		s := append(bitset{}, cell[i]...)
		if s.and(field[i]); s.empty() {
			at, distance := cell[i].middle(), -1
			field[i].each(func(p int) {
				d := max(2*p-at, at-2*p)
				if distance < 0 || d < distance {
					clear(s)
					distance = d
				}
				if d == distance {
					s.set(p)
				}
			})
		}
		out[i] = s
	}
	return out
}

// middle is twice the middle between a set's ends; of an empty one 0.
func (b bitset) middle() int {
	lo, hi := -1, 0
	b.each(func(i int) {
		if lo < 0 {
			lo = i
		}
		hi = i
	})
	return max(lo, 0) + hi
}

// Field is the pixels of the input that the units at row y and column x of the
// positions depend on; nil outside the grid and for what is not spatial.
func (l *Layout) Field(y, x int) *Mask {
	if l.grid == nil {
		return nil
	}
	return l.mask(y, x, l.grid.terms...)
}

// Cell is the nominal cell of the position in row y and column x: pixels of its field.
func (l *Layout) Cell(y, x int) *Mask { return l.mask(y, x, l.nominal...) }

func (l *Layout) mask(y, x int, fs ...field) *Mask {
	if y < 0 || x < 0 || y >= l.H || x >= l.W {
		return nil
	}
	m := newMask(l.InputH, l.InputW)
	for _, f := range fs {
		f.y[y].each(func(r int) { m.rows[r].or(f.x[x]) })
	}
	return m
}

// Positions is the mask over H x W of the positions inside a mask over the input;
// empty for what is not spatial. Positions that depend on no pixel are in none. It is
// an error when the mask's size is not the input's.
func (l *Layout) Positions(m *Mask, r Rule) (*Mask, error) {
	if m.H != l.InputH || m.W != l.InputW {
		return nil, fmt.Errorf("site %s: a mask of %d x %d (height x width) for an input of %d x %d; make it with "+
			"Project and the geometry of the model's preprocessing", l.Site, m.H, m.W, l.InputH, l.InputW)
	}
	out := newMask(max(l.H, 1), max(l.W, 1))
	switch {
	case l.grid == nil:
	case r == Nominal:
		for _, t := range l.nominal {
			meeting(out, m, t)
		}
	case r == Any:
		for _, t := range l.grid.terms {
			meeting(out, m, t)
		}
	default:
		l.within(out, m)
	}
	return out, nil
}

// meeting adds the positions whose product of rows and columns meets m.
func meeting(out, m *Mask, f field) {
	seen := newBitset(m.W)
	for y, rows := range f.y {
		clear(seen)
		rows.each(func(r int) { seen.or(m.rows[r]) })
		if seen.empty() {
			continue
		}
		for x, columns := range f.x {
			if columns.meets(seen) {
				out.rows[y].set(x)
			}
		}
	}
}

// within adds the positions whose field, which is not empty, lies in m.
func (l *Layout) within(out, m *Mask) {
	common := newBitset(m.W)
	for y := range l.H {
		for x := range l.W {
			out.rows[y].set(x)
		}
	}
	filled := newMask(l.H, l.W)
	for _, t := range l.grid.terms {
		for y, rows := range t.y {
			if rows.empty() {
				continue
			}
			for i := range common {
				common[i] = ^uint64(0)
			}
			rows.each(func(r int) { common.and(m.rows[r]) })
			for x, columns := range t.x {
				if columns.empty() {
					continue
				}
				filled.rows[y].set(x)
				if !common.holds(columns) {
					out.rows[y][x>>6] &^= 1 << (x & 63)
				}
			}
		}
	}
	for y, r := range filled.rows {
		out.rows[y].and(r)
	}
}

// Units selects the bits of the units inside a mask over the input: Positions, then
// Select.
func (l *Layout) Units(m *Mask, r Rule) (*Selection, error) {
	p, err := l.Positions(m, r)
	if err != nil {
		return nil, err
	}
	return l.Select(p), nil
}
