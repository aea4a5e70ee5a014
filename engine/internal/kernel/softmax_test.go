package kernel

import (
	"math"
	"testing"
)

// near fails unless got is want within a relative or absolute tolerance.
func near[T Float](t *testing.T, what string, got, want []T, tolerance float64) {
	t.Helper()
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - float64(v)); !(d <= tolerance*max(1, math.Abs(float64(v)))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], v)
		}
	}
}

func testSoftmax[T Float](t *testing.T, tolerance float64) {
	const rows, n = 200, 37
	x := random[T](1, rows*n)
	for i := range x {
		x[i] *= 20
	}
	for i := range n {
		x[i] += 1e4 // exp of which overflows
	}
	soft, log := make([]T, len(x)), make([]T, len(x))
	for i := range rows {
		row := x[i*n:][:n]
		most, sum := math.Inf(-1), 0.0
		for _, v := range row {
			most = max(most, float64(v))
		}
		for _, v := range row {
			sum += math.Exp(float64(v) - most)
		}
		for j, v := range row {
			soft[i*n+j] = T(math.Exp(float64(v)-most) / sum)
			log[i*n+j] = T(float64(v) - most - math.Log(sum))
		}
	}
	var first, firstLog []T
	for _, threads := range threadCounts {
		r := NewRunner(threads)
		y, z := make([]T, len(x)), make([]T, len(x))
		Softmax(r, y, x, rows, n)
		near(t, "softmax", y, soft, tolerance)
		LogSoftmax(r, z, x, rows, n)
		near(t, "log softmax", z, log, tolerance)
		if first == nil {
			first, firstLog = y, z
		}
		same(t, "softmax, with threads", y, first)
		same(t, "log softmax, with threads", z, firstLog)
	}
	r := NewRunner(1)
	in := append([]T{}, x...)
	Softmax(r, in, in, rows, n)
	same(t, "softmax in place", in, first)
	in = append([]T{}, x...)
	LogSoftmax(r, in, in, rows, n)
	same(t, "log softmax in place", in, firstLog)
}

func TestSoftmax(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testSoftmax[float32](t, 1e-6) })
	t.Run("float64", func(t *testing.T) { testSoftmax[float64](t, 1e-14) })
}

func TestSoftmaxSpecialValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct{ x, y []float64 }{
		{[]float64{0, -inf, 0}, []float64{0.5, 0, 0.5}},
		{[]float64{0, nan, 0}, []float64{nan, nan, nan}},
		{[]float64{nan, 0, 0}, []float64{nan, nan, nan}},
		{[]float64{-inf, -inf, -inf}, []float64{nan, nan, nan}},
		{[]float64{5}, []float64{1}},
	} {
		y := make([]float64, len(c.x))
		Softmax(NewRunner(1), y, c.x, 1, len(c.x))
		same(t, "float64", y, c.y)
		x32, y32, want := make([]float32, len(c.x)), make([]float32, len(c.x)), make([]float32, len(c.x))
		for i, v := range c.x {
			x32[i], want[i] = float32(v), float32(c.y[i])
		}
		Softmax(NewRunner(1), y32, x32, 1, len(c.x))
		same(t, "float32", y32, want)
	}
	Softmax[float32](NewRunner(1), nil, nil, 0, 3)
	Softmax[float32](NewRunner(1), nil, nil, 3, 0)
}

// The derivatives are the central differences of the functions.
func TestSoftmaxDerivatives(t *testing.T) {
	const rows, n, h = 3, 7, 1e-6
	r := NewRunner(2)
	x, v := random[float64](1, rows*n), random[float64](2, rows*n)
	along := func(f func(y, x []float64)) []float64 {
		a, b, d := make([]float64, rows*n), make([]float64, rows*n), make([]float64, rows*n)
		at := make([]float64, rows*n)
		for i := range at {
			at[i] = x[i] + h*v[i]
		}
		f(a, at)
		for i := range at {
			at[i] = x[i] - h*v[i]
		}
		f(b, at)
		for i := range d {
			d[i] = (a[i] - b[i]) / (2 * h)
		}
		return d
	}
	y, got := make([]float64, rows*n), make([]float64, rows*n)

	softmax := func(y, x []float64) { Softmax(r, y, x, rows, n) }
	softmax(y, x)
	SoftmaxDerivative(r, got, y, v, rows, n)
	near(t, "softmax", got, along(softmax), 1e-8)
	u := random[float64](3, rows*n)
	back := append([]float64{}, u...)
	SoftmaxDerivative(r, back, y, back, rows, n)
	if a, b := dot(got, u), dot(v, back); math.Abs(a-b) > 1e-12 {
		t.Errorf("softmax: <push(v), u> is %v, <v, pull(u)> is %v", a, b)
	}

	logSoftmax := func(y, x []float64) { LogSoftmax(r, y, x, rows, n) }
	logSoftmax(y, x)
	LogSoftmaxPush(r, got, y, v, rows, n)
	near(t, "log softmax", got, along(logSoftmax), 1e-8)
	back = append([]float64{}, u...)
	LogSoftmaxPull(r, back, y, back, rows, n)
	if a, b := dot(got, u), dot(v, back); math.Abs(a-b) > 1e-12 {
		t.Errorf("log softmax: <push(v), u> is %v, <v, pull(u)> is %v", a, b)
	}
}

// exp32 is within one unit in the last place of the exponential, down to the
// denormals, and the rounded exponential for nearly all.
func TestExp32(t *testing.T) {
	off := 0
	const steps = 400000
	for i := range steps {
		x := float32(-106 + float64(i)*(196.0/steps))
		got, want := exp32(x), float32(math.Exp(float64(x)))
		if got != want {
			off++
			if d := int64(math.Float32bits(got)) - int64(math.Float32bits(want)); d < -1 || d > 1 {
				t.Fatalf("exp(%v) is %v, want %v", x, got, want)
			}
		}
	}
	if off > steps/20 {
		t.Errorf("%d of %d are not the nearest", off, steps)
	}
	for _, c := range [][2]float64{{0, 1}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), 0}, {200, math.Inf(1)}, {-200, 0}} {
		if got := exp32(float32(c[0])); float64(got) != c[1] {
			t.Errorf("exp(%v) is %v", c[0], got)
		}
	}
	if got := exp32(float32(math.NaN())); got == got {
		t.Errorf("exp(NaN) is %v", got)
	}
}
