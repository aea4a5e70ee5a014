package gorgonia

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// am are the attributes of a node, of the Go types that attribute reads.
type am = map[string]any

// made is a value of a random graph.
type made struct {
	onnx.Fact
	name string
	most float64 // no element is larger in magnitude
	// grid is set where all engines compute the value to the same bits: its
	// elements are multiples of 2^-grid, and few enough.
	grid int
	// below is set where elements are whole and lie in 0..below-1.
	below int64
}

// inexact is the grid of a value whose last bits an engine may choose.
const inexact = -1

// graphMaker makes random graphs node by node. Magnitudes are kept small, and
// operators that jump are given values that are computed exactly, so that two
// correct engines give nearly the same numbers.
type graphMaker struct {
	*rand.Rand
	opset int64
	float tensor.DType
	// batched graphs have the batch as axis 0 of every value, and nothing mixes
	// its items. What is made is for a batch of three.
	batched bool
	// smooth graphs are differentiated: of floats alone.
	smooth bool

	graph  *onnx.Graph
	values []*made
	// weights are the constants by what was asked of them.
	weights map[string]*made
	number  int
}

const itemsInBatch = 3

// randomModel makes a graph of about n nodes, and its model with every value that
// nothing reads, and some others, as outputs.
func randomModel(m *graphMaker, n int) *onnx.Model {
	m.graph = &onnx.Graph{Name: "random"}
	for range 1 + m.IntN(3) {
		m.input()
	}
	for tries := 0; len(m.graph.Nodes) < n && tries < 50*n; tries++ {
		m.grow()
	}
	read := map[string]bool{}
	for _, n := range m.graph.Nodes {
		for _, in := range n.Inputs {
			read[in] = true
		}
	}
	for _, v := range m.values {
		if !read[v.name] || m.IntN(6) == 0 {
			m.graph.Outputs = append(m.graph.Outputs, onnx.NewValue(v.name, v.DType, nil))
		}
	}
	return &onnx.Model{IR: 9, Opsets: []onnx.Opset{{Version: m.opset}}, Graph: m.graph}
}

func (m *graphMaker) name() string {
	m.number++
	return fmt.Sprintf("v%d", m.number)
}

// low is the first axis that an operator may mix.
func (m *graphMaker) low() int {
	if m.batched {
		return 1
	}
	return 0
}

func (m *graphMaker) input() {
	shape := []int64{}
	for range 1 + m.IntN(4) {
		shape = append(shape, 1+m.Int64N(5))
	}
	d := m.float
	if len(m.values) > 0 && !m.smooth && m.IntN(3) == 0 {
		d = []tensor.DType{tensor.Int64, tensor.Int32, tensor.Bool}[m.IntN(3)]
	}
	if m.batched {
		shape[0] = itemsInBatch
	}
	v := &made{Fact: onnx.Fact{DType: d, Shape: shape}, name: m.name(), most: 4, grid: 3}
	if m.smooth {
		v.grid = inexact
	}
	if d == tensor.Bool {
		v.most = 1
	}
	dims := make([]onnx.Dim, len(shape))
	for i, n := range shape {
		dims[i].Size = n
		if i == 0 && m.batched {
			dims[i] = onnx.Dim{Size: -1, Param: "N"}
		} else if m.IntN(8) == 0 && !m.batched {
			dims[i] = onnx.Dim{Size: -1, Param: fmt.Sprintf("%s_%d", v.name, i)}
		}
	}
	m.graph.Inputs = append(m.graph.Inputs, onnx.NewValue(v.name, d, dims))
	m.values = append(m.values, v)
}

// feed makes a tensor for an input, or a constant, of multiples of 1/8.
func (m *graphMaker) feed(d tensor.DType, shape []int64, low, high int) *tensor.Tensor {
	dims := make([]int, len(shape))
	for i, n := range shape {
		dims[i] = int(n)
	}
	t, err := tensor.New(d, dims...)
	if err != nil {
		panic(err)
	}
	for i := range t.Len() {
		whole := low + m.IntN(high-low+1)
		eighth := float64(8*low+m.IntN(8*(high-low)+1)) / 8
		switch v := t.Data.(type) {
		case []float32:
			v[i] = float32(eighth)
		case []float64:
			v[i] = eighth
		case []int64:
			v[i] = int64(whole)
		case []int32:
			v[i] = int32(whole)
		case []bool:
			v[i] = m.IntN(2) == 0
		}
	}
	return t
}

// constant adds an initializer, or a node that holds the constant.
func (m *graphMaker) constant(t *tensor.Tensor) string {
	name := m.name()
	if m.IntN(4) == 0 {
		m.graph.Nodes = append(m.graph.Nodes, &onnx.Node{Name: "n" + name, Op: "Constant", Outputs: []string{name}, Attrs: attributes(am{"value": t})})
	} else {
		m.graph.Initializers = append(m.graph.Initializers, onnx.NewTensor(name, t))
	}
	return name
}

// weight is a constant of the graph's floats, perhaps one that others read already.
func (m *graphMaker) weight(low, high int, shape ...int64) *made {
	key := fmt.Sprint(low, high, shape)
	if v := m.weights[key]; v != nil && m.IntN(2) == 0 {
		return v
	}
	v := m.known(m.feed(m.float, shape, low, high))
	if m.weights == nil {
		m.weights = map[string]*made{}
	}
	m.weights[key] = v
	return v
}

func (m *graphMaker) known(t *tensor.Tensor) *made {
	f := onnx.Fact{DType: t.DType, Shape: shape64(t.Shape), Const: t.Float64s()}
	most := 0.0
	for _, v := range f.Const {
		most = max(most, math.Abs(v))
	}
	return &made{Fact: f, name: m.constant(t), most: most, grid: 3}
}

func (m *graphMaker) ints(v ...int64) *made { return m.known(tensor.Of(v, len(v))) }

func attributes(a am) []*onnx.Attr {
	var out []*onnx.Attr
	for name, v := range a {
		k := &onnx.Attr{Name: name}
		switch v := v.(type) {
		case int:
			k.Type, k.Int = onnx.AttrInt, int64(v)
		case int64:
			k.Type, k.Int = onnx.AttrInt, v
		case float64:
			k.Type, k.Float = onnx.AttrFloat, float32(v)
		case string:
			k.Type, k.String = onnx.AttrString, []byte(v)
		case []int64:
			k.Type, k.Ints = onnx.AttrInts, v
		case *tensor.Tensor:
			k.Type, k.Tensor = onnx.AttrTensor, onnx.NewTensor("", v)
		default:
			panic(fmt.Sprintf("attribute %s is a %T", name, v))
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *onnx.Attr) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// nodes adds a node of several outputs, nil where its shapes do not fit or are too
// large. An input may be nil.
func (m *graphMaker) nodes(op string, a am, outs int, most float64, grid int, in ...*made) []*made {
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	n := &onnx.Node{Name: fmt.Sprintf("n%d", m.number), Op: op, Attrs: attributes(a)}
	facts := make([]onnx.Fact, len(in))
	for i, v := range in {
		if v == nil {
			n.Inputs = append(n.Inputs, "")
			continue
		}
		n.Inputs = append(n.Inputs, v.name)
		facts[i] = v.Fact
	}
	for range outs {
		n.Outputs = append(n.Outputs, m.name())
	}
	got, err := n.Infer(m.opset, facts)
	if err != nil || len(got) < outs {
		return nil
	}
	if grid >= 0 && most*math.Exp2(float64(grid)) > 1<<22 {
		grid = inexact
	}
	var vs []*made
	for i, f := range got[:outs] {
		if size := 1; !f.Known() || len(f.Shape) > 6 || slices.ContainsFunc(f.Shape, func(d int64) bool { size *= int(d); return d < 1 }) || size > 2000 {
			return nil
		}
		f.Const = nil
		vs = append(vs, &made{Fact: f, name: n.Outputs[i], most: most, grid: grid})
	}
	m.graph.Nodes = append(m.graph.Nodes, n)
	m.values = append(m.values, vs...)
	return vs
}

func (m *graphMaker) node(op string, a am, most float64, grid int, in ...*made) *made {
	vs := m.nodes(op, a, 1, most, grid, in...)
	if vs == nil {
		return nil
	}
	return vs[0]
}

// move adds a node that only moves its first input's elements.
func (m *graphMaker) move(op string, a am, x *made, in ...*made) *made {
	v := m.node(op, a, x.most, x.grid, append([]*made{x}, in...)...)
	if v != nil {
		v.below = x.below
	}
	return v
}

// pick finds a value, a late one rather than an early one.
func (m *graphMaker) pick(fits func(v *made) bool) *made {
	var found []*made
	for _, v := range m.values {
		if fits(v) {
			found = append(found, v)
		}
	}
	if found == nil {
		return nil
	}
	if m.IntN(2) == 0 {
		return found[len(found)-1-m.IntN(min(len(found), 4))]
	}
	return found[m.IntN(len(found))]
}

func (m *graphMaker) floats(rank int, most float64) *made {
	return m.pick(func(v *made) bool { return v.DType == m.float && len(v.Shape) >= rank && v.most <= most })
}

func (m *graphMaker) exact(most float64) *made {
	return m.pick(func(v *made) bool { return v.DType == m.float && v.grid >= 0 && v.most <= most })
}

func (m *graphMaker) whole(most float64) *made {
	return m.pick(func(v *made) bool { return (v.DType == tensor.Int64 || v.DType == tensor.Int32) && v.most <= most })
}

// axis is one that may be mixed, as an attribute may write it.
func (m *graphMaker) axis(v *made) int {
	if len(v.Shape) <= m.low() {
		return math.MinInt
	}
	return m.low() + m.IntN(len(v.Shape)-m.low())
}

// signed counts an axis from the end, half the time.
func (m *graphMaker) signed(axis int, v *made) int64 {
	if m.IntN(2) == 0 {
		axis -= len(v.Shape)
	}
	return int64(axis)
}

// beside is a shape that broadcasts to s without changing it.
func (m *graphMaker) beside(s []int64) []int64 {
	out := slices.Clone(s)
	for i := range out {
		if m.batched && i == 0 || m.IntN(3) == 0 {
			out[i] = 1
		}
	}
	if len(out) > 0 && m.IntN(2) == 0 {
		out = out[m.IntN(len(out)+1):]
	}
	return out
}

// second is another operand for x: a value, x itself, or a constant.
func (m *graphMaker) second(x *made, low, high int) *made {
	if m.IntN(3) > 0 {
		fits := m.pick(func(v *made) bool {
			if v.DType != x.DType || v.most > float64(high) || m.batched && len(v.Shape) != len(x.Shape) {
				return false
			}
			_, err := broadcastDims(sizesOf(v.Shape), sizesOf(x.Shape))
			return err == nil
		})
		if fits != nil && low < 0 {
			return fits
		}
	}
	return m.known(m.feed(x.DType, m.beside(x.Shape), low, high))
}

func sizesOf(shape []int64) []int {
	out := make([]int, len(shape))
	for i, d := range shape {
		out[i] = int(d)
	}
	return out
}

func joined(grids ...int) int {
	g := 0
	for _, k := range grids {
		if k < 0 {
			return inexact
		}
		g = max(g, k)
	}
	return g
}

// grow adds a node, or none when it finds nothing that fits.
func (m *graphMaker) grow() {
	if m.smooth || m.IntN(4) > 0 {
		kinds := []func(*graphMaker){growUnary, growUnary, growBinary, growBinary, growWindow, growProduct, growReduce, growSoftmax, growMove, growMove, growMove, growNorm, growView}
		kinds[m.IntN(len(kinds))](m)
		return
	}
	kinds := []func(*graphMaker){growJump, growWhole, growLogic, growCast, growShape, growIndex}
	kinds[m.IntN(len(kinds))](m)
}
