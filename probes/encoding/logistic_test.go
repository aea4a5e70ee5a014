package encoding

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLogisticIsScikitLearns(t *testing.T) {
	for _, by := range []fitting{byWeights, bySpan} {
		t.Run([]string{"", "weights", "span"}[by], func(t *testing.T) { logisticIsScikitLearns(t, by) })
	}
}

func logisticIsScikitLearns(t *testing.T, by fitting) {
	for i, m := range sklearn(t) {
		train, test := m.sets(t)
		for _, c := range []struct {
			name    string
			pairs   bool
			want    []int64
			weights [][]float64
		}{{"multinomial", false, m.Multinomial, m.MultinomialWeights}, {"pairs", true, m.Pairs, m.PairsWeights}} {
			l, err := fitLogistic(t.Context(), train, logisticOptions{Pairs: c.pairs, C: m.C, Tolerance: 1e-8, by: by})
			if err != nil {
				t.Fatal(err)
			}
			if !l.Converged || len(l.Weights) != len(c.weights) {
				t.Errorf("case %d, %s: %d models, want %d; converged %v", i, c.name, len(l.Weights), len(c.weights), l.Converged)
				continue
			}
			for r, row := range c.weights {
				mine := l.Weights[r]
				sign := 1.0
				if len(l.Labels) == 2 && c.name == "multinomial" { // theirs is of the second label
					sign = -1
				}
				for j, w := range row {
					at := j
					if j == m.Bits {
						at = len(mine) - 1
					}
					// Theirs stops where the loss changes by less than 64 roundings.
					if math.Abs(sign*mine[at]-w) > 3e-5 {
						t.Fatalf("case %d, %s: weight %d of model %d is %v, want %v", i, c.name, j, r, sign*mine[at], w)
					}
				}
			}
			got, err := l.Predict(test)
			if err != nil || !slices.Equal(got, numberedAll(c.want)) {
				t.Errorf("case %d, %s: %v %v, want %v", i, c.name, err, got, c.want)
			}
		}
	}
}

// noisy is a set of noisy copies of one random code for each of k labels, with bits that
// are rarely 1, often 1, and never.
func noisy(n, width, k int, seed uint64) *Codes {
	rng := rand.New(rand.NewPCG(seed, 3))
	c, _ := NewCodes(width)
	often := make([]float64, 8*width)
	for j := range often {
		often[j] = rng.Float64() * float64(j%5) / 4
	}
	draw := func() []byte {
		code := make([]byte, width)
		for j, p := range often {
			if rng.Float64() < p {
				code[j/8] |= 128 >> (j % 8)
			}
		}
		return code
	}
	centres := make([][]byte, k)
	for i := range centres {
		centres[i] = draw()
	}
	for i := range n {
		code := draw()
		for j := range code {
			if rng.IntN(4) == 0 {
				code[j] = centres[i%k][j]
			}
		}
		_ = c.Append(code)
		c.labels.put(c.n-1, numbered(int64(i%k)))
	}
	return c
}

// The loss has one optimum. Over the span it is found as closely as over the weights:
// also of fewer bits than items, of items with one code, and of bits that are all equal.
func TestSpanGivesTheWeights(t *testing.T) {
	twice := noisy(30, 20, 3, 2)
	for i := range twice.n {
		code := make([]byte, twice.width)
		twice.At(code, i)
		_ = twice.Append(code)
		label, _ := twice.Label(i)
		twice.labels.put(twice.n-1, label)
	}
	equal, _ := NewCodes(3)
	for i := range 10 {
		_ = equal.Append([]byte{1, 2, 3})
		equal.labels.put(i, numbered(int64(i%3)))
	}
	for _, c := range []struct {
		name  string
		codes *Codes
		c     float64
	}{
		{"fewer items", noisy(60, 40, 4, 1), 1}, {"fewer bits", noisy(120, 3, 3, 1), 1}, {"two labels", noisy(50, 30, 2, 1), 0.1},
		{"a strong penalty", noisy(60, 40, 3, 1), 1e-3}, {"every code twice", twice, 1}, {"one code", equal, 1}, {"nine labels", noisy(90, 33, 9, 1), 10},
	} {
		for _, pairs := range []bool{false, true} {
			var got [2]*logistic
			for i, by := range []fitting{byWeights, bySpan} {
				var err error
				if got[i], err = fitLogistic(t.Context(), c.codes, logisticOptions{Pairs: pairs, C: c.c, Tolerance: 1e-9, by: by}); err != nil {
					t.Fatal(err)
				}
				if !got[i].Converged {
					t.Errorf("%s, pairs %v: fit %d did not converge in %d steps", c.name, pairs, by, got[i].Iterations)
				}
			}
			for r, want := range got[0].Weights {
				for j, w := range want {
					// What the line search over the weights leaves, most in the intercept, whose
					// direction is the flattest.
					if d := math.Abs(got[1].Weights[r][j] - w); d > 1e-5 {
						t.Fatalf("%s, pairs %v: weight %d of model %d is %v by the span, %v by the weights", c.name, pairs, j, r, got[1].Weights[r][j], w)
					}
				}
			}
		}
	}
}

// At the optimum the gradient over the weights vanishes, which says more than a
// comparison with another fit.
func TestSpanReachesTheOptimum(t *testing.T) {
	c := noisy(200, 100, 5, 4)
	l, err := fitLogistic(t.Context(), c, logisticOptions{Tolerance: 1e-9, by: bySpan})
	if err != nil {
		t.Fatal(err)
	}
	_, labels := c.labelled()
	_, of := classes(labels)
	w := slices.Concat(l.Weights...)
	grad := make([]float64, len(w))
	(&overWeights{c, &softmax{of, 5}, logisticOptions{C: 1, Threads: 1}}).at(w, grad)
	for i, g := range grad {
		if math.Abs(g) > 2e-9 {
			t.Fatalf("the gradient's component %d is %g", i, g)
		}
	}
}

func TestSpanStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fitLogistic(ctx, noisy(20, 30, 2, 1), logisticOptions{by: bySpan}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	l, err := fitLogistic(t.Context(), noisy(60, 30, 2, 1), logisticOptions{by: bySpan, Iterations: 2})
	if err != nil || l.Converged || l.Iterations != 2 {
		t.Errorf("with 2 iterations: %+v, %v", l, err)
	}
}
