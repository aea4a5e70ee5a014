package probes

import (
	"fmt"
	"slices"

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
	// Values adds the values before the activations, in float, instead of codes.
	Values bool
}

// Plan is a probed model and the meaning of its outputs.
type Plan struct {
	// Model is an ordinary ONNX model. Its first Own outputs are those of the
	// original, unchanged; the probes' follow.
	Model *onnx.Model
	Own   int
	Sites []Site
	Fit   Fit

	options AttachOptions
	source  *onnx.Model
}

// Attach rewrites a model so that it returns the code of every chosen site: for
// each an output "onnxprobe.code/SITE" of uint8 [batch, bytes], packed as
// numpy.packbits does. m is not changed.
//
// Only standard operators are used, all of which have CUDA kernels in ONNX
// Runtime: bits become bytes by a matrix product with the powers of two, exact
// in any precision.
func Attach(m *onnx.Model, o AttachOptions) (*Plan, error) {
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
	return rewrite.Apply(p.Fit.model, rewrite.Pass{Name: "attach", Do: p.attach})
}

// output names a site's probe output.
func output(kind string, s *Site) string { return "onnxprobe." + kind + "/" + s.Name }

func (p *Plan) attach(e *rewrite.Edit) error {
	batch := onnx.Dim{Size: -1, Param: "batch"}
	for _, v := range e.Graph.Inputs {
		if v.Name == p.Fit.Input && v.HasShape() {
			batch = v.Shape[0]
		}
	}
	emit := func(kind string, s *Site, v string, d tensor.DType, dims ...int) error {
		name := output(kind, s)
		if err := e.Rename(v, name); err != nil {
			return err
		}
		shape := []onnx.Dim{batch}
		for _, n := range dims {
			shape = append(shape, onnx.Dim{Size: int64(n)})
		}
		e.Output(name, d, shape)
		return nil
	}
	if !p.options.Values {
		if err := p.watch(e, batch); err != nil {
			return err
		}
	}
	for i := range p.Sites {
		s := &p.Sites[i]
		e := e.In("onnxprobe").In(s.Name)
		pk := p.packer(e)
		switch {
		case p.options.Values && s.window != nil: // its code is no side of a value
			continue
		case p.options.Values:
			flat := e.Op("Reshape", nil, pk.wide(s, s.Pre), pk.ints(pk.lead, -1))
			if err := emit("value", s, flat, s.float(), s.Units); err != nil {
				return err
			}
			continue
		case s.window != nil:
			if err := emit("code", s, pk.pack(s, s.window.planesOf(e)), tensor.Uint8, s.Bytes()); err != nil {
				return err
			}
			continue
		}
		tap, knots := s.bend.Tap, s.bend.TapKnots
		if p.options.Sign3 || p.options.Fragile > 0 {
			tap, knots = s.Pre, s.Knots
		}
		x := pk.wide(s, tap)
		if err := emit("code", s, pk.pack(s, pk.compare("Greater", s, x, knots)), tensor.Uint8, s.Bytes()); err != nil {
			return err
		}
		if p.options.Sign3 {
			if err := emit("below", s, pk.pack(s, pk.compare("Less", s, x, knots)), tensor.Uint8, s.Bytes()); err != nil {
				return err
			}
		}
		if p.options.Fragile > 0 {
			if err := emit("fragile", s, pk.fragile(s, x, knots, p.options.Fragile), tensor.Float32); err != nil {
				return err
			}
		}
	}
	return nil
}

// watched names the outputs that show a NaN where the network would drop it.
const watched = "onnxprobe.nan/"

// watch adds, for every max-pooling, the sum of its input for each item. All else
// hands a NaN on, to the model's own outputs; a maximum may drop it.
func (p *Plan) watch(e *rewrite.Edit, batch onnx.Dim) error {
	for i, pool := range p.Fit.pools {
		pk := p.packer(e.In("onnxprobe").In("nan"))
		x := pool.value
		if pool.dtype != tensor.Float32 && pool.dtype != tensor.Float64 {
			x, pool.dtype = pk.cast(x, tensor.Float32), tensor.Float32
		}
		name := fmt.Sprint(watched, i)
		if err := e.Rename(pk.sum(pk.e.Op("Reshape", nil, x, pk.ints(pk.lead, -1))), name); err != nil {
			return err
		}
		e.Output(name, pool.dtype, []onnx.Dim{batch})
	}
	return nil
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
}

func (p *Plan) packer(e *rewrite.Edit) *packer {
	pk := &packer{e: e, opset: p.source.Opset("")}
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

// compare makes one plane of 0.0 and 1.0 for each knot.
func (p *packer) compare(op string, s *Site, x string, knots []float64) []string {
	var planes []string
	for _, k := range knots {
		planes = append(planes, p.cast(p.e.Op(op, nil, x, p.number(s, k)), tensor.Float32))
	}
	return planes
}

// pack turns planes of 0.0 and 1.0 into bytes, most significant bit first.
func (p *packer) pack(s *Site, planes []string) string {
	bits := len(planes) * s.Units
	if pad := (8 - bits%8) % 8; len(planes) > 1 || pad > 0 {
		for i := range planes {
			planes[i] = p.e.Op("Reshape", nil, planes[i], p.ints(p.lead, -1))
		}
		flat := planes[0]
		if len(planes) > 1 {
			flat = p.e.Op("Concat", map[string]any{"axis": 1}, planes...)
		}
		if pad > 0 && p.opset >= 11 {
			flat = p.e.Op("Pad", nil, flat, p.ints(0, 0, 0, int64(pad)))
		} else if pad > 0 {
			flat = p.e.Op("Pad", map[string]any{"pads": []int64{0, 0, 0, int64(pad)}}, flat)
		}
		planes = []string{flat}
	}
	eights := p.e.Op("Reshape", nil, planes[0], p.ints(p.lead, -1, 8))
	weights := p.e.Const(tensor.Of([]float32{128, 64, 32, 16, 8, 4, 2, 1}, 8, 1))
	bytes := p.cast(p.e.Op("MatMul", nil, eights, weights), tensor.Uint8)
	return p.e.Op("Reshape", nil, bytes, p.ints(p.lead, -1))
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
