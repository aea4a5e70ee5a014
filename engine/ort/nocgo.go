//go:build !cgo

package ort

import (
	"context"
	"errors"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Built says whether this build can run ONNX Runtime.
const Built = false

var errNoCgo = errors.New("this onnxprobe was built without cgo, which ONNX Runtime needs")

// Backend runs models on ONNX Runtime; in this build it is never available.
type Backend struct{}

// Name is Name.
func (Backend) Name() string { return Name }

// Version is "".
func (Backend) Version() string { return "" }

// Available says that this build has no ONNX Runtime.
func (Backend) Available(engine.Options) error {
	return unavailable(errNoCgo.Error(), remedies{"build it with CGO_ENABLED=1 and a C compiler, or take the backend gorgonia",
		[]string{"backends.Request.Name=gorgonia"}})
}

// Prepare says that this build has no ONNX Runtime.
func (b Backend) Prepare(_ context.Context, _ *onnx.Model, o engine.Options) (engine.Session, error) {
	return nil, b.Available(o)
}

func loadable(string) error { return errNoCgo }

func askDriver(int) (driver, error) { return driver{}, errNoCgo }
