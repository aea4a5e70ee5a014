// Package tensor holds dense arrays and the ONNX data types. It depends on the
// standard library alone, so every other package can speak it.
package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// DType is an element type, numbered as TensorProto.DataType in onnx.proto.
type DType int32

// The ONNX element types. A type this package cannot hold in a Go slice can
// still be named, measured and passed through.
const (
	Undefined  DType = 0
	Float32    DType = 1
	Uint8      DType = 2
	Int8       DType = 3
	Uint16     DType = 4
	Int16      DType = 5
	Int32      DType = 6
	Int64      DType = 7
	String     DType = 8
	Bool       DType = 9
	Float16    DType = 10
	Float64    DType = 11
	Uint32     DType = 12
	Uint64     DType = 13
	Complex64  DType = 14
	Complex128 DType = 15
	BFloat16   DType = 16
)

// names follow numpy where numpy has the type. bits is the width of one
// element; 0 marks a type without a fixed width.
var dtypes = []struct {
	name string
	bits int
}{
	{"undefined", 0}, {"float32", 32}, {"uint8", 8}, {"int8", 8}, {"uint16", 16}, {"int16", 16},
	{"int32", 32}, {"int64", 64}, {"string", 0}, {"bool", 8}, {"float16", 16}, {"float64", 64},
	{"uint32", 32}, {"uint64", 64}, {"complex64", 64}, {"complex128", 128}, {"bfloat16", 16},
	{"float8e4m3fn", 8}, {"float8e4m3fnuz", 8}, {"float8e5m2", 8}, {"float8e5m2fnuz", 8},
	{"uint4", 4}, {"int4", 4}, {"float4e2m1", 4}, {"float8e8m0", 8}, {"uint2", 2}, {"int2", 2},
}

// Known reports whether ONNX defines the type.
func (d DType) Known() bool { return d > 0 && int(d) < len(dtypes) }

// String is the type's name as numpy spells it.
func (d DType) String() string {
	if d < 0 || int(d) >= len(dtypes) {
		return fmt.Sprintf("dtype(%d)", int32(d))
	}
	return dtypes[d].name
}

// Bits is the width of one element, or 0 for strings and unknown types. Types
// narrower than a byte are packed, two or four to a byte.
func (d DType) Bits() int {
	if d < 0 || int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].bits
}

// IsFloat reports whether the type is one of the floating-point types that a
// network computes in.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}

// Element lists the Go types a Tensor's data can have. Float16 and BFloat16
// are held as their bits, in []uint16.
type Element interface {
	float32 | float64 | uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | bool
}

// Tensor is a dense row-major array. Data is a slice of the Go type that DType
// names ([]uint16 for Float16 and BFloat16); its length is the product of Shape.
type Tensor struct {
	DType DType
	Shape []int
	Data  any
}

// Of wraps data, which it does not copy, as a tensor of the given shape. It
// panics when the shape does not hold len(data) elements.
func Of[T Element](data []T, shape ...int) *Tensor {
	if n := Count(shape); n != len(data) {
		panic(fmt.Sprintf("tensor.Of: shape %v holds %d elements, data has %d", shape, n, len(data)))
	}
	return &Tensor{DType: TypeOf[T](), Shape: slices.Clone(shape), Data: data}
}

// Scalar is a tensor of rank 0.
func Scalar[T Element](v T) *Tensor { return Of([]T{v}) }

// TypeOf is the DType that holds T.
func TypeOf[T Element]() DType {
	var z T
	switch any(z).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case uint8:
		return Uint8
	case int8:
		return Int8
	case uint16:
		return Uint16
	case int16:
		return Int16
	case uint32:
		return Uint32
	case int32:
		return Int32
	case uint64:
		return Uint64
	case int64:
		return Int64
	default:
		return Bool
	}
}

// Data is a view of t's elements. It panics when T is not the type t holds.
func Data[T Element](t *Tensor) []T {
	d, ok := t.Data.([]T)
	if !ok {
		var z []T
		panic(fmt.Sprintf("tensor.Data: want %T, the tensor is %s and holds %T", z, t.DType, t.Data))
	}
	return d
}

// New makes a zeroed tensor. Types without a Go slice (strings, complex,
// 8-bit and narrower floats) are an error, and so are shapes that no memory holds.
func New(d DType, shape ...int) (*Tensor, error) {
	n, err := size(shape)
	if err != nil {
		return nil, fmt.Errorf("making a tensor of %s: %w", d, err)
	}
	t := &Tensor{DType: d, Shape: slices.Clone(shape)}
	switch d {
	case Float32:
		t.Data = make([]float32, n)
	case Float64:
		t.Data = make([]float64, n)
	case Uint8:
		t.Data = make([]uint8, n)
	case Int8:
		t.Data = make([]int8, n)
	case Uint16, Float16, BFloat16:
		t.Data = make([]uint16, n)
	case Int16:
		t.Data = make([]int16, n)
	case Uint32:
		t.Data = make([]uint32, n)
	case Int32:
		t.Data = make([]int32, n)
	case Uint64:
		t.Data = make([]uint64, n)
	case Int64:
		t.Data = make([]int64, n)
	case Bool:
		t.Data = make([]bool, n)
	default:
		return nil, fmt.Errorf("making a tensor of %s: this type is not supported", d)
	}
	return t, nil
}

// Decode copies little-endian bytes, ONNX's raw_data, into a new tensor.
func Decode(d DType, shape []int, raw []byte) (*Tensor, error) {
	n, err := size(shape)
	if err != nil {
		return nil, fmt.Errorf("decoding a tensor of %s: %w", d, err)
	}
	w := d.Bits() / 8
	if w == 0 {
		return nil, fmt.Errorf("decoding a tensor of %s: this type is not supported", d)
	}
	if len(raw) != n*w {
		return nil, fmt.Errorf("decoding a tensor of %s %v: got %d bytes, want %d", d, shape, len(raw), n*w)
	}
	t, err := New(d, shape...)
	if err != nil {
		return nil, err
	}
	switch dst := t.Data.(type) {
	case []bool:
		for i, b := range raw {
			dst[i] = b != 0
		}
	default:
		if _, err := binary.Decode(raw, binary.LittleEndian, dst); err != nil {
			return nil, fmt.Errorf("decoding a tensor of %s %v: %w", d, shape, err)
		}
	}
	return t, nil
}

// Bytes is the little-endian image of t, ONNX's raw_data, in new memory.
func (t *Tensor) Bytes() []byte {
	b, err := binary.Append(nil, binary.LittleEndian, t.Data)
	if err != nil {
		panic(fmt.Sprintf("tensor.Bytes: %v", err)) // every Element is fixed-size
	}
	return b
}

// Len is the number of elements that Data holds.
func (t *Tensor) Len() int { return reflect.ValueOf(t.Data).Len() }

// Count is the number of elements of a shape; 1 for a scalar.
func Count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// size is Count for a shape that may come from anywhere.
func size(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || n > math.MaxInt/16/max(d, 1) {
			return 0, fmt.Errorf("the shape %v is not possible", shape)
		}
		n *= max(d, 1)
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	return n, nil
}

// Float64s converts any numeric tensor to float64 values. Every type up to 32
// bits, and the 16-bit floats, convert exactly.
func (t *Tensor) Float64s() []float64 {
	switch d := t.Data.(type) {
	case []float64:
		return slices.Clone(d)
	case []float32:
		return convert(d)
	case []uint8:
		return convert(d)
	case []int8:
		return convert(d)
	case []int16:
		return convert(d)
	case []uint32:
		return convert(d)
	case []int32:
		return convert(d)
	case []uint64:
		return convert(d)
	case []int64:
		return convert(d)
	case []uint16:
		out := make([]float64, len(d))
		for i, v := range d {
			switch t.DType {
			case Float16:
				out[i] = float64(HalfToFloat32(v))
			case BFloat16:
				out[i] = float64(math.Float32frombits(uint32(v) << 16))
			default:
				out[i] = float64(v)
			}
		}
		return out
	case []bool:
		out := make([]float64, len(d))
		for i, v := range d {
			if v {
				out[i] = 1
			}
		}
		return out
	}
	return nil
}

func convert[T uint8 | int8 | int16 | uint32 | int32 | uint64 | int64 | float32](d []T) []float64 {
	out := make([]float64, len(d))
	for i, v := range d {
		out[i] = float64(v)
	}
	return out
}

// HalfToFloat32 widens an IEEE 754 binary16, exactly.
func HalfToFloat32(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0:
		f := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// Float32ToHalf rounds to the nearest IEEE 754 binary16, ties to even.
func Float32ToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	abs := math.Float32frombits(b &^ (1 << 31))
	switch {
	case abs != abs:
		return sign | 0x7e00
	case abs >= 65520:
		return sign | 0x7c00
	case abs < 1.0/(1<<14):
		return sign | uint16(math.RoundToEven(float64(abs)*(1<<24)))
	}
	b &^= 1 << 31
	b += 0xfff + b>>13&1
	return sign | uint16((b-(112<<23))>>13)
}

// Float32ToBFloat rounds to the nearest bfloat16, ties to even.
func Float32ToBFloat(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
