package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Options say what Open readies.
type Options struct {
	// Sites are globs that choose the sites to report, as in site.Options; a
	// MaxPool is a site here. The region is bounded by all of them, chosen or not.
	Sites []string
	// Sample is the shape of one sample without the batch axis; nil takes the
	// model's declaration.
	Sample []int
	// Input is the input by which the map is: "" takes the one that samples enter by.
	// The others are held at what Query says.
	Input string
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
// region, relative to the largest output or bias, and still count as equal: what
// rounding makes of some hundred layers. Float32Tolerance is that of float32.
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
	input     string // by which the map is
	shape     []int  // of one item of it
	dtype     tensor.DType
	held      map[string]*tensor.Tensor // of the Query
	batch     int                       // samples of a run, 0 when free
	rows      int                       // rows found in one run
	most      int                       // weights of a map
	tolerance float64
	still     float64 // a rate so small, relative to the site's fastest, is rounding
	places    []int   // of each site's value in the ray's values
	out, ray  engine.Linearization
}

// Open readies the derivatives of a model's output. The model is widened to
// float64 unless the options say otherwise; m is not changed. Close the Mapper.
func Open(ctx context.Context, m *onnx.Model, d engine.Differentiator, eo engine.Options, o Options) (*Mapper, error) {
	v, beside, err := probes.Inputs(m)
	if err != nil {
		return nil, err
	}
	if err := eo.CheckRandom(m); err != nil {
		return nil, err
	}
	o.Input = cmp.Or(o.Input, v.Name)
	all := m.Graph.Inputs
	at := slices.IndexFunc(all, func(w *onnx.Value) bool { return w.Name == o.Input })
	if at < 0 || o.Input != v.Name && !slices.ContainsFunc(beside, func(p probes.Input) bool { return p.Name == o.Input }) {
		return nil, fmt.Errorf("the model has no input %q", o.Input)
	}
	v = all[at]
	shared := slices.ContainsFunc(beside, func(p probes.Input) bool { return p.Name == o.Input && p.Shared })
	switch {
	case shared:
		return nil, fmt.Errorf("the model's input %q has no batch axis, and a map is by one that has; take another", o.Input)
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
	if o.Output != "" && m.Graph.Index().Maker[o.Output] == nil {
		return nil, &OutputError{o.Output, lastValues(m)}
	}
	o.Output = cmp.Or(o.Output, wide.Graph.Outputs[0].Name)
	for _, v := range wide.Graph.Outputs {
		if v.Name == o.Output && v.DType != tensor.Undefined && !v.DType.IsFloat() {
			return nil, fmt.Errorf("the output %q is %s, which has no derivative; find the map of a value before it", v.Name, v.DType)
		}
	}
	mp := &Mapper{output: o.Output, rows: o.Batch, most: 1 << 29, tolerance: Tolerance, still: 1e-13}
	if o.Float32 && v.DType == tensor.Float32 {
		mp.tolerance, mp.still = Float32Tolerance, 1e-5
	}
	if mp.rows <= 0 {
		mp.rows = 16
	}
	var none *site.NoneError
	if mp.Plan, err = probes.Locate(wide, site.Options{MaxPool: true}, o.Sample); errors.As(err, &none) && len(o.Sites) == 0 {
		mp.Plan, err = probes.Plain(wide, o.Sample)
	}
	if err != nil {
		return nil, err
	}
	for i := range mp.Plan.Sites {
		if s := &mp.Plan.Sites[i]; !mp.Plan.Fit.Leads(s) {
			return nil, fmt.Errorf("the export fixes the batch at %d, which is not the first axis of site %s; export the "+
				"model with a free batch or one of 1", mp.Plan.Fit.Batch, s.Name)
		}
	}
	mp.moves(o.Input)
	if err := mp.choose(wide, o.Sites); err != nil {
		return nil, err
	}
	mp.Bent, mp.Unwatched = survey(wide, mp.input, mp.output, mp.Plan.Sites)
	// A batch that was made free is left as the export has it: nothing is gained
	// that would have to be verified.
	if mp.batch = mp.Plan.Fit.Batch; mp.Plan.Fit.Freed {
		mp.batch = 1
	}
	values := []string{mp.output}
	wide, err = rewrite.Apply(wide, rewrite.Pass{Name: "differences", Do: func(e *rewrite.Edit) error {
		for i := range mp.Plan.Sites {
			s := &mp.Plan.Sites[i]
			name := s.Pre
			switch {
			case !followed(s):
				name = s.Place()
			case s.Compared() != nil:
				name = e.Op("Sub", nil, s.Pre, s.Compared()[0])
			}
			at := slices.Index(values, name)
			if at < 0 {
				at, values = len(values), append(values, name)
			}
			mp.places = append(mp.places, at)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if err := eo.CheckMemory(wide, mp.Plan.Fit.Shapes(int64(cmp.Or(mp.batch, mp.rows)))); err != nil {
		return nil, err
	}
	if mp.out, err = d.Linearize(ctx, wide, mp.input, values[:1], eo); err != nil {
		return nil, err
	}
	if mp.ray, err = d.Linearize(ctx, wide, mp.input, values, eo); err != nil {
		return nil, errors.Join(err, mp.out.Close())
	}
	return mp, nil
}

// choose marks the sites to report.
func (m *Mapper) choose(model *onnx.Model, globs []string) error {
	m.chosen = slices.Repeat([]bool{len(globs) == 0}, len(m.Plan.Sites))
	if len(globs) == 0 {
		return nil
	}
	found, err := site.Find(model, site.Options{MaxPool: true, Globs: globs})
	if err != nil {
		return err
	}
	for i := range m.chosen {
		m.chosen[i] = slices.ContainsFunc(found.Sites, func(s site.Site) bool { return s.Name == m.Plan.Sites[i].Name })
	}
	return nil
}

// Close releases what the Mapper holds.
func (m *Mapper) Close() error { return errors.Join(m.out.Close(), m.ray.Close()) }

// moves settles the input by which the map is.
func (m *Mapper) moves(name string) {
	m.input = name
	f := &m.Plan.Fit
	m.shape, m.dtype = f.Sample, f.DType
	for _, p := range f.Others {
		if p.Name == name {
			m.shape, m.dtype = p.Shape, p.DType
		}
	}
}

// Shape is the shape of one item of the input by which the maps are.
func (m *Mapper) Shape() []int { return m.shape }

// copies is n copies of x, in the type of the input by which the map is.
func (m *Mapper) copies(x []float64, n int) *tensor.Tensor {
	shape := m.shape
	if !m.Plan.Fit.Unbatched {
		shape = append([]int{n}, shape...)
	}
	return m.like(slices.Repeat(x, n), m.dtype, shape)
}

// inputs is n copies of x with the inputs that are held.
func (m *Mapper) inputs(x []float64, n int) ([]*tensor.Tensor, error) {
	if len(m.Plan.Fit.Others) == 0 {
		return []*tensor.Tensor{m.copies(x, n)}, nil
	}
	return m.Plan.Arrange(m.input, m.like(x, m.dtype, append([]int{1}, m.shape...)), m.held, n)
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
	if m.dtype == tensor.Float32 {
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
	in, err := m.inputs(x, n)
	if err != nil {
		return nil, nil, err
	}
	out, _, err := m.out.Push(ctx, in, m.copies(make([]float64, len(x)), n))
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
		return nil, nil, fmt.Errorf("the output %q has shape %v for a batch of %d; its first axis has to be the "+
			"batch; find the map of a value where it is", m.output, f.Shape, n)
	}
	return item(f, n), f.Shape, nil
}

// OutputError says that no node makes the value of Options.Output.
type OutputError struct {
	Name string
	// Last are the values that the last nodes make, the last first: what lies before a
	// Softmax is among them.
	Last []string
}

func (e *OutputError) Error() string {
	return fmt.Sprintf("the output %q: no node of the model makes a value of that name; the last that they make: %q", e.Name, e.Last)
}

func lastValues(m *onnx.Model) (names []string) {
	for _, n := range slices.Backward(m.Graph.Nodes) {
		for _, o := range n.Outputs {
			if o != "" && len(names) < 8 {
				names = append(names, o)
			}
		}
	}
	return names
}
