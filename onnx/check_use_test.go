package onnx

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// boundCase is numbers that a row of bounds takes and others that it refuses, with
// inputs of the given shapes.
type boundCase struct {
	shapes    [][]int64
	good, bad [][]int64
}

func of(shapes ...[]int64) [][]int64 { return shapes }

// boundCases are by attribute and first operator of a row.
var boundCases = func() map[string][]boundCase {
	type list = []int64
	image := of(list{2, 6, 8, 8}, list{6, 6, 3, 3}, list{6}, list{6, 6, 3, 3})
	one, two := of(list{1}), of(list{2, 3})
	axis := boundCase{two, of(list{0}, list{-2}, list{1}), of(list{2}, list{-3}, list{math.MaxInt64}, list{math.MinInt64})}
	scalar := boundCase{of(list{}), of(list{0}, list{-1}), of(list{1})}
	flag := boundCase{image, of(list{0}, list{1}), of(list{2}, list{-1})}
	positive := boundCase{image, of(list{1}, list{3}), of(list{0}, list{-1}, list{math.MinInt64})}
	natural := boundCase{image, of(list{0}, list{3}), of(list{-1}, list{math.MinInt64})}
	each := boundCase{image, of(list{1, 2}), of(list{0, 1}, list{1, -1}, list{1}, list{1, 1, 1, 1})}
	groups := boundCase{image, of(list{1}, list{2}, list{6}), of(list{4}, list{7})}
	return map[string][]boundCase{
		"group of Conv (0)":                {groups, positive},
		"group of Conv (1)":                {{of(list{1, -1, 8, 8}, list{6, 6, 3, 3}), of(list{1}, list{3}), of(list{4})}},
		"group of QLinearConv":             {{of(list{1, -1, 8, 8}, nil, nil, list{6, 6, 3, 3}), of(list{3}), of(list{4})}},
		"offset_group of DeformConv":       {groups, positive},
		"num_groups of GroupNormalization": {groups, positive},
		"kernel_shape of Conv":             {each},
		"strides of Conv":                  {each},
		"dilations of Conv":                {each},
		"pads of Conv":                     {{image, of(list{0, 0, 1, 1}), of(list{0, 0, 0, -1}, list{1, 1}, list{1, 1, 1})}},
		"output_padding of ConvTranspose":  {{image, of(list{0, 1}), of(list{0, -1}, list{1})}},
		"output_shape of ConvTranspose":    {{image, of(list{9, 9}), of(list{9, 0})}},
		"ceil_mode of MaxPool":             {flag},
		"storage_order of MaxPool":         {flag},
		"count_include_pad of AveragePool": {flag},
		"size of LRN":                      {positive},
		"output_height of RoiAlign":        {positive},
		"output_width of RoiAlign":         {positive},
		"sampling_ratio of RoiAlign":       {natural},
		"pooled_shape of MaxRoiPool":       {{image, of(list{1, 2}), of(list{0, 2}, list{1})}},
		"blocksize of DepthToSpace":        {{image, of(list{1}), of(list{0}, list{-2})}},
		"axis of ArgMax":                   {axis, scalar},
		"axis of CumSum":                   {axis, scalar},
		"axis of QuantizeLinear":           {{of(list{2, 3}, list{3}), of(list{1}, list{-1}), of(list{2}, list{-3})}, {of(list{2, 3}, list{}), of(list{5}), nil}},
		"axis of Flatten":                  {{two, of(list{0}, list{2}, list{-2}), of(list{3}, list{-3})}},
		"axis of OneHot":                   {{two, of(list{2}, list{-3}), of(list{3}, list{-4})}},
		"axes of ReduceMax":                {axis, scalar},
		"axes of Slice":                    {axis},
		"axes of CenterCropPad":            {axis},
		"axes of Unsqueeze":                {{two, of(list{2}, list{-3}, list{0, 3}), of(list{3}, list{-4}, list{0, 4})}},
		"perm of Transpose":                {{two, of(list{1, 0}), of(list{1, 1}, list{0, 2}, list{-1, 0}, list{0}, list{0, 1, 2})}},
		"batch_dims of GatherND":           {{of(list{2, 3, 4}, list{2, 1}), of(list{0}, list{1}), of(list{-1}, list{2}, list{math.MinInt64})}, {of(list{2, 3}, nil), of(list{1}), of(list{2})}},
		"batch_axis of ReverseSequence":    {flag},
		"time_axis of ReverseSequence":     {flag},
		"num_outputs of Split":             {positive},
		"split of Split":                   {{two, of(list{0, 2}), of(list{3, -1})}},
		"split of SplitToSequence":         {{two, of(list{0, 2}, list{1}), of(list{3, -1})}},
		"new_axis of ConcatFromSequence":   {flag},
		"steps of Slice":                   {{two, of(list{1, -1}), of(list{1, 0})}},
		"delta of Range":                   {{one, of(list{1}, list{-1}), of(list{0})}},
		"repeats of Tile":                  {{two, of(list{0, 2}), of(list{1, -1})}},
		"k of TopK":                        {natural},
		"q_num_heads of Attention":         {{of(list{1, 4, 8}), of(list{1}, list{2}), of(list{0}, list{-1})}, {of(list{1, 2, 4, 8}), of(list{0}), nil}},
		"kv_num_heads of Attention":        {{of(list{1, 4, 8}, list{1, 4, 8}), of(list{1}), of(list{0})}, {of(list{1, 2, 4, 8}, list{1, 2, 4, 8}), of(list{0}), nil}},
		"hidden_size of RNN":               {positive},
		"layout of RNN":                    {flag},
		"fmod of Mod":                      {flag},
	}
}()

// bounded is a model of one node with numbers for an attribute or, as is newer, for an
// input. A nil shape leaves an input's rank open.
func bounded(op string, b bound, shapes [][]int64, v []int64, asInput bool) *Model {
	n := &Node{Name: "n", Op: op, Outputs: []string{"y"}}
	m := &Model{IR: 8, Opsets: []Opset{{"", 18}}, Graph: &Graph{Name: "g", Nodes: []*Node{n}, Outputs: []*Value{NewValue("y", tensor.Undefined, nil)}}}
	for i, s := range shapes {
		var dims []Dim
		if s != nil {
			dims = []Dim{}
		}
		for _, d := range s {
			dims = append(dims, Dim{Size: d})
		}
		x := fmt.Sprint("x", i)
		n.Inputs = append(n.Inputs, x)
		m.Graph.Inputs = append(m.Graph.Inputs, NewValue(x, tensor.Float32, dims))
	}
	if asInput {
		for len(n.Inputs) <= b.input {
			n.Inputs = append(n.Inputs, "")
		}
		n.Inputs[b.input] = "v"
		return m.with(int64s("v", v...))
	}
	a := ints(b.attr, v...)
	if len(v) == 1 && b.attr != "axes" {
		a = intAttr(b.attr, v[0])
	}
	n.Attrs = []*Attr{a}
	return m
}

// Every row of bounds, of each of its operators, refuses what is out of its range and
// nothing else.
func TestBounds(t *testing.T) {
	tested := map[string]bool{}
	for _, b := range bounds {
		ops := strings.Fields(b.ops)
		name := fmt.Sprintf("%s of %s", b.attr, ops[0])
		if name == "group of Conv" { // two rows begin with it
			name += map[bool]string{true: " (0)", false: " (1)"}[len(b.demands) == 2]
		}
		cases := boundCases[name]
		if tested[name] = true; len(cases) == 0 {
			t.Errorf("%s has no case", name)
		}
		for _, op := range ops {
			refused := 0
			for _, c := range cases {
				for _, asInput := range []bool{false, true} {
					if asInput && b.input == 0 {
						continue
					}
					for _, v := range c.good {
						if err := bounded(op, b, c.shapes, v, asInput).Check(); err != nil {
							t.Errorf("%s, %s %v, inputs %v: %v", op, b.attr, v, c.shapes, err)
						}
					}
					for _, v := range c.bad {
						err := bounded(op, b, c.shapes, v, asInput).Check()
						wantError(t, err, fmt.Sprintf(`node %s "n": %s is %s; want `, op, b.attr, listed(v)))
						refused++
					}
				}
			}
			if refused == 0 {
				t.Errorf("%s of %s: nothing is refused", b.attr, op)
			}
		}
	}
	for name := range boundCases {
		if !tested[name] {
			t.Errorf("a case for %s, which is no row", name)
		}
	}
}

// Every operator of the table exists.
func TestBoundsNameOperators(t *testing.T) {
	for op := range boundsOf {
		if OperatorNamed(op) == nil {
			t.Errorf("bounds are given for %s, which has no row", op)
		}
	}
}

// One number splits into parts of its size, which is not 0; of a list, one may be.
func TestSplitToSequenceByNumber(t *testing.T) {
	for _, size := range []int64{-1, 0, 1} {
		m := small(value("x", 4), node("SplitToSequence", "x s", "y")).with(NewTensor("s", tensor.Scalar(size)))
		if err := m.Check(); size == 1 && err != nil {
			t.Error(err)
		} else if size < 1 {
			wantError(t, err, fmt.Sprintf("split is %d; want 1 or more", size))
		}
	}
}

func TestDivisionByConstants(t *testing.T) {
	whole := func(name string, v any) *Tensor {
		switch v := v.(type) {
		case []int64:
			return NewTensor(name, tensor.Of(v, len(v)))
		case []int32:
			return NewTensor(name, tensor.Of(v, len(v)))
		case []int8:
			return NewTensor(name, tensor.Of(v, len(v)))
		case []uint8:
			return NewTensor(name, tensor.Of(v, len(v)))
		case []uint64:
			return NewTensor(name, tensor.Of(v, len(v)))
		case []float32:
			return NewTensor(name, tensor.Of(v, len(v)))
		}
		panic("no case for it")
	}
	x := func(d tensor.DType) *Value { return NewValue("x", d, []Dim{{Size: 2}}) }
	div := func(op string, v any, attrs ...*Attr) *Model {
		b := whole("b", v)
		return small(x(b.DType), node(op, "x b", "y", attrs...)).with(b)
	}
	both := func(a, b any, op string) *Model {
		return small(value("x", 1), node(op, "a b", "y")).with(whole("a", a), whole("b", b))
	}
	through := func(v any, d tensor.DType, nodes ...*Node) *Model {
		return small(x(d), append(nodes, node("Div", "x d", "y"))...).with(whole("b", v), int64s("s", 2), int64s("none"))
	}
	value64 := func(name string, v int64) *Attr {
		return &Attr{Name: name, Type: AttrTensor, Tensor: NewTensor("", tensor.Of([]int64{v}, 1))}
	}
	to := func(d tensor.DType) *Attr { return intAttr("to", int64(d)) }
	large := make([]int64, 5000)
	for i := range large {
		large[i] = int64(i) - 4999
	}
	branches := func(d *Node) *Model {
		return small(NewValue("c", tensor.Int64, []Dim{{Size: 2}}), once(branch("b", d), "y")).with(int64s("zero", 0))
	}
	called := func(body ...*Node) *Model {
		m := small(NewValue("x", tensor.Int64, nil), &Node{Name: "call", Op: "F", Domain: "f", Inputs: []string{"x"}, Outputs: []string{"y"}})
		m.Opsets = append(m.Opsets, Opset{"f", 1})
		m.Functions = []*Function{{Name: "F", Domain: "f", Opsets: m.Opsets, Body: &Graph{Nodes: body,
			Inputs: []*Value{NewValue("p", tensor.Undefined, nil)}, Outputs: []*Value{NewValue("q", tensor.Undefined, nil)}}}}
		return m
	}
	const least = math.MinInt64
	const byZero, beyond = "is 0", "does not hold the result"
	for _, c := range []struct {
		name string
		m    *Model
		want string
	}{
		{"Div", div("Div", []int64{3, 0}), `element 1 is 0`},
		{"Mod", div("Mod", []int32{0}), byZero},
		{"int8", div("Div", []int8{0}), byZero},
		{"uint8", div("Mod", []uint8{0}), byZero},
		{"uint64", div("Div", []uint64{math.MaxUint64, 0}), byZero},
		{"the last of many", div("Div", large), "element 4999 is 0"},
		{"of floats", div("Div", []float32{0}), ""},
		{"remainder as C has it", div("Mod", []int64{0}, intAttr("fmod", 1)), ""},
		{"by others", div("Div", []int64{3, -1, least, math.MaxInt64}), ""},
		{"the largest of uint64 is not -1", both([]int64{least}, []uint64{math.MaxUint64}, "Div"), ""},
		{"the dividend is 0", both([]int64{0}, []int64{1}, "Div"), ""},

		{"least", both([]int64{1, least}, []int64{-1}, "Div"), "divides -9223372036854775808, the least of int64, by -1"},
		{"least, Mod", both([]int32{math.MinInt32}, []int32{-1}, "Mod"), beyond},
		{"least of int8", both([]int8{-128}, []int8{-1}, "Div"), beyond},
		{"least by one of several", both([]int64{least}, []int64{5, -1}, "Div"), beyond},
		{"element by element", both([]int64{5, least}, []int64{5, -1}, "Div"), beyond},
		{"never together", both([]int64{least, 5}, []int64{5, -1}, "Div"), ""},
		{"one more than the least", both([]int64{least + 1}, []int64{-1}, "Div"), ""},
		{"least of another type", both([]int64{math.MinInt32}, []int64{-1}, "Div"), ""},

		{"Identity", through([]int64{0}, tensor.Int64, node("Identity", "b", "d")), byZero},
		{"shapes", through([]int64{1, 0}, tensor.Int64, node("Unsqueeze", "b", "b1", ints("axes", 0)), node("Squeeze", "b1", "b2"), node("Reshape", "b2 s", "b3"), node("Transpose", "b3", "d")), byZero},
		{"Cast", through([]float32{.5}, tensor.Int64, node("Cast", "b", "d", to(tensor.Int64))), byZero},
		{"Cast wraps", through([]int64{256}, tensor.Int8, node("Cast", "b", "d", to(tensor.Int8))), byZero},
		{"Cast of what is no number", through([]float32{float32(math.NaN()), 1e30}, tensor.Int64, node("Cast", "b", "d", to(tensor.Int64))), ""},
		{"Cast to floats", through([]int64{0}, tensor.Float32, node("Cast", "b", "d", to(tensor.Float32))), ""},
		{"there and back", through([]int64{0, 7}, tensor.Int32, node("Cast", "b", "b1", to(tensor.Float32)), node("Cast", "b1", "d", to(tensor.Int32))), byZero},
		{"Expand", through([]int64{0}, tensor.Int64, node("Expand", "b s", "d")), byZero},
		{"Constant", through([]int64{1}, tensor.Int64, node("Constant", "", "d", value64("value", 0))), byZero},
		{"a number", through([]int64{1}, tensor.Int64, node("Constant", "", "d", intAttr("value_int", 0))), byZero},
		{"ConstantOfShape", through([]int64{1}, tensor.Int64, node("ConstantOfShape", "s", "d", value64("value", 0))), byZero},
		{"ConstantOfShape of nothing", through([]int64{0}, tensor.Int64, node("ConstantOfShape", "b", "d", value64("value", 0))), ""},
		{"a shape is no constant", through([]int64{1}, tensor.Int64, node("Shape", "none", "d")), ""},

		{"in a branch", branches(node("Div", "c zero", "b")), `node Div "n_b": it divides whole numbers (int64) by the constant "zero"`},
		{"attributes in a branch", branches(node("GatherND", "c zero", "b", intAttr("batch_dims", -1))), "batch_dims is -1"},
		{"in a function", called(node("Constant", "", "z", intAttr("value_int", 0)), node("Div", "p z", "q")), `function "f.F": node Div "n_q"`},
		{"attributes in a function", called(node("LRN", "p", "q", intAttr("size", 0))), `function "f.F": node LRN "n_q": size is 0`},
		{"what a caller gives", called(node("Constant", "", "z", &Attr{Name: "value_int", Type: AttrInt, Ref: "a"}), node("Div", "p z", "q")), ""},
		{"an attribute that a caller gives", called(node("LRN", "p", "q", &Attr{Name: "size", Type: AttrInt, Ref: "a"})), ""},
	} {
		err := c.m.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "":
			wantError(t, err, c.want)
			if err == nil {
				t.Errorf("%s: nothing was said", c.name)
			}
		}
	}
}

// What a branch defines is not known after it, under the same name.
func TestUseIsOfTheScope(t *testing.T) {
	m := small(NewValue("c", tensor.Int64, []Dim{{Size: 2}}), node("Identity", "three", "d"),
		once(branch("b", node("Identity", "zero", "d"), node("Identity", "d", "b")), "e"), node("Div", "c d", "y")).with(int64s("zero", 0), int64s("three", 3))
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	m.Graph.Nodes[0].Inputs[0] = "zero"
	wantError(t, m.Check(), `by the constant "d"`)
}

// Faults of structure and of use come together.
func TestUseBesideStructure(t *testing.T) {
	m := small(value("x", 1, 4, 8, 8), node("Conv", "x nowhere", "y", intAttr("group", 0)), node("LRN", "x", "z", intAttr("size", 0)))
	wantError(t, m.Check(), `reads "nowhere"`, "group is 0; want 1 or more", "size is 0")
	m = small(value("x", 1), node("Gather", "x zero", "y", intAttr("axis", 1)), node("Div", "zero zero", "z")).with(int64s("zero", 0))
	m.IR = 0
	wantError(t, m.Check(), "IR version 0", "axis is 1", `the constant "zero"`)
}

// Nothing of what exporters and ONNX itself made is refused: all models that are at
// hand load as far as their use goes.
func TestNothingValidIsRefused(t *testing.T) {
	roots := []string{"../testdata"}
	if dir := os.Getenv("ONNXPROBE_SHARED_DATA"); dir != "" {
		roots = append(roots, dir)
	} else if _, err := os.Stat("../../shared/data"); err == nil {
		roots = append(roots, "../../shared/data")
	}
	checked := 0
	for _, root := range roots {
		for _, path := range onnxFiles(t, root) {
			_, err := LoadWith(path, LoadOptions{NoData: true})
			if err == nil {
				checked++
			} else if s := err.Error(); strings.Contains(s, "; want ") || strings.Contains(s, "divides") {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d models were checked", checked)
	}
}
