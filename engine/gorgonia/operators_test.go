package gorgonia

import (
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Kernels are of ONNX's operators, of which the table has a row; those with a dot are the
// engine's own.
func TestKernelsHaveRows(t *testing.T) {
	for name := range table {
		if !strings.Contains(name, ".") && onnx.OperatorNamed(name) == nil {
			t.Errorf("the kernel %s has no row in onnx.Operators", name)
		}
	}
}
