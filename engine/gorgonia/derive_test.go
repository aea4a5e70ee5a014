package gorgonia

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

type tensors = []*tensor.Tensor

func uniform(rng *rand.Rand, low, high float64, dims []int) *tensor.Tensor {
	v := make([]float64, tensor.Count(dims))
	for i := range v {
		v[i] = low + (high-low)*rng.Float64()
	}
	return tensor.Of(v, dims...)
}

func dot(a, b *tensor.Tensor) float64 {
	sum := 0.0
	for i, v := range tensor.Data[float64](a) {
		sum += v * tensor.Data[float64](b)[i]
	}
	return sum
}

func moved(x, along *tensor.Tensor, by float64) *tensor.Tensor {
	v := slices.Clone(tensor.Data[float64](x))
	for i, t := range tensor.Data[float64](along) {
		v[i] += by * t
	}
	return tensor.Of(v, x.Shape...)
}

func largest(ts ...*tensor.Tensor) float64 {
	m := 0.0
	for _, t := range ts {
		for _, v := range tensor.Data[float64](t) {
			m = math.Max(m, math.Abs(v))
		}
	}
	return m
}

// derivatives checks the derivatives of a model in double precision by its input
// number wrt: Push against central differences to 1e-6 relative, and Pull against
// Push, whose products with a cotangent and a tangent are the same number. ranges
// are tried in turn until no value is NaN. It returns the operators differentiated.
func derivatives(t *testing.T, m *onnx.Model, in tensors, wrt int, values []string, ranges ...[2]float64) map[string]bool {
	t.Helper()
	l, err := Backend{}.Linearize(context.Background(), m, newSource(m, engine.Options{Threads: 1}, nil).inputs[wrt].Name, values, engine.Options{})
	if u := new(engine.UnsupportedError); errors.As(err, &u) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, rng := context.Background(), rand.New(rand.NewPCG(1, 7))
	at := func(x *tensor.Tensor) tensors {
		all := slices.Clone(in)
		all[wrt] = x
		return all
	}
	var x, along *tensor.Tensor
	var y, dy tensors
	for _, r := range ranges {
		x, along = uniform(rng, r[0], r[1], in[wrt].Shape), uniform(rng, -1, 1, in[wrt].Shape)
		y, dy, err = l.Push(ctx, at(x), along)
		if u := new(engine.UnsupportedError); errors.As(err, &u) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if s := largest(y...); s == s && !math.IsInf(s, 0) {
			break
		}
	}
	const h = 1e-6
	up, _, err1 := l.Push(ctx, at(moved(x, along, h)), along)
	down, _, err2 := l.Push(ctx, at(moved(x, along, -h)), along)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	cotangents := make(tensors, len(y))
	pushed := 0.0
	for k := range y {
		scale := math.Max(largest(dy[k]), largest(y[k]))
		for i, got := range tensor.Data[float64](dy[k]) {
			want := (tensor.Data[float64](up[k])[i] - tensor.Data[float64](down[k])[i]) / (2 * h)
			if d := math.Abs(got - want); !(d <= 1e-6*math.Max(scale, 1e-3)) {
				t.Fatalf("value %s, element %d: the tangent is %g, by central differences %g", values[k], i, got, want)
			}
		}
		cotangents[k] = uniform(rng, -1, 1, y[k].Shape)
		pushed += dot(cotangents[k], dy[k])
	}
	again, gradient, err := l.Pull(ctx, at(x), cotangents)
	if err != nil {
		t.Fatal(err)
	}
	for k := range y {
		if !slices.Equal(tensor.Data[float64](again[k]), tensor.Data[float64](y[k])) {
			t.Fatalf("value %s: Pull and Push do not agree", values[k])
		}
	}
	pulled := dot(gradient, along)
	if d := math.Abs(pushed - pulled); !(d <= 1e-10*math.Max(math.Abs(pushed)+largest(gradient)+largest(dy...), 1e-3)) {
		t.Fatalf("cotangents times tangents are %.17g, the gradient times the tangent is %.17g", pushed, pulled)
	}
	used := map[string]bool{}
	for _, p := range l.(*linearization).programs {
		for _, o := range p.ops {
			used[o.row.name] = used[o.row.name] || o.out.active
		}
	}
	return used
}

// Every row with a derivative is met by a case of the suite, made double, and
// holds against central differences.
func TestDerivativesOfEveryRow(t *testing.T) {
	met := map[string]bool{}
	for _, c := range enginetest.Cases() {
		m, err := rewrite.Widen(c.Model)
		if err != nil {
			t.Fatal(err)
		}
		for wrt, v := range newSource(m, engine.Options{Threads: 1}, nil).inputs {
			if v.DType != tensor.Float64 || c.In[wrt].Len() == 0 {
				continue
			}
			in := make(tensors, len(c.In))
			for i, x := range c.In {
				if in[i] = x; x.DType.IsFloat() {
					in[i] = uniform(rand.New(rand.NewPCG(3, uint64(i))), 0.2, 0.9, x.Shape)
				}
			}
			var values []string
			for k, o := range m.Graph.Outputs {
				if c.Want[k].DType.IsFloat() && !slices.ContainsFunc(m.Graph.Initializers, func(t *onnx.Tensor) bool { return t.Name == o.Name }) {
					values = append(values, o.Name)
				}
			}
			if values == nil {
				continue
			}
			t.Run(fmt.Sprint(c.Name, "/", v.Name), func(t *testing.T) {
				for name, active := range derivatives(t, m, in, wrt, values, [2]float64{-1.5, 1.6}, [2]float64{0.2, 0.8}, [2]float64{1.2, 2.5}) {
					met[name] = met[name] || active
				}
			})
		}
	}
	for name, r := range table {
		if r.pull != nil && !met[name] && name != "Cast" { // Widen leaves no cast between floats
			t.Errorf("no case differentiates %s", name)
		}
	}
}

// The shipped networks, by their outputs and a spread of values on the way.
func TestDerivativesOfNetworks(t *testing.T) {
	files, err := filepath.Glob("../../testdata/models/*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".onnx"), func(t *testing.T) {
			m, err := onnx.Load(f)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = rewrite.Widen(m); err != nil {
				t.Fatal(err)
			}
			shape := []int{}
			for _, d := range m.Graph.Inputs[0].Shape {
				shape = append(shape, int(max(d.Size, 1)))
			}
			facts, err := m.Infer(map[string][]int64{m.Graph.Inputs[0].Name: shape64(shape)})
			if err != nil {
				t.Fatal(err)
			}
			values := []string{m.Graph.Outputs[0].Name}
			for i, n := range m.Graph.Nodes {
				if f := facts[n.Outputs[0]]; i%7 == 3 && f.DType == tensor.Float64 && f.Const == nil && n.Outputs[0] != values[0] {
					values = append(values, n.Outputs[0])
				}
			}
			if derivatives(t, m, tensors{zeros(tensor.Float64, shape...)}, 0, values, [2]float64{0, 1}) == nil {
				t.Fatal("it cannot be differentiated")
			}
		})
	}
}

func shape64(s []int) []int64 {
	out := make([]int64, len(s))
	for i, n := range s {
		out[i] = int64(n)
	}
	return out
}

// A cast hands derivatives on in the other type.
func TestDerivativeOfCast(t *testing.T) {
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
		Inputs:  []*onnx.Value{onnx.NewValue("x", tensor.Float32, []onnx.Dim{{Size: 2}})},
		Outputs: []*onnx.Value{onnx.NewValue("y", tensor.Float64, nil)},
		Nodes: []*onnx.Node{{Name: "cast", Op: "Cast", Inputs: []string{"x"}, Outputs: []string{"d"}, Attrs: []*onnx.Attr{{Name: "to", Type: onnx.AttrInt, Int: 11}}},
			{Name: "square", Op: "Mul", Inputs: []string{"d", "d"}, Outputs: []string{"y"}}}}}
	l, err := Backend{}.Linearize(context.Background(), m, "x", []string{"y"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := tensors{tensor.Of([]float32{3, -2}, 2)}
	y, dy, err := l.Push(context.Background(), x, tensor.Of([]float32{1, 10}, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Equal(append(y, dy...), tensors{tensor.Of([]float64{9, 4}, 2), tensor.Of([]float64{6, -40}, 2)}, 0); err != nil {
		t.Error(err)
	}
	_, g, err := l.Pull(context.Background(), x, tensors{tensor.Of([]float64{1, 2}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Equal(tensors{g}, tensors{tensor.Of([]float32{6, -8}, 2)}, 0); err != nil {
		t.Error(err)
	}
}
