package kernel

// Broadcast walks an output of the given shape together with operands that numpy's
// rule lays over it.
type Broadcast struct {
	dims    []int
	strides [][]int // of each operand, 0 along axes it is repeated on
}

// NewBroadcast makes the walk of operands, whose shapes must broadcast to dims.
func NewBroadcast(dims []int, operands ...[]int) *Broadcast {
	all := make([][]int, len(operands))
	for i, o := range operands {
		s := make([]int, len(dims))
		own := Strides(o)
		for a, n := range o {
			if n != 1 {
				s[len(dims)-len(o)+a] = own[a]
			}
		}
		all[i] = s
	}
	b := &Broadcast{}
	b.dims, b.strides = Collapse(dims, all...)
	return b
}

// Rows calls f for runs of the output along its innermost axis: where the run
// starts in the output and in each operand, its length, and each operand's step.
// at is only valid during the call.
func (b *Broadcast) Rows(r *Runner, f func(out, n int, at, step []int)) {
	k := len(b.dims) - 1
	width := b.dims[k]
	n := 1
	for _, d := range b.dims[:k] {
		n *= d
	}
	step := make([]int, len(b.strides))
	for i, s := range b.strides {
		step[i] = s[k]
	}
	if n == 1 { // one long row is parted along itself
		r.Each(width, 1<<13, func(lo, hi int) {
			at := make([]int, len(step))
			for i, s := range step {
				at[i] = lo * s
			}
			f(lo, hi-lo, at, step)
		})
		return
	}
	r.Each(n, max(1, 1<<13/width), func(lo, hi int) {
		pos, at := make([]int, k), make([]int, len(step))
		for a, rest := k-1, lo; a >= 0; a-- {
			pos[a], rest = rest%b.dims[a], rest/b.dims[a]
			for i, s := range b.strides {
				at[i] += pos[a] * s[a]
			}
		}
		for row := lo; row < hi; row++ {
			f(row*width, width, at, step)
			for a := k - 1; a >= 0; a-- {
				pos[a]++
				for i, s := range b.strides {
					at[i] += s[a]
				}
				if pos[a] < b.dims[a] {
					break
				}
				for i, s := range b.strides {
					at[i] -= pos[a] * s[a]
				}
				pos[a] = 0
			}
		}
	})
}

// Map2 computes y = f(a, b), element by element over the broadcast.
func Map2[T, U any](r *Runner, w *Broadcast, y []U, a, b []T, f func(a, b T) U) {
	w.Rows(r, func(out, n int, at, step []int) {
		y, i, j := y[out:out+n], at[0], at[1]
		for k := range y {
			y[k] = f(a[i], b[j])
			i += step[0]
			j += step[1]
		}
	})
}

// Number lists the element types arithmetic is done in.
type Number interface {
	Float | int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64
}

// Arithmetic computes y = a op b for op one of + - * over the broadcast.
func Arithmetic[T Number](r *Runner, w *Broadcast, op byte, y, a, b []T) {
	w.Rows(r, func(out, n int, at, step []int) {
		y := y[out : out+n]
		if step[0] == 1 && step[1] == 1 {
			straight(op, y, a[at[0]:at[0]+n], b[at[1]:at[1]+n])
			return
		}
		if step[0] == 1 && step[1] == 0 {
			right(op, y, a[at[0]:at[0]+n], b[at[1]])
			return
		}
		i, j := at[0], at[1]
		for k := range y {
			switch op {
			case '+':
				y[k] = a[i] + b[j]
			case '-':
				y[k] = a[i] - b[j]
			default:
				y[k] = a[i] * b[j]
			}
			i += step[0]
			j += step[1]
		}
	})
}

func straight[T Number](op byte, y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	switch op {
	case '+':
		for k := range y {
			y[k] = a[k] + b[k]
		}
	case '-':
		for k := range y {
			y[k] = a[k] - b[k]
		}
	default:
		for k := range y {
			y[k] = a[k] * b[k]
		}
	}
}

func right[T Number](op byte, y, a []T, b T) {
	a = a[:len(y)]
	switch op {
	case '+':
		for k := range y {
			y[k] = a[k] + b
		}
	case '-':
		for k := range y {
			y[k] = a[k] - b
		}
	default:
		for k := range y {
			y[k] = a[k] * b
		}
	}
}

// Divide computes y = a / b over the broadcast.
func Divide[T Float](r *Runner, w *Broadcast, y, a, b []T) {
	w.Rows(r, func(out, n int, at, step []int) {
		y, i, j := y[out:out+n], at[0], at[1]
		if step[0] == 1 && step[1] == 0 {
			a, by := a[i:i+n], b[j]
			for k := range y {
				y[k] = a[k] / by
			}
			return
		}
		for k := range y {
			y[k] = a[i] / b[j]
			i += step[0]
			j += step[1]
		}
	})
}

// Clip computes y = min(max(x, low), high), element by element. A NaN stays one.
func Clip[T Number](r *Runner, y, x []T, low, high T) {
	r.Each(len(y), 1<<14, func(lo, hi int) {
		y, x := y[lo:hi], x[lo:hi]
		for i, v := range x {
			y[i] = min(max(v, low), high) // the built-ins do not branch
		}
	})
}

// Map computes y = f(x), element by element.
func Map[T, U any](r *Runner, y []U, x []T, f func(T) U) {
	r.Each(len(y), 1<<12, func(lo, hi int) {
		y, x := y[lo:hi], x[lo:hi]
		for i, v := range x {
			y[i] = f(v)
		}
	})
}
