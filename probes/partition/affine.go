// Package partition holds the exact geometry of the regions into which a network
// of piecewise-linear activations divides its input space.
package partition

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Options say what Open readies.
type Options struct {
	// Sites are globs that choose the sites to report, as in probes.SiteOptions; a
	// MaxPool is a site here. The region is bounded by all of them, chosen or not.
	Sites []string
	// Sample is the shape of one sample without the batch axis; nil takes the
	// model's declaration.
	Sample []int
	// Output is the value whose map is found, any of the model's top-level graph that
	// leads with the batch: the logits before a Softmax, for instance. "" takes the
	// first output.
	Output string
	// Float32 computes in float32, as the model is, instead of float64.
	Float32 bool
	// Batch is how many rows are found in one run, where the model's batch is
	// free; 0 takes 16.
	Batch int
}

// Tolerance is how far a network and its affine map may be apart inside the
// region, relative to the largest output, and still count as equal: what rounding
// makes of some hundred layers. Float32Tolerance is that of float32.
const (
	Tolerance        = 1e-9
	Float32Tolerance = 1e-4
)

// Mapper finds the affine maps of a network. It is used by one goroutine at a time.
type Mapper struct {
	// Plan has every boundary of the network as a site, max-poolings too, and says
	// how samples enter.
	Plan *probes.Plan
	// Bent names the sites and nodes that keep the network from being piecewise
	// affine (GELU, Softmax, products of activations): its maps are tangents then.
	Bent []string
	// Unwatched names the nodes whose pieces no site shows, such as the maximum of
	// two values: boundaries of theirs are not looked for.
	Unwatched []string

	chosen    []bool
	output    string
	batch     int // samples of a run, 0 when free
	rows      int // rows found in one run
	tolerance float64
	still     float64 // a rate so small, relative to the site's fastest, is rounding
	places    []int   // of each site's value in the ray's values
	out, ray  engine.Linearization
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
	// Behind are the nearest of all sites'. These two are exact: nothing bends
	// before them. Those that lie further are where the boundaries would be if
	// nothing bent before them. A unit whose rate is within rounding of 0, 1e-13 of
	// the fastest of its site or 1e-16 of all (in float32 1e-5 and 1e-8), does not
	// move. Without a direction
	// (the weight of Along is 0) none is there.
	Sites  []Distance `json:"sites"`
	Ahead  *Crossing  `json:"ahead"`
	Behind *Crossing  `json:"behind"`
	// OnKnot is the number of units, over all sites, whose value lies exactly on a
	// knot, or whose window has several largest elements that part: x lies on a
	// boundary then, and belongs to the piece at or below the knot.
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
	// Knot is the knot that the unit's value reaches; nil for a MaxPool, where
	// Element is the place in the item's pooled value of the one that overtakes.
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
	// largest output. Changed is the number of units on another piece than at x:
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
	// Bend is how much the slope of the row Along has changed, relative to its norm;
	// 0 when the unit that changed has no way to the output.
	Bend float64 `json:"bend"`
}

// Query says which rows to find.
type Query struct {
	// Rows are places in the output; the direction is that of the first. None takes
	// the row with the largest value.
	Rows []int
	// All takes every row, and the direction of the largest.
	All bool
}

// RowError is a row that the output does not have.
type RowError struct{ Row, Rows int }

func (e *RowError) Error() string {
	return fmt.Sprintf("the output has no row %d; it has %d, counted from 0", e.Row, e.Rows)
}

// Open readies the derivatives of a model's output. The model is widened to
// float64 unless the options say otherwise; m is not changed. Close the Mapper.
func Open(m *onnx.Model, d engine.Differentiator, eo engine.Options, o Options) (*Mapper, error) {
	v, err := probes.DataInput(m)
	if err != nil {
		return nil, err
	}
	switch {
	case !v.DType.IsFloat():
		return nil, fmt.Errorf("the model's input %q takes %s, by which nothing can be differentiated; export it without the conversion", v.Name, v.DType)
	case o.Float32 && v.DType != tensor.Float32 && v.DType != tensor.Float64:
		return nil, fmt.Errorf("the model's input %q is %s; leave float32 out, so that it is widened to float64", v.Name, v.DType)
	case len(m.Graph.Outputs) == 0:
		return nil, errors.New("the model has no output")
	}
	wide := m
	if !o.Float32 {
		if wide, err = rewrite.Widen(m); err != nil {
			return nil, err
		}
	}
	if o.Output == "" {
		o.Output = wide.Graph.Outputs[0].Name
	}
	mp := &Mapper{output: o.Output, rows: max(o.Batch, 0), tolerance: Tolerance, still: 1e-13}
	if o.Float32 && v.DType == tensor.Float32 {
		mp.tolerance, mp.still = Float32Tolerance, 1e-5
	}
	if mp.rows == 0 {
		mp.rows = 16
	}
	var none *probes.NoSitesError
	if mp.Plan, err = probes.Locate(wide, probes.SiteOptions{MaxPool: true}, o.Sample); errors.As(err, &none) && len(o.Sites) == 0 {
		mp.Plan, err = probes.Plain(wide, o.Sample)
	}
	if err != nil {
		return nil, err
	}
	if err := mp.choose(wide, o.Sites); err != nil {
		return nil, err
	}
	mp.Bent, mp.Unwatched = survey(wide, mp.Plan.Fit.Input, mp.output, mp.Plan.Sites)
	// A batch that was made free is left as the export has it: nothing is gained
	// that would have to be verified.
	if mp.batch = mp.Plan.Fit.Batch; mp.Plan.Fit.Freed {
		mp.batch = 1
	}
	values := []string{mp.output}
	for _, s := range mp.Plan.Sites {
		at := slices.Index(values, s.Pre)
		if at < 0 {
			at, values = len(values), append(values, s.Pre)
		}
		mp.places = append(mp.places, at)
	}
	if mp.out, err = d.Linearize(wide, mp.Plan.Fit.Input, values[:1], eo); err != nil {
		return nil, err
	}
	if mp.ray, err = d.Linearize(wide, mp.Plan.Fit.Input, values, eo); err != nil {
		return nil, errors.Join(err, mp.out.Close())
	}
	return mp, nil
}

// choose marks the sites to report.
func (m *Mapper) choose(model *onnx.Model, globs []string) error {
	m.chosen = make([]bool, len(m.Plan.Sites))
	if len(globs) == 0 {
		for i := range m.chosen {
			m.chosen[i] = true
		}
		return nil
	}
	some, err := probes.Sites(model, probes.SiteOptions{MaxPool: true, Globs: globs})
	if err != nil {
		return err
	}
	for i := range m.chosen {
		m.chosen[i] = slices.ContainsFunc(some, func(s probes.Site) bool { return s.Name == m.Plan.Sites[i].Name })
	}
	return nil
}

// Close releases what the Mapper holds.
func (m *Mapper) Close() error { return errors.Join(m.out.Close(), m.ray.Close()) }

// At finds the map of the region that holds x, one sample in row-major order
// (rounded to float32 where the model computes in that), and how far it is to that region's boundaries along the direction in which a row
// grows fastest. A row that the output does not have is a *RowError.
func (m *Mapper) At(ctx context.Context, x []float64, q Query) (*Affine, error) {
	dim := tensor.Count(m.Plan.Fit.Sample)
	if len(x) != dim {
		return nil, fmt.Errorf("a sample of %d elements, the model takes %d: %v", len(x), dim, m.Plan.Fit.Sample)
	}
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
	scale := 0.0
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
	if err := m.weights(ctx, x, a, shape); err != nil {
		return nil, err
	}
	along := slices.Index(a.Rows, a.Along)
	norm := a.Norm[along]
	if norm > 0 && !math.IsInf(norm, 0) {
		a.Direction = make([]float64, dim)
		for i := range a.Direction {
			a.Direction[i] = a.Weight[along*dim+i] / norm
		}
	}
	return a, m.look(ctx, x, a, scale)
}

func list(s []string) []string { return append([]string{}, s...) }

// input is n copies of x, in the model's type.
func (m *Mapper) input(x []float64, n int) *tensor.Tensor {
	shape := m.Plan.Fit.Sample
	if !m.Plan.Fit.Unbatched {
		shape = append([]int{n}, shape...)
	}
	return m.like(slices.Repeat(x, n), m.Plan.Fit.DType, shape)
}

func (m *Mapper) like(v []float64, d tensor.DType, shape []int) *tensor.Tensor {
	if d == tensor.Float64 {
		return tensor.Of(v, shape...)
	}
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	return tensor.Of(f, shape...)
}

// round is x as the model's type holds it, in new memory.
func (m *Mapper) round(x []float64) []float64 {
	x = slices.Clone(x)
	if m.Plan.Fit.DType == tensor.Float32 {
		for i, v := range x {
			x[i] = float64(float32(v))
		}
	}
	return x
}

// single is the smallest number of samples of a run.
func (m *Mapper) single() int { return max(m.batch, 1) }

// item is the first of n items in a value.
func item(t *tensor.Tensor, n int) []float64 {
	v, ok := t.Data.([]float64)
	if !ok {
		v = t.Float64s()
	}
	return v[:len(v)/n]
}

// evaluate is the output at x, with its shape for the smallest run.
func (m *Mapper) evaluate(ctx context.Context, x []float64) ([]float64, []int, error) {
	n := m.single()
	still := m.input(make([]float64, len(x)), n)
	out, _, err := m.out.Push(ctx, []*tensor.Tensor{m.input(x, n)}, still)
	if err != nil {
		return nil, nil, err
	}
	f := out[0]
	switch {
	case !f.DType.IsFloat():
		return nil, nil, fmt.Errorf("the output %q is %s, which has no derivative", m.output, f.DType)
	case tensor.Count(f.Shape) == 0:
		return nil, nil, fmt.Errorf("the output %q is empty: its shape is %v", m.output, f.Shape)
	case n > 1 && (len(f.Shape) == 0 || f.Shape[0] != n):
		return nil, nil, fmt.Errorf("the output %q has shape %v for a batch of %d; its first axis has to be the batch", m.output, f.Shape, n)
	}
	return item(f, n), f.Shape, nil
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
	in := []*tensor.Tensor{m.input(x, n)}
	a.Weight = make([]float64, 0, len(a.Rows)*dim)
	for some := range slices.Chunk(a.Rows, n) {
		ones := make([]float64, n*per)
		for i, k := range some {
			ones[i*per+k] = 1
		}
		values, g, err := m.out.Pull(ctx, in, []*tensor.Tensor{m.like(ones, m.Plan.Fit.DType, shape)})
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
				bias -= v * x[j]
				norm = math.Hypot(norm, v)
			}
			a.Value, a.Bias, a.Norm = append(a.Value, value), append(a.Bias, bias), append(a.Norm, norm)
		}
	}
	return nil
}
