package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// wire is the set of protobuf encodings that a field may have.
type wire uint8

const (
	varint wire = 1 << iota
	fixed32
	fixed64
	blob // a string or a message
	name // a string of at most maxName bytes
)

// The fields that are decoded, by message of onnx.proto. Repeated numbers come
// packed (blob) or one by one.
type wires map[protowire.Number]wire

var (
	modelWire    = wires{1: varint, 2: name, 3: name, 7: blob, 8: blob, 14: blob, 20: blob, 25: blob}
	opsetWire    = wires{1: name, 2: varint}
	propWire     = wires{1: blob, 2: blob}
	graphWire    = wires{1: blob, 2: name, 5: blob, 11: blob, 12: blob, 13: blob, 15: blob}
	nodeWire     = wires{1: name, 2: name, 3: name, 4: name, 5: blob, 7: name, 8: name, 9: blob}
	functionWire = wires{1: name, 4: name, 5: name, 6: name, 7: blob, 9: blob, 10: name, 11: blob, 13: name}
	trainingWire = wires{1: blob, 2: blob}
	sparseWire   = wires{1: blob, 2: blob}
	attrWire     = wires{1: name, 2: fixed32, 3: varint, 4: blob, 5: blob, 6: blob, 7: fixed32 | blob, 8: varint | blob,
		9: blob, 10: blob, 11: blob, 20: varint, 21: name, 22: blob, 23: blob}
	valueWire      = wires{1: name, 2: blob}
	typeWire       = wires{1: blob}
	tensorTypeWire = wires{1: varint, 2: blob}
	shapeWire      = wires{1: blob}
	dimWire        = wires{1: varint, 2: name}
	tensorWire     = wires{1: varint | blob, 2: varint, 3: blob, 4: fixed32 | blob, 5: varint | blob, 6: blob, 7: varint | blob,
		8: name, 9: blob, 10: fixed64 | blob, 11: varint | blob, 13: blob, 14: varint}
)

type decoder struct {
	src                *mapping
	count, parts, ints int
	hidden             []*Tensor
}

// field is one field of a message, decoded by its wire type.
type field struct {
	num    protowire.Number
	typ    protowire.Type
	varint uint64 // of the fixed types as well
	bytes  []byte
}

// fields walks a message whose known fields are encoded as w says. use returns
// whether it took the field; the others go, copied, to unknown (nil drops them).
func (d *decoder) fields(what string, w wires, b []byte, unknown *[]byte, use func(field) (bool, error)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		f := field{num: num, typ: typ}
		k := 0
		var is wire
		switch typ {
		case protowire.VarintType:
			is = varint
			f.varint, k = protowire.ConsumeVarint(b[n:])
		case protowire.Fixed32Type:
			is = fixed32
			var v uint32
			v, k = protowire.ConsumeFixed32(b[n:])
			f.varint = uint64(v)
		case protowire.Fixed64Type:
			is = fixed64
			f.varint, k = protowire.ConsumeFixed64(b[n:])
		case protowire.BytesType:
			is = blob | name
			f.bytes, k = protowire.ConsumeBytes(b[n:])
			d.parts++
		default:
			return fmt.Errorf("%s: field %d has wire type %d, which ONNX does not use", what, num, typ)
		}
		want, known := w[num]
		switch {
		case k < 0:
			return fmt.Errorf("%s: field %d: %w", what, num, protowire.ParseError(k))
		case known && want&is == 0:
			return fmt.Errorf("%s: field %d has wire type %d, which is not ONNX's", what, num, typ)
		case want == name && len(f.bytes) > maxName:
			return fmt.Errorf("%s: field %d is a name of %d bytes; at most %d are accepted", what, num, len(f.bytes), maxName)
		case d.parts > maxParts:
			return fmt.Errorf("%s: more than %d strings and messages in one file", what, maxParts)
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
		return fmt.Errorf("%s: more than %d nodes, attributes, values and tensors in one file", what, maxNodes)
	}
	return nil
}

func (d *decoder) prop(b []byte) (Prop, error) {
	var p Prop
	err := d.fields("key and value", propWire, b, nil, func(f field) (bool, error) {
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

// appendInts adds the integers of a repeated field, packed or not.
func appendInts(dst []int64, f field) ([]int64, error) {
	if f.typ != protowire.BytesType {
		return append(dst, int64(f.varint)), nil
	}
	n, err := countVarints(f.bytes)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, n)
	for b := f.bytes; len(b) > 0; {
		v, k := protowire.ConsumeVarint(b)
		dst, b = append(dst, int64(v)), b[k:]
	}
	return dst, nil
}

// countVarints is the number of packed integers in b.
func countVarints(b []byte) (n int, err error) {
	for len(b) > 0 {
		_, k := protowire.ConsumeVarint(b)
		if k < 0 {
			return n, fmt.Errorf("packed integers: %w", protowire.ParseError(k))
		}
		n, b = n+1, b[k:]
	}
	return n, nil
}
