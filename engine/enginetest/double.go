package enginetest

import (
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

const double = " in float64"

// Double names the cases in float64 of the given operators, for a backend that
// lists what it cannot run.
func Double(ops ...string) []string {
	var names []string
	for _, c := range floatCases() {
		if slices.Contains(ops, c.Model.Graph.Nodes[0].Op) {
			names = append(names, c.Name+double)
		}
	}
	return names
}

// AndDouble adds to names of cases those of their like in float64, where there are
// any.
func AndDouble(names ...string) []string {
	all := slices.Clone(names)
	for _, c := range Cases() {
		if n, ok := strings.CutSuffix(c.Name, double); ok && slices.Contains(names, n) {
			all = append(all, c.Name)
		}
	}
	return all
}

// notDouble are operators that the specification or, because they become several
// nodes without a name, ONNX Runtime has in float32 alone, and those whose type
// is not their inputs'.
var notDouble = []string{"Celu", "Gelu", "HardSwish", "Cast", "ConstantOfShape"}

// inDouble are the cases of one operator in float32 once more in float64, so far
// as they have floats.
func inDouble(cases []Case) []Case {
	var out []Case
	for _, c := range cases {
		d := Case{Name: c.Name + double, Model: c.Model.Clone(), Within: c.Within, Why: c.Why}
		g, op := d.Model.Graph, c.Model.Graph.Nodes[0].Op
		widened := widen(g.Inputs)
		if widened = widen(g.Outputs) || widened; !widened || slices.Contains(notDouble, op) {
			continue
		}
		for i, k := range g.Initializers {
			t, err := c.Model.Values(k)
			if err != nil {
				panic(err)
			}
			if op != "Resize" && op != "Upsample" { // their constants are scales, always float32
				g.Initializers[i] = onnx.NewTensor(k.Name, toDouble(t))
			}
		}
		for _, t := range c.In {
			d.In = append(d.In, toDouble(t))
		}
		for _, t := range c.Want {
			d.Want = append(d.Want, toDouble(t))
		}
		out = append(out, d)
	}
	return out
}

func widen(vs []*onnx.Value) (any bool) {
	for i, v := range vs {
		if v.DType == tensor.Float32 {
			vs[i], any = onnx.NewValue(v.Name, tensor.Float64, v.Shape), true
		}
	}
	return any
}

// toDouble is t in float64 when it is in float32, and otherwise t.
func toDouble(t *tensor.Tensor) *tensor.Tensor {
	if t.DType != tensor.Float32 {
		return t
	}
	return tensor.Of(t.Float64s(), t.Shape...)
}
