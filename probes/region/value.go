package region

import "slices"

// role is what a digit counts.
type role uint8

const (
	other  role = iota // channels, heads: nothing of the picture
	item               // items of a batch
	row                // rows of the grid
	column             // columns of the grid
	token              // tokens; value.tokens says which position each has
)

func (r role) spatial() bool { return r >= row }

// digit is a factor of an axis: a number from 0 to size-1. Of rows and columns, the
// weighted sum of a value's digits is the place on the grid, so that reshapes can
// split an axis and transposes move the pieces (windows, pixel shuffle).
type digit struct {
	role         role
	size, weight int
}

// axis is the digits of a tensor's axis, the slowest first.
type axis []digit

func (a axis) size() int {
	n := 1
	for _, d := range a {
		n *= d.size
	}
	return n
}

func (a axis) spatial() bool {
	return slices.ContainsFunc(a, func(d digit) bool { return d.role.spatial() })
}

// places is a's digits of the grid.
func (a axis) places() axis {
	var out axis
	for _, d := range a {
		if d.role.spatial() {
			out = append(out, d)
		}
	}
	return out
}

// plain is an axis of which nothing is known to lie anywhere.
func plain(size int) axis { return axis{{other, size, 1}} }

// compact joins neighbours that count one thing together.
func (a axis) compact() axis {
	var out axis
	for _, d := range a {
		if k := len(out) - 1; k >= 0 && out[k].role == d.role && d.role != token &&
			(!d.role.spatial() || out[k].weight == d.weight*d.size) {
			out[k].size, out[k].weight = out[k].size*d.size, d.weight
			continue
		}
		out = append(out, d)
	}
	return out
}

// value is what is known of where the elements of a tensor lie. A constant, which
// nothing of the picture enters, has no value (nil).
type value struct {
	axes []axis
	grid *grid // nil where elements have no positions, for the reason in why
	why  string
	// tokens holds for the index of the token digit the position, row times the
	// grid's width and column, or -1 for a token that stands for no place.
	tokens []int
	// global is set where elements depend on all of the picture besides their field.
	global bool
}

func lost(why string) *value { return &value{why: why} }

func (v *value) dims() []int {
	out := make([]int, len(v.axes))
	for i, a := range v.axes {
		out[i] = a.size()
	}
	return out
}

// with is v with other axes.
func (v *value) with(axes []axis) *value {
	u := *v
	u.axes = axes
	return &u
}

// set is v with another axis i.
func (v *value) set(i int, a axis) *value {
	axes := slices.Clone(v.axes)
	axes[i] = a
	return v.with(axes)
}

func (v *value) everywhere() *value {
	if v.global {
		return v
	}
	u := *v
	u.global = true
	return &u
}

// mix makes an operator's result depend on all of axis i at once: what the axis held
// of the grid is merged, and it becomes a plain axis of the given size.
func (v *value) mix(i, size int) *value {
	gone := v.axes[i].places()
	u := v.set(i, plain(size))
	if len(gone) == 0 {
		return u
	}
	if slices.ContainsFunc(gone, func(d digit) bool { return d.role == token }) {
		u.tokens = nil
		u.grid = v.grid.pick(row, 1, func(_ int, use func(int)) { each(v.grid.h(), use) }).
			pick(column, 1, func(_ int, use func(int)) { each(v.grid.w(), use) })
		return u
	}
	u.merge(row)
	u.merge(column)
	return u
}

func each(n int, use func(int)) {
	for i := range n {
		use(i)
	}
}

// merge numbers the places of a role anew by the digits that are left; u is the
// caller's own.
func (v *value) merge(r role) {
	n := v.grid.size(r)
	type at struct{ axis, place int }
	var left []at
	total := 1
	for i, a := range v.axes {
		for k, d := range a {
			if d.role == r {
				left = append(left, at{i, k})
				total *= d.size
			}
		}
	}
	if total == n {
		return
	}
	get := func(p at) digit { return v.axes[p.axis][p.place] }
	slices.SortStableFunc(left, func(p, q at) int { return get(p).weight - get(q).weight })
	weights, w := make([]int, len(left)), 1
	for k, p := range left {
		weights[k] = w
		w *= get(p).size
	}
	from := make([][]int, total)
	for y := range n {
		j := 0
		for k, p := range left {
			j += y / get(p).weight % get(p).size * weights[k]
		}
		from[j] = append(from[j], y)
	}
	v.grid = v.grid.pick(r, total, func(o int, use func(int)) {
		for _, i := range from[o] {
			use(i)
		}
	})
	axes := slices.Clone(v.axes)
	for k, p := range left {
		axes[p.axis] = slices.Clone(axes[p.axis])
		axes[p.axis][p.place].weight = weights[k]
	}
	for i := range axes {
		axes[i] = axes[i].compact()
	}
	v.axes = axes
}

// straight is v with axis i as one digit that counts all rows or all columns, and
// which of them; ok is false where the axis is none such.
func (v *value) straight(i int) (u *value, r role, ok bool) {
	a := v.axes[i]
	places := a.places()
	if len(places) == 0 {
		return v.singular(i)
	}
	r = places[0].role
	covered := 1
	for _, d := range places {
		if d.role != r || r == token {
			return nil, r, false
		}
		covered *= d.size
	}
	n := v.grid.size(r)
	if covered != n || a.size() > maxLine {
		return nil, r, false
	}
	if len(a) == 1 && a[0].weight == 1 {
		return v, r, true
	}
	u = v.set(i, axis{{r, a.size(), 1}})
	u.grid = v.grid.pick(r, a.size(), func(o int, use func(int)) { use(a.index(o, r)) })
	return u, r, true
}

// singular finds which axis of the grid a tensor's axis of one place is.
func (v *value) singular(i int) (*value, role, bool) {
	if v.axes[i].size() != 1 || v.grid == nil {
		return nil, other, false
	}
	for _, r := range []role{row, column} {
		has := slices.ContainsFunc(v.axes, func(a axis) bool {
			return slices.ContainsFunc(a, func(d digit) bool { return d.role == r || d.role == token })
		})
		if v.grid.size(r) == 1 && !has {
			return v.set(i, axis{{r, 1, 1}}), r, true
		}
	}
	return nil, other, false
}

// index is the part of index o of an axis that counts for a role.
func (a axis) index(o int, r role) int {
	sum := 0
	for k := len(a) - 1; k >= 0; k-- {
		d := a[k]
		if d.role == r {
			sum += o % d.size * d.weight
		}
		o /= d.size
	}
	return sum
}
