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
	// Sign3 adds the bits of "below the knot" to those of "above" it, so that a
	// value exactly on the knot is a third state.
	Sign3 bool
	// Fragile, when positive, adds for each item and site the number of units
	// whose value lies within this distance of a knot (or is NaN).
	Fragile float64
	// Pack says how bits become bytes. The codes are the same whatever it is.
	Pack Packing
	// Values adds the values before the activations, in float, instead of codes; see
	// the function Values.
	Values bool
}

// Plan is a probed model and the meaning of its outputs.
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
	for _, v := range m.Graph.Outputs {
		if strings.HasPrefix(v.Name, "onnxprobe.") {
			return nil, fmt.Errorf("the model is probed already: it has the output %q; take the model it was made from", v.Name)
		}
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

// tap is the work at one place of the graph, in the order of its place.
type tap struct {
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
	var taps []tap
	seen := map[int]bool{} // those of Fit.hidden whose NaNs a site finds
	for i := range p.Sites {
		s := &p.Sites[i]
		for _, kind := range p.kinds() {
			order = append(order, output(kind, s))
		}
		at := place[s.Place()]
		if from, _ := s.Tap(); from != "" {
			at = place[from]
		}
		// One reading finds both the sides of a value and its NaNs.
		nan := ""
		if from, _ := p.reads(s); p.options.Pack == PackOperator && !p.options.Values && from != "" {
			for k, h := range p.Fit.hidden {
				if h.value == from && !seen[k] {
					seen[k], nan = true, fmt.Sprint(watched, k)
				}
			}
		}
		taps = append(taps, tap{at, func() error { return p.attachSite(p.packer(e.In("onnxprobe").In(s.Name)), s, nan, emit) }})
	}
	for i, h := range p.Fit.hidden {
		if p.options.Values {
			break
		}
		name := fmt.Sprint(watched, i)
		order = append(order, name)
		if seen[i] {
			continue
		}
		taps = append(taps, tap{place[h.value], func() error {
			return p.watch(p.packer(e.In("onnxprobe").In("nan")), h, name, emit)
		}})
	}
	// The last place first: ONNX Runtime starts with the ancestors of the last of
	// the nodes that nothing reads. So each value is packed as soon as it is made,
	// while it is in the cache, and its memory is free for the next; the other way
	// round every activation of the network would be kept until the end.
	slices.SortStableFunc(taps, func(a, b tap) int { return b.at - a.at })
	for _, t := range taps {
		if err := t.do(); err != nil {
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

// kinds lists the outputs that the options ask for at each site.
func (p *Plan) kinds() []string {
	if p.options.Values {
		return []string{"value"}
	}
	kinds := []string{"code"}
	if p.options.Sign3 {
		kinds = append(kinds, "below")
	}
	if p.options.Fragile > 0 {
		kinds = append(kinds, "fragile")
	}
	return kinds
}

type emitter func(name, v string, d tensor.DType, dims ...int) error

// reads is the value that a site's bits come from and where it bends; "" where they
// come from several.
func (p *Plan) reads(s *site.Site) (string, []float64) {
	from, knots := s.Tap()
	if from != "" && (p.options.Sign3 || p.options.Fragile > 0) {
		return s.Pre, s.Knots
	}
	return from, knots
}

// attachSite adds the outputs of a site, and with a name for it that of the NaNs of
// the value it reads.
func (p *Plan) attachSite(pk *packer, s *site.Site, nan string, emit emitter) error {
	switch {
	case p.options.Values && s.Winner(): // its code is no side of a value
		return nil
	case p.options.Values:
		return emit(output("value", s), pk.values(s, &p.Fit), float(s), Values(s))
	case s.Winner():
		return emit(output("code", s), pk.pack(s, pk.winners(s)), tensor.Uint8, s.Bytes())
	case s.Compared() != nil:
		err := emit(output("code", s), pk.pack(s, pk.against("Greater", s)), tensor.Uint8, s.Bytes())
		if err == nil && p.options.Sign3 {
			err = emit(output("below", s), pk.pack(s, pk.against("Less", s)), tensor.Uint8, s.Bytes())
		}
		if err == nil && p.options.Fragile > 0 {
			err = emit(output("fragile", s), pk.fragile(s, pk.differences(s), p.options.Fragile), tensor.Float32)
		}
		return err
	}
	from, knots := p.reads(s)
	x := p.Fit.items(pk.e, from, pk.wide(s, from))
	code, found := pk.sides("Greater", s, x, knots, nan != "")
	err := emit(output("code", s), code, tensor.Uint8, s.Bytes())
	if err == nil && nan != "" {
		err = pk.emitNaN(nan, found, float(s), emit)
	}
	if err == nil && p.options.Sign3 {
		below, _ := pk.sides("Less", s, x, knots, false)
		err = emit(output("below", s), below, tensor.Uint8, s.Bytes())
	}
	if err == nil && p.options.Fragile > 0 {
		var from []string
		for _, k := range knots {
			from = append(from, pk.e.Op("Sub", nil, x, pk.number(s, k)))
		}
		err = emit(output("fragile", s), pk.fragile(s, from, p.options.Fragile), tensor.Float32)
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
