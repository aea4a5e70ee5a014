package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
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
	if len(seen) < 500 {
		t.Errorf("only %d cases", len(seen))
	}
}

func TestClose(t *testing.T) {
	big := vec(1000, 0)
	for _, c := range []struct {
		name      string
		got, want *tensor.Tensor
		equal     bool
	}{
		{"equal", big, vec(1000, 0), true},
		{"within a ten-thousandth of the largest", vec(1000, 0.09), big, true},
		{"beyond it", vec(1000, 0.11), big, false},
		{"infinities are not the scale", vec(inf, 0.5), vec(inf, 0.4), false},
		{"an infinity for a number", vec(inf, 0), big, false},
		{"a NaN for a number", vec(nan, 0), big, false},
		{"a number for a NaN", big, vec(nan, 0), false},
		{"NaN for NaN", vec(nan, 1), vec(nan, 1), true},
		{"shape", f([]int{2, 1}, 1000, 0), big, false},
		{"type", toDouble(big), big, false},
		{"whole numbers are equal or not", i64(1000001), i64(1000000), false},
	} {
		if err := Close(c.got, c.want, Alike); (err == nil) != c.equal {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// fake gives what it is told to for a model of one node, named by its operator.
type fake map[string]func(in []*tensor.Tensor) ([]*tensor.Tensor, error)

func (fake) Name() string                   { return "fake" }
func (fake) Version() string                { return "" }
func (fake) Available(engine.Options) error { return nil }
func (f fake) Prepare(_ context.Context, m *onnx.Model, _ engine.Options) (engine.Session, error) {
	run := f[m.Graph.Nodes[0].Op]
	if run == nil || m.Graph.Nodes[0].Op == "Add" && len(m.Graph.Inputs) > 1 {
		return nil, &engine.UnsupportedError{Backend: "fake", Nodes: m.Graph.Nodes}
	}
	return fakeSession{run: run}, nil
}

type fakeSession struct {
	engine.Session
	run func(in []*tensor.Tensor) ([]*tensor.Tensor, error)
}

func (s fakeSession) Close() error { return nil }
func (s fakeSession) Run(_ context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return s.run(in)
}

// What is counted as passed must have passed, and a list of exceptions that is no
// longer true must fail.
func TestTally(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "suite")
	good := func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		if len(in) != 1 {
			return nil, errors.New("want one input")
		}
		return []*tensor.Tensor{vec(7)}, nil
	}
	b := fake{
		"Relu": good, "Add": good, "Abs": good,
		"Neg":   func([]*tensor.Tensor) ([]*tensor.Tensor, error) { return []*tensor.Tensor{vec(8)}, nil },
		"Exp":   func([]*tensor.Tensor) ([]*tensor.Tensor, error) { return nil, errors.New("no") },
		"Floor": func([]*tensor.Tensor) ([]*tensor.Tensor, error) { panic("no") },
		"Sin": func(in []*tensor.Tensor) ([]*tensor.Tensor, error) { // right on the first set alone
			return []*tensor.Tensor{broadcast(in[0], vec(6), func(x, y float32) float32 { return x*x + y })}, nil
		},
	}
	for _, op := range []string{"Relu", "Add", "Abs", "Neg", "Exp", "Floor", "Sin", "Cos"} {
		in := ts{vec(1), vec(2)}
		if op != "Add" {
			in = in[:1]
		}
		folder := filepath.Join(dir, "test_"+strings.ToLower(op))
		writeCase(t, folder, one(op, in, vec(7)), in, vec(7))
		if op == "Sin" {
			writeData(t, filepath.Join(folder, "test_data_set_1"), ts{vec(2)}, vec(7))
		}
	}
	y, faults := tally(b, engine.Options{}, dir, map[string]string{"suite/test_exp": "known", "suite/test_abs": "long since right", "suite/test_gone": "gone", "other/test_x": "of another"})
	if got, want := y.String(), "2 passed, 1 more with constants, 1 refused, 3 wrong, 1 skipped; refused: Cos 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := []string{"suite/test_floor", "suite/test_neg", "suite/test_sin"}; !slices.Equal(y.Wrong, want) {
		t.Errorf("wrong are %v, want %v", y.Wrong, want)
	}
	said := errors.Join(faults...).Error()
	for _, w := range []string{"test_neg: test_data_set_0", "test_floor: panic", "test_sin: test_data_set_1", "test_abs is listed", "test_gone is listed"} {
		if !strings.Contains(said, w) {
			t.Errorf("the faults do not say %q:\n%s", w, said)
		}
	}
	if len(faults) != 5 {
		t.Errorf("%d faults, want 5:\n%s", len(faults), said)
	}
}

func writeCase(t *testing.T, dir string, m *onnx.Model, in ts, want *tensor.Tensor) {
	t.Helper()
	writeData(t, filepath.Join(dir, "test_data_set_0"), in, want)
	if err := m.Save(filepath.Join(dir, "model.onnx")); err != nil {
		t.Fatal(err)
	}
}

func writeData(t *testing.T, dir string, in ts, want *tensor.Tensor) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, v *tensor.Tensor) {
		var pb []byte
		for _, d := range v.Shape {
			pb = protowire.AppendVarint(protowire.AppendTag(pb, 1, protowire.VarintType), uint64(d))
		}
		pb = protowire.AppendVarint(protowire.AppendTag(pb, 2, protowire.VarintType), uint64(v.DType))
		pb = protowire.AppendBytes(protowire.AppendTag(pb, 9, protowire.BytesType), v.Bytes())
		if err := os.WriteFile(filepath.Join(dir, name), pb, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range in {
		write("input_"+string(rune('0'+i))+".pb", v)
	}
	write("output_0.pb", want)
}

// recorder counts what a test would have been failed for.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }

func TestAgree(t *testing.T) {
	gives := func(v float32) Runner {
		return Runner{Backend: fake{"Relu": func([]*tensor.Tensor) ([]*tensor.Tensor, error) { return []*tensor.Tensor{vec(v)}, nil }}}
	}
	m := one("Relu", ts{vec(1)}, vec(1))
	for _, c := range []struct {
		a, b   float32
		errors int
	}{{7, 7, 0}, {7, 7.0001, 0}, {7, 7.01, 2}} {
		r := &recorder{TB: t}
		n := Agree(r, gives(c.a), gives(c.b), m, ts{vec(1)}, Alike, 0)
		if r.errors != c.errors || n != 2 { // the model as it is, and again with its intermediates, of which it has none
			t.Errorf("%v and %v: %d errors in %d values, want %d in 2", c.a, c.b, r.errors, n, c.errors)
		}
	}
}
