package gorgonia

import (
	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// pool is the geometry of a pooling over two spatial axes.
func (c *call) pool() (*kernel.Pool, error) {
	if err := c.same(); err != nil {
		return nil, err
	}
	if err := c.rank(0, 4); err != nil {
		return nil, err
	}
	x, k := c.args[0].dims, c.list("kernel_shape")
	strides, dilations, pads, err := c.window()
	if err != nil {
		return nil, err
	}
	if len(k) != 2 || k[0] < 1 || k[1] < 1 || min(pads[0], pads[1], pads[2], pads[3]) < 0 {
		return nil, c.refuse("kernel_shape %v and pads %v", k, pads)
	}
	if c.integer("storage_order", 0) != 0 {
		return nil, c.refuse("storage_order 1")
	}
	ceil := c.integer("ceil_mode", 0) != 0
	var out [2]int
	for i := range 2 {
		reach := (k[i]-1)*dilations[i] + 1
		room := x[2+i] + pads[i] + pads[2+i] - reach
		if room < 0 {
			return nil, c.refuse("a window of %v larger than its padded input of shape %v", k, x)
		}
		out[i] = room/strides[i] + 1
		// A window may begin in the input or the padding before it, never beyond.
		if ceil && room%strides[i] != 0 && out[i]*strides[i] < x[2+i]+pads[i] {
			out[i]++
		}
	}
	c.out.dims = []int{x[0], x[1], out[0], out[1]}
	return &kernel.Pool{N: x[0], C: x[1], H: x[2], W: x[3], KH: k[0], KW: k[1], OH: out[0], OW: out[1],
		StrideH: strides[0], StrideW: strides[1], DilationH: dilations[0], DilationW: dilations[1],
		PadTop: pads[0], PadLeft: pads[1], PadBottom: pads[2], PadRight: pads[3], CountPad: c.integer("count_include_pad", 0) != 0}, nil
}

func pools[T kernel.Float](c *call, g *kernel.Pool, f func(r *kernel.Runner, g *kernel.Pool, y, x []T)) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		f(c.run, g, tensor.Data[T](out), tensor.Data[T](in[0]))
	}
}

func pools2[T kernel.Float](c *call, g *kernel.Pool, f func(r *kernel.Runner, g *kernel.Pool, y, x, t []T)) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		f(c.run, g, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]))
	}
}

// places is the operator that gives MaxPool's second output.
const places = "MaxPool.places"

func placesOf[T kernel.Float](c *call, g *kernel.Pool, f func(r *kernel.Runner, g *kernel.Pool, at []int64, x []T)) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		f(c.run, g, tensor.Data[int64](out), tensor.Data[T](in[0]))
	}
}

// withPlaces splits a MaxPool that tells places, which lowering leaves as it is, in two
// nodes of one output each; nil of other nodes. Its attributes mean the same in all
// versions.
func withPlaces(n *onnx.Node) []*onnx.Node {
	if !n.IsOp("MaxPool") || len(n.Outputs) != 2 || n.Outputs[0] == "" || n.Outputs[1] == "" {
		return nil
	}
	largest, at := *n, *n
	largest.Outputs, at.Outputs = n.Outputs[:1], n.Outputs[1:]
	at.Op = places
	return []*onnx.Node{&largest, &at}
}

// rowwise are the functions of a row of the last axis: its own kernel has one
// input, its derivatives' two.
func (c *call) rowwise() (rows, n int, err error) {
	if len(c.args[0].dims) == 0 {
		return 0, 0, c.refuse("an input without axes")
	}
	if axis := c.integer("axis", -1); axis != -1 && axis != len(c.args[0].dims)-1 {
		return 0, 0, c.refuse("axis %d of a shape %v, want the last", axis, c.args[0].dims)
	}
	n = c.args[0].dims[len(c.args[0].dims)-1]
	return tensor.Count(c.args[0].dims) / n, n, nil
}

func rowwise1[T kernel.Float](c *call, rows, n int, f func(r *kernel.Runner, y, x []T, rows, n int)) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		f(c.run, tensor.Data[T](out), tensor.Data[T](in[0]), rows, n)
	}
}

func rowwise2[T kernel.Float](c *call, rows, n int, f func(r *kernel.Runner, out, y, g []T, rows, n int)) func(*tensor.Tensor, []*tensor.Tensor) {
	return func(out *tensor.Tensor, in []*tensor.Tensor) {
		f(c.run, tensor.Data[T](out), tensor.Data[T](in[0]), tensor.Data[T](in[1]), rows, n)
	}
}

func poolRows() []row {
	pooling := func(name string, do func(c *call, g *kernel.Pool), push, pull func(d *derivative, v value) (value, error)) row {
		return row{name: name, make: func(c *call) error {
			g, err := c.pool()
			if err == nil {
				do(c, g)
			}
			return err
		}, push: func(d *derivative, t []value) (value, error) { return push(d, t[0]) },
			pull: func(d *derivative, g value, _ int) (value, error) { return pull(d, g) }}
	}
	// derived is an operator whose geometry is that of the call it derives.
	derived := func(name string, back bool, do func(c *call, g *kernel.Pool)) row {
		return row{name: name, make: func(c *call) error {
			of := *c.attrs["of"].(*call)
			g, err := of.pool()
			if err != nil {
				return err
			}
			c.out = value{dtype: of.out.dtype, dims: of.out.dims}
			if back {
				c.out.dims = of.args[0].dims
			}
			do(c, g)
			return nil
		}}
	}
	withInput := func(name string) func(d *derivative, v value) (value, error) {
		return func(d *derivative, v value) (value, error) {
			return d.apply(name, map[string]any{"of": d.call}, d.input(0), v)
		}
	}
	softmax := func(name, push, pull string, do func(c *call, rows, n int)) row {
		after := func(op string) func(d *derivative, v value) (value, error) {
			return func(d *derivative, v value) (value, error) { return d.apply(op, nil, d.output(), v) }
		}
		forward, backward := after(push), after(pull)
		return row{name: name, make: func(c *call) error {
			if err := c.same(); err != nil {
				return err
			}
			rows, n, err := c.rowwise()
			if err == nil {
				do(c, rows, n)
			}
			return err
		}, push: func(d *derivative, t []value) (value, error) { return forward(d, t[0]) },
			pull: func(d *derivative, g value, _ int) (value, error) { return backward(d, g) }}
	}
	slope := func(name string, do func(c *call, rows, n int)) row {
		return row{name: name, make: func(c *call) error {
			if err := c.float(2); err != nil {
				return err
			}
			c.out.dims = c.args[0].dims
			rows, n, err := c.rowwise()
			if err == nil {
				do(c, rows, n)
			}
			return err
		}}
	}
	return []row{
		pooling("MaxPool", func(c *call, g *kernel.Pool) {
			c.forFloat(pools(c, g, kernel.MaxPool[float32]), pools(c, g, kernel.MaxPool[float64]))
		}, withInput("MaxPool.push"), withInput("MaxPool.pull")),
		{name: places, make: func(c *call) error {
			g, err := c.pool()
			if err != nil {
				return err
			}
			c.out.dtype = tensor.Int64
			c.do = placesOf(c, g, kernel.MaxPoolPlace[float32])
			if c.args[0].dtype == tensor.Float64 {
				c.do = placesOf(c, g, kernel.MaxPoolPlace[float64])
			}
			return nil
		}},
		derived("MaxPool.push", false, func(c *call, g *kernel.Pool) {
			c.forFloat(pools2(c, g, kernel.MaxPoolPush[float32]), pools2(c, g, kernel.MaxPoolPush[float64]))
		}),
		derived("MaxPool.pull", true, func(c *call, g *kernel.Pool) {
			c.forFloat(pools2(c, g, kernel.MaxPoolPull[float32]), pools2(c, g, kernel.MaxPoolPull[float64]))
		}),
		pooling("AveragePool", func(c *call, g *kernel.Pool) {
			c.forFloat(pools(c, g, kernel.AveragePool[float32]), pools(c, g, kernel.AveragePool[float64]))
		}, func(d *derivative, t value) (value, error) { return d.apply("AveragePool", d.attrs, t) },
			func(d *derivative, g value) (value, error) {
				return d.apply("AveragePool.pull", map[string]any{"of": d.call}, g)
			}),
		derived("AveragePool.pull", true, func(c *call, g *kernel.Pool) {
			c.forFloat(pools(c, g, kernel.AveragePoolPull[float32]), pools(c, g, kernel.AveragePoolPull[float64]))
		}),
		softmax("Softmax", "Softmax.slope", "Softmax.slope", func(c *call, rows, n int) {
			c.forFloat(rowwise1(c, rows, n, kernel.Softmax[float32]), rowwise1(c, rows, n, kernel.Softmax[float64]))
		}),
		slope("Softmax.slope", func(c *call, rows, n int) {
			c.forFloat(rowwise2(c, rows, n, kernel.SoftmaxDerivative[float32]), rowwise2(c, rows, n, kernel.SoftmaxDerivative[float64]))
		}),
		softmax("LogSoftmax", "LogSoftmax.push", "LogSoftmax.pull", func(c *call, rows, n int) {
			c.forFloat(rowwise1(c, rows, n, kernel.LogSoftmax[float32]), rowwise1(c, rows, n, kernel.LogSoftmax[float64]))
		}),
		slope("LogSoftmax.push", func(c *call, rows, n int) {
			c.forFloat(rowwise2(c, rows, n, kernel.LogSoftmaxPush[float32]), rowwise2(c, rows, n, kernel.LogSoftmaxPush[float64]))
		}),
		slope("LogSoftmax.pull", func(c *call, rows, n int) {
			c.forFloat(rowwise2(c, rows, n, kernel.LogSoftmaxPull[float32]), rowwise2(c, rows, n, kernel.LogSoftmaxPull[float64]))
		}),
	}
}
