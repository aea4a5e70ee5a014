package gorgonia

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// any value, of any type.
func (m *graphMaker) any() *made {
	if m.smooth {
		return m.floats(1, 1e3)
	}
	return m.pick(func(*made) bool { return true })
}

func growMove(m *graphMaker) {
	x := m.any()
	if x == nil {
		return
	}
	s := x.Shape
	a := m.axis(x)
	switch m.choose("Transpose", "Slice", "Slice", "Concat", "Concat", "Split", "Gather", "Pad", "Expand", "Tile", "Trilu", "Where") {
	case "Transpose":
		perm := []int64{}
		for i := m.low(); i < len(s); i++ {
			perm = append(perm, int64(i))
		}
		m.Shuffle(len(perm), func(i, j int) { perm[i], perm[j] = perm[j], perm[i] })
		if m.batched {
			perm = append([]int64{0}, perm...)
		} else if m.IntN(4) == 0 {
			m.move("Transpose", nil, x)
			return
		}
		m.move("Transpose", am{"perm": perm}, x)
	case "Slice":
		m.slice(x)
	case "Concat":
		if a < 0 {
			return
		}
		in, most, grid := []*made{x}, x.most, x.grid
		for range m.IntN(3) {
			y := m.pick(func(v *made) bool {
				if v.DType != x.DType || len(v.Shape) != len(s) {
					return false
				}
				t := slices.Clone(v.Shape)
				t[a] = s[a]
				return slices.Equal(t, s)
			})
			in, most, grid = append(in, y), max(most, y.most), joined(grid, y.grid)
		}
		m.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		m.node("Concat", am{"axis": m.signed(a, x)}, most, grid, in...)
	case "Split":
		if a < 0 {
			return
		}
		var parts []int64
		for rest := s[a]; rest > 0; {
			n := 1 + m.Int64N(rest)
			parts = append(parts, n)
			rest -= n
		}
		if m.opset < 13 {
			m.nodes("Split", am{"axis": m.signed(a, x), "split": parts}, len(parts), x.most, x.grid, x)
			return
		}
		if m.opset >= 18 && m.IntN(3) == 0 {
			n := 1 + m.IntN(int(s[a]))
			if chunk := (int(s[a]) + n - 1) / n; chunk*(n-1) < int(s[a]) {
				m.nodes("Split", am{"axis": m.signed(a, x), "num_outputs": n}, n, x.most, x.grid, x)
			}
			return
		}
		m.nodes("Split", am{"axis": m.signed(a, x)}, len(parts), x.most, x.grid, x, m.ints(parts...))
	case "Gather":
		if a < 0 {
			return
		}
		shape := [][]int64{{}, {3}, {2, 2}, {1}}[m.IntN(4)]
		v := make([]int64, count(shape))
		for i := range v {
			v[i] = m.Int64N(2*s[a]) - s[a]
		}
		index := m.known(tensor.Of(v, sizesOf(shape)...))
		m.move("Gather", am{"axis": m.signed(a, x)}, x, index)
	case "Pad":
		m.pad(x)
	case "Expand":
		to := slices.Clone(s)
		for i := m.low(); i < len(to); i++ {
			if to[i] == 1 {
				to[i] = 1 + m.Int64N(3)
			} else if m.IntN(2) == 0 {
				to[i] = 1
			}
		}
		if m.batched {
			to[0] = 1
		} else if m.IntN(3) == 0 && len(to) < 4 {
			to = append([]int64{2}, to...)
		}
		m.move("Expand", nil, x, m.ints(to...))
	case "Tile":
		reps := m.list(len(s), 1, 2)
		if m.batched {
			reps[0] = 1
		}
		if x.DType == tensor.Bool || x.DType.IsFloat() || x.DType == tensor.Int64 || x.DType == tensor.Int32 {
			m.move("Tile", nil, x, m.ints(reps...))
		}
	case "Trilu":
		if m.has("Trilu") && len(s) >= 2+m.low() && (x.DType.IsFloat() || x.DType == tensor.Int64) {
			m.move("Trilu", am{"upper": m.IntN(2)}, x, m.known(tensor.Scalar(int64(m.IntN(5)-2))))
		}
	case "Where":
		y := m.pick(func(v *made) bool { return v.DType == x.DType && slices.Equal(v.Shape, s) })
		c := m.pick(func(v *made) bool { return v.DType == tensor.Bool && slices.Equal(v.Shape, s) })
		if c != nil && y != nil && (x.DType.IsFloat() || x.DType == tensor.Int64 || x.DType == tensor.Int32) {
			m.node("Where", nil, max(x.most, y.most), joined(x.grid, y.grid), c, x, y)
		}
	}
}

func (m *graphMaker) slice(x *made) {
	var starts, ends, axes, steps []int64
	for a := m.low(); a < len(x.Shape); a++ {
		if m.IntN(2) == 0 {
			continue
		}
		n := x.Shape[a]
		step := []int64{1, 1, 2, -1, -2, 3, -9}[m.IntN(7)]
		from, to := m.Int64N(2*n+3)-n-1, m.Int64N(2*n+3)-n-1
		if m.IntN(3) == 0 {
			to = 1 << 62
			if step < 0 {
				to = -1 << 62
			}
		}
		starts, ends, axes, steps = append(starts, from), append(ends, to), append(axes, m.signed(a, x)), append(steps, step)
	}
	if axes != nil {
		m.move("Slice", nil, x, m.ints(starts...), m.ints(ends...), m.ints(axes...), m.ints(steps...))
	}
}

func (m *graphMaker) pad(x *made) {
	if x.DType == tensor.Bool || len(x.Shape) == 0 {
		return
	}
	mode := m.choose("constant", "reflect", "edge", "constant")
	if m.opset >= 19 && m.IntN(4) == 0 {
		mode = "wrap"
	}
	k := len(x.Shape)
	pads := make([]int64, 2*k)
	for i := m.low(); i < k; i++ {
		n := x.Shape[i]
		for _, j := range []int{i, i + k} {
			if m.IntN(2) == 0 {
				pads[j] = m.Int64N(min(n, 3))
				if mode == "constant" && m.IntN(3) == 0 {
					pads[j] = -m.Int64N(min(n, 2))
				}
			}
		}
		if x.Shape[i]+min(pads[i], 0)+min(pads[i+k], 0) < 1 {
			pads[i], pads[i+k] = 0, 0
		}
	}
	var value *made
	if mode == "constant" && m.IntN(2) == 0 {
		value = m.known(m.feed(x.DType, nil, -3, 3))
	}
	v := m.node("Pad", am{"mode": mode}, max(x.most, 3), x.grid, x, m.ints(pads...), value)
	if v != nil && mode != "constant" {
		v.below = x.below
	}
}

// growView adds an operator that only gives another shape.
func growView(m *graphMaker) {
	x := m.any()
	if x == nil || len(x.Shape) == 0 {
		return
	}
	s := x.Shape
	switch m.choose("Reshape", "Reshape", "Flatten", "Squeeze", "Unsqueeze") {
	case "Reshape":
		to := []int64{}
		if m.batched {
			to = append(to, 0)
		}
		rest := count(s[m.low():])
		for d := int64(2); d <= 5; d++ {
			for rest%d == 0 && m.IntN(3) > 0 {
				to = append(to, d)
				rest /= d
			}
		}
		if m.IntN(2) == 0 {
			to = append(to, -1)
		} else {
			to = append(to, rest)
		}
		if low := m.low(); m.IntN(2) == 0 {
			m.Shuffle(len(to)-low, func(i, j int) { to[i+low], to[j+low] = to[j+low], to[i+low] })
		}
		m.move("Reshape", nil, x, m.ints(to...))
	case "Flatten":
		a := 1
		if !m.batched {
			a = m.IntN(len(s) + 1)
		}
		m.move("Flatten", am{"axis": a}, x)
	case "Squeeze":
		var axes []int64
		for a := m.low(); a < len(s); a++ {
			if s[a] == 1 && m.IntN(2) == 0 {
				axes = append(axes, m.signed(a, x))
			}
		}
		if axes == nil {
			return
		}
		if m.opset < 13 {
			m.move("Squeeze", am{"axes": axes}, x)
		} else {
			m.move("Squeeze", nil, x, m.ints(axes...))
		}
	case "Unsqueeze":
		if len(s) > 4 {
			return
		}
		axes := []int64{int64(m.low() + m.IntN(len(s)+1-m.low()))}
		if m.opset < 13 {
			m.move("Unsqueeze", am{"axes": axes}, x)
		} else {
			m.move("Unsqueeze", nil, x, m.ints(axes...))
		}
	}
}
