package gorgonia

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// The convolutions are two-dimensional, with their padding written out; Lower
// brings the others to that form.

// window reads strides, dilations and pads of two spatial axes.
func (c *call) window() (strides, dilations, pads []int, err error) {
	strides, dilations, pads = c.list("strides", 1, 1), c.list("dilations", 1, 1), c.list("pads", 0, 0, 0, 0)
	if auto := c.text("auto_pad", "NOTSET"); auto != "NOTSET" {
		return nil, nil, nil, c.refuse("auto_pad %s", auto)
	}
	if len(strides) != 2 || len(dilations) != 2 || len(pads) != 4 {
		return nil, nil, nil, c.refuse("strides %v, dilations %v and pads %v, want two spatial axes", strides, dilations, pads)
	}
	for i := range 2 {
		if strides[i] < 1 || dilations[i] < 1 {
			return nil, nil, nil, c.refuse("strides %v and dilations %v", strides, dilations)
		}
	}
	return strides, dilations, pads, nil
}

// convolution is the geometry of a Conv of x with w, of which x may be the input
// or, transposed, the output.
func (c *call) convolution(x, w []int, transposed bool) (*kernel.Conv, error) {
	strides, dilations, pads, err := c.window()
	if err != nil {
		return nil, err
	}
	groups := c.integer("group", 1)
	if len(x) != 4 || len(w) != 4 || groups < 1 {
		return nil, c.refuse("an input of shape %v and a weight of shape %v in %d groups, want two spatial axes", x, w, groups)
	}
	if k := c.list("kernel_shape", w[2:]...); !slices.Equal(k, w[2:]) {
		return nil, c.refuse("kernel_shape %v for a weight of shape %v", k, w)
	}
	g := &kernel.Conv{N: x[0], KH: w[2], KW: w[3], StrideH: strides[0], StrideW: strides[1], DilationH: dilations[0], DilationW: dilations[1],
		PadTop: pads[0], PadLeft: pads[1], Groups: groups}
	reach := [2]int{(w[2]-1)*dilations[0] + 1, (w[3]-1)*dilations[1] + 1}
	if transposed {
		extra := c.list("output_padding", 0, 0)
		if x[1] != w[0] || w[0]%groups != 0 || len(extra) != 2 {
			return nil, c.refuse("an input of shape %v and a weight of shape %v in %d groups", x, w, groups)
		}
		g.M, g.C, g.OH, g.OW = w[0], w[1]*groups, x[2], x[3]
		g.H = (x[2]-1)*strides[0] + reach[0] - pads[0] - pads[2] + extra[0]
		g.W = (x[3]-1)*strides[1] + reach[1] - pads[1] - pads[3] + extra[1]
		if g.H < 1 || g.W < 1 {
			return nil, c.refuse("pads %v that leave nothing of an input of shape %v", pads, x)
		}
		if large(limits.elements, w[2], w[3], x[3]) {
			return nil, c.refuse("a weight of shape %v for an input of shape %v", w, x)
		}
		return g, nil
	}
	if x[1] != w[1]*groups || w[0]%groups != 0 {
		return nil, c.refuse("an input of shape %v and a weight of shape %v in %d groups", x, w, groups)
	}
	rooms := [2]int{x[2] + pads[0] + pads[2] - reach[0], x[3] + pads[1] + pads[3] - reach[1]}
	if rooms[0] < 0 || rooms[1] < 0 {
		return nil, c.refuse("a weight of shape %v larger than its padded input of shape %v", w, x)
	}
	if large(limits.elements, x[1], max(x[2], rooms[0]+reach[0]), max(x[3], rooms[1]+reach[1])) {
		return nil, c.refuse("pads %v for an input of shape %v", pads, x)
	}
	g.C, g.H, g.W, g.M = x[1], x[2], x[3], w[0]
	g.OH, g.OW = rooms[0]/strides[0]+1, rooms[1]/strides[1]+1
	return g, nil
}

// convolves makes the kernel of a convolution. Constant weights are packed once.
func convolves[T kernel.Float](c *call, g *kernel.Conv) func(*tensor.Tensor, []*tensor.Tensor) {
	var packed *kernel.ConvWeights[T]
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		w := packed
		if w == nil {
			w = kernel.PackConv(g, tensor.Data[T](in[1]))
			if c.args[1].known != nil {
				packed = w
			}
		}
		var bias []T
		if len(in) > 2 {
			bias = tensor.Data[T](in[2])
		}
		kernel.ConvForward(c.run, g, tensor.Data[T](out), tensor.Data[T](in[0]), w, bias)
	}
}

// adjoins makes the kernel of a convolution's adjoint, with a bias if there is a
// third input.
func adjoins[T kernel.Float](c *call, g *kernel.Conv) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		y := tensor.Data[T](out)
		kernel.ConvInput(c.run, g, y, tensor.Data[T](in[0]), tensor.Data[T](in[1]))
		if len(in) < 3 {
			return
		}
		bias, plane := tensor.Data[T](in[2]), g.H*g.W
		for i := 0; i*plane < len(y); i++ {
			for k := range y[i*plane : (i+1)*plane] {
				y[i*plane+k] += bias[i%len(bias)]
			}
		}
	}
}

func (c *call) forFloat(single, double func(*tensor.Tensor, []*tensor.Tensor)) {
	c.do = single
	if c.out.dtype == tensor.Float64 {
		c.do = double
	}
}

// bias checks the third input of a convolution with n output channels.
func (c *call) bias(n int) error {
	if err := c.inputs(2, 3); err != nil {
		return err
	}
	if err := c.float(len(c.args)); err != nil {
		return err
	}
	if c.args[1].active {
		return c.refuse("its weight depends on the input that is differentiated by")
	}
	if len(c.args) == 3 && !slices.Equal(c.args[2].dims, []int{n}) {
		return c.refuse("a bias of shape %v for %d channels", c.args[2].dims, n)
	}
	return nil
}

func convRows() []row {
	// derived makes a row that applies the convolution of another call to what
	// comes instead of its output, or input.
	derived := func(name string, back bool) row {
		return row{name: name, make: func(c *call) error {
			of := c.attrs["of"].(*call)
			transposed := of.row.name == "ConvTranspose"
			g, err := of.convolution(of.args[0].dims, of.args[1].dims, transposed)
			if err != nil {
				return err
			}
			if back != transposed && large(limits.elements, g.KH, g.KW, g.OW) {
				return c.refuse("a weight of shape %v for an input of shape %v", of.args[1].dims, of.args[0].dims)
			}
			c.out = value{dtype: c.args[0].dtype, dims: of.out.dims}
			if back {
				c.out.dims = of.args[0].dims
			}
			if back != transposed {
				c.forFloat(adjoins[float32](c, g), adjoins[float64](c, g))
			} else {
				c.forFloat(convolves[float32](c, g), convolves[float64](c, g))
			}
			return nil
		}}
	}
	push := func(d *derivative, t []value) (value, error) {
		var out value
		var err error
		if t[0].node != nil {
			out, err = d.apply("Conv.push", map[string]any{"of": d.call}, t[0], d.input(1))
		}
		if err == nil && len(t) > 2 && t[2].node != nil {
			var b value
			if b, err = d.apply("Reshape", map[string]any{"dims": []int{1, t[2].dims[0], 1, 1}}, t[2]); err == nil {
				if b, err = d.expand(b, d.out.dims); err == nil {
					out, err = d.add(out, b)
				}
			}
		}
		return out, err
	}
	pull := func(d *derivative, g value, i int) (value, error) {
		if i == 0 {
			return d.apply("Conv.pull", map[string]any{"of": d.call}, g, d.input(1))
		}
		g, err := d.sumTo(g, []int{1, g.dims[1], 1, 1}) // of the bias
		if err == nil {
			g, err = d.apply("Reshape", map[string]any{"dims": d.input(2).dims}, g)
		}
		return g, err
	}
	return []row{
		{name: "Conv", make: func(c *call) error {
			if err := c.inputs(2, 3); err != nil {
				return err
			}
			g, err := c.convolution(c.args[0].dims, c.args[1].dims, false)
			if err == nil {
				err = c.bias(g.M)
			}
			if err != nil {
				return err
			}
			c.out.dims = []int{g.N, g.M, g.OH, g.OW}
			c.forFloat(convolves[float32](c, g), convolves[float64](c, g))
			return nil
		}, push: push, pull: pull},
		{name: "ConvTranspose", make: func(c *call) error {
			if err := c.inputs(2, 3); err != nil {
				return err
			}
			g, err := c.convolution(c.args[0].dims, c.args[1].dims, true)
			if err == nil {
				err = c.bias(g.C)
			}
			if err != nil {
				return err
			}
			c.out.dims = []int{g.N, g.C, g.H, g.W}
			c.forFloat(adjoins[float32](c, g), adjoins[float64](c, g))
			return nil
		}, push: push, pull: pull},
		derived("Conv.push", false), derived("Conv.pull", true),
	}
}

// product is the geometry of a product of stacks of matrices; the attributes
// transA and transB, of ours, transpose the last two axes.
func (c *call) product() (*kernel.MatMul, error) {
	if err := c.inputs(2, 2); err != nil {
		return nil, err
	}
	a, b := c.args[0].dims, c.args[1].dims
	if len(a) < 2 || len(b) < 2 {
		return nil, c.refuse("inputs of shapes %v and %v, want two axes or more", a, b)
	}
	g := &kernel.MatMul{TransA: c.integer("transA", 0) != 0, TransB: c.integer("transB", 0) != 0}
	matrix := func(s []int, t bool) (rows, cols int) {
		if rows, cols = s[len(s)-2], s[len(s)-1]; t {
			rows, cols = cols, rows
		}
		return rows, cols
	}
	var k int
	g.M, g.K = matrix(a, g.TransA)
	k, g.N = matrix(b, g.TransB)
	if k != g.K {
		return nil, c.refuse("inputs of shapes %v and %v", a, b)
	}
	lead, err := broadcastDims(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, err
	}
	c.out.dims = slices.Concat(lead, []int{g.M, g.N})
	if large(limits.elements, lead...) {
		return nil, c.refuse("a stack of %v products", lead)
	}
	count := tensor.Count(lead)
	if tensor.Count(b[:len(b)-2]) == 1 && !g.TransA { // one matrix for all rows of a
		g.M *= count
		return g, nil
	}
	if count > limits.list {
		return nil, c.refuse("a stack of %v products", lead)
	}
	if count > 1 {
		kernel.NewBroadcast(lead, a[:len(a)-2], b[:len(b)-2]).Rows(kernel.NewRunner(1), func(out, n int, at, step []int) {
			for i := range n {
				g.Batches = append(g.Batches, [3]int{(out + i) * g.M * g.N, (at[0] + i*step[0]) * g.M * g.K, (at[1] + i*step[1]) * g.K * g.N})
			}
		})
	}
	return g, nil
}

func multiplies[T kernel.Float](c *call, g *kernel.MatMul) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.MatMulForward(c.run, g, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]))
	}
}

func multipliesWhole[T int32 | int64 | uint32 | uint64](c *call, g *kernel.MatMul) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.MatMulInt(c.run, g, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]))
	}
}

func multipliesBytes[A, B uint8 | int8](c *call, g *kernel.MatMul) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		kernel.MatMulInteger(c.run, g, tensor.Data[int32](out), tensor.Data[A](in[0]), tensor.Data[B](in[1]))
	}
}

func matMulRows() []row {
	return []row{
		{name: "MatMul", make: func(c *call) error {
			g, err := c.product()
			if err != nil {
				return err
			}
			c.out.dtype = c.args[0].dtype
			if c.args[1].dtype != c.out.dtype {
				return c.refuse("inputs of types %s", c.types())
			}
			c.do = map[tensor.DType]func(*tensor.Tensor, []*tensor.Tensor){
				tensor.Float32: multiplies[float32](c, g), tensor.Float64: multiplies[float64](c, g),
				tensor.Int32: multipliesWhole[int32](c, g), tensor.Int64: multipliesWhole[int64](c, g),
				tensor.Uint32: multipliesWhole[uint32](c, g), tensor.Uint64: multipliesWhole[uint64](c, g)}[c.out.dtype]
			if c.do == nil {
				return c.refuse("inputs of type %s", c.out.dtype)
			}
			return nil
		}, push: func(d *derivative, t []value) (value, error) {
			var parts [2]value
			for i, ti := range t {
				if ti.node == nil {
					continue
				}
				in := []value{d.input(0), d.input(1)}
				in[i] = ti
				var err error
				if parts[i], err = d.apply("MatMul", d.attrs, in...); err != nil {
					return value{}, err
				}
			}
			return d.add(parts[0], parts[1])
		}, pull: func(d *derivative, g value, i int) (value, error) {
			// A network's second input may be a constant that is read transposed.
			back := map[string]any{"transB": 1 - int64(d.integer("transB", 0))}
			v, err := value{}, error(nil)
			if i == 0 {
				v, err = d.apply("MatMul", back, g, d.input(1))
			} else {
				v, err = d.apply("MatMul", map[string]any{"transA": int64(1)}, d.input(0), g)
			}
			if err != nil {
				return v, err
			}
			return d.sumTo(v, d.input(i).dims)
		}},
		{name: "MatMulInteger", make: func(c *call) error {
			g, err := c.product()
			if err != nil {
				return err
			}
			c.out.dtype = tensor.Int32
			c.do = map[[2]tensor.DType]func(*tensor.Tensor, []*tensor.Tensor){
				{tensor.Uint8, tensor.Uint8}: multipliesBytes[uint8, uint8](c, g), {tensor.Uint8, tensor.Int8}: multipliesBytes[uint8, int8](c, g),
				{tensor.Int8, tensor.Uint8}: multipliesBytes[int8, uint8](c, g), {tensor.Int8, tensor.Int8}: multipliesBytes[int8, int8](c, g),
			}[[2]tensor.DType{c.args[0].dtype, c.args[1].dtype}]
			if c.do == nil {
				return c.refuse("inputs of types %s", c.types())
			}
			return nil
		}},
	}
}

func linearRows() []row { return append(convRows(), matMulRows()...) }
