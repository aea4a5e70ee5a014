package region

import (
	"slices"
)

// elementwise joins inputs that broadcast to the output's shape. The positions are
// those of the input with the most; what another input with the same positions depends
// on is added; one that lies otherwise, or has no place on some axis of the grid, makes
// the result depend on all.
func elementwise(c call) *value {
	out := c.shape(0)
	main := -1
	lead := make([]*value, len(c.in))
	for i, v := range c.in {
		if v == nil || v.grid == nil {
			continue
		}
		if lead[i] = v.widen(len(out)); lead[i] == nil {
			return nil
		}
		if main < 0 || places(v) > places(c.in[main]) {
			main = i
		}
	}
	if main < 0 {
		return nil
	}
	v := lead[main]
	u := v.with(slices.Clone(v.axes))
	for i, d := range out {
		if size := v.axes[i].size(); size != d {
			if size != 1 {
				return nil
			}
			u.axes[i] = plain(d)
		}
	}
	for i, o := range lead {
		switch {
		case i == main || c.in[i] == nil:
		case o == nil || !aligned(u, o):
			u = u.everywhere()
		default:
			c.work += int64(o.grid.words())
			g := u.grid.join(o.grid)
			if i < main { // of equal cells the first input's
				g.cell = o.grid.join(u.grid).cell
			}
			u.grid, u.global = g, u.global || o.global
		}
	}
	return u
}

func places(v *value) int { return v.grid.h() * v.grid.w() }

// widen puts axes of 1 before v's, nil where it has more than rank.
func (v *value) widen(rank int) *value {
	if len(v.axes) > rank {
		return nil
	}
	return v.with(append(make([]axis, rank-len(v.axes)), v.axes...))
}

// aligned reports whether two values of one rank have the same positions in the same
// places.
func aligned(a, b *value) bool {
	if a.grid.h() != b.grid.h() || a.grid.w() != b.grid.w() || !slices.Equal(a.tokens, b.tokens) {
		return false
	}
	for i := range a.axes {
		if !slices.Equal(strides(a.axes[i]), strides(b.axes[i])) {
			return false
		}
	}
	return true
}

// strides is an axis' digits of the grid with their steps along the axis.
func strides(a axis) (out []struct{ digit, step int }) {
	step := 1
	for k := len(a) - 1; k >= 0; k-- {
		if d := a[k]; d.role.spatial() && d.size > 1 {
			out = append(out, struct{ digit, step int }{int(d.role)<<32 | d.weight, step<<32 | d.size})
		}
		step *= a[k].size
	}
	return out
}

// concat puts inputs one after the other: of channels, whose positions join; of
// tokens, where constants stand for no place; or along an axis of the grid.
func concat(c call) *value {
	out := c.shape(0)
	ax, ok := axisOf(c.n.Int("axis", 1), len(out))
	if !ok || out[ax] > maxTokens {
		return nil
	}
	var first *value
	spatial := false
	for _, v := range c.in {
		if v == nil || v.grid == nil || len(v.axes) != len(out) {
			continue
		}
		if first == nil {
			first = v
		}
		spatial = spatial || v.axes[ax].spatial()
	}
	if first == nil {
		return nil
	}
	if !spatial {
		return c.beside(first, ax, out[ax])
	}
	if v := c.strip(ax); v != nil {
		return v
	}
	return c.tokens(ax)
}

// beside concatenates channels.
func (c call) beside(first *value, ax, size int) *value {
	u := first.set(ax, plain(size))
	for _, v := range c.in {
		switch {
		case v == nil || v == first:
		case v.grid == nil || len(v.axes) != len(u.axes) || !aligned(u, v):
			u = u.everywhere()
		default:
			g := u.grid.join(v.grid)
			u = u.with(u.axes)
			u.grid, u.global = g, u.global || v.global
		}
	}
	return u
}

// strip concatenates maps along an axis of the grid; nil where they are none.
func (c call) strip(ax int) *value {
	var u *value
	var role role
	for _, v := range c.in {
		if v == nil || v.grid == nil {
			return nil
		}
		s, r, ok := v.straight(ax)
		if !ok {
			return nil
		}
		if u == nil {
			u, role = s, r
			continue
		}
		if r != role {
			return nil
		}
		g := u.grid.chain(s.grid, r)
		if g == nil || !aligned(u.mixless(ax), s.mixless(ax)) {
			return nil
		}
		u = u.set(ax, axis{{r, u.axes[ax].size() + s.axes[ax].size(), 1}})
		u.grid, u.global = g, u.global || s.global
	}
	return u
}

// mixless is v without axis ax and the grid, to compare what is left.
func (v *value) mixless(ax int) *value {
	u := v.set(ax, nil)
	u.grid = pixels(1, 1)
	return u
}

// chain is the grid of h's places after g's, nil where the other axis differs in size.
func (g *grid) chain(h *grid, r role) *grid {
	wide := g.wide || h.wide || len(g.terms) > 1 || len(h.terms) > 1
	do := func(a, b field) (field, bool) {
		if r == column {
			a, b = field{a.x, a.y}, field{b.x, b.y}
		}
		if len(a.x) != len(b.x) {
			return a, false
		}
		wide = wide || !holds(a.x, b.x) || !holds(b.x, a.x)
		f := field{append(slices.Clip(a.y), b.y...), union(a.x, b.x)}
		if r == column {
			f = field{f.x, f.y}
		}
		return f, true
	}
	t, ok1 := do(g.hull(), h.hull())
	cell, ok2 := do(g.cell, h.cell)
	if !ok1 || !ok2 {
		return nil
	}
	return &grid{terms: []field{t}, cell: cell, wide: wide}
}

// tokens concatenates tokens of one grid with others of it or with such as stand for
// no place.
func (c call) tokens(ax int) *value {
	var u *value
	var table []int
	for i, v := range c.in {
		if v == nil || v.grid != nil && len(v.axes) == len(c.shape(0)) && !v.axes[ax].spatial() {
			size := c.inShape(i)
			if len(size) != len(c.shape(0)) {
				return nil
			}
			for range size[ax] {
				table = append(table, -1)
			}
			continue
		}
		if v.grid == nil || len(v.axes) != len(c.shape(0)) {
			return nil
		}
		t, ok := v.enumerate(ax)
		if !ok {
			return nil
		}
		table = append(table, t...)
		switch {
		case u == nil:
			u = v.with(v.axes)
		case u.grid.h() != v.grid.h() || u.grid.w() != v.grid.w() || placed(u, ax) || placed(v, ax):
			return nil
		default:
			u.grid, u.global = u.grid.join(v.grid), u.global || v.global
		}
	}
	u = u.set(ax, axis{{token, len(table), 1}})
	u.tokens = table
	return u.untoken(ax)
}

// enumerate is the position of each place of an axis that holds all of the grid.
func (v *value) enumerate(ax int) ([]int, bool) {
	a := v.axes[ax]
	if len(a) == 1 && a[0].role == token {
		return v.tokens, true
	}
	n := 1
	for _, d := range a {
		if d.role != row && d.role != column {
			return nil, false
		}
		n *= d.size
	}
	if n != places(v) {
		return nil, false
	}
	t := make([]int, n)
	for o := range t {
		t[o] = a.index(o, row)*v.grid.w() + a.index(o, column)
	}
	return t, true
}

// choose is v with some places of axis ax, in a new order: those that the list names.
func (v *value) choose(ax int, list []int) *value {
	a := v.axes[ax]
	if !a.spatial() {
		if len(list) == a.size() && slices.IsSorted(list) {
			return v
		}
		return v.set(ax, plain(len(list)))
	}
	if len(list) == a.size() && slices.IsSorted(list) {
		return v
	}
	if u, r, ok := v.straight(ax); ok {
		w := u.set(ax, axis{{r, len(list), 1}})
		w.grid = u.grid.pick(r, len(list), func(o int, use func(int)) { use(list[o]) })
		return w
	}
	table, ok := v.enumerate(ax)
	if !ok {
		return nil
	}
	u := v.set(ax, axis{{token, len(list), 1}})
	u.tokens = make([]int, len(list))
	for o, i := range list {
		u.tokens[o] = table[i]
	}
	return u.untoken(ax)
}

// untoken turns tokens that are all of the grid, in the order of its rows or of its
// columns, back into rows and columns.
func (v *value) untoken(ax int) *value {
	h, w := v.grid.h(), v.grid.w()
	if len(v.tokens) != h*w {
		return v
	}
	for _, a := range []axis{{{row, h, 1}, {column, w, 1}}, {{column, w, 1}, {row, h, 1}}} {
		same := true
		for o, t := range v.tokens {
			same = same && t == a.index(o, row)*w+a.index(o, column)
		}
		if same {
			u := v.set(ax, a)
			u.tokens = nil
			return u
		}
	}
	return v
}
