package encoding

import (
	"cmp"
	"context"
	"fmt"
	"math"
)

// logisticOptions go with fitLogistic.
type logisticOptions struct {
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
	// by is how to fit; tests choose.
	by fitting
}

// logistic is logistic regression on the bits of codes.
type logistic struct {
	// Labels are the labels of the training set in ascending order.
	Labels []Label
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

// fitLogistic fits the labels of train by L2-regularised logistic regression:
// C times the log loss of all items plus half the squared length of the weights, as
// scikit-learn's LogisticRegression with solver lbfgs has it. The optimum is unique,
// so that the result does not depend on the way there but for the tolerance: by the
// weights themselves, or, of fewer codes than bits, by the products of all pairs of
// codes, in the span of which the weights lie.
func fitLogistic(ctx context.Context, train *Codes, o logisticOptions) (*logistic, error) {
	o.C, o.Iterations, o.Tolerance = cmp.Or(o.C, 1), cmp.Or(o.Iterations, 1000), cmp.Or(o.Tolerance, 1e-6)
	if !(o.C > 0) || !(o.Tolerance > 0) || o.Iterations < 0 {
		return nil, fmt.Errorf("logistic regression with C %g, tolerance %g, at most %d iterations: all must be positive", o.C, o.Tolerance, o.Iterations)
	}
	o.Threads = SearchOptions{Threads: o.Threads}.threads()
	rows, labels := train.labelled()
	all, of := classes(labels)
	if len(all) < 2 {
		return nil, fmt.Errorf("logistic regression on %s: its items have %d different labels, and it takes two", train.Name, len(all))
	}
	l := &logistic{Labels: all, pairs: o.Pairs || len(all) == 2, threads: o.Threads, Converged: true}
	if !l.pairs {
		if len(rows) < train.n {
			train = train.Pick(rows)
		}
		return l, l.fit(ctx, train, &softmax{of, len(all)}, o)
	}
	for a := range all {
		for b := a + 1; b < len(all); b++ {
			var mine, sign []int
			for i, k := range of {
				if k == a || k == b {
					mine, sign = append(mine, rows[i]), append(sign, min(max(k-a, 0), 1))
				}
			}
			if err := l.fit(ctx, train.Pick(mine), &twoClass{sign}, o); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// fitting is a way to fit weights.
type fitting int

const (
	faster fitting = iota
	byWeights
	bySpan
)

// fit appends the weights that make the loss of the codes least.
func (l *logistic) fit(ctx context.Context, c *Codes, loss loss, o logisticOptions) error {
	rows, width := loss.rows(), c.width*8+1
	if int64(rows)*int64(width) > 1<<26 {
		return fmt.Errorf("logistic regression with %d times %d weights: more than %d; take fewer sites, or channel codes", rows, width, 1<<26)
	}
	find := fitWeights
	if o.by == bySpan || o.by == faster && spanIsFaster(c) {
		find = fitSpan
	}
	f, err := find(ctx, c, loss, o)
	if err != nil {
		return err
	}
	l.Converged = l.Converged && f.slope <= math.Max(o.Tolerance, 1e-4)
	l.Iterations = max(l.Iterations, f.steps)
	for i := range rows {
		l.Weights = append(l.Weights, f.weights[i*width:(i+1)*width])
	}
	return nil
}

// Predict is the label for each code. Pairs of labels vote; of labels with equally many
// votes the one with the larger sum of scores wins, as in scikit-learn.
func (l *logistic) Predict(c *Codes) ([]Label, error) {
	if len(l.Weights[0]) != c.width*8+1 {
		return nil, fmt.Errorf("predicting for %s: its codes have %d bits, the training set's %d", c.Name, c.width*8, len(l.Weights[0])-1)
	}
	scores := table[float64](len(l.Labels), c.n)
	if !l.pairs {
		for j, w := range l.Weights {
			score(scores[j], c, w, l.threads)
		}
	} else {
		l.vote(scores, c)
	}
	out := make([]Label, c.n)
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
func (l *logistic) vote(scores [][]float64, c *Codes) {
	sums := table[float64](len(l.Labels), c.n)
	p, pair := 0, make([]float64, c.n)
	for a := range l.Labels {
		for b := a + 1; b < len(l.Labels); b++ {
			score(pair, c, l.Weights[p], l.threads)
			for i, z := range pair {
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
