package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// unshaped declares an output whose shape follows.
func unshaped(name string, d tensor.DType) *onnx.Value { return onnx.NewValue(name, d, nil) }

// Small files ask for a lot of memory: all are refused, by a node's name where one
// is to blame, before there is any.
func TestMemoryIsBounded(t *testing.T) {
	list := func(name string, v ...int64) *onnx.Tensor { return onnx.NewTensor(name, tensor.Of(v, len(v))) }
	x := port("x", tensor.Float32, 1)
	y := []*onnx.Value{unshaped("y", tensor.Float32)}
	ones := onnx.NewTensor("w", tensor.Of(make([]float32, 4), 1, 1, 1, 4))
	expands := model([]*onnx.Value{port("x", tensor.Float32, 1, 1, 1)}, y, []*onnx.Tensor{list("s", 1<<11, 1<<10, 1<<10)})
	in := "x"
	for i := range 40 {
		e, r := fmt.Sprint("e", i), fmt.Sprint("r", i)
		expands.Graph.Nodes = append(expands.Graph.Nodes, node("Expand", "x s", e), node("Relu", e, r))
		expands.Graph.Outputs = append(expands.Graph.Outputs, unshaped(r, tensor.Float32))
		in = r
	}
	expands.Graph.Nodes = append(expands.Graph.Nodes, node("Neg", in, "y"))
	wide := &onnx.Attr{Name: "dilations", Type: onnx.AttrInts, Ints: []int64{1 << 22, 1 << 22}}
	padded := &onnx.Attr{Name: "pads", Type: onnx.AttrInts, Ints: []int64{1 << 21, 3 << 21, 1 << 21, 3 << 21}}
	for _, c := range []struct {
		name, want string
		model      *onnx.Model
	}{
		{"an axis", "Expand", model([]*onnx.Value{x}, y, []*onnx.Tensor{list("s", 1<<30)}, node("Expand", "x s", "y"))},
		{"a shape of terabytes", "Expand", model([]*onnx.Value{x}, y, []*onnx.Tensor{list("s", 1<<20, 1<<20)}, node("Expand", "x s", "y"))},
		{"pads", "Pad", model([]*onnx.Value{x}, y, []*onnx.Tensor{list("s", 1<<45, 0)}, node("Pad", "x s", "y"))},
		{"a constant", "ConstantOfShape", model([]*onnx.Value{x}, []*onnx.Value{unshaped("y", tensor.Float32)}, []*onnx.Tensor{list("s", 1<<40)}, node("ConstantOfShape", "s", "y"))},
		{"an input", `"x"`, model([]*onnx.Value{port("x", tensor.Float32, 1<<20, 1<<20)}, y, nil, node("Relu", "x", "y"))},
		{"a product", "MatMul", model([]*onnx.Value{port("x", tensor.Float32, 1<<20, 1)}, y, nil, node("Transpose", "x", "z"), node("MatMul", "x z", "y"))},
		{"a stack of products", "MatMul", model([]*onnx.Value{port("x", tensor.Float32, 1<<14, 1, 1, 1), port("z", tensor.Float32, 1<<14, 1, 1)}, y, nil, node("MatMul", "x z", "y"))},
		{"a table", "Add", model([]*onnx.Value{port("x", tensor.Float32, 1<<20, 1), port("z", tensor.Float32, 1<<20)}, y, nil, node("Add", "x z", "y"))},
		{"what a convolution lays out", "Conv", model([]*onnx.Value{port("x", tensor.Float32, 1, 1, 1, 1)}, y, []*onnx.Tensor{ones}, node("Conv", "x w", "y", wide, padded))},
		{"many values", "smaller batch", expands},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Backend{}.Prepare(context.Background(), c.model, engine.Options{})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(*fault)) {
			t.Errorf("%s: got %v, want an error that names %s", c.name, err, c.want)
		}
		if asked := after.TotalAlloc - before.TotalAlloc; asked > 64<<20 {
			t.Errorf("%s: it asked for %d bytes", c.name, asked)
		}
	}
}

// Preparing takes time by the square of a graph's nodes, so that their number is bounded.
func TestNodesAreBounded(t *testing.T) {
	x := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}})
	m := model([]*onnx.Value{x}, []*onnx.Value{port("y", tensor.Float32, 2)}, nil)
	in := "x"
	for i := range limits.nodes {
		m.Graph.Nodes = append(m.Graph.Nodes, node("Relu", in, fmt.Sprint("v", i)))
		in = fmt.Sprint("v", i)
	}
	m.Graph.Nodes = append(m.Graph.Nodes, node("Neg", in, "y"))
	start := time.Now()
	if _, err := (Backend{}).Prepare(t.Context(), m, engine.Options{}); err == nil || !strings.Contains(err.Error(), `Neg "node_y" (with it the network has more than 10000 nodes)`) {
		t.Errorf("got %v, want an error that names the bound", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

// A panic of a kernel, on the machine's goroutine, is an error of that run alone.
func TestPanicsAreErrors(t *testing.T) {
	m := model([]*onnx.Value{port("x", tensor.Float32, 2)}, []*onnx.Value{port("y", tensor.Float32, 2)}, nil, node("Neg", "x", "z"), node("Relu", "z", "y"))
	s := prepared(t, m, engine.Options{})
	o := s.programs[0].ops[1]
	do := o.do
	o.do = func(*tensor.Tensor, []*tensor.Tensor) { panic("out of order") }
	x := tensor.Of([]float32{-1, 2}, 2)
	_, err := s.Run(t.Context(), tensors{x})
	if f := new(fault); !errors.As(err, &f) || !strings.Contains(err.Error(), `Relu "node_y"`) || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %v, want a fault that names the node", err)
	}
	o.do = do
	if err := enginetest.Equal(run(t, s, x), tensors{tensor.Of([]float32{1, 0}, 2)}, 0); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

// An index that a run finds outside its axis is an error that says so, also where
// derivatives are taken; the next run is right.
func TestIndicesAreChecked(t *testing.T) {
	m := model([]*onnx.Value{port("x", tensor.Float64, 3, 2), port("i", tensor.Int64, 2)}, []*onnx.Value{port("y", tensor.Float64, 2, 2)}, nil, node("Gather", "x i", "y"))
	s := prepared(t, m, engine.Options{})
	l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"y"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 3, 2)
	one := tensor.Of([]float64{1, 1, 1, 1}, 2, 2)
	for _, at := range []int64{3, -4, math.MaxInt64, math.MinInt64} {
		in := tensors{x, tensor.Of([]int64{0, at}, 2)}
		_, err1 := s.Run(t.Context(), in)
		_, _, err2 := l.Push(t.Context(), in, x)
		_, _, err3 := l.Pull(t.Context(), in, tensors{one})
		for _, err := range []error{err1, err2, err3} {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("index %d is outside an axis of 3", at)) || !strings.Contains(err.Error(), "Gather") {
				t.Errorf("index %d: got %v", at, err)
			}
		}
	}
	in := tensors{x, tensor.Of([]int64{-1, 0}, 2)}
	if err := enginetest.Equal(run(t, s, in...), tensors{tensor.Of([]float64{5, 6, 1, 2}, 2, 2)}, 0); err != nil {
		t.Error(err)
	}
	_, g, err := l.Pull(t.Context(), in, tensors{one})
	if err == nil {
		err = enginetest.Equal(tensors{g}, tensors{tensor.Of([]float64{1, 1, 0, 0, 1, 1}, 3, 2)}, 0)
	}
	if err != nil {
		t.Error(err)
	}
}

// A run that is cancelled between two operators leaves nothing behind.
func TestCancelledBetweenOperators(t *testing.T) {
	stop := func() {}
	left := 0
	b := Backend{Observe: func(string, time.Duration) {
		if left--; left == 0 {
			stop()
		}
	}}
	m := load(t, "resnet_bottleneck_torchscript.onnx")
	s, err := b.Prepare(context.Background(), m, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Linearize(context.Background(), m, m.Graph.Inputs[0].Name, []string{m.Graph.Outputs[0].Name}, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	dims := []int{2}
	for _, d := range m.Graph.Inputs[0].Shape[1:] {
		dims = append(dims, int(d.Size))
	}
	x := ramp(dims...)
	for name, f := range map[string]func(ctx context.Context) (tensors, error){
		"Run":  func(ctx context.Context) (tensors, error) { return s.Run(ctx, tensors{x}) },
		"Push": func(ctx context.Context) (tensors, error) { _, dy, err := l.Push(ctx, tensors{x}, x); return dy, err },
		"Pull": func(ctx context.Context) (tensors, error) {
			y, _, err := l.Push(ctx, tensors{x}, x)
			if err != nil {
				return nil, err
			}
			_, g, err := l.Pull(ctx, tensors{x}, y)
			return tensors{g}, err
		},
	} {
		want, err := f(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, after := range []int{1, 2, 7, 20} {
			ctx, cancel := context.WithCancel(t.Context())
			stop, left = cancel, after
			if got, err := f(ctx); !errors.Is(err, context.Canceled) || !slices.Equal(got, nil) && got[0] != nil {
				t.Errorf("%s, cancelled after %d operators: got %v, %v", name, after, got, err)
			}
			if got, err := f(t.Context()); err != nil || !alike(got, want) {
				t.Errorf("%s after a run that was cancelled after %d operators: other numbers, or %v", name, after, err)
			}
			cancel()
		}
	}
}

// A node that rewrite.Lower leaves is not run for its name: it may be of a version
// in which that means something else.
func TestNodesLeftAreRefused(t *testing.T) {
	along := []*onnx.Attr{{Name: "broadcast", Type: onnx.AttrInt, Int: 1}, {Name: "axis", Type: onnx.AttrInt, Int: 1}}
	m := model([]*onnx.Value{port("x", tensor.Float32, 2, 2), port("z", tensor.Float32, 2, 2)}, []*onnx.Value{port("y", tensor.Float32, 2, 2)}, nil, node("Add", "x z", "y", along...))
	m.Opsets[0].Version = 6
	_, err := Backend{}.Prepare(context.Background(), m, engine.Options{})
	if u := new(engine.UnsupportedError); !errors.As(err, &u) || !strings.Contains(err.Error(), "does not lie along") {
		t.Errorf("got %v, want an UnsupportedError with the reason", err)
	}
}

// A part of what a node is lowered to is refused under the node's name.
func TestPartsAreNamedAsTheModelDoes(t *testing.T) {
	m := model([]*onnx.Value{port("x", tensor.Uint8, 2, 2), port("z", tensor.Uint8, 2, 2)}, []*onnx.Value{unshaped("y", tensor.Uint8)}, nil,
		node("Einsum", "x z", "y", &onnx.Attr{Name: "equation", Type: onnx.AttrString, String: []byte("ij,jk->ki")}))
	_, err := Backend{}.Prepare(context.Background(), m, engine.Options{})
	if u := new(engine.UnsupportedError); !errors.As(err, &u) || len(u.Nodes) != 1 || u.Nodes[0].Name != "node_y" || u.Nodes[0].Op != "Einsum" {
		t.Errorf("got %v, want the Einsum refused", err)
	}
}

// Shapes that a guess at open dimensions does not fit refuse neither sessions nor
// derivatives, whatever the node.
func TestGuessesFitAnything(t *testing.T) {
	x := onnx.NewValue("x", tensor.Float64, []onnx.Dim{{Size: 2}, {Size: -1, Param: "C"}, {Size: -1, Param: "L"}})
	w := func(name string, dims ...int) *onnx.Tensor {
		t := zeros(tensor.Float64, dims...)
		for i := range tensor.Data[float64](t) {
			tensor.Data[float64](t)[i] = float64(i + 1)
		}
		return onnx.NewTensor(name, t)
	}
	at := onnx.NewTensor("at", tensor.Of([]int64{2, 0}, 2))
	axis := &onnx.Attr{Name: "axis", Type: onnx.AttrInt, Int: 1}
	for _, n := range []*onnx.Node{node("BatchNormalization", "x c c c c", "y"), node("LayerNormalization", "x l", "y"), node("PRelu", "x l", "y"),
		node("InstanceNormalization", "x c c", "y"), node("Gather", "x at", "y", axis), node("MatMul", "x m", "y")} {
		m := model([]*onnx.Value{x}, []*onnx.Value{unshaped("y", tensor.Float64)}, []*onnx.Tensor{w("c", 3), w("l", 4), w("m", 4, 2), at}, n)
		s, err := Backend{}.Prepare(context.Background(), m, engine.Options{})
		if err != nil {
			t.Errorf("%s: %v", n.Op, err)
			continue
		}
		l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"y"}, engine.Options{})
		if err != nil {
			t.Errorf("%s: %v", n.Op, err)
			continue
		}
		in := tensors{zeros(tensor.Float64, 2, 3, 4)}
		if _, err := s.Run(t.Context(), in); err != nil {
			t.Errorf("%s: %v", n.Op, err)
		}
		if _, _, err := l.Push(t.Context(), in, in[0]); err != nil {
			t.Errorf("%s: %v", n.Op, err)
		}
	}
}

// A part of a batch that one item leaves empty stops nothing but its own readers.
func TestEmptyParts(t *testing.T) {
	x := onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: -1, Param: "N"}, {Size: 1}, {Size: 4}})
	scales := onnx.NewTensor("s", tensor.Of([]float32{1, 1, 2}, 3))
	split := &onnx.Node{Name: "split", Op: "Split", Inputs: []string{"x"}, Outputs: []string{"a", "b"}, Attrs: []*onnx.Attr{{Name: "num_outputs", Type: onnx.AttrInt, Int: 2}}}
	m := model([]*onnx.Value{x}, []*onnx.Value{unshaped("y", tensor.Float32)}, []*onnx.Tensor{scales}, split, node("Softmax", "b", "c"),
		&onnx.Node{Name: "resize", Op: "Resize", Inputs: []string{"c", "", "s"}, Outputs: []string{"y"}, Attrs: []*onnx.Attr{{Name: "mode", Type: onnx.AttrString, String: []byte("linear")}}})
	m.Opsets[0].Version = 18
	s := prepared(t, m, engine.Options{})
	if got := run(t, s, ramp(2, 1, 4)); !slices.Equal(got[0].Shape, []int{1, 1, 8}) {
		t.Errorf("got the shape %v", got[0].Shape)
	}
	if _, err := s.Run(t.Context(), tensors{ramp(1, 1, 4)}); errors.As(err, new(*fault)) {
		t.Error(err)
	}
}

// Through a number of 16 bits no derivative is taken, rather than zero.
func TestDerivativesThroughHalves(t *testing.T) {
	to := func(d tensor.DType) *onnx.Attr { return &onnx.Attr{Name: "to", Type: onnx.AttrInt, Int: int64(d)} }
	m := model([]*onnx.Value{port("x", tensor.Float32, 2)}, []*onnx.Value{port("y", tensor.Float32, 2)}, nil,
		node("Cast", "x", "h", to(tensor.Float16)), node("Cast", "h", "y", to(tensor.Float32)), node("Cast", "x", "i", to(tensor.Int32)), node("Cast", "i", "z", to(tensor.Float32)))
	_, err := Backend{}.Linearize(context.Background(), m, "x", []string{"y"}, engine.Options{})
	if u := new(engine.UnsupportedError); !errors.As(err, &u) || !strings.Contains(err.Error(), "float16") {
		t.Errorf("got %v, want the cast refused", err)
	}
	l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"z"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.Of([]float32{1.5, -2.5}, 2)
	_, dy, err := l.Push(t.Context(), tensors{x}, x) // of a whole number it is zero
	if err == nil {
		err = enginetest.Equal(dy, tensors{zeros(tensor.Float32, 2)}, 0)
	}
	if err != nil {
		t.Error(err)
	}
}

// gorgonia may write a sum of cotangents over one of its terms: neither these nor
// the sum has a view.
func TestSumsHaveNoViews(t *testing.T) {
	shape := onnx.NewTensor("s", tensor.Of([]int64{2, 2}, 2))
	m := model([]*onnx.Value{port("x", tensor.Float64, 4)}, []*onnx.Value{port("e", tensor.Float64, 2, 2)}, []*onnx.Tensor{shape},
		node("Sin", "x", "w"), node("Reshape", "w s", "r"), node("Reshape", "x s", "v"), node("Neg", "v", "p"), node("Add", "p r", "q"),
		node("Exp", "q", "e"), node("Cos", "q", "f"), node("Tanh", "p", "g"))
	l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"e", "f", "g"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.Of([]float64{.1, .2, .3, .4}, 4)
	y, dy, err := l.Push(t.Context(), tensors{x}, x)
	if err != nil {
		t.Fatal(err)
	}
	_, g, err := l.Pull(t.Context(), tensors{x}, y)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := dot(g, x), dot(y[0], dy[0])+dot(y[1], dy[1])+dot(y[2], dy[2]); math.Abs(a-b) > 1e-12 {
		t.Errorf("got %g, want %g", a, b)
	}
	sums, views := 0, 0
	for _, p := range l.(*linearization).programs {
		own := map[int64]bool{}
		for _, o := range p.ops {
			own[o.node.ID()] = true
		}
		for _, n := range p.expr.AllNodes() {
			if !own[n.ID()] && !n.IsVar() {
				sums++
			}
		}
		for _, o := range p.ops {
			if n := o.args[0].node; o.view {
				if views++; !own[n.ID()] && !n.IsVar() {
					t.Errorf("%s is a view of a sum", o.label())
				}
			}
		}
	}
	if sums == 0 || views == 0 {
		t.Errorf("%d sums and %d views: nothing is tested", sums, views)
	}
}

// Numbers that a whole type does not hold, and powers of whole numbers beyond the
// precision of float32.
func TestWholeNumbers(t *testing.T) {
	big := tensor.Of([]float64{3e9, -3e9, 1e30, math.NaN(), math.Inf(-1), 300.9, -1.9}, 7)
	for _, c := range []struct {
		to   tensor.DType
		want *tensor.Tensor
	}{
		{tensor.Int64, tensor.Of([]int64{3e9, -3e9, math.MinInt64, math.MinInt64, math.MinInt64, 300, -1}, 7)},
		{tensor.Int32, tensor.Of([]int32{math.MinInt32, math.MinInt32, math.MinInt32, math.MinInt32, math.MinInt32, 300, -1}, 7)},
		{tensor.Uint8, tensor.Of([]uint8{0, 0, 0, 0, 0, 44, 255}, 7)},
		{tensor.Int16, tensor.Of([]int16{0, 0, 0, 0, 0, 300, -1}, 7)},
	} {
		m := model([]*onnx.Value{port("x", tensor.Float64, 7)}, []*onnx.Value{unshaped("y", c.to)}, nil, node("Cast", "x", "y", &onnx.Attr{Name: "to", Type: onnx.AttrInt, Int: int64(c.to)}))
		if err := enginetest.Equal(run(t, prepared(t, m, engine.Options{}), big), tensors{c.want}, 0); err != nil {
			t.Errorf("to %s: %v", c.to, err)
		}
	}
	m := model([]*onnx.Value{port("x", tensor.Int64, 4), port("p", tensor.Float32, 4), port("q", tensor.Int64, 4)}, []*onnx.Value{unshaped("y", tensor.Int64), unshaped("z", tensor.Int64)}, nil,
		node("Pow", "x p", "y"), node("Pow", "x q", "z"))
	got := run(t, prepared(t, m, engine.Options{}), tensor.Of([]int64{123457, -46340, 9, -1}, 4), tensor.Of([]float32{2, 3, .5, 3}, 4), tensor.Of([]int64{3, 2, -1, -3}, 4))
	if err := enginetest.Equal(got, tensors{tensor.Of([]int64{15241630849, -99510312104000, 3, -1}, 4), tensor.Of([]int64{1881686019724993, 2147395600, 0, -1}, 4)}, 0); err != nil {
		t.Error(err)
	}
}
