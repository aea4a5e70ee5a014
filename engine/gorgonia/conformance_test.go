package gorgonia_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
)

const cases = "../../../shared/data/onnx-conformance/"

var one = engine.Options{Threads: 1}

// Every case of ONNX's own passes, or is refused by name: none is wrong but those
// that conformance.txt gives a reason for.
func TestConformance(t *testing.T) {
	skips := enginetest.Skips(t, "conformance.txt")
	var all enginetest.Tally
	for _, suite := range []string{"node-opset-latest-2026-08", "node-v1.9.0-opset14", "node-v1.5.0-opset10", "pytorch-converted", "pytorch-operator", "simple"} {
		t.Run(suite, func(t *testing.T) {
			y := enginetest.Conformance(t, gorgonia.Backend{}, one, cases+suite, skips)
			t.Log(y)
			all.Add(y)
		})
	}
	t.Run("light", func(t *testing.T) {
		y := enginetest.Light(t, gorgonia.Backend{}, one, cases+"light")
		t.Log(y)
		all.Add(y)
	})
	if len(all.Passed) == 0 {
		return // skipped
	}
	t.Logf("in all %s", all)
	t.Logf("%d operators occur in cases that pass: %s", len(all.Ran), strings.Join(slices.Sorted(maps.Keys(all.Ran)), " "))
}
