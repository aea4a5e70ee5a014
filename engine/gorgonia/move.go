package gorgonia

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// forAny chooses among the makers of all element types. 16-bit floats are moved
// as their bits.
func forAny[A any](d tensor.DType, b, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64 maker[A]) maker[A] {
	return map[tensor.DType]maker[A]{tensor.Bool: b, tensor.Uint8: u8, tensor.Int8: i8, tensor.Uint16: u16, tensor.Float16: u16, tensor.BFloat16: u16,
		tensor.Int16: i16, tensor.Uint32: u32, tensor.Int32: i32, tensor.Uint64: u64, tensor.Int64: i64, tensor.Float32: f32, tensor.Float64: f64}[d]
}

// moved makes the kernel of a move; fill is the number of the input that holds
// what fills the places nothing is moved to, 0 for zeros.
func (c *call) moved(dims []int, offset [][]int, fill int) {
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	m := &movement{kernel.NewMove(offset), fill}
	c.do = forAny(c.out.dtype, moveIn[bool], moveIn[uint8], moveIn[int8], moveIn[uint16], moveIn[int16], moveIn[uint32], moveIn[int32],
		moveIn[uint64], moveIn[int64], moveIn[float32], moveIn[float64])(c, m)
}

type movement struct {
	*kernel.Move
	fill int
}

func moveIn[T any](c *call, m *movement) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		var fill T
		if m.fill > 0 {
			fill = in[m.fill].Data.([]T)[0]
		}
		kernel.MoveForward(c.run, m.Move, out.Data.([]T), in[0].Data.([]T), fill)
	}
}

// offsets are those of a tensor of shape dims moved nowhere.
func offsets(dims []int) [][]int {
	strides := kernel.Strides(dims)
	out := make([][]int, len(dims))
	for a, n := range dims {
		out[a] = make([]int, n)
		for j := range n {
			out[a][j] = j * strides[a]
		}
	}
	return out
}

// layout is how an operator of the move family finds its elements.
type layout func(c *call) (dims []int, offset [][]int, fill int, err error)

// mover makes the row of a move, and those of its derivative: pushed it moves
// tangents, pulled it adds cotangents up where they came from.
func mover(name string, find layout) []row {
	push, pull := name+".push", name+".pull"
	return []row{
		{name: name, make: func(c *call) error {
			if len(c.args) > 0 {
				if err := c.fits(c.args[0].dims); err != nil {
					return err
				}
			}
			dims, offset, fill, err := find(c)
			if err != nil {
				return err
			}
			if fill > 0 && c.args[fill].active {
				return c.refuse("its filling depends on the input that is differentiated by")
			}
			c.moved(dims, offset, fill)
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			return d.apply(push, map[string]any{"of": d.call}, t[0])
		}, pull: func(d *derivative, g value, i int) (value, error) {
			return d.apply(pull, map[string]any{"of": d.call}, g)
		}},
		{name: push, make: func(c *call) error {
			dims, offset, _, err := find(c.attrs["of"].(*call))
			if err == nil {
				c.moved(dims, offset, 0)
			}
			return err
		}},
		{name: pull, make: func(c *call) error {
			of := c.attrs["of"].(*call)
			_, offset, _, err := find(of)
			if err != nil {
				return err
			}
			c.adjoint(of.args[0].dims, kernel.NewMove(offset))
			return nil
		}},
	}
}

func (c *call) adjoint(dims []int, m *kernel.Move) {
	c.out = value{dtype: c.args[0].dtype, dims: dims}
	if c.out.dtype == tensor.Float64 {
		c.do = func(out *tensor.Tensor, in []*tensor.Tensor) {
			kernel.MoveAdjoint(m, tensor.Data[float64](out), tensor.Data[float64](in[0]))
		}
		return
	}
	c.do = func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.MoveAdjoint(m, tensor.Data[float32](out), tensor.Data[float32](in[0]))
	}
}

func transposed(c *call) ([]int, [][]int, int, error) {
	if err := c.inputs(1, 1); err != nil {
		return nil, nil, 0, err
	}
	x := c.args[0].dims
	perm := c.list("perm")
	if perm == nil {
		for i := range x {
			perm = append(perm, len(x)-1-i)
		}
	}
	if len(perm) != len(x) {
		return nil, nil, 0, c.refuse("perm %v for a shape %v", perm, x)
	}
	own, dims, offset := offsets(x), make([]int, len(x)), make([][]int, len(x))
	for i, p := range perm {
		if p < 0 || p >= len(x) || slices.Contains(perm[:i], p) {
			return nil, nil, 0, c.refuse("perm %v for a shape %v", perm, x)
		}
		dims[i], offset[i] = x[p], own[p]
	}
	return dims, offset, 0, nil
}

func sliced(c *call) ([]int, [][]int, int, error) {
	if err := c.inputs(3, 5); err != nil {
		return nil, nil, 0, err
	}
	x := c.args[0].dims
	lists := make([][]int, 5)
	for i := 1; i < len(c.args); i++ {
		var err error
		if lists[i], err = c.constant(i); err != nil {
			return nil, nil, 0, err
		}
	}
	starts, ends, axes, steps := lists[1], lists[2], lists[3], lists[4]
	if len(c.args) < 4 {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if len(c.args) < 5 {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		return nil, nil, 0, c.refuse("starts %v, ends %v, axes %v and steps %v", starts, ends, axes, steps)
	}
	dims, offset, strides := slices.Clone(x), offsets(x), kernel.Strides(x)
	for i, a := range axes {
		if a < 0 {
			a += len(x)
		}
		if a < 0 || a >= len(x) || steps[i] == 0 {
			return nil, nil, 0, c.refuse("axis %d with step %d for a shape %v", axes[i], steps[i], x)
		}
		n, step := x[a], steps[i]
		low, high := 0, n
		if step < 0 {
			low, high = -1, n-1
		}
		from, to := starts[i], ends[i]
		if from < 0 {
			from += n
		}
		if to < 0 {
			to += n
		}
		from, to = min(max(from, 0), high), min(max(to, low), high)
		var o []int
		for j := from; step > 0 && j < to || step < 0 && j > to; j += step {
			o = append(o, j*strides[a])
		}
		dims[a], offset[a] = len(o), o
	}
	return dims, offset, 0, nil
}

func padded(c *call) ([]int, [][]int, int, error) {
	if err := c.inputs(2, 3); err != nil {
		return nil, nil, 0, err
	}
	x := c.args[0].dims
	pads, err := c.constant(1)
	if err != nil {
		return nil, nil, 0, err
	}
	if len(pads) != 2*len(x) {
		return nil, nil, 0, c.refuse("pads %v for a shape %v", pads, x)
	}
	fill := 0
	if len(c.args) == 3 {
		if c.args[2].dtype != c.args[0].dtype || tensor.Count(c.args[2].dims) != 1 {
			return nil, nil, 0, c.refuse("a filling of %s %v", c.args[2].dtype, c.args[2].dims)
		}
		fill = 2
	}
	mode := c.text("mode", "constant")
	dims, offset, strides := slices.Clone(x), offsets(x), kernel.Strides(x)
	for a, n := range x {
		before, after := pads[a], pads[a+len(x)]
		if before == 0 && after == 0 {
			continue
		}
		dims[a] = n + before + after
		if dims[a] < 1 || before > limits.list || after > limits.list || dims[a] > limits.list {
			return nil, nil, 0, c.refuse("pads %v for a shape %v", pads, x)
		}
		o := make([]int, dims[a])
		for j := range o {
			k := j - before
			switch {
			case k >= 0 && k < n:
			case mode == "constant":
				k = -1
			case mode == "edge":
				k = min(max(k, 0), n-1)
			case mode == "wrap":
				k = ((k % n) + n) % n
			case mode == "reflect" && n > 1:
				k = ((k % (2*n - 2)) + 2*n - 2) % (2*n - 2)
				k = min(k, 2*n-2-k)
			case mode == "reflect":
				k = 0
			default:
				return nil, nil, 0, c.refuse("mode %q", mode)
			}
			o[j] = -1
			if k >= 0 {
				o[j] = k * strides[a]
			}
		}
		offset[a] = o
	}
	return dims, offset, fill, nil
}

func moveRows() []row {
	rows := slices.Concat(mover("Transpose", transposed), mover("Slice", sliced), mover("Pad", padded), mover("Gather", gathered))
	for i := range rows {
		if rows[i].name == "Gather" {
			rows[i] = gather(rows[i])
		}
	}
	return append(rows, scatterRow())
}
