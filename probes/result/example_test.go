package result_test

import (
	"fmt"
	"os"
	"path/filepath"

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

// A result of a file, written and read back: the manifest says what its columns are of.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "codes.parquet")
	sink, err := result.Create(path, result.Options{})
	if err != nil {
		panic(err)
	}
	defer sink.Abort() // which does nothing after Commit
	if err := sink.Write([]result.Column{{Name: "code", Width: 2, Values: []uint8{0xf0, 0x01, 0x0f, 0xff}}}); err != nil {
		panic(err)
	}
	if err := sink.Commit(result.NewManifest("codes", []string{"my", "program"})); err != nil {
		panic(err)
	}
	table, err := result.Open(path)
	if err != nil {
		panic(err)
	}
	defer table.Close()
	m, err := table.Manifest()
	if err != nil {
		panic(err)
	}
	fmt.Println(m.Kind, m.Command, table.Rows(), "rows")
	err = table.Read(nil, func(cols []result.Column) error {
		fmt.Println(cols[0].Name, cols[0].Width, cols[0].Values)
		return nil
	})
	fmt.Println(err)
	// Output:
	// codes [my program] 2 rows
	// code 2 [240 1 15 255]
	// <nil>
}
