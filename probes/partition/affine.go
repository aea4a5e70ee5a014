// Package partition holds the exact geometry of the regions into which a network
// of piecewise-linear activations divides its input space.
//
// Open readies the derivatives of a model's output on an engine.Differentiator, and
// Mapper.At gives the affine map of the region that holds a point, and how far away the
// region's boundaries are along the direction in which an output grows fastest. The map is
// checked against the network inside the region and beyond its boundary: Affine.Check.
package partition

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Printed is what the verb affine prints as JSON, a contract: the map of an item's region,
// with the item and the file that the map went to.
type Printed struct {
	Model string `json:"model"`
	Item  string `json:"item"`
	File  string `json:"file,omitempty"`
	*Affine
}

// Affine is the map of the region that holds an input x. There the output's row k,
// counted in row-major order in one item of it, is
// <Weight[k], x> + Bias[k].
type Affine struct {
	Output string `json:"output"`
	// Rows are the rows that were asked for; the other lists are in their order.
	Rows []int `json:"rows"`
	// Weight holds for each row the derivative by every element of the input, in
	// row-major order; Norm is its Euclidean norm.
	Weight []float64 `json:"-"`
	Bias   []float64 `json:"bias"`
	Value  []float64 `json:"value"`
	Norm   []float64 `json:"norm"`
	// Largest is the row with the largest value, asked for or not; Along is the row
	// on whose Weight the direction lies, scaled to length 1.
	Largest   int       `json:"largest"`
	Along     int       `json:"along"`
	Direction []float64 `json:"-"`
	// Sites has the distances to the chosen sites' nearest boundaries, Ahead and
	// Behind are the nearest of all sites'. These two are exact, unless Bent or
	// Unwatched name something that bends before them. Those that lie further are
	// where the boundaries would be if nothing bent before them. A unit whose rate
	// is within rounding of 0, 1e-13 of the fastest of its site or 1e-16 of all (in
	// float32 1e-5 and 1e-8), does not move, nor one whose rate is not finite.
	// Without a direction (the weight of Along is 0) none is there.
	Sites  []Distance `json:"sites"`
	Ahead  *Crossing  `json:"ahead"`
	Behind *Crossing  `json:"behind"`
	// OnKnot is the number of units, over all sites, whose value lies exactly on a
	// knot, or whose window has several largest elements that part: x lies on their
	// boundary then, unless they stay there all around x, and belongs to the piece
	// at or below the knot.
	OnKnot int `json:"on_knot"`
	// Check is nil when there is no direction, or when x lies on a boundary both
	// ways.
	Check *Check `json:"check"`
	// Bent and Unwatched are the Mapper's.
	Bent      []string `json:"bent"`
	Unwatched []string `json:"unwatched"`
}

// Distance is how far the nearest boundaries of one site are along the direction
// and against it; nil when no unit moves towards one.
type Distance struct {
	Site   string    `json:"site"`
	Op     string    `json:"op"`
	Units  int       `json:"units"`
	Smooth bool      `json:"smooth"`
	OnKnot int       `json:"on_knot"`
	Ahead  *Crossing `json:"ahead"`
	Behind *Crossing `json:"behind"`
}

// Crossing is where a unit changes to another piece.
type Crossing struct {
	Site string `json:"site"`
	// Distance is the way to it from x, 0 when x lies on it.
	Distance float64 `json:"distance"`
	// Unit is the unit's place in the site's shape, in row-major order, and Index
	// the same as an index.
	Unit  int   `json:"unit"`
	Index []int `json:"index"`
	// Knot is the knot that the unit's value reaches, 0 of the difference where it is
	// compared with another value; nil where the largest element is taken: Element is
	// the place, in the item's value before, of the one that overtakes.
	Knot    *float64 `json:"knot,omitempty"`
	Element *int     `json:"element,omitempty"`
}

// Check compares the map with the network at points of the region and beyond it.
type Check struct {
	// Exact says that the network has nothing but lines on the way to the output
	// and that it equals the map inside the region, to within Tolerance.
	Exact     bool    `json:"exact"`
	Tolerance float64 `json:"tolerance"`
	// Error is the larger of the sides' errors.
	Error float64 `json:"error"`
	Sides []Side  `json:"sides"`
}

// Side is the check in one direction.
type Side struct {
	Side string `json:"side"` // ahead or behind
	// At is the distance of the point, half way to the nearest boundary, and Error
	// the largest difference there between the rows and the map, relative to the
	// largest output or bias. Changed is the number of units on another piece than at x:
	// 0 when the boundaries are right. Noise counts those whose value is within
	// rounding of the knot at both points, such as one that is 0 by construction.
	At      float64 `json:"at"`
	Error   float64 `json:"error"`
	Changed int     `json:"changed"`
	Noise   int     `json:"noise"`
	// Beyond is the same just beyond the boundary; nil when there is none.
	Beyond *Beyond `json:"beyond"`
}

// Beyond is what happens past a boundary.
type Beyond struct {
	At      float64 `json:"at"`
	Error   float64 `json:"error"`
	Changed int     `json:"changed"`
	// Tied is the number of units that reach the boundary together, and Crossed how
	// many of them are on another piece now: 1 or more when it is where it was said
	// to be. What reads a unit that stops there can reach its knot and stay on it.
	Tied    int `json:"tied"`
	Crossed int `json:"crossed"`
	// Bend is how much the slope of the row Along has changed, relative to its norm:
	// 0 when the unit that changed has no way to the output, math.MaxFloat64 where
	// the slope is not finite.
	Bend float64 `json:"bend"`
}

// Query says which rows to find.
type Query struct {
	// Rows are places in the output; the direction is that of the first. None takes
	// the row with the largest value.
	Rows []int
	// All takes every row, and the direction of the largest.
	All bool
	// Held is what goes into the other inputs, by name: rows of [1, shape...], as they
	// are in one item.
	Held map[string]*tensor.Tensor
}

// RowError is a row that the output does not have.
type RowError struct{ Row, Rows int }

func (e *RowError) Error() string {
	return fmt.Sprintf("the output has no row %d; it has %d, counted from 0", e.Row, e.Rows)
}

// SizeError is a map that is too large: it would take more than 4 GiB.
type SizeError struct{ Rows, Columns int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("a map of %d rows and %d columns takes "+
		"%.3g GiB, more than 4; ask for fewer rows", e.Rows, e.Columns, float64(e.Rows)*float64(e.Columns)/(1<<27))
}

// At finds the map of the region that holds x, one sample in row-major order
// (rounded to float32 where the model computes in that), and how far it is to that
// region's boundaries along the direction in which a row grows fastest. A row that
// the output does not have is a *RowError, more than can be held a *SizeError.
func (m *Mapper) At(ctx context.Context, x []float64, q Query) (*Affine, error) {
	dim := tensor.Count(m.shape)
	if len(x) != dim {
		return nil, fmt.Errorf("a sample of %d elements, the model's input %q takes %d: %v", len(x), m.input, dim, m.shape)
	}
	m.held = q.Held
	for i, v := range x {
		if v-v != 0 {
			return nil, fmt.Errorf("element %d of the sample is %g, so it has no map", i, v)
		}
	}
	x = m.round(x)
	f, shape, err := m.evaluate(ctx, x)
	if err != nil {
		return nil, err
	}
	list, scale := func(s []string) []string { return append([]string{}, s...) }, 0.0
	a := &Affine{Output: m.output, Rows: slices.Clone(q.Rows), Bent: list(m.Bent), Unwatched: list(m.Unwatched)}
	for i, v := range f {
		if v-v != 0 {
			return nil, fmt.Errorf("the network returns %g for this input (output %q, row %d), so it has no map", v, m.output, i)
		}
		scale = max(scale, math.Abs(v))
		if v > f[a.Largest] {
			a.Largest = i
		}
	}
	a.Along = a.Largest
	switch {
	case q.All:
		a.Rows = make([]int, len(f))
		for i := range a.Rows {
			a.Rows[i] = i
		}
	case len(q.Rows) == 0:
		a.Rows = []int{a.Largest}
	default:
		a.Along = q.Rows[0]
	}
	for _, k := range a.Rows {
		if k < 0 || k >= len(f) {
			return nil, &RowError{k, len(f)}
		}
	}
	if len(a.Rows) > m.most/max(dim, 1) {
		return nil, &SizeError{len(a.Rows), dim}
	}
	if err := m.weights(ctx, x, a, shape); err != nil {
		return nil, err
	}
	along := slices.Index(a.Rows, a.Along)
	if norm := a.Norm[along]; norm > 0 {
		a.Direction = slices.Clone(a.Weight[along*dim : (along+1)*dim])
		for i := range a.Direction {
			a.Direction[i] /= norm
		}
	}
	return a, m.look(ctx, x, a, scale)
}

// weights finds the rows, some in one run: a batch of copies of x, with a 1 in
// another place for each.
func (m *Mapper) weights(ctx context.Context, x []float64, a *Affine, shape []int) error {
	n, dim := m.single(), len(x)
	per := tensor.Count(shape) / n
	if m.batch == 0 && len(shape) > 0 && shape[0] == 1 {
		n = min(m.rows, len(a.Rows))
		shape = append([]int{n}, shape[1:]...)
	}
	in, err := m.inputs(x, n)
	if err != nil {
		return err
	}
	a.Weight = make([]float64, 0, len(a.Rows)*dim)
	for some := range slices.Chunk(a.Rows, n) {
		ones := make([]float64, n*per)
		for i, k := range some {
			ones[i*per+k] = 1
		}
		values, g, err := m.out.Pull(ctx, in, []*tensor.Tensor{m.like(ones, m.dtype, shape)})
		if err != nil {
			return err
		}
		if got := tensor.Count(values[0].Shape); got != n*per {
			return fmt.Errorf("the output %q has %d elements for %d samples and %d for one; its first axis has to be the batch", m.output, got, n, per)
		}
		f, w := item(values[0], 1), item(g, 1)
		for i, k := range some {
			row := w[i*dim : (i+1)*dim]
			a.Weight = append(a.Weight, row...)
			value, bias := f[i*per+k], f[i*per+k]
			norm := 0.0
			for j, v := range row {
				if v-v != 0 {
					return fmt.Errorf("the derivative of output %q, row %d, by element %d of the input is %g here, as a square "+
						"root's is at 0, so it has no map", m.output, k, j, v)
				}
				bias -= v * x[j]
				norm = math.Hypot(norm, v)
			}
			a.Value, a.Bias, a.Norm = append(a.Value, value), append(a.Bias, bias), append(a.Norm, norm)
		}
	}
	return nil
}
