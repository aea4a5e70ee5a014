package onnx

import (
	"fmt"
	"math"
	"runtime"
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
	tail   []byte   // a new name, which counts because it follows msg
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

// Renamed is the tensor under another name. They share their data.
func (t *Tensor) Renamed(name string) *Tensor {
	c := *t
	c.Name, c.tail = name, protowire.AppendString(protowire.AppendTag(nil, 8, protowire.BytesType), name)
	return &c
}

const (
	maxRank     = 64      // numpy's limit; real models stay below 10
	maxElements = 1 << 48 // of one tensor, and in one dimension
)

// Count is the number of elements, or an error for dimensions that are negative
// or whose product is beyond any memory.
func (t *Tensor) Count() (int64, error) {
	n := int64(1)
	for _, d := range t.Dims {
		if d < 0 {
			return 0, fmt.Errorf("tensor %q: dimension %d in %v", t.Name, d, t.Dims)
		}
		if n > maxElements/max(d, 1) {
			return 0, fmt.Errorf("tensor %q: dimensions %v overflow", t.Name, t.Dims)
		}
		n *= max(d, 1)
	}
	if slices.Contains(t.Dims, 0) {
		return 0, nil
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
	return (n*int64(t.DType.Bits()) + 7) / 8, nil // at most 2^55
}

// check finds what is wrong with a tensor by itself.
func (t *Tensor) check() error {
	switch {
	case !t.DType.Known():
		return fmt.Errorf("tensor %q: unknown element type %d", t.Name, t.DType)
	case t.hasRaw && t.typed && len(t.raw) > 0:
		return fmt.Errorf("tensor %q: data in raw_data and in a typed field", t.Name)
	case t.DType == tensor.String && (t.hasRaw || t.External != nil):
		return fmt.Errorf("tensor %q: strings in raw_data or external data", t.Name)
	}
	want, err := t.size()
	switch {
	case err != nil:
		return err
	case t.External != nil:
		if t.External.Length >= 0 && t.External.Length != want {
			return fmt.Errorf("tensor %q: %s %v needs %d bytes, external data of length %d is declared", t.Name, t.DType, t.Dims, want, t.External.Length)
		}
	case t.hasRaw:
		if int64(len(t.raw)) != want {
			return fmt.Errorf("tensor %q: %s %v needs %d bytes, raw_data has %d", t.Name, t.DType, t.Dims, want, len(t.raw))
		}
	default:
		num, n := t.typedField()
		got, err := t.typedCount(num)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if got != n {
			return fmt.Errorf("tensor %q: %s %v needs %d values, the file has %d", t.Name, t.DType, t.Dims, n, got)
		}
	}
	return nil
}

// typedField is the field of TensorProto that holds elements of t's type when
// raw_data does not, and the number of values in it. Types below 8 bits are packed
// into bytes there too.
func (t *Tensor) typedField() (num protowire.Number, n int64) {
	n, _ = t.Count()
	switch t.DType {
	case tensor.Float32:
		return 4, n
	case tensor.Complex64:
		return 4, 2 * n
	case tensor.Float64:
		return 10, n
	case tensor.Complex128:
		return 10, 2 * n
	case tensor.Int64:
		return 7, n
	case tensor.Uint32, tensor.Uint64:
		return 11, n
	case tensor.String:
		return 6, n
	}
	if bits := t.DType.Bits(); bits < 8 {
		n, _ = t.size()
	}
	return 5, n
}

// typedCount is the number of values in one of the typed fields.
func (t *Tensor) typedCount(num protowire.Number) (n int64, err error) {
	defer runtime.KeepAlive(t) // msg points into the mapped file
	err = (&decoder{}).fields("tensor", tensorWire, t.msg, nil, func(f field) (bool, error) {
		switch {
		case f.num != num:
		case f.typ != protowire.BytesType || num == 6:
			n++
		case num == 4 || num == 10:
			width := map[protowire.Number]int{4: 4, 10: 8}[num]
			if len(f.bytes)%width != 0 {
				return false, fmt.Errorf("packed values of %d bytes", len(f.bytes))
			}
			n += int64(len(f.bytes) / width)
		default:
			k, err := countVarints(f.bytes)
			n += int64(k)
			return true, err
		}
		return true, nil
	})
	return n, err
}

// maxDecoded bounds what Values decodes to memory of its own.
const maxDecoded = 1 << 33

// Values decodes a tensor into memory of the caller's.
func (m *Model) Values(t *Tensor) (*tensor.Tensor, error) {
	defer runtime.KeepAlive(t) // raw and msg point into the mapped file,
	defer runtime.KeepAlive(m) // external data into one that the model holds
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
		if raw, err = m.externalData(t); err != nil {
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
	num, _ := t.typedField()
	err = (&decoder{}).fields("tensor", tensorWire, t.msg, nil, func(f field) (ok bool, err error) {
		switch {
		case f.num != num:
		case num == 4:
			floats, err = appendFloats(floats, f)
		case num == 5 || num == 7 || num == 11:
			ints, err = appendInts(ints, f)
		case num == 10:
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
	if g == nil {
		return nil
	}
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
