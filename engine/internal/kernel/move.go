package kernel

import "slices"

// Move is a rearrangement: element i of the output is the element of the input at
// the sum, over the output's axes, of Offset[axis][i[axis]]. An offset of -1
// marks what no element of the input fills. Transpose, Slice, Gather, Expand and
// Pad are moves.
type Move struct {
	Offset [][]int
	// run is the number of trailing axes, of the output's, that are one piece of
	// consecutive elements in the input, and size its length.
	run, size int
}

// NewMove finds the pieces that can be copied whole. It keeps offset.
func NewMove(offset [][]int) *Move {
	m := &Move{Offset: offset, size: 1}
	for a := len(offset) - 1; a >= 0; a-- {
		whole := true
		for j, o := range offset[a] {
			if o != j*m.size {
				whole = false
			}
		}
		if !whole {
			break
		}
		m.run++
		m.size *= len(offset[a])
	}
	return m
}

// rows calls f for every row along the last axis that is not part of a piece,
// with the place of its first element in the output and the offset in the input
// of what the axes before it say, -1 where they say that nothing fills it.
func (m *Move) rows(r *Runner, f func(out, base int, last []int)) {
	outer := m.Offset[:len(m.Offset)-m.run]
	if len(outer) == 0 {
		f(0, 0, []int{0})
		return
	}
	last := outer[len(outer)-1]
	outer = outer[:len(outer)-1]
	n := 1
	for _, o := range outer {
		n *= len(o)
	}
	width := len(last) * m.size
	r.Each(n, max(1, 1<<14/max(width, 1)), func(lo, hi int) {
		at := make([]int, len(outer))
		for a, rest := len(outer)-1, lo; a >= 0; a-- {
			at[a], rest = rest%len(outer[a]), rest/len(outer[a])
		}
		for row := lo; row < hi; row++ {
			base := 0
			for a, i := range at {
				o := outer[a][i]
				if o < 0 {
					base = -1
					break
				}
				base += o
			}
			f(row*width, base, last)
			for a := len(at) - 1; a >= 0; a-- {
				if at[a]++; at[a] < len(outer[a]) {
					break
				}
				at[a] = 0
			}
		}
	})
}

// MoveForward fills y from x, and with fill where nothing of x belongs.
func MoveForward[T any](r *Runner, m *Move, y, x []T, fill T) {
	size := m.size
	m.rows(r, func(out, base int, last []int) {
		y := y[out : out+len(last)*size]
		switch {
		case base < 0:
			for i := range y {
				y[i] = fill
			}
		case size == 1:
			x := x[base:]
			for i, o := range last {
				if o < 0 {
					y[i] = fill
				} else {
					y[i] = x[o]
				}
			}
		default:
			for i, o := range last {
				dst := y[i*size : (i+1)*size]
				if o < 0 {
					for k := range dst {
						dst[k] = fill
					}
				} else {
					copy(dst, x[base+o:])
				}
			}
		}
	})
}

// MoveAdjoint adds up in dx, which it clears first, what of dy came from each
// element. Several elements of dy may come from one of dx, so it runs on one
// goroutine, in the order of dy.
func MoveAdjoint[T Float](m *Move, dx, dy []T) {
	clear(dx)
	size := m.size
	one := NewRunner(1)
	m.rows(one, func(out, base int, last []int) {
		if base < 0 {
			return
		}
		for i, o := range last {
			if o < 0 {
				continue
			}
			src := dy[out+i*size : out+(i+1)*size]
			dst := dx[base+o : base+o+size]
			for k, v := range src {
				dst[k] += v
			}
		}
	})
}

// Strides are the row-major strides of a shape.
func Strides(dims []int) []int {
	s := make([]int, len(dims))
	n := 1
	for a := len(dims) - 1; a >= 0; a-- {
		s[a] = n
		n *= dims[a]
	}
	return s
}

// Collapse drops axes of length 1 and joins neighbouring axes of the output that
// every operand walks with a single stride, so that loops are few and long.
func Collapse(dims []int, strides ...[]int) ([]int, [][]int) {
	var d []int
	s := make([][]int, len(strides))
	for a, n := range dims {
		if n == 1 {
			continue
		}
		k := len(d) - 1
		joins := k >= 0
		for i := range strides {
			joins = joins && s[i][k] == strides[i][a]*n
		}
		if joins {
			d[k] *= n
			for i := range strides {
				s[i][k] = strides[i][a]
			}
			continue
		}
		d = append(d, n)
		for i := range strides {
			s[i] = append(s[i], strides[i][a])
		}
	}
	if len(d) == 0 {
		d = []int{1}
		for i := range s {
			s[i] = []int{0}
		}
	}
	return slices.Clip(d), s
}
