package result_test

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// A run writes to memory as it would to a file, and what it wrote is read as a file's.
func ExampleMemory() {
	kept := result.Memory()
	batch := []result.Column{
		{Name: "id", Values: []string{"cat.png", "dog.png"}},
		{Name: "code", Width: 2, Values: []uint8{0xf0, 0x01, 0x00, 0x00}, Null: []bool{false, true}},
	}
	if err := kept.Write(batch); err != nil {
		panic(err)
	}
	if err := kept.Commit(result.NewManifest("codes", nil)); err != nil {
		panic(err)
	}
	codes := func(name string) bool { return name == "code" }
	err := kept.Read(codes, func(cols []result.Column) error {
		code := cols[0]
		for row, null := range code.Null {
			fmt.Println(code.Values.([]uint8)[row*code.Width:(row+1)*code.Width], null)
		}
		return nil
	})
	fmt.Println(kept.Rows(), err)
	// Output:
	// [240 1] false
	// [0 0] true
	// 2 <nil>
}
