package rewrite_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// plain has ONNX Runtime compute a model as it is written: its optimiser fuses and
// reorders, which is not what is compared.
var plain = engine.Options{Optimize: "none"}

// dialect says how many inputs each operator of the dialect has and which
// attributes it must have.
var dialect = map[string]struct {
	in    []int
	attrs []string
}{}

func init() {
	for _, op := range strings.Fields(`Relu LeakyRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Tanh Erf Exp Log Sqrt Reciprocal
		Abs Neg Floor Ceil Round Sign Softplus Softsign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Gelu Mish Not IsNaN IsInf`) {
		add(op, []int{1})
	}
	for _, op := range strings.Fields("Add Sub Mul Div Pow PRelu Max Min Mod Greater Less Equal GreaterOrEqual LessOrEqual And Or Xor MatMul MatMulInteger Reshape Expand") {
		add(op, []int{2})
	}
	for _, op := range strings.Fields("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd") {
		add(op, []int{2}, "keepdims")
	}
	window := []string{"kernel_shape", "strides", "dilations", "pads"}
	add("Clip", []int{3})
	add("Where", []int{3})
	add("Conv", []int{2, 3}, append(window, "group")...)
	add("ConvTranspose", []int{2, 3}, append(window, "group", "output_padding")...)
	add("MaxPool", []int{1}, append(window, "ceil_mode")...)
	add("AveragePool", []int{1}, append(window, "ceil_mode", "count_include_pad")...)
	add("Softmax", []int{1}, "axis")
	add("LogSoftmax", []int{1}, "axis")
	add("ArgMax", []int{1}, "axis", "keepdims", "select_last_index")
	add("ArgMin", []int{1}, "axis", "keepdims", "select_last_index")
	add("Transpose", []int{1}, "perm")
	add("Concat", nil, "axis")
	add("Slice", []int{5})
	add("Gather", []int{2}, "axis")
	add("Pad", []int{3}, "mode")
	add("Cast", []int{1}, "to")
}

func add(op string, in []int, attrs ...string) {
	d := dialect[op]
	d.in, d.attrs = in, attrs
	dialect[op] = d
}

// speaks finds what of a lowered model is not of the dialect.
func speaks(m *onnx.Model, facts map[string]onnx.Fact) error {
	var errs []error
	ix := m.Graph.Index()
	for _, n := range m.Graph.Nodes {
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: %s", n, fmt.Sprintf(format, args...)))
		}
		d, ok := dialect[n.Op]
		for _, p := range n.Meta {
			if p.Key == rewrite.LeftKey {
				fail("left: %s", p.Value)
				ok = false
			}
		}
		if !ok || n.Domain != "" {
			fail("not of the dialect")
			continue
		}
		if len(n.Outputs) != 1 || slices.Contains(n.Inputs, "") || d.in != nil && !slices.Contains(d.in, len(n.Inputs)) {
			fail("inputs %q, outputs %q", n.Inputs, n.Outputs)
		}
		for _, a := range d.attrs {
			if n.Attr(a) == nil {
				fail("has no attribute %q", a)
			}
		}
		if n.Attr("auto_pad") != nil {
			fail("auto_pad")
		}
		if v := n.Int("axis", 0); v < 0 && !strings.HasSuffix(n.Op, "Softmax") || strings.HasSuffix(n.Op, "Softmax") && v != -1 {
			fail("axis %d", v)
		}
		first := 1
		switch {
		case n.Op == "Pad":
			if f := facts[n.Inputs[1]]; len(f.Const) != 2*len(facts[n.Inputs[0]].Shape) || slices.ContainsFunc(f.Const, func(v float64) bool { return v < 0 }) {
				fail("pads %v", f.Const)
			}
		case n.Op == "Slice", n.Op == "Reshape", n.Op == "Expand", n.Op == "Clip", strings.HasPrefix(n.Op, "Reduce"):
		default:
			first = len(n.Inputs)
		}
		for _, in := range n.Inputs[first:] {
			if ix.Const[in] == nil {
				fail("input %q is not constant", in)
			}
		}
		for i, v := range slices.Concat(n.Inputs, n.Outputs) {
			f, ok := facts[v]
			if !ok || !f.Known() || f.DType == tensor.Undefined {
				fail("%q has no fact", v)
			} else if list := i > 0 && (n.Op == "Reshape" || n.Op == "Expand"); !list && slices.Contains(f.Shape, 0) {
				fail("%q is empty: %v", v, f.Shape)
			}
			moves := slices.Contains([]string{"Reshape", "Transpose", "Concat", "Slice", "Gather", "Expand", "Pad", "Where", "Cast"}, n.Op)
			if short := f.DType == tensor.Float16 || f.DType == tensor.BFloat16; short && !moves {
				fail("computes in %s", f.DType)
			}
		}
	}
	return errors.Join(errs...)
}

// random fills a value of any type: floats around 0, small integers.
func random(r *rand.Rand, d tensor.DType, shape []int64) *tensor.Tensor {
	s := make([]int, len(shape))
	for i, n := range shape {
		s[i] = int(n)
	}
	t, err := tensor.New(d, s...)
	if err != nil {
		panic(err)
	}
	switch v := t.Data.(type) {
	case []float32:
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
	case []float64:
		for i := range v {
			v[i] = r.NormFloat64()
		}
	case []int64:
		for i := range v {
			v[i] = int64(r.IntN(5) - 2)
		}
	case []int32:
		for i := range v {
			v[i] = int32(r.IntN(5) - 2)
		}
	case []int8:
		for i := range v {
			v[i] = int8(r.IntN(255) - 127)
		}
	case []uint8:
		for i := range v {
			v[i] = uint8(r.IntN(255))
		}
	case []bool:
		for i := range v {
			v[i] = r.IntN(2) == 0
		}
	case []uint16:
		for i := range v {
			switch f := float32(r.NormFloat64()); d {
			case tensor.Float16:
				v[i] = tensor.Float32ToHalf(f)
			case tensor.BFloat16:
				v[i] = tensor.Float32ToBFloat(f)
			}
		}
	}
	return t
}

// feed lists values for the model's inputs that are not initializers, given by name
// or at random in the given shapes.
func feed(m *onnx.Model, shapes map[string][]int64, given map[string]*tensor.Tensor) []*tensor.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	var in []*tensor.Tensor
	for _, v := range m.Graph.Inputs {
		if shape, ok := shapes[v.Name]; ok {
			t := given[v.Name]
			if t == nil {
				t = random(r, v.DType, shape)
			}
			in = append(in, t)
		}
	}
	return in
}

func run(m *onnx.Model, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	s, err := ort.Backend{}.Prepare(context.Background(), m, plain)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(context.Background(), in)
}

// free binds the open dimensions of a model's inputs.
func free(m *onnx.Model, n int64) map[string][]int64 {
	own := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		own[t.Name] = true
	}
	shapes := map[string][]int64{}
	for _, v := range m.Graph.Inputs {
		if own[v.Name] {
			continue
		}
		shapes[v.Name] = []int64{}
		for _, d := range v.Shape {
			if d.Size < 0 || d.Param != "" {
				d.Size = n
			}
			shapes[v.Name] = append(shapes[v.Name], d.Size)
		}
	}
	return shapes
}

// near compares with a tolerance relative to the largest magnitude of each output.
func near(got, want []*tensor.Tensor, relative float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("got %d outputs, want %d", len(got), len(want))
	}
	for i := range want {
		most := 0.0
		for _, v := range want[i].Float64s() {
			if !math.IsInf(v, 0) && !math.IsNaN(v) {
				most = max(most, math.Abs(v))
			}
		}
		within := relative * most
		if !want[i].DType.IsFloat() {
			within = 0
		}
		if err := enginetest.Equal(got[i:i+1], want[i:i+1], within); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return nil
}

// Models of our own are computed as before, by operators of the dialect alone.
func TestLowerOwnModels(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	paths, _ := filepath.Glob("../../testdata/models/*.onnx")
	if len(paths) < 20 {
		t.Fatalf("found %d models", len(paths))
	}
	for _, path := range paths {
		m, err := onnx.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		batches := []int64{1, 3}
		if maps.EqualFunc(free(m, 1), free(m, 3), slices.Equal) {
			batches = batches[:1]
		}
		for _, batch := range batches {
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(path), ".onnx"), batch), func(t *testing.T) {
				shapes := free(m, batch)
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
					t.Fatal(err)
				}
				got, err := run(low, in)
				if err != nil {
					t.Fatal(err)
				}
				within := 1e-5
				for _, v := range m.Tensors() {
					switch v.DType {
					case tensor.Float16:
						within = 2e-3 // 2 in the last of 11 bits: ONNX Runtime rounds within operators too
					case tensor.BFloat16:
						within = 2e-2 // and of 8 bits
					}
				}
				if err := near(got, want, within); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
