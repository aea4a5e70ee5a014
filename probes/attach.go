package probes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// AttachOptions say what a probed model returns besides its own outputs.
type AttachOptions struct {
	Sites SiteOptions
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
	// Values adds the values before the activations, in float, instead of codes.
	Values bool
}

// Packing is a way to turn bits into bytes in the graph.
type Packing int

const (
	// PackAuto leaves it to Plan.Open, which asks the backend; Plan.Model has the
	// form of PackPortable.
	PackAuto Packing = iota
	// PackPortable takes standard operators, and types for which ONNX Runtime has
	// CUDA kernels: a product of signed bytes with the powers of two.
	PackPortable
	// PackUnsigned takes standard operators: a product of unsigned bytes, which is
	// faster on a CPU and has no CUDA kernel.
	PackUnsigned
	// PackOperator takes engine.SignPack, which reads every value once.
	PackOperator
)

var packings = []string{"auto", "portable", "unsigned", "operator"}

func (p Packing) String() string { return packings[p] }

// packing is the fastest form on a backend.
func packing(b engine.Backend, o engine.Options) Packing {
	if k, ok := b.(engine.Packer); ok && k.Packs(o) {
		return PackOperator
	}
	if o.Device.Kind == "cuda" {
		return PackPortable
	}
	return PackUnsigned
}

// Plan is a probed model and the meaning of its outputs.
type Plan struct {
	// Model is an ordinary ONNX model, of standard operators unless
	// AttachOptions.Pack asks for others. Its first Own outputs are those of the
	// original, unchanged; the probes' follow.
	Model *onnx.Model
	Own   int
	Sites []Site
	Fit   Fit

	options AttachOptions
	source  *onnx.Model
	gather  *gathering // when the codes of several items become one
}

// Attach rewrites a model so that it returns the code of every chosen site: for
// each an output "onnxprobe.code/SITE" of uint8 [batch, bytes], packed as
// numpy.packbits does. m is not changed.
func Attach(m *onnx.Model, o AttachOptions) (*Plan, error) {
	for _, v := range m.Graph.Outputs {
		if strings.HasPrefix(v.Name, "onnxprobe.") {
			return nil, fmt.Errorf("the model is probed already: it has the output %q; take the model it was made from", v.Name)
		}
	}
	sites, err := Sites(m, o.Sites)
	if err != nil {
		return nil, err
	}
	if v := m.Opset(""); v < 7 {
		return nil, fmt.Errorf("the model uses opset %d; opset 7 or later is needed, convert it with onnx.version_converter", v)
	}
	f, err := fit(m, sites, o.Sample)
	if err != nil {
		return nil, err
	}
	p := &Plan{Own: len(m.Graph.Outputs), Sites: sites, Fit: *f, options: o, source: m}
	if p.Model, err = p.rewrite(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Plan) rewrite() (*onnx.Model, error) {
	passes := []rewrite.Pass{{Name: "attach", Do: p.attach}}
	if p.gather != nil {
		passes = append(passes, rewrite.Pass{Name: "vertices", Do: p.gather.vertices})
	}
	return rewrite.Apply(p.Fit.model, passes...)
}

// output names a site's probe output.
func output(kind string, s *Site) string { return "onnxprobe." + kind + "/" + s.Name }

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
	batch := onnx.Dim{Size: -1, Param: "batch"}
	for _, v := range e.Graph.Inputs {
		if v.Name == p.Fit.Input && v.HasShape() {
			batch = v.Shape[0]
		}
	}
	if p.gather != nil {
		p.gather.declare(e)
	}
	outputs := map[string]*onnx.Value{}
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
		return e.Rename(v, name)
	}
	place := map[string]int{}
	for i, n := range e.Graph.Nodes {
		for _, o := range n.Outputs {
			place[o] = i
		}
	}
	var taps []tap
	seen := map[int]bool{} // the pools whose NaNs a site finds
	for i := range p.Sites {
		s := &p.Sites[i]
		for _, kind := range p.kinds() {
			order = append(order, output(kind, s))
		}
		at := place[s.bend.Tap]
		if s.window != nil {
			at = place[s.window.node.Outputs[0]]
		}
		// One reading finds both the sides of a value and its NaNs.
		nan := ""
		if from, _ := p.reads(s); p.options.Pack == PackOperator && !p.options.Values && s.window == nil {
			for k, pool := range p.Fit.pools {
				if pool.value == from && !seen[k] {
					seen[k], nan = true, fmt.Sprint(watched, k)
				}
			}
		}
		taps = append(taps, tap{at, func() error { return p.attachSite(p.packer(e.In("onnxprobe").In(s.Name)), s, nan, emit) }})
	}
	for i, pool := range p.Fit.pools {
		if p.options.Values {
			break
		}
		name := fmt.Sprint(watched, i)
		order = append(order, name)
		if seen[i] {
			continue
		}
		taps = append(taps, tap{place[pool.value], func() error {
			return p.watch(p.packer(e.In("onnxprobe").In("nan")), pool, name, emit)
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
func raiseForArgMax(m *onnx.Model, sites []Site) {
	if m.Opset("") != 7 || !slices.ContainsFunc(sites, func(s Site) bool { return s.window != nil }) {
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

// reads is the value that a site's bits come from and where it bends.
func (p *Plan) reads(s *Site) (string, []float64) {
	if p.options.Sign3 || p.options.Fragile > 0 {
		return s.Pre, s.Knots
	}
	return s.bend.Tap, s.bend.TapKnots
}

// attachSite adds the outputs of a site, and with a name for it that of the NaNs of
// the value it reads.
func (p *Plan) attachSite(pk *packer, s *Site, nan string, emit emitter) error {
	switch {
	case p.options.Values && s.window != nil: // its code is no side of a value
		return nil
	case p.options.Values:
		return emit(output("value", s), pk.e.Op("Reshape", nil, pk.wide(s, s.Pre), pk.ints(pk.lead, -1)), s.float(), s.Units)
	case s.window != nil:
		return emit(output("code", s), pk.pack(s, s.window.planesOf(pk)), tensor.Uint8, s.Bytes())
	}
	from, knots := p.reads(s)
	x := pk.wide(s, from)
	code, found := pk.sides("Greater", s, x, knots, nan != "")
	err := emit(output("code", s), code, tensor.Uint8, s.Bytes())
	if err == nil && nan != "" {
		err = pk.emitNaN(nan, found, s.float(), emit)
	}
	if err == nil && p.options.Sign3 {
		below, _ := pk.sides("Less", s, x, knots, false)
		err = emit(output("below", s), below, tensor.Uint8, s.Bytes())
	}
	if err == nil && p.options.Fragile > 0 {
		err = emit(output("fragile", s), pk.fragile(s, x, knots, p.options.Fragile), tensor.Float32)
	}
	return err
}

// watched names the outputs that show a NaN where the network would drop it.
const watched = "onnxprobe.nan/"

// watch adds the sum of a max-pooling's input for each item, or what SignPack finds in
// it. All else hands a NaN
// on, to the model's own outputs; a maximum may drop it.
func (p *Plan) watch(pk *packer, pool pool, name string, emit emitter) error {
	x := pool.value
	if pool.dtype != tensor.Float32 && pool.dtype != tensor.Float64 {
		x, pool.dtype = pk.cast(x, tensor.Float32), tensor.Float32
	}
	if pk.form == PackOperator {
		none := tensor.Of([]float32{}, 0)
		if pool.dtype == tensor.Float64 {
			none = tensor.Of([]float64{}, 0)
		}
		nan := pk.e.Name("SignPack.nan")
		pk.signPack(x, pk.e.Const(none), 0, "", nan)
		return pk.emitNaN(name, nan, pool.dtype, emit)
	}
	return emit(name, pk.sum(pk.e.Op("Reshape", nil, x, pk.ints(pk.lead, -1))), pool.dtype)
}

// emitNaN makes what SignPack found of the type that the sum would have.
func (p *packer) emitNaN(name, nan string, d tensor.DType, emit emitter) error {
	if d == tensor.Float64 {
		nan = p.cast(nan, d)
	}
	return emit(name, nan, d)
}

// float is the type in which a site's values are compared: 16-bit floats are
// widened, exactly, since few kernels compare them.
func (s *Site) float() tensor.DType {
	if s.dtype == tensor.Float64 {
		return tensor.Float64
	}
	return tensor.Float32
}

// packer adds the nodes that make bits and bytes.
type packer struct {
	e     *rewrite.Edit
	lead  int64 // the leading entry of reshapes: 0 keeps the batch axis, 1 is one item
	opset int64
	form  Packing
	// gather, when not nil, replaces the rows of planes before they are packed.
	gather *gathering
}

func (p *Plan) packer(e *rewrite.Edit) *packer {
	pk := &packer{e: e, opset: p.source.Opset(""), form: p.options.Pack, gather: p.gather}
	if p.Fit.Batch == 1 {
		pk.lead = 1
	}
	return pk
}

func (p *packer) ints(v ...int64) string { return p.e.Const(tensor.Of(v, len(v))) }

func (p *packer) cast(x string, d tensor.DType) string {
	return p.e.Op("Cast", map[string]any{"to": int(d)}, x)
}

func (p *packer) wide(s *Site, x string) string {
	if s.dtype == s.float() {
		return x
	}
	return p.cast(x, s.float())
}

func (p *packer) number(s *Site, v float64) string {
	if s.float() == tensor.Float64 {
		return p.e.Const(tensor.Scalar(v))
	}
	return p.e.Const(tensor.Scalar(float32(v)))
}

// bit is the type of a plane's zeros and ones: bytes move a quarter of what floats
// do, but multiply only from opset 10 on.
func (p *packer) bit() tensor.DType {
	switch {
	case p.opset < 10:
		return tensor.Float32
	case p.form == PackUnsigned || p.form == PackOperator: // which leaves the arg-max of pools to this
		return tensor.Uint8
	}
	return tensor.Int8
}

// plane is the type in which planes are made.
func (p *packer) plane() tensor.DType {
	if p.gather != nil {
		return tensor.Float32
	}
	return p.bit()
}

// sides packs the bits of x op knot. With nan, which only the operator can, it finds
// the items with a NaN as well.
func (p *packer) sides(op string, s *Site, x string, knots []float64, nan bool) (code, found string) {
	if p.form != PackOperator {
		return p.pack(s, p.compare(op, s, x, knots)), ""
	}
	below := int64(0)
	if op == "Less" {
		below = 1
	}
	if nan {
		found = p.e.Name("SignPack.nan")
	}
	code = p.e.Name("SignPack.out")
	p.signPack(x, p.numbers(s, knots), below, code, found)
	return code, found
}

// signPack adds the operator. An output without a name is not made.
func (p *packer) signPack(x, knots string, below int64, code, nan string) {
	if p.lead == 1 { // where the first axis need not be of one item
		x = p.e.Op("Reshape", nil, x, p.ints(1, -1))
	}
	n := &onnx.Node{Name: p.e.Name(engine.SignPack), Op: engine.SignPack, Domain: engine.Domain, Inputs: []string{x, knots}, Outputs: []string{code},
		Attrs: []*onnx.Attr{{Name: "below", Type: onnx.AttrInt, Int: below}}}
	if nan != "" {
		n.Outputs = append(n.Outputs, nan)
	}
	p.e.Graph.Nodes = append(p.e.Graph.Nodes, n)
}

// numbers is a list of constants of the site's type.
func (p *packer) numbers(s *Site, v []float64) string {
	if s.float() == tensor.Float64 {
		return p.e.Const(tensor.Of(v, len(v)))
	}
	f := make([]float32, len(v))
	for i, x := range v {
		f[i] = float32(x)
	}
	return p.e.Const(tensor.Of(f, len(f)))
}

// compare makes one plane of zeros and ones for each knot.
func (p *packer) compare(op string, s *Site, x string, knots []float64) []string {
	var planes []string
	for _, k := range knots {
		planes = append(planes, p.cast(p.e.Op(op, nil, x, p.number(s, k)), p.plane()))
	}
	return planes
}

// pack turns planes of zeros and ones into bytes, most significant bit first.
func (p *packer) pack(s *Site, planes []string) string {
	// A row of the product makes so many bytes: the wider, the better it runs, and
	// the more padding it needs.
	rows := map[tensor.DType]int{tensor.Float32: 1, tensor.Int8: 4, tensor.Uint8: 8}[p.bit()]
	if p.gather != nil {
		planes = p.gather.rows(p, planes)
	}
	unit := 8 * rows
	bits := len(planes) * s.Units
	pad := (unit - bits%unit) % unit
	if len(planes) > 1 || pad > 0 {
		for i := range planes {
			planes[i] = p.e.Op("Reshape", nil, planes[i], p.ints(p.lead, -1))
		}
		flat := planes[0]
		if len(planes) > 1 {
			flat = p.e.Op("Concat", map[string]any{"axis": 1}, planes...)
		}
		if pad > 0 {
			flat = p.pad(flat, pad)
		}
		planes = []string{flat}
	}
	in := p.e.Op("Reshape", nil, planes[0], p.ints(p.lead, -1, int64(unit)))
	product, weights := "MatMulInteger", make([]uint8, unit*rows)
	for r := range rows {
		for i := range 8 {
			weights[(8*r+i)*rows+r] = 128 >> i
		}
	}
	w := tensor.Of(weights, unit, rows)
	switch p.bit() {
	case tensor.Float32:
		product, w = "MatMul", tensor.Of([]float32{128, 64, 32, 16, 8, 4, 2, 1}, 8, 1)
	case tensor.Int8:
		// The highest bit weighs -128 then; the lowest byte of the sum, which the
		// cast keeps, is the same.
		signed := make([]int8, len(weights))
		for i, v := range weights {
			signed[i] = int8(v)
		}
		w = tensor.Of(signed, unit, rows)
	}
	bytes := p.e.Op("Reshape", nil, p.cast(p.e.Op(product, nil, in, p.e.Const(w)), tensor.Uint8), p.ints(p.lead, -1))
	if (bits+7)/8 == (bits+pad)/8 {
		return bytes
	}
	return p.e.Op("Slice", nil, bytes, p.ints(0), p.ints(int64(s.Bytes())), p.ints(1))
}

// pad appends n zeros to the rows of a matrix. Pad itself lacks kernels for 8-bit
// integers, so the zeros are the first column times zeros.
func (p *packer) pad(x string, n int) string {
	if p.opset < 10 {
		return p.e.Op("Pad", map[string]any{"pads": []int64{0, 0, 0, int64(n)}}, x)
	}
	column := p.cast(p.e.Op("Slice", nil, x, p.ints(0), p.ints(1), p.ints(1)), tensor.Int32)
	zeros := p.e.Op("Mul", nil, column, p.e.Const(tensor.Of(make([]int32, n), 1, n)))
	return p.e.Op("Concat", map[string]any{"axis": 1}, x, p.cast(zeros, p.bit()))
}

// fragile counts the units within tol of any knot.
func (p *packer) fragile(s *Site, x string, knots []float64, tol float64) string {
	var near string
	for _, k := range knots {
		d := p.e.Op("Abs", nil, p.e.Op("Sub", nil, x, p.number(s, k)))
		// Not greater, rather than less or equal: a NaN counts.
		c := p.e.Op("Not", nil, p.e.Op("Greater", nil, d, p.number(s, tol)))
		if near == "" {
			near = c
		} else {
			near = p.e.Op("Or", nil, near, c)
		}
	}
	return p.sum(p.e.Op("Reshape", nil, p.cast(near, tensor.Float32), p.ints(p.lead, -1)))
}

// sum adds up a matrix [batch, n] to [batch].
func (p *packer) sum(x string) string {
	if p.opset >= 13 {
		return p.e.Op("ReduceSum", map[string]any{"keepdims": 0}, x, p.ints(1))
	}
	return p.e.Op("ReduceSum", map[string]any{"axes": []int64{1}, "keepdims": 0}, x)
}

// Bytes is the length of the site's packed code.
func (s *Site) Bytes() int { return (s.Units*s.Planes() + 7) / 8 }

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
func (p *Plan) parts() []Part {
	ps := make([]Part, len(p.Sites))
	for i := range p.Sites {
		ps[i] = Part{p.Sites[i].Name, p.Sites[i].Bytes()}
	}
	return ps
}

// Strip removes from a model what exporters leave of the author's machine:
// stack traces with absolute paths.
func Strip(m *onnx.Model) (*onnx.Model, error) {
	return rewrite.Apply(m, rewrite.Pass{Name: "strip", Do: func(e *rewrite.Edit) error {
		for _, n := range e.Graph.Nodes {
			n.Meta = slices.DeleteFunc(n.Meta, func(p onnx.Prop) bool { return p.Key == "pkg.torch.onnx.stack_trace" })
		}
		return nil
	}})
}
