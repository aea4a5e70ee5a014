package gorgonia

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// singleOnly are operators that ONNX Runtime has in float32 alone, or computes in it.
var singleOnly = []string{"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Celu", "Conv", "ConvTranspose", "Cosh", "Elu", "Erf", "Gelu", "GlobalAveragePool",
	"GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish", "InstanceNormalization", "LeakyRelu", "LRN", "Mean", "Mish", "PRelu", "Resize", "Selu", "Sinh", "Softplus", "Softsign", "Tan", "ThresholdedRelu", "Upsample"}

// has says whether the operator is there to compare with.
func (m *graphMaker) has(op string) bool {
	since := map[string]int64{"Gelu": 20, "Mish": 18, "LayerNormalization": 17, "GroupNormalization": 21, "Trilu": 14, "HardSwish": 14, "Celu": 12, "Einsum": 12,
		"GreaterOrEqual": 12, "LessOrEqual": 12, "DepthToSpace": 13, "Resize": 13}[op]
	return m.opset >= since && (m.float == tensor.Float32 || m.smooth || !slices.Contains(singleOnly, op))
}

func (m *graphMaker) choose(ops ...string) string { return ops[m.IntN(len(ops))] }

// growUnary adds a continuous function of one element.
func growUnary(m *graphMaker) {
	type function struct {
		op   string
		a    am
		most float64 // of the input
		out  func(most float64) float64
		kept bool // exact values stay exact
	}
	one := func(float64) float64 { return 1 }
	same := func(x float64) float64 { return x }
	alpha := []float64{0.125, 0.25, 1.5}[m.IntN(3)]
	all := []function{
		{"Relu", nil, 1e3, same, true}, {"Abs", nil, 1e3, same, true}, {"Neg", nil, 1e3, same, true}, {"Identity", nil, 1e3, same, true}, {"Dropout", nil, 1e3, same, true},
		{"LeakyRelu", am{"alpha": alpha}, 1e3, func(x float64) float64 { return 2 * x }, false}, {"LeakyRelu", nil, 1e3, same, false},
		{"Elu", am{"alpha": alpha}, 1e3, func(x float64) float64 { return x + 2 }, false}, {"Selu", nil, 1e3, func(x float64) float64 { return 2 * x }, false},
		{"Selu", am{"alpha": alpha, "gamma": 0.5}, 1e3, same, false},
		{"Celu", am{"alpha": alpha}, 1e3, func(x float64) float64 { return x + 2 }, false},
		{"Sigmoid", nil, 1e3, one, false}, {"Tanh", nil, 1e3, one, false}, {"Erf", nil, 1e3, one, false}, {"HardSigmoid", am{"alpha": alpha}, 1e3, one, false}, {"HardSigmoid", nil, 1e3, one, false},
		{"HardSwish", nil, 1e3, same, false}, {"Softplus", nil, 1e3, func(x float64) float64 { return x + 1 }, false}, {"Softsign", nil, 1e3, one, false},
		{"Sin", nil, 30, one, false}, {"Cos", nil, 30, one, false}, {"Atan", nil, 1e3, func(float64) float64 { return 1.6 }, false},
		{"Exp", nil, 4, math.Exp, false}, {"Sinh", nil, 4, math.Exp, false}, {"Cosh", nil, 4, math.Exp, false}, {"Asinh", nil, 1e3, same, false},
		{"Gelu", nil, 100, same, false}, {"Gelu", am{"approximate": "tanh"}, 100, same, false}, {"Mish", nil, 100, same, false},
	}
	f := all[m.IntN(len(all))]
	x := m.floats(0, f.most)
	if x == nil || !m.has(f.op) {
		return
	}
	grid := inexact
	if f.kept {
		grid = x.grid
	}
	v := m.node(f.op, f.a, f.out(x.most), grid, x)
	if v == nil || v.most > 1e3 || m.IntN(6) > 0 {
		return
	}
	switch m.IntN(3) { // functions that need their input to be large, or small, enough
	case 0:
		if v = m.node("Abs", nil, v.most, v.grid, v); v != nil {
			v = m.node("Add", nil, v.most+3, inexact, v, m.weight(2, 3))
		}
		if op := m.choose("Log", "Sqrt", "Reciprocal", "Acosh"); v != nil && m.has(op) {
			m.node(op, nil, v.most, inexact, v)
		}
	case 1:
		if v = m.node("Sin", nil, 1, inexact, v); v != nil && v.most <= 30 {
			v = m.node("Mul", nil, 0.75, inexact, v, m.known(m.half(0.75)))
		}
		if op := m.choose("Asin", "Acos", "Atanh", "Tan"); v != nil && m.has(op) {
			m.node(op, nil, 3, inexact, v)
		}
	case 2:
		low, high := m.weight(-2, 0), m.weight(1, 3)
		if m.IntN(4) == 0 {
			low = nil
		}
		m.node("Clip", nil, v.most+3, v.grid, v, low, high)
	}
}

// half is a constant of one number in the graph's type.
func (m *graphMaker) half(v float64) *tensor.Tensor {
	if m.float == tensor.Float64 {
		return tensor.Scalar(v)
	}
	return tensor.Scalar(float32(v))
}

func growBinary(m *graphMaker) {
	x := m.floats(0, 1e3)
	if x == nil {
		return
	}
	switch op := m.choose("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Pow", "Sum", "Mean", "Where", "Mul", "Add", "Max3"); op {
	case "Add", "Sub":
		y := m.second(x, -4, 100)
		if m.IntN(2) == 0 && op == "Sub" {
			x, y = y, x
		}
		m.node(op, nil, x.most+y.most, joined(x.grid, y.grid), x, y)
	case "Mul":
		y := m.second(x, -2, 30)
		grid := inexact
		if x.grid >= 0 && y.grid >= 0 {
			grid = x.grid + y.grid
		}
		if x.most*y.most < 3e3 {
			m.node(op, nil, x.most*y.most, grid, x, y)
		}
	case "Div":
		m.node(op, nil, x.most, inexact, x, m.second(x, 1, 4))
	case "Max", "Min":
		y := m.second(x, -4, 100)
		m.node(op, nil, max(x.most, y.most), joined(x.grid, y.grid), x, y)
	case "Max3":
		y, z := m.second(x, -4, 100), m.weight(-1, 1)
		m.node(m.choose("Max", "Min"), nil, max(x.most, y.most), joined(x.grid, y.grid), x, y, z)
	case "PRelu":
		if !m.has(op) {
			return
		}
		m.node(op, nil, 2*x.most, inexact, x, m.known(m.feed(m.float, m.beside(x.Shape), -1, 2)))
	case "Pow":
		if v := m.node("Abs", nil, x.most, x.grid, x); v != nil && v.most < 30 {
			if v = m.node("Add", nil, v.most+2, inexact, v, m.weight(1, 2)); v != nil {
				m.node("Pow", nil, v.most*v.most, inexact, v, m.known(m.feed(m.float, m.beside(v.Shape), -2, 2)))
			}
		}
	case "Sum", "Mean":
		if !m.has(op) {
			return
		}
		in, most := []*made{x}, x.most
		for range m.IntN(4) {
			in = append(in, m.second(x, -4, 100))
			most += in[len(in)-1].most
		}
		m.node(op, nil, most, inexact, in...)
	case "Where":
		y := m.second(x, -4, 100)
		dims, _ := broadcastDims(sizesOf(x.Shape), sizesOf(y.Shape))
		m.node(op, nil, max(x.most, y.most), joined(x.grid, y.grid), m.known(m.feed(tensor.Bool, m.beside(shape64(dims)), 0, 1)), x, y)
	}
}

func growProduct(m *graphMaker) {
	x := m.floats(1, 300)
	if x == nil {
		return
	}
	s := x.Shape
	last := s[len(s)-1]
	grid := func(w *made) int {
		if x.grid < 0 || w.grid < 0 {
			return inexact
		}
		return x.grid + w.grid
	}
	switch m.IntN(6) {
	case 0, 1: // by a constant
		if len(s) <= m.low() || m.batched && len(s) == 1 {
			return
		}
		shape := []int64{last, 1 + m.Int64N(6)}
		if len(s) >= 3 && m.IntN(3) == 0 {
			shape = append([]int64{s[len(s)-3]}, shape...)
			if m.batched && len(s) == 3 {
				shape[0] = 1
			}
		}
		if m.IntN(5) == 0 {
			shape = []int64{last}
		}
		w := m.weight(-1, 1, shape...)
		m.node("MatMul", nil, x.most*float64(last), grid(w), x, w)
	case 2: // by another value
		y := m.pick(func(v *made) bool {
			n := len(v.Shape)
			if v.DType != m.float || v.most > 30 || n == 0 || m.batched && (n != len(s) || n < 3) {
				return false
			}
			return v.Shape[max(0, n-2)] == last
		})
		if y != nil {
			m.node("MatMul", nil, x.most*y.most*float64(last), grid(y), x, y)
		}
	case 3: // by itself, transposed: values that are read twice
		if len(s) < 2 || len(s) <= m.low()+1 || x.most > 30 {
			return
		}
		perm := make([]int64, len(s))
		for i := range perm {
			perm[i] = int64(i)
		}
		n := len(perm)
		perm[n-1], perm[n-2] = perm[n-2], perm[n-1]
		if y := m.move("Transpose", am{"perm": perm}, x); y != nil {
			m.node("MatMul", nil, x.most*x.most*float64(max(last, s[n-2])), grid(y), x, y)
		}
	case 4:
		if len(s) != 2 {
			return
		}
		a := am{"alpha": 0.5, "beta": 2.0}
		if m.IntN(2) == 0 {
			a = am{}
		}
		k, n := last, 1+m.Int64N(5)
		if m.IntN(3) == 0 && !m.batched {
			a["transA"] = 1
			k = s[0]
		}
		shape := []int64{k, n}
		if m.IntN(2) == 0 {
			a["transB"] = 1
			shape = []int64{n, k}
		}
		var c *made
		if m.IntN(3) > 0 {
			c = m.weight(-2, 2, [][]int64{{n}, {1, n}, {}, {1}}[m.IntN(4)]...)
		}
		v := m.node("Gemm", a, x.most*float64(k)+4, inexact, x, m.weight(-1, 1, shape...), c)
		if v != nil && m.IntN(3) == 0 {
			m.batchNorm(v)
		}
	case 5:
		if len(s) != 3 || s[1] != s[2] || x.most > 30 || !m.has("Einsum") {
			return
		}
		m.node("Einsum", am{"equation": m.choose("abc,acd->abd", "abc,adc->abd", "abc,acd->adb")}, x.most*x.most*float64(last), inexact, x, x)
	}
}

func growReduce(m *graphMaker) {
	x := m.floats(1, 300)
	if x == nil || len(x.Shape) <= m.low() {
		return
	}
	var axes []int64
	for a := m.low(); a < len(x.Shape); a++ {
		if m.IntN(2) == 0 {
			axes = append(axes, m.signed(a, x))
		}
	}
	if axes == nil {
		if m.batched {
			axes = []int64{int64(len(x.Shape) - 1)}
		} else if m.IntN(2) == 0 {
			axes = []int64{-1}
		}
	}
	m.Shuffle(len(axes), func(i, j int) { axes[i], axes[j] = axes[j], axes[i] })
	n := float64(count(x.Shape))
	most, grid := x.most*n, inexact
	op := m.choose("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare", "ReduceL2", "ReduceLogSumExp", "CumSum", "LpNormalization")
	switch op {
	case "ReduceL2":
		if m.smooth { // it has no slope at zero
			return
		}
	case "ReduceSum", "ReduceL1":
		grid = x.grid
	case "ReduceMax", "ReduceMin":
		most, grid = x.most, x.grid
	case "ReduceMean":
		most = x.most
	case "ReduceProd":
		if x.most > 1.2 {
			return
		}
		most = math.Pow(max(x.most, 1), n)
	case "ReduceSumSquare":
		most *= x.most
	case "ReduceLogSumExp":
		most = x.most + math.Log(n)
	case "CumSum":
		a := m.axis(x)
		m.node(op, am{"exclusive": m.IntN(2), "reverse": m.IntN(2)}, most, x.grid, x, m.known(tensor.Scalar(m.signed(a, x))))
		return
	case "LpNormalization":
		if x.grid >= 0 { // else a norm may be nearly zero
			m.node(op, am{"axis": m.signed(m.axis(x), x), "p": 1 + m.IntN(2)}, 1, inexact, x)
		}
		return
	}
	if most > 3e3 {
		return
	}
	a := am{}
	if m.IntN(2) == 0 {
		a["keepdims"] = 0
	}
	if m.opset >= 18 || op == "ReduceSum" && m.opset >= 13 {
		var list *made
		if axes != nil {
			list = m.ints(axes...)
		}
		m.node(op, a, most, grid, x, list)
		return
	}
	if axes != nil {
		a["axes"] = axes
	}
	m.node(op, a, most, grid, x)
}

func count(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

func growSoftmax(m *graphMaker) {
	x := m.floats(1, 300)
	if x == nil || len(x.Shape) <= m.low() {
		return
	}
	op, most := m.choose("Softmax", "LogSoftmax"), 1.0
	if op == "LogSoftmax" {
		most = 2*x.most + 10
	}
	a := am{"axis": m.signed(m.axis(x), x)}
	if m.IntN(4) == 0 && len(x.Shape) > 1 {
		a = nil
	}
	m.node(op, a, most, inexact, x)
}

func growNorm(m *graphMaker) {
	op := m.choose("LayerNormalization", "InstanceNormalization", "LRN", "GroupNormalization")
	x := m.floats(2, 100)
	if x == nil || !m.has(op) {
		return
	}
	s, eps := x.Shape, am{"epsilon": 0.125}
	switch op {
	case "LayerNormalization":
		a := m.axis(x)
		if a < 0 {
			return
		}
		eps["axis"] = m.signed(a, x)
		var bias *made
		if m.IntN(2) == 0 {
			bias = m.weight(-1, 1, s[a:]...)
		}
		m.node(op, eps, 30, inexact, x, m.weight(-2, 2, s[a:]...), bias)
	case "InstanceNormalization":
		if len(s) >= 3 {
			m.node(op, eps, 30, inexact, x, m.weight(-2, 2, s[1]), m.weight(-2, 2, s[1]))
		}
	case "GroupNormalization":
		if len(s) >= 3 {
			eps["num_groups"] = 1
			if s[1]%2 == 0 {
				eps["num_groups"] = 2
			}
			m.node(op, eps, 30, inexact, x, m.weight(-2, 2, s[1]), m.weight(-2, 2, s[1]))
		}
	case "LRN":
		if len(s) == 4 {
			m.node(op, am{"size": 1 + 2*m.IntN(3), "alpha": 0.5, "beta": 0.75, "bias": 1.5}, x.most, inexact, x)
		}
	}
}
