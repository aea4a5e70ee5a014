package probes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Fit says how samples enter a model: which input they go to, their shape, and
// whether several can go in at once.
type Fit struct {
	// Input is the name of the model's data input and DType its type.
	Input string
	DType tensor.DType
	// Sample is the shape of one sample, without the batch axis.
	Sample []int
	// Batch is the fixed number of samples of a run, or 0 when it is free.
	Batch int
	// Unbatched marks a model whose input is one sample without a batch axis.
	Unbatched bool
	// Freed marks a model exported for a batch of 1 whose batch was made free by
	// rewriting; Plan.Open verifies it on the engine.
	Freed bool
	// Note says why items run one by one, for the user; "" when they need not.
	Note string
	// Others are the model's other inputs, in its order: a box beside an image.
	Others []Input
	// Folded names the sites whose first axis holds several rows of each item of a fixed
	// batch, as windows folded into it do. They are taken to lie item by item, which
	// Plan.Open verifies on the engine.
	Folded []string

	place  int // of Input among the inputs
	model  *onnx.Model
	hidden []hidden
	lies   map[string]laid // of values that sites read, in a fixed batch of several
}

// Input is an input of a model besides the one that samples enter by. Shape is that of
// one item, without the batch axis.
type Input struct {
	engine.Port
	// Shared marks one without a batch axis, as the time of a diffusion step is: all
	// items of a batch have it in common.
	Shared bool
}

// hidden is a value of which a node may hide a NaN; see onnx.HidesNaN.
type hidden struct {
	value string
	dtype tensor.DType
}

func (f *Fit) findHidden(m *onnx.Model, facts map[string]onnx.Fact, batch int64) {
	f.hidden = nil
	var moved map[string]bool
	for _, n := range m.Graph.Nodes {
		if o := n.Operator(); o == nil || o.Traits&onnx.HidesNaN == 0 {
			continue
		}
		if moved == nil {
			moved = f.follow(m)
		}
		for _, name := range n.Inputs {
			x := facts[name]
			h := hidden{name, x.DType}
			if moved[name] && x.DType.IsFloat() && len(x.Shape) > 0 && (x.Shape[0] == batch || batch == 1) && !slices.Contains(f.hidden, h) {
				f.hidden = append(f.hidden, h)
			}
		}
	}
}

// DataInput is the model's one input that is not a constant.
func DataInput(m *onnx.Model) (*onnx.Value, error) {
	in, place, err := dataInputs(m)
	if err != nil {
		return nil, err
	}
	if len(in) > 1 {
		var names []string
		for _, v := range in {
			names = append(names, v.Name)
		}
		return nil, fmt.Errorf("the model has %d inputs, %q; here one is fed", len(in), names)
	}
	return in[place], nil
}

// dataInputs are the model's inputs that are not constants, and the place of the
// one that samples enter by: that with most axes, the first of equals.
func dataInputs(m *onnx.Model) (in []*onnx.Value, place int, err error) {
	consts := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		consts[t.Name] = true
	}
	for _, v := range m.Graph.Inputs {
		if consts[v.Name] {
			continue
		}
		if in = append(in, v); len(v.Shape) > len(in[place].Shape) {
			place = len(in) - 1
		}
	}
	if len(in) == 0 {
		return nil, 0, fmt.Errorf("the model has no input to feed data to")
	}
	if v := in[place]; v.HasShape() && len(v.Shape) == 0 {
		return nil, 0, fmt.Errorf("the model's input %q is one number, and a sample needs an axis at least", v.Name)
	}
	if v := in[place]; !v.DType.IsFloat() && v.DType != tensor.Uint8 {
		return nil, 0, fmt.Errorf("the model's input %q takes %s; float inputs and uint8 pictures are supported", v.Name, v.DType)
	}
	return in, place, nil
}

// others describes the inputs besides the one that samples enter by. Each must declare
// its shape, but for a batch that it leads with as that does. A number, or a vector of
// another length than the batch's, is Shared.
func others(in []*onnx.Value, place int) ([]Input, error) {
	var ports []Input
	data := in[place]
	batched := data.HasShape() && !unbatched(data)
	for i, v := range in {
		if i == place {
			continue
		}
		p := Input{Port: engine.Port{Name: v.Name, DType: v.DType}}
		dims := v.Shape
		switch {
		case !v.HasShape():
		case len(dims) > 0 && batched && dims[0].Size == data.Shape[0].Size:
			dims = dims[1:]
		case len(dims) == 0 || unbatched(v):
			p.Shared = true
		default:
			return nil, fmt.Errorf("the model's input %q takes %s, %q takes %s: their first axes must both be the batch", v.Name, describe(v), data.Name, describe(data))
		}
		p.Shape = make([]int, len(dims))
		for k, d := range dims {
			p.Shape[k] = int(d.Size)
		}
		if !v.HasShape() || slices.ContainsFunc(dims, func(d onnx.Dim) bool { return d.Param != "" || d.Size < 1 }) {
			return nil, fmt.Errorf("the model leaves the shape of its input %q open (%s); only that of %q may be", v.Name, describe(v), data.Name)
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// SampleShape is the declared shape of one sample, -1 where the model leaves a
// dimension open; nil when even the rank is open.
func SampleShape(v *onnx.Value) []int {
	if !v.HasShape() || len(v.Shape) == 0 {
		return nil
	}
	if unbatched(v) {
		return []int{int(v.Shape[0].Size)}
	}
	s := make([]int, 0, len(v.Shape)-1)
	for _, d := range v.Shape[1:] {
		n := -1
		if d.Param == "" && d.Size > 0 {
			n = int(d.Size)
		}
		s = append(s, n)
	}
	return s
}

// ParseSample reads the shape of a sample, HxW or CxHxW, and completes it from what an
// input declares.
func ParseSample(v *onnx.Value, size string) ([]int, error) {
	var dims []int
	for _, s := range strings.Split(strings.ToLower(size), "x") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1<<20 {
			return nil, fmt.Errorf("%q: write HxW or CxHxW, for example 224x224", size)
		}
		dims = append(dims, n)
	}
	declared := SampleShape(v)
	if len(declared) == len(dims)+1 && declared[0] > 0 {
		dims = append([]int{declared[0]}, dims...)
	} else if declared == nil && len(dims) == 2 {
		dims = append([]int{3}, dims...)
	}
	return dims, nil
}

// unbatched reports whether an input is a single vector of fixed size.
func unbatched(v *onnx.Value) bool {
	return len(v.Shape) == 1 && v.Shape[0].Param == "" && v.Shape[0].Size > 0
}

// fit decides how samples of the given shape (nil: as declared) enter m, and
// fills in the shapes of the sites.
func fit(m *onnx.Model, sites []site.Site, sample []int) (*Fit, error) {
	in, place, err := dataInputs(m)
	if err != nil {
		return nil, err
	}
	v := in[place]
	beside, err := others(in, place)
	if err != nil {
		return nil, err
	}
	declared := SampleShape(v)
	if sample == nil {
		sample = declared
	}
	if sample == nil || slices.Contains(sample, -1) {
		return nil, onnx.Remedy(fmt.Errorf("the model leaves the shape of its input %q open (%s); "+
			"say the size of a sample, for images HxW", v.Name, describe(v)), "probes.AttachOptions.Sample")
	}
	if declared != nil {
		ok := len(declared) == len(sample)
		for i := 0; ok && i < len(sample); i++ {
			ok = declared[i] < 0 || declared[i] == sample[i]
		}
		if !ok {
			return nil, fmt.Errorf("the model's input %q takes samples of %s, these have shape %v", v.Name, describe(v), sample)
		}
	}
	f := &Fit{Input: v.Name, DType: v.DType, Sample: slices.Clone(sample), Others: beside, place: place, model: m}
	if unbatched(v) {
		f.Unbatched, f.Batch, f.Note = true, 1, "the model's input has no batch axis, so items run one by one"
		return f, f.fixed(m, sites, 1)
	}
	batch := int64(-1)
	if v.HasShape() && len(v.Shape) > 0 && v.Shape[0].Param == "" && v.Shape[0].Size > 0 {
		batch = v.Shape[0].Size
	}
	if batch < 0 && ranges(m) {
		f.Batch, f.Note = 1, "its quantization takes the range of a whole batch, so items run one by one"
		return f, f.fixed(m, sites, 1)
	}
	if batch == 1 && !ranges(m) {
		if freed, err := rewrite.Apply(m, freeBatch(f)); err == nil && len(beside) == 0 && f.free(freed, sites) == nil {
			f.model, f.Freed = freed, true
			return f, nil
		}
	}
	if batch == 1 {
		f.Batch, f.Note = 1, "the export fixes the batch at 1, so items run one by one"
		return f, f.fixed(m, sites, 1)
	}
	if batch > 1 {
		f.Batch = int(batch)
		return f, f.fixed(m, sites, batch)
	}
	free := f.free(m, sites)
	if free == nil {
		return f, nil
	}
	f.Batch, f.Note = 1, fmt.Sprintf("items run one by one: %v", free)
	if err := f.fixed(m, sites, 1); err != nil {
		return nil, err
	}
	return f, nil
}

// ranges says whether a quantizer of the model takes its range from the values of a run:
// what it makes of an item depends on the others of the batch.
func ranges(m *onnx.Model) bool {
	return slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return strings.HasPrefix(n.Op, "DynamicQuantize") })
}

func describe(v *onnx.Value) string {
	if !v.HasShape() {
		return "any shape"
	}
	var parts []string
	for _, d := range v.Shape {
		switch {
		case d.Param != "":
			parts = append(parts, d.Param)
		case d.Size >= 0:
			parts = append(parts, fmt.Sprint(d.Size))
		default:
			parts = append(parts, "?")
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (f *Fit) infer(m *onnx.Model, batch int64) (map[string]onnx.Fact, error) {
	return m.Infer(f.Shapes(batch))
}

// Shapes are those of the model's inputs for a batch.
func (f *Fit) Shapes(batch int64) map[string][]int64 {
	shape := []int64{batch}
	if f.Unbatched {
		shape = nil
	}
	for _, d := range f.Sample {
		shape = append(shape, int64(d))
	}
	shapes := map[string][]int64{f.Input: shape}
	for _, p := range f.Others {
		shape := []int64{batch}
		if p.Shared {
			shape = []int64{}
		}
		for _, d := range p.Shape {
			shape = append(shape, int64(d))
		}
		shapes[p.Name] = shape
	}
	return shapes
}

// free checks that the batch can vary and fills in the sites' shapes: at two
// batch sizes that nothing else in a network equals, each site must lead with
// the batch and be the same beyond.
func (f *Fit) free(m *onnx.Model, sites []site.Site) error {
	const a, b = 41, 43
	fa, err := f.infer(m, a)
	if err != nil {
		return err
	}
	fb, err := f.infer(m, b)
	if err != nil {
		return err
	}
	f.findHidden(m, fa, a)
	for i := range sites {
		s := &sites[i]
		for _, name := range s.Reads() {
			x, y := fa[name], fb[name]
			switch {
			case !x.Known() || !y.Known():
				return fmt.Errorf("the shape of site %s cannot be told from the model", s.Name)
			case len(x.Shape) == 0 || x.Shape[0] != a || y.Shape[0] != b || !slices.Equal(x.Shape[1:], y.Shape[1:]):
				return fmt.Errorf("the first axis of site %s is not the batch: its shape is %v for a batch of %d and %v for %d", s.Name, x.Shape, a, y.Shape, b)
			}
		}
		if err := s.Settle(fa, 1); err != nil {
			return err
		}
	}
	return nil
}

// fixed fills in the shapes for a batch that cannot vary. A batch of 1 holds one
// item whatever its axes mean.
func (f *Fit) fixed(m *onnx.Model, sites []site.Site, batch int64) error {
	facts, err := f.infer(m, batch)
	if err != nil {
		return err
	}
	f.findHidden(m, facts, batch)
	var moved map[string]bool
	if f.lies, f.Folded = nil, nil; batch > 1 {
		f.lies, moved = map[string]laid{}, f.follow(m)
	}
	var unknown, apart []string
	for i := range sites {
		s := &sites[i]
		switch {
		case slices.ContainsFunc(s.Reads(), func(name string) bool { return !facts[name].Known() }):
			unknown = append(unknown, s.Name)
			continue
		case batch > 1 && !f.layOut(s, facts, moved, batch):
			apart = append(apart, s.Name)
			continue
		}
		front := batch
		switch f.lies[s.Pre].lie {
		case folded:
			f.Folded = append(f.Folded, s.Name)
		case whole:
			front = 1 // left out of the shape of one item, where there is such an axis
		}
		skip := 0
		if x := facts[s.Place()]; !f.Unbatched && len(x.Shape) > 0 && x.Shape[0] == front {
			skip = 1
		}
		if err := s.Settle(facts, skip); err != nil {
			return err
		}
	}
	switch {
	case unknown != nil:
		return onnx.Remedy(fmt.Errorf("the shapes of %d site(s) cannot be told from the model: %q; choose others",
			len(unknown), unknown), "site.Options.Globs")
	case apart != nil:
		return onnx.Remedy(fmt.Errorf("the export fixes the batch at %d, and the first axis of %d site(s) does not hold "+
			"its items: %q; choose others, or export the model with a free batch or one of 1",
			batch, len(apart), apart), "site.Options.Globs")
	}
	return nil
}

// freeBatch makes the batch of a model exported for one item free: the input's
// first dimension becomes a symbol and reshapes that have the 1 written into
// them are opened.
func freeBatch(f *Fit) rewrite.Pass {
	return rewrite.Pass{Name: "free-batch", Do: func(e *rewrite.Edit) error {
		one, err := f.infer(e.Model, 1)
		if err != nil {
			return err
		}
		symbol := onnx.Dim{Size: -1, Param: "batch"}
		for _, v := range e.Graph.Inputs {
			if v.Name == f.Input {
				v.Shape[0] = symbol
			}
		}
		for _, v := range e.Graph.Outputs {
			if v.HasShape() && len(v.Shape) > 0 && v.Shape[0].Size == 1 {
				v.Shape[0] = symbol
			}
		}
		e.Graph.Values = nil // they declare shapes for a batch of 1
		ix := e.Graph.Index()
		for _, n := range e.Graph.Nodes {
			if !n.IsOp("Reshape") || ix.Const[n.Input(1)] == nil {
				continue
			}
			in, out := one[n.Input(0)], one[n.Outputs[0]]
			if !in.Known() || !out.Known() || ix.Const[n.Input(0)] != nil {
				continue
			}
			t, err := e.Model.Values(ix.Const[n.Input(1)])
			if err != nil {
				return err
			}
			target, ok := t.Data.([]int64)
			at := slices.Index(out.Shape, 1)
			if !ok || at < 0 || len(target) != len(out.Shape) || target[at] == 0 {
				continue
			}
			// Every dimension is known for one item, so the batch can be the open one.
			want := slices.Clone(out.Shape)
			want[at] = -1
			n.Inputs[1] = e.Const(tensor.Of(want, len(want)))
		}
		return nil
	}}
}
