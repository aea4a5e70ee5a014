package probes

import (
	"context"
	"errors"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

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

// String is the packing's name.
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

// float is the type in which a site's values are compared: 16-bit floats are
// widened, exactly, since few kernels compare them.
func float(s *site.Site) tensor.DType {
	if s.Value.DType == tensor.Float64 {
		return tensor.Float64
	}
	return tensor.Float32
}

func (p *packer) wide(s *site.Site, x string) string {
	if s.Value.DType == float(s) {
		return x
	}
	return p.cast(x, float(s))
}

func (p *packer) number(s *site.Site, v float64) string {
	if float(s) == tensor.Float64 {
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
func (p *packer) sides(op string, s *site.Site, x string, knots []float64, nan bool) (code, found string) {
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
func (p *packer) numbers(s *site.Site, v []float64) string {
	if float(s) == tensor.Float64 {
		return p.e.Const(tensor.Of(v, len(v)))
	}
	f := make([]float32, len(v))
	for i, x := range v {
		f[i] = float32(x)
	}
	return p.e.Const(tensor.Of(f, len(f)))
}

// compare makes one plane of zeros and ones for each knot.
func (p *packer) compare(op string, s *site.Site, x string, knots []float64) []string {
	var planes []string
	for _, k := range knots {
		planes = append(planes, p.cast(p.e.Op(op, nil, x, p.number(s, k)), p.plane()))
	}
	return planes
}

// pack turns planes of zeros and ones into bytes, most significant bit first.
func (p *packer) pack(s *site.Site, planes []string) string {
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

// against makes one plane of zeros and ones for each value that a site's is compared
// with.
func (p *packer) against(op string, s *site.Site) []string {
	x := p.wide(s, s.Pre)
	var planes []string
	for _, v := range s.Compared() {
		planes = append(planes, p.cast(p.e.Op(op, nil, x, p.wide(s, v)), p.plane()))
	}
	return planes
}

// differences are how far a site's value lies above each that it is compared with.
func (p *packer) differences(s *site.Site) []string {
	x := p.wide(s, s.Pre)
	var all []string
	for _, v := range s.Compared() {
		all = append(all, p.e.Op("Sub", nil, x, p.wide(s, v)))
	}
	return all
}

// row is the row of a site's values.
func (p *packer) row(s *site.Site, f *Fit) string {
	flat := func(x string) string { return p.e.Op("Reshape", nil, x, p.ints(p.lead, -1)) }
	if s.Compared() == nil {
		return flat(f.items(p.e, s.Pre, p.wide(s, s.Pre)))
	}
	var rows []string
	for _, d := range p.differences(s) {
		rows = append(rows, flat(d))
	}
	if len(rows) == 1 {
		return rows[0]
	}
	return p.e.Op("Concat", map[string]any{"axis": 1}, rows...)
}

// values is the probe that gives the values that decide the bits, in place of codes: for
// whoever compares bits with what they come from.
type values struct{}

func (values) About() About { return About{Name: "value"} }

func (values) Attach(t *Tap) error {
	if !t.Site.Winner() { // its code is no side of a value
		t.Output("value", float(t.Site), []int{valuesOf(t.Site)}, func() string { return t.pk().row(t.Site, &t.plan.Fit) })
	}
	return nil
}

func (values) Start(context.Context, *Prober) (Maker, error) {
	return nil, errors.New("values make no columns")
}

// valuesOf is the number of values that the probe gives of a site: one for each unit or,
// where the value before the activation is compared with others, what it lies above each
// of them, one after the other.
func valuesOf(s *site.Site) int { return s.Units * max(len(s.Compared()), 1) }

// above is how far the value of a unit of a site lies above what plane k compares it
// with, in the values of an item that begin at value(from).
func above(s *site.Site, value func(int) float64, from, k, unit int) float64 {
	if s.Compared() != nil {
		return value(from + k*s.Units + unit)
	}
	return value(from+unit) - s.Knots[k]
}

// sum adds up a matrix [batch, n] to [batch].
func (p *packer) sum(x string) string { return p.reduce("ReduceSum", 13, x) }

// reduce makes [batch] of [batch, n]; from an opset on the axes are an input.
func (p *packer) reduce(op string, from int64, x string) string {
	if p.opset >= from {
		return p.e.Op(op, map[string]any{"keepdims": 0}, x, p.ints(1))
	}
	return p.e.Op(op, map[string]any{"axes": []int64{1}, "keepdims": 0}, x)
}
