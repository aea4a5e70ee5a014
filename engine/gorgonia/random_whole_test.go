package gorgonia

import "github.com/onnxprobe/onnxprobe/onnx/tensor"

// growJump adds an operator that jumps, to a value that is the same to the bit.
func growJump(m *graphMaker) {
	x := m.exact(1e3)
	if x == nil {
		return
	}
	switch op := m.choose("Floor", "Ceil", "Round", "Sign", "ArgMax", "ArgMin", "Compare", "Compare", "IsNaN", "IsInf", "Shrink", "ThresholdedRelu", "Mod"); op {
	case "Floor", "Ceil", "Round", "Sign":
		m.node(op, nil, x.most+1, x.grid, x)
	case "ArgMax", "ArgMin":
		a := m.axis(x)
		if a < 0 {
			return
		}
		n := x.Shape[a]
		at := am{"axis": m.signed(a, x)}
		if m.opset >= 12 {
			at["select_last_index"] = m.IntN(2)
		}
		if m.IntN(2) == 0 {
			at["keepdims"] = 0
		}
		if v := m.node(op, at, float64(n), 0, x); v != nil {
			v.below = n
		}
	case "Compare":
		y := m.second(x, -4, 100)
		if op := m.compare(); y.grid >= 0 && m.has(op) {
			m.node(op, nil, 1, 0, x, y)
		}
	case "IsNaN", "IsInf":
		m.node(op, nil, 1, 0, x)
	case "Shrink":
		m.node(op, am{"lambd": 1.5, "bias": 0.25}, x.most+1, inexact, x)
	case "ThresholdedRelu":
		if m.has(op) {
			m.node(op, am{"alpha": 0.5}, x.most, x.grid, x)
		}
	case "Mod":
		m.node(op, am{"fmod": 1}, 4, x.grid, x, m.known(m.feed(m.float, m.beside(x.Shape), 1, 3)))
	}
}

// growWhole adds arithmetic of integers.
func growWhole(m *graphMaker) {
	x := m.whole(1e4)
	if x == nil {
		return
	}
	switch op := m.choose("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "Neg", "Abs", "Sign", "ReduceSum", "ReduceMax", "ReduceMin", "Where", "MatMul", "Pow", "CumSum", "Clip", "Compare"); op {
	case "Add", "Sub", "Max", "Min", "Mul":
		if op[0] == 'M' && op != "Mul" && m.opset < 12 {
			return
		}
		y := m.second(x, -4, 50)
		most := x.most + y.most
		if op == "Mul" {
			most = x.most * y.most
		}
		m.node(op, nil, most, 0, x, y)
	case "Div":
		m.node(op, nil, x.most, 0, x, m.second(x, 1, 4))
	case "Mod":
		y := m.second(x, 1, 4)
		v := m.node(op, am{"fmod": m.IntN(2)}, 4, 0, x, y)
		if v != nil && m.graph.Nodes[len(m.graph.Nodes)-1].Int("fmod", 0) == 0 {
			v.below = 4
		}
	case "Neg", "Abs", "Sign":
		m.node(op, nil, max(x.most, 1), 0, x)
	case "ReduceSum", "ReduceMax", "ReduceMin":
		if a := m.axis(x); a >= 0 {
			most := x.most * float64(x.Shape[a])
			if m.opset >= 18 || op == "ReduceSum" && m.opset >= 13 {
				m.node(op, nil, most, 0, x, m.ints(int64(a)))
			} else {
				m.node(op, am{"axes": []int64{int64(a)}}, most, 0, x)
			}
		}
	case "Where":
		y := m.second(x, -4, 50)
		dims, _ := broadcastDims(sizesOf(x.Shape), sizesOf(y.Shape))
		m.node(op, nil, max(x.most, y.most), 0, m.known(m.feed(tensor.Bool, m.beside(shape64(dims)), 0, 1)), x, y)
	case "MatMul":
		if k := len(x.Shape); k >= 2 || k == 1 && !m.batched {
			n := x.Shape[k-1]
			m.node(op, nil, 4*x.most*float64(n), 0, x, m.known(m.feed(x.DType, []int64{n, 3}, -4, 4)))
		}
	case "Pow":
		if x.most < 50 && m.opset >= 12 {
			e := m.known(m.feed([]tensor.DType{tensor.Int64, tensor.Int32, tensor.Float32}[m.IntN(3)], nil, 0, 3))
			if e.DType == tensor.Float32 {
				e = m.known(tensor.Scalar(float32(m.IntN(4))))
			}
			m.node(op, nil, x.most*x.most*x.most, 0, x, e)
		}
	case "CumSum":
		if a := m.axis(x); a >= 0 {
			m.node(op, am{"exclusive": m.IntN(2), "reverse": m.IntN(2)}, x.most*float64(x.Shape[a]), 0, x, m.known(tensor.Scalar(int64(a))))
		}
	case "Clip":
		if m.opset < 12 {
			return
		}
		m.node(op, nil, x.most, 0, x, m.known(m.feed(x.DType, nil, -3, 0)), m.known(m.feed(x.DType, nil, 1, 4)))
	case "Compare":
		if op := m.compare(); m.has(op) {
			m.node(op, nil, 1, 0, x, m.second(x, -4, 50))
		}
	}
}

func (m *graphMaker) compare() string {
	return m.choose("Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual")
}

func growLogic(m *graphMaker) {
	x := m.pick(func(v *made) bool { return v.DType == tensor.Bool })
	if x == nil {
		return
	}
	if op := m.choose("And", "Or", "Xor", "Not", "Equal"); op == "Not" {
		m.node(op, nil, 1, 0, x)
	} else {
		m.node(op, nil, 1, 0, x, m.second(x, -1, 1))
	}
}

func growCast(m *graphMaker) {
	x := m.pick(func(v *made) bool { return v.grid >= 0 && v.most < 1e3 })
	if x == nil {
		return
	}
	to := []tensor.DType{m.float, m.float, tensor.Int64, tensor.Int32, tensor.Bool, tensor.Float64, tensor.Float32, tensor.Int8, tensor.Uint8, tensor.Int16}[m.IntN(10)]
	if x.most > 100 && (to == tensor.Int8 || to == tensor.Uint8) || to == tensor.Uint8 && x.below == 0 {
		return
	}
	most := x.most
	if to == tensor.Bool {
		most = 1
	}
	if v := m.node("Cast", am{"to": int(to)}, most, x.grid, x); v != nil {
		v.below = x.below
	}
}

// growShape adds what exporters write to keep shapes open.
func growShape(m *graphMaker) {
	x := m.any()
	if x == nil || len(x.Shape) == 0 {
		return
	}
	shape := m.node("Shape", nil, 100, 0, x)
	if shape == nil {
		return
	}
	// Like inference, take what it gives for a constant; the engines compute it.
	shape.Const = make([]float64, len(x.Shape))
	for i, d := range x.Shape {
		shape.Const[i] = float64(d)
	}
	if m.batched {
		m.values = m.values[:len(m.values)-1] // without a batch
	}
	first := m.node("Slice", nil, 100, 0, shape, m.ints(0), m.ints(1))
	if first == nil {
		return
	}
	if first.Const = shape.Const[:1]; m.batched {
		m.values = m.values[:len(m.values)-1]
	}
	to := m.node("Concat", am{"axis": 0}, 100, 0, first, m.ints(-1))
	if to == nil {
		return
	}
	if to.Const = []float64{shape.Const[0], -1}; m.batched {
		m.values = m.values[:len(m.values)-1]
	}
	m.move("Reshape", nil, x, to)
}

// growIndex gathers by indices that the graph computes.
func growIndex(m *graphMaker) {
	i := m.pick(func(v *made) bool { return v.below > 0 && (v.DType == tensor.Int64 || v.DType == tensor.Int32) })
	x := m.any()
	if i == nil || x == nil || m.batched {
		return
	}
	if a := m.axis(x); a >= 0 && x.Shape[a] >= i.below {
		m.move("Gather", am{"axis": m.signed(a, x)}, x, i)
	}
}
