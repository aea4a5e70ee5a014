package gorgonia

import "github.com/onnxprobe/onnxprobe/onnx/tensor"

// limits bound what a model can make the engine ask of memory, however small its
// file; what goes beyond is refused. Tests lower them.
var limits = struct {
	elements int // of one value, or of what an operator lays out to compute it
	list     int // of what is listed one by one: where the elements along an axis come from, the products of a stack
	bytes    int // of all values of a program
	nodes    int // of a graph: gorgonia takes time by their square, which nothing stops
}{1 << 31, 1 << 26, 1 << 36, 10_000}

// large says whether a shape has more than n elements; its dimensions are not
// negative.
func large(n int, dims ...int) bool {
	k := 1
	for _, d := range dims {
		if d > 0 && k > n/d {
			return true
		}
		k *= max(d, 1)
	}
	return false
}

// fits refuses a move from or to a shape that is too large for one.
func (c *call) fits(dims []int) error {
	for _, d := range dims {
		if d > limits.list {
			return c.refuse("an axis of %d elements", d)
		}
	}
	if large(limits.elements, dims...) {
		return c.refuse("a shape %v", dims)
	}
	return nil
}

// sizeOf is the size of a value in bytes.
func sizeOf(d tensor.DType, elements int) int { return elements * d.Bits() / 8 }
