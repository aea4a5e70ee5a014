package kernel

import (
	"math"
	"testing"
)

// shapes pairs operands with the shape they broadcast to.
var shapes = []struct{ dims, a, b []int }{
	{[]int{2, 3}, []int{2, 3}, []int{2, 3}}, {[]int{2, 3}, []int{2, 3}, []int{3}}, {[]int{2, 3}, []int{2, 3}, []int{2, 1}},
	{[]int{2, 3}, []int{1}, []int{2, 3}}, {[]int{3, 2}, []int{3, 1}, []int{1, 2}}, {[]int{}, []int{}, []int{}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{1, 3, 1, 1}}, {[]int{2, 3, 4, 5}, []int{3, 1, 5}, []int{2, 1, 4, 1}},
	{[]int{300, 70}, []int{300, 70}, []int{300, 1}}, {[]int{20000}, []int{20000}, []int{1}}, {[]int{1, 20000}, []int{20000}, []int{1, 20000}},
}

// place is where an operand's element for element i of the output lies.
func place(i int, dims, operand []int) int {
	own := Strides(operand)
	at := 0
	for a := len(dims) - 1; a >= 0; a-- {
		p := i % dims[a]
		i /= dims[a]
		if k := a - (len(dims) - len(operand)); k >= 0 && operand[k] != 1 {
			at += p * own[k]
		}
	}
	return at
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

func TestBroadcast(t *testing.T) {
	for _, s := range shapes {
		a, b := random[float64](1, product(s.a)), random[float64](2, product(s.b))
		w := NewBroadcast(s.dims, s.a, s.b)
		for _, threads := range []int{1, 3} {
			r := NewRunner(threads)
			y := make([]float64, product(s.dims))
			check := func(name string, f func(a, b float64) float64) {
				t.Helper()
				for i := range y {
					if want := f(a[place(i, s.dims, s.a)], b[place(i, s.dims, s.b)]); y[i] != want {
						t.Fatalf("%s of %v and %v to %v on %d threads, element %d: got %g, want %g", name, s.a, s.b, s.dims, threads, i, y[i], want)
					}
				}
			}
			Arithmetic(r, w, '+', y, a, b)
			check("+", func(a, b float64) float64 { return a + b })
			Arithmetic(r, w, '-', y, a, b)
			check("-", func(a, b float64) float64 { return a - b })
			Arithmetic(r, w, '*', y, a, b)
			check("*", func(a, b float64) float64 { return a * b })
			Divide(r, w, y, a, b)
			check("/", func(a, b float64) float64 { return a / b })
			Map2(r, w, y, a, b, math.Hypot)
			check("hypot", math.Hypot)
		}
	}
}

func TestClip(t *testing.T) {
	x := []float32{-2, float32(math.Inf(-1)), 0.5, 7, float32(math.NaN()), float32(math.Copysign(0, -1))}
	y := make([]float32, len(x))
	Clip(NewRunner(1), y, x, -1, 6)
	for i, want := range []float32{-1, -1, 0.5, 6, float32(math.NaN()), 0} {
		if y[i] != want && !(want != want && y[i] != y[i]) {
			t.Errorf("of %g: got %g, want %g", x[i], y[i], want)
		}
	}
}

// Each is a move of a 3x4x5 tensor.
func TestMove(t *testing.T) {
	x := make([]float64, 60)
	for i := range x {
		x[i] = float64(i)
	}
	rows := []int{0, 20, 40}
	for _, c := range []struct {
		name   string
		offset [][]int
		want   []float64 // the first few
	}{
		{"nowhere", [][]int{rows, {0, 5, 10, 15}, {0, 1, 2, 3, 4}}, x},
		{"turned", [][]int{{0, 1, 2, 3, 4}, {0, 5, 10, 15}, rows}, []float64{0, 20, 40, 5, 25, 45}},
		{"reversed", [][]int{{40, 20, 0}, {0, 5, 10, 15}, {0, 1, 2, 3, 4}}, []float64{40, 41, 42, 43, 44, 45}},
		{"repeated", [][]int{{0, 0}, {0, 0, 0}, {7, 8}}, []float64{7, 8, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8}},
		{"padded", [][]int{{-1, 20}, {5, -1}, {-1, 0}}, []float64{9, 9, 9, 9, 9, 25, 9, 9}},
		{"padded pieces", [][]int{{20, -1, 0}, {0, 5, 10, 15}, {0, 1, 2, 3, 4}}, []float64{20, 21, 22}},
		{"one", [][]int{{0}}, []float64{0}},
		{"a scalar", nil, []float64{0}},
	} {
		m := NewMove(c.offset)
		n := 1
		for _, o := range c.offset {
			n *= len(o)
		}
		for _, threads := range []int{1, 3} {
			y := make([]float64, n)
			MoveForward(NewRunner(threads), m, y, x, 9)
			for i, want := range c.want {
				if y[i] != want {
					t.Fatalf("%s, element %d: got %g, want %g", c.name, i, y[i], want)
				}
			}
		}
		// The adjoint: <move x, g> is <x, adjoint g>.
		y, g, back := make([]float64, n), random[float64](5, n), random[float64](6, len(x))
		MoveForward(NewRunner(1), m, y, x, 0)
		MoveAdjoint(m, back, g)
		if a, b := dot(y, g), dot(x, back); math.Abs(a-b) > 1e-12*(1+math.Abs(a)) {
			t.Errorf("%s: the adjoint gives %g, want %g", c.name, b, a)
		}
	}
}

func TestReduce(t *testing.T) {
	dims := []int{3, 4, 5, 2}
	x := random[float64](3, 120)
	strides := Strides(dims)
	for mask := range 16 {
		gone := make([]bool, 4)
		for a := range gone {
			gone[a] = mask>>a&1 == 1
		}
		m := NewReduce(dims, gone)
		out := map[int][]int{} // the inputs of each output
		for i := range x {
			o := 0
			for a := range dims {
				if p := i / strides[a] % dims[a]; !gone[a] {
					o = o*dims[a] + p
				}
			}
			out[o] = append(out[o], i)
		}
		g := random[float64](9, 120)
		for _, threads := range []int{1, 3} {
			r := NewRunner(threads)
			y, where, picked := make([]float64, len(out)), make([]int64, len(out)), make([]float64, len(out))
			more := func(a, b float64) bool { return a > b }
			prod, prodPush := make([]float64, len(out)), make([]float64, len(out))
			ReduceSum(r, m, y, x, 0.5)
			ReduceArg(r, m, where, x, more, false)
			ReducePick(r, m, picked, x, g, more)
			ReduceFold(r, m, prod, x, func(a, b float64) float64 { return a * b })
			ReduceProdDerivative(r, m, prodPush, x, g, false)
			for o, in := range out {
				sum, best, p, dp := 0.0, 0, 1.0, 0.0
				for k, i := range in {
					sum += x[i]
					p *= x[i]
					if x[i] > x[in[best]] {
						best = k
					}
				}
				for _, i := range in {
					dp += g[i] * p / x[i]
				}
				if math.Abs(y[o]-sum/2) > 1e-12 || int(where[o]) != best || picked[o] != g[in[best]] || prod[o] != p || math.Abs(prodPush[o]-dp) > 1e-12*(1+math.Abs(dp)) {
					t.Fatalf("axes %v, output %d: got sum %g arg %d pick %g product %g its derivative %g, want %g %d %g %g %g", gone, o, y[o], where[o], picked[o], prod[o], prodPush[o], sum/2, best, g[in[best]], p, dp)
				}
			}
			spread := make([]float64, len(x))
			ReduceSpread(r, m, spread, x, y, more)
			if a, b := dot(spread, g), dot(y, picked); math.Abs(a-b) > 1e-12*(1+math.Abs(a)) {
				t.Errorf("axes %v: spread is not the adjoint of pick: %g and %g", gone, a, b)
			}
		}
	}
	// Zeros in a product, and the last of equal elements.
	r, m := NewRunner(1), NewReduce([]int{2, 3}, []bool{false, true})
	got := make([]float64, 6)
	ReduceProdDerivative(r, m, got, []float64{0, 2, 3, 0, 0, 4}, []float64{1, 10}, true)
	for i, want := range []float64{6, 0, 0, 0, 0, 0} {
		if got[i] != want {
			t.Errorf("product with zeros, element %d: got %g, want %g", i, got[i], want)
		}
	}
	where := make([]int64, 2)
	ReduceArg(r, m, where, []float64{5, 5, 1, 2, 7, 7}, func(a, b float64) bool { return a > b }, true)
	if where[0] != 1 || where[1] != 2 {
		t.Errorf("the last of equal elements: got %v, want [1 2]", where)
	}
}
