package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Bounds on what a file may claim. Real models stay orders of magnitude below.
const (
	maxDepth = 32      // nested subgraphs
	maxNodes = 1 << 20 // nodes, attributes, values or tensors in one file
)

// Parse reads a model from its protobuf bytes. Tensor data is aliased, so data
// must not change while the model is in use; everything else is copied. The
// model has no folder: its external data, if any, cannot be resolved.
func Parse(data []byte) (*Model, error) { return parse(data, nil) }

func parse(data []byte, src *mapping) (*Model, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	d := &decoder{src: src}
	m := &Model{}
	err := d.fields("model", data, &m.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			m.IR = int64(f.varint)
		case 2:
			m.Producer = f.str()
		case 3:
			m.ProducerVersion = f.str()
		case 7:
			if m.Graph != nil {
				return false, errors.New("model: two graphs")
			}
			var err error
			m.Graph, err = d.graph(f.bytes, 0)
			return true, err
		case 8:
			var o Opset
			err := d.fields("opset_import", f.bytes, nil, func(f field) (bool, error) {
				switch f.num {
				case 1:
					o.Domain = f.str()
				case 2:
					o.Version = int64(f.varint)
				}
				return true, nil
			})
			m.Opsets = append(m.Opsets, o)
			return true, err
		case 14:
			p, err := d.prop(f.bytes)
			m.Meta = append(m.Meta, p)
			return true, err
		case 25:
			name := "?"
			err := d.fields("function", f.bytes, nil, func(f field) (bool, error) {
				if f.num == 1 {
					name = f.str()
				}
				return true, nil
			})
			m.Functions = append(m.Functions, name)
			return false, err
		default:
			return false, nil
		}
		return true, nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("this is not an ONNX model, or it is damaged: %w", err)
	case m.Graph == nil && m.IR == 0 && len(m.Opsets) == 0:
		return nil, errors.New("this is not an ONNX model: it has no graph, IR version or opset")
	case m.Graph == nil:
		return nil, errors.New("the model has no graph")
	}
	return m, nil
}

type decoder struct {
	src   *mapping
	count int
}

// wants are the wire types of the known fields' numbers; see field.
type field struct {
	num    protowire.Number
	typ    protowire.Type
	varint uint64
	bytes  []byte
}

func (f field) str() string { return strings.ToValidUTF8(string(f.bytes), "\uFFFD") }

// fields walks a message. use returns whether it took the field; the others go,
// copied, to unknown (nil drops them).
func (d *decoder) fields(what string, b []byte, unknown *[]byte, use func(field) (bool, error)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		f := field{num: num, typ: typ}
		k := 0
		switch typ {
		case protowire.VarintType:
			f.varint, k = protowire.ConsumeVarint(b[n:])
		case protowire.Fixed32Type:
			var v uint32
			v, k = protowire.ConsumeFixed32(b[n:])
			f.varint = uint64(v)
		case protowire.Fixed64Type:
			f.varint, k = protowire.ConsumeFixed64(b[n:])
		case protowire.BytesType:
			f.bytes, k = protowire.ConsumeBytes(b[n:])
		default:
			return fmt.Errorf("%s: field %d has wire type %d, which ONNX does not use", what, num, typ)
		}
		if k < 0 {
			return fmt.Errorf("%s: field %d: %w", what, num, protowire.ParseError(k))
		}
		taken, err := use(f)
		if err != nil {
			return err
		}
		if !taken && unknown != nil {
			*unknown = append(*unknown, b[:n+k]...)
		}
		b = b[n+k:]
	}
	return nil
}

func (d *decoder) bump(what string) error {
	if d.count++; d.count > maxNodes {
		return fmt.Errorf("%s: more than %d nodes, attributes and tensors in one file", what, maxNodes)
	}
	return nil
}

func (d *decoder) prop(b []byte) (Prop, error) {
	var p Prop
	err := d.fields("metadata_props", b, nil, func(f field) (bool, error) {
		switch f.num {
		case 1:
			p.Key = string(f.bytes)
		case 2:
			p.Value = string(f.bytes)
		}
		return true, nil
	})
	return p, err
}

func (d *decoder) graph(b []byte, depth int) (*Graph, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("graph: subgraphs nested deeper than %d", maxDepth)
	}
	g := &Graph{}
	err := d.fields("graph", b, &g.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			n, err := d.node(f.bytes, depth)
			g.Nodes = append(g.Nodes, n)
			return true, err
		case 2:
			g.Name = string(f.bytes)
		case 5:
			t, err := d.tensor(f.bytes)
			g.Initializers = append(g.Initializers, t)
			return true, err
		case 11:
			v, err := d.value(f.bytes)
			g.Inputs = append(g.Inputs, v)
			return true, err
		case 12:
			v, err := d.value(f.bytes)
			g.Outputs = append(g.Outputs, v)
			return true, err
		case 13:
			v, err := d.value(f.bytes)
			g.Values = append(g.Values, v)
			return true, err
		default:
			return false, nil
		}
		return true, nil
	})
	return g, err
}

func (d *decoder) node(b []byte, depth int) (*Node, error) {
	n := &Node{}
	if err := d.bump("node"); err != nil {
		return n, err
	}
	err := d.fields("node", b, &n.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 3:
			n.Name = string(f.bytes)
		case 4:
			n.Op = string(f.bytes)
		case 5:
			a, err := d.attr(f.bytes, depth)
			n.Attrs = append(n.Attrs, a)
			return true, err
		case 7:
			n.Domain = string(f.bytes)
		case 9:
			p, err := d.prop(f.bytes)
			n.Meta = append(n.Meta, p)
			return true, err
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return n, fmt.Errorf("node %s %q: %w", n.Op, n.Name, err)
	}
	return n, nil
}

func (d *decoder) attr(b []byte, depth int) (*Attr, error) {
	a := &Attr{}
	if err := d.bump("attribute"); err != nil {
		return a, err
	}
	err := d.fields("attribute", b, &a.unknown, func(f field) (bool, error) {
		var err error
		switch f.num {
		case 1:
			a.Name = string(f.bytes)
		case 2:
			a.Float = math.Float32frombits(uint32(f.varint))
			a.implied(AttrFloat)
		case 3:
			a.Int = int64(f.varint)
			a.implied(AttrInt)
		case 4:
			a.String = append([]byte{}, f.bytes...)
			a.implied(AttrString)
		case 5:
			a.Tensor, err = d.tensor(f.bytes)
			a.implied(AttrTensor)
		case 6:
			a.Graph, err = d.graph(f.bytes, depth+1)
			a.implied(AttrGraph)
		case 7:
			a.Floats, err = appendFloats(a.Floats, f)
			a.implied(AttrFloats)
		case 8:
			a.Ints, err = appendInts(a.Ints, f)
			a.implied(AttrInts)
		case 9:
			a.Strings = append(a.Strings, append([]byte{}, f.bytes...))
			a.implied(AttrStrings)
		case 11:
			var g *Graph
			g, err = d.graph(f.bytes, depth+1)
			a.Graphs = append(a.Graphs, g)
			a.implied(AttrGraphs)
		case 20:
			a.Type = AttrType(f.varint)
		default:
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return a, fmt.Errorf("attribute %q: %w", a.Name, err)
	}
	return a, nil
}

// implied sets the type of an attribute from its value: files before IR 4 leave
// the type out.
func (a *Attr) implied(t AttrType) {
	if a.Type == 0 {
		a.Type = t
	}
}

func appendFloats(dst []float32, f field) ([]float32, error) {
	if f.typ != protowire.BytesType {
		return append(dst, math.Float32frombits(uint32(f.varint))), nil
	}
	if len(f.bytes)%4 != 0 {
		return dst, fmt.Errorf("packed floats: %d bytes is not a multiple of 4", len(f.bytes))
	}
	for b := f.bytes; len(b) > 0; b = b[4:] {
		v, _ := protowire.ConsumeFixed32(b)
		dst = append(dst, math.Float32frombits(v))
	}
	return dst, nil
}

func appendInts(dst []int64, f field) ([]int64, error) {
	if f.typ != protowire.BytesType {
		return append(dst, int64(f.varint)), nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return dst, fmt.Errorf("packed integers: %w", protowire.ParseError(n))
		}
		dst, b = append(dst, int64(v)), b[n:]
	}
	return dst, nil
}

func (d *decoder) value(b []byte) (*Value, error) {
	v := &Value{}
	if err := d.bump("value"); err != nil {
		return v, err
	}
	err := d.fields("value", b, &v.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			v.Name = string(f.bytes)
			return true, nil
		case 2:
			v.typ = append([]byte{}, f.bytes...)
			return true, d.fields("type", f.bytes, nil, func(f field) (bool, error) {
				if f.num == 1 {
					v.typ = nil
					return true, d.tensorType(f.bytes, v)
				}
				return true, nil
			})
		}
		return false, nil
	})
	if err != nil {
		return v, fmt.Errorf("value %q: %w", v.Name, err)
	}
	return v, nil
}

func (d *decoder) tensorType(b []byte, v *Value) error {
	return d.fields("tensor type", b, nil, func(f field) (bool, error) {
		switch f.num {
		case 1:
			v.DType = tensor.DType(f.varint)
		case 2:
			v.Shape, v.hasShape = []Dim{}, true
			return true, d.fields("shape", f.bytes, nil, func(f field) (bool, error) {
				if f.num != 1 {
					return true, nil
				}
				dim := Dim{Size: -1}
				err := d.fields("dimension", f.bytes, nil, func(f field) (bool, error) {
					switch f.num {
					case 1:
						dim.Size = int64(f.varint)
					case 2:
						dim.Param = string(f.bytes)
					}
					return true, nil
				})
				if len(v.Shape) >= 64 {
					return true, errors.New("shape: more than 64 dimensions")
				}
				v.Shape = append(v.Shape, dim)
				return true, err
			})
		}
		return true, nil
	})
}

func (d *decoder) tensor(b []byte) (*Tensor, error) {
	t := &Tensor{msg: b, src: d.src}
	if err := d.bump("tensor"); err != nil {
		return t, err
	}
	external := false
	var ext []Prop
	err := d.fields("tensor", b, nil, func(f field) (bool, error) {
		var err error
		switch f.num {
		case 1:
			t.Dims, err = appendInts(t.Dims, f)
			if len(t.Dims) > 64 {
				err = errors.New("more than 64 dimensions")
			}
		case 2:
			t.DType = tensor.DType(f.varint)
		case 4, 5, 6, 7, 10, 11:
			t.typed = true
		case 8:
			t.Name = string(f.bytes)
		case 9:
			t.raw, t.hasRaw = f.bytes, true
		case 13:
			var p Prop
			p, err = d.prop(f.bytes)
			ext = append(ext, p)
		case 14:
			external = f.varint == 1
		}
		return true, err
	})
	if err == nil && external {
		t.External, err = parseExternal(ext)
	}
	if err != nil {
		return t, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if !utf8.ValidString(t.Name) {
		return t, fmt.Errorf("tensor %q: the name is not UTF-8", t.Name)
	}
	return t, nil
}
