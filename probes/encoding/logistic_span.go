package encoding

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

// Weights that make a penalised loss least are a sum of the training codes, each times
// a coefficient (the representer theorem), so that n coefficients stand for any number
// of bits. Of two such sums the products of all pairs of codes give the scores, the
// lengths and the gradients. L-BFGS over the weights never leaves the span either: here
// it takes the same steps there, at a price that does not depend on the bits.
//
// Codes are taken less their mean, which an intercept without a penalty makes up for:
// that takes away the direction in which the loss is by far the steepest.

// maxSpan is the most items whose products of pairs are held: 1 GiB.
const maxSpan = 1 << 14

func spanIsFaster(c *Codes) bool {
	return c.n <= min(c.width*8, maxSpan) && c.width*8 <= 1<<24 // up to where a float32 counts
}

// span is the set of weights that are sums of the codes less their mean.
type span struct {
	n, rows int
	shared  []float32 // [n,n]: how many bits of 1 two codes have in common
	threads int
	codes   *Codes
}

// vector is rows of weights in a span.
type vector struct {
	of        []float64 // [rows,n]: coefficients, which sum to 0 in each row
	scores    []float64 // [rows,n]: what they give each code less the mean
	intercept []float64 // [rows]
}

func (s *span) vector() *vector {
	return &vector{make([]float64, s.rows*s.n), make([]float64, s.rows*s.n), make([]float64, s.rows)}
}

// add adds a times u.
func (v *vector) add(a float64, u *vector) {
	floats.AddScaled(v.of, a, u.of)
	floats.AddScaled(v.scores, a, u.scores)
	floats.AddScaled(v.intercept, a, u.intercept)
}

func (v *vector) scale(a float64) {
	floats.Scale(a, v.of)
	floats.Scale(a, v.scores)
	floats.Scale(a, v.intercept)
}

// product is that of the weights, without the intercepts.
func (v *vector) product(u *vector) float64 { return floats.Dot(v.of, u.scores) }

func (v *vector) dot(u *vector) float64 { return v.product(u) + floats.Dot(v.intercept, u.intercept) }

// fitSpan makes the penalised loss of the codes least over the span of the codes.
func fitSpan(ctx context.Context, c *Codes, loss loss, o logisticOptions) (*fitted, error) {
	s := &span{n: c.n, rows: loss.rows(), threads: o.Threads, codes: c}
	if err := s.count(ctx); err != nil {
		return nil, err
	}
	at, steps, slope := s.vector(), 0, 0.0
	by := make([]float64, s.rows*s.n) // the derivatives of the loss by the scores
	s.derive(loss, by, at)
	grad := s.gradient(by, at, o.C)
	var past memory
	for ; ; steps++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		slope = math.Sqrt(max(grad.dot(grad), 0))
		if slope <= o.Tolerance || steps == o.Iterations {
			break
		}
		step := past.direction(s, grad)
		if !(grad.dot(step) < 0) {
			break // rounding hides what is left to gain
		}
		step.scale(s.length(loss, by, at, step, o.C))
		at.add(1, step)
		s.derive(loss, by, at)
		next := s.gradient(by, at, o.C)
		grad.scale(-1)
		grad.add(1, next)
		past.add(step, grad)
		grad = next
	}
	return &fitted{s.weights(at), steps, slope}, nil
}

// count fills shared.
func (s *span) count(ctx context.Context) error {
	n := s.n
	s.shared = make([]float32, n*n)
	ones := make([]int, n)
	s.codes.split(n, s.threads, func(from, to int) {
		words := make([]uint64, s.codes.words)
		for i := from; i < to; i++ {
			s.codes.wordsOf(words, i)
			ones[i] = count(words)
		}
	})
	const chunk = 64
	return share(ctx, s.threads, (n+chunk-1)/chunk, nil, func(unit int) {
		lo, hi := unit*chunk, min((unit+1)*chunk, n)
		everything := func(int, int) uint64 { return 1 << 40 }
		newScan(s.codes, s.codes, lo, hi, SearchOptions{}).each(ctx, 0, (hi+lanes-1)/lanes, everything, func(i int, keys []key) {
			i += lo
			for _, k := range keys {
				if j := rowOf(k); j <= i {
					both := float32((ones[i] + ones[j] - distanceOf(k)) / 2)
					s.shared[i*n+j], s.shared[j*n+i] = both, both
				}
			}
		})
	})
}

// derive fills by with the derivatives of the loss by the scores at v, and is the loss.
func (s *span) derive(loss loss, by []float64, v *vector) float64 {
	copy(by, v.scores)
	for j, b := range v.intercept {
		floats.AddConst(b, by[j*s.n:(j+1)*s.n])
	}
	return loss.at(by)
}

// gradient is that of the penalised loss at v, given the derivatives of the loss.
func (s *span) gradient(by []float64, v *vector, c float64) *vector {
	g := s.vector()
	for j := range s.rows {
		row := g.of[j*s.n : (j+1)*s.n]
		copy(row, by[j*s.n:(j+1)*s.n])
		floats.Scale(c, row)
		g.intercept[j] = floats.Sum(row)
		centre(row)
	}
	s.times(g.scores, g.of)
	floats.Add(g.of, v.of)
	floats.Add(g.scores, v.scores)
	return g
}

// centre takes its mean from every element of a row.
func centre(row []float64) { floats.AddConst(-floats.Sum(row)/float64(len(row)), row) }

// times fills dst with the scores that coefficients give.
func (s *span) times(dst, of []float64) {
	n := s.n
	s.codes.split(n, s.threads, func(from, to int) {
		for i := from; i < to; i++ {
			line, j := s.shared[i*n:(i+1)*n], 0
			for ; j+4 <= s.rows; j += 4 {
				dst[j*n+i], dst[(j+1)*n+i], dst[(j+2)*n+i], dst[(j+3)*n+i] = dot4(line, of[j*n:(j+4)*n])
			}
			for ; j < s.rows; j++ {
				dst[j*n+i] = dot1(line, of[j*n:(j+1)*n])
			}
		}
	})
	for j := range s.rows {
		centre(dst[j*n : (j+1)*n])
	}
}

// dot4 is the products of x with four rows of its length.
func dot4(x []float32, y []float64) (a, b, c, d float64) {
	n := len(x)
	y0, y1, y2, y3 := y[:n], y[n:2*n], y[2*n:3*n], y[3*n:4*n]
	for i, v := range x {
		v := float64(v)
		a += v * y0[i]
		b += v * y1[i]
		c += v * y2[i]
		d += v * y3[i]
	}
	return a, b, c, d
}

// dot1 is the product of x with y, by four sums at a time.
func dot1(x []float32, y []float64) float64 {
	var a, b, c, d float64
	for len(x) >= 4 && len(y) >= 4 {
		a += float64(x[0]) * y[0]
		b += float64(x[1]) * y[1]
		c += float64(x[2]) * y[2]
		d += float64(x[3]) * y[3]
		x, y = x[4:], y[4:]
	}
	for i, v := range x {
		a += float64(v) * y[i]
	}
	return a + b + c + d
}

// length is how many times step leads from v to where the penalised loss is about the
// least along it: where its slope, which grows along the way, is a tenth at most. No
// product of codes is needed for it.
func (s *span) length(loss loss, by []float64, v, step *vector, c float64) float64 {
	here, square := v.product(step), step.product(step)
	way := s.vector()
	slope := func(t float64) float64 {
		copy(way.scores, v.scores)
		copy(way.intercept, v.intercept)
		floats.AddScaled(way.scores, t, step.scores)
		floats.AddScaled(way.intercept, t, step.intercept)
		s.derive(loss, by, way)
		sum := floats.Dot(by, step.scores)
		for j, b := range step.intercept {
			sum += b * floats.Sum(by[j*s.n:(j+1)*s.n])
		}
		return c*sum + here + t*square
	}
	low, below := 0.0, slope(0)
	enough := math.Abs(below) / 10
	t := 1.0
	high, above := math.Inf(1), 0.0
	for range 40 {
		d := slope(t)
		if math.Abs(d) <= enough {
			break
		}
		if d < 0 {
			low, below = t, d
		} else {
			high, above = t, d
		}
		if math.IsInf(high, 1) {
			t *= 4
			continue
		}
		// The secant, kept away from the ends.
		w := above / (above - below)
		t = high + min(max(w, 0.1), 0.9)*(low-high)
	}
	return t
}

// weights are those of v over the bits, with the intercepts for codes as they are.
func (s *span) weights(v *vector) []float64 {
	width := s.codes.width*8 + 1
	w := make([]float64, s.rows*width)
	scores := make([]float64, s.n)
	for j := range s.rows {
		row := w[j*width : (j+1)*width]
		s.codes.sumOf(row[:width-1], v.of[j*s.n:(j+1)*s.n], s.threads)
		score(scores, s.codes, row, s.threads)
		row[width-1] = v.intercept[j] - floats.Sum(scores)/float64(s.n)
	}
	return w
}

// memory is what L-BFGS knows of past steps: where they led, and how the gradient
// changed (Nocedal and Wright, Numerical Optimization, algorithm 7.4).
type memory struct{ steps, changes []*vector }

// remembered is how many steps it knows.
const remembered = 12

func (m *memory) add(step, change *vector) {
	if !(step.dot(change) > 0) {
		return
	}
	m.steps, m.changes = append(m.steps, step), append(m.changes, change)
	if len(m.steps) > remembered {
		m.steps, m.changes = m.steps[1:], m.changes[1:]
	}
}

// direction is the quasi-Newton step for a gradient.
func (m *memory) direction(s *span, grad *vector) *vector {
	d := s.vector()
	d.add(-1, grad)
	parts := make([]float64, len(m.steps))
	for i := len(m.steps) - 1; i >= 0; i-- {
		parts[i] = m.steps[i].dot(d) / m.steps[i].dot(m.changes[i])
		d.add(-parts[i], m.changes[i])
	}
	if i := len(m.steps) - 1; i >= 0 {
		d.scale(m.steps[i].dot(m.changes[i]) / m.changes[i].dot(m.changes[i]))
	} else {
		d.scale(1 / max(math.Sqrt(grad.dot(grad)), 1))
	}
	for i, step := range m.steps {
		d.add(parts[i]-m.changes[i].dot(d)/step.dot(m.changes[i]), step)
	}
	return d
}
