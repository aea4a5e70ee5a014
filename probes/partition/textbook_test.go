package partition

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// textbook differentiates a few operators by dual numbers: slow, and plain enough
// to be believed. It takes the float types as they come and computes in float64.
type textbook struct {
	// lie, when not 0, is added to every derivative.
	lie float64
}

func (textbook) Name() string                   { return "textbook" }
func (textbook) Version() string                { return "1" }
func (textbook) Available(engine.Options) error { return nil }
func (textbook) Prepare(context.Context, *onnx.Model, engine.Options) (engine.Session, error) {
	return nil, fmt.Errorf("textbook only differentiates")
}
func (b textbook) Linearize(ctx context.Context, m *onnx.Model, wrt string, values []string, _ engine.Options) (engine.Linearization, error) {
	return &page{b, m, wrt, values}, nil
}

type page struct {
	textbook
	m      *onnx.Model
	wrt    string
	values []string
}

func (p *page) Close() error { return nil }

func (p *page) Push(_ context.Context, in []*tensor.Tensor, tangent *tensor.Tensor) (v, d []*tensor.Tensor, err error) {
	env := map[string]dual{p.wrt: {in[0].Shape, in[0].Float64s(), tangent.Float64s()}}
	for _, t := range p.m.Graph.Initializers {
		c, err := p.m.Values(t)
		if err != nil {
			return nil, nil, err
		}
		env[t.Name] = dual{c.Shape, c.Float64s(), make([]float64, tensor.Count(c.Shape))}
	}
	for _, n := range p.m.Graph.Nodes {
		var args []dual
		for _, name := range n.Inputs {
			args = append(args, env[name])
		}
		out, err := apply(n, args)
		if err != nil {
			return nil, nil, err
		}
		env[n.Outputs[0]] = out
	}
	for _, name := range p.values {
		x, ok := env[name]
		if !ok {
			return nil, nil, fmt.Errorf("no value is called %q", name)
		}
		rate := slices.Clone(x.d)
		for i := range rate {
			rate[i] += p.lie
		}
		v = append(v, tensor.Of(slices.Clone(x.v), x.shape...))
		d = append(d, tensor.Of(rate, x.shape...))
	}
	return v, d, nil
}

func (p *page) Pull(ctx context.Context, in []*tensor.Tensor, cotangents []*tensor.Tensor) ([]*tensor.Tensor, *tensor.Tensor, error) {
	items := in[0].Shape[0]
	dim := tensor.Count(in[0].Shape) / items
	grad := make([]float64, items*dim)
	var values []*tensor.Tensor
	for j := range dim {
		e := make([]float64, items*dim)
		for i := range items {
			e[i*dim+j] = 1
		}
		v, d, err := p.Push(ctx, in, tensor.Of(e, in[0].Shape...))
		if err != nil {
			return nil, nil, err
		}
		values = v
		for k, c := range cotangents {
			if c == nil {
				continue
			}
			if !slices.Equal(c.Shape, v[k].Shape) {
				return nil, nil, fmt.Errorf("a cotangent of shape %v for a value of %v", c.Shape, v[k].Shape)
			}
			w, per := c.Float64s(), len(d[k].Float64s())/items
			for i, r := range d[k].Float64s() {
				grad[i/per*dim+j] += w[i] * r
			}
		}
	}
	return values, tensor.Of(grad, in[0].Shape...), nil
}

// dual is a value and its rate.
type dual struct {
	shape []int
	v, d  []float64
}

func empty(shape ...int) dual {
	return dual{shape, make([]float64, tensor.Count(shape)), make([]float64, tensor.Count(shape))}
}

func apply(n *onnx.Node, in []dual) (dual, error) {
	each := func(f func(v float64) (y, slope float64)) (dual, error) {
		y := empty(in[0].shape...)
		for i, v := range in[0].v {
			var s float64
			y.v[i], s = f(v)
			y.d[i] = s * in[0].d[i]
		}
		return y, nil
	}
	switch n.Op {
	case "Relu":
		return each(func(v float64) (float64, float64) {
			if v > 0 {
				return v, 1
			}
			return 0, 0
		})
	case "Sqrt":
		return each(func(v float64) (float64, float64) { return math.Sqrt(v), 0.5 / math.Sqrt(v) })
	case "Elu":
		return each(func(v float64) (float64, float64) {
			if v > 0 {
				return v, 1
			}
			return math.Expm1(v), math.Exp(v)
		})
	case "Clip":
		return each(func(v float64) (float64, float64) {
			lo, hi := in[1].v[0], in[2].v[0]
			if v > lo && v <= hi {
				return v, 1
			}
			return min(max(v, lo), hi), 0
		})
	case "Gemm", "MatMul":
		a, b := in[0], in[1]
		rows, inner, cols := a.shape[0], a.shape[1], b.shape[1]
		at := func(k, j int) int { return k*cols + j }
		if n.Int("transB", 0) == 1 {
			cols = b.shape[0]
			at = func(k, j int) int { return j*inner + k }
		}
		y := empty(rows, cols)
		for i := range rows {
			for j := range cols {
				for k := range inner {
					y.v[i*cols+j] += a.v[i*inner+k] * b.v[at(k, j)]
					y.d[i*cols+j] += a.d[i*inner+k] * b.v[at(k, j)]
				}
				if len(in) > 2 {
					y.v[i*cols+j] += in[2].v[j%len(in[2].v)]
				}
			}
		}
		return y, nil
	case "Add", "Sub", "Mul", "Max":
		a, b := in[0], in[1]
		if len(a.v) < len(b.v) && n.Op != "Sub" {
			a, b = b, a
		}
		y := empty(a.shape...)
		for i := range a.v {
			k := i % len(b.v) // a trailing shape broadcasts
			switch n.Op {
			case "Add":
				y.v[i], y.d[i] = a.v[i]+b.v[k], a.d[i]+b.d[k]
			case "Sub":
				y.v[i], y.d[i] = a.v[i]-b.v[k], a.d[i]-b.d[k]
			case "Mul":
				y.v[i], y.d[i] = a.v[i]*b.v[k], a.d[i]*b.v[k]+a.v[i]*b.d[k]
			case "Max":
				if y.v[i], y.d[i] = a.v[i], a.d[i]; b.v[k] > a.v[i] {
					y.v[i], y.d[i] = b.v[k], b.d[k]
				}
			}
		}
		return y, nil
	case "Reshape":
		shape, open := []int{}, -1
		for i, v := range in[1].v {
			if shape = append(shape, int(v)); v == 0 {
				shape[i] = in[0].shape[i]
			}
			if v == -1 {
				open, shape[i] = i, 1
			}
		}
		if open >= 0 {
			shape[open] = len(in[0].v) / tensor.Count(shape)
		}
		return dual{shape, in[0].v, in[0].d}, nil
	case "MaxPool":
		// The definition, axis by axis, for two spatial axes.
		x, s := in[0], in[0].shape
		k, st, pad, dil := n.Ints("kernel_shape"), n.Ints("strides"), n.Ints("pads"), n.Ints("dilations")
		size := func(a int) int {
			room := s[a+2] + int(pad[a]+pad[a+2]) - int(dil[a]*(k[a]-1)) - 1
			if n.Int("ceil_mode", 0) == 1 {
				return (room+int(st[a])-1)/int(st[a]) + 1
			}
			return room/int(st[a]) + 1
		}
		y := empty(s[0], s[1], size(0), size(1))
		for o := range y.v {
			plane, i, j := o/(y.shape[2]*y.shape[3]), o/y.shape[3]%y.shape[2], o%y.shape[3]
			y.v[o] = math.Inf(-1)
			for a := range k[0] {
				for b := range k[1] {
					r, c := i*int(st[0])-int(pad[0])+int(a*dil[0]), j*int(st[1])-int(pad[1])+int(b*dil[1])
					if r < 0 || c < 0 || r >= s[2] || c >= s[3] {
						continue
					}
					if p := (plane*s[2]+r)*s[3] + c; x.v[p] > y.v[o] {
						y.v[o], y.d[o] = x.v[p], x.d[p]
					}
				}
			}
		}
		return y, nil
	}
	return dual{}, fmt.Errorf("textbook cannot run %s", n)
}

// network is a float64 model on [n, d].
func network(t *testing.T, d int, build func(e *rewrite.Edit, x string) string) *onnx.Model {
	t.Helper()
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: &onnx.Graph{Name: "test",
		Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float64, []onnx.Dim{{Size: -1, Param: "n"}, {Size: int64(d)}})}}}
	m, err := rewrite.Apply(m, rewrite.Pass{Name: "build", Do: func(e *rewrite.Edit) error {
		e.Output(build(e, "x"), tensor.Float64, nil)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gemm adds x W + b; w is [in, out].
func gemm(e *rewrite.Edit, x string, w []float64, b []float64) string {
	return e.Op("Gemm", nil, x, e.Const(tensor.Of(w, len(w)/len(b), len(b))), e.Const(tensor.Of(b, len(b))))
}

func relu(e *rewrite.Edit, x string) string { return e.Op("Relu", nil, x) }

func open(t *testing.T, m *onnx.Model, d engine.Differentiator, o Options) *Mapper {
	t.Helper()
	mp, err := Open(context.Background(), m, d, engine.Options{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mp.Close() })
	return mp
}

func at(t *testing.T, mp *Mapper, x []float64, q Query) *Affine {
	t.Helper()
	a, err := mp.At(context.Background(), x, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
