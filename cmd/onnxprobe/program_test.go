package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
)

// asProgram, set to 1, makes the test binary the program itself.
const asProgram = "ONNXPROBE_TEST_AS_PROGRAM"

// fileLimit is how large a file the program may write then, in bytes; what goes beyond
// fails as on a full disk.
const fileLimit = "ONNXPROBE_TEST_FILE_LIMIT"

func TestMain(m *testing.M) {
	isolate.Main(backends.All...)
	if os.Getenv(asProgram) == "1" {
		if n, err := strconv.Atoi(os.Getenv(fileLimit)); err == nil {
			if err := limitFiles(n); err != nil {
				panic(err)
			}
		}
		main()
	}
	os.Exit(m.Run())
}
