package encoding

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"
)

// fitted are the weights that a fit ended at: rows of a weight for each bit and an
// intercept, one after the other. slope is how large the gradient is there.
type fitted struct {
	weights []float64
	steps   int
	slope   float64
}

// fitWeights makes the penalised loss of the codes least over the weights themselves.
func fitWeights(ctx context.Context, c *Codes, loss loss, o logisticOptions) (*fitted, error) {
	f := &overWeights{c, loss, o}
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
	start := make([]float64, loss.rows()*(c.width*8+1))
	r, err := optimize.Minimize(p, start, &optimize.Settings{
		GradientThreshold: o.Tolerance, MajorIterations: o.Iterations, Converger: optimize.NeverTerminate{},
	}, &optimize.LBFGS{})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if r == nil {
		return nil, fmt.Errorf("logistic regression: %w", err)
	}
	// The line search gives up where rounding hides what is left to gain.
	if !errors.Is(err, optimize.ErrLinesearcherFailure) && err != nil && r.Status != optimize.IterationLimit {
		return nil, fmt.Errorf("logistic regression: %w", err)
	}
	grad := make([]float64, len(r.X))
	f.at(r.X, grad)
	return &fitted{r.X, r.MajorIterations, floats.Norm(grad, math.Inf(1))}, nil
}

// overWeights is the penalised loss as a function of the weights.
type overWeights struct {
	codes *Codes
	loss  loss
	o     logisticOptions
}

// at is its value at w; grad, when not nil, is given its gradient.
func (f *overWeights) at(w, grad []float64) float64 {
	n, width := f.codes.n, f.codes.width*8+1
	scores := make([]float64, f.loss.rows()*n)
	for j := range f.loss.rows() {
		score(scores[j*n:(j+1)*n], f.codes, w[j*width:(j+1)*width], f.o.Threads)
	}
	value := f.o.C * f.loss.at(scores)
	for j := range f.loss.rows() {
		row := w[j*width : (j+1)*width]
		value += floats.Dot(row[:width-1], row[:width-1]) / 2
		if grad != nil {
			f.slope(grad[j*width:(j+1)*width], row, scores[j*n:(j+1)*n])
		}
	}
	return value
}

// slope fills a row of the gradient, given the derivatives by the scores.
func (f *overWeights) slope(grad, w, by []float64) {
	bits := len(w) - 1
	clear(grad)
	f.codes.sumOf(grad[:bits], by, f.o.Threads)
	grad[bits] = floats.Sum(by)
	floats.Scale(f.o.C, grad)
	floats.Add(grad[:bits], w[:bits])
}

// score fills s with the product of each code with one row of weights, and the
// intercept.
func score(s []float64, c *Codes, w []float64, threads int) {
	bits := len(w) - 1
	for i := range s {
		s[i] = w[bits]
	}
	c.times(s, w[:bits], threads)
}
