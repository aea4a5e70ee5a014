package probes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// AttachOptions say what a probed model returns besides its own outputs.
type AttachOptions struct {
	Sites site.Options
	// Sample is the shape of one sample without the batch axis; nil takes the
	// model's declaration.
	Sample []int
	// Probes say what is added at each site; nil is Code alone.
	Probes []Probe
	// Pack says how bits become bytes. The codes are the same whatever it is.
	Pack Packing
}

// Plan is a probed model and the meaning of its outputs. Opening it may change it, where a
// batch that Fit.Freed marks turns out not to be free: it is opened by one goroutine at a time.
type Plan struct {
	// Model is an ordinary ONNX model, of standard operators unless
	// AttachOptions.Pack asks for others. Its first Own outputs are those of the
	// original, unchanged; the probes' follow.
	Model *onnx.Model
	Own   int
	Sites []site.Site
	// Unwatched lists what is not affine and belongs to no site.
	Unwatched []site.Unwatched
	Fit       Fit

	options AttachOptions
	source  *onnx.Model
	gather  *gathering // when the codes of several items become one
}

// Attach rewrites a model so that it returns the code of every chosen site: for
// each an output "onnxprobe.code/SITE" of uint8 [batch, bytes], packed as
// numpy.packbits does. m is not changed; see rewrite.Plain for what is spelled out in the
// probed model.
func Attach(m *onnx.Model, o AttachOptions) (*Plan, error) {
	p, err := attach(m, o)
	return p, engine.Named(m.Path, err)
}

func attach(m *onnx.Model, o AttachOptions) (*Plan, error) {
	for _, v := range m.Graph.Outputs {
		if strings.HasPrefix(v.Name, "onnxprobe.") {
			return nil, fmt.Errorf("the model is probed already: it has the output %q; take the model it was made from", v.Name)
		}
	}
	if o.Probes == nil {
		o.Probes = []Probe{Code{}}
	}
	m, err := rewrite.Plain(m)
	if err != nil {
		return nil, err
	}
	found, err := site.Find(m, o.Sites)
	if _, _, wrong := dataInputs(m); wrong != nil && err != nil {
		err = fmt.Errorf("%w; %w", wrong, err)
	}
	if err != nil {
		return nil, err
	}
	sites := found.Sites
	if v := m.Opset(""); v < 7 {
		return nil, fmt.Errorf("the model uses opset %d; opset 7 or later is needed, convert it with onnx.version_converter", v)
	}
	f, err := fit(m, sites, o.Sample)
	if err != nil {
		return nil, unread(err, found.Unwatched)
	}
	p := &Plan{Own: len(m.Graph.Outputs), Sites: sites, Unwatched: found.Unwatched, Fit: *f, options: o, source: m}
	if p.Model, err = p.rewrite(); err != nil {
		return nil, err
	}
	return p, nil
}

// Plain is a plan without probes: the model as it is, for inference. sample is as
// in AttachOptions.
func Plain(m *onnx.Model, sample []int) (_ *Plan, err error) {
	defer func(path string) { err = engine.Named(path, err) }(m.Path)
	m, err = rewrite.Inline(m) // counted before, where an engine would try
	if err != nil {
		return nil, err
	}
	f, err := fit(m, nil, sample)
	if err != nil {
		return nil, err
	}
	return &Plan{Model: f.model, Own: len(m.Graph.Outputs), Fit: *f, source: m}, nil
}

// Locate is a plan without probes that knows the sites: their shapes, and how
// samples enter the model. Use it to read the values at the sites some other way.
func Locate(m *onnx.Model, o site.Options, sample []int) (_ *Plan, err error) {
	defer func(path string) { err = engine.Named(path, err) }(m.Path)
	m, err = rewrite.Plain(m)
	if err != nil {
		return nil, err
	}
	found, err := site.Find(m, o)
	if err != nil {
		return nil, err
	}
	f, err := fit(m, found.Sites, sample)
	if err != nil {
		return nil, err
	}
	return &Plan{Model: f.model, Own: len(m.Graph.Outputs), Sites: found.Sites, Unwatched: found.Unwatched, Fit: *f, source: m}, nil
}

// unread adds to an error about shapes what hides them: operators that nothing is known of.
func unread(err error, all []site.Unwatched) error {
	for _, u := range all {
		if strings.HasPrefix(u.Op, "com.microsoft.nchwc.") || u.Node.Operator() == nil {
			return fmt.Errorf("%w; the model has %s: %s", err, u.Node, u.Reason)
		}
	}
	return err
}

func (p *Plan) rewrite() (*onnx.Model, error) {
	passes := []rewrite.Pass{{Name: "attach", Do: p.attach}}
	if p.gather != nil {
		passes = append(passes, rewrite.Pass{Name: "vertices", Do: p.gather.vertices})
	}
	return rewrite.Apply(p.Fit.model, passes...)
}

// output names a site's probe output.
func output(kind string, s *site.Site) string { return "onnxprobe." + kind + "/" + s.Name }

// work is what is added at one place of the graph.
type work struct {
	at int
	do func() error
}

func (p *Plan) attach(e *rewrite.Edit) error {
	if p.options.Pack == PackOperator {
		e.Model.Opsets = append(e.Model.Opsets, onnx.Opset{Domain: engine.Domain, Version: 1})
	}
	raiseForArgMax(e.Model, p.Sites)
	if p.Fit.Batch == 1 && !p.Fit.Unbatched {
		if err := p.Fit.declareOne(e); err != nil {
			return err
		}
	}
	batch := onnx.Dim{Size: -1, Param: "batch"}
	for _, v := range e.Graph.Inputs {
		if v.Name == p.Fit.Input && v.HasShape() {
			batch = v.Shape[0]
		}
	}
	if p.gather != nil {
		p.gather.declare(e)
	}
	outputs, names := map[string]*onnx.Value{}, map[string]string{}
	var order []string
	emit := func(name, v string, d tensor.DType, dims ...int) error {
		shape := []onnx.Dim{batch}
		if p.gather != nil && d == tensor.Uint8 {
			shape[0] = onnx.Dim{Size: int64(2 * p.gather.groups)}
		}
		for _, n := range dims {
			shape = append(shape, onnx.Dim{Size: int64(n)})
		}
		outputs[name] = onnx.NewValue(name, d, shape)
		names[v] = name
		return nil
	}
	place := map[string]int{}
	for i, n := range e.Graph.Nodes {
		for _, o := range n.Outputs {
			place[o] = i
		}
	}
	sites, err := p.taps(e)
	if err != nil {
		return err
	}
	var works []work
	coded := false
	seen := map[int]bool{} // those of Fit.hidden whose NaNs a site finds
	for _, t := range sites {
		for _, kind := range t.kinds() {
			order = append(order, output(kind, t.Site))
		}
		at := place[t.Site.Place()]
		if from, _ := t.Site.Tap(); from != "" {
			at = place[from]
		}
		coded = coded || t.code
		// One reading finds both the sides of a value and its NaNs.
		nan := ""
		if from, _ := t.reads(); p.options.Pack == PackOperator && t.code && from != "" {
			for k, h := range p.Fit.hidden {
				if h.value == from && !seen[k] {
					seen[k], nan = true, fmt.Sprint(watched, k)
				}
			}
		}
		works = append(works, work{at, func() error { return t.attach(nan, emit) }})
	}
	for i, h := range p.Fit.hidden {
		if !coded {
			break
		}
		name := fmt.Sprint(watched, i)
		order = append(order, name)
		if seen[i] {
			continue
		}
		works = append(works, work{place[h.value], func() error {
			return p.watch(p.packer(e.In("onnxprobe").In("nan")), h, name, emit)
		}})
	}
	// The last place first: ONNX Runtime starts with the ancestors of the last of
	// the nodes that nothing reads. So each value is packed as soon as it is made,
	// while it is in the cache, and its memory is free for the next; the other way
	// round every activation of the network would be kept until the end.
	slices.SortStableFunc(works, func(a, b work) int { return b.at - a.at })
	for _, w := range works {
		if err := w.do(); err != nil {
			return err
		}
	}
	if err := e.RenameAll(names); err != nil {
		return err
	}
	for _, name := range order {
		if v := outputs[name]; v != nil {
			e.Graph.Outputs = append(e.Graph.Outputs, v)
		}
	}
	return nil
}

// raiseForArgMax makes a model of opset 7 one of opset 8, where MaxPool tells the places
// of its maxima. Opset 8 only adds to the operators of opset 7: Expand is new, and Max,
// Min, Mean, Sum and MaxPool take more than they did.
func raiseForArgMax(m *onnx.Model, sites []site.Site) {
	if m.Opset("") != 7 || !slices.ContainsFunc(sites, func(s site.Site) bool { return s.Winner() }) {
		return
	}
	for i, o := range m.Opsets {
		if o.Domain == "" || o.Domain == "ai.onnx" {
			m.Opsets[i].Version = 8
		}
	}
}

// kinds lists the outputs that are asked for at the site.
func (t *Tap) kinds() (kinds []string) {
	if t.code {
		kinds = append(kinds, "code")
	}
	if t.below {
		kinds = append(kinds, "below")
	}
	for _, o := range t.outputs {
		kinds = append(kinds, o.kind)
	}
	return kinds
}

type emitter func(name, v string, d tensor.DType, dims ...int) error

// reads is the value that a site's bits come from and where it bends; "" where they
// come from several. The value before the activation is read where anything else than
// the bits above its knots is.
func (t *Tap) reads() (string, []float64) {
	from, knots := t.Site.Tap()
	if from != "" && (t.below || len(t.outputs) > 0) {
		return t.Site.Pre, t.Site.Knots
	}
	return from, knots
}

// attach adds the outputs of a site, and with a name for it that of the NaNs of
// the value it reads.
func (t *Tap) attach(nan string, emit emitter) error {
	if err := t.attachCode(nan, emit); err != nil {
		return err
	}
	for _, o := range t.outputs {
		value, err := t.make(o)
		if err == nil {
			err = emit(output(o.kind, t.Site), value, o.dtype, o.dims...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attachCode adds the packed bits.
func (t *Tap) attachCode(nan string, emit emitter) error {
	pk, s := t.pk(), t.Site
	code := func(kind string, v string) error { return emit(output(kind, s), v, tensor.Uint8, s.Bytes()) }
	switch {
	case !t.code:
		return nil
	case s.Winner(): // no value is below what wins
		return code("code", pk.pack(s, pk.winners(s)))
	case s.Compared() != nil:
		err := code("code", pk.pack(s, pk.against("Greater", s)))
		if err == nil && t.below {
			err = code("below", pk.pack(s, pk.against("Less", s)))
		}
		return err
	}
	from, knots := t.reads()
	x := t.plan.Fit.items(pk.e, from, pk.wide(s, from))
	if from == s.Pre {
		t.x = x
	}
	above, found := pk.sides("Greater", s, x, knots, nan != "")
	err := code("code", above)
	if err == nil && nan != "" {
		err = pk.emitNaN(nan, found, float(s), emit)
	}
	if err == nil && t.below {
		below, _ := pk.sides("Less", s, x, knots, false)
		err = code("below", below)
	}
	return err
}

// watched names the outputs that show a NaN where the network would drop it.
const watched = "onnxprobe.nan/"

// watch adds the sum of a value for each item, or what SignPack finds in it. All else
// hands a NaN on, to the model's own outputs.
func (p *Plan) watch(pk *packer, h hidden, name string, emit emitter) error {
	x := h.value
	if h.dtype != tensor.Float32 && h.dtype != tensor.Float64 {
		x, h.dtype = pk.cast(x, tensor.Float32), tensor.Float32
	}
	if pk.form == PackOperator {
		none := tensor.Of([]float32{}, 0)
		if h.dtype == tensor.Float64 {
			none = tensor.Of([]float64{}, 0)
		}
		nan := pk.e.Name("SignPack.nan")
		pk.signPack(x, pk.e.Const(none), 0, "", nan)
		return pk.emitNaN(name, nan, h.dtype, emit)
	}
	return emit(name, pk.sum(pk.e.Op("Reshape", nil, x, pk.ints(pk.lead, -1))), h.dtype)
}

// emitNaN makes what SignPack found of the type that the sum would have.
func (p *packer) emitNaN(name, nan string, d tensor.DType, emit emitter) error {
	if d == tensor.Float64 {
		nan = p.cast(nan, d)
	}
	return emit(name, nan, d)
}

// Source is the model that the sites were found in.
func (p *Plan) Source() *onnx.Model { return p.source }

// CodeBytes is the length of an item's whole code: the sites' codes one after the
// other.
func (p *Plan) CodeBytes() int {
	n := 0
	for i := range p.Sites {
		n += p.Sites[i].Bytes()
	}
	return n
}

// Units is the number of units of all sites.
func (p *Plan) Units() int {
	n := 0
	for i := range p.Sites {
		n += p.Sites[i].Units
	}
	return n
}

// Match is nil when each of the globs matches the name of a site of the plan, and
// else a *site.PatternError.
func (p *Plan) Match(globs []string) error {
	_, err := site.Choose(p.Sites, globs)
	return err
}

// Bits is the number of bits of a whole code, without padding.
func (p *Plan) Bits() int {
	n := 0
	for i := range p.Sites {
		n += p.Sites[i].Units * p.Sites[i].Planes()
	}
	return n
}

// parts names the pieces of a whole code.
func (p *Plan) parts() []result.Part {
	ps := make([]result.Part, len(p.Sites))
	for i := range p.Sites {
		ps[i] = result.Part{Name: p.Sites[i].Name, Width: p.Sites[i].Bytes()}
	}
	return ps
}

// Strip removes from a copy of a model what exporters leave of the author's machine:
// stack traces with absolute paths.
func Strip(m *onnx.Model) *onnx.Model {
	m = m.Clone()
	for _, n := range m.Graph.Nodes {
		n.Meta = slices.DeleteFunc(n.Meta, func(p onnx.Prop) bool { return p.Key == "pkg.torch.onnx.stack_trace" })
	}
	return m
}
