package onnx

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func (d *decoder) attr(b []byte, depth int) (*Attr, error) {
	a := &Attr{}
	if err := d.bump("attribute"); err != nil {
		return a, err
	}
	err := d.fields("attribute", attrWire, b, &a.unknown, func(f field) (bool, error) {
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
			n := len(a.Floats)
			a.Floats, err = appendFloats(a.Floats, f)
			err = errors.Join(err, d.spend(len(a.Floats)-n))
			a.implied(AttrFloats)
		case 8:
			n := len(a.Ints)
			a.Ints, err = appendInts(a.Ints, f)
			err = errors.Join(err, d.spend(len(a.Ints)-n))
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
			if f.varint != 0 {
				a.Type = AttrType(f.varint)
			}
		case 21:
			a.Ref = string(f.bytes)
		case 10: // tensors
			t, err := d.tensor(f.bytes)
			d.hidden = append(d.hidden, t)
			return false, err
		case 22, 23: // sparse_tensor, sparse_tensors
			return false, d.sparse(f.bytes)
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

// spend counts numbers decoded to more memory than they take in the file.
func (d *decoder) spend(n int) error {
	if d.ints += n; d.ints > maxInts {
		return fmt.Errorf("more than %d numbers in the attributes of one file", maxInts)
	}
	return nil
}

func (d *decoder) value(b []byte) (*Value, error) {
	v := &Value{}
	if err := d.bump("value"); err != nil {
		return v, err
	}
	err := d.fields("value", valueWire, b, &v.unknown, func(f field) (bool, error) {
		switch f.num {
		case 1:
			v.Name = string(f.bytes)
		case 2:
			v.typ = append([]byte{}, f.bytes...)
			v.DType, v.Shape = tensor.Undefined, nil
			return true, d.typ(f.bytes, v)
		default:
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return v, fmt.Errorf("value %q: %w", v.Name, err)
	}
	return v, nil
}

// typ reads a TypeProto into v; types other than dense tensors leave it open.
func (d *decoder) typ(b []byte, v *Value) error {
	return d.fields("type", typeWire, b, nil, func(f field) (bool, error) {
		if f.num == 1 {
			return true, d.tensorType(f.bytes, v)
		}
		return true, nil
	})
}

func (d *decoder) tensorType(b []byte, v *Value) error {
	return d.fields("tensor type", tensorTypeWire, b, nil, func(f field) (bool, error) {
		switch f.num {
		case 1:
			v.DType = tensor.DType(f.varint)
		case 2:
			v.Shape = []Dim{}
			return true, d.fields("shape", shapeWire, f.bytes, nil, func(f field) (bool, error) {
				if f.num != 1 {
					return true, nil
				}
				dim := Dim{Size: -1}
				err := d.fields("dimension", dimWire, f.bytes, nil, func(f field) (bool, error) {
					switch f.num {
					case 1:
						dim.Size = int64(f.varint)
					case 2:
						dim.Param = string(f.bytes)
					}
					return true, nil
				})
				if len(v.Shape) >= maxRank {
					return true, fmt.Errorf("shape: more than %d dimensions", maxRank)
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
	err := d.fields("tensor", tensorWire, b, nil, func(f field) (bool, error) {
		var err error
		switch f.num {
		case 1:
			t.Dims, err = appendInts(t.Dims, f)
			if len(t.Dims) > maxRank {
				err = fmt.Errorf("more than %d dimensions", maxRank)
			}
		case 2:
			t.DType = tensor.DType(f.varint)
		case 4, 5, 6, 7, 10, 11:
			t.typed = true
		case 8:
			t.Name = string(f.bytes)
		case 3:
			err = errors.New("it is cut into segments, which is not supported")
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
	return t, nil
}

// What follows is kept in the file as it is; only its tensors are looked for,
// because external data may be named anywhere in a file.

// training walks a TrainingInfoProto.
func (d *decoder) training(b []byte) error {
	return d.fields("training_info", trainingWire, b, nil, func(f field) (bool, error) {
		if f.num > 2 {
			return true, nil
		}
		g, err := d.graph(f.bytes, 0)
		d.hidden = append(d.hidden, g.tensors()...)
		return true, err
	})
}

// sparse walks a SparseTensorProto.
func (d *decoder) sparse(b []byte) error {
	return d.fields("sparse tensor", sparseWire, b, nil, func(f field) (bool, error) {
		if f.num > 2 {
			return true, nil
		}
		t, err := d.tensor(f.bytes)
		d.hidden = append(d.hidden, t)
		return true, err
	})
}
