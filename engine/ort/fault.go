package ort

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// The names of the options that remedies are about.
const (
	optionLibrary = "engine.Options.Library"
	optionCPU     = "engine.Options.Device=cpu"
	optionList    = "ort.Inventory"
)

// remedies are what can be done about a piece that is missing, and the options' names.
type remedies struct {
	text    string
	options []string
}

var (
	remedy = remedies{"run \"onnxprobe runtime install\", or name a library of your own, " +
		"here or in " + install.EnvLibrary,
		[]string{optionLibrary}}
	cudaRemedy = remedies{"install the build for CUDA, or take the device cpu",
		[]string{install.OptionCUDA, optionCPU}}
	driverRemedy = remedies{"runs on CUDA need an NVIDIA GPU and its driver; take the device cpu to run without",
		[]string{optionCPU}}
	partsRemedy = remedies{"install the parts of CUDA that go before it, or take the device cpu",
		[]string{install.OptionAll, optionCPU}}
)

// listed is r with the word that there is a list of all pieces.
func (r remedies) listed() remedies {
	return remedies{r.text + "; the list of pieces shows every one", append(slices.Clone(r.options), optionList)}
}

// unusable is the error for candidates that all have faults.
func unusable(found []install.Candidate) error {
	if len(found) == 0 {
		return unavailable("no ONNX Runtime library was found on this machine", remedy)
	}
	return unavailable("no usable ONNX Runtime library: "+strings.Join(faultsOf(found), "; "), remedy)
}

// faultsOf is a line for each candidate, all of which have faults.
func faultsOf(found []install.Candidate) (faults []string) {
	for _, c := range found {
		faults = append(faults, strings.ReplaceAll(fmt.Sprintf("%s (%s): %v", c.Path, c.From, c.Fault), "\n", "; "))
	}
	return faults
}

func unavailable(reason string, r remedies) error {
	return &engine.UnavailableError{Backend: Name, Reason: reason, Remedy: r.text, Options: r.options}
}
