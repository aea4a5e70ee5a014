package tensor_test

import (
	"bytes"
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// An array goes to numpy's format and comes back. Of shares the slice with the tensor.
func ExampleWriteNpy() {
	values := []float32{1, 2, 3, 4, 5, 6}
	t := tensor.Of(values, 2, 3)
	values[0] = 7
	var file bytes.Buffer
	if err := tensor.WriteNpy(&file, t); err != nil {
		fmt.Println(err)
		return
	}
	back, err := tensor.ReadNpy(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(back.DType, back.Shape, tensor.Data[float32](back))
	// Output: float32 [2 3] [7 2 3 4 5 6]
}
