package rewrite

import (
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Lowerings are there for the operators that the table says the pure-Go engine runs, and
// only fused forms that are in it are taken apart.
func TestLoweringsFitTheFacts(t *testing.T) {
	for _, o := range onnx.Operators {
		if demanded, has := o.Traits&onnx.Lowered != 0, lowerings[o.Name] != nil; demanded != has {
			t.Errorf("%s: Lowered is %v, there is a lowering: %v", o.Name, demanded, has)
		}
	}
	for name := range lowerings {
		if onnx.OperatorNamed(name) == nil {
			t.Errorf("%s is lowered, and has no row", name)
		}
	}
	for name := range unfused {
		if onnx.OperatorNamed(name) == nil {
			t.Errorf("%s is taken apart, and has no row", name)
		}
	}
}
