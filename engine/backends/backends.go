// Package backends lists the engines that can run a model.
package backends

import (
	"errors"
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
)

// All is every backend, the preferred first. To add one, add a line.
var All = []engine.Backend{
	ort.Backend{},
	gorgonia.Backend{},
}

// Auto is the name that lets Find choose.
const Auto = "auto"

// Names lists what Find takes.
func Names() []string {
	names := []string{Auto}
	for _, b := range All {
		names = append(names, b.Name())
	}
	return names
}

// Find returns the backend of a name, or for "auto" (or "") the first one that is
// available with these options; its Name says which. A backend asked for by name
// is never replaced by another: when it is not available the error is its
// *engine.UnavailableError. With "auto" and none available, the error joins
// everyone's, one a line.
func Find(name string, o engine.Options) (engine.Backend, error) {
	return find(All, name, o)
}

func find(all []engine.Backend, name string, o engine.Options) (engine.Backend, error) {
	var faults []error
	var names []string
	for _, b := range all {
		names = append(names, b.Name())
		if name != b.Name() && name != Auto && name != "" {
			continue
		}
		err := b.Available(o)
		if err == nil {
			return b, nil
		}
		faults = append(faults, err)
	}
	if faults == nil {
		return nil, fmt.Errorf("no backend is called %q; the choices are %s and %s", name, Auto, strings.Join(names, ", "))
	}
	return nil, errors.Join(faults...)
}
