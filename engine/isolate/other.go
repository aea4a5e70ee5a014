//go:build !linux || !(amd64 || arm64)

package isolate

import (
	"context"
	"runtime"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Supported says whether this system has workers.
const Supported = false

type workers struct{}

func (workers) version() string { return "" }

func (workers) library() (none struct{ Library engine.Library }) { return none }

func (b *Backend) available(engine.Options) error {
	return b.unavailable("workers need Linux on amd64 or arm64, and this is " + runtime.GOOS + " on " + runtime.GOARCH)
}

func (b *Backend) prepare(_ context.Context, _ *onnx.Model, o engine.Options) (engine.Session, error) {
	return nil, b.available(o)
}

// Missing is about workers, of which there are none here.
func Missing() string { return "" }

// Holds is what keeps workers from harm here: nothing.
func (b *Backend) Holds() []string { return nil }

// Main returns at once: there are no workers here.
func Main(...engine.Backend) {}
