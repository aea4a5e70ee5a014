//go:build cgo

package ort

import (
	"fmt"
	"regexp"
	"syscall"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// noMemory is what ONNX Runtime and the libraries of CUDA say when there is no more
// memory: of an arena that cannot grow, one at its limit, the CUDA runtime, cuDNN and
// cuBLAS, and of the host.
var noMemory = regexp.MustCompile(`(?i)failed to allocate memory|smaller than requested bytes|out of memory|` +
	`ALLOC(ATION)?_FAILED|ErrorMemoryAllocation|bad_alloc|bad allocation`)

// shortage is an error of want of memory: the machine's, which errors.Is tells as ENOMEM.
type shortage struct{ error }

func (s shortage) Unwrap() []error { return []error{s.error, syscall.ENOMEM} }

// remedied adds to an error of want of memory what can be done about it.
func remedied(err error, o engine.Options) error {
	if err == nil || !noMemory.MatchString(err.Error()) {
		return err
	}
	remedy, options := "take a smaller batch", []string{"Batch"}
	if o.Device.Kind == "cuda" {
		options = append(options, "engine.Options.MemoryLimit")
		if o.MemoryLimit > 0 {
			remedy += fmt.Sprintf(", or a higher limit of device memory than %d bytes", o.MemoryLimit)
		} else {
			remedy += ", or limit the device memory, with which a GPU also runs one batch at a time " +
				"and takes convolutions that need less"
		}
	}
	err = fmt.Errorf("%w; there is not enough memory on %s: %s", err, o.Device, remedy)
	return shortage{onnx.Remedy(err, options...)}
}
