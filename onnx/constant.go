package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Tensor is a constant: an initializer or an attribute's value. It is immutable,
// and shared between a model and its clones. The data stays where it was found;
// Model.Values decodes it.
type Tensor struct {
	Name  string
	DType tensor.DType
	Dims  []int64
	// External is where the data lies, nil when it is in the model itself.
	External *External

	msg    []byte   // the whole TensorProto, written back as it is
	raw    []byte   // raw_data, aliased
	hasRaw bool     //
	typed  bool     // data in one of the typed fields
	src    *mapping // keeps what raw and msg alias alive
}

// NewTensor makes a constant from values, which it copies.
func NewTensor(name string, t *tensor.Tensor) *Tensor {
	c := &Tensor{Name: name, DType: t.DType, hasRaw: true}
	var msg []byte
	for _, d := range t.Shape {
		c.Dims = append(c.Dims, int64(d))
		msg = protowire.AppendVarint(protowire.AppendTag(msg, 1, protowire.VarintType), uint64(d))
	}
	msg = protowire.AppendVarint(protowire.AppendTag(msg, 2, protowire.VarintType), uint64(t.DType))
	msg = protowire.AppendString(protowire.AppendTag(msg, 8, protowire.BytesType), name)
	data := t.Bytes()
	msg = protowire.AppendBytes(protowire.AppendTag(msg, 9, protowire.BytesType), data)
	c.msg, c.raw = msg, msg[len(msg)-len(data):]
	return c
}

// Count is the number of elements, or an error for dimensions that are negative
// or whose product is beyond any memory.
func (t *Tensor) Count() (int64, error) {
	n := int64(1)
	for _, d := range t.Dims {
		if d < 0 {
			return 0, fmt.Errorf("tensor %q: dimension %d in %v", t.Name, d, t.Dims)
		}
		if d != 0 && n > math.MaxInt64/16/d {
			return 0, fmt.Errorf("tensor %q: dimensions %v overflow", t.Name, t.Dims)
		}
		n *= d
	}
	return n, nil
}

// size is the number of bytes raw data must have, or -1 for types whose size
// does not follow from the dimensions.
func (t *Tensor) size() (int64, error) {
	n, err := t.Count()
	if err != nil || t.DType.Bits() == 0 {
		return -1, err
	}
	return (n*int64(t.DType.Bits()) + 7) / 8, nil
}

// check finds what is wrong with a tensor by itself.
func (t *Tensor) check() error {
	switch {
	case !t.DType.Known():
		return fmt.Errorf("tensor %q: unknown element type %d", t.Name, t.DType)
	case t.hasRaw && t.typed && len(t.raw) > 0:
		return fmt.Errorf("tensor %q: data in raw_data and in a typed field", t.Name)
	}
	want, err := t.size()
	if err != nil {
		return err
	}
	if t.External == nil && t.hasRaw && want >= 0 && int64(len(t.raw)) != want {
		return fmt.Errorf("tensor %q: %s %v needs %d bytes, raw_data has %d", t.Name, t.DType, t.Dims, want, len(t.raw))
	}
	if t.External != nil && want >= 0 && t.External.Length >= 0 && t.External.Length != want {
		return fmt.Errorf("tensor %q: %s %v needs %d bytes, external data of length %d is declared", t.Name, t.DType, t.Dims, want, t.External.Length)
	}
	if t.External == nil && !t.hasRaw && want > 0 {
		got, err := t.typedCount()
		if err != nil {
			return err
		}
		if n, _ := t.Count(); got != n && t.DType.Bits() >= 8 && t.DType < tensor.Complex64 {
			return fmt.Errorf("tensor %q: %s %v needs %d values, the file has %d", t.Name, t.DType, t.Dims, n, got)
		}
	}
	return nil
}

// typedCount is the number of values in the typed fields.
func (t *Tensor) typedCount() (n int64, err error) {
	d := decoder{}
	err = d.fields("tensor", t.msg, nil, func(f field) (bool, error) {
		switch f.num {
		case 4, 10:
			if f.typ != protowire.BytesType {
				n++
			} else if w := map[protowire.Number]int{4: 4, 10: 8}[f.num]; len(f.bytes)%w == 0 {
				n += int64(len(f.bytes) / w)
			} else {
				return false, fmt.Errorf("tensor %q: packed values of %d bytes", t.Name, len(f.bytes))
			}
		case 5, 7, 11:
			v, err := appendInts(nil, f)
			n += int64(len(v))
			return true, err
		case 6:
			n++
		}
		return true, nil
	})
	return n, err
}

// maxDecoded bounds what Values decodes to memory of its own.
const maxDecoded = 1 << 33

// Values decodes a tensor into memory of the caller's.
func (m *Model) Values(t *Tensor) (*tensor.Tensor, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	n, _ := t.Count()
	if n*int64(max(t.DType.Bits(), 8)) > maxDecoded*8 {
		return nil, fmt.Errorf("tensor %q: %v is too large to decode", t.Name, t.Dims)
	}
	shape := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		shape[i] = int(d)
	}
	raw := t.raw
	if t.External != nil {
		var err error
		if raw, err = m.external(t); err != nil {
			return nil, err
		}
	}
	if t.External != nil || t.hasRaw || n == 0 {
		out, err := tensor.Decode(t.DType, shape, raw)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		return out, nil
	}
	return t.decodeTyped(shape)
}

func (t *Tensor) decodeTyped(shape []int) (*tensor.Tensor, error) {
	out, err := tensor.New(t.DType, shape...)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	var floats []float32
	var ints []int64
	var doubles []float64
	d := decoder{}
	err = d.fields("tensor", t.msg, nil, func(f field) (ok bool, err error) {
		switch f.num {
		case 4:
			floats, err = appendFloats(floats, f)
		case 5, 7, 11:
			ints, err = appendInts(ints, f)
		case 10:
			b := f.bytes
			if f.typ != protowire.BytesType {
				b = protowire.AppendFixed64(nil, f.varint)
			}
			for ; len(b) >= 8; b = b[8:] {
				v, _ := protowire.ConsumeFixed64(b)
				doubles = append(doubles, math.Float64frombits(v))
			}
		}
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	got := 0
	switch dst := out.Data.(type) {
	case []float32:
		got = copy(dst, floats)
	case []float64:
		got = copy(dst, doubles)
	case []int64:
		got = copy(dst, ints)
	case []int32:
		got = narrow(dst, ints)
	case []int16:
		got = narrow(dst, ints)
	case []int8:
		got = narrow(dst, ints)
	case []uint8:
		got = narrow(dst, ints)
	case []uint16:
		got = narrow(dst, ints)
	case []uint32:
		got = narrow(dst, ints)
	case []uint64:
		got = narrow(dst, ints)
	case []bool:
		for ; got < min(len(dst), len(ints)); got++ {
			dst[got] = ints[got] != 0
		}
	}
	if got != tensor.Count(shape) {
		return nil, fmt.Errorf("tensor %q: %s %v needs %d values, the file has %d", t.Name, t.DType, shape, tensor.Count(shape), got)
	}
	return out, nil
}

func narrow[T int32 | int16 | int8 | uint8 | uint16 | uint32 | uint64](dst []T, src []int64) int {
	n := min(len(dst), len(src))
	for i := range n {
		dst[i] = T(src[i])
	}
	return n
}

// Tensors lists every constant of the model: initializers and attribute values,
// subgraphs included.
func (m *Model) Tensors() []*Tensor { return m.Graph.tensors() }

func (g *Graph) tensors() []*Tensor {
	ts := slices.Clone(g.Initializers)
	for _, n := range g.Nodes {
		for _, a := range n.Attrs {
			if a.Tensor != nil {
				ts = append(ts, a.Tensor)
			}
		}
		for _, s := range n.Subgraphs() {
			ts = append(ts, s.tensors()...)
		}
	}
	return ts
}
