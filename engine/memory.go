package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// CheckMemory reports the first value of m that would take more than MaxMemory bytes, or
// the outputs where together they would. Shapes are those that the model declares of its
// outputs and those that follow from the given shapes of inputs, or the declared ones, as
// onnx.Model.Infer has it; a value whose shape is not known counts as nothing. Constants
// that the file holds do not count. Whoever prepares a model asks before: engines take
// memory for some values while they prepare.
func (o Options) CheckMemory(m *onnx.Model, inputs map[string][]int64) error {
	if o.MaxMemory <= 0 {
		return nil
	}
	facts, err := m.Infer(inputs)
	if errors.Is(err, onnx.ErrTooLarge) {
		return err // Infer reports no shape of it
	}
	for _, v := range m.Graph.Inputs {
		if f := facts[v.Name]; f.Bytes() > o.MaxMemory {
			return o.tooLarge(fmt.Sprintf("the input %q", v.Name), f)
		}
	}
	for _, n := range m.Graph.Nodes {
		if n.IsOp("Constant") {
			continue
		}
		for _, name := range n.Outputs {
			if f := facts[name]; name != "" && f.Bytes() > o.MaxMemory {
				return o.tooLarge(fmt.Sprintf("the value %q of node %s", name, n), f)
			}
		}
	}
	all := int64(0)
	for _, v := range m.Graph.Outputs {
		f := v.Fact()
		if f.Bytes() > o.MaxMemory {
			return o.tooLarge(fmt.Sprintf("the output %q", v.Name), f)
		}
		n := max(f.Bytes(), facts[v.Name].Bytes(), 0)
		if n > math.MaxInt64-all {
			n = math.MaxInt64 - all
		}
		if all += n; all > o.MaxMemory {
			return o.above(fmt.Sprintf("the model's %d outputs, of which %q has the shape %v, take %s together",
				len(m.Graph.Outputs), v.Name, shapeOf(f, facts[v.Name]), size(all)))
		}
	}
	return nil
}

func shapeOf(f, g onnx.Fact) []int64 {
	if g.Known() {
		return g.Shape
	}
	return f.Shape
}

func (o Options) tooLarge(what string, f onnx.Fact) error {
	return o.above(fmt.Sprintf("%s has the shape %v of %s and takes %s", what, f.Shape, f.DType, size(f.Bytes())))
}

// above says what takes more than the limit, and what can be done.
func (o Options) above(what string) error {
	return onnx.Remedy(fmt.Errorf("%s, and the limit is %s: take a smaller batch, or a higher limit "+
		"if there is as much; it is three quarters of the memory that is available unless another is given", what, size(o.MaxMemory)),
		"Batch", "engine.Options.MaxMemory")
}

// size writes a number of bytes exactly, and as a person reads it.
func size(n int64) string {
	if n == math.MaxInt64 {
		return "more than 8 EiB"
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < 5 {
		v, unit = v/1024, unit+1
	}
	if unit < 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d bytes (%.4g %ciB)", n, v, "KMGTPE"[unit])
}
