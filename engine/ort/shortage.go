//go:build cgo

package ort

import (
	"fmt"
	"regexp"
	"syscall"

	"github.com/onnxprobe/onnxprobe/engine"
)

// noMemory is what ONNX Runtime and the libraries of CUDA say when there is no more
// memory: of an arena that cannot grow, one at its limit, the CUDA runtime, cuDNN and
// cuBLAS, and of the host.
var noMemory = regexp.MustCompile(`(?i)failed to allocate memory|smaller than requested bytes|out of memory|ALLOC(ATION)?_FAILED|ErrorMemoryAllocation|bad_alloc|bad allocation`)

// shortage is an error of want of memory: the machine's, which errors.Is tells as ENOMEM.
type shortage struct{ error }

func (s shortage) Unwrap() []error { return []error{s.error, syscall.ENOMEM} }

// remedied adds to an error of want of memory what can be done about it.
func remedied(err error, o engine.Options) error {
	if err == nil || !noMemory.MatchString(err.Error()) {
		return err
	}
	remedy := "take a smaller --batch"
	switch {
	case o.Device.Kind != "cuda":
	case o.MemoryLimit > 0:
		remedy += fmt.Sprintf(", or a higher --device-memory than %d bytes", o.MemoryLimit)
	default:
		remedy += ", or --device-memory SIZE, with which a GPU also runs one batch at a time and takes convolutions that need less"
	}
	return shortage{fmt.Errorf("%w; there is not enough memory on %s: %s", err, o.Device, remedy)}
}
