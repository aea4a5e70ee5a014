package main

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A rough model is a model that need not be right: package onnx writes none that it would
// not read.
type roughModel struct {
	ir        int64
	opsets    []onnx.Opset
	graph     roughGraph
	functions []*roughFunction
}

type roughGraph struct {
	nodes                   []*roughNode
	constants               []*roughTensor
	inputs, outputs, values []*roughPort
}

type roughNode struct {
	op, domain string
	in, out    []string
	attrs      []*roughAttr
}

// roughAttr has a value of the Go type that says its own: int64, float64, string, lists of
// them, *roughTensor or *roughGraph. kind is 0 or what the file calls it nevertheless.
type roughAttr struct {
	name, ref string
	value     any
	kind      onnx.AttrType
}

// roughTensor has elements by its type, and dimensions that need not agree with them.
type roughTensor struct {
	name    string
	d       tensor.DType
	dims    []int64
	ints    []int64
	floats  []float64
	strings []string
	outside string // the file that holds them instead
}

// roughPort has dimensions that are numbers or names; nil for an unknown rank.
type roughPort struct {
	name string
	d    tensor.DType
	dims []any
}

type roughFunction struct {
	name           string
	in, out, attrs []string
	nodes          []*roughNode
	opsets         []onnx.Opset
}

// pb is a message of protocol buffers.
type pb []byte

func (p pb) int(num protowire.Number, v int64) pb {
	return protowire.AppendVarint(protowire.AppendTag(p, num, protowire.VarintType), uint64(v))
}

func (p pb) bytes(num protowire.Number, b []byte) pb {
	return protowire.AppendBytes(protowire.AppendTag(p, num, protowire.BytesType), b)
}

func (p pb) float(num protowire.Number, v float64) pb {
	return protowire.AppendFixed32(protowire.AppendTag(p, num, protowire.Fixed32Type), math.Float32bits(float32(v)))
}

func (p pb) strings(num protowire.Number, all ...string) pb {
	for _, s := range all {
		p = p.bytes(num, []byte(s))
	}
	return p
}

func (p pb) opsets(num protowire.Number, all []onnx.Opset) pb {
	for _, o := range all {
		p = p.bytes(num, pb{}.strings(1, o.Domain).int(2, o.Version))
	}
	return p
}

func (p pb) nodes(num protowire.Number, all []*roughNode) pb {
	for _, n := range all {
		p = p.bytes(num, n.encode())
	}
	return p
}

func (p pb) ports(num protowire.Number, all []*roughPort) pb {
	for _, v := range all {
		shape := pb{}
		for _, d := range v.dims {
			switch d := d.(type) {
			case int64:
				shape = shape.bytes(1, pb{}.int(1, d))
			case string:
				shape = shape.bytes(1, pb{}.strings(2, d))
			}
		}
		kind := pb{}.int(1, int64(v.d))
		if v.dims != nil {
			kind = kind.bytes(2, shape)
		}
		b := pb{}.strings(1, v.name)
		if v.d != tensor.Undefined {
			b = b.bytes(2, pb{}.bytes(1, kind))
		}
		p = p.bytes(num, b)
	}
	return p
}

func (m *roughModel) encode() pb {
	p := pb{}.int(1, m.ir).bytes(7, m.graph.encode()).opsets(8, m.opsets)
	for _, f := range m.functions {
		p = p.bytes(25, pb{}.strings(1, f.name).strings(4, f.in...).strings(5, f.out...).strings(6, f.attrs...).
			nodes(7, f.nodes).opsets(9, f.opsets).strings(10, "local"))
	}
	return p
}

func (g *roughGraph) encode() pb {
	p := pb{}.nodes(1, g.nodes).strings(2, "g")
	for _, t := range g.constants {
		p = p.bytes(5, t.encode())
	}
	return p.ports(11, g.inputs).ports(12, g.outputs).ports(13, g.values)
}

func (n *roughNode) encode() pb {
	p := pb{}.strings(1, n.in...).strings(2, n.out...).strings(4, n.op)
	for _, a := range n.attrs {
		p = p.bytes(5, a.encode())
	}
	return p.strings(7, n.domain)
}

func (a *roughAttr) encode() pb {
	p, kind := pb{}.strings(1, a.name), onnx.AttrType(0)
	switch v := a.value.(type) {
	case int64:
		p, kind = p.int(3, v), onnx.AttrInt
	case float64:
		p, kind = p.float(2, v), onnx.AttrFloat
	case string:
		p, kind = p.strings(4, v), onnx.AttrString
	case []int64:
		for _, i := range v {
			p = p.int(8, i)
		}
		kind = onnx.AttrInts
	case []float64:
		for _, f := range v {
			p = p.float(7, f)
		}
		kind = onnx.AttrFloats
	case []string:
		p, kind = p.strings(9, v...), onnx.AttrStrings
	case *roughTensor:
		p, kind = p.bytes(5, v.encode()), onnx.AttrTensor
	case *roughGraph:
		p, kind = p.bytes(6, v.encode()), onnx.AttrGraph
	}
	if a.kind != 0 {
		kind = a.kind
	}
	if a.ref != "" {
		p = p.strings(21, a.ref)
	}
	return p.int(20, int64(kind))
}

func (t *roughTensor) encode() pb {
	p := pb{}
	for _, n := range t.dims {
		p = p.int(1, n)
	}
	p = p.int(2, int64(t.d)).strings(8, t.name)
	if t.outside != "" {
		return p.bytes(13, pb{}.strings(1, "location").strings(2, t.outside)).int(14, 1)
	}
	if t.d == tensor.String {
		return p.strings(6, t.strings...)
	}
	var raw []byte
	for _, v := range t.floats {
		switch t.d {
		case tensor.Float64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		case tensor.Float16:
			raw = binary.LittleEndian.AppendUint16(raw, uint16(math.Float32bits(float32(v))>>16))
		default:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		}
	}
	for _, v := range t.ints {
		raw = append(raw, binary.LittleEndian.AppendUint64(nil, uint64(v))[:min(8, max(1, t.d.Bits()/8))]...)
	}
	return p.bytes(9, raw)
}
