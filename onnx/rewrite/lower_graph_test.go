package rewrite_test

import (
	"bytes"
	"fmt"
	"math"
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

// graph is a model written a node a line: "y = Op x w [attr=value ...]", where a value
// is an integer, a list of them or a word; x of the given shape is its input, and outs
// are its outputs.
func graph(opset int64, shape []int64, consts map[string]*tensor.Tensor, outs, text string) *onnx.Model {
	dims := []onnx.Dim{}
	for _, s := range shape {
		dims = append(dims, onnx.Dim{Size: s})
	}
	g := &onnx.Graph{Name: "g", Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, dims)}}
	for _, name := range sortedNames(consts) {
		g.Initializers = append(g.Initializers, onnx.NewTensor(name, consts[name]))
	}
	for _, o := range strings.Fields(outs) {
		g.Outputs = append(g.Outputs, onnx.NewValue(o, tensor.Undefined, nil))
	}
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		words := strings.Fields(right)
		n := &onnx.Node{Name: "n_" + strings.Fields(left)[0], Op: words[0], Outputs: strings.Fields(left)}
		for _, w := range words[1:] {
			name, value, is := strings.Cut(w, "=")
			if !is {
				n.Inputs = append(n.Inputs, strings.Trim(w, "_"))
				continue
			}
			var i int
			if list := strings.Split(value, ","); len(list) > 1 {
				v := make([]int64, len(list))
				for k, s := range list {
					if _, err := fmt.Sscan(s, &v[k]); err != nil {
						panic(err)
					}
				}
				n.Attrs = append(n.Attrs, attr(name, v))
			} else if _, err := fmt.Sscan(value, &i); err != nil {
				n.Attrs = append(n.Attrs, attr(name, value))
			} else {
				n.Attrs = append(n.Attrs, attr(name, i))
			}
		}
		g.Nodes = append(g.Nodes, n)
	}
	return &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: opset}}, Graph: g}
}

func sortedNames[T any](m map[string]T) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ramp is 1/8, 2/8, ... with alternating signs.
func ramp(shape ...int) *tensor.Tensor {
	v := make([]float32, tensor.Count(shape))
	for i := range v {
		v[i] = float32(i%11+1) / 8 * float32(1-i%2*2)
	}
	return tensor.Of(v, shape...)
}

func ops(m *onnx.Model) string {
	var s []string
	for _, n := range m.Graph.Nodes {
		s = append(s, n.Op)
	}
	return strings.Join(s, " ")
}

func must(t *testing.T, m *onnx.Model) (*onnx.Model, map[string]onnx.Fact) {
	t.Helper()
	before, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	low, facts, err := rewrite.Lower(m, free(m, 2))
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := m.Marshal(); !bytes.Equal(before, after) {
		t.Error("lowering changed the model")
	}
	return low, facts
}

// alike runs a model as it was and as it is lowered.
func alike(t *testing.T, m, low *onnx.Model, within float64) {
	t.Helper()
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	in := feed(m, free(m, 2), nil)
	want, err := run(m, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run(low, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := near(got, want, within); err != nil {
		t.Error(err)
	}
}

// A batch normalization goes into the filter before it where nothing else needs
// what it reads.
func TestLowerFoldsBatchNormalization(t *testing.T) {
	stats := func(n int) map[string]*tensor.Tensor {
		c := map[string]*tensor.Tensor{"s": ramp(n), "b": ramp(n), "m": ramp(n), "v": ramp(n)}
		for i, x := range tensor.Data[float32](c["v"]) {
			tensor.Data[float32](c["v"])[i] = float32(math.Abs(float64(x)))
		}
		return c
	}
	with := func(c map[string]*tensor.Tensor, name string, t *tensor.Tensor) map[string]*tensor.Tensor {
		c[name] = t
		return c
	}
	conv := with(stats(4), "w", ramp(4, 1, 3, 3))
	for _, c := range []struct {
		name       string
		shape      []int64
		consts     map[string]*tensor.Tensor
		outs, text string
		want       string
	}{
		{"conv", sh{2, 2, 5, 5}, conv, "y", "c = Conv x w group=2\ny = BatchNormalization c s b m v", "Conv"},
		{"conv with a bias", sh{2, 2, 5, 5}, conv, "y", "c = Conv x w b group=2\ny = BatchNormalization c s b m v", "Conv"},
		{"through an identity", sh{2, 2, 5, 5}, conv, "y", "c = Conv x w group=2\ni = Identity c\ny = BatchNormalization i s b m v", "Conv"},
		{"a shared weight", sh{2, 2, 5, 5}, conv, "y z", "c = Conv x w group=2\ny = BatchNormalization c s b m v\nz = Conv x w group=2", "Conv Conv"},
		{"two readers", sh{2, 2, 5, 5}, conv, "y z", "c = Conv x w group=2\ny = BatchNormalization c s b m v\nz = Relu c", "Conv Mul Add Relu"},
		{"two readers behind an identity", sh{2, 2, 5, 5}, conv, "y z", "c = Conv x w group=2\ni = Identity c\ny = BatchNormalization i s b m v\nz = Relu i", "Conv Mul Add Relu"},
		{"an output", sh{2, 2, 5, 5}, conv, "y c", "c = Conv x w group=2\ny = BatchNormalization c s b m v", "Conv Mul Add"},
		{"one axis", sh{2, 2, 5}, with(stats(4), "w", ramp(4, 1, 3)), "y", "c = Conv x w group=2\ny = BatchNormalization c s b m v", "Reshape Conv Reshape"},
		{"transposed, in groups", sh{2, 6, 3, 3}, with(stats(4), "w", ramp(6, 2, 2, 3)), "y", "c = ConvTranspose x w b group=2\ny = BatchNormalization c s b m v", "ConvTranspose"},
		{"gemm", sh{2, 3}, with(stats(4), "w", ramp(4, 3)), "y", "c = Gemm x w b transB=1\ny = BatchNormalization c s b m v", "MatMul Add"},
		{"nothing before", sh{2, 4, 3}, stats(4), "y", "y = BatchNormalization x s b m v", "Mul Add"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := graph(15, c.shape, c.consts, c.outs, c.text)
			low, facts := must(t, m)
			if err := speaks(low, facts); err != nil {
				t.Error(err)
			}
			if got := ops(low); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			alike(t, m, low, 1e-5)
		})
	}
}

// Values keep their names, outputs even where nothing makes them any more.
func TestLowerNames(t *testing.T) {
	m := graph(17, sh{2, 6}, map[string]*tensor.Tensor{"k": ints(2), "w": ramp(6, 6)}, "i d r j s h x2 k2", `
		x2 = Identity x
		k2 = Identity w
		a = Gemm x w
		i = Identity a
		j = Identity i
		b = LogSoftmax i axis=0
		d = Dropout b
		p q = Split d axis=0
		r = Relu q
		unused = Exp r
		s = Shape r
		h = Softmax p axis=0`)
	low, facts := must(t, m)
	if err := speaks(low, facts); err != nil {
		t.Error(err)
	}
	alike(t, m, low, 1e-6)
	var names []string
	for _, v := range low.Graph.Outputs {
		names = append(names, v.Name)
	}
	if got := strings.Join(names, " "); got != "i d r j s h x2 k2" {
		t.Errorf("the outputs are %s", got)
	}
	ix := low.Graph.Index()
	for name, want := range map[string]string{"a": "MatMul", "b": "Transpose", "p": "Slice", "q": "Slice", "r": "Relu", "h": "Transpose"} {
		if ix.Maker[name] == nil || ix.Maker[name].Op != want {
			t.Errorf("%q is made by %v, want %s", name, ix.Maker[name], want)
		}
	}
	for _, name := range []string{"unused", "k"} {
		if _, ok := facts[name]; ok || ix.Maker[name] != nil || ix.Const[name] != nil {
			t.Errorf("%q is still there", name)
		}
	}
	for _, v := range m.Graph.Nodes {
		for _, n := range low.Graph.Nodes {
			if slices.Equal(n.Outputs, v.Outputs) && n.Name != v.Name && n.Op != "Reshape" {
				t.Errorf("the node that makes %q is %q, want %q", n.Outputs, n.Name, v.Name)
			}
		}
	}
}

// Before version 7, which ONNX Runtime no longer runs, operators meant other things;
// the same is said in a newer version.
func TestLowerOldVersions(t *testing.T) {
	for _, c := range []struct {
		name     string
		opset    int64
		shape    []int64
		consts   map[string]*tensor.Tensor
		old, now string
	}{
		{"along an axis", 6, sh{2, 3, 4}, map[string]*tensor.Tensor{"a": ramp(3), "a1": ramp(3, 1)}, "y = Add x a broadcast=1 axis=1", "y = Add x a1"},
		{"along the last axes", 6, sh{2, 3, 4}, map[string]*tensor.Tensor{"a": ramp(3, 4)}, "y = Mul x a broadcast=1", "y = Mul x a"},
		{"along two axes", 5, sh{2, 3, 4}, map[string]*tensor.Tensor{"a": ramp(2, 3), "a1": ramp(2, 3, 1)}, "y = Sub x a broadcast=1 axis=0", "y = Sub x a1"},
		{"a slope for each channel", 6, sh{2, 3, 4}, map[string]*tensor.Tensor{"a": ramp(3), "a1": ramp(3, 1)}, "y = PRelu x a", "y = PRelu x a1"},
		{"a type by word", 5, sh{2, 3}, nil, "c = Cast x to=INT32\ny = Cast c to=FLOAT", "c = Cast x to=6\ny = Cast c to=1"},
		{"a default axis", 3, sh{2, 3}, nil, "y = Concat x x", "y = Concat x x axis=1"},
		{"tile along an axis", 5, sh{2, 3}, map[string]*tensor.Tensor{"n": ints(2), "k": ints(1), "r": ints(1, 2)}, "y = Tile x n k", "y = Tile x r"},
		{"a bias that broadcasts", 6, sh{2, 3}, map[string]*tensor.Tensor{"w": ramp(3, 4), "b": ramp(4)}, "y = Gemm x w b broadcast=1", "y = Gemm x w b"},
		{"batch normalization", 6, sh{2, 3}, map[string]*tensor.Tensor{"s": ramp(3), "v": tensor.Of([]float32{1, 2, 3}, 3)}, "y = BatchNormalization x s s s v is_test=1", "y = BatchNormalization x s s s v"},
		{"dropout", 6, sh{2, 3}, nil, "y = Dropout x is_test=1", "y = Dropout x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			low, facts := must(t, graph(c.opset, c.shape, c.consts, "y", c.old))
			if err := speaks(low, facts); err != nil {
				t.Error(err)
			}
			alike(t, graph(11, c.shape, c.consts, "y", c.now), low, 1e-6)
		})
	}
}

// What the dialect cannot say is left, with the reason, and the rest is lowered.
func TestLowerLeaves(t *testing.T) {
	c := map[string]*tensor.Tensor{"w3": ramp(3, 2, 1, 1, 1), "s": ramp(2), "t": tensor.Scalar(true), "w": ramp(2, 1, 2, 2)}
	for _, l := range []struct {
		text, why string
		shape     []int64
	}{
		{"y = Hardmax x", "not supported", sh{2, 3}},
		{"y = Conv x w3", "3 spatial axes", sh{1, 2, 3, 3, 3}},
		{"y = Dropout x _ t", "training_mode", sh{2, 3}},
		{"y = BatchNormalization x s s s s training_mode=1", "training mode", sh{2, 2}},
		{"y = NonZero x", "not supported", sh{2, 3}},
		{"y = LpNormalization x p=3", "p is 3", sh{2, 3}},
		{"y = ConvTranspose x w auto_pad=SAME_UPPER strides=2,3", "smaller than its stride", sh{1, 2, 3, 3}},
		{"y = DepthToSpace x blocksize=4294967296", "blocks of", sh{1, 4, 2, 2}}, // squared it is 0
		{"y = MaxPool x auto_pad=SAME_UPPER kernel_shape=1,1 strides=3,1", "smaller than its stride", sh{1, 2, 3, 3}},
	} {
		m := graph(15, l.shape, c, "z", "a = Identity x\nb = Relu a\n"+strings.Replace(l.text, " x", " b", 1)+"\nz = Identity y")
		low, _ := must(t, m)
		var why string
		for _, n := range low.Graph.Nodes {
			for _, p := range n.Meta {
				if p.Key == rewrite.LeftKey {
					why += p.Value
				}
			}
		}
		if !strings.Contains(why, l.why) || low.Graph.Nodes[0].Op != "Relu" || low.Graph.Nodes[0].Inputs[0] != "x" {
			t.Errorf("%s: left because of %q, want %q\n%s", l.text, why, l.why, brief(low))
		}
	}
}

func TestLowerRefuses(t *testing.T) {
	m := graph(15, sh{2, 3}, map[string]*tensor.Tensor{"w": ramp(4, 3)}, "y", "y = MatMul x w")
	for _, c := range []struct {
		shapes map[string][]int64
		want   string
	}{
		{nil, `input "x"`}, {map[string][]int64{"x": {-1, 4}}, `input "x": got the shape [-1 4]`},
		{map[string][]int64{"x": {2, 3}}, "do not fit"},
	} {
		if _, _, err := rewrite.Lower(m, c.shapes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.shapes, err, c.want)
		}
	}
}

// Constants that only the lowering computes can show that a model is at fault.
func TestLowerBlamesTheModel(t *testing.T) {
	m := graph(17, sh{2}, map[string]*tensor.Tensor{"least": tensor.Of([]int64{math.MinInt64}, 1), "factors": tensor.Of([]int64{-1, 1}, 2)},
		"y", "minus = ReduceProd factors keepdims=0\nd = Div least minus\nf = Cast d to=1\ny = Add x f")
	_, _, err := rewrite.Lower(m, map[string][]int64{"x": {2}})
	const want = "lowering the model: the model is broken, which shows once what follows from its constants is computed: node Div "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Large numbers do not go through facts, which hold float64.
func TestLowerKeepsLargeIntegers(t *testing.T) {
	m := graph(15, sh{2}, map[string]*tensor.Tensor{"a": ints(1<<53+1, 2), "b": ints(1<<53, 1)}, "y", "y = Sub a b")
	low, _ := must(t, m)
	alike(t, m, low, 0)
}

// A value that a subgraph reads keeps its name.
func TestLowerSubgraph(t *testing.T) {
	m := graph(17, sh{2, 3}, map[string]*tensor.Tensor{"c": tensor.Scalar(true)}, "y", "a = Identity x\ny = If c")
	branch := func(op string) *onnx.Graph {
		return &onnx.Graph{Name: op, Outputs: []*onnx.Value{onnx.NewValue(op+"o", tensor.Float32, nil)},
			Nodes: []*onnx.Node{{Op: op, Name: op, Inputs: []string{"a"}, Outputs: []string{op + "o"}}}}
	}
	m.Graph.Nodes[1].Attrs = []*onnx.Attr{{Name: "then_branch", Type: 5, Graph: branch("Exp")}, {Name: "else_branch", Type: 5, Graph: branch("Neg")}}
	low, _ := must(t, m)
	alike(t, m, low, 1e-6)
}
