package kernel

import "math"

// Pool is the geometry of a 2-D pooling, of [N, C, H, W] to [N, C, OH, OW].
type Pool struct {
	N, C, H, W, KH, KW, OH, OW             int
	StrideH, StrideW, DilationH, DilationW int
	PadTop, PadLeft, PadBottom, PadRight   int

	// CountPad is AveragePool's count_include_pad: positions inside the pads
	// count, those beyond them, where ceil_mode puts windows, do not.
	CountPad bool
}

// planes calls f for each plane of the input and of the output.
func (g *Pool) planes(r *Runner, f func(w *worker, i int)) {
	cost := max(1, g.OH*g.OW*min(g.KH, g.H)*min(g.KW, g.W))
	r.each(g.N*g.C, ceilDiv(grainWork/4, cost), func(w *worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			f(w, i)
		}
	})
}

// MaxPool sets y to the largest element of each window. Padding never is; a NaN
// is. Of zeros +0 is the largest. A window that lies wholly outside gives -Inf.
func MaxPool[T Float](r *Runner, g *Pool, y, x []T) {
	least := T(math.Inf(-1))
	g.planes(r, func(w *worker, i int) {
		in, out := x[i*g.H*g.W:][:g.H*g.W], y[i*g.OH*g.OW:][:g.OH*g.OW]
		line := scratch[T](w, slotBand, g.W)
		for oh := range g.OH {
			top := oh*g.StrideH - g.PadTop
			lo, hi := inside(top, g.DilationH, g.KH, g.H)
			d := out[oh*g.OW:][:g.OW]
			if lo == hi {
				fill(d, least)
				continue
			}
			// First down the columns, then along the row.
			s := in[(top+lo*g.DilationH)*g.W:][:g.W]
			if hi-lo > 1 {
				t := in[(top+(lo+1)*g.DilationH)*g.W:][:len(s)]
				line = line[:len(s)]
				for j, v := range s {
					line[j] = max(v, t[j])
				}
				for k := lo + 2; k < hi; k++ {
					t := in[(top+k*g.DilationH)*g.W:][:len(line)]
					for j, v := range line {
						line[j] = max(v, t[j])
					}
				}
				s = line
			}
			for ow := range d {
				left := ow*g.StrideW - g.PadLeft
				lo, hi := 0, g.KW
				if left < 0 || left+(g.KW-1)*g.DilationW >= g.W {
					lo, hi = inside(left, g.DilationW, g.KW, g.W)
				}
				m := least
				for k := lo; k < hi; k++ {
					m = max(m, s[left+k*g.DilationW])
				}
				d[ow] = m
			}
		}
	})
}

// winner is where in a plane the largest element of window (oh, ow) is: the
// first of equal ones, and the last NaN, as in PyTorch. -1: there is none.
func winner[T Float](g *Pool, in []T, oh, ow int) int {
	top, left := oh*g.StrideH-g.PadTop, ow*g.StrideW-g.PadLeft
	h0, h1 := inside(top, g.DilationH, g.KH, g.H)
	w0, w1 := inside(left, g.DilationW, g.KW, g.W)
	at := -1
	var best T
	for kh := h0; kh < h1; kh++ {
		row := (top+kh*g.DilationH)*g.W + left
		for kw := w0; kw < w1; kw++ {
			j := row + kw*g.DilationW
			if v := in[j]; at < 0 || v > best || v != v {
				at, best = j, v
			}
		}
	}
	return at
}

// MaxPoolPush sets ty to tx at the largest element of each window of x: at the
// first in row-major order of equal ones.
func MaxPoolPush[T Float](r *Runner, g *Pool, ty, x, tx []T) {
	g.planes(r, func(_ *worker, i int) {
		in, t := x[i*g.H*g.W:][:g.H*g.W], tx[i*g.H*g.W:][:g.H*g.W]
		out := ty[i*g.OH*g.OW:][:g.OH*g.OW]
		for o := range out {
			out[o] = 0
			if at := winner(g, in, o/g.OW, o%g.OW); at >= 0 {
				out[o] = t[at]
			}
		}
	})
}

// MaxPoolPull sets dx to the sum, over the windows whose largest element that
// is, of dy.
func MaxPoolPull[T Float](r *Runner, g *Pool, dx, x, dy []T) {
	g.planes(r, func(_ *worker, i int) {
		in, d := x[i*g.H*g.W:][:g.H*g.W], dx[i*g.H*g.W:][:g.H*g.W]
		clear(d)
		for o, v := range dy[i*g.OH*g.OW:][:g.OH*g.OW] {
			if at := winner(g, in, o/g.OW, o%g.OW); at >= 0 {
				d[at] += v
			}
		}
	})
}

// average calls f for each window of an output plane with the number that its
// sum is divided by and the taps that lie in the input.
func (g *Pool) average(f func(o, count, top, left, h0, h1, w0, w1 int)) {
	for oh := range g.OH {
		top := oh*g.StrideH - g.PadTop
		h0, h1 := inside(top, g.DilationH, g.KH, g.H)
		for ow := range g.OW {
			left := ow*g.StrideW - g.PadLeft
			w0, w1 := inside(left, g.DilationW, g.KW, g.W)
			count := (h1 - h0) * (w1 - w0)
			if g.CountPad {
				a0, a1 := inside(top+g.PadTop, g.DilationH, g.KH, g.PadTop+g.H+g.PadBottom)
				b0, b1 := inside(left+g.PadLeft, g.DilationW, g.KW, g.PadLeft+g.W+g.PadRight)
				count = (a1 - a0) * (b1 - b0)
			}
			f(oh*g.OW+ow, count, top, left, h0, h1, w0, w1)
		}
	}
}

// AveragePool sets y to the mean of each window: of what lies in the input, or,
// with CountPad, in the input and the pads. A window of nothing gives 0.
func AveragePool[T Float](r *Runner, g *Pool, y, x []T) {
	g.planes(r, func(_ *worker, i int) {
		in, out := x[i*g.H*g.W:][:g.H*g.W], y[i*g.OH*g.OW:][:g.OH*g.OW]
		g.average(func(o, count, top, left, h0, h1, w0, w1 int) {
			var s T
			for kh := h0; kh < h1; kh++ {
				row := (top+kh*g.DilationH)*g.W + left
				for kw := w0; kw < w1; kw++ {
					s += in[row+kw*g.DilationW]
				}
			}
			out[o] = s / T(max(count, 1))
		})
	})
}

// AveragePoolPull sets dx to the adjoint of AveragePool at dy.
func AveragePoolPull[T Float](r *Runner, g *Pool, dx, dy []T) {
	g.planes(r, func(_ *worker, i int) {
		d, in := dx[i*g.H*g.W:][:g.H*g.W], dy[i*g.OH*g.OW:][:g.OH*g.OW]
		clear(d)
		g.average(func(o, count, top, left, h0, h1, w0, w1 int) {
			v := in[o] / T(max(count, 1))
			for kh := h0; kh < h1; kh++ {
				row := (top+kh*g.DilationH)*g.W + left
				for kw := w0; kw < w1; kw++ {
					d[row+kw*g.DilationW] += v
				}
			}
		})
	})
}

// MaxPoolPlace sets at to the index in x of the largest element of each window: of the
// first in row-major order of equal ones, as ONNX numbers them with storage_order 0. A
// window that lies wholly outside gives -1.
func MaxPoolPlace[T Float](r *Runner, g *Pool, at []int64, x []T) {
	g.planes(r, func(_ *worker, i int) {
		in := x[i*g.H*g.W:][:g.H*g.W]
		out := at[i*g.OH*g.OW:][:g.OH*g.OW]
		for o := range out {
			if out[o] = int64(winner(g, in, o/g.OW, o%g.OW)); out[o] >= 0 {
				out[o] += int64(i * g.H * g.W)
			}
		}
	})
}
