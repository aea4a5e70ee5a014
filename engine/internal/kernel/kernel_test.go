package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// random is n numbers of a fixed sequence.
func random[T Float](seed uint64, n int) []T {
	r := rand.New(rand.NewPCG(seed, 1))
	s := make([]T, n)
	for i := range s {
		s[i] = T(r.NormFloat64())
	}
	return s
}

func bits[T Float](v T) uint64 {
	if f, ok := any(v).(float32); ok {
		return uint64(math.Float32bits(f))
	}
	return math.Float64bits(float64(v))
}

// same fails unless got is want bit for bit, any NaN being as good as another.
func same[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, v := range want {
		if bits(got[i]) != bits(v) && (got[i] == got[i] || v == v) {
			t.Fatalf("%s: element %d is %v (%#x), want %v (%#x)", what, i, got[i], bits(got[i]), v, bits(v))
		}
	}
}

// atLevels runs f on every instruction set that this processor has.
func atLevels(t *testing.T, f func(t *testing.T)) {
	was := level
	defer func() { level = was }()
	for level = plain; level <= was; level++ {
		t.Run(micros32[level].name, f)
	}
}

// twice runs f on a Runner of that many threads, and then again with nothing but
// NaNs in its scratch memory, which must not matter.
func twice(threads int, f func(r *Runner)) {
	r := NewRunner(threads)
	f(r)
	for i := range r.workers {
		for slot := range slots {
			fill(r.workers[i].bufs[slot], 0xff)
		}
	}
	f(r)
}

var threadCounts = []int{1, 2, 5}

func dot[T Float](a, b []T) float64 {
	var s float64
	for i, v := range a {
		s += float64(v) * float64(b[i])
	}
	return s
}

func TestEach(t *testing.T) {
	for _, c := range []struct{ threads, n, grain, most, least int }{
		{1, 10, 1, 1, 10}, {3, 10, 1, 3, 3}, {3, 10, 4, 2, 4}, {4, 3, 10, 1, 3}, {5, 0, 1, 0, 0}, {2, 7, 0, 2, 1},
	} {
		var calls, small atomic.Int32
		seen := make([]int32, c.n)
		NewRunner(c.threads).Each(c.n, c.grain, func(lo, hi int) {
			calls.Add(1)
			if hi-lo < c.least {
				small.Add(1)
			}
			for i := lo; i < hi; i++ {
				atomic.AddInt32(&seen[i], 1)
			}
		})
		for i, v := range seen {
			if v != 1 {
				t.Errorf("%+v: %d is in %d ranges", c, i, v)
			}
		}
		if int(calls.Load()) != c.most || small.Load() > 0 {
			t.Errorf("%+v: %d ranges, %d of them too small", c, calls.Load(), small.Load())
		}
	}
	if n := NewRunner(0).Threads(); n < 1 {
		t.Errorf("%d threads by default", n)
	}
}

// A panic on another goroutine is the caller's.
func TestEachPanics(t *testing.T) {
	defer func() {
		if e := recover(); e != "here" {
			t.Errorf("recovered %v", e)
		}
	}()
	NewRunner(4).Each(4, 1, func(lo, _ int) {
		if lo == 2 {
			panic("here")
		}
	})
	t.Error("no panic")
}

// naiveConv is the definition, in the order the package promises.
func naiveConv[T Float](g *Conv, x, w, bias []T) []T {
	y := make([]T, g.N*g.M*g.OH*g.OW)
	cg, mg := g.C/g.Groups, g.M/g.Groups
	i := 0
	for n := range g.N {
		for m := range g.M {
			for oh := range g.OH {
				for ow := range g.OW {
					var s T
					if bias != nil {
						s = bias[m]
					}
					for c := range cg {
						for kh := range g.KH {
							for kw := range g.KW {
								ih := oh*g.StrideH + kh*g.DilationH - g.PadTop
								iw := ow*g.StrideW + kw*g.DilationW - g.PadLeft
								var v T
								if ih >= 0 && ih < g.H && iw >= 0 && iw < g.W {
									v = x[((n*g.C+m/mg*cg+c)*g.H+ih)*g.W+iw]
								}
								p := T(w[((m*cg+c)*g.KH+kh)*g.KW+kw] * v)
								s += p
							}
						}
					}
					y[i] = s
					i++
				}
			}
		}
	}
	return y
}

// conv completes a geometry with the output that pads (top, left, bottom, right)
// give.
func conv(n, c, h, w, m, kh, kw, stride, dilation, groups int, pads ...int) Conv {
	g := Conv{N: n, C: c, H: h, W: w, M: m, KH: kh, KW: kw, StrideH: stride, StrideW: stride, DilationH: dilation, DilationW: dilation, Groups: groups}
	if pads == nil {
		pads = []int{0, 0, 0, 0}
	}
	g.PadTop, g.PadLeft = pads[0], pads[1]
	g.OH = (h+pads[0]+pads[2]-(kh-1)*dilation-1)/stride + 1
	g.OW = (w+pads[1]+pads[3]-(kw-1)*dilation-1)/stride + 1
	return g
}

func geometries() []Conv {
	gs := []Conv{
		conv(1, 3, 9, 9, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1),
		conv(3, 3, 9, 9, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1),
		conv(2, 5, 7, 7, 13, 3, 3, 1, 1, 1, 1, 1, 1, 1),
		conv(1, 64, 7, 7, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1),   // k in three blocks
		conv(2, 300, 5, 5, 9, 1, 1, 1, 1, 1),               // in two
		conv(1, 1, 30, 30, 6, 29, 29, 1, 1, 1, 3, 4, 2, 1), // within one channel
		conv(1, 3, 33, 31, 16, 7, 7, 2, 1, 1, 3, 3, 3, 3),
		conv(1, 4, 10, 10, 5, 3, 3, 1, 1, 1, 2, 0, 0, 0), // pads on one side
		conv(1, 4, 10, 10, 5, 3, 3, 1, 1, 1, 0, 2, 0, 0),
		conv(1, 4, 10, 10, 5, 3, 3, 1, 1, 1, 0, 0, 2, 0),
		conv(1, 4, 10, 10, 5, 3, 3, 2, 1, 1, 0, 0, 0, 2),
		conv(1, 4, 10, 10, 5, 3, 3, 1, 1, 1, -1, -2, -1, -2), // crops
		conv(2, 4, 11, 10, 5, 3, 2, 2, 1, 1, -1, 2, 3, -2),
		conv(1, 4, 10, 10, 5, 2, 2, 1, 1, 1, 5, 6, 7, 8), // windows of nothing
		conv(1, 6, 15, 14, 9, 3, 3, 1, 2, 1, 2, 2, 2, 2),
		conv(2, 6, 15, 14, 9, 3, 3, 2, 3, 1, 2, 2, 2, 2),
		conv(1, 6, 15, 14, 9, 3, 3, 3, 2, 1, 1, 0, 2, 1),
		conv(1, 6, 9, 9, 12, 3, 3, 1, 1, 3, 1, 1, 1, 1),
		conv(2, 8, 9, 9, 40, 1, 1, 1, 1, 2),
		conv(2, 8, 9, 9, 8, 3, 3, 1, 1, 8, 1, 1, 1, 1), // depthwise
		conv(1, 8, 19, 19, 16, 3, 3, 2, 1, 8, 1, 1, 1, 1),
		conv(1, 5, 40, 70, 5, 5, 5, 1, 2, 5, 4, 4, 4, 4),
		conv(1, 2, 300, 200, 2, 3, 3, 1, 1, 2, 1, 1, 1, 1), // several bands
		conv(1, 2, 9, 9, 2, 3, 3, 5, 1, 2, 1, 1, 1, 1),
		conv(1, 2, 9, 9, 12, 3, 3, 1, 1, 2, 1, 1, 1, 1), // six filters for each channel
		conv(1, 1, 8, 8, 2, 3, 3, 1, 1, 1),
		conv(3, 8, 6, 6, 8, 1, 1, 1, 1, 1),
		conv(3, 8, 6, 6, 8, 1, 1, 2, 1, 1),
		conv(2, 8, 6, 6, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1),
		conv(2, 3, 32, 32, 8, 8, 8, 8, 1, 1), // patches
		conv(1, 8, 1, 90, 8, 1, 5, 1, 1, 1, 0, 2, 0, 2),
		conv(1, 8, 90, 1, 8, 5, 1, 1, 1, 1, 2, 0, 2, 0),
		conv(1, 4, 56, 56, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1),
		conv(2, 2, 5, 5, 3, 5, 5, 1, 1, 1),             // one column
		conv(1, 3, 2, 2, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1), // a window larger than the input
		conv(1, 4, 150, 160, 130, 1, 1, 1, 1, 1),       // several blocks of columns
		conv(2, 2, 150, 130, 130, 3, 3, 2, 1, 1, 1, 1, 1, 1),
		conv(5, 2, 40, 40, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1), // over several images
	}
	odd := conv(1, 4, 12, 17, 7, 2, 3, 1, 1, 1, 1, 1, 1, 1)
	odd.StrideH, odd.StrideW, odd.DilationH, odd.DilationW = 2, 3, 3, 1
	odd.OH, odd.OW = 5, 6
	sparse := conv(1, 3, 12, 20, 7, 2, 2, 3, 2, 1) // taps on columns 0 and 2 of 3
	gs = append(gs, odd, sparse)
	r := rand.New(rand.NewPCG(7, 7))
	for len(gs) < 120 {
		group := 1 + r.IntN(3)
		if r.IntN(3) == 0 {
			group = 1 + r.IntN(12)
		}
		g := Conv{
			N: 1 + r.IntN(3), C: group * (1 + r.IntN(9)), M: group * (1 + r.IntN(19)), H: 1 + r.IntN(20), W: 1 + r.IntN(40),
			KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3),
			DilationH: 1 + r.IntN(3), DilationW: 1 + r.IntN(3), PadTop: r.IntN(7) - 3, PadLeft: r.IntN(7) - 3,
			OH: 1 + r.IntN(12), OW: 1 + r.IntN(40), Groups: group,
		}
		if r.IntN(4) == 0 {
			g.C = group
		}
		gs = append(gs, g)
	}
	return gs
}

func testConv[T Float](t *testing.T) {
	for i, g := range geometries() {
		seed := uint64(10 * i)
		x, w := random[T](seed, g.N*g.C*g.H*g.W), random[T](seed+1, g.M*g.depth())
		var bias []T
		if i%2 == 0 {
			bias = random[T](seed+2, g.M)
		}
		want := naiveConv(&g, x, w, bias)
		packed := PackConv(&g, w)
		for _, threads := range threadCounts {
			twice(threads, func(r *Runner) {
				y := random[T](seed+3, len(want)) // what was there does not matter
				ConvForward(r, &g, y, x, packed, bias)
				same(t, fmt.Sprintf("%d threads, %+v", threads, g), y, want)
			})
		}
	}
}

// The convolution is the definition, bit for bit, whatever the threads and the
// instruction set.
func TestConvForward(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		t.Run("float32", testConv[float32])
		t.Run("float64", testConv[float64])
	})
}

// A batch is its items, and weights serve other sizes of the input.
func TestConvWeightsServeOtherSizes(t *testing.T) {
	g := conv(4, 6, 10, 10, 12, 3, 3, 1, 1, 2, 1, 1, 1, 1)
	x, w := random[float32](1, g.N*g.C*g.H*g.W), random[float32](2, g.M*g.depth())
	packed := PackConv(&g, w)
	r := NewRunner(2)
	all := make([]float32, g.N*g.M*g.OH*g.OW)
	ConvForward(r, &g, all, x, packed, nil)
	one := g
	one.N = 1
	for n := range g.N {
		y := make([]float32, len(all)/g.N)
		ConvForward(r, &one, y, x[n*len(x)/g.N:], packed, nil)
		same(t, "an item", y, all[n*len(y):][:len(y)])
	}
	other := conv(1, 6, 13, 9, 12, 3, 3, 2, 1, 2, 0, 1, 1, 0)
	y := make([]float32, other.M*other.OH*other.OW)
	ConvForward(r, &other, y, x, packed, nil)
	same(t, "another size", y, naiveConv(&other, x, w, nil))
}

// NaN and infinities go where the definition takes them, also those of weights
// on padding; so do the signs of zeros.
func TestConvSpecialValues(t *testing.T) {
	nan, inf, minus := float32(math.NaN()), float32(math.Inf(1)), float32(math.Copysign(0, -1))
	atLevels(t, func(t *testing.T) {
		for i, g := range geometries()[:40] {
			x, w, bias := random[float32](1, g.N*g.C*g.H*g.W), random[float32](2, g.M*g.depth()), make([]float32, g.M)
			for j := range bias {
				bias[j] = minus
			}
			switch i % 4 {
			case 0:
				x[len(x)/2], x[len(x)/3] = nan, -inf
			case 1:
				w[len(w)/2], w[0] = inf, nan
			case 2:
				clear(x)
				for j := 0; j < len(w); j += 2 {
					w[j] = -1
				}
			case 3:
				for j := range w {
					w[j] = minus
				}
			}
			y := make([]float32, g.N*g.M*g.OH*g.OW)
			ConvForward(NewRunner(1), &g, y, x, PackConv(&g, w), bias)
			same(t, fmt.Sprintf("%+v", g), y, naiveConv(&g, x, w, bias))
		}
	})
}

// Products and sums are rounded one by one: (1+e)(1-e) - 1, whose product rounds
// to 1, is 0, and -e*e when fused.
func TestNothingIsFused(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		const e = 1.0 / (1 << 13)
		for _, channels := range []int{1, 40} {
			g := conv(1, channels, 1, 64, 8*channels, 1, 1, 1, 1, channels)
			if channels > 1 {
				g.M = channels
			}
			x, w, bias := make([]float32, channels*64), make([]float32, g.M), make([]float32, g.M)
			fill(x, 1+e)
			fill(w, 1-e)
			fill(bias, -1)
			y := random[float32](1, g.M*64)
			ConvForward(NewRunner(1), &g, y, x, PackConv(&g, w), bias)
			same(t, "conv", y, make([]float32, len(y)))
		}
		for m := 1; m < 20; m++ {
			for _, trans := range []bool{false, true} {
				g := MatMul{M: m, K: 2, N: 37, TransB: trans}
				a, b := make([]float32, m*2), make([]float32, 2*37)
				for i := range m {
					a[2*i], a[2*i+1] = -1, 1+e
				}
				for j := range 37 {
					if trans {
						b[2*j], b[2*j+1] = 1, 1-e
					} else {
						b[j], b[37+j] = 1, 1-e
					}
				}
				y := random[float32](1, m*37)
				MatMulForward(NewRunner(1), &g, y, a, b)
				same(t, "matmul", y, make([]float32, len(y)))
			}
		}
	})
}

func testAdjoint[T Float](t *testing.T, tolerance float64) {
	for i, g := range geometries() {
		seed := uint64(10 * i)
		x, w := random[T](seed, g.N*g.C*g.H*g.W), random[T](seed+1, g.M*g.depth())
		dy := random[T](seed+2, g.N*g.M*g.OH*g.OW)
		y := make([]T, len(dy))
		ConvForward(NewRunner(2), &g, y, x, PackConv(&g, w), nil)
		var first []T
		for _, threads := range threadCounts {
			dx := random[T](seed+3, len(x))
			twice(threads, func(r *Runner) { ConvInput(r, &g, dx, dy, w) })
			a, b := dot(y, dy), dot(x, dx)
			scale := math.Sqrt(dot(y, y)*dot(dy, dy)) + math.Sqrt(dot(x, x)*dot(dx, dx))
			if !(math.Abs(a-b) <= tolerance*scale) {
				t.Fatalf("%+v: <y, dy> is %v, <x, dx> is %v", g, a, b)
			}
			if first == nil {
				first = dx
			}
			same(t, fmt.Sprintf("%d threads, %+v", threads, g), dx, first)
		}
	}
}

// <conv(x), dy> = <x, adjoint(dy)>, and threads make no difference.
func TestConvInputIsTheAdjoint(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		t.Run("float64", func(t *testing.T) { testAdjoint[float64](t, 1e-12) })
		t.Run("float32", func(t *testing.T) { testAdjoint[float32](t, 1e-5) })
	})
}

// A unit vector through ConvInput is the row of weights that reads it: the
// adjoint identity could hold of a wrong pair.
func TestConvInputElements(t *testing.T) {
	for _, g := range geometries()[:60] {
		dy := make([]float64, g.N*g.M*g.OH*g.OW)
		dy[len(dy)/2] = 1
		w := random[float64](1, g.M*g.depth())
		got := make([]float64, g.N*g.C*g.H*g.W)
		ConvInput(NewRunner(1), &g, got, dy, w)
		want := make([]float64, len(got))
		o := len(dy) / 2
		n, m, oh, ow := o/(g.M*g.OH*g.OW), o/(g.OH*g.OW)%g.M, o/g.OW%g.OH, o%g.OW
		cg := g.C / g.Groups
		for c := range cg {
			for kh := range g.KH {
				for kw := range g.KW {
					ih, iw := oh*g.StrideH+kh*g.DilationH-g.PadTop, ow*g.StrideW+kw*g.DilationW-g.PadLeft
					if ih >= 0 && ih < g.H && iw >= 0 && iw < g.W {
						want[((n*g.C+m/g.rows()*cg+c)*g.H+ih)*g.W+iw] += w[((m*cg+c)*g.KH+kh)*g.KW+kw]
					}
				}
			}
		}
		same(t, fmt.Sprintf("%+v", g), got, want)
	}
}

func TestConvOfNothing(t *testing.T) {
	r := NewRunner(2)
	for _, g := range []Conv{
		{N: 0, C: 3, H: 4, W: 4, M: 2, KH: 1, KW: 1, OH: 4, OW: 4, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1},
		{N: 1, C: 3, H: 4, W: 4, M: 2, KH: 1, KW: 1, OH: 0, OW: 4, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1},
		{N: 1, C: 0, H: 4, W: 4, M: 2, KH: 1, KW: 1, OH: 4, OW: 4, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1},
		{N: 1, C: 3, H: 0, W: 0, M: 2, KH: 2, KW: 2, OH: 1, OW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1, Groups: 1},
	} {
		x, w := random[float32](1, g.N*g.C*g.H*g.W), random[float32](2, g.M*g.depth())
		y := random[float32](3, g.N*g.M*g.OH*g.OW)
		bias := []float32{1, 2}
		want := naiveConv(&g, x, w, bias)
		ConvForward(r, &g, y, x, PackConv(&g, w), bias)
		same(t, "y", y, want)
		dx := random[float32](3, len(x))
		ConvInput(r, &g, dx, y, w)
		if len(y) == 0 {
			same(t, "dx", dx, make([]float32, len(dx)))
		}
	}
}

func naiveMatMul[T int32 | int64 | uint32 | uint64 | float32 | float64](g *MatMul, a, b []T) []T {
	y := make([]T, g.M*g.N)
	for i := range g.M {
		for j := range g.N {
			var s T
			for p := range g.K {
				u, v := i*g.K+p, p*g.N+j
				if g.TransA {
					u = p*g.M + i
				}
				if g.TransB {
					v = j*g.K + p
				}
				q := T(a[u] * b[v])
				s += q
			}
			y[i*g.N+j] = s
		}
	}
	return y
}

func products() []MatMul {
	gs := []MatMul{
		{M: 1, K: 1, N: 1}, {M: 1, K: 512, N: 1000}, {M: 2, K: 300, N: 77}, {M: 3, K: 300, N: 77}, {M: 197, K: 64, N: 197},
		{M: 8, K: 256, N: 32}, {M: 8, K: 257, N: 33}, {M: 200, K: 520, N: 40}, {M: 40, K: 20, N: 600}, {M: 5, K: 0, N: 3}, {M: 0, K: 4, N: 4}, {M: 4, K: 4, N: 0},
		{M: 400, K: 3, N: 1}, {M: 1, K: 3, N: 400}, {M: 1, K: 40, N: 5}, {M: 64, K: 64, N: 64},
	}
	r := rand.New(rand.NewPCG(3, 3))
	for len(gs) < 60 {
		gs = append(gs, MatMul{M: 1 + r.IntN(30), K: 1 + r.IntN(300), N: 1 + r.IntN(90)})
	}
	return gs
}

func testMatMul[T Float](t *testing.T) {
	for i, g := range products() {
		for trans := range 4 {
			g.TransA, g.TransB = trans&1 > 0, trans&2 > 0
			a, b := random[T](uint64(i), g.M*g.K), random[T](uint64(i)+100, g.K*g.N)
			want := naiveMatMul(&g, a, b)
			for _, threads := range threadCounts {
				twice(threads, func(r *Runner) {
					y := random[T](5, len(want))
					MatMulForward(r, &g, y, a, b)
					same(t, fmt.Sprintf("%d threads, %+v", threads, g), y, want)
				})
			}
		}
	}
}

// The product is the definition, bit for bit, whatever the threads and the
// instruction set.
func TestMatMulForward(t *testing.T) {
	atLevels(t, func(t *testing.T) {
		t.Run("float32", testMatMul[float32])
		t.Run("float64", testMatMul[float64])
	})
}

// Batches may share operands and lie in any order.
func TestMatMulBatches(t *testing.T) {
	for _, m := range []int{1, 9} {
		g := MatMul{M: m, K: 31, N: 40}
		my, ma, mb := g.M*g.N, g.M*g.K, g.K*g.N
		a, b := random[float32](1, 2*ma), random[float32](2, 3*mb)
		g.Batches = [][3]int{{2 * my, 0, mb}, {0, ma, 0}, {my, ma, 2 * mb}, {4 * my, 0, 0}}
		for _, threads := range threadCounts {
			y := make([]float32, 5*my)
			fill(y, 7)
			MatMulForward(NewRunner(threads), &g, y, a, b)
			want := make([]float32, len(y))
			fill(want, 7)
			for _, o := range g.Batches {
				copy(want[o[0]:], naiveMatMul(&g, a[o[1]:], b[o[2]:]))
			}
			same(t, fmt.Sprintf("%d threads", threads), y, want)
		}
		g.Batches = [][3]int{}
		y := []float32{1}
		MatMulForward(NewRunner(2), &g, y, nil, nil)
		same(t, "no batches", y, []float32{1})
	}
}

func testMatMulInt[T int32 | int64 | uint32 | uint64](t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, g := range products() {
		for trans := range 4 {
			g.TransA, g.TransB = trans&1 > 0, trans&2 > 0
			a, b := make([]T, g.M*g.K), make([]T, g.K*g.N)
			for i := range a {
				a[i] = T(r.Uint64())
			}
			for i := range b {
				b[i] = T(r.Uint64())
			}
			want := naiveMatMul(&g, a, b)
			y := make([]T, len(want))
			MatMulInt(NewRunner(3), &g, y, a, b)
			for i, v := range want {
				if y[i] != v {
					t.Fatalf("%+v: element %d is %v, want %v", g, i, y[i], v)
				}
			}
		}
	}
}

func TestMatMulInt(t *testing.T) {
	t.Run("int32", testMatMulInt[int32])
	t.Run("int64", testMatMulInt[int64])
	t.Run("uint32", testMatMulInt[uint32])
	t.Run("uint64", testMatMulInt[uint64])
}

func testMatMulInteger[A, B uint8 | int8](t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, g := range products() {
		a, b := make([]A, g.M*g.K), make([]B, g.K*g.N)
		wa, wb := make([]int32, len(a)), make([]int32, len(b))
		for i := range a {
			a[i] = A(r.Uint32())
			wa[i] = int32(a[i])
		}
		for i := range b {
			b[i] = B(r.Uint32())
			wb[i] = int32(b[i])
		}
		want := naiveMatMul(&g, wa, wb)
		y := make([]int32, len(want))
		fill(y, 3)
		MatMulInteger(NewRunner(3), &g, y, a, b)
		for i, v := range want {
			if y[i] != v {
				t.Fatalf("%+v: element %d is %v, want %v", g, i, y[i], v)
			}
		}
	}
}

func TestMatMulInteger(t *testing.T) {
	t.Run("uint8 uint8", testMatMulInteger[uint8, uint8])
	t.Run("uint8 int8", testMatMulInteger[uint8, int8])
	t.Run("int8 uint8", testMatMulInteger[int8, uint8])
	t.Run("int8 int8", testMatMulInteger[int8, int8])
}

// After the first call there is scratch memory; what is left is the closures.
func TestCallsDoNotAllocate(t *testing.T) {
	const most = 3
	r := NewRunner(1)
	check := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(5, f); n > most {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	for _, g := range []Conv{
		conv(2, 16, 14, 14, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1), conv(2, 16, 14, 14, 20, 3, 3, 2, 1, 1, 1, 1, 1, 1),
		conv(1, 16, 14, 14, 16, 3, 3, 1, 1, 16, 1, 1, 1, 1), conv(1, 16, 14, 14, 20, 1, 1, 1, 1, 1),
	} {
		x, w := random[float32](1, g.N*g.C*g.H*g.W), random[float32](2, g.M*g.depth())
		y := make([]float32, g.N*g.M*g.OH*g.OW)
		packed := PackConv(&g, w)
		check("ConvForward", func() { ConvForward(r, &g, y, x, packed, nil) })
		check("ConvInput", func() { ConvInput(r, &g, x, y, w) })
	}
	for _, m := range []int{1, 50} {
		g := MatMul{M: m, K: 300, N: 70}
		a, b, y := random[float64](1, m*300), random[float64](1, 300*70), make([]float64, m*70)
		check("MatMulForward", func() { MatMulForward(r, &g, y, a, b) })
	}
	g := Pool{N: 2, C: 3, H: 9, W: 9, KH: 3, KW: 3, OH: 7, OW: 7, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}
	x, y := random[float32](1, 2*3*81), make([]float32, 2*3*49)
	check("MaxPool", func() { MaxPool(r, &g, y, x) })
	check("AveragePool", func() { AveragePool(r, &g, y, x) })
	check("Softmax", func() { Softmax(r, y, y, 6, 49) })
}
