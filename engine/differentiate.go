package engine

import (
	"context"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Differentiator is a backend that also gives derivatives.
type Differentiator interface {
	Backend
	// Linearize readies the derivatives of the named values, any floating-point
	// values of m's top-level graph, with respect to the data input wrt, which
	// is float32 or float64. A value that does not depend on the input has
	// derivative zero. It returns an *UnsupportedError that lists every node on
	// the way that cannot be run or differentiated, and an error for a name that
	// no value has. A context is as in Prepare.
	Linearize(ctx context.Context, m *onnx.Model, wrt string, values []string, o Options) (Linearization, error)
}

// Linearization evaluates chosen values of a model and their derivatives with
// respect to one input. At a bend, where there is no derivative, it gives the one
// that PyTorch gives: 0 on the knot of Relu, the first of equal elements of a
// window or a row to its maximum, halves to two equal operands of Max or Min. It
// is used by one goroutine at a time.
type Linearization interface {
	// Push evaluates the values at in, the model's inputs in order, and their
	// Jacobian-vector products with tangent, which has the shape and type of the
	// input wrt: the rates at which the values change when that input moves along
	// it. Both lists are in the order the values were named in and are the
	// caller's to keep.
	Push(ctx context.Context, in []*tensor.Tensor, tangent *tensor.Tensor) (values, tangents []*tensor.Tensor, err error)
	// Pull evaluates the values and the vector-Jacobian product: the gradient,
	// with respect to the input wrt, of the sum over all values of the product
	// with its cotangent. A cotangent has the shape and type of its value; nil
	// stands for zero, and not all may be nil. Items of a batch are independent,
	// so that a batch of one item's copies with different cotangents gives as
	// many rows of its Jacobian.
	Pull(ctx context.Context, in []*tensor.Tensor, cotangents []*tensor.Tensor) (values []*tensor.Tensor, gradient *tensor.Tensor, err error)
	// Close releases what it holds.
	Close() error
}
