package tensor

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// npyOf is a .npy file as numpy lays it out.
func npyOf(version byte, dict string, data []byte) []byte {
	b := append([]byte(npyMagic), version, 0)
	dict += "\n"
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(dict)))
	}
	return append(append(b, dict...), data...)
}

func dict(descr, fortran, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, fortran, shape)
}

func TestReadNpy(t *testing.T) {
	le16 := []byte{1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0}
	be16 := []byte{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}
	rows := []int16{1, 2, 3, 4, 5, 6}
	one := math.Float64bits(1.5)
	for _, c := range []struct {
		name  string
		file  []byte
		want  any
		shape []int
	}{
		{"little endian", npyOf(1, dict("<i2", "False", "(2, 3)"), le16), rows, []int{2, 3}},
		{"big endian", npyOf(1, dict(">i2", "False", "(2, 3)"), be16), rows, []int{2, 3}},
		{"native", npyOf(1, dict("=i2", "False", "(2, 3)"), le16), rows, []int{2, 3}},
		{"Fortran", npyOf(1, dict("<i2", "True", "(2, 3)"), le16), []int16{1, 3, 5, 2, 4, 6}, []int{2, 3}},
		{"Fortran, three axes", npyOf(1, dict("<i2", "True", "(1, 3, 2)"), le16), []int16{1, 4, 2, 5, 3, 6}, []int{1, 3, 2}},
		{"version 2", npyOf(2, dict("<i2", "False", "(6,)"), le16), rows, []int{6}},
		{"version 3", npyOf(3, dict("<i2", "False", "(6L,)"), le16), rows, []int{6}},
		{"scalar", npyOf(1, dict("<f8", "False", "()"), binary.LittleEndian.AppendUint64(nil, one)), []float64{1.5}, []int{}},
		{"half", npyOf(1, dict("<f2", "False", "(1,)"), []byte{0, 0x3e}), []uint16{0x3e00}, []int{1}},
		{"bool", npyOf(1, dict("|b1", "False", "(2,)"), []byte{0, 1}), []bool{false, true}, []int{2}},
		{"empty", npyOf(1, dict("<f4", "False", "(0, 4611686018427387904, 8)"), nil), []float32{}, []int{0, 1 << 62, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadNpy(bytes.NewReader(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Data, c.want) || !reflect.DeepEqual(got.Shape, c.shape) {
				t.Errorf("got %v %v, want %v %v", got.Shape, got.Data, c.shape, c.want)
			}
		})
	}
}

func TestReadNpyRefuses(t *testing.T) {
	huge := append([]byte(npyMagic), 2, 0, 0, 0, 0, 0x40) // a header of 1 GiB
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "does not begin as a .npy file"},
		{"HTML", []byte("<!DOCTYPE html><html>"), "does not begin as a .npy file"},
		{"version 9", npyOf(9, dict("<f4", "False", "()"), nil), "version 9"},
		{"header of 1 GiB", huge, "claims 1073741824 bytes"},
		{"header cut short", npyOf(1, dict("<f4", "False", "()"), nil)[:40], "header is cut short"},
		{"object", npyOf(1, dict("|O", "False", "(1,)"), []byte("\x80\x04")), "np.save"},
		{"structured", npyOf(1, "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", nil), "structured"},
		{"string", npyOf(1, dict("<U5", "False", "(1,)"), nil), `"<U5" is not supported, want one of f4`},
		{"complex", npyOf(1, dict("<c8", "False", "(1,)"), nil), "not supported"},
		{"overflow", npyOf(1, dict("<f4", "False", "(4294967296, 4294967296, 4)"), nil), "overflows"},
		{"overflow by width", npyOf(1, dict("<f8", "False", "(2305843009213693952,)"), nil), "overflows"},
		{"too big to be there", npyOf(1, dict("<f4", "False", "(1000000000000,)"), []byte{1, 2, 3}), "got 3 bytes of 4000000000000"},
		{"negative", npyOf(1, dict("<f4", "False", "(-1,)"), nil), "is not a size"},
		{"short", npyOf(1, dict("<f4", "False", "(2,)"), make([]byte, 7)), "got 7 bytes of 8"},
		{"no shape", npyOf(1, "{'descr': '<f4', 'fortran_order': False}", nil), "lacks"},
		{"twice", npyOf(1, "{'descr': '<f4', 'descr': '<f4'}", nil), "twice"},
		{"not a dict", npyOf(1, "import os", nil), "not a Python dict"},
		{"many axes", npyOf(1, dict("<f4", "False", "("+strings.Repeat("1,", 65)+")"), nil), "more than 64 axes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadNpy(bytes.NewReader(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestReadNpyFileChecksSizeFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := os.WriteFile(path, npyOf(1, dict("<f4", "False", "(1000000000000,)"), make([]byte, 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadNpyFile(path); err == nil || !strings.Contains(err.Error(), "there are 100") {
		t.Errorf("got error %v, want one that says there are 100 bytes", err)
	}
}

func TestWriteNpyRoundTrip(t *testing.T) {
	for _, want := range []*Tensor{
		Of([]float32{1, -2, float32(math.Inf(1)), 4, 5, 6}, 3, 2), Of([]float64{1}, 1), Of([]uint8{1, 2}, 2), Of([]int8{-1}, 1),
		Of([]int16{-3}, 1, 1), Of([]uint16{9}), Of([]int32{1 << 30}, 1), Of([]uint32{1 << 31}, 1), Of([]int64{-1 << 62}, 1),
		Of([]uint64{1 << 63}, 1), Of([]bool{true, false, true}, 1, 3), Of([]float32{}, 0, 4),
		{DType: Float16, Shape: []int{1}, Data: []uint16{0x3c00}},
	} {
		var b bytes.Buffer
		if err := WriteNpy(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadNpy(&b)
		if err != nil || got.DType != want.DType || !reflect.DeepEqual(got.Data, want.Data) ||
			fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
			t.Errorf("got %v (error %v), want %v", got, err, want)
		}
	}
	if err := WriteNpy(&bytes.Buffer{}, &Tensor{DType: BFloat16, Data: []uint16{}}); err == nil {
		t.Error("writing bfloat16 was not refused")
	}
}

// The rows of a stream are known at its end: the header must keep its place.
func TestNpyHeaderKeepsItsSize(t *testing.T) {
	for _, rest := range [][]int{{7}, {3, 224, 224}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}} {
		var size int
		for _, n := range []int{0, 9, 12345, math.MaxInt} {
			h, err := AppendNpyHeader(nil, Uint8, append([]int{n}, rest...)...)
			if err != nil {
				t.Fatal(err)
			}
			if size == 0 {
				size = len(h)
			}
			if len(h) != size || len(h)%64 != 0 || h[len(h)-1] != '\n' {
				t.Errorf("%d rows of %v: header of %d bytes, want %d, a multiple of 64 that ends a line", n, rest, len(h), size)
			}
		}
	}
}

func npz(t testing.TB, members map[string][]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range members {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadNpz(t *testing.T) {
	file := npz(t, map[string][]byte{
		"x.npy":    npyOf(1, dict("|u1", "False", "(2, 2)"), []byte{1, 2, 3, 4}),
		"y.npy":    npyOf(1, dict("<i8", "False", "(1,)"), make([]byte, 8)),
		"note.txt": []byte("not an array"),
	})
	m, err := ReadNpz(bytes.NewReader(file), int64(len(file)), 0)
	if err != nil || len(m) != 2 || !reflect.DeepEqual(m["x"].Data, []uint8{1, 2, 3, 4}) {
		t.Fatalf("got %v, %v", m, err)
	}
	if _, err := ReadNpz(bytes.NewReader(file), int64(len(file)), 11); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("12 bytes of arrays under a limit of 11: got error %v", err)
	}
	if _, err := ReadNpz(bytes.NewReader(file[:20]), 20, 0); err == nil {
		t.Error("a truncated archive was read")
	}
}

func TestReadNpzBomb(t *testing.T) {
	file := npz(t, map[string][]byte{"x.npy": npyOf(1, dict("|u1", "False", "(8388608,)"), make([]byte, 8<<20))})
	if len(file) > 64<<10 {
		t.Fatalf("the bomb itself has %d bytes", len(file))
	}
	if _, err := ReadNpz(bytes.NewReader(file), int64(len(file)), 1<<20); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("got error %v, want one about the limit", err)
	}
}

func FuzzReadNpy(f *testing.F) {
	f.Add(npyOf(1, dict("<f4", "False", "(2, 1)"), make([]byte, 8)))
	f.Add(npyOf(2, dict(">i2", "True", "(2, 3)"), make([]byte, 12)))
	f.Add(npyOf(3, dict("|O", "False", "(1,)"), nil))
	f.Add([]byte(npyMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ReadNpy(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteNpy(&again, x); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		y, err := ReadNpy(&again)
		if err != nil || !bytes.Equal(x.Bytes(), y.Bytes()) || fmt.Sprint(x.Shape) != fmt.Sprint(y.Shape) {
			t.Fatalf("round trip: %v %v became %v (error %v)", x.DType, x.Shape, y, err)
		}
	})
}
