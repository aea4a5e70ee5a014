package rewrite_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// typed is an input of a type other than float32.
type typed struct {
	d     tensor.DType
	shape []int64
}

type sh = []int64

// one is a model of one operator. An input is a shape (of float32), a typed shape, a
// constant, or "" for an omitted one; an attribute's value is int, float64, string or
// a list of the first two.
type one struct {
	op    string // DOMAIN.OP outside ONNX's own
	opset int64
	in    []any
	attrs map[string]any
	outs  int     // 1 when 0
	exact bool    // the operator only moves data, so results are equal
	loose float64 // a relative tolerance other than 1e-5
	why   string  // of loose
}

func ints(v ...int64) *tensor.Tensor      { return tensor.Of(v, len(v)) }
func floats(v ...float32) *tensor.Tensor  { return tensor.Of(v, len(v)) }
func scalar(v float32) *tensor.Tensor     { return tensor.Scalar(v) }
func half(s ...int64) typed               { return typed{tensor.Float16, s} }
func of(d tensor.DType, s ...int64) typed { return typed{d, s} }

func (o one) model() *onnx.Model {
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: o.opset}}, Graph: &onnx.Graph{Name: "one"}}
	n := &onnx.Node{Name: "it", Op: o.op}
	if d, op, ok := cutLast(o.op); ok {
		n.Domain, n.Op = d, op
		m.Opsets = append(m.Opsets, onnx.Opset{Domain: d, Version: 1})
	}
	input := func(name string, d tensor.DType, shape []int64) {
		dims := []onnx.Dim{}
		for _, s := range shape {
			dims = append(dims, onnx.Dim{Size: s})
		}
		m.Graph.Inputs = append(m.Graph.Inputs, onnx.NewValue(name, d, dims))
	}
	for i, in := range o.in {
		name := fmt.Sprintf("in%d", i)
		switch v := in.(type) {
		case sh:
			input(name, tensor.Float32, v)
		case typed:
			input(name, v.d, v.shape)
		case *tensor.Tensor:
			m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor(name, v))
		case string:
			name = v
		}
		n.Inputs = append(n.Inputs, name)
	}
	for i := range max(o.outs, 1) {
		name := fmt.Sprintf("out%d", i)
		n.Outputs = append(n.Outputs, name)
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.NewValue(name, tensor.Undefined, nil))
	}
	for name, v := range o.attrs {
		n.Attrs = append(n.Attrs, attr(name, v))
	}
	m.Graph.Nodes = []*onnx.Node{n}
	return m
}

func cutLast(s string) (before, after string, ok bool) {
	for i := len(s) - 1; i > 0; i-- {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

func attr(name string, v any) *onnx.Attr {
	a := &onnx.Attr{Name: name}
	switch v := v.(type) {
	case int:
		a.Type, a.Int = onnx.AttrInt, int64(v)
	case float64:
		a.Type, a.Float = onnx.AttrFloat, float32(v)
	case string:
		a.Type, a.String = onnx.AttrString, []byte(v)
	case []int64:
		a.Type, a.Ints = onnx.AttrInts, v
	case []float32:
		a.Type, a.Floats = onnx.AttrFloats, v
	case *tensor.Tensor:
		a.Type, a.Tensor = onnx.AttrTensor, onnx.NewTensor("", v)
	default:
		panic(fmt.Sprintf("%T", v))
	}
	return a
}

type am = map[string]any

// Every row of the table has a case here, and ONNX Runtime computes the same of the
// model as it was and as it is lowered.
func TestLowerRows(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	seen := map[string]bool{}
	for i, c := range rowCases() {
		seen[c.op] = true
		t.Run(fmt.Sprintf("%s/%d", c.op, i), func(t *testing.T) {
			m := c.model()
			shapes := free(m, 0)
			low, facts, err := rewrite.Lower(m, shapes)
			if err != nil {
				t.Fatal(err)
			}
			if err := speaks(low, facts); err != nil {
				t.Fatal(err)
			}
			in := feed(m, shapes, nil)
			want, err := run(m, in)
			if err != nil {
				t.Fatalf("as it was: %v", err)
			}
			got, err := run(low, in)
			if err != nil {
				t.Fatalf("lowered: %v", err)
			}
			within := 1e-5 // the order of sums
			switch {
			case c.exact:
				within = 0
			case c.loose > 0:
				within = c.loose
			}
			if (c.loose > 0) != (c.why != "") {
				t.Error("the tolerance has no reason")
			}
			if err := near(got, want, within); err != nil {
				t.Errorf("%v\n%v\n%s", err, c, brief(low))
			}
		})
	}
	for _, op := range rewrite.Rows() {
		if !seen[op] {
			t.Errorf("%s has no case", op)
		}
	}
}

func brief(m *onnx.Model) (s string) {
	for _, n := range m.Graph.Nodes {
		s += fmt.Sprintf("%s %v -> %v\n", n, n.Inputs, n.Outputs)
	}
	return s
}

// A row whose node has fewer inputs than its operator needs, or leaves some out, is
// left or an error, and never a panic.
func TestLowerFewInputs(t *testing.T) {
	for _, c := range rowCases() {
		for keep := range c.in {
			for _, in := range [][]any{c.in[:keep], append(slices.Repeat([]any{""}, keep), c.in[keep:]...)} {
				few := c
				few.in = in
				m := few.model()
				if err := m.Check(); err != nil {
					t.Fatal(err)
				}
				if low, _, err := rewrite.Lower(m, free(m, 0)); err == nil {
					if err := low.Check(); err != nil {
						t.Errorf("%s of %v: the lowered model is broken: %v", c.op, in, err)
					}
				}
			}
		}
	}
}
