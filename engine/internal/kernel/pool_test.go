package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func pools() []Pool {
	gs := []Pool{
		{N: 2, C: 3, H: 11, W: 12, KH: 3, KW: 3, OH: 6, OW: 6, StrideH: 2, StrideW: 2, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
		// Rounded up: the last windows reach beyond the pads.
		{N: 1, C: 2, H: 7, W: 7, KH: 3, KW: 3, OH: 4, OW: 4, StrideH: 3, StrideW: 3, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
		{N: 1, C: 70, H: 7, W: 7, KH: 7, KW: 7, OH: 1, OW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1},
		{N: 1, C: 1, H: 4, W: 1, KH: 2, KW: 1, OH: 3, OW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1},
		{N: 1, C: 1, H: 3, W: 3, KH: 1, KW: 1, OH: 5, OW: 5, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, // windows of nothing
	}
	r := rand.New(rand.NewPCG(5, 5))
	for len(gs) < 80 {
		gs = append(gs, Pool{
			N: 1 + r.IntN(2), C: 1 + r.IntN(3), H: 1 + r.IntN(12), W: 1 + r.IntN(12), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4),
			OH: 1 + r.IntN(8), OW: 1 + r.IntN(8), StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), DilationH: 1 + r.IntN(3), DilationW: 1 + r.IntN(3),
			PadTop: r.IntN(3), PadLeft: r.IntN(3), PadBottom: r.IntN(3), PadRight: r.IntN(3),
		})
	}
	for i := range gs {
		gs[i].CountPad = i%2 == 1
	}
	return gs
}

// visit calls f for every position of every window, in row-major order: in is
// its index in x or -1, padded whether it lies within the declared pads.
func (g *Pool) visit(f func(out, in int, padded bool)) {
	o := 0
	for i := range g.N * g.C {
		for oh := range g.OH {
			for ow := range g.OW {
				for kh := range g.KH {
					for kw := range g.KW {
						ih, iw := oh*g.StrideH+kh*g.DilationH-g.PadTop, ow*g.StrideW+kw*g.DilationW-g.PadLeft
						in := -1
						if ih >= 0 && ih < g.H && iw >= 0 && iw < g.W {
							in = (i*g.H+ih)*g.W + iw
						}
						f(o, in, ih < g.H+g.PadBottom && iw < g.W+g.PadRight)
					}
				}
				o++
			}
		}
	}
}

// coarse is random numbers of which many are equal.
func coarse(seed uint64, n int) []float64 {
	s := random[float64](seed, n)
	for i, v := range s {
		s[i] = math.Round(v) + 0
	}
	return s
}

// MaxPool takes the largest element, and its derivatives the first such.
func TestMaxPool(t *testing.T) {
	for i, g := range pools() {
		x := coarse(uint64(i), g.N*g.C*g.H*g.W)
		if i%3 == 0 {
			x[len(x)/2] = math.NaN()
		}
		if i%5 == 0 {
			fill(x, math.Inf(-1))
		}
		outputs := g.N * g.C * g.OH * g.OW
		tx, dy := random[float64](1, len(x)), random[float64](2, outputs)
		y, at := make([]float64, outputs), make([]int, outputs)
		fill(y, math.Inf(-1))
		fill(at, -1)
		g.visit(func(o, in int, _ bool) {
			if in >= 0 && (at[o] < 0 || x[in] > y[o] || x[in] != x[in]) {
				at[o], y[o] = in, x[in]
			}
		})
		ty, dx := make([]float64, outputs), make([]float64, len(x))
		for o, in := range at {
			if in >= 0 {
				ty[o] = tx[in]
				dx[in] += dy[o]
			}
		}
		for _, threads := range threadCounts {
			r, name := NewRunner(threads), fmt.Sprintf("%d threads, %+v", threads, g)
			got := random[float64](9, outputs)
			MaxPool(r, &g, got, x)
			same(t, name, abs(got), abs(y))
			MaxPoolPush(r, &g, got, x, tx)
			same(t, "push, "+name, got, ty)
			back := random[float64](9, len(x))
			MaxPoolPull(r, &g, back, x, dy)
			same(t, "pull, "+name, back, dx)
			if a, b := dot(got, dy), dot(tx, back); math.Abs(a-b) > 1e-12*float64(outputs) {
				t.Errorf("%s: <push(tx), dy> is %v, <tx, pull(dy)> is %v", name, a, b)
			}
		}
	}
}

// abs leaves the signs of all but zeros.
func abs(s []float64) []float64 {
	for i, v := range s {
		s[i] = v + 0
	}
	return s
}

func TestMaxPoolFloat32(t *testing.T) {
	g := pools()[0]
	x := random[float32](1, g.N*g.C*g.H*g.W)
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	y, want := make([]float32, g.N*g.C*g.OH*g.OW), make([]float64, g.N*g.C*g.OH*g.OW)
	MaxPool(NewRunner(1), &g, y, x)
	MaxPool(NewRunner(1), &g, want, wide)
	for i, v := range want {
		if float64(y[i]) != v {
			t.Fatalf("element %d is %v, want %v", i, y[i], v)
		}
	}
}

// AveragePool divides by what it says, and Pull is its adjoint.
func TestAveragePool(t *testing.T) {
	for i, g := range pools() {
		x := random[float64](uint64(i), g.N*g.C*g.H*g.W)
		outputs := g.N * g.C * g.OH * g.OW
		dy := random[float64](2, outputs)
		y, count := make([]float64, outputs), make([]float64, outputs)
		g.visit(func(o, in int, padded bool) {
			if in >= 0 {
				y[o] += x[in]
			}
			if in >= 0 || padded && g.CountPad {
				count[o]++
			}
		})
		for o, n := range count {
			if n > 0 {
				y[o] /= n
			}
		}
		for _, threads := range threadCounts {
			r, name := NewRunner(threads), fmt.Sprintf("%d threads, %+v", threads, g)
			got := random[float64](9, outputs)
			AveragePool(r, &g, got, x)
			same(t, name, got, y)
			back := random[float64](9, len(x))
			AveragePoolPull(r, &g, back, dy)
			if a, b := dot(got, dy), dot(x, back); math.Abs(a-b) > 1e-12*float64(outputs) {
				t.Errorf("%s: <y, dy> is %v, <x, dx> is %v", name, a, b)
			}
		}
	}
}
