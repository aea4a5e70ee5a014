package partition

import (
	"context"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/site"
)

// ray is what a network does at a point that moves: the values at all sites, and
// the output, with their rates.
type ray struct {
	value, rate [][]float64 // of each site
	f, df       []float64
	fastest     float64 // of all rates
}

// largest is the largest absolute value, of those that are finite.
func largest(v []float64) (most float64) {
	for _, x := range v {
		if a := math.Abs(x); a > most && !math.IsInf(a, 0) {
			most = a
		}
	}
	return most
}

// push looks at the network in x, moving along d.
func (m *Mapper) push(ctx context.Context, x, d []float64) (*ray, error) {
	n := m.single()
	in, err := m.inputs(x, n)
	if err != nil {
		return nil, err
	}
	values, rates, err := m.ray.Push(ctx, in, m.copies(d, n))
	if err != nil {
		return nil, err
	}
	r := &ray{f: item(values[0], n), df: item(rates[0], n)}
	for i, at := range m.places {
		v, dv := item(values[at], n), item(rates[at], n)
		switch s := &m.Plan.Sites[i]; {
		case s.Window == nil:
			v, dv = v[:s.Units], dv[:s.Units]
		case s.Least(): // the value is that of the input
			v, dv = negative(v), negative(dv)
		}
		r.value, r.rate = append(r.value, v), append(r.rate, dv)
		r.fastest = max(r.fastest, largest(dv))
	}
	return r, nil
}

// crossing is one change of piece: of a site's unit, at a knot or to another
// element, at the distance t ahead or behind.
type crossing struct {
	unit, to int // to: the knot's number, or the element
	t        float64
	ahead    bool
}

// crossings calls use with every boundary that a unit of site i moves to, one way
// or the other, and returns the number of units that lie on one. At a knot the
// rule of the bit decides: a value on it is not above it.
func (m *Mapper) crossings(i int, r *ray, use func(crossing)) (on int) {
	s, z, dz := &m.Plan.Sites[i], r.value[i], r.rate[i]
	still := m.still * max(largest(dz), r.fastest/1000)
	moves := func(rate float64) bool { return math.Abs(rate) > still && !math.IsInf(rate, 0) }
	if !followed(s) {
		return 0
	}
	if s.Window != nil {
		var window []int
		for u := range s.Units {
			window = s.AppendWindow(window[:0], u)
			best, tie := winner(z, window), false
			for _, e := range window {
				rate, gap := dz[e]-dz[best], z[best]-z[e]
				if !moves(rate) || gap != gap {
					continue
				}
				tie = tie || gap == 0
				if t := math.Abs(gap / rate); !math.IsInf(t, 0) {
					use(crossing{u, e, t, rate > 0})
				}
			}
			if tie {
				on++
			}
		}
		return on
	}
	for u := range s.Units {
		tie := false
		for k, knot := range knots(s) {
			tie = tie || z[u] == knot
			if !moves(dz[u]) || z[u] != z[u] {
				continue
			}
			if t := math.Abs((knot - z[u]) / dz[u]); !math.IsInf(t, 0) {
				use(crossing{u, k, t, (z[u] > knot) == (dz[u] < 0)})
			}
		}
		if tie {
			on++
		}
	}
	return on
}

// knots are the values at which a site bends; where it is compared with another, of the
// difference.
func knots(s *site.Site) []float64 {
	if s.Compared() != nil {
		return []float64{0}
	}
	return s.Knots
}

func negative(v []float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = -x
	}
	return w
}

// winner is the first of the largest elements of a window, -1 of an empty one,
// which lies in the padding altogether.
func winner(z []float64, window []int) int {
	best := -1
	for _, e := range window {
		if best < 0 || z[e] > z[best] {
			best = e
		}
	}
	return best
}

// unit names a unit of the network.
type unit struct{ site, unit int }

// change is how the pieces of two points differ.
type change struct {
	units   int // on another piece
	noise   int // of which the difference is within rounding at both points
	crossed int // of the wanted
}

// changed compares the pieces at two points. Values that stay within rounding of
// their knot, as those that are 0 by construction, count apart.
func (m *Mapper) changed(a, b *ray, wanted map[unit]bool) (c change) {
	var window []int
	for i := range m.Plan.Sites {
		s, z, y := &m.Plan.Sites[i], a.value[i], b.value[i]
		scale := max(largest(z), largest(y))
		for u := range s.Units {
			if !followed(s) {
				break
			}
			far := -1.0 // how far from its knot a unit that changed is
			if s.Window != nil {
				window = s.AppendWindow(window[:0], u)
				if p, q := winner(z, window), winner(y, window); p != q {
					far = max(z[p]-z[q], y[q]-y[p])
				}
			} else {
				for _, k := range knots(s) {
					if (z[u] > k) != (y[u] > k) {
						far = max(far, math.Abs(z[u]-k), math.Abs(y[u]-k))
					}
				}
			}
			switch {
			case far < 0:
			case wanted[unit{i, u}]:
				c.units++
				c.crossed++
			case far > m.still*scale:
				c.units++
			default:
				c.noise++
			}
		}
	}
	return c
}

// nearest is the nearest boundary of all sites one way: its units, the distance,
// and that of the next one behind it (infinite when there is none).
type nearest struct {
	t, next float64
	units   map[unit]bool
}

// add takes in one more boundary. Those within rounding of one another are one.
func (n *nearest) add(u unit, t float64) {
	const same = 1 + 1e-12
	switch {
	case n.units == nil:
		n.t, n.next, n.units = t, math.Inf(1), map[unit]bool{u: true}
	case t*same < n.t:
		n.t, n.next, n.units = t, n.t, map[unit]bool{u: true}
	case t <= n.t*same:
		n.units[u] = true
	default:
		n.next = min(n.next, t)
	}
}

// look finds the boundaries along a's direction and checks a.
func (m *Mapper) look(ctx context.Context, x []float64, a *Affine, scale float64) error {
	a.Sites = []Distance{}
	d := a.Direction
	if d == nil {
		d = make([]float64, len(x))
	}
	r, err := m.push(ctx, x, d)
	if err != nil {
		return err
	}
	var ahead, behind nearest
	for i := range m.Plan.Sites {
		s := &m.Plan.Sites[i]
		row := Distance{Site: s.Name, Op: s.Op, Units: s.Units, Smooth: s.Smooth}
		row.OnKnot = m.crossings(i, r, func(c crossing) {
			at, all, first := &row.Behind, &behind, &a.Behind
			if c.ahead {
				at, all, first = &row.Ahead, &ahead, &a.Ahead
			}
			all.add(unit{i, c.unit}, c.t)
			if *at == nil || c.t < (*at).Distance {
				*at = describe(s, c)
			}
			if *first == nil || c.t < (*first).Distance {
				*first = *at
			}
		})
		a.OnKnot += row.OnKnot
		if m.chosen[i] {
			a.Sites = append(a.Sites, row)
		}
	}
	if a.Direction == nil {
		return nil
	}
	return m.check(ctx, x, a, r, scale, ahead, behind)
}

func describe(s *site.Site, c crossing) *Crossing {
	d := &Crossing{Site: s.Name, Distance: c.t, Unit: c.unit, Index: make([]int, len(s.Shape))}
	for i, u := len(s.Shape)-1, c.unit; i >= 0; i-- {
		d.Index[i], u = u%s.Shape[i], u/s.Shape[i]
	}
	if s.Window != nil {
		d.Element = &c.to
	} else {
		d.Knot = &knots(s)[c.to]
	}
	return d
}

// check evaluates the network on both sides of both boundaries.
func (m *Mapper) check(ctx context.Context, x []float64, a *Affine, r *ray, scale float64, ahead, behind nearest) error {
	c, size := &Check{Tolerance: m.tolerance}, 0.0
	for _, v := range x {
		size = math.Hypot(size, v)
	}
	for _, way := range []struct {
		name string
		sign float64
		at   nearest
	}{{"ahead", 1, ahead}, {"behind", -1, behind}} {
		at := func(t float64) (*ray, float64, error) {
			y := slices.Clone(x)
			for i, d := range a.Direction {
				y[i] += way.sign * t * d
			}
			y = m.round(y)
			q, err := m.push(ctx, y, a.Direction)
			if err != nil {
				return nil, 0, err
			}
			return q, m.apart(a, y, q.f, scale), nil
		}
		bounded := way.at.units != nil
		half := max(size, 1) // as far as is far for such an input
		if bounded {
			half = way.at.t / 2
		}
		if half == 0 {
			continue
		}
		q, apart, err := at(half)
		if err != nil {
			return err
		}
		k := m.changed(r, q, nil)
		s := Side{Side: way.name, At: half, Error: apart, Changed: k.units, Noise: k.noise}
		c.Error = max(c.Error, apart)
		if bounded && !math.IsInf(way.at.t, 0) {
			// Between this boundary and the next; where rounding hides the change
			// there, further on.
			first := min(1.5*way.at.t, (way.at.t+way.at.next)/2)
			for _, t := range []float64{first, 1.5 * way.at.t, 2 * way.at.t, 10 * way.at.t, 100 * way.at.t} {
				q, apart, err := at(t)
				if err != nil {
					return err
				}
				k := m.changed(r, q, way.at.units)
				b := &Beyond{At: t, Error: apart, Changed: k.units, Tied: len(way.at.units), Crossed: k.crossed}
				b.Bend = math.Abs(q.df[a.Along]-r.df[a.Along]) / a.Norm[slices.Index(a.Rows, a.Along)]
				if b.Bend-b.Bend != 0 {
					b.Bend = math.MaxFloat64
				}
				s.Beyond = b
				if b.Crossed > 0 {
					break
				}
			}
		}
		c.Sides = append(c.Sides, s)
	}
	if c.Sides == nil {
		return nil
	}
	c.Exact, a.Check = c.Error <= c.Tolerance && len(m.Bent) == 0, c
	return nil
}

// apart is the largest difference between the rows of f and the map at y, relative
// to the largest output, or to the largest bias, which is what is left of rounding
// where the terms of a row cancel.
func (m *Mapper) apart(a *Affine, y, f []float64, scale float64) float64 {
	for _, v := range f {
		scale = max(scale, math.Abs(v))
	}
	worst := 0.0
	for i, k := range a.Rows {
		v := a.Bias[i]
		scale = max(scale, math.Abs(v))
		for j, w := range a.Weight[i*len(y) : (i+1)*len(y)] {
			v += w * y[j]
		}
		worst = max(worst, math.Abs(v-f[k])) // which is NaN if one of them is
	}
	switch {
	case worst == 0:
		return 0
	case math.IsNaN(worst) || math.IsInf(worst, 0) || math.IsInf(scale, 0) || scale == 0:
		return math.MaxFloat64 // a network that overflows so near x
	}
	return worst / scale
}
