package gorgonia

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// mutator changes a model as bytes tell it.
type mutator struct {
	bytes []byte
	graph *onnx.Graph
	names []string // of values, and some that are none
}

// next is a number below n, from the next byte.
func (m *mutator) next(n int) int {
	if len(m.bytes) == 0 || n == 0 {
		return 0
	}
	b := m.bytes[0]
	m.bytes = m.bytes[1:]
	return int(b) % n
}

// number is small, or one that programs stumble over.
func (m *mutator) number() int64 {
	far := []int64{math.MinInt64, math.MaxInt64, -1 << 31, 1 << 31, 1<<31 - 1, 1 << 16, 1 << 20, 1 << 24, 1 << 32, 1 << 40, 1 << 47, 1 << 62, -1 << 62, 100, 255, 1000}
	if i := m.next(48); i < len(far) {
		return far[i]
	} else {
		return int64(i - 24)
	}
}

var (
	mutableTypes = []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int64, tensor.Int32, tensor.Bool, tensor.Uint8, tensor.Int8, tensor.Float16, tensor.BFloat16, tensor.Uint64, tensor.String, tensor.Undefined, tensor.Complex64}
	mutableOps   = append(Operators(), "Squeeze", "Unsqueeze", "Flatten", "Split", "Tile", "Gemm", "BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "Resize",
		"Upsample", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "CumSum", "Trilu", "DepthToSpace", "SpaceToDepth", "Einsum", "ConstantOfShape", "Shape", "Size", "Range", "EyeLike", "Dropout", "Mean", "Sum",
		"GlobalAveragePool", "GlobalMaxPool", "Shrink", "LpNormalization", "TopK", "NonZero", "OneHot", "Hardmax", "Loop", "CastLike", "MeanVarianceNormalization")
	mutableAttrs = []string{"axis", "axes", "perm", "pads", "strides", "dilations", "kernel_shape", "group", "auto_pad", "output_padding", "output_shape", "keepdims", "noop_with_empty_axes", "to", "mode", "alpha", "beta",
		"epsilon", "ceil_mode", "count_include_pad", "storage_order", "transA", "transB", "blocksize", "size", "num_groups", "num_outputs", "equation", "starts", "ends", "scales", "fmod", "select_last_index",
		"coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside", "antialias", "exclusive", "reverse", "upper", "k", "p", "dtype", "broadcast", "value", "allowzero", "approximate"}
	mutableWords = []string{"", "SAME_UPPER", "SAME_LOWER", "VALID", "reflect", "edge", "wrap", "linear", "cubic", "nearest", "align_corners", "asymmetric", "floor", "CRD", "ab,bc->ac", "ij->ji", "...", "tanh", "ii->i", "a,a,a->"}
)

func (m *mutator) node() *onnx.Node { return m.graph.Nodes[m.next(len(m.graph.Nodes))] }

func (m *mutator) list() []int64 {
	v := make([]int64, m.next(6))
	for i := range v {
		v[i] = m.number()
	}
	return v
}

// set gives an attribute another value, of another kind even.
func (m *mutator) set(a *onnx.Attr) {
	switch m.next(8) {
	case 0, 1:
		a.Type, a.Int = onnx.AttrInt, m.number()
	case 2, 3:
		a.Type, a.Ints = onnx.AttrInts, m.list()
	case 4:
		if len(a.Ints) > 0 {
			a.Ints = slices.Clone(a.Ints)
			a.Ints[m.next(len(a.Ints))] = m.number()
		}
	case 5:
		a.Type, a.Float = onnx.AttrFloat, []float32{0, -1, 1e-30, 3e38, float32(math.Inf(1)), float32(math.NaN()), 2}[m.next(7)]
	case 6:
		a.Type, a.String = onnx.AttrString, []byte(mutableWords[m.next(len(mutableWords))])
	case 7:
		a.Type, a.Tensor = onnx.AttrTensor, onnx.NewTensor("", m.tensor())
	}
}

func (m *mutator) tensor() *tensor.Tensor {
	dims := make([]int, m.next(4))
	for i := range dims {
		dims[i] = m.next(5)
	}
	t, err := tensor.New(mutableTypes[m.next(10)], dims...)
	if err != nil {
		panic(err)
	}
	switch v := t.Data.(type) {
	case []int64:
		for i := range v {
			v[i] = m.number()
		}
	case []int32:
		for i := range v {
			v[i] = int32(m.number())
		}
	case []float32:
		for i := range v {
			v[i] = float32(m.number())
		}
	}
	return t
}

func (m *mutator) step() {
	switch n := m.node(); m.next(14) {
	case 0, 1, 2:
		if len(n.Attrs) > 0 {
			m.set(n.Attrs[m.next(len(n.Attrs))])
		}
	case 3:
		a := &onnx.Attr{Name: mutableAttrs[m.next(len(mutableAttrs))]}
		m.set(a)
		n.Attrs = append(n.Attrs, a)
	case 4:
		n.Attrs = n.Attrs[:m.next(len(n.Attrs)+1)]
	case 5:
		n.Op = mutableOps[m.next(len(mutableOps))]
	case 6, 7:
		if len(n.Inputs) > 0 {
			n.Inputs[m.next(len(n.Inputs))] = m.names[m.next(len(m.names))]
		}
	case 8:
		n.Inputs = append(n.Inputs[:m.next(len(n.Inputs)+1)], m.names[m.next(len(m.names))])
	case 9:
		v := m.graph.Inputs[m.next(len(m.graph.Inputs))]
		d := v.DType
		if m.next(4) == 0 {
			d = mutableTypes[m.next(len(mutableTypes))]
		}
		shape := slices.Clone(v.Shape)
		if len(shape) > 0 && m.next(4) > 0 {
			if i := m.next(len(shape)); m.next(4) == 0 {
				shape[i] = onnx.Dim{Size: -1, Param: "N"}
			} else {
				shape[i] = onnx.Dim{Size: m.number()}
			}
		} else {
			shape = append(shape[:m.next(len(shape)+1)], onnx.Dim{Size: 2})
		}
		*v = *onnx.NewValue(v.Name, d, shape)
	case 10, 11:
		if len(m.graph.Initializers) > 0 {
			i := m.next(len(m.graph.Initializers))
			m.graph.Initializers[i] = onnx.NewTensor(m.graph.Initializers[i].Name, m.tensor())
		}
	case 12:
		m.graph.Outputs = append(m.graph.Outputs, onnx.NewValue(m.names[m.next(len(m.names))], tensor.Undefined, nil))
	case 13:
		n.Outputs = append(n.Outputs[:m.next(len(n.Outputs)+1)], "more")
	}
}

// mutableModels are what the mutations begin with: every shape of attribute, list and
// constant occurs.
func mutableModels() []*onnx.Model {
	var all []*onnx.Model
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m := &graphMaker{Rand: rng, opset: []int64{11, 13, 17, 20}[rng.IntN(4)], float: tensor.Float32, batched: seed%3 == 0}
		all = append(all, randomModel(m, 3+rng.IntN(6)))
	}
	return all
}

// No model makes the engine panic, hang, or ask for much more memory than the limits
// allow.
func FuzzPrepare(f *testing.F) {
	was := limits
	limits.elements, limits.list, limits.bytes = 1<<16, 1<<12, 1<<24
	defer func() { limits = was }()
	models := mutableModels()
	for i := range models {
		f.Add([]byte{byte(i)})
		f.Add([]byte{byte(i), 17, 3, 40, 9, 200, 31, 5, 77, 120, 6, 250, 8})
	}
	f.Fuzz(func(t *testing.T, b []byte) { mutated(t, models, b) })
}

func mutated(t *testing.T, models []*onnx.Model, b []byte) {
	t.Helper()
	if len(b) == 0 || len(b) > 64 {
		return
	}
	model := models[int(b[0])%len(models)].Clone()
	m := &mutator{bytes: b[1:], graph: model.Graph, names: []string{"", "nowhere"}}
	for _, v := range model.Graph.Inputs {
		m.names = append(m.names, v.Name)
	}
	for _, k := range model.Graph.Initializers {
		m.names = append(m.names, k.Name)
	}
	for _, n := range model.Graph.Nodes {
		n.Inputs, n.Outputs, n.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Outputs), slices.Clone(n.Attrs)
		m.names = append(m.names, n.Outputs...)
	}
	for len(m.bytes) > 0 {
		m.step()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	try(t, model)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	runtime.ReadMemStats(&after)
	if asked := after.TotalAlloc - before.TotalAlloc; asked > 1<<28 {
		t.Errorf("it asked for %d bytes", asked)
	}
}

// try prepares a model, runs it and differentiates it.
func try(t *testing.T, m *onnx.Model) {
	t.Helper()
	sound := func(err error) bool {
		if f := new(fault); errors.As(err, &f) {
			t.Fatalf("%v\n%s", err, f.stack)
		}
		return err == nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s, err := Backend{}.Prepare(context.Background(), m, engine.Options{Threads: 1})
	prepared := sound(err)
	var in tensors
	wrt := ""
	for _, v := range m.Graph.Inputs {
		dims := []int{}
		for _, d := range v.Shape {
			if d.Size < 0 || d.Param != "" {
				d.Size = 2
			}
			if d.Size > 1<<12 {
				return
			}
			dims = append(dims, int(d.Size))
		}
		if large(1<<12, dims...) {
			return
		}
		x, err := tensor.New(v.DType, dims...)
		if err != nil {
			return
		}
		if v.DType == tensor.Float32 || v.DType == tensor.Float64 {
			wrt = v.Name
		}
		in = append(in, x)
	}
	if prepared {
		defer s.Close()
		out, err := s.Run(ctx, in)
		if sound(err) && len(out) != len(m.Graph.Outputs) {
			t.Errorf("%d outputs of %d", len(out), len(m.Graph.Outputs))
		}
	}
	names := map[string]bool{}
	for _, o := range m.Graph.Outputs {
		names[o.Name] = true
	}
	if wrt == "" {
		return
	}
	l, err := Backend{}.Linearize(context.Background(), m, wrt, slices.Sorted(maps.Keys(names)), engine.Options{Threads: 1})
	if !sound(err) {
		return
	}
	defer l.Close()
	var along *tensor.Tensor
	for i, v := range m.Graph.Inputs {
		if v.Name == wrt {
			along = in[i]
		}
	}
	if y, _, err := l.Push(ctx, in, along); sound(err) {
		_, _, err = l.Pull(ctx, in, y)
		sound(err)
	}
}
