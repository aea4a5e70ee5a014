package enginetest

import (
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// A comparison that lets a difference pass makes every case worthless.
func TestEqual(t *testing.T) {
	type ts = []*tensor.Tensor
	one := f([]int{2}, 1, 2)
	for _, c := range []struct {
		name      string
		got, want ts
		within    float64
		equal     bool
	}{
		{"equal", ts{one}, ts{f([]int{2}, 1, 2)}, 0, true},
		{"NaN and signed zero", ts{f([]int{2}, nan, negz)}, ts{f([]int{2}, nan, 0)}, 0, true},
		{"infinities", ts{f([]int{1}, inf)}, ts{f([]int{1}, inf)}, 1e-3, true},
		{"close", ts{one}, ts{f([]int{2}, 1, 2.0001)}, 1e-3, true},
		{"too few", nil, ts{one}, 0, false},
		{"too many", ts{one, one}, ts{one}, 0, false},
		{"a last bit", ts{one}, ts{f([]int{2}, 1, 2.0000002)}, 0, false},
		{"not close", ts{one}, ts{f([]int{2}, 1, 2.1)}, 1e-3, false},
		{"NaN for a number", ts{f([]int{2}, 1, nan)}, ts{one}, 1e-3, false},
		{"a number for NaN", ts{one}, ts{f([]int{2}, 1, nan)}, 1e-3, false},
		{"infinity for a number", ts{f([]int{2}, 1, inf)}, ts{one}, 1e-3, false},
		{"shape", ts{one}, ts{f([]int{2, 1}, 1, 2)}, 0, false},
		{"type", ts{one}, ts{tensor.Of([]float64{1, 2}, 2)}, 0, false},
		{"large integers", ts{i64(1 << 60)}, ts{i64(1<<60 + 1)}, 0, false},
		{"bools", ts{tensor.Of([]bool{true}, 1)}, ts{tensor.Of([]bool{false}, 1)}, 0, false},
		{"half precision bits", ts{{DType: tensor.Float16, Shape: []int{1}, Data: []uint16{0x3c00}}}, ts{{DType: tensor.Float16, Shape: []int{1}, Data: []uint16{0x3c01}}}, 0, false},
	} {
		if err := Equal(c.got, c.want, c.within); (err == nil) != c.equal {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// A tolerance states its reason, and names are unique: they are what a backend
// lists as unsupported.
func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Name] || (c.Within != 0) != (c.Why != "") || len(c.Want) == 0 {
			t.Errorf("the case %q", c.Name)
		}
		seen[c.Name] = true
	}
	if len(seen) < 40 {
		t.Errorf("only %d cases", len(seen))
	}
}
