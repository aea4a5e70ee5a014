package encoding

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"
)

// LogisticOptions go with FitLogistic.
type LogisticOptions struct {
	// Pairs fits one model for each pair of labels, which then vote ("one versus one");
	// else one model gives a probability for each label ("multinomial"). Of two labels
	// there is one model either way.
	Pairs bool
	// C is the weight of the data against the L2 penalty on the weights, 1 when 0. The
	// intercepts are not penalised.
	C float64
	// Iterations bounds the steps of L-BFGS, 1,000 when 0, and Tolerance, 1e-6 when 0,
	// is the largest component of the gradient at which it stops.
	Iterations int
	Tolerance  float64
	// Threads is how many goroutines work; 0 takes one for each core.
	Threads int
}

// Logistic is logistic regression on the bits of codes.
type Logistic struct {
	// Labels are the labels of the training set in ascending order.
	Labels []int64
	// Weights has a row for each label, or one for each pair (0,1), (0,2) … (1,2) …,
	// positive for the first; within a row a weight for each bit, in the packed codes'
	// order, and last the intercept.
	Weights [][]float64
	// Iterations is the most steps that a model took; Converged says that every one
	// reached the tolerance.
	Iterations int
	Converged  bool

	pairs   bool
	threads int
}

// FitLogistic fits the labels of train by L2-regularised logistic regression:
// C times the log loss of all items plus half the squared length of the weights, as
// scikit-learn's LogisticRegression with solver lbfgs has it. The optimum is unique,
// so that the result does not depend on the way there but for the tolerance.
func FitLogistic(ctx context.Context, train *Codes, o LogisticOptions) (*Logistic, error) {
	if o.C == 0 {
		o.C = 1
	}
	if o.Iterations == 0 {
		o.Iterations = 1000
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-6
	}
	if !(o.C > 0) || !(o.Tolerance > 0) || o.Iterations < 0 {
		return nil, fmt.Errorf("logistic regression with C %g, tolerance %g, at most %d iterations: all must be positive", o.C, o.Tolerance, o.Iterations)
	}
	o.Threads = SearchOptions{Threads: o.Threads}.threads()
	rows, labels := train.labelled()
	all, of := classes(labels)
	if len(all) < 2 {
		return nil, fmt.Errorf("logistic regression on %s: its items have %d different labels, and it takes two", train.Name, len(all))
	}
	l := &Logistic{Labels: all, pairs: o.Pairs || len(all) == 2, threads: o.Threads, Converged: true}
	if !l.pairs {
		if len(rows) < train.n {
			train = train.Pick(rows)
		}
		return l, l.fit(ctx, &softmax{train, of, len(all), o}, o)
	}
	for a := range all {
		for b := a + 1; b < len(all); b++ {
			var mine, sign []int
			for i, k := range of {
				if k == a || k == b {
					mine, sign = append(mine, rows[i]), append(sign, min(max(k-a, 0), 1))
				}
			}
			if err := l.fit(ctx, &twoClass{train.Pick(mine), sign, o}, o); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// loss is a differentiable function of weights: rows of a weight for each bit and an
// intercept, one after the other.
type loss interface {
	shape() (rows, width int)
	// at is the loss at w; grad, when not nil, is given its gradient.
	at(w, grad []float64) float64
}

func (l *Logistic) fit(ctx context.Context, f loss, o LogisticOptions) error {
	rows, width := f.shape()
	if int64(rows)*int64(width) > 1<<26 {
		return fmt.Errorf("logistic regression with %d times %d weights: more than %d; take fewer sites, or channel codes", rows, width, 1<<26)
	}
	p := optimize.Problem{
		Func: func(w []float64) float64 { return f.at(w, nil) },
		Grad: func(grad, w []float64) { f.at(w, grad) },
		Status: func() (optimize.Status, error) {
			if err := ctx.Err(); err != nil {
				return optimize.Failure, err
			}
			return optimize.NotTerminated, nil
		},
	}
	r, err := optimize.Minimize(p, make([]float64, rows*width), &optimize.Settings{
		GradientThreshold: o.Tolerance, MajorIterations: o.Iterations, Converger: optimize.NeverTerminate{},
	}, &optimize.LBFGS{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r == nil {
		return fmt.Errorf("logistic regression: %w", err)
	}
	// The line search gives up where rounding hides what is left to gain.
	if !errors.Is(err, optimize.ErrLinesearcherFailure) && err != nil && r.Status != optimize.IterationLimit {
		return fmt.Errorf("logistic regression: %w", err)
	}
	grad := make([]float64, rows*width)
	f.at(r.X, grad)
	l.Converged = l.Converged && floats.Norm(grad, math.Inf(1)) <= math.Max(o.Tolerance, 1e-4)
	l.Iterations = max(l.Iterations, r.MajorIterations)
	for i := range rows {
		l.Weights = append(l.Weights, r.X[i*width:(i+1)*width])
	}
	return nil
}

// softmax is the multinomial loss.
type softmax struct {
	codes *Codes
	of    []int // the class of each row
	k     int
	o     LogisticOptions
}

func (s *softmax) shape() (int, int) { return s.k, s.codes.width*8 + 1 }

func (s *softmax) at(w, grad []float64) float64 {
	n, width := s.codes.n, s.codes.width*8+1
	scores := make([][]float64, s.k)
	for j := range scores {
		scores[j] = score(s.codes, w[j*width:(j+1)*width], s.o.Threads)
	}
	total := 0.0
	for i := range n {
		most := math.Inf(-1)
		for j := range scores {
			most = max(most, scores[j][i])
		}
		sum := 0.0
		for j := range scores {
			sum += math.Exp(scores[j][i] - most)
		}
		total += most + math.Log(sum) - scores[s.of[i]][i]
		for j := range scores {
			scores[j][i] = math.Exp(scores[j][i]-most) / sum
		}
		scores[s.of[i]][i]--
	}
	value := s.o.C * total
	for j := range scores {
		value += penalty(w[j*width:(j+1)*width], scores[j], grad, j, s.codes, s.o)
	}
	return value
}

// twoClass is the loss of two classes, 1 for items of sign 0.
type twoClass struct {
	codes *Codes
	sign  []int
	o     LogisticOptions
}

func (b *twoClass) shape() (int, int) { return 1, b.codes.width*8 + 1 }

func (b *twoClass) at(w, grad []float64) float64 {
	s := score(b.codes, w, b.o.Threads)
	total := 0.0
	for i, z := range s {
		if b.sign[i] == 1 {
			z = -z
		}
		// log(1 + exp(-z)) without overflow
		total += max(-z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
		s[i] = -1 / (1 + math.Exp(z))
		if b.sign[i] == 1 {
			s[i] = -s[i]
		}
	}
	return b.o.C*total + penalty(w, s, grad, 0, b.codes, b.o)
}

// score is the product of each code with one row of weights, and the intercept.
func score(c *Codes, w []float64, threads int) []float64 {
	s := make([]float64, c.n)
	bits := len(w) - 1
	for i := range s {
		s[i] = w[bits]
	}
	c.times(s, w[:bits], threads)
	return s
}

// penalty is half the squared length of row j of the weights; given the derivatives of
// the items' losses by their scores it fills the row's part of the gradient.
func penalty(w, by, grad []float64, j int, c *Codes, o LogisticOptions) float64 {
	bits := len(w) - 1
	if grad != nil {
		g := grad[j*len(w) : (j+1)*len(w)]
		clear(g)
		c.sumOf(g[:bits], by, o.Threads)
		for _, d := range by {
			g[bits] += d
		}
		floats.Scale(o.C, g)
		floats.Add(g[:bits], w[:bits])
	}
	return floats.Dot(w[:bits], w[:bits]) / 2
}

// Predict is the label for each code. Pairs of labels vote; of labels with equally many
// votes the one with the larger sum of scores wins, as in scikit-learn.
func (l *Logistic) Predict(c *Codes) ([]int64, error) {
	if len(l.Weights[0]) != c.width*8+1 {
		return nil, fmt.Errorf("predicting for %s: its codes have %d bits, the training set's %d", c.Name, c.width*8, len(l.Weights[0])-1)
	}
	scores := make([][]float64, len(l.Labels))
	for i := range scores {
		scores[i] = make([]float64, c.n)
	}
	if !l.pairs {
		for j, w := range l.Weights {
			scores[j] = score(c, w, l.threads)
		}
	} else {
		l.vote(scores, c)
	}
	out := make([]int64, c.n)
	for i := range out {
		best := 0
		for j := range scores {
			if scores[j][i] > scores[best][i] {
				best = j
			}
		}
		out[i] = l.Labels[best]
	}
	return out, nil
}

// vote gives each label its votes, and the sum of its scores squeezed into less than
// half a vote either way.
func (l *Logistic) vote(scores [][]float64, c *Codes) {
	sums := make([][]float64, len(l.Labels))
	for i := range sums {
		sums[i] = make([]float64, c.n)
	}
	p := 0
	for a := range l.Labels {
		for b := a + 1; b < len(l.Labels); b++ {
			for i, z := range score(c, l.Weights[p], l.threads) {
				sums[a][i] += z
				sums[b][i] -= z
				if z >= 0 {
					scores[a][i]++
				} else {
					scores[b][i]++
				}
			}
			p++
		}
	}
	for j := range scores {
		for i, s := range sums[j] {
			scores[j][i] += s / (3 * (math.Abs(s) + 1))
		}
	}
}
