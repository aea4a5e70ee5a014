package partition

import (
	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
)

// engines are those that the tests on real networks go through.
var engines = []engine.Differentiator{textbook{}, gorgonia.Backend{}}
