package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const shipped = "../../testdata/models/"

func load(t testing.TB, file string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(shipped + file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func prepared(t testing.TB, m *onnx.Model, o engine.Options) *session {
	t.Helper()
	s, err := Backend{}.Prepare(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*session)
}

func run(t testing.TB, s engine.Session, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ramp is a tensor of numbers between 0 and 1 without order.
func ramp(dims ...int) *tensor.Tensor {
	v := make([]float32, tensor.Count(dims))
	for i := range v {
		v[i] = float32(uint32(i+1)*2654435761>>8) / (1 << 24)
	}
	return tensor.Of(v, dims...)
}

// node is one node of a model in ONNX's domain; outputs come last.
func node(op, in, out string, attrs ...*onnx.Attr) *onnx.Node {
	return &onnx.Node{Name: "node_" + out, Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attrs: attrs}
}

func model(in, out []*onnx.Value, inits []*onnx.Tensor, nodes ...*onnx.Node) *onnx.Model {
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g", Inputs: in, Outputs: out, Initializers: inits, Nodes: nodes}}
}

func port(name string, d tensor.DType, sizes ...int64) *onnx.Value {
	shape := []onnx.Dim{}
	for _, n := range sizes {
		shape = append(shape, onnx.Dim{Size: n})
	}
	return onnx.NewValue(name, d, shape)
}

// Bit for bit: the numbers of an item are the same in any batch, on any number of
// threads, and a second time.
func TestNumbersDependOnTheItemAlone(t *testing.T) {
	files, err := filepath.Glob(shipped + "*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		m := load(t, filepath.Base(f))
		v := m.Graph.Inputs[0]
		if v.Shape[0].Param == "" || v.DType != tensor.Float32 {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			dims := []int{5}
			for _, d := range v.Shape[1:] {
				dims = append(dims, int(d.Size))
			}
			x := ramp(dims...)
			s := prepared(t, m, engine.Options{Threads: 1})
			want := run(t, s, x)
			if again := run(t, s, x); !reflect.DeepEqual(again, want) {
				t.Fatal("a second run gives other numbers")
			}
			if got := run(t, prepared(t, m, engine.Options{Threads: 3}), x); !reflect.DeepEqual(got, want) {
				t.Fatal("three threads give other numbers than one")
			}
			n := x.Len() / 5
			for i := range 5 {
				one := tensor.Of(tensor.Data[float32](x)[i*n:(i+1)*n], append([]int{1}, dims[1:]...)...)
				got := run(t, s, one)
				for k := range want {
					per := want[k].Len() / 5
					if !slices.Equal(tensor.Data[float32](got[k]), tensor.Data[float32](want[k])[i*per:(i+1)*per]) {
						t.Fatalf("item %d has other numbers alone than in a batch", i)
					}
				}
			}
		})
	}
}

// After the first run, only the outputs and some bookkeeping are allocated.
func TestRunsReuseTheirMemory(t *testing.T) {
	for _, f := range []string{"resnet_bottleneck_torchscript.onnx", "vit_dynamo.onnx"} {
		m := load(t, f)
		dims := []int{32}
		for _, d := range m.Graph.Inputs[0].Shape[1:] {
			dims = append(dims, int(d.Size))
		}
		s, x := prepared(t, m, engine.Options{Threads: 1}), ramp(dims...)
		run(t, s, x)
		run(t, s, x)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			run(t, s, x)
		}
		runtime.ReadMemStats(&after)
		per := int(after.TotalAlloc-before.TotalAlloc) / 10
		whole := 0
		for _, o := range s.programs[0].ops {
			whole += tensor.Count(o.out.dims) * 4
		}
		if ops := len(s.programs[0].ops); per > 1500*ops+64<<10 || per > whole/4 {
			t.Errorf("%s: a run allocates %d bytes for %d operators, whose outputs are %d bytes", f, per, ops, whole)
		}
		if s.programs[0].bytes > whole/2 {
			t.Errorf("%s: outputs of %d bytes share only %d", f, whole, s.programs[0].bytes)
		}
	}
}

// gorgonia takes values of one hash for the same value.
func TestCollidingHashesAreSeen(t *testing.T) {
	was := numbered
	defer func() { numbered = was }()
	salts := map[int]bool{}
	numbered = func(salt, id int) int64 {
		salts[salt] = true
		if salt == 0 {
			return 7 // every application is the same one
		}
		return was(salt, id)
	}
	m := model([]*onnx.Value{port("x", tensor.Float32, 2)}, []*onnx.Value{port("y", tensor.Float32, 2), port("z", tensor.Float32, 2)}, nil,
		node("Relu", "x", "y"), node("Neg", "x", "z"))
	got := run(t, prepared(t, m, engine.Options{}), tensor.Of([]float32{-1, 2}, 2))
	if err := enginetest.Equal(got, tensors{tensor.Of([]float32{0, 2}, 2), tensor.Of([]float32{1, -2}, 2)}, 0); err != nil {
		t.Error(err)
	}
	if !salts[1] {
		t.Error("no second salt was tried")
	}
	numbered = func(int, int) int64 { return 7 }
	if _, err := (Backend{}).Prepare(context.Background(), m, engine.Options{}); !errors.Is(err, errCollision) {
		t.Errorf("hashes that collide whatever the salt: got %v, want %v", err, errCollision)
	}
}

// A constant matrix that a product reads transposed is not copied, unless
// something else reads it too.
func TestTransposedConstants(t *testing.T) {
	perm := &onnx.Attr{Name: "perm", Type: onnx.AttrInts, Ints: []int64{1, 0}}
	w := onnx.NewTensor("w", tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 3, 2))
	x, y := port("x", tensor.Float64, 2, 2), port("y", tensor.Float64, 2, 3)
	want := tensors{tensor.Of([]float64{5, 11, 17, 11, 25, 39}, 2, 3)}
	for _, c := range []struct {
		name  string
		model *onnx.Model
		want  tensors
		reads bool // transposed
	}{
		{"alone", model([]*onnx.Value{x}, []*onnx.Value{y}, []*onnx.Tensor{w}, node("Transpose", "w", "v", perm), node("MatMul", "x v", "y")), want, true},
		{"an output too", model([]*onnx.Value{x}, []*onnx.Value{y, port("v", tensor.Float64, 2, 3)}, []*onnx.Tensor{w}, node("Transpose", "w", "v", perm), node("MatMul", "x v", "y")),
			append(slices.Clone(want), tensor.Of([]float64{1, 3, 5, 2, 4, 6}, 2, 3)), false},
		{"read by another", model([]*onnx.Value{x}, []*onnx.Value{y, port("z", tensor.Float64, 2, 3)}, []*onnx.Tensor{w}, node("Transpose", "w", "v", perm), node("MatMul", "x v", "y"), node("Sub", "y v", "z")),
			append(slices.Clone(want), tensor.Of([]float64{4, 8, 12, 9, 21, 33}, 2, 3)), false},
	} {
		s := newSource(c.model, engine.Options{Threads: 1}, nil)
		values, err := s.network(context.Background(), newGraph(s.run, 0), map[string][]int64{"x": {2, 2}}, "")
		if err != nil {
			t.Fatal(err)
		}
		// rewrite.Lower has turned so small a matrix itself; leave it to the engine.
		if got := len(s.transposes(c.model, map[string]value{"w": values["w"]})) == 1; values["w"].known != nil && got != c.reads {
			t.Errorf("%s: reads it transposed: %v, want %v", c.name, got, c.reads)
		}
		got := run(t, prepared(t, c.model, engine.Options{}), tensor.Of([]float64{1, 2, 3, 4}, 2, 2))
		if err := enginetest.Equal(got, c.want, 0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// One that is large enough for Lower to leave.
	const n = 1100
	big := make([]float64, n*n)
	for i := range big {
		big[i] = float64(i%7) - 3
	}
	m := model([]*onnx.Value{port("x", tensor.Float64, 2, n)}, []*onnx.Value{port("y", tensor.Float64, 2, n)}, []*onnx.Tensor{onnx.NewTensor("w", tensor.Of(big, n, n))},
		node("Gemm", "x w", "y", &onnx.Attr{Name: "transB", Type: onnx.AttrInt, Int: 1}))
	used := derivatives(t, m, tensors{zeros(tensor.Float64, 2, n)}, 0, []string{"y"}, [2]float64{-1, 1})
	if !used["MatMul"] || used["Transpose"] {
		t.Errorf("it uses %v", used)
	}
	xs := zeros(tensor.Float64, 2, n)
	tensor.Data[float64](xs)[5], tensor.Data[float64](xs)[n+6] = 1, 2
	got := tensor.Data[float64](run(t, prepared(t, m, engine.Options{}), xs)[0])
	for j := range n {
		if got[j] != big[j*n+5] || got[n+j] != 2*big[j*n+6] {
			t.Fatalf("column %d: got %g and %g, want %g and %g", j, got[j], got[n+j], big[j*n+5], 2*big[j*n+6])
		}
	}
}

// What cannot be run is refused in Prepare, all of it, with reasons, also where
// the batch is open.
func TestUnsupportedNodesAreAllNamed(t *testing.T) {
	batch := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: 1}, {Size: 4}, {Size: 4}, {Size: 4}})
	w := onnx.NewTensor("w", tensor.Of(make([]float32, 8), 1, 1, 2, 2, 2))
	m := model([]*onnx.Value{batch}, []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil), onnx.NewValue("u", tensor.Int64, nil)}, []*onnx.Tensor{w},
		node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Hardmax", "r", "y"), node("NonZero", "x", "u"))
	_, err := Backend{}.Prepare(context.Background(), m, engine.Options{})
	u := new(engine.UnsupportedError)
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want an UnsupportedError", err)
	}
	names := map[string]bool{}
	for _, n := range u.Nodes {
		names[n.Op] = true
	}
	if len(u.Nodes) != 3 || !names["Conv"] || !names["Hardmax"] || !names["NonZero"] {
		t.Errorf("got %v", u)
	}
	if !strings.Contains(err.Error(), "3 spatial axes") {
		t.Errorf("the error %q does not say what is wrong with the convolution", err)
	}
}

// A shape that the batch of 1 does not fit is no reason to refuse the model.
func TestGuessedShapesRefuseNothing(t *testing.T) {
	batch := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: 2}})
	at := onnx.NewTensor("at", tensor.Of([]int64{2, 0}, 2))
	m := model([]*onnx.Value{batch}, []*onnx.Value{onnx.NewValue("y", tensor.Float32, nil)}, []*onnx.Tensor{at}, node("Gather", "x at", "y"))
	s := prepared(t, m, engine.Options{})
	if err := enginetest.Equal(run(t, s, tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2)), tensors{tensor.Of([]float32{5, 6, 1, 2}, 2, 2)}, 0); err != nil {
		t.Error(err)
	}
	_, err := s.Run(context.Background(), tensors{tensor.Of([]float32{1, 2}, 1, 2)})
	if err == nil || !strings.Contains(err.Error(), "index 2") {
		t.Errorf("a batch of 1: got %v", err)
	}
}

func TestProgramsAreKept(t *testing.T) {
	s := prepared(t, load(t, "mlp_dynamo.onnx"), engine.Options{})
	v := s.in[0].Shape
	for _, n := range []int{2, 3, 2, 5, 7, 2} {
		run(t, s, ramp(append([]int{n}, v[1:]...)...))
	}
	var keys []string
	for _, p := range s.programs {
		keys = append(keys, fmt.Sprint(p.inputs[0].dims[0]))
	}
	if got := strings.Join(keys, " "); got != "2 7 5" {
		t.Errorf("programs for batches of %s, want 2 7 5", got)
	}
	small := prepared(t, load(t, "mlp_dynamo.onnx"), engine.Options{NoArena: true})
	for _, n := range []int{2, 3} {
		run(t, small, ramp(append([]int{n}, v[1:]...)...))
	}
	if len(small.programs) != 1 {
		t.Errorf("without an arena %d programs are kept, want 1", len(small.programs))
	}
}

func TestObserve(t *testing.T) {
	seen := map[string]int{}
	s, err := Backend{Observe: func(op string, _ time.Duration) { seen[op]++ }}.Prepare(context.Background(), load(t, "resnet_basic_torchscript.onnx"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s, ramp(1, 1, 8, 8))
	if seen["Conv"] < 9 || seen["Relu"] != 9 {
		t.Errorf("saw %v", seen)
	}
}

func TestLinearizeRefuses(t *testing.T) {
	m := load(t, "mlp_dynamo.onnx")
	in, out := m.Graph.Inputs[0].Name, m.Graph.Outputs[0].Name
	for _, c := range []struct {
		name, wrt string
		values    []string
		want      string
	}{
		{"no such input", "nothing", []string{out}, `no input "nothing"`},
		{"no values", in, nil, "no value"},
		{"no such value", in, []string{out, "nowhere"}, `"nowhere"`},
		{"an empty name", in, []string{""}, `""`},
	} {
		_, err := Backend{}.Linearize(context.Background(), m, c.wrt, c.values, engine.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error that says %q", c.name, err, c.want)
		}
	}
	l, err := Backend{}.Linearize(context.Background(), m, in, []string{out}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := ramp(append([]int{1}, l.(*linearization).in[0].Shape[1:]...)...)
	ctx := context.Background()
	for name, f := range map[string]func() error{
		"a tangent of another shape": func() error { _, _, err := l.Push(ctx, tensors{x}, ramp(3)); return err },
		"no tangent":                 func() error { _, _, err := l.Push(ctx, tensors{x}, nil); return err },
		"too few cotangents":         func() error { _, _, err := l.Pull(ctx, tensors{x}, nil); return err },
		"no cotangent":               func() error { _, _, err := l.Pull(ctx, tensors{x}, tensors{nil}); return err },
		"a cotangent of another type": func() error {
			_, _, err := l.Pull(ctx, tensors{x}, tensors{tensor.Of([]float64{1}, 1)})
			return err
		},
		"no input": func() error { _, _, err := l.Push(ctx, nil, x); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	l.Close()
	if _, _, err := l.Push(ctx, tensors{x}, x); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: got %v", err)
	}
}

// Values that do not move, one named twice, one that another depends on, and the
// input itself.
func TestDerivativesOfSeveralValues(t *testing.T) {
	m := model([]*onnx.Value{port("x", tensor.Float64, 2), port("w", tensor.Float64, 2)}, []*onnx.Value{port("z", tensor.Float64, 2)}, nil,
		node("Mul", "x w", "y"), node("Mul", "y y", "z"), node("Neg", "w", "fixed"))
	l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"z", "y", "z", "fixed", "x"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(v ...float64) *tensor.Tensor { return tensor.Of(v, len(v)) }
	in := tensors{f(1, 2), f(3, 5)}
	y, dy, err := l.Push(context.Background(), in, f(1, 10))
	if err != nil {
		t.Fatal(err)
	}
	want := tensors{f(9, 100), f(3, 10), f(9, 100), f(-3, -5), f(1, 2), f(18, 1000), f(3, 50), f(18, 1000), f(0, 0), f(1, 10)}
	if err := enginetest.Equal(append(y, dy...), want, 0); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ cot, want tensors }{
		{tensors{f(1, 1), nil, nil, nil, nil}, tensors{f(18, 100)}},
		{tensors{f(1, 1), f(1, 0), f(1, 1), f(7, 7), f(2, 3)}, tensors{f(18+3+18+2, 100+100+3)}},
		{tensors{nil, nil, nil, f(1, 1), nil}, tensors{f(0, 0)}},
		{tensors{nil, nil, nil, nil, f(4, 5)}, tensors{f(4, 5)}},
	} {
		got, g, err := l.Pull(context.Background(), in, c.cot)
		if err != nil {
			t.Fatal(err)
		}
		if err := enginetest.Equal(append(tensors{g}, got...), append(c.want, y...), 0); err != nil {
			t.Errorf("cotangents %v: %v", c.cot, err)
		}
	}
}
