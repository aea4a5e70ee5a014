package onnx

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// bind gives every symbol of the model's inputs the size n, and reports whether
// there is one.
func bind(m *Model, n int64) (inputs map[string][]int64, symbols map[string]int64) {
	inputs, symbols = map[string][]int64{}, map[string]int64{}
	for _, v := range m.Graph.Inputs {
		if !v.HasShape() {
			continue
		}
		shape := []int64{}
		for _, d := range v.Shape {
			switch {
			case d.Param != "":
				symbols[d.Param], d.Size = n, n
			case d.Size <= 0:
				d.Size = -1
			}
			shape = append(shape, d.Size)
		}
		inputs[v.Name] = shape
	}
	return inputs, symbols
}

// contradiction compares an inferred fact with a declaration.
func contradiction(f Fact, v *Value, symbols map[string]int64) error {
	if f.DType != 0 && v.DType != 0 && f.DType != v.DType {
		return fmt.Errorf("%q: inferred %s, declared %s", v.Name, f.DType, v.DType)
	}
	if f.Shape == nil || !v.HasShape() {
		return nil
	}
	ok := len(f.Shape) == len(v.Shape)
	for i := 0; ok && i < len(f.Shape); i++ {
		want := v.Shape[i].Size
		if p := v.Shape[i].Param; p != "" {
			want = -1
			if n, bound := symbols[p]; bound {
				want = n
			}
		}
		ok = want < 0 || f.Shape[i] < 0 || f.Shape[i] == want
	}
	if !ok {
		return fmt.Errorf("%q: inferred %v, declared %v", v.Name, f.Shape, v.Shape)
	}
	return nil
}

// Following operators alone gives what the exporters declared, and at another
// batch size the same but for the batch.
func TestInferOwnModels(t *testing.T) {
	for _, path := range ownModels(t) {
		m, err := LoadWith(path, LoadOptions{NoData: true}) // structure/ comes without weights
		if err != nil {
			t.Fatal(err)
		}
		declared := slices.Concat(m.Graph.Values, m.Graph.Outputs)
		m.Graph.Values = nil // so that they cannot help
		inputs, symbols := bind(m, 2)
		two, err := m.Infer(inputs)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		open := 0
		for _, v := range declared {
			if err := contradiction(two[v.Name], v, symbols); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if f := two[v.Name]; !f.Known() {
				open++
			}
		}
		if open > 0 && !slices.ContainsFunc(m.Graph.Nodes, func(n *Node) bool { return len(n.Subgraphs()) > 0 }) {
			t.Errorf("%s: %d of %d declared values are not known at batch 2", path, open, len(declared))
		}
		if len(symbols) == 0 {
			continue
		}
		inputs, _ = bind(m, 3)
		three, err := m.Infer(inputs)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		varying := 0
		for name, a := range two {
			b := three[name]
			if len(a.Shape) != len(b.Shape) {
				t.Errorf("%s: %q is %v at batch 2 and %v at batch 3", path, name, a.Shape, b.Shape)
				continue
			}
			for i := range a.Shape {
				if a.Shape[i] != b.Shape[i] {
					varying++
					if a.Shape[i]*3 != b.Shape[i]*2 {
						t.Errorf("%s: %q is %v at batch 2 and %v at batch 3", path, name, a.Shape, b.Shape)
					}
				}
			}
		}
		nodes := 0
		for _, n := range m.Graph.Nodes {
			if !n.IsOp("Constant") { // which cannot vary
				nodes++
			}
		}
		if varying < nodes/8 {
			t.Errorf("%s: only %d values of %d nodes vary with the batch", path, varying, nodes)
		}
	}
}

// Nothing inferred contradicts what collected models declare.
func TestInferSharedModels(t *testing.T) {
	root := shared(t)
	known := map[string]string{
		"models/robustness/residual_block_original.onnx": "declares the outputs of batch normalization as scalars",
	}
	checked := 0
	for _, path := range onnxFiles(t, root) {
		m, err := Load(path)
		if err != nil {
			continue // TestSharedModels
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		declared := slices.Concat(m.Graph.Values, m.Graph.Outputs)
		m.Graph.Values = nil
		facts, err := m.Infer(nil)
		errs := []error{err}
		for _, v := range declared {
			if f, ok := facts[v.Name]; ok {
				checked++
				errs = append(errs, contradiction(f, v, nil))
			}
		}
		for _, err := range errs {
			if err != nil && known[rel] == "" {
				t.Errorf("%s: %v", rel, err)
				break
			}
		}
	}
	if checked < 2000 {
		t.Errorf("only %d values were compared", checked)
	}
}

// Contradictions name the node and the sizes.
func TestInferFaults(t *testing.T) {
	x := value("x", 2, 4, 8, 8)
	conv := func(attrs ...*Attr) *Node { return node("Conv", "x w", "y", attrs...) }
	w := func(dims ...int) *Tensor { return zeros(t, "w", dims...) }
	pool := func(attrs ...*Attr) *Model { return small(x, node("MaxPool", "x", "y", attrs...)) }
	for _, c := range []struct {
		name string
		m    *Model
		want string
	}{
		{"bias of the wrong length", small(x, node("Conv", "x w b", "y")).with(w(6, 4, 3, 3), zeros(t, "b", 5)), "bias has the shape [5] for 6 output channels"},
		{"bias of the wrong rank", small(x, node("Conv", "x w b", "y")).with(w(6, 4, 3, 3), zeros(t, "b", 1, 6)), "bias has the shape [1 6]"},
		{"zero kernel", small(x, conv()).with(w(6, 4, 0, 3)), "kernel [0 3]: 0 is out of range"},
		{"zero stride", small(x, conv(ints("strides", 1, 0))).with(w(6, 4, 3, 3)), "strides [1 0]: 0 is out of range"},
		{"negative dilation", small(x, conv(ints("dilations", -1, 1))).with(w(6, 4, 3, 3)), "dilations [-1 1]: -1"},
		{"huge pads", small(x, conv(ints("pads", 0, 0, math.MaxInt64, 0))).with(w(6, 4, 3, 3)), "pads"},
		{"two strides too many", small(x, conv(ints("strides", 1, 1, 1, 1))).with(w(6, 4, 3, 3)), "strides has 4 entries, the input has 2 spatial axes"},
		{"group does not divide", small(x, conv(intAttr("group", 3))).with(w(6, 4, 3, 3)), "do not fit 3 groups"},
		{"group does not divide the outputs", small(x, conv(intAttr("group", 2))).with(w(5, 2, 3, 3)), "do not fit 2 groups"},
		{"group 0", small(x, conv(intAttr("group", 0))).with(w(6, 4, 3, 3)), "do not fit 0 groups"},
		{"group overflows", small(x, conv(intAttr("group", 1<<62))).with(w(6, 4, 3, 3)), "groups"},
		{"channels do not fit", small(x, conv()).with(w(6, 3, 3, 3)), "do not fit 1 groups"},
		{"kernel larger than the input", small(x, conv()).with(w(6, 4, 9, 9)), "not possible"},
		{"kernel_shape of another kernel", small(x, conv(ints("kernel_shape", 5, 5))).with(w(6, 4, 3, 3)), "kernel_shape [5 5]"},
		{"transposed, zero stride", small(x, node("ConvTranspose", "x w", "y", ints("strides", 0, 1))).with(w(4, 6, 3, 3)), "strides [0 1]"},
		{"transposed, pads eat all", small(x, node("ConvTranspose", "x w", "y", ints("pads", 9, 9, 9, 9))).with(w(4, 6, 3, 3)), "leave nothing"},
		{"transposed, group 0", small(x, node("ConvTranspose", "x w", "y", intAttr("group", 0))).with(w(4, 6, 3, 3)), "do not fit 0 groups"},
		{"transposed, other channels", small(x, node("ConvTranspose", "x w", "y")).with(w(3, 6, 3, 3)), "do not fit 1 groups"},
		{"a constant of two values", small(x, node("Constant", "", "y", ints("value_ints", 1), intAttr("value_int", 2))), "it has 2 values"},
		{"pool without a kernel", pool(), "a kernel with 0 axes"},
		{"pool of zero size", pool(ints("kernel_shape", 0, 0)), "kernel [0 0]"},
		{"pool with stride 0", pool(ints("kernel_shape", 2, 2), ints("strides", 0, 0)), "strides [0 0]"},
		{"pool of a matrix", small(value("x", 2, 3), node("MaxPool", "x", "y", ints("kernel_shape", 2))), "no spatial axes"},
		{"Gemm", small(value("x", 2, 3), node("Gemm", "x w", "y")).with(w(4, 5)), "[2 3] and [4 5] do not fit"},
		{"Gemm bias", small(value("x", 2, 3), node("Gemm", "x w c", "y")).with(w(3, 5), zeros(t, "c", 4)), "bias [4]"},
		{"MatMul", small(value("x", 2, 3), node("MatMul", "x w", "y")).with(w(4, 5)), "do not fit"},
		{"Add", small(value("x", 2, 3), node("Add", "x w", "y")).with(w(4)), "do not broadcast"},
		{"Reshape", small(value("x", 2, 3), node("Reshape", "x s", "y")).with(int64s("s", 4, -1)), "does not fit shape [4 -1]"},
		{"Reshape to an overflow", small(value("x", 2, 3), node("Reshape", "x s", "y")).with(int64s("s", 1<<62, 1<<62)), "not possible"},
		{"Transpose", small(value("x", 2, 3), node("Transpose", "x", "y", ints("perm", 0, 0))), "perm [0 0]"},
		{"Concat", small(value("x", 2, 3), node("Concat", "x w", "y", intAttr("axis", 0))).with(w(2, 4)), "concatenate along axis 0"},
		{"Split", small(value("x", 2, 6), node("Split", "x s", "y z", intAttr("axis", 1))).with(int64s("s", 2, 2)), "the split [2 2] for an axis of 6"},
		{"axis", small(value("x", 2, 3), node("ReduceSum", "x s", "y")).with(int64s("s", 5)), "axis 5 is outside"},
		{"axis twice", small(value("x", 2, 3), node("Unsqueeze", "x s", "y")).with(int64s("s", 1, 1)), "one axis twice"},
		{"Squeeze", small(value("x", 2, 3), node("Squeeze", "x s", "y")).with(int64s("s", 0)), "cannot be squeezed"},
		{"step 0", small(value("x", 2, 3), node("Slice", "x a b c d", "y")).with(int64s("a", 0), int64s("b", 1), int64s("c", 0), int64s("d", 0)), "step 0"},
		{"negative size", small(value("x", 1), node("ConstantOfShape", "s", "y")).with(int64s("s", -1)), "[-1]"},
		{"negative repeats", small(value("x", 1), node("Tile", "x s", "y")).with(int64s("s", -1)), "repeats [-1]"},
		{"pads eat all", small(value("x", 3), node("Pad", "x s", "y")).with(int64s("s", -2, -2)), "leave nothing"},
		{"blocks", small(x, node("DepthToSpace", "x", "y", intAttr("blocksize", 3))), "blocks of 3"},
		{"rank without end", small(value("x", 1), node("Unsqueeze", "x s", "y")).with(NewTensor("s", tensor.Of(upTo(100), 100))), "rank 101"},
		{"input that is not there", small(value("x", 1), node("Relu", "x", "y")), `"other", which is not an input`},
	} {
		var in map[string][]int64
		want := []string{c.want, "inferring shapes: node " + c.m.Graph.Nodes[0].String()}
		if strings.Contains(c.name, "not there") {
			in, want = map[string][]int64{"other": {1}}, want[:1]
		}
		_, err := c.m.Infer(in)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if len(want) > 1 && !strings.HasPrefix(err.Error(), want[1]) {
			t.Errorf("%s: %v does not name the node", c.name, err)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func upTo(n int64) []int64 {
	var v []int64
	for i := range n {
		v = append(v, i)
	}
	return v
}

// A model that asks for 10^12 elements, however it does, gets a shape or an error
// but no memory.
func TestInferIsBounded(t *testing.T) {
	chain := func(n int, op string, attrs ...*Attr) []*Node {
		nodes := []*Node{node("Relu", "x", "v0")}
		for i := range n {
			nodes = append(nodes, node(op, fmt.Sprintf("v%d v%d", i, i), fmt.Sprint("v", i+1), attrs...))
		}
		return nodes
	}
	var wide []*Node
	for i := range 20_000 {
		wide = append(wide, node("ConstantOfShape", "s", fmt.Sprint("v", i)))
	}
	concat := node("Concat", strings.Repeat("k ", 100_000), "y", intAttr("axis", 0))
	for name, m := range map[string]*Model{
		"ConstantOfShape": small(value("x", 1), node("ConstantOfShape", "s", "y")).with(int64s("s", 1e6, 1e6)),
		"Expand":          small(value("x", 1), node("Expand", "k s", "y")).with(int64s("k", 7), int64s("s", 1e12)),
		"Tile":            small(value("x", 1), node("Tile", "k s", "y")).with(int64s("k", 7), int64s("s", 1e12)),
		"Range": small(value("x", 1), node("Range", "a b c", "y")).with(NewTensor("a", tensor.Scalar(int64(0))),
			NewTensor("b", tensor.Scalar(int64(1e12))), NewTensor("c", tensor.Scalar(int64(1)))),
		"Range of nothing": small(value("x", 1), node("Range", "a b c", "y")).with(NewTensor("a", tensor.Scalar(math.NaN())),
			NewTensor("b", tensor.Scalar(math.Inf(1))), NewTensor("c", tensor.Scalar(0.0))),
		"Pad":                small(value("x", 1), node("Pad", "k s", "y")).with(int64s("k", 7), int64s("s", 1e12, 1e12)),
		"Resize":             small(value("x", 1, 1), node("Resize", "x  s", "y")).with(NewTensor("s", tensor.Of([]float32{1, 3e38}, 2))),
		"doubling an axis":   small(value("x", 2), chain(100, "Concat", intAttr("axis", 0))...),
		"doubling the rank":  small(value("x", 2, 2), chain(100, "Gather")...),
		"many constants":     small(value("x", 1), wide...).with(int64s("s", 4096)),
		"one long constant":  small(value("x", 1), concat).with(NewTensor("k", tensor.Of(upTo(4096), 4096))),
		"a Split in 10^6":    small(value("x", 1e6, 1), node("Split", "x", strings.Repeat("o ", 1e6))),
		"10^6 parts claimed": small(value("x", 1e6), node("Split", "x", "y", intAttr("num_outputs", math.MaxInt64))),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		facts, err := m.Infer(nil)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<30 {
			t.Errorf("%s: %d MB were allocated", name, got>>20)
		}
		kept := 0
		for name, f := range facts {
			kept += len(f.Const)
			if err := f.plausible(); err != nil {
				t.Errorf("%s: %q: %v", name, name, err)
			}
		}
		if kept > maxConsts+1<<20 {
			t.Errorf("%s: %d elements are kept", name, kept)
		}
		_ = err // a shape or an error, as the operator has it
	}
	m := small(value("x", 1), node("ConstantOfShape", "s", "y")).with(int64s("s", 1e6, 1e6))
	if facts, err := m.Infer(nil); err != nil || !slices.Equal(facts["y"].Shape, []int64{1e6, 1e6}) || facts["y"].Const != nil {
		t.Errorf("ConstantOfShape: %v, %v", facts["y"], err)
	}
}
