package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// CheckMemory reports the first value of m that would take more than MaxMemory bytes, or
// the outputs where together they would. Shapes are those that the model declares of its
// outputs and those that follow from the given shapes of inputs, or the declared ones, as
// onnx.Model.Infer has it; a value whose shape is not known counts as nothing. Constants
// that the file holds do not count. Whoever prepares a model asks before, as Prepare does:
// engines take memory for some values while they prepare.
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

// Sizer is a Backend that wants to know which shapes the inputs of runs will have.
type Sizer interface {
	Backend
	// PrepareFor is Prepare for runs over inputs of the given shapes, or the declared
	// ones, as onnx.Model.Infer has it. The session takes other shapes too.
	PrepareFor(ctx context.Context, m *onnx.Model, inputs map[string][]int64, o Options) (Session, error)
}

// Prepare readies m on b for runs over inputs of the given shapes, or the declared ones,
// as onnx.Model.Infer has it: after CheckMemory, and by PrepareFor where b is a Sizer.
func Prepare(ctx context.Context, b Backend, m *onnx.Model, inputs map[string][]int64, o Options) (Session, error) {
	if err := o.CheckMemory(m, inputs); err != nil {
		return nil, err
	}
	if s, ok := b.(Sizer); ok {
		return s.PrepareFor(ctx, m, inputs, o)
	}
	return b.Prepare(ctx, m, o)
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
		"if there is as much", what, size(o.MaxMemory)),
		"Batch", "engine.Options.MaxMemory")
}

// size writes a number of bytes exactly, and as a person reads it.
func size(n int64) string {
	switch {
	case n == math.MaxInt64:
		return "more than 8 EiB"
	case n < 1024:
		return Bytes(n)
	}
	return fmt.Sprintf("%d bytes (%s)", n, Bytes(n))
}

// Bytes writes a number of bytes in binary units and four digits: "4 GiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < 5 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.4g %ciB", v, "KMGTPE"[unit])
}

// leastMemory is what DefaultMemory allows, however little seems to be available.
const leastMemory = 1 << 30

// DefaultMemory is a MaxMemory for this machine as it is now: three quarters of the memory
// that the process can still have, in bytes; 0, no limit, where that is not known.
func DefaultMemory() int64 {
	n := available()
	if n == 0 {
		return 0
	}
	return max(n/4*3, leastMemory)
}

// byteUnits are the units that ParseBytes reads, the longer names before their ends.
var byteUnits = []struct {
	name  string
	bytes float64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"TB", 1e12}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}}

// ParseBytes reads a positive number of bytes, such as 8GiB or 500MB; case does not matter.
func ParseBytes(s string) (int64, error) {
	text, times := strings.ToUpper(strings.TrimSpace(s)), 1.0
	for _, u := range byteUnits {
		if t, ok := strings.CutSuffix(text, u.name); ok {
			text, times = strings.TrimSpace(t), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	switch v *= times; {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(v):
		return 0, fmt.Errorf("%q is no size: write a number of bytes, or one with KB, MB, GB, TB, KiB, MiB, GiB or TiB", s)
	case v < 1:
		return 0, fmt.Errorf("%q is %g bytes: write 1 or more, or leave it out", s, v)
	case v >= math.MaxInt64:
		return 0, fmt.Errorf("%q is more than any machine has: write less than 8388608TiB, or leave it out", s)
	}
	return int64(v), nil
}
