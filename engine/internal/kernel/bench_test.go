package kernel

import "testing"

func benchmarkConv[T Float](b *testing.B, g Conv) {
	r := NewRunner(1)
	x, w := random[T](1, g.N*g.C*g.H*g.W), random[T](2, g.M*g.depth())
	bias, y := random[T](3, g.M), make([]T, g.N*g.M*g.OH*g.OW)
	packed := PackConv(&g, w)
	for b.Loop() {
		ConvForward(r, &g, y, x, packed, bias)
	}
	b.ReportMetric(2*float64(len(y))*float64(g.depth())*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
}

// The layers of ResNet-18 at 224x224, and some of other networks, on one thread.
func BenchmarkConv(b *testing.B) {
	for _, c := range []struct {
		name string
		g    Conv
	}{
		{"64x3x3@56", conv(1, 64, 56, 56, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1)},
		{"128x3x3@28", conv(1, 128, 28, 28, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1)},
		{"256x3x3@14", conv(1, 256, 14, 14, 256, 3, 3, 1, 1, 1, 1, 1, 1, 1)},
		{"512x3x3@7", conv(1, 512, 7, 7, 512, 3, 3, 1, 1, 1, 1, 1, 1, 1)},
		{"512x3x3@7x8", conv(8, 512, 7, 7, 512, 3, 3, 1, 1, 1, 1, 1, 1, 1)},
		{"stem", conv(1, 3, 224, 224, 64, 7, 7, 2, 1, 1, 3, 3, 3, 3)},
		{"64to128x3x3s2@56", conv(1, 64, 56, 56, 128, 3, 3, 2, 1, 1, 1, 1, 1, 1)},
		{"64to128x1x1s2@56", conv(1, 64, 56, 56, 128, 1, 1, 2, 1, 1)},
		{"256to64x1x1@56", conv(1, 256, 56, 56, 64, 1, 1, 1, 1, 1)},
		{"depthwise32@112", conv(1, 32, 112, 112, 32, 3, 3, 1, 1, 32, 1, 1, 1, 1)},
		{"depthwise960@7", conv(1, 960, 7, 7, 960, 3, 3, 1, 1, 960, 1, 1, 1, 1)},
	} {
		b.Run(c.name+"/float32", func(b *testing.B) { benchmarkConv[float32](b, c.g) })
		b.Run(c.name+"/float64", func(b *testing.B) { benchmarkConv[float64](b, c.g) })
	}
}

func BenchmarkConvInput(b *testing.B) {
	g := conv(1, 64, 56, 56, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1)
	r := NewRunner(1)
	dx, dy, w := make([]float32, g.C*g.H*g.W), random[float32](1, g.M*g.OH*g.OW), random[float32](2, g.M*g.depth())
	for b.Loop() {
		ConvInput(r, &g, dx, dy, w)
	}
	b.ReportMetric(2*float64(len(dy))*float64(g.depth())*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
}

func BenchmarkMatMul(b *testing.B) {
	attention := make([][3]int, 12)
	for i := range attention {
		attention[i] = [3]int{i * 197 * 197, i * 197 * 64, i * 197 * 64}
	}
	for _, c := range []struct {
		name string
		g    MatMul
	}{
		{"1x512x1000", MatMul{M: 1, K: 512, N: 1000}},
		{"1x512x1000t", MatMul{M: 1, K: 512, N: 1000, TransB: true}},
		{"197x768x768", MatMul{M: 197, K: 768, N: 768}},
		{"197x768x768t", MatMul{M: 197, K: 768, N: 768, TransB: true}},
		{"12x197x64x197t", MatMul{M: 197, K: 64, N: 197, TransB: true, Batches: attention}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, g := NewRunner(1), c.g
			n := g.batches()
			x, w, y := random[float32](1, n*g.M*g.K), random[float32](2, n*g.K*g.N), make([]float32, n*g.M*g.N)
			for b.Loop() {
				MatMulForward(r, &g, y, x, w)
			}
			b.ReportMetric(2*float64(len(y))*float64(g.K)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
		})
	}
}

func BenchmarkMaxPool(b *testing.B) {
	g := Pool{N: 1, C: 64, H: 112, W: 112, KH: 3, KW: 3, OH: 56, OW: 56, StrideH: 2, StrideW: 2, DilationH: 1, DilationW: 1, PadTop: 1, PadLeft: 1}
	x, y := random[float32](1, 64*112*112), make([]float32, 64*56*56)
	for b.Loop() {
		MaxPool(NewRunner(1), &g, y, x)
	}
}

func BenchmarkSoftmax(b *testing.B) {
	x, y := random[float32](1, 12*197*197), make([]float32, 12*197*197)
	for b.Loop() {
		Softmax(NewRunner(1), y, x, 12*197, 197)
	}
}

// BenchmarkTile is the ceiling of the others: operands in the first cache.
func BenchmarkTile(b *testing.B) {
	for _, m := range micros32 {
		b.Run(m.name, func(b *testing.B) {
			const k = 256
			w := &worker{}
			x, y, c := scratch[float32](w, 0, k*m.mr), scratch[float32](w, 1, k*m.nr), scratch[float32](w, 2, m.mr*m.nr)
			copy(x, random[float32](1, len(x)))
			copy(y, random[float32](1, len(y)))
			for b.Loop() {
				m.tile(k, &x[0], &y[0], &c[0], m.nr)
			}
			b.ReportMetric(2*float64(m.nr*m.mr*k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
		})
	}
}
