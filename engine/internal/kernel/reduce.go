package kernel

// Reduce folds a tensor over some of its axes. Outputs are in row-major order of
// the axes kept; each folds its elements in row-major order of the axes gone, so
// that the result does not depend on threads.
type Reduce struct {
	keep, gone       []int
	keepAt, goneAt   []int // strides in the input
	outputs, Reduced int
}

// NewReduce folds an input of shape dims over the axes where gone is true.
func NewReduce(dims []int, gone []bool) *Reduce {
	strides := Strides(dims)
	var k, g, ks, gs []int
	for a, n := range dims {
		if gone[a] {
			g, gs = append(g, n), append(gs, strides[a])
		} else {
			k, ks = append(k, n), append(ks, strides[a])
		}
	}
	r := &Reduce{outputs: 1, Reduced: 1}
	var s [][]int
	r.keep, s = Collapse(k, ks)
	r.keepAt = s[0]
	r.gone, s = Collapse(g, gs)
	r.goneAt = s[0]
	for _, n := range r.keep {
		r.outputs *= n
	}
	for _, n := range r.gone {
		r.Reduced *= n
	}
	return r
}

// walk calls f for lo..hi in row-major order of dims with the sum of strides.
func walk(dims, strides []int, lo, hi int, f func(i, at int)) {
	pos := make([]int, len(dims))
	at := 0
	for a, rest := len(dims)-1, lo; a >= 0; a-- {
		pos[a], rest = rest%dims[a], rest/dims[a]
		at += pos[a] * strides[a]
	}
	for i := lo; i < hi; i++ {
		f(i, at)
		for a := len(dims) - 1; a >= 0; a-- {
			pos[a]++
			at += strides[a]
			if pos[a] < dims[a] {
				break
			}
			at -= pos[a] * strides[a]
			pos[a] = 0
		}
	}
}

// each calls f for every output with the place of its first element.
func (m *Reduce) each(r *Runner, f func(out, at int)) {
	r.Each(m.outputs, max(1, 1<<13/max(m.Reduced, 1)), func(lo, hi int) {
		walk(m.keep, m.keepAt, lo, hi, f)
	})
}

// fold calls f for every element of the output whose first element lies at `at`.
func (m *Reduce) fold(at int, f func(i, at int)) {
	if len(m.gone) == 1 {
		step := m.goneAt[0]
		for i := range m.gone[0] {
			f(i, at)
			at += step
		}
		return
	}
	walk(m.gone, m.goneAt, 0, m.Reduced, func(i, off int) { f(i, at+off) })
}

// ReduceSum adds up; float32 sums are kept in double precision until they are
// whole, times scale.
func ReduceSum[T Float](r *Runner, m *Reduce, y, x []T, scale float64) {
	m.each(r, func(out, at int) {
		sum := 0.0
		if len(m.gone) == 1 && m.goneAt[0] == 1 {
			for _, v := range x[at : at+m.gone[0]] {
				sum += float64(v)
			}
		} else {
			m.fold(at, func(_, i int) { sum += float64(x[i]) })
		}
		y[out] = T(sum * scale)
	})
}

// ReduceFold folds with f, beginning with the first element.
func ReduceFold[T any](r *Runner, m *Reduce, y, x []T, f func(a, b T) T) {
	m.each(r, func(out, at int) {
		acc := x[at]
		m.fold(at, func(i, at int) {
			if i > 0 {
				acc = f(acc, x[at])
			}
		})
		y[out] = acc
	})
}

// ReduceArg finds which element better prefers over all before it; the last of
// equal ones when last is set.
func ReduceArg[T any](r *Runner, m *Reduce, y []int64, x []T, better func(a, b T) bool, last bool) {
	m.each(r, func(out, at int) {
		best, where := x[at], 0
		m.fold(at, func(i, at int) {
			if v := x[at]; i > 0 && (better(v, best) || last && !better(best, v)) {
				best, where = v, i
			}
		})
		y[out] = int64(where)
	})
}

// ReducePick sets y to the element of t at the place where x has its first best
// element.
func ReducePick[T any](r *Runner, m *Reduce, y, x, t []T, better func(a, b T) bool) {
	m.each(r, func(out, at int) {
		best, where := x[at], at
		m.fold(at, func(_, at int) {
			if better(x[at], best) {
				best, where = x[at], at
			}
		})
		y[out] = t[where]
	})
}

// ReduceSpread is ReducePick's adjoint: it clears dx and puts each element of dy
// where x has its first best element.
func ReduceSpread[T Float](r *Runner, m *Reduce, dx, x, dy []T, better func(a, b T) bool) {
	clear(dx)
	m.each(r, func(out, at int) {
		best, where := x[at], at
		m.fold(at, func(_, at int) {
			if better(x[at], best) {
				best, where = x[at], at
			}
		})
		dx[where] = dy[out]
	})
}

// ReduceProdDerivative weighs each element with the product of the others of its
// output: out = sum of t times the weights when pull is false, else out = dy times
// the weights.
func ReduceProdDerivative[T Float](r *Runner, m *Reduce, out, x, g []T, pull bool) {
	m.each(r, func(o, at int) {
		zeros, rest := 0, 1.0
		m.fold(at, func(_, i int) {
			if x[i] == 0 {
				zeros++
			} else {
				rest *= float64(x[i])
			}
		})
		sum := 0.0
		m.fold(at, func(_, i int) {
			w := 0.0
			switch {
			case zeros == 0:
				w = rest / float64(x[i])
			case zeros == 1 && x[i] == 0:
				w = rest
			}
			if pull {
				out[i] = T(float64(g[o]) * w)
			} else {
				sum += float64(g[i]) * w
			}
		})
		if !pull {
			out[o] = T(sum)
		}
	})
}
