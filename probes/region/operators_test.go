package region

import (
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Rules are there for operators that the table has, and for all that the pure-Go engine
// runs over windows.
func TestRulesFitTheFacts(t *testing.T) {
	for op := range rules {
		microsoft := onnx.OperatorNamed("com.microsoft."+op) != nil // rules are by the name alone
		if onnx.OperatorNamed(op) == nil && !microsoft {
			t.Errorf("positions are followed through %s, which has no row", op)
		}
	}
	for _, o := range onnx.Operators {
		if o.Traits&onnx.Window != 0 && o.Traits&onnx.Lowered != 0 && rules[o.Name] == nil {
			t.Errorf("%s reads windows, and positions are not followed through it", o.Name)
		}
	}
}
