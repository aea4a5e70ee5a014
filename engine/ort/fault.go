package ort

import (
	"errors"
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

const (
	remedy       = "run \"onnxprobe runtime install\", or name a library with --library or " + install.EnvLibrary
	cudaRemedy   = "run \"onnxprobe runtime install --cuda\" for the CUDA build, or take --device cpu"
	driverRemedy = "runs on CUDA need an NVIDIA GPU and its driver; take --device cpu to run without"
	cudaList     = "; \"onnxprobe runtime list --device cuda\" shows every piece"
)

// unusable is the error for candidates that all have faults.
func unusable(found []install.Candidate) error {
	if len(found) == 0 {
		return unavailable("no ONNX Runtime library was found on this machine", remedy)
	}
	var faults []error
	for _, c := range found {
		faults = append(faults, fmt.Errorf("%s (%s): %w", c.Path, c.From, c.Fault))
	}
	return unavailable("no usable ONNX Runtime library: "+join(faults), remedy)
}

func join(faults []error) string {
	return strings.ReplaceAll(errors.Join(faults...).Error(), "\n", "; ")
}

func unavailable(reason, remedy string) error {
	return &engine.UnavailableError{Backend: Name, Reason: reason, Remedy: remedy}
}
