package tensor

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

// held are the types a Tensor can hold, by the Go type of the data.
var held = []DType{Float32, Float64, Uint8, Int8, Uint16, Int16, Uint32, Int32, Uint64, Int64, Bool, Float16, BFloat16}

func TestDecodeBytes(t *testing.T) {
	for _, d := range held {
		width := d.Bits() / 8
		raw := make([]byte, 6*width)
		for i := range raw {
			raw[i] = byte(37*i + 1)
			if d == Bool {
				raw[i] = byte(i % 2)
			}
		}
		v, err := Decode(d, []int{2, 3}, raw)
		if err != nil {
			t.Errorf("%s: %v", d, err)
			continue
		}
		if v.DType != d || !slices.Equal(v.Shape, []int{2, 3}) || !bytes.Equal(v.Bytes(), raw) {
			t.Errorf("%s: bytes %v came back as %v", d, raw, v.Bytes())
		}
		if zero, err := New(d, 2, 0); err != nil || len(zero.Bytes()) != 0 {
			t.Errorf("%s: no elements: %v", d, err)
		}
		raw[0] ^= 1
		if bytes.Equal(v.Bytes(), raw) {
			t.Errorf("%s: the data was not copied", d)
		}
		if _, err := Decode(d, []int{2, 3}, raw[1:]); err == nil || !strings.Contains(err.Error(), "bytes, want") {
			t.Errorf("%s: a byte short: %v", d, err)
		}
	}
	v, err := Decode(Int32, []int{1}, []byte{1, 2, 0, 0x80})
	if err != nil || Data[int32](v)[0] != math.MinInt32+0x201 {
		t.Errorf("little-endian: %v, %v", v, err)
	}
}

func TestImpossibleTensors(t *testing.T) {
	for _, shape := range [][]int{{-1}, {2, -3}, {math.MaxInt}, {1 << 31, 1 << 31, 4}, {1 << 32, 1 << 32, 0}, {0, -1}} {
		if _, err := New(Float32, shape...); err == nil || !strings.Contains(err.Error(), "is not possible") {
			t.Errorf("New %v: %v", shape, err)
		}
		if _, err := Decode(Float32, shape, nil); err == nil || !strings.Contains(err.Error(), "is not possible") {
			t.Errorf("Decode %v: %v", shape, err)
		}
	}
	for d := DType(-1); d < 30; d++ {
		_, newErr := New(d, 2)
		_, decodeErr := Decode(d, []int{2}, make([]byte, 2*d.Bits()/8))
		if want := slices.Contains(held, d); (newErr == nil) != want || (decodeErr == nil) != want {
			t.Errorf("%s: New %v, Decode %v", d, newErr, decodeErr)
		}
		if decodeErr != nil && !strings.Contains(decodeErr.Error(), d.String()+": this type is not supported") {
			t.Errorf("%s: %v", d, decodeErr)
		}
	}
	for name, f := range map[string]func(){
		"Of":   func() { Of([]int64{1}, 2) },
		"Data": func() { Data[int64](Scalar(float32(1))) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestDTypes(t *testing.T) {
	for d := DType(1); d.Known(); d++ {
		if d.String() == "" || strings.Contains(d.String(), "dtype") {
			t.Errorf("type %d has no name", int(d))
		}
		if (d.Bits() == 0) != (d == String) {
			t.Errorf("%s has %d bits", d, d.Bits())
		}
	}
	for _, c := range []struct {
		d    DType
		name string
		bits int
	}{{Undefined, "undefined", 0}, {Bool, "bool", 8}, {Complex128, "complex128", 128}, {BFloat16, "bfloat16", 16}, {22, "int4", 4}, {-1, "dtype(-1)", 0}, {99, "dtype(99)", 0}} {
		if c.d.String() != c.name || c.d.Bits() != c.bits {
			t.Errorf("type %d is %s of %d bits", int(c.d), c.d, c.d.Bits())
		}
	}
	for _, c := range []struct{ got, want DType }{
		{TypeOf[float32](), Float32}, {TypeOf[float64](), Float64}, {TypeOf[uint8](), Uint8}, {TypeOf[int8](), Int8},
		{TypeOf[uint16](), Uint16}, {TypeOf[int16](), Int16}, {TypeOf[uint32](), Uint32}, {TypeOf[int32](), Int32},
		{TypeOf[uint64](), Uint64}, {TypeOf[int64](), Int64}, {TypeOf[bool](), Bool},
	} {
		if c.got != c.want {
			t.Errorf("TypeOf gave %s, want %s", c.got, c.want)
		}
	}
	for shape, want := range map[*[]int]int{{}: 1, {5}: 5, {2, 3}: 6, {4, 0}: 0} {
		if got := Count(*shape); got != want {
			t.Errorf("Count(%v) is %d", *shape, got)
		}
	}
}

func TestFloat64s(t *testing.T) {
	half, err := Decode(Float16, []int{2}, []byte{0, 0x3c, 0, 0xc0})
	if err != nil {
		t.Fatal(err)
	}
	bf, err := Decode(BFloat16, []int{2}, []byte{0x80, 0x3f, 0, 0xc0})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Tensor{
		half, bf, Of([]float32{1, -2}, 2), Of([]float64{1, -2}, 2), Of([]int8{1, -2}, 2), Of([]int16{1, -2}, 2),
		Of([]int32{1, -2}, 2), Of([]int64{1, -2}, 2),
	} {
		if got := v.Float64s(); !slices.Equal(got, []float64{1, -2}) {
			t.Errorf("%s: %v", v.DType, got)
		}
	}
	for _, v := range []*Tensor{Of([]uint8{1, 0}, 2), Of([]uint16{1, 0}, 2), Of([]uint32{1, 0}, 2), Of([]uint64{1, 0}, 2), Of([]bool{true, false}, 2)} {
		if got := v.Float64s(); !slices.Equal(got, []float64{1, 0}) {
			t.Errorf("%s: %v", v.DType, got)
		}
	}
}

// halfValue computes a binary16's value from its definition, in float64.
func halfValue(h uint16) float64 {
	sign, exp, frac := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch exp {
	case 0:
		return math.Copysign(math.Ldexp(frac, -24), sign)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

func TestHalf(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := HalfToFloat32(h), halfValue(h)
		if want != want {
			if back := Float32ToHalf(got); got == got || math.Float32bits(got)>>31 != uint32(h>>15) || back&0x7c00 != 0x7c00 || back&0x3ff == 0 || back>>15 != h>>15 {
				t.Fatalf("%#04x is %v, and back %#04x", h, got, back)
			}
			continue
		}
		if math.Float64bits(float64(got)) != math.Float64bits(want) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
		if back := Float32ToHalf(got); back != h {
			t.Fatalf("%v is %#04x, want %#04x", got, back, h)
		}
		// Between h and the next: the middle goes to the even one, its neighbours to
		// the nearer. 2^16 stands for the infinity after the largest.
		next := halfValue(h + 1)
		if h&0x7fff == 0x7bff {
			next = math.Copysign(1<<16, want)
		}
		if h&0x7fff >= 0x7c00 {
			continue
		}
		middle := float32((want + next) / 2)
		even := h + h&1
		away := float32(math.Inf(1))
		if h>>15 == 1 {
			away = -away
		}
		for v, want := range map[float32]uint16{
			middle: even, math.Nextafter32(middle, away): h + 1, math.Nextafter32(middle, 0): h,
		} {
			if got := Float32ToHalf(v); got != want {
				t.Fatalf("%v is %#04x, want %#04x", v, got, want)
			}
		}
	}
	for v, want := range map[float32]uint16{math.MaxFloat32: 0x7c00, -math.MaxFloat32: 0xfc00, math.SmallestNonzeroFloat32: 0, 65519.996: 0x7bff} {
		if got := Float32ToHalf(v); got != want {
			t.Errorf("%v is %#04x, want %#04x", v, got, want)
		}
	}
}

func TestBFloat(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		v := math.Float32frombits(uint32(h) << 16)
		back := Float32ToBFloat(v)
		if v != v {
			if math.Float32frombits(uint32(back)<<16) == v || back>>15 != h>>15 || back&0x7fff <= 0x7f80 {
				t.Fatalf("the NaN %#04x became %#04x", h, back)
			}
			continue
		}
		if back != h {
			t.Fatalf("%v is %#04x, want %#04x", v, back, h)
		}
		if math.IsInf(float64(v), 0) {
			continue
		}
		for low, want := range map[uint32]uint16{0x7fff: h, 0x8000: h + h&1, 0x8001: h + 1} {
			if got := Float32ToBFloat(math.Float32frombits(uint32(h)<<16 | low)); got != want {
				t.Fatalf("%#04x.%04x is %#04x, want %#04x", h, low, got, want)
			}
		}
	}
	if got := Float32ToBFloat(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("a NaN whose payload is cut off became %#04x", got)
	}
}
