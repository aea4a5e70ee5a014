package kernel

import "math"

// grainExp is how many exponentials are worth a goroutine.
const grainExp = 1 << 12

// rowwise calls f for each of rows rows of n elements.
func rowwise(r *Runner, rows, n int, f func(w *worker, lo, hi int)) {
	if n == 0 {
		return
	}
	r.each(rows, ceilDiv(grainExp, n), func(w *worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			f(w, i*n, (i+1)*n)
		}
	})
}

// exps sets y to exp(x - most), which may be x itself, and returns the sum.
func exps[T Float](y, x []T, most T) (sum float64) {
	y = y[:len(x)]
	if x32, ok := any(x).([]float32); ok {
		y32, m := any(y).([]float32), float32(most)
		for i, v := range x32 {
			e := exp32(v - m)
			y32[i] = e
			sum += float64(e)
		}
		return sum
	}
	for i, v := range x {
		e := math.Exp(float64(v - most))
		y[i] = T(e)
		sum += e
	}
	return sum
}

// largest is the largest of x, or a NaN that is in it.
func largest[T Float](x []T) T {
	most := x[0]
	for _, v := range x {
		if v > most || v != v {
			most = v
		}
	}
	return most
}

// Softmax sets y to the softmax of each of rows rows of n elements, which may be
// x itself. The maximum is subtracted first; sums are in float64.
func Softmax[T Float](r *Runner, y, x []T, rows, n int) {
	rowwise(r, rows, n, func(_ *worker, lo, hi int) {
		d := y[lo:hi]
		sum := exps(d, x[lo:hi], largest(x[lo:hi]))
		for i, v := range d {
			d[i] = T(float64(v) / sum)
		}
	})
}

// SoftmaxDerivative sets out to y*(g - sum(g*y)), where y is a softmax: the
// derivative along g, and, being symmetric, the gradient for g. It may be g.
func SoftmaxDerivative[T Float](r *Runner, out, y, g []T, rows, n int) {
	rowwise(r, rows, n, func(_ *worker, lo, hi int) {
		p, t, d := y[lo:hi], g[lo:hi], out[lo:hi]
		var sum float64
		for i, v := range p {
			sum += float64(float64(v) * float64(t[i]))
		}
		for i, v := range p {
			d[i] = T(float64(v) * (float64(t[i]) - sum))
		}
	})
}

// LogSoftmax sets y to the logarithm of the softmax. It may be x.
func LogSoftmax[T Float](r *Runner, y, x []T, rows, n int) {
	rowwise(r, rows, n, func(w *worker, lo, hi int) {
		s, d := x[lo:hi], y[lo:hi]
		most := largest(s)
		log := math.Log(exps(scratch[T](w, slotA, n), s, most))
		for i, v := range s {
			d[i] = T(float64(v-most) - log)
		}
	})
}

// LogSoftmaxPush sets out to t - sum(exp(y)*t), where y is a log softmax: its
// derivative along t. It may be t.
func LogSoftmaxPush[T Float](r *Runner, out, y, t []T, rows, n int) {
	rowwise(r, rows, n, func(w *worker, lo, hi int) {
		p, s, d := scratch[T](w, slotA, n), t[lo:hi], out[lo:hi]
		exps(p, y[lo:hi], 0)
		var sum float64
		for i, v := range p {
			sum += float64(float64(v) * float64(s[i]))
		}
		for i, v := range s {
			d[i] = T(float64(v) - sum)
		}
	})
}

// LogSoftmaxPull sets out to g - exp(y)*sum(g), where y is a log softmax: the
// gradient for g. It may be g.
func LogSoftmaxPull[T Float](r *Runner, out, y, g []T, rows, n int) {
	rowwise(r, rows, n, func(w *worker, lo, hi int) {
		p, s, d := scratch[T](w, slotA, n), g[lo:hi], out[lo:hi]
		exps(p, y[lo:hi], 0)
		var sum float64
		for _, v := range s {
			sum += float64(v)
		}
		for i, v := range s {
			d[i] = T(float64(v) - float64(float64(p[i])*sum))
		}
	})
}

// exp32 is the exponential from a polynomial in float64, good to the last bit of
// a float32.
func exp32(x float32) float32 {
	v := float64(x)
	switch {
	case v != v:
		return x
	case v > 89:
		return float32(math.Inf(1))
	case v < -104:
		return 0
	}
	// exp(v) = 2^n exp(f), with |f| <= ln(2)/2.
	const magic = 3 << 51 // adding it rounds to an integer, in the low bits
	s := float64(v*math.Log2E) + magic
	n := math.Float64bits(s) - math.Float64bits(magic)
	f := v - float64((s-magic)*math.Ln2)
	g := float64(f * f)
	a, b := 1+f, 0.5+float64(f*(1.0/6))
	c, d := 1.0/24+float64(f*(1.0/120)), 1.0/720+float64(f*(1.0/5040))
	p := float64((float64(d*g)+c)*float64(g*g)) + float64(b*g) + a
	return float32(p * math.Float64frombits((n+1023)<<52))
}
