package probes

import (
	"bytes"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// The arg-max is the same by every opset: also by 7, whose MaxPool does not tell places.
// Max of two shapes is what opset 8 adds to; the model's own stays as it was.
func TestMaxPoolCodesOfOldOpsets(t *testing.T) {
	for _, opset := range []int64{7, 8, 9, 12, 17} {
		m := network(t, 16, func(e *rewrite.Edit, x string) string {
			x = e.Op("Reshape", nil, e.Op("Relu", nil, x), e.Const(tensor.Of([]int64{-1, 1, 4, 4}, 4)))
			return e.Op("MaxPool", map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}, e.Op("Max", nil, x, x))
		})
		m.IR, m.Opsets[0].Version = 3, opset
		r := open(t, m, AttachOptions{Sites: site.Options{MaxPool: true, Globs: []string{"MaxPool*"}}}, 2)
		if m.Opset("") != opset || r.Plan.Model.Opset("") != max(opset, 8) {
			t.Errorf("opset %d: the model has opset %d, the probed one %d", opset, m.Opset(""), r.Plan.Model.Opset(""))
		}
		x := make([]float32, 32)
		x[1], x[6], x[8] = 1, 1, 1 // places 1, 2, 0, 0 in their windows
		x[16+5], x[16+7] = 1, 1    // places 3, 3, 0, 0
		if code, want := codesOf(t, r, x, 2), []byte{0b1000_0100, 0b1100_1100}; !bytes.Equal(code, want) {
			t.Errorf("opset %d: codes %08b, want %08b", opset, code, want)
		}
	}
}
