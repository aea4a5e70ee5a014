package kernel

import "testing"

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
